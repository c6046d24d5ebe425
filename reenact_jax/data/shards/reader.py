"""Reading a set of shards: random access by record number, every record's checksum checked."""

import bisect
import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import UInt32

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data.shards import index as shard_index
from reenact_jax.data.shards import manifest as shard_manifest
from reenact_jax.data.shards.framing import DamagedRecord
from reenact_jax.data.shards.index import rebuild_command


class ShardSet:
    """The records of one split, as a random-access source of serialised tracks.

    Opening reads the sidecars and checks their digests and the lengths of the shards, not the
    records; `verify` checks everything.

    Attributes:
      columns: `shard_index.Columns` of all shards, one after another; offsets are within a shard.
      identity: Int[np.ndarray, ' r'], the person of every record.
      frame_starts: Int[np.ndarray, ' r+1'], where a record's frames begin in the frame columns.
      people: number of different people in the split.
      identities: 1 + the largest identity in the split (the length of a one-hot code).
      local: whether the shards are files of this machine.
      parameters: plain values by which the writer says how the set was made.
    """

    def __init__(self, directory, split: str):
        """Open a split.

        Args:
          directory: of the set.
          split: its name.

        Raises:
          UserError: no directory, split or index; lengths or digests that differ.
        """
        self.directory, self.split = str(directory), split
        entries = shard_manifest.read(directory)['splits']
        if split not in entries:
            known = ', '.join(sorted(entries))
            raise UserError(f'{directory}: no split {split!r}; it has {known}')
        entry = entries[split]
        self.parameters: dict = entry['parameters']
        self.people: int = entry['people']
        self.identities: int = entry['identities']
        self.files = [f'{self.directory}/{shard["file"]}' for shard in entry['shards']]
        parts = _open_indices(self.directory, entry['shards'])
        self.columns = shard_index.concatenate(parts)
        self.identity = self.columns.identity
        self.frame_starts = np.concatenate([[0], np.cumsum(self.columns.frames, dtype=np.int64)])
        self._piece_starts = self.columns.piece_starts()
        counts = (len(part.offset) for part in parts)
        self._first_record = list(itertools.accumulate(counts, initial=0))
        self.local = storage.is_local(self.directory)
        self._readers = [storage.Reader(file) for file in self.files]

    def __len__(self) -> int:
        return len(self.identity)

    def __repr__(self) -> str:
        return f'ShardSet({self.directory!r}, {self.split!r}, {len(self)} records)'

    def __getitem__(self, record: int) -> bytes:
        """Read the serialised track of a record.

        Raises:
          DamagedRecord: its checksums fail; the message names shard and record number.
        """
        record = range(len(self))[record]
        offset, length = int(self.columns.offset[record]), int(self.columns.length[record])
        reader = self._readers[self._shard(record)]
        pieces = reader.read_several(offset, *tfrecord.pieces(length))
        try:
            return tfrecord.unframe(*pieces)
        except DamagedRecord as error:
            raise DamagedRecord(f'{self.where(record)}: {error}') from None

    def track(self, record: int) -> tracks.Track:
        """Read the track of a record."""
        return tracks.decode(self[record], self.where(record))

    def fields(self, record: int, names: Iterable[str]) -> dict[str, Any]:
        """Read some fields of a record's track, by name."""
        return tracks.read_fields(self[record], names, self.where(record))

    @property
    def points(self) -> tuple[str, ...]:
        """Return the point sets of the records: all, unless the writer said otherwise."""
        return tuple(self.parameters.get('points', tracks.POINT_SETS))

    def require_points(self, points: str) -> None:
        """Refuse a point set that the records do not have.

        Raises:
          UserError: they do not have it.
        """
        if points not in self.points:
            raise UserError(
                f'{self.directory}, split {self.split}: no points {points!r}; it has '
                f'{", ".join(self.points)}: train and evaluate with --config.points of these'
            )

    def pieces(self, record: int) -> UInt32[np.ndarray, 'p 3']:
        """Return begin, length and CRC32C of the record's pieces (index.py), which `part` reads."""
        first, last = self._piece_starts[record : record + 2]
        return self.columns.pieces[first:last]

    def part(self, record: int) -> Callable[[int, int], bytes]:
        """Return a reader of the serialised track, (begin, length) -> bytes, unchecked."""
        read = self._readers[self._shard(record)].read
        begin = int(self.columns.offset[record]) + tfrecord.HEADER
        return lambda at, length: read(begin + at, length)

    def where(self, record: int) -> str:
        """Name the file of a record and its number there, for messages."""
        shard = self._shard(record)
        return f'{self.files[shard]}, record {record - self._first_record[shard]}'

    def _shard(self, record: int) -> int:
        return bisect.bisect_right(self._first_record, record) - 1


def splits(directory) -> tuple[str, ...]:
    """List the names of the splits in a set."""
    return tuple(sorted(shard_manifest.read(directory)['splits']))


def _open_indices(directory: str, entries: list[dict]) -> list[shard_index.Columns]:
    """Read all shards' columns; several at once in a bucket, where each read takes long."""
    with ThreadPoolExecutor(1 if storage.is_local(directory) else 16) as pool:
        return list(pool.map(lambda shard: _open_index(directory, shard), entries))


def _open_index(directory: str, shard: dict) -> shard_index.Columns:
    """Read a shard's columns; check the sidecar's digest and the shard's length."""
    file = f'{directory}/{shard["file"]}'
    size = storage.size(file)
    if size != shard['bytes']:
        state = 'is missing' if size is None else f'has {size} bytes'
        raise UserError(
            f'{file}: {state}, the set has it with {shard["bytes"]}; copy or write it again'
        )
    index = f'{directory}/{shard_manifest.index_file(shard["file"])}'
    try:
        content = storage.read(index)
    except UserError:
        raise UserError(f'{index}: missing; rebuild it: {rebuild_command(index)}') from None
    if storage.digest(content) != shard['index_sha256']:
        raise UserError(
            f'{index}: damaged (its digest is not that in the set); '
            f'rebuild it: {rebuild_command(index)}'
        )
    return shard_index.from_bytes(content, index)[0]
