"""One training step on two devices from the same state and batch: how far the results lie apart."""

from typing import Any

import jax
import numpy as np

from reenact_jax.systems.interface import Stage
from reenact_jax.train import feed, jobs, sharding
from reenact_jax.train.jobs import Job

PRECISIONS = ('default', 'highest')  # of matrix products: a chip's own choice; whole float32


def compare(values: dict, device: Any, reference: Any) -> dict:
    """Run the first stage's step on both devices.

    Args:
      values: a resolved config, `config.to_json`.
      device: which is looked at, a `jax.Device`.
      reference: which is trusted, a CPU's.

    Returns, for each of `PRECISIONS` on the device (the reference computes in whole float32):
      loss: the largest difference of a loss, as a share of it.
      change: distance between the changes of the parameters, as a share of the reference's change.
    """
    job = jobs.make_job(values)
    number, stage = next(iter(job.chosen.items()))
    there = _on(job, reference)
    begin = jax.tree.map(np.asarray, there.fresh(stage, None))
    wanted = _step(there, number, stage, begin, 'highest')
    here = _on(job, device)
    return {
        precision: _distance(begin, _step(here, number, stage, begin, precision), wanted)
        for precision in PRECISIONS
    }


def _on(job: Job, device: Any) -> Job:
    """The job on one device."""
    mesh = sharding.make_mesh([device])
    return job._replace(mesh=mesh, constants=sharding.to_all(job.constants, mesh))


def _step(job: Job, number: int, stage: Stage, begin, precision: str) -> tuple[dict, dict]:
    """Metrics and variables after a step, on the host."""
    source = feed.open_feed(job.shards, stage, number, job.run, job.mesh, None)
    try:
        batch = source.take(1)
    finally:
        source.close()
    state = sharding.to_all(begin, job.mesh)
    with jax.default_matmul_precision(precision):
        state, metrics = job.program(stage, state)(state, job.constants, batch)
    return jax.tree.map(np.asarray, (metrics, state.variables))


def _distance(begin, found: tuple[dict, dict], wanted: tuple[dict, dict]) -> dict[str, float]:
    (metrics, after), (expected, reference) = found, wanted
    losses = [
        abs(float(metrics[name][0]) - value) / max(abs(value), 1e-6)
        for name, value in ((name, float(one[0])) for name, one in expected.items())
        if name.startswith('loss/')
    ]
    far, moved = 0.0, 0.0
    for letter in reference:
        parts = (tree[letter]['params'] for tree in (begin.variables, after, reference))
        for old, one, two in zip(*map(jax.tree.leaves, parts), strict=True):
            far += float(np.square(np.float64(one) - two).sum())
            moved += float(np.square(np.float64(two) - old).sum())
    return {'loss': max(losses), 'change': (far / max(moved, 1e-30)) ** 0.5}
