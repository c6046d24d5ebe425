"""What a run has before its first step: data, networks, stages, first states."""

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import Batch, DataInfo, Unread
from reenact_jax.nets.blocks import fenced
from reenact_jax.systems import interface
from reenact_jax.systems.interface import Stage
from reenact_jax.train import config, feed, sharding, step, tuning
from reenact_jax.train.config import Run
from reenact_jax.train.step import State

PREVIEW_ROWS = 8


class Job(NamedTuple):
    """What all stages of a run share, and what each of them starts with."""

    system: ModuleType
    run: Run
    hparams: Any
    values: dict  # the config as plain values
    shards: ShardSet | Unread  # None: a job without data
    record: dict  # description of the data, see feed.open_data
    stored: int  # side of the stored images, pixels
    nets: dict
    table: tuple[Stage, ...]  # all stages of the system
    chosen: dict[int, Stage]  # stages of this run
    prepare: Any
    constants: Any
    mesh: jax.sharding.Mesh
    # Source, licence and digest of imported weights that the run started from.
    weights: dict | None = None

    def shapes(self, stage: Stage) -> State:
        """Return the state of a stage as shapes with shardings."""
        return sharding.shapes(self._create(stage), mesh=self.mesh, mode=self.run.sharding)

    def fresh(self, stage: Stage, networks: dict | None) -> State:
        """Make a stage's first state: from nothing, or from the networks of the stage before."""
        placement = {'mesh': self.mesh, 'mode': self.run.sharding}
        if networks is None:
            return sharding.born(self._create(stage), **placement)
        return sharding.born(functools.partial(step.start, stage), networks, **placement)

    def one_step(self, stage: Stage) -> Callable:
        """Return the function (state, constants, batch) -> (state, metrics) of a stage."""
        function = step.train_step(
            stage,
            self.nets,
            prepare=self.prepare,
            seed=self.run.seed,
            accumulate=self.run.accumulate,
            devices=self.mesh.size,
            gather=sharding.gathering(self.mesh, self.run.sharding),
            dtype=self.run.dtype,
            ema_decay=self.run.ema_decay,
        )
        return fenced(function) if self.run.fences else function

    def program(self, stage: Stage, state: State) -> jax.stages.Wrapped:
        """Return the jitted function of `run.scan` steps that training calls.

        `state` may be shapes; batches have a leading axis of steps.
        """
        steps = step.scan_steps(self.one_step(stage))
        return sharding.compile_step(steps, state, self.mesh, self.run.sharding, stacked=True)

    def abstract_batch(self, stage: Stage) -> Batch:
        """Return the batch that `program` takes, as shapes with shardings."""
        raw = feed.example([stage], self.stored, self.run.points)
        leading = (self.run.scan, stage.batch_size)
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((*leading, *x.shape[1:]), x.dtype), raw
        )
        return sharding.abstract(shapes, sharding.rows(self.mesh, 1))

    def previewer(self) -> Callable | None:
        """Return (state, stacked batches) -> pictures on the host; None: the system has none."""
        if interface.member(self.system, 'preview') is None:
            return None

        names: list[str] = []  # in the system's order, which a dict loses in jit

        def pictures(variables: dict, batch: Batch):
            batch = jax.tree.map(lambda x: x[0, :PREVIEW_ROWS], batch)
            batch = self.prepare(batch, jax.random.key(0))
            images = self.system.preview(self.hparams, self.nets, variables, batch)
            names[:] = images
            return list(images.values())

        compiled = jax.jit(pictures, out_shardings=sharding.replicated(self.mesh))

        def show(state: State, batch: Batch) -> dict[str, np.ndarray]:
            images = compiled(state.variables | state.ema, batch)
            return {name: np.asarray(image) for name, image in zip(names, images, strict=True)}

        return show

    def _create(self, stage: Stage):
        """Return the function () -> state of a stage that starts from nothing."""
        raw = feed.example(self.table, self.stored, self.run.points)

        def create():
            key = jax.random.key(self.run.seed)
            batch = self.prepare(raw, key)
            return step.start(stage, self.system.init(self.hparams, self.nets, key, batch))

        return create


def make_job(values: dict) -> Job:
    """Open the data and check all that can be checked before anything is computed."""
    system, run, hparams = config.resolve(values)
    shards, info, record = feed.open_data(run)
    job = _planned(values, info, int(shards.columns.size[0]))
    constants = sharding.to_all(system.constants(hparams), job.mesh)
    return job._replace(shards=shards, record=record, constants=constants)


def make_abstract_job(
    values: dict, info: DataInfo, side: int, devices: Sequence | None = None
) -> Job:
    """Make a job to compile for devices that need not be there: no data, constants are shapes.

    Args:
      info: what the data would be.
      side: of the stored images, pixels.
      devices: to compile for; None: those that are there.
    """
    job = _planned(values, info, side, devices)
    arrays = job.system.constants(job.hparams, load=False)
    return job._replace(constants=sharding.abstract(arrays, sharding.replicated(job.mesh)))


def _planned(values: dict, info: DataInfo, side: int, devices=None) -> Job:
    """Make a job without shards and constants, and check its stages."""
    system, run, hparams = config.resolve(values)
    mesh = sharding.make_mesh(devices, run.sharding, run.mesh)
    nets = system.networks(hparams, info)
    stages, rates = system.stages(hparams, info), tuning.factors(run.rate_factors)
    tuning.check(stages, nets, run.freeze, rates)
    table = tuple(tuning.tuned(stage, run.freeze, rates) for stage in stages)
    chosen = config.chosen(table, run)
    for stage in chosen.values():
        tuning.require_movement(stage)
        interface.check(stage, nets)
        interface.check_rows(stage, stage.batch_size, mesh.size, run.accumulate)
    prepare = feed.preparation(run, run.size or side)
    return Job(
        system, run, hparams, values, None, {}, side, nets, table, chosen, prepare, None, mesh
    )
