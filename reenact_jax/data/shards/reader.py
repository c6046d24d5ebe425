"""Reading a set of shards: random access by record number, every record's checksum checked."""

import bisect
import functools
import itertools
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from jaxtyping import UInt32

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data.shards import index as shard_index
from reenact_jax.data.shards import joined, sidecars
from reenact_jax.data.shards import manifest as shard_manifest
from reenact_jax.data.shards.framing import DamagedRecord


class ShardSet:
    """The records of one split, as a random-access source of serialised tracks.

    Opening maps the split's index (of sets of earlier versions it reads all sidecars) and checks
    its digests and the lengths of the shards, not the records; `verify` checks everything.

    Attributes:
      columns: `shard_index.Columns` of all shards, one after another; offsets are within a shard.
      identity: Int[np.ndarray, ' r'], the person of every record.
      frame_starts: Int[np.ndarray, ' r+1'], where a record's frames begin in the frame columns.
      people: number of different people in the split.
      identities: 1 + the largest identity in the split (the length of a one-hot code).
      local: whether the shards are files of this machine.
      parameters: plain values by which the writer says how the set was made.
      digest: SHA-256 of the split's entry in the set's index; it names the data.
    """

    def __init__(self, directory: str | os.PathLike, split: str):
        """Open a split.

        Args:
          directory: of the set.
          split: its name.

        Raises:
          UserError: no directory, split or index; lengths or digests that differ.
        """
        self.directory, self.split = str(directory), split
        content = shard_manifest.read(directory)
        if split not in content['splits']:
            known = ', '.join(sorted(content['splits']))
            raise UserError(f'{directory}: no split {split!r}; it has {known}')
        entry = content['splits'][split]
        self.digest = storage.digest(json.dumps(entry, sort_keys=True).encode())
        self.parameters: dict = entry['parameters']
        self.people: int = entry['people']
        self.identities: int = entry['identities']
        self.files = [f'{self.directory}/{shard["file"]}' for shard in entry['shards']]
        self._digests = [shard['sha256'] for shard in entry['shards']]
        _refuse_lengths(self.directory, entry['shards'])
        counts = (shard['records'] for shard in entry['shards'])
        self._first_record = list(itertools.accumulate(counts, initial=0))
        self.local = storage.is_local(self.directory)
        self._readers = _readers()
        self._index = None
        if index := content.get('indices', {}).get(split):
            name = f'{self.directory}/{shard_manifest.joined_file(split)}'
            self._index = _local_index(name)
            self._take(joined.mapped(self._index, name, index))
        else:
            parts = sidecars.columns(self.directory, entry['shards'])
            self._take(shard_index.concatenate(list(parts)))

    def _take(self, columns: shard_index.Columns) -> None:
        """Take the columns and what follows from them."""
        self.columns, self.identity = columns, columns.identity
        self.frame_starts = np.concatenate([[0], np.cumsum(columns.frames, dtype=np.int64)])
        self._piece_starts = columns.piece_starts()

    def __getstate__(self) -> dict:
        """Leave out what is mapped: another process of this machine maps it itself."""
        state = {name: value for name, value in vars(self).items() if name != '_readers'}
        if self._index:
            for name in ('columns', 'identity', 'frame_starts', '_piece_starts'):
                del state[name]
        return state

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _readers=_readers())
        if self._index:
            self._take(joined.mapped(self._index, self._index))

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
        pieces = self._reader(record).read_several(offset, *tfrecord.pieces(length))
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
        read = self._reader(record).read
        begin = int(self.columns.offset[record]) + tfrecord.HEADER
        return lambda at, length: read(begin + at, length)

    def place(self, record: int) -> tuple[str, int, str]:
        """Return where the serialised track lies: file, first byte, SHA-256 of the whole file."""
        shard = self._shard(record)
        begin = int(self.columns.offset[record]) + tfrecord.HEADER
        return self.files[shard], begin, self._digests[shard]

    def where(self, record: int) -> str:
        """Name the file of a record and its number there, for messages."""
        shard = self._shard(record)
        return f'{self.files[shard]}, record {record - self._first_record[shard]}'

    def _reader(self, record: int) -> storage.Reader:
        return self._readers(self.files[self._shard(record)])

    def _shard(self, record: int) -> int:
        return bisect.bisect_right(self._first_record, record) - 1


def _readers() -> Callable[[str], storage.Reader]:
    """Return what gives the reader of a file; of any number of files it keeps 256 open."""
    return functools.lru_cache(maxsize=256)(storage.Reader)


def splits(directory) -> tuple[str, ...]:
    """List the names of the splits in a set."""
    return tuple(sorted(shard_manifest.read(directory)['splits']))


def _refuse_lengths(directory: str, shards: list[dict]) -> None:
    """Refuse shards that are missing or have other lengths than in the set's index."""
    sizes = storage.sizes(directory)
    for shard in shards:
        size = sizes.get(shard['file'])
        if size != shard['bytes']:
            state = 'is missing' if size is None else f'has {size} bytes'
            raise UserError(
                f'{directory}/{shard["file"]}: {state}, the set has it with {shard["bytes"]}; '
                'copy or write it again'
            )


def _local_index(name: str) -> str:
    """Return the path of a split's index on this machine; one of a bucket is fetched."""
    try:
        if storage.exists(name):
            return str(storage.absolute(storage.local(name)))
    except UserError:
        pass
    raise UserError(f'{name}: missing; {joined.remedy(name)}')
