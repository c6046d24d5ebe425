"""Batches in tests: loaders, the fields that they read, the records of the rows."""

import contextlib
import dataclasses
import functools

import numpy as np

from reenact_jax.data import shards, tracks
from reenact_jax.data.batches import Loader, Reading

LIGHT = ('landmarks', 'identity', 'expression')
THREADS = Reading(threads=2)


def loader(part, **changes) -> Loader:
    """Make a loader of light fields, four rows a batch; `changes` replace its arguments."""
    return Loader(part, **{'batch_size': 4, 'reads': LIGHT, 'reading': THREADS, **changes})


def arrays(batch: tracks.Batch) -> dict[str, np.ndarray]:
    """Return the fields that were read, by name."""
    values = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return {name: value for name, value in values.items() if value is not None}


def assert_same(one: tracks.Batch, other: tracks.Batch) -> None:
    """Assert that two batches have the same fields with the same numbers."""
    one, other = arrays(one), arrays(other)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@functools.cache
def keys_of(part) -> dict[bytes, int]:
    """Map the points of every frame to its record."""
    keys = {}
    for number in range(len(part)):
        with contextlib.suppress(shards.DamagedRecord):
            for points in part.track(number).landmarks_68:
                keys[points[:, :2].tobytes()] = number
    return keys


def records(part, batch: tracks.Batch) -> np.ndarray:
    """Find the record of every row by its points."""
    keys = keys_of(part)
    numbers = [{keys[frame.tobytes()] for frame in row} for row in batch.landmarks]
    assert all(len(row) == 1 for row in numbers)  # all K frames are of one track
    return np.array([row.pop() for row in numbers])
