"""Frames with similar action units, found among a bounded number of frames of any set.

The distance of two frames is the mean absolute difference of the intensities measured in both, 8 at
least. The frames lie in boxes of a k-d tree, with the least and the largest value of each AU there.
A box that is further from a frame than the bound holds nothing similar to it. Of rare expressions
few boxes are left, and all their frames are compared; of common ones many are, and any of them will
do.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Float16, Int

from reenact_jax.data.shards import ShardSet

UNITS = slice(0, 17)  # intensities; the head's pose is not part of an expression
MIN_COMMON = 8  # measured in both frames, for a distance to mean something
# Frames compared with one; where its boxes hold more, half in drawn boxes, half in the nearest.
MOST = 32_768
_BOX = 512  # frames of a box, at most, if they differ
_CHUNK = 2048  # frames compared at a time
_ROUNDING = 1e-5


def distance(
    aus: Float16[np.ndarray, ' 20'],
    valid: Bool[np.ndarray, ' 20'],
    others: Float16[np.ndarray, 'n u'],
    others_valid: Bool[np.ndarray, 'n u'],
) -> Float[np.ndarray, ' n']:
    """Average |difference| of the AUs measured in both frames; infinite if they are too few.

    Args:
      aus, valid: of a frame, in the order of `tracks.FIELDS`.
      others, others_valid: of n frames; what follows the intensities is not looked at.
    """
    both = others_valid[:, UNITS] & valid[UNITS]
    count = both.sum(1)
    difference = np.abs(others[:, UNITS].astype(np.float32) - aus[UNITS].astype(np.float32))
    total = np.where(both, difference, 0).sum(1)
    return np.where(count >= MIN_COMMON, total / np.maximum(count, 1), np.inf)


class SimilarFrames:
    """The frames of a set by their action units."""

    def __init__(self, shards: ShardSet, person: Int[np.ndarray, ' f'], bound: float):
        """Sort the frames with enough AUs into boxes.

        Args:
          shards: the split.
          person: number of the person in each frame.
          bound: largest distance of similar frames.
        """
        columns = shards.columns
        frames = np.flatnonzero(columns.aus_valid[:, UNITS].sum(1) >= MIN_COMMON)
        self._bound, self._shards, self._person = bound, shards, person
        parts = list(_boxes(columns.aus[frames, UNITS], columns.aus_valid[frames, UNITS]))
        self._frames = frames[np.concatenate(parts)]
        self._starts = np.cumsum([0, *map(len, parts)])
        # In the order in which they are compared; from the index they come page by page.
        self._sorted_aus = columns.aus[self._frames, UNITS]
        self._sorted_valid = columns.aus_valid[self._frames, UNITS]
        self._sorted_person = person[self._frames]
        # What is not measured may be anything.
        aus, known = self._sorted_aus.astype(np.float32), self._sorted_valid
        self._low = np.minimum.reduceat(np.where(known, aus, -np.inf), self._starts[:-1])
        self._high = np.maximum.reduceat(np.where(known, aus, np.inf), self._starts[:-1])

    def of(self, frame: int, rng: np.random.Generator) -> Iterator[int]:
        """List frames of other people within the bound, the nearest first in each chunk.

        Args:
          frame: number of one that has enough AUs.
          rng: draws where the search begins; it ends after about `MOST` frames.
        """
        columns = self._shards.columns
        aus, valid = columns.aus[frame], columns.aus_valid[frame]
        for boxes in self._turns(*self._near(aus[UNITS], valid[UNITS]), rng):
            spans = [np.arange(*self._starts[box : box + 2]) for box in boxes]
            places = np.concatenate(spans)
            found = distance(aus, valid, self._sorted_aus[places], self._sorted_valid[places])
            found[self._sorted_person[places] == self._person[frame]] = np.inf
            near = np.argsort(found, kind='stable')
            yield from self._frames[places[near[found[near] <= self._bound]]].tolist()

    def _near(self, aus: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """List the boxes in which something may be similar, the nearest first, and their sizes."""
        values = aus[valid].astype(np.float32)
        outside = np.maximum(self._low[:, valid] - values, values - self._high[:, valid])
        least = np.maximum(outside, 0).sum(1)
        boxes = np.flatnonzero(least <= self._bound * len(values) + _ROUNDING)
        boxes = boxes[np.argsort(least[boxes], kind='stable')]
        return boxes, self._starts[boxes + 1] - self._starts[boxes]

    def _turns(self, boxes: np.ndarray, sizes: np.ndarray, rng) -> Iterator[np.ndarray]:
        """List boxes to compare at a time: drawn ones, then the nearest if there are too many."""
        order = rng.permutation(len(boxes))
        if sizes.sum() > MOST:
            drawn = order[np.cumsum(sizes[order]) <= MOST / 2]
            rest = np.setdiff1d(np.arange(len(boxes)), drawn)
            order = np.concatenate([drawn, rest[np.cumsum(sizes[rest]) <= MOST / 2]])
        turn = np.cumsum(sizes[order]) // _CHUNK
        yield from np.split(boxes[order], np.flatnonzero(np.diff(turn)) + 1)


def _boxes(aus: np.ndarray, valid: np.ndarray) -> Iterator[np.ndarray]:
    """Divide frames, [f u], until they are few or the same; list the numbers of each part.

    Those that lack the same AUs come together, and are divided below and above the mean of the AU
    that varies most, both of a sample.
    """
    columns = np.asfortranarray(aus)
    kinds = np.packbits(valid, axis=1) @ (1 << 8 * np.arange(3))
    # Neighbours in a box are no neighbours in the set: so a few in a row are a sample.
    order = np.random.default_rng(0).permutation(len(aus))
    order = order[np.argsort(kinds[order], kind='stable')]
    waiting = np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1)
    while waiting:
        part = waiting.pop()
        if len(part) > _BOX:
            sample = aus[part[:_CHUNK]].astype(np.float32)
            unit = np.argmax(sample.var(0))
            above = columns[part, unit] > sample[:, unit].mean()
            if above.any() and not above.all():
                waiting += [part[above], part[~above]]
                continue
        yield from (part[at : at + _CHUNK] for at in range(0, len(part), _CHUNK))
