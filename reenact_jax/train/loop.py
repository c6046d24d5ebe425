"""A run: the stages in order, each handing its networks to the next, and the only loop over steps.

A stage hands on what it would export: the average of a network, where it has one. The optimisers of
the next stage are fresh. Everything between two steps is a function of the checkpoint, so that a
resumed run equals an undisturbed one (to the bit on one kind of device).
"""

import contextlib
import time
from typing import NamedTuple

import jax

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.train import (
    agreement,
    config,
    disk,
    feed,
    jobs,
    peers,
    pretrained,
    sharding,
    workdirs,
)
from reenact_jax.train.checkpoints.places import Place
from reenact_jax.train.checkpoints.store import Store
from reenact_jax.train.config import Run
from reenact_jax.train.feed import Feed
from reenact_jax.train.jobs import Job
from reenact_jax.train.logs import Logs
from reenact_jax.train.profiles import Profile
from reenact_jax.train.signals import STOPPED, Stop
from reenact_jax.train.step import State
from reenact_jax.train.watch import Watch


class Start(NamedTuple):
    """Where a run continues: at a stage's beginning, or inside it."""

    number: int = 0  # number of the stage
    networks: dict | None = None  # networks of the stage before
    state: State | None = None  # state of a stage under way
    loader: dict | None = None  # its place in the data
    weights: dict | None = None  # of `Job`


class Tools(NamedTuple):
    """What the loop writes to and listens to."""

    store: Store
    logs: Logs
    stop: Stop
    profile: Profile


def train(values: dict, workdir: str, profiled: int = 0) -> int:
    """Train a config in a folder, from its newest valid checkpoint if it has one.

    Args:
      values: the config as plain values (`config.to_json`).
      workdir: folder of the run.
      profiled: number of steps to trace, see `profiles.Profile`.

    Returns:
      The exit code: 0 when all stages are done, 42 when it was told to stop.

    Raises:
      UserError: data, folder or checkpoints do not fit, or the run has failed.
    """
    with peers.leaving_with_them(), disk.explained(workdir), contextlib.ExitStack() as at_the_end:
        job = agreement.reach(lambda: jobs.make_job(workdirs.recall(workdir, values)), _facts)
        agreement.reach(lambda: at_the_end.enter_context(workdirs.owned(workdir)))
        agreement.reach(lambda: workdirs.claim(workdir, job.values))
        agreement.reach(lambda: workdirs.require(workdir))
        workdirs.keep_programs(job.run)
        store = Store(workdir, job.run.keep)
        at_the_end.callback(store.close)
        place = store.newest()
        first = jax.process_index() == 0
        logs = Logs(workdir, first, (place.number, place.step) if place else None)
        at_the_end.callback(logs.close)
        profile = Profile(workdir, profiled, first)
        at_the_end.callback(profile.close)
        tools = Tools(store, logs, Stop(), profile)
        at_the_end.callback(tools.stop.close)
        return _stages(job, tools, place, workdir)


def _facts(job: Job) -> dict:
    """Collect what must be the same on every process: config, data, code."""
    ours = {name: value for name, value in job.values.items() if name not in config.A_HOSTS_OWN}
    return {'config': ours, 'data': job.record, 'code': agreement.code()}


def _stages(job: Job, tools: Tools, place: Place | None, workdir: str) -> int:
    """Train all stages that are not done; continue the one under way."""
    start = _start(job, tools.store, place)
    if place is None and job.run.init:
        start = _given(job, workdir)
    job = job._replace(weights=start.weights)
    left = {n: stage for n, stage in job.chosen.items() if n >= start.number}
    networks = start.networks
    for n, stage in left.items():
        state, loader = start.state, start.loader
        if state is None or n != start.number:
            state, loader = job.fresh(stage, networks), None
        state, stopped = _stage(job, tools, n, state, loader)
        if stopped:
            _say(
                f'{workdir}: stopped after step {int(state.step)} of stage {stage.name}; the same '
                'command resumes it'
            )
            return STOPPED
        networks = state.variables | state.ema
    names = ', '.join(stage.name for stage in left.values()) or 'nothing was left to do'
    _say(f'{workdir}: finished ({names}); it holds checkpoints/, metrics.jsonl and tensorboard/')
    return 0


def _start(job: Job, store: Store, place: Place | None) -> Start:
    """Find where the run continues."""
    if place is None:
        return Start()
    position, _ = store.position(place)
    _check_place(job, place, position)
    stage = job.table[place.number]
    shapes, weights = job.shapes(stage), position.get('weights')
    if position['finished'] and place.step >= stage.steps:
        networks = store.networks(place, shapes.variables)
        return Start(place.number + 1, networks, weights=weights)
    if place.number not in job.chosen:
        raise UserError(
            f'config.stages: stage {stage.name} is half done in this --workdir and not among '
            f'{list(job.run.stages)}'
        )
    _say(f'resuming stage {stage.name} after step {place.step}')
    state = store.restore(place, shapes)
    return Start(place.number, None, state, position['loader'], weights)


