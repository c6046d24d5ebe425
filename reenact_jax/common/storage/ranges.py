"""Parts of files: lengths, random reads from many threads, digests."""

import hashlib
import itertools
import os
import threading
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from etils import epath
from jaxtyping import UInt8

from reenact_jax.common.errors import UserError
from reenact_jax.common.storage import paths

_OPENING = threading.Lock()
_PIECE = 16_000_000  # bytes of a file that are hashed at once


def size(name: epath.PathLike) -> int | None:
    """Length of the file in bytes; None when there is none."""
    try:
        if not paths.is_local(name):
            return paths.bucket(name).info(str(paths.path(name)))['size']
        return paths.path(name).stat().length
    except FileNotFoundError:
        return None


def opened(name: epath.PathLike) -> Any:
    """A binary file open for reading, a context. Raises FileNotFoundError."""
    if paths.is_local(name):
        return open(paths.path(name), 'rb')
    return paths.bucket(name).open(str(paths.path(name)), 'rb', cache_type='readahead')


def mapped(name: epath.PathLike) -> UInt8[np.ndarray, ' _']:
    """Map a file of this machine into memory, read-only: its pages are read when they are used.

    Raises:
      FileNotFoundError: there is no such file.
    """
    file = paths.path(name)
    if not file.stat().length:  # which cannot be mapped
        return np.zeros(0, np.uint8)
    return np.asarray(np.memmap(file, np.uint8, 'r'))


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(name: epath.PathLike) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces. Raises UserError when there is none."""
    if paths.is_local(name):
        try:
            with opened(name) as file:
                return hashlib.file_digest(file, 'sha256').hexdigest()
        except FileNotFoundError:
            raise UserError(f'{name}: no such file') from None
    sha, reader, offset = hashlib.sha256(), Reader(name), 0
    while piece := reader.read(offset, _PIECE):
        sha.update(piece)
        offset += len(piece)
        if len(piece) < _PIECE:
            break
    return sha.hexdigest()


def read_ranges(ranges: Sequence[tuple[str, int, int]], requests: int) -> list[bytes]:
    """Read ranges of objects of one bucket, a request each, many in flight.

    Args:
      ranges: name, offset and length of each.
      requests: most of them in flight for this call; other threads have their own.

    Returns:
      The bytes of each; fewer or none where the object ends.

    Raises:
      UserError: there is no such object.
    """
    if not ranges:
        return []
    names, starts, lengths = (list(column) for column in zip(*ranges, strict=True))
    ends = [start + length for start, length in zip(starts, lengths, strict=True)]
    found = paths.bucket(names[0]).cat_ranges(
        names, starts, ends, batch_size=requests, on_error='return'
    )
    # What failed is read again by itself, which says why.
    return [
        part if isinstance(part, bytes) else Reader(name).read(start, length)
        for part, (name, start, length) in zip(found, ranges, strict=True)
    ]


class Reader:
    """Random reads of one file from many threads; opened on first use, pickles without its handle.

    Local files are read with pread, objects with a request a read, as many at once as there are
    threads.
    """

    def __init__(self, name: epath.PathLike):
        self._path, self._local = paths.path(name), paths.is_local(name)
        self._file: IO[bytes] | None = None

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on; fewer or none where the file ends."""
        if self._local:
            return os.pread(self._handle().fileno(), length, offset)
        name, end = str(self._path), offset + length
        try:
            return paths.bucket(name).cat_file(name, start=offset, end=end)
        except FileNotFoundError:
            raise UserError(f'{name}: no such file') from None
        except Exception:  # what a range behind the end raises differs between packages
            if offset < (size(name) or 0):
                raise
            return b''

    def read_several(self, offset: int, *lengths: int) -> list[bytes]:
        """Consecutive pieces from `offset` on, each as `read` gives it."""
        ends = list(itertools.accumulate(lengths, initial=0))
        if self._local:
            return [self.read(offset + at, n) for at, n in zip(ends, lengths, strict=False)]
        whole = self.read(offset, ends[-1])  # once there and back
        return [whole[at:end] for at, end in itertools.pairwise(ends)]

    def _handle(self):
        """The open local file."""
        if self._file is None:
            with _OPENING:
                if self._file is None:
                    try:
                        self._file = open(self._path, 'rb')  # noqa: SIM115
                    except FileNotFoundError:
                        raise UserError(f'{self._path}: no such file') from None
        return self._file

    def __getstate__(self):
        return {**vars(self), '_file': None}
