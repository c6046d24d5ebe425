"""Distance between the results of one training step on two devices, from one state and batch."""

from typing import Any

import jax
import numpy as np

from reenact_jax.systems.interface import Stage
from reenact_jax.train import feed, jobs, sharding
from reenact_jax.train.jobs import Job

PRECISIONS = ('default', 'highest')  # of matrix products: the chip's own choice; full float32


def compare(values: dict, device: Any, reference: Any) -> dict:
    """Run the first stage's step on both devices and compare the results.

    Args:
      values: a resolved config, `config.to_json`.
      device: the `jax.Device` that is tested.
      reference: the device that is trusted, a CPU.

    Returns:
      {precision: {'loss': ..., 'change': ...}} for each of `PRECISIONS` on the device (the
      reference computes in full float32). `loss` is the largest difference of a loss, as a share
      of it; `change` is the distance between the changes of the parameters, as a share of the
      reference's change.
    """
    job = jobs.make_job(values)
    number, stage = next(iter(job.chosen.items()))
    reference_job = _on(job, reference)
    begin = jax.tree.map(np.asarray, reference_job.fresh(stage, None))
    expected = _step(reference_job, number, stage, begin, 'highest')
    device_job = _on(job, device)
    return {
        precision: _distance(begin, _step(device_job, number, stage, begin, precision), expected)
        for precision in PRECISIONS
    }


def _on(job: Job, device: Any) -> Job:
    """Place the job on one device."""
    mesh = sharding.make_mesh([device])
    return job._replace(mesh=mesh, constants=sharding.to_all(job.constants, mesh))


def _step(job: Job, number: int, stage: Stage, begin, precision: str) -> tuple[dict, dict]:
    """Make one step; return metrics and variables on the host."""
    source = feed.open_feed(job.shards, stage, number, job.run, job.mesh, None)
    try:
        batch = source.take(1)
    finally:
        source.close()
    state = sharding.to_all(begin, job.mesh)
    with jax.default_matmul_precision(precision):
        state, metrics = job.program(stage, state)(state, job.constants, batch)
    return jax.tree.map(np.asarray, (metrics, state.variables))


def _distance(begin, outputs: tuple[dict, dict], targets: tuple[dict, dict]) -> dict[str, float]:
    (metrics, after), (expected, reference) = outputs, targets
    losses = [
        abs(float(metrics[name][0]) - value) / max(abs(value), 1e-6)
        for name, value in ((name, float(one[0])) for name, one in expected.items())
        if name.startswith('loss/')
    ]
    distance, change = 0.0, 0.0
    for network in reference:
        parts = (tree[network]['params'] for tree in (begin.variables, after, reference))
        for old, one, two in zip(*map(jax.tree.leaves, parts), strict=True):
            distance += float(np.square(np.float64(one) - two).sum())
            change += float(np.square(np.float64(two) - old).sum())
    return {'loss': max(losses), 'change': (distance / max(change, 1e-30)) ** 0.5}
