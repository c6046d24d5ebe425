"""Pieces of files of a bucket, kept in a folder of this machine up to a size.

Several processes may use one folder: a piece appears whole, under a name that says what it is, and
whoever finds it gone fetches it again. What is read is checked, so a piece that a failing machine
left half written counts as not there.
"""

import contextlib
import fcntl
import hashlib
import os
import tempfile
import threading

import google_crc32c
from absl import logging
from etils import epath

from reenact_jax.common.storage import paths

_SHARE = 32  # of the limit, that a process writes between two looks at the folder
_KEEP = 0.9  # of the limit, that is left when the oldest pieces go
_LOCK = '.lock'


class Cache:
    """Pieces in a folder, found by key; those that were used last stay the longest."""

    def __init__(self, folder: epath.PathLike, limit: int):
        """Take a folder, which is made with the first piece.

        Args:
          folder: of this machine; nothing else should be in it.
          limit: most bytes of all pieces. Each process may exceed it by 1/32 for a while.
        """
        self._folder, self._limit = os.fspath(paths.path(folder)), limit
        self._unseen: float = float('inf')  # bytes written since the last look
        self._trimming = threading.Lock()

    def get(self, key: str, crc: int) -> bytes | None:
        """Return the piece of this key, if it is there and has this CRC32C."""
        name = self._name(key)
        try:
            with open(name, 'rb') as file:
                content = file.read()
            os.utime(name)
        except OSError:
            return None
        return content if google_crc32c.value(content) == crc else None

    def put(self, key: str, content: bytes) -> None:
        """Keep a piece; where the disk is full or may not be written, it is not kept."""
        name = self._name(key)
        folder = os.path.dirname(name)
        try:
            os.makedirs(folder, exist_ok=True)
            handle, partial = tempfile.mkstemp(suffix=paths.PARTIAL, prefix='.', dir=folder)
            with open(handle, 'wb') as file:
                file.write(content)
            os.replace(partial, name)
        except OSError as error:
            logging.log_first_n(logging.WARNING, '%s: not kept (%s)', 1, self._folder, error)
            return
        self._unseen += len(content)
        if self._unseen > self._limit / _SHARE and self._trimming.acquire(blocking=False):
            try:
                self._unseen = 0
                self._trim()
            finally:
                self._trimming.release()

    def _trim(self) -> None:
        """Delete the pieces that were used longest ago, if there are too many bytes."""
        with open(os.path.join(self._folder, _LOCK), 'wb') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # another process is at it
                return
            found = sorted(self._pieces())
            total = sum(size for _, size, _ in found)
            if total <= self._limit:
                return
            for _, size, name in found:
                if total <= _KEEP * self._limit:
                    break
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)
                total -= size

    def _pieces(self):
        """List (time of last use, bytes, name) of all pieces."""
        for folder, _, names in os.walk(self._folder):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    about = os.stat(os.path.join(folder, name))
                    if name != _LOCK:
                        yield about.st_mtime_ns, about.st_size, os.path.join(folder, name)

    def _name(self, key: str) -> str:
        name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        return os.path.join(self._folder, name[:2], name)

    def __getstate__(self) -> dict:
        return {'folder': self._folder, 'limit': self._limit}

    def __setstate__(self, state: dict) -> None:
        Cache.__init__(self, **state)
