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
      values: a resolved config, `config.to_json`; its batches are spread over all devices.
      steps: most steps after the first one.
      seconds: most time after the first step.

    Returns:
      Plain values by name; memory and FLOPs are those of one chip. `shortest step, ms` is what the
      FLOPs would take at the maker's peak; None for chips that are not in `chips.PEAKS`.
    """
    job = jobs.make_job(values)
    number, stage = next(iter(job.chosen.items()))
    state = job.fresh(stage, None)
    source = feed.open_feed(job.shards, stage, number, job.run, job.mesh, None)
    try:
        batch, begin = source.take(1), time.perf_counter()
        lowered = job.program(stage, state).lower(state, job.constants, batch)
        program = lowered.compile()
        compiling = time.perf_counter() - begin
        state, metrics = jax.block_until_ready(program(state, job.constants, batch))
        steps_done, source.waited, begin = 0, 0.0, time.perf_counter()
        while steps_done < steps and time.perf_counter() - begin < seconds:
            before = metrics
            state, metrics = program(state, job.constants, source.take(1))
            jax.block_until_ready(before)  # one call runs while the next is prepared
            steps_done += 1
        jax.block_until_ready(state)
        duration = time.perf_counter() - begin
    finally:
        source.close()
    costs: Any = lowered.cost_analysis()
    flops = costs['flops'] / job.mesh.size
    peak = chips.PEAKS.get(jax.devices()[0].device_kind)
    in_use = jax.local_devices()[0].memory_stats() or {}
    return {
        'rows': stage.batch_size,
        'compile, s': compiling,
        'steps': steps_done,
        'step, ms': 1e3 * duration / steps_done,
        'shortest step, ms': 1e3 * flops / peak if peak else None,
        'frames/s': steps_done * stage.batch_size * stage.frames / duration,
        'share of waiting for data': source.waited / duration,
        'FLOPs': flops,
        'FLOP/s': flops * steps_done / duration,
        'memory, compiled': compile_check.memory(program.memory_analysis()),
        'memory, in use at most': in_use.get('peak_bytes_in_use'),
        'losses': {
            name: float(np.asarray(value)[-1])
            for name, value in metrics.items()
            if name.startswith('loss/')
        },
        'steps left out': {name: int(count) for name, count in state.skipped.items()},
    }