def _given(job: Job, workdir: str) -> Start:
    """Start the first stage from given weights, and from fresh ones where none are given."""
    system, first = job.values[config.SYSTEM], next(iter(job.chosen.values()))
    sources = agreement.reach(lambda: [pretrained.read(text, system) for text in job.run.init])
    fresh = job.fresh(first, None).variables
    networks, rows = pretrained.fit(sources, {network: fresh[network] for network in job.nets})
    _say(pretrained.table(rows))
    if jax.process_index() == 0:
        file = storage.path(workdir) / pretrained.NAME
        storage.write_json(file, pretrained.record(sources, rows))
    networks = jax.tree.map(
        lambda leaf: leaf if isinstance(leaf, jax.Array) else sharding.to_all(leaf, job.mesh),
        networks,
    )
    return Start(networks=networks, weights=pretrained.imported(sources, rows))


def _check_place(job: Job, place: Place, position: dict) -> None:
    """Reject a checkpoint of other stages or other data."""
    names = [stage.name for stage in job.table]
    if place.number >= len(names) or names[place.number] != place.stage:
        raise UserError(
            f'config.hparams: this --workdir stands at stage {place.stage}, number '
            f'{place.number + 1}; the stages are now {", ".join(names)}; name another folder'
        )
    if position['data'] != job.record:
        different = [key for key, value in job.record.items() if position['data'].get(key) != value]
        raise UserError(
            f'config.data: {job.run.data} is not the data that this --workdir was begun with '
            f'({", ".join(different)} differ); give that, or name another folder'
        )


def _stage(job: Job, tools: Tools, number: int, state: State, loader) -> tuple[State, bool]:
    """Train one stage to its end; return (state, whether it was told to stop before)."""
    stage, run = job.chosen[number], job.run
    source = feed.open_feed(job.shards, stage, number, run, job.mesh, loader)
    begun, frames = int(state.step), stage.batch_size * stage.frames
    tools.logs.begin(number, stage.name, begun, stage.steps, frames, source.waited)
    _say(f'{stage.name}: compiling, which takes a while the first time')
    try:
        return _steps(job, tools, number, state, source)
    finally:
        tools.logs.end()
        source.close()


def _steps(job: Job, tools: Tools, number: int, state: State, source: Feed) -> tuple[State, bool]:
    """Loop over steps: `run.scan` of them are one call, and all else happens between calls."""
    stage, run, logs = job.chosen[number], job.run, tools.logs
    program, show = job.program(stage, state), job.previewer()
    before = sum(one.steps for one in job.table[:number])
    begun = done = int(state.step)
    late = Late(Watch(stage, state, run.nan_limit, tools.store), logs)
    saved, stop = time.monotonic(), False
    while done < stage.steps and not stop:
        count = min(run.scan, stage.steps - done)
        batch = source.take(count)
        state, metrics = program(state, job.constants, batch)
        if done == begun:
            logs.start_clock(done, source.waited)
        then, done = done, done + count
        tools.profile.call(count, metrics)
        late.take(done, metrics)
        last = done == stage.steps
        if last or _crossed(then, done, run.log_every):
            late.read()
            source.check_budget()
            logs.line(done, source.waited, {'epoch': source.epoch})
        if show and run.preview_every and (last or _crossed(then, done, run.preview_every)):
            logs.pictures(done, show(state, batch))
        stop = not last and tools.stop(before + done)
        if last or stop or _is_old(saved, run) or _crossed(then, done, run.checkpoint_every):
            late.read()
            logs.flush()
            _save(job, tools.store, Place(number, stage.name, done), state, source, last)
            saved = time.monotonic()
    tools.store.wait()
    return state, stop


class Late:
    """Metrics of a call, read while the next one runs: reading waits for the device."""

    def __init__(self, watch: Watch, logs: Logs):
        self._watch, self._logs = watch, logs
        self._held: tuple[int, dict] | None = None

    def take(self, step: int, metrics: dict) -> None:
        """Keep the metrics of the call that ends with `step`; read those of the call before."""
        self.read()
        self._held = step, metrics

    def read(self) -> None:
        """Read what is kept.

        Raises:
          UserError: the run has failed.
        """
        if self._held is not None:
            step, metrics = self._held
            self._logs.take(step, *self._watch(step, metrics))
            self._held = None


def _save(job: Job, store: Store, place: Place, state: State, source: Feed, last: bool) -> None:
    """Save a checkpoint in the background."""
    position = {
        'stage': place.stage,
        'number': place.number,
        'step': place.step,
        'finished': last,
        'loader': source.state(),
        'data': job.record,
    }
    if job.weights:
        position['weights'] = job.weights
    store.save(place, state, position, job.values)


def _is_old(saved: float, run: Run) -> bool:
    """Tell whether the last checkpoint is old. Clocks of several processes would not agree."""
    timed = run.checkpoint_seconds and jax.process_count() == 1
    return bool(timed) and time.monotonic() - saved > run.checkpoint_seconds


def _crossed(before: int, now: int, every: int) -> bool:
    """Tell whether a multiple of `every` lies in (before, now]."""
    return now // every > before // every


def _say(text: str) -> None:
    if jax.process_index() == 0:
        print(text, flush=True)
