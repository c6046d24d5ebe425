"""Files: the one room that opens, renames and lists; local paths, gs://, s3:// through epath.

A file appears under its name only when it is whole: it is written under a temporary name beside,
flushed to the disk and renamed.
"""

import contextlib
import errno
import hashlib
import importlib.util
import itertools
import json
import os
import threading
from collections.abc import Iterator
from typing import IO, Any

from etils import epath

from reenact_jax.common.errors import UserError

PARTIAL = '.partial'  # the ending of temporary names, which also begin with a dot
# Buckets: prefix -> (the package that reads and writes there, the extra that brings it).
BUCKETS = {'gs://': ('gcsfs', 'gcs'), 's3://': ('s3fs', 's3')}
_OPENING = threading.Lock()


def path(name: epath.PathLike) -> epath.Path:
    """A path with pathlib's methods, `~` expanded; the file system follows from its prefix.

    Raises UserError for a bucket whose package is not installed.
    """
    text = os.fspath(name)
    for prefix, (package, extra) in BUCKETS.items():
        if text.startswith(prefix) and importlib.util.find_spec(package) is None:
            raise UserError(f'{text}: {prefix} needs {package}: pip install "reenact_jax[{extra}]"')
    return epath.Path(name).expanduser()


def absolute(name: epath.PathLike) -> epath.Path:
    """The path from the root of its file system; that of a bucket is so already."""
    found = path(name)
    return found.absolute() if is_local(name) else found


def is_local(name: epath.PathLike) -> bool:
    """Whether the path is of this machine's file system."""
    return '://' not in os.fspath(name)


def is_partial(name: str) -> bool:
    """Whether a file name is that of an unfinished write."""
    return name.startswith('.') and name.endswith(PARTIAL)


@contextlib.contextmanager
def writing(name: epath.PathLike) -> Iterator:
    """A binary file open for writing that takes its name, `name`, at the end of the block.

    If the block raises, nothing is left; if the process dies, a dot file ending in `.partial`.
    """
    target = path(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f'.{target.name}.{os.getpid()}{PARTIAL}'
    try:
        with partial.open('wb') as file:
            yield file
            file.flush()
            if is_local(target):
                os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if is_local(target):
        _sync_directory(target.parent)


def write(name: epath.PathLike, content: bytes | str) -> None:
    """Writes the whole file, which appears under its name only when it is complete."""
    with writing(name) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(name: epath.PathLike, content) -> None:
    """Writes plain values as indented JSON; NaN and infinity are refused (ValueError)."""
    write(name, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + '\n')


def read(name: epath.PathLike) -> bytes:
    """The whole file. Raises UserError when there is none."""
    try:
        return path(name).read_bytes()
    except FileNotFoundError:
        raise UserError(f'{name}: no such file') from None
    except IsADirectoryError:
        raise UserError(f'{name}: a directory, expected a file') from None


def read_json(name: epath.PathLike):
    """The plain values in a JSON file. Raises UserError when it is missing or not JSON."""
    try:
        return json.loads(read(name))
    except ValueError as error:
        raise UserError(f'{name}: not a JSON file ({error})') from None


def no_room(error: BaseException | None) -> str | None:
    """What a full disk, a quota or a limit on files said, if that is at the root of an error."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            text = os.strerror(number)
            if getattr(error, 'errno', None) == number or text in str(error):
                return text
        error = error.__cause__ or error.__context__
    return None


def remove(name: epath.PathLike) -> None:
    """Deletes a file if it is there."""
    path(name).unlink(missing_ok=True)


def remove_partials(directory: epath.PathLike, name: str) -> None:
    """Deletes what interrupted writes of the file `name` left in the directory."""
    for file in path(directory).glob(f'.{name}.*{PARTIAL}'):
        file.unlink(missing_ok=True)


def names(directory: epath.PathLike) -> list[str]:
    """The file names in a directory, sorted, without unfinished writes.

    Raises UserError when there is no such directory.
    """
    folder = path(directory)
    if not folder.is_dir():
        raise UserError(f'{directory}: no such directory')
    return sorted(item.name for item in folder.iterdir() if not is_partial(item.name))


def size(name: epath.PathLike) -> int | None:
    """Length of the file in bytes; None when there is none."""
    try:
        return path(name).stat().length
    except FileNotFoundError:
        return None


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(name: epath.PathLike) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces. Raises UserError when there is none."""
    try:
        with path(name).open('rb') as file:
            handle: Any = file  # epath promises no readinto; all its files have it
            return hashlib.file_digest(handle, 'sha256').hexdigest()
    except FileNotFoundError:
        raise UserError(f'{name}: no such file') from None


class Reader:
    """Random reads of one file from many threads; opened on first use, pickles without its handle.

    Local files are read with pread, others by seek and read under a lock.
    """

    def __init__(self, name: epath.PathLike):
        self._path, self._local = path(name), is_local(name)
        self._file: IO[bytes] | None = None

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on; fewer or none where the file ends."""
        file = self._file or self._opened()
        if self._local:
            return os.pread(file.fileno(), length, offset)
        with _OPENING:
            file.seek(offset)
            return file.read(length)

    def read_several(self, offset: int, *lengths: int) -> list[bytes]:
        """Consecutive pieces from `offset` on, each as `read` gives it."""
        ends = list(itertools.accumulate(lengths, initial=0))
        if self._local:
            return [self.read(offset + at, n) for at, n in zip(ends, lengths, strict=False)]
        whole = self.read(offset, ends[-1])  # once there and back
        return [whole[at:end] for at, end in itertools.pairwise(ends)]

    def _opened(self) -> IO[bytes]:
        with _OPENING:
            if self._file is None:
                try:
                    self._file = self._path.open('rb')
                except FileNotFoundError:
                    raise UserError(f'{self._path}: no such file') from None
            return self._file

    def __getstate__(self):
        return {**vars(self), '_file': None}


def _sync_directory(directory: epath.Path) -> None:
    """Makes a rename last through a power failure."""
    handle = os.open(os.fspath(directory), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
