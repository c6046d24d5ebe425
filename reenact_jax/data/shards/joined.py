"""The index of a split: the columns of all its shards in one file, which is mapped, not read.

The columns of `index.Columns` stand one after another, every row as wide as the others. Behind them
stands a description (JSON: dtype, shape, first byte and CRC32C of each column), then its length and
a mark. The SHA-256 of the description stands in the set's index, so no bit changes unnoticed.
"""

import contextlib
import dataclasses
import json
import math
import struct
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import google_crc32c
import numpy as np

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards.index import Columns

_VERSION = 1
_TAIL = struct.Struct('<Q8s')  # length of the description, mark
_MARK = b'TRACKIDX'
_BLOCK = 1 << 24  # bytes copied or checked at a time
_FIELDS = tuple(field.name for field in dataclasses.fields(Columns))


@contextlib.contextmanager
def joining(directory) -> Iterator['Joiner']:
    """Open a collector, whose columns wait in a temporary file each.

    The files lie in TMPDIR or, if the set is local, in its directory, without names.

    Args:
      directory: of the set.
    """
    beside = storage.absolute(directory) if storage.is_local(directory) else None
    with contextlib.ExitStack() as stack:
        files = (stack.enter_context(tempfile.TemporaryFile(dir=beside)) for _ in _FIELDS)
        yield Joiner(dict(zip(_FIELDS, files, strict=True)))


class Joiner:
    """A collector of the columns of a split's shards; `joining` opens one."""

    def __init__(self, waiting: dict[str, IO[bytes]]):
        """Begin without shards.

        Args:
          waiting: an empty file for each column.
        """
        self._waiting = waiting
        self._rows = dict.fromkeys(_FIELDS, 0)
        self._like: dict[str, np.ndarray] = {}
        self._names: list[tuple[int, np.dtype]] = []  # rows of a shard and how its names lie

    def add(self, columns: Columns) -> None:
        """Append the columns of the next shard."""
        for name, column in vars(columns).items():
            self._waiting[name].write(np.ascontiguousarray(column).tobytes())
            self._rows[name] += len(column)
            self._like[name] = column[:0]
        self._names.append((len(columns.track_id), columns.track_id.dtype))

    def names(self) -> Iterator[np.ndarray]:
        """Give back the names of the tracks, [r] str, shard after shard."""
        file = self._waiting['track_id']
        file.seek(0)
        for rows, dtype in self._names:
            yield np.frombuffer(file.read(rows * dtype.itemsize), dtype)

    def write(self, name) -> dict[str, Any]:
        """Write the index, once all shards are in.

        Args:
          name: of its file.

        Returns:
          Its length and the digest of its description, for the set's index.
        """
        width = max((dtype for _, dtype in self._names), key=lambda dtype: dtype.itemsize)
        described, begin = {}, 0
        with storage.writing(name) as file:
            # The widest numbers come first: so each column begins at a multiple of its own.
            for column in sorted(_FIELDS, key=lambda one: -self._like[one].dtype.alignment):
                crc, first = 0, begin
                for block in self._blocks(column, width):
                    file.write(block)
                    crc, begin = google_crc32c.extend(crc, block), begin + len(block)
                dtype = width if column == 'track_id' else self._like[column].dtype
                shape = (self._rows[column], *self._like[column].shape[1:])
                described[column] = dict(dtype=dtype.str, shape=shape, begin=first, crc32c=crc)
            text = json.dumps({'version': _VERSION, 'columns': described}, sort_keys=True).encode()
            file.write(text + _TAIL.pack(len(text), _MARK))
        return {'bytes': begin + len(text) + _TAIL.size, 'sha256': storage.digest(text)}

    def _blocks(self, column: str, width: np.dtype) -> Iterator[bytes]:
        """Give back what waits of a column; names of the same width."""
        if column == 'track_id':
            yield from (names.astype(width).tobytes() for names in self.names())
            return
        file = self._waiting[column]
        file.seek(0)
        yield from iter(lambda: file.read(_BLOCK), b'')


def mapped(file, where: str, entry: dict | None = None) -> Columns:
    """Map an index of this machine.

    Args:
      file: its path.
      where: its name in the set, for messages.
      entry: what `Joiner.write` returned, to check every bit of it; None: it was checked before.

    Raises:
      UserError: it is damaged or of another version; the message names what.
    """
    memory = storage.mapped(file)
    if entry is not None and len(memory) != entry['bytes']:
        raise _damaged(where, f'{len(memory)} bytes, expected {entry["bytes"]}')
    end = len(memory) - _TAIL.size
    length, mark = _TAIL.unpack(memory[end:].tobytes())
    text = memory[max(end - length, 0) : end].tobytes()
    if mark != _MARK or (entry is not None and storage.digest(text) != entry['sha256']):
        raise _damaged(where, 'its description')
    content = json.loads(text)
    if content['version'] != _VERSION:
        raise UserError(
            f'{where}: version {content["version"]}, expected {_VERSION}; {remedy(where)}'
        )
    columns = {}
    for name in _FIELDS:
        about = content['columns'][name]
        dtype, shape = np.dtype(about['dtype']), tuple(about['shape'])
        begin = about['begin']
        raw = memory[begin : begin + math.prod(shape) * dtype.itemsize]
        if entry is not None and _crc(raw) != about['crc32c']:
            raise _damaged(where, f'the column {name}')
        columns[name] = raw.view(dtype).reshape(shape)
    return Columns(**columns)


def _crc(raw: np.ndarray) -> int:
    crc = 0
    for begin in range(0, len(raw), _BLOCK):
        crc = google_crc32c.extend(crc, raw[begin : begin + _BLOCK])
    return crc


def _damaged(where: str, what: str) -> UserError:
    return UserError(f'{where}: damaged ({what}); {remedy(where)}')


def remedy(where: str) -> str:
    """Say what to do about an index that is missing or damaged."""
    directory = where.rpartition('/')[0] or '.'
    return f'make it anew from the sidecars: reenact-jax shards {directory} --join-index'
