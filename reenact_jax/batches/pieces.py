"""Fields of some frames of records: whole records the first time, later only what is asked for.

A record is 16 frames with all that is known of them, of which a batch takes two. The first time a
record is read, it is read whole, its checksum checked, and a note kept of where the pieces lie that
may be asked for and of the checksum of each: an image is a piece, a field of numbers is one. After
that only the pieces asked for are read, and checked against the note: a flipped bit that reaches a
batch is found, and so is a file that changed since.
"""

import struct
from collections.abc import Callable, Sequence

import google_crc32c
import numpy as np

from reenact_jax import tracks
from reenact_jax.shards import DamagedRecord, ShardSet

_PIECE = struct.Struct('<III')  # where it begins in the record, its length, its CRC32C
_NOTES = 1 << 17  # records noted: 50 MB with 16 images a record; the others are always read whole


class Pieces:
    """Reads the fields `names` of `tracks.FIELDS` that have a value a frame; from many threads."""

    def __init__(self, shards: ShardSet, names: Sequence[str]):
        self._shards, self._names = shards, tuple(names)
        self._notes: dict[int, bytes] = {}

    def read(self, record: int, frames: Sequence[int]) -> dict[str, np.ndarray | list[bytes]]:
        """Name -> the field's values of these frames, [k, ...]; of images a list of encodings.

        Raises DamagedRecord naming file and record; UserError when it is not a face track.
        """
        note = self._notes.get(record)
        if note is None:
            note, take = self._first(record)
        else:
            take = self._shards.part(record)
        total = int(self._shards.columns.frames[record])
        values, number = {}, 0
        for name in self._names:
            if tracks.FIELDS[name].kind == 'bytes':
                values[name] = [self._piece(record, note, number + t, take) for t in frames]
                number += total
            else:
                piece = self._piece(record, note, number, take)
                values[name] = tracks.numbers(piece, name, total).take(frames, 0)
                number += 1
        return values

    def _first(self, record: int) -> tuple[bytes, Callable[[int, int], bytes]]:
        """The note of a record, and how to take bytes from it: it is in memory now."""
        whole = self._shards[record]
        total = int(self._shards.columns.frames[record])
        spans = tracks.spans(whole, self._names, total, self._shards.where(record))
        note = b''.join(
            _PIECE.pack(at, end - at, google_crc32c.value(whole[at:end])) for at, end in spans
        )
        # None is dropped: records come in random order, so that any are as good as the latest.
        # From far away one large piece comes faster than several small ones.
        if self._shards.local and len(self._notes) < _NOTES:
            self._notes[record] = note
        return note, lambda at, length: whole[at : at + length]

    def _piece(self, record: int, note: bytes, number: int, take) -> bytes:
        at, length, crc = _PIECE.unpack_from(note, number * _PIECE.size)
        piece = take(at, length)
        if google_crc32c.value(piece) != crc:
            where = self._shards.where(record)
            raise DamagedRecord(f'{where}: changed since it was first read (checksum of a piece)')
        return piece
