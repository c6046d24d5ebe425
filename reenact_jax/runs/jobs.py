"""What a run has before its first step: data, networks, stages, first states."""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from reenact_jax import config, sharding, stages, step
from reenact_jax.config import Run
from reenact_jax.runs import feed
from reenact_jax.shards import ShardSet
from reenact_jax.stages import Stage
from reenact_jax.step import State
from reenact_jax.tracks import Batch

PREVIEW_ROWS = 8


class Job(NamedTuple):
    """What all stages of a run share."""

    system: ModuleType
    run: Run
    hparams: Any
    values: dict  # the config as plain values
    shards: ShardSet
    record: dict  # what the data are, see feed.open_data
    nets: dict
    table: tuple[Stage, ...]  # the system's stages, all of them
    chosen: dict[int, Stage]  # those of this run
    prepare: Any
    constants: Any
    mesh: jax.sharding.Mesh


def make_job(values: dict) -> Job:
    """Opens the data and checks everything that can be checked before anything is computed."""
    system, run, hparams = config.resolve(values)
    shards, info, record = feed.open_data(run)
    nets = system.networks(hparams, info)
    table = system.stages(hparams, info)
    chosen = config.chosen(table, run)
    mesh = sharding.make_mesh()
    for stage in chosen.values():
        stages.check(stage, nets)
        stages.check_rows(stage, stage.batch_size, mesh.size, run.accumulate)
    prepare = feed.preparation(run, record['size'])
    constants = sharding.to_all(system.constants(hparams), mesh)
    return Job(
        system, run, hparams, values, shards, record, nets, table, chosen, prepare, constants, mesh
    )


def _create(job: Job, stage: Stage):
    """The function () -> state of a stage that starts from nothing."""
    raw = feed.example(job.shards, job.table, job.run.points)

    def create():
        key = jax.random.key(job.run.seed)
        batch = job.prepare(raw, key)
        return step.start(stage, job.system.init(job.hparams, job.nets, key, batch))

    return create


def shapes(job: Job, stage: Stage) -> State:
    """The state of a stage as shapes with shardings."""
    return sharding.shapes(_create(job, stage), mesh=job.mesh, mode=job.run.sharding)


def fresh(job: Job, stage: Stage, networks: dict | None) -> State:
    """The first state of a stage: from nothing, or from the networks of the stage before."""
    where = {'mesh': job.mesh, 'mode': job.run.sharding}
    if networks is None:
        return sharding.born(_create(job, stage), **where)
    return sharding.born(functools.partial(step.start, stage), networks, **where)


def previewer(job: Job) -> Callable | None:
    """(state, stacked batches) -> pictures on the host; None where the system has none."""
    if not hasattr(job.system, 'preview'):
        return None

    names: list[str] = []  # in the system's order, which a dict loses in jit

    def pictures(variables: dict, batch: Batch):
        batch = jax.tree.map(lambda x: x[0, :PREVIEW_ROWS], batch)
        batch = job.prepare(batch, jax.random.key(0))
        made = job.system.preview(job.hparams, job.nets, variables, batch)
        names[:] = made
        return list(made.values())

    compiled = jax.jit(pictures, out_shardings=sharding.replicated(job.mesh))

    def show(state: State, batch: Batch) -> dict[str, np.ndarray]:
        made = compiled(state.variables | state.ema, batch)
        return {name: np.asarray(image) for name, image in zip(names, made, strict=True)}

    return show
