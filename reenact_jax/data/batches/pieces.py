"""Fields of some frames of records: only these are read, and all that is read is checked.

A record is 16 frames with all that is known of them, of which a batch takes two. The index says
where the pieces of a record lie and the checksum of each: an image is a piece, a field of numbers
is one. So a flipped bit that reaches a batch is found, and so is a file that changed since it was
written; what no batch asks for is the business of `reenact-jax shards`.
"""

from collections.abc import Iterable, Mapping, Sequence

import google_crc32c
import numpy as np

from reenact_jax.common import storage
from reenact_jax.data import tracks
from reenact_jax.data.shards import DamagedRecord, ShardSet
from reenact_jax.data.shards.index import piece_count

# Pieces of a record with no more than so many bytes between them come with one request, which is
# dearer than so many bytes (ours).
_GAP = 32_768
Held = dict[tuple[int, int], bytes]  # record, begin of the piece in it -> the piece


class Pieces:
    """A reader of the fields `names` of `tracks.PER_FRAME`, for many threads."""

    def __init__(
        self,
        shards: ShardSet,
        names: Sequence[str],
        requests: int = 1,
        cache: storage.Cache | None = None,
    ):
        """Take what is to be read.

        Args:
          shards: the split.
          names: of the fields.
          requests: most in flight to a bucket, for each thread that fetches.
          cache: where pieces from a bucket are kept; None: nowhere.
        """
        self._shards, self._requests, self._cache = shards, requests, cache
        none, one = ([int(piece_count(t, name)) for name in names] for t in (0, 1))
        # A field's first piece has the number a + b T in a record of T frames.
        self._first = {
            name: (a, after - a) for name, a, after in zip(names, none, one, strict=True)
        }

    def fetch(self, wanted: Iterable[tuple[int, Sequence[int]]]) -> Held:
        """Fetch from a bucket what `read` is going to ask for, all at once.

        Args:
          wanted: record and frames of each `read`.
        """
        held, ranges, owners = {}, [], []
        for record, frames in wanted:
            file, begin, digest = self._shards.place(record)
            missing = []
            for piece in sorted({tuple(row) for row in self._rows(record, frames)}):
                at, length, crc = piece
                content = self._kept(digest, begin + at, length, crc)
                if content is None:
                    missing.append(piece)
                else:
                    held[record, at] = content
            for group in _joined(missing):
                first, last = group[0][0], max(at + length for at, length, _ in group)
                ranges.append((file, begin + first, last - first))
                owners.append((record, begin, digest, group))
        for content, owner in zip(storage.read_ranges(ranges, self._requests), owners, strict=True):
            self._hold(held, content, *owner)
        return held

    def _kept(self, digest: str, begin: int, length: int, crc: int) -> bytes | None:
        """Return a piece that needs no request: an empty one, or one of the cache."""
        if not length:
            return b''
        return self._cache and self._cache.get(f'{digest}:{begin}:{length}', crc)

    def _hold(self, held: Held, content: bytes, record: int, begin: int, digest: str, group):
        """Cut what one request brought into its pieces, and keep them."""
        first = group[0][0]
        for at, length, crc in group:
            piece = held[record, at] = content[at - first : at - first + length]
            if self._cache and google_crc32c.value(piece) == crc:
                self._cache.put(f'{digest}:{begin + at}:{length}', piece)

    def read(
        self, record: int, frames: Sequence[int], held: Mapping = {}
    ) -> dict[str, np.ndarray | list[bytes]]:
        """Read the fields of these frames: name -> [k, ...], of images a list of encodings.

        Args:
          record: its number.
          frames: of it.
          held: what `fetch` brought; anything else is read now.

        Raises:
          DamagedRecord: a checksum fails; the message names file and record.
        """
        total, part = int(self._shards.columns.frames[record]), self._shards.part(record)
        rows, values = iter(self._rows(record, frames)), {}
        for name in self._first:
            if tracks.FIELDS[name].kind == 'bytes':
                values[name] = [self._piece(record, next(rows), part, held) for _ in frames]
            else:
                piece = self._piece(record, next(rows), part, held)
                values[name] = tracks.numbers(piece, name, total).take(frames, 0)
        return values

    def _rows(self, record: int, frames: Sequence[int]) -> list[list[int]]:
        """List begin, length and CRC32C of what these frames need, field by field."""
        total, table = int(self._shards.columns.frames[record]), self._shards.pieces(record)
        numbers = []
        for name, (a, b) in self._first.items():
            first = a + b * total
            images = tracks.FIELDS[name].kind == 'bytes'
            numbers += [first + t for t in frames] if images else [first]
        return table[numbers].tolist()

    def _piece(self, record: int, row: list[int], part, held: Mapping) -> bytes:
        at, length, crc = row
        piece = held.get((record, at))
        if piece is None:
            piece = part(at, length)
        if google_crc32c.value(piece) != crc:
            where = self._shards.where(record)
            raise DamagedRecord(f'{where}: damaged, or changed since it was written')
        return piece


def _joined(pieces: list[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
    """Group pieces, in order of where they begin, that one request is to bring."""
    groups, end = [], None
    for piece in pieces:
        if end is not None and piece[0] - end <= _GAP:
            groups[-1].append(piece)
        else:
            groups.append([piece])
        end = max(end or 0, piece[0] + piece[1])
    return groups
