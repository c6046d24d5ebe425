"""Fields of some frames of records: only these are read, and all that is read is checked.

A record is 16 frames with all that is known of them, of which a batch takes two. The index says
where the pieces of a record lie and the checksum of each: an image is a piece, a field of numbers
is one. So a flipped bit that reaches a batch is found, and so is a file that changed since it was
written; what no batch asks for is the business of `reenact-jax shards`.
"""

from collections.abc import Sequence

import google_crc32c
import numpy as np

from reenact_jax.data import tracks
from reenact_jax.data.shards import DamagedRecord, ShardSet
from reenact_jax.data.shards.index import piece_count


class Pieces:
    """A reader of the fields `names` of `tracks.PER_FRAME`, for many threads."""

    def __init__(self, shards: ShardSet, names: Sequence[str]):
        self._shards = shards
        none, one = ([int(piece_count(t, name)) for name in names] for t in (0, 1))
        # A field's first piece has the number a + b T in a record of T frames.
        self._first = {
            name: (a, after - a) for name, a, after in zip(names, none, one, strict=True)
        }

    def read(self, record: int, frames: Sequence[int]) -> dict[str, np.ndarray | list[bytes]]:
        """Read the fields of these frames: name -> [k, ...], of images a list of encodings.

        Raises:
          DamagedRecord: a checksum fails; the message names file and record.
        """
        total, take = int(self._shards.columns.frames[record]), self._taker(record)
        table, values = self._shards.pieces(record), {}
        for name, (a, b) in self._first.items():
            first = a + b * total
            if tracks.FIELDS[name].kind == 'bytes':
                values[name] = [self._piece(record, table[first + t], take) for t in frames]
            else:
                piece = self._piece(record, table[first], take)
                values[name] = tracks.numbers(piece, name, total).take(frames, 0)
        return values

    def _taker(self, record: int):
        """Return a reader of the record, (begin, length) -> bytes."""
        if self._shards.local:
            return self._shards.part(record)
        # From far away one large piece comes faster than several small ones.
        whole = self._shards[record]
        return lambda at, length: whole[at : at + length]

    def _piece(self, record: int, row: np.ndarray, take) -> bytes:
        at, length, crc = row.tolist()
        piece = take(at, length)
        if google_crc32c.value(piece) != crc:
            where = self._shards.where(record)
            raise DamagedRecord(f'{where}: damaged, or changed since it was written')
        return piece
