"""Frames with similar action units, found among a bounded number of frames of any set.

The distance of two frames is the mean absolute difference of the intensities measured in both, 8 at
least. So any sums of intensities that are measured everywhere differ by no more than 17 times the
bound. Frames are sorted into cells by three such sums; a cell is that wide, and all frames within
the bound lie in a cell or beside it. Of rare expressions these cells hold few frames, which are all
compared; of common ones they hold many, and of those enough lie in any sample.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Float16, Int

from reenact_jax.data.shards import ShardSet

UNITS = slice(0, 17)  # intensities; the head's pose is not part of an expression
MIN_COMMON = 8  # measured in both frames, for a distance to mean something
MOST = 32_768  # frames compared with one: where 1 in 5,000 is similar, 99.8 % of searches find one
_CHUNK = 2048  # frames compared at a time
_SUMS = 3
_LEAST = 0.01  # width of a cell


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
        """Sort the frames with enough AUs into cells.

        Args:
          shards: the split.
          person: number of the person in each frame.
          bound: largest distance of similar frames.
        """
        columns = shards.columns
        frames = np.flatnonzero(columns.aus_valid[:, UNITS].sum(1) >= MIN_COMMON)
        # Neighbours in a cell are no neighbours in the set: any stretch of it is a sample.
        frames = np.random.default_rng(0).permutation(frames)
        self._bound, self._shards = bound, shards
        self._groups = _groups(columns.aus[frames, UNITS], columns.aus_valid[frames, UNITS])
        self._width = max(17 * bound + 1e-4, _LEAST)  # the last sums are rounded
        self._lowest = np.zeros(_SUMS, np.int64)
        cells = self._cells(columns.aus[frames])
        self._lowest = cells.min(0, initial=0) - 1  # every cell has one beside it
        self._counts = cells.max(0, initial=0) - self._lowest + 2
        keys = np.ravel_multi_index((cells - self._lowest).T, self._counts)
        order = np.argsort(keys, kind='stable')
        self._keys, self._frames = keys[order], frames[order]
        # In the order in which they are compared; from the index they come page by page.
        self._sorted_aus = columns.aus[self._frames, UNITS]
        self._sorted_valid = columns.aus_valid[self._frames, UNITS]
        self._person = person
        self._sorted_person = person[self._frames]

    def of(self, frame: int, rng: np.random.Generator) -> Iterator[int]:
        """List frames of other people within the bound, the nearest first in each chunk.

        Args:
          frame: number of one that has enough AUs.
          rng: draws where the search begins; it ends after `MOST` frames.
        """
        columns = self._shards.columns
        begins, ends = self._beside(frame)
        starts = np.concatenate([[0], np.cumsum(ends - begins)])
        total = int(starts[-1])
        first = int(rng.integers(total))
        for low in range(0, min(total, MOST), _CHUNK):
            at = (first + np.arange(low, min(low + _CHUNK, total, MOST))) % total
            block = np.searchsorted(starts, at, side='right') - 1
            places = begins[block] + at - starts[block]
            found = distance(
                columns.aus[frame],
                columns.aus_valid[frame],
                self._sorted_aus[places],
                self._sorted_valid[places],
            )
            found[self._sorted_person[places] == self._person[frame]] = np.inf
            near = np.argsort(found, kind='stable')
            yield from self._frames[places[near[found[near] <= self._bound]]].tolist()

    def _beside(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Find where the frames of this frame's cell and of those beside it begin and end."""
        cell = self._cells(self._shards.columns.aus[frame : frame + 1])[0] - self._lowest
        # Cells that differ in the last sum alone follow each other.
        steps = np.indices((3,) * (_SUMS - 1)).reshape(_SUMS - 1, -1) - 1
        rows = np.vstack([cell[:-1, None] + steps, np.full(steps.shape[1], cell[-1])])
        keys = np.ravel_multi_index(rows, self._counts)
        begins = np.searchsorted(self._keys, keys - 1, side='left')
        return begins, np.searchsorted(self._keys, keys + 1, side='right')

    def _cells(self, aus: Float16[np.ndarray, 'n u']) -> Int[np.ndarray, 'n 3']:
        sums = aus[:, UNITS].astype(np.float32) @ self._groups
        return np.floor(sums / self._width).astype(np.int64)


def _groups(aus, valid) -> Float[np.ndarray, '17 3']:
    """Choose which AUs each sum has: those measured in every frame, the most variable apart."""
    everywhere = np.flatnonzero(valid.all(0))
    spread = aus[:, everywhere].astype(np.float32).std(0) if len(aus) else everywhere
    groups = np.zeros((UNITS.stop, _SUMS), np.float32)
    for n, unit in enumerate(everywhere[np.argsort(-spread)]):
        groups[unit, n % _SUMS] = 1
    return groups
