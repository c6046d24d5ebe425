"""Training steps on real batches for a while: time, memory, and arithmetic beside estimates."""

import time
from typing import Any

import jax
import numpy as np

from reenact_jax.bench import chips, compile_check
from reenact_jax.train import feed, jobs


def run(values: dict, steps: int, seconds: float) -> dict:
    """Train the first stage of a config for a while; nothing is kept.

    Args:
      values: a resolved config, `config.to_json`; batches of its own size over all devices.
      steps: how many at most, behind the first one.
      seconds: how long at most, behind the first one.

    Returns plain values; those of memory and FLOPs are of one chip. `shortest step, ms` is what the
    FLOPs take at the maker's peak, None for chips that are not in `chips.PEAKS`.
    """
    job = jobs.make_job(values)
    number, stage = next(iter(job.chosen.items()))
    state = job.fresh(stage, None)
    source = feed.open_feed(job.shards, stage, number, job.run, job.mesh, None)
    try:
        batch, begin = source.take(1), time.perf_counter()
        lowered = job.program(stage, state).lower(state, job.constants, batch)
        program = lowered.compile()
        spent = time.perf_counter() - begin
        state, metrics = jax.block_until_ready(program(state, job.constants, batch))
        done, source.waited, begin = 0, 0.0, time.perf_counter()
        while done < steps and time.perf_counter() - begin < seconds:
            before = metrics
            state, metrics = program(state, job.constants, source.take(1))
            jax.block_until_ready(
                before
            )  # one call runs while the next is prepared, as in training
            done += 1
        jax.block_until_ready(state)
        took = time.perf_counter() - begin
    finally:
        source.close()
    costs: Any = lowered.cost_analysis()
    flops = costs['flops'] / job.mesh.size
    peak = chips.PEAKS.get(jax.devices()[0].device_kind)
    return {
        'rows': stage.batch_size,
        'compile, s': spent,
        'steps': done,
        'step, ms': 1e3 * took / done,
        'shortest step, ms': 1e3 * flops / peak if peak else None,
        'frames/s': done * stage.batch_size * stage.frames / took,
        'share of waiting for data': source.waited / took,
        'FLOPs': flops,
        'FLOP/s': flops * done / took,
        'memory, compiled': compile_check.memory(program.memory_analysis()),
        'memory, in use at most': (jax.local_devices()[0].memory_stats() or {}).get(
            'peak_bytes_in_use'
        ),
        'losses': {
            name: float(np.asarray(value)[-1])
            for name, value in metrics.items()
            if name.startswith('loss/')
        },
        'steps left out': {name: int(count) for name, count in state.skipped.items()},
    }
