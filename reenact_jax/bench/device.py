"""Speed of the device: its peak, training steps, encoding, rendering, checkpoints."""

import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.compilation_cache import compilation_cache

from reenact_jax.data.tracks import Batch, Face
from reenact_jax.systems import interface
from reenact_jax.systems.interface import Stage
from reenact_jax.train import feed, sharding
from reenact_jax.train.checkpoints.places import Place
from reenact_jax.train.checkpoints.store import Store
from reenact_jax.train.jobs import Job

SIDES = {'cpu': (1024, 2048), 'gpu': (4096, 8192), 'tpu': (4096, 8192)}  # matrices of `peak`
FRAMES = 8  # frames in one call of render


def calls_per_second(call: Callable[[], Any], seconds: float) -> float:
    """Measure how often a call finishes in a second; the first call does not count.

    Args:
      call: what to call; its result is waited for.
      seconds: length of the measurement, which makes at least three calls.
    """
    jax.block_until_ready(call())
    count, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds or count < 3:
        jax.block_until_ready(call())
        count += 1
    return count / spent


def peak(dtype: str, seconds: float) -> float:
    """Measure the FLOP/s of the fastest square matrix product on all devices of this process.

    Args:
      dtype: of the matrices.
      seconds: length of the measurement for each size.
    """
    best, multiply = 0.0, jax.jit(jnp.matmul)
    for side in SIDES[jax.default_backend()]:
        each = [jnp.ones((side, side), dtype, device=device) for device in jax.local_devices()]
        rate = calls_per_second(lambda each=each: [multiply(x, x) for x in each], seconds)
        best = max(best, rate * len(each) * 2 * side**3)
    return best


def training(job: Job, number: int, seconds: float) -> Iterator[tuple[str, float]]:
    """Measure a stage's step: compilation, speed, arithmetic, waiting for data, checkpoints.

    Args:
      job: the run.
      number: of the stage.
      seconds: length of each measurement.

    Yields:
      (name, value) as soon as it is measured.
    """
    stage = job.chosen[number]
    state = job.fresh(stage, None)
    source = feed.open_feed(job.shards, stage, number, job.run, job.mesh, None)
    try:
        batch = source.take()
        program = yield from _programs(job, stage, state, batch)
        costs: Any = program.cost_analysis()
        yield 'step, GFLOP', (gflop := costs['flops'] / 1e9)
        holder = [state]

        def one(batch: Batch):
            holder[0], metrics = program(holder[0], job.constants, batch)
            return metrics

        rate = calls_per_second(lambda: one(batch), seconds)
        yield 'step, frames/s, data at hand', rate * stage.batch_size * stage.frames
        yield 'step, GFLOP/s', rate * gflop
        source.waited, begin, count = 0.0, time.perf_counter(), 0
        while time.perf_counter() - begin < seconds or count < 3:
            jax.block_until_ready(one(source.take()))
            count += 1
        spent = time.perf_counter() - begin
        yield 'step, frames/s, data read', count * stage.batch_size * stage.frames / spent
        yield 'step, share of waiting for data', source.waited / spent
        yield from _checkpoint(holder[0], stage)
    finally:
        source.close()


def _programs(job: Job, stage: Stage, state, batch: Batch):
    """Compile the step twice, with an empty cache of programs and from the filled one."""
    step = job.one_step(stage)
    settings: Any = jax.config  # it has its flags as attributes
    before = settings.jax_compilation_cache_dir
    with tempfile.TemporaryDirectory() as folder:
        jax.config.update('jax_compilation_cache_dir', folder)
        try:
            for name in ('compile, s, cold', 'compile, s, with the cache'):
                compilation_cache.reset_cache()
                jax.clear_caches()
                begin = time.perf_counter()
                jitted = sharding.compile_step(step, state, job.mesh, job.run.sharding)
                program = jitted.lower(state, job.constants, batch).compile()
                yield name, time.perf_counter() - begin
        finally:
            jax.config.update('jax_compilation_cache_dir', before)
            compilation_cache.reset_cache()
    return program


def _checkpoint(state, stage: Stage) -> Iterator[tuple[str, float]]:
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        try:
            for at in (1, 2):  # the first one starts threads
                begin = time.perf_counter()
                store.save(Place(0, stage.name, at), state, {}, {})
                blocked = time.perf_counter() - begin
                store.wait()
                whole = time.perf_counter() - begin
        finally:
            store.close()
    yield 'checkpoint, MB', size / 1e6
    yield 'checkpoint, s the step waits', blocked
    yield 'checkpoint, s until it is complete', whole


def using(job: Job, seconds: float) -> Iterator[tuple[str, float]]:
    """Time what a trained system does: `encode` and `render`, `identify` and `transfer`.

    Args:
      job: the run; its last stage tells the shapes.
      seconds: length of each measurement.

    Yields:
      (name, milliseconds). A source is timed as a call of its own, a frame as a share of a call
      for several.
    """
    number, stage = list(job.chosen.items())[-1]  # the one that reads images, if one does
    state = job.fresh(stage, None)
    source = feed.open_feed(job.shards, stage, number, job.run, job.mesh, None)
    batch = job.prepare(source.take(), jax.random.key(0))
    source.close()

    def face(frame: int, rows: int, names: tuple[str, ...]) -> Face:
        return Face(
            **{name: jnp.repeat(getattr(batch, name)[:1, frame], rows, 0) for name in names}
        )

    def milliseconds(function: Callable, *args):
        jitted = jax.jit(function)
        result = jitted(state.variables, *args)
        return result, 1e3 / calls_per_second(lambda: jitted(state.variables, *args), seconds)

    bound = (job.hparams, job.nets)
    if interface.able(job.system, job.nets, 'render'):
        encode = functools.partial(job.system.encode, *bound)
        deep = interface.member(job.system, 'takes_depth')(job.hparams)
        own = 'landmarks3d' if deep else 'landmarks'
        portrait = face(0, 1, ('image', *{'landmarks', own}))
        points = getattr(face(-1, FRAMES, (own,)), own)
        if (shape := interface.member(job.system, 'motion')(job.hparams).shape) is not None:
            points = jax.random.normal(jax.random.key(0), (FRAMES, *shape))
        appearance, spent = milliseconds(encode, portrait)
        yield 'encode, ms a source', spent
        render = functools.partial(job.system.render, *bound)
        yield 'render, ms a frame', milliseconds(render, appearance, points)[1] / FRAMES
    if interface.able(job.system, job.nets, 'transfer'):
        names = interface.member(job.system, 'DRIVEN_BY')
        first = face(-1, 1, names)
        identify = functools.partial(job.system.identify, *bound)
        identity, spent = milliseconds(identify, face(0, 1, names))
        yield 'identify, ms a source', spent
        transfer = functools.partial(job.system.transfer, *bound)
        for rows in (1, 256):
            spent = milliseconds(transfer, identity, face(-1, rows, names), first)[1]
            yield f'transfer, ms a frame, {rows} at once', spent / rows
