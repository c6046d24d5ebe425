"""From shards to the devices: what the data are, and batches as global arrays."""

import functools
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from reenact_jax.common.errors import UserError
from reenact_jax.data.batches import Loader, Reading, examples
from reenact_jax.data.batches.preprocess import Augment, prepare
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import Batch, DataInfo
from reenact_jax.geometry import layouts
from reenact_jax.systems.interface import Stage
from reenact_jax.train import sharding
from reenact_jax.train.config import Run

SPLIT = 'train'


def open_data(run: Run) -> tuple[ShardSet, DataInfo, dict]:
    """Open the training split.

    Returns:
      The split, what systems need to know of it, and its record in checkpoints.

    Raises:
      UserError: there is no such set, or it lacks the point set.
    """
    try:
        shards = ShardSet(run.data or '', SPLIT)
        shards.require_points(run.points)
        _check_identities(shards)
    except UserError as error:
        raise UserError(f'config.data: {error}') from None
    info = DataInfo(shards.identities, len(shards), run.points, int(shards.columns.frames.sum()))
    record = {
        'identities': info.identities,
        'examples': info.examples,
        'points': info.points,
        'size': run.size or int(shards.columns.size[0]),
        'digest': shards.digest,
    }
    return shards, info, record


def _check_identities(shards: ShardSet) -> None:
    """Refuse numbers of people with wide gaps: networks have a row for each number, used or not.

    Raises:
      UserError: they have.
    """
    numbers = shards.columns.identity
    people = len(np.unique(numbers))
    if numbers.min(initial=0) < 0 or shards.identities > 1000 + 100 * people:
        raise UserError(
            f'{shards.directory}, split {shards.split}: {people} people are numbered from '
            f'{numbers.min(initial=0)} to {shards.identities - 1:,}; number them from 0, without '
            'wide gaps'
        )


def preparation(run: Run, size: int) -> Callable:
    """Return (raw batch, rng) -> batch as losses take it, with the run's augmentation."""
    parts = layouts.LAYOUTS[run.points].parts
    return functools.partial(
        prepare,
        size=size,
        augment=Augment(run.colour, run.affine) if run.colour or run.affine else None,
        stabilise=run.stabilise,
        eyes=(parts['left_eye'], parts['right_eye']),
    )


def example(stages, side: int, points: str) -> Batch:
    """Make a raw batch of two rows of zeros, with every field that some stage reads: for shapes.

    Args:
      side: of the stored images, pixels.
    """
    reads = tuple(sorted({field for stage in stages for field in stage.reads}))
    frames = max(stage.frames for stage in stages)
    rows = examples.allocate(2, frames, reads, side, points)
    return Batch(**{name: np.zeros_like(array) for name, array in rows.items()})


class Feed:
    """Endless global batches of a stage.

    Attributes:
      waited: seconds spent waiting for the host's data.
    """

    def __init__(self, loader, mesh: jax.sharding.Mesh):
        """Serve batches of a `batches.Loader`, or of what behaves like it."""
        self._loader, self._mesh = loader, mesh
        self.waited = 0.0

    def take(self, steps: int | None = None) -> Batch:
        """Return the next batch on the devices; with `steps`, that many along a leading axis."""
        return sharding.to_devices(self.read(steps), self._mesh, stacked=steps is not None)

    def read(self, steps: int | None = None) -> Batch:
        """Return the next batch on the host, as NumPy arrays; otherwise as `take`."""
        begin = time.perf_counter()
        if steps is None:
            batch = next(self._loader)
        else:
            several: Iterator[Batch] = (next(self._loader) for _ in range(steps))
            batch = jax.tree.map(lambda *arrays: np.stack(arrays), *several)
        self.waited += time.perf_counter() - begin
        return batch

    def check_budget(self) -> None:
        """End all hosts at once when together they met too many damaged records.

        All processes must call it after the same step.

        Raises:
          UserError: the budget is spent.
        """
        count = len(self._loader.damaged)
        if jax.process_count() > 1:
            total = int(multihost_utils.process_allgather(np.array(count)).sum())
        else:
            total = count
        self._loader.check_budget(total)

    @property
    def epoch(self) -> float:
        """Passes over the data so far."""
        return self._loader.epoch

    def state(self) -> dict:
        """Return the position after the batches taken so far, for JSON."""
        return self._loader.state()

    def close(self) -> None:
        """End the reading threads."""
        self._loader.close()


def open_feed(
    shards: ShardSet, stage: Stage, number: int, run: Run, mesh, position: dict | None
) -> Feed:
    """Open the batches of stage `number`, from their beginning or from a saved position."""
    reading = Reading(
        flip=run.flip,
        au_bound=run.au_bound,
        damage_budget=run.bad_record_budget,
        threads=run.threads,
        workers=run.workers,
        requests=run.requests,
        cache=run.cache,
        cache_gb=run.cache_gb,
    )
    loader = Loader(
        shards,
        batch_size=stage.batch_size,
        reads=stage.reads,
        frames=stage.frames,
        neighbour=stage.neighbour,
        points=run.points,
        seed=run.seed + number,
        reading=reading,
        host=jax.process_index(),
        hosts=jax.process_count(),
        devices=mesh.size,
    )
    if position is not None:
        loader.restore(position)
    return Feed(loader, mesh)
