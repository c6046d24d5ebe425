"""Files: the one room that opens, renames and lists; local paths, gs://, s3://.

A file appears under its name only when it is whole. A local one is written under a temporary name
beside, flushed to the disk and renamed; an object of a bucket appears when it is sent, and a folder
there is nothing but the beginning of names: it can be neither made nor renamed.
"""

import atexit
import contextlib
import errno
import functools
import hashlib
import importlib.util
import itertools
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, Any

import fsspec
import fsspec.config
from etils import epath

from reenact_jax.common.errors import UserError

PARTIAL = '.partial'  # the ending of temporary names, which also begin with a dot
# Buckets: prefix -> (the package that reads and writes there, the extra that brings it).
BUCKETS = {'gs://': ('gcsfs', 'gcs'), 's3://': ('s3fs', 's3')}
_OPENING = threading.Lock()
_PIECE = 16_000_000  # bytes of a file that are hashed at once


def path(name: epath.PathLike) -> epath.Path:
    """A path with pathlib's methods, `~` expanded; the file system follows from its prefix.

    Its methods that open, rename and delete are for local files: those here are for all.

    Raises UserError for a bucket whose package is not installed.
    """
    text = os.fspath(name)
    for prefix, (package, extra) in BUCKETS.items():
        if not text.startswith(prefix):
            continue
        if importlib.util.find_spec(package) is None:
            raise UserError(f'{text}: {prefix} needs {package}: pip install "reenact_jax[{extra}]"')
        # Listings would be remembered, while TensorStore and other hosts write beside us.
        scheme = {'gs://': 'gcs'}.get(prefix, prefix.removesuffix('://'))
        fsspec.config.conf.setdefault(scheme, {}).setdefault('use_listings_cache', False)
    return epath.Path(name).expanduser()


def absolute(name: epath.PathLike) -> epath.Path:
    """The path from the root of its file system; that of a bucket is so already."""
    found = path(name)
    return found.absolute() if is_local(name) else found


def same(name: epath.PathLike) -> str:
    """One text for all names of a file: absolute, links of this machine followed."""
    return os.path.realpath(path(name)) if is_local(name) else str(path(name))


def is_local(name: epath.PathLike) -> bool:
    """Whether the path is of this machine's file system."""
    return '://' not in os.fspath(name)


def exists(name: epath.PathLike) -> bool:
    """Whether there is a file or a folder."""
    return path(name).exists()


def is_dir(name: epath.PathLike) -> bool:
    """Whether there is a folder."""
    return path(name).is_dir()


def make_folder(name: epath.PathLike) -> None:
    """Makes a folder and those above it; a bucket needs none."""
    if is_local(name):
        path(name).mkdir(parents=True, exist_ok=True)


def is_partial(name: str) -> bool:
    """Whether a file name is that of an unfinished write."""
    return name.startswith('.') and name.endswith(PARTIAL)


@contextlib.contextmanager
def writing(name: epath.PathLike) -> Iterator:
    """A binary file open for writing that takes its name, `name`, at the end of the block.

    If the block raises, nothing is left; if the process dies, a dot file ending in `.partial`.
    What goes to a bucket passes the folder for temporary files.
    """
    target = path(name)
    if not is_local(name):
        with tempfile.NamedTemporaryFile() as file:
            yield file
            file.flush()
            _bucket(target).put_file(file.name, str(target))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f'.{target.name}.{os.getpid()}{PARTIAL}'
    try:
        with partial.open('wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def write(name: epath.PathLike, content: bytes | str) -> None:
    """Writes the whole file, which appears under its name only when it is complete."""
    content = content.encode() if isinstance(content, str) else content
    if not is_local(name):
        _bucket(name).pipe_file(str(path(name)), content)
        return
    with writing(name) as file:
        file.write(content)


@contextlib.contextmanager
def drafting(name: epath.PathLike) -> Iterator[epath.Path]:
    """A local path, to be written by name, whose file becomes `name` at the end of the block.

    It has the suffix of `name`. If the block raises, nothing is left.
    """
    target = path(name)
    if is_local(name):
        make_folder(target.parent)
        draft = target.parent / f'.{target.stem}.{os.getpid()}{target.suffix}'
        try:
            yield draft
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        draft = epath.Path(folder) / target.name
        yield draft
        _bucket(target).put_file(str(draft), str(target))


def local(name: epath.PathLike) -> epath.Path:
    """The file itself, or that of a bucket fetched once, until the process ends.

    Raises UserError when a bucket has no such file.
    """
    if is_local(name):
        return path(name)
    try:
        version = _bucket(name).checksum(str(path(name)))
    except FileNotFoundError:
        raise UserError(f'{name}: no such file') from None
    return _fetched(str(path(name)), version)


@functools.cache
def _fetched(name: str, version: Any) -> epath.Path:
    """Version: of the content; another one is fetched anew."""
    folder = tempfile.mkdtemp(prefix='reenact_jax-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = epath.Path(folder) / path(name).name
    _bucket(name).get_file(name, str(target))
    return target


def write_json(name: epath.PathLike, content) -> None:
    """Writes plain values as indented JSON; NaN and infinity are refused (ValueError)."""
    write(name, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + '\n')


def read(name: epath.PathLike) -> bytes:
    """The whole file. Raises UserError when there is none."""
    try:
        if not is_local(name):
            return _bucket(name).cat_file(str(path(name)))
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
    if is_local(name):
        path(name).unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        _bucket(name).rm_file(str(path(name)))


def remove_tree(name: epath.PathLike) -> None:
    """Deletes a folder with all that is in it, if it is there."""
    if is_local(name):
        path(name).rmtree(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        _bucket(name).rm(str(path(name)), recursive=True)


def move_tree(source: epath.PathLike, target: epath.PathLike) -> None:
    """Renames a folder to a name that is free; in a bucket file after file, so not at once."""
    if is_local(source):
        path(source).rename(target)
        return
    names = files(source)
    pairs = ([f'{path(folder)}/{name}' for name in names] for folder in (source, target))
    old, new = pairs
    _bucket(source).mv(old, new)


def remove_partials(directory: epath.PathLike, name: str) -> None:
    """Deletes what interrupted writes of the file `name` left in the directory."""
    if not is_local(directory):
        return
    for file in path(directory).glob(f'.{name}.*{PARTIAL}'):
        file.unlink(missing_ok=True)


def upload(source: epath.PathLike, target: epath.PathLike) -> None:
    """Sends a local file to a bucket."""
    _bucket(target).put_file(str(source), str(path(target)))


def download_tree(source: epath.PathLike, target: epath.PathLike) -> None:
    """Fetches all files below a folder of a bucket into a local folder."""
    for name in files(source):
        make_folder((path(target) / name).parent)
        _bucket(source).get_file(f'{path(source)}/{name}', f'{target}/{name}')


def names(directory: epath.PathLike) -> list[str]:
    """The names of files and folders in a directory, sorted, without unfinished writes.

    Raises UserError when there is no such directory.
    """
    folder = path(directory)
    try:
        if is_local(directory):
            found = [item.name for item in folder.iterdir()]
        else:
            system = _bucket(folder)
            own = system._strip_protocol(str(folder))  # what a console makes to show a folder
            listed = [one.rstrip('/') for one in system.ls(str(folder), detail=False)]
            found = [one.rpartition('/')[2] for one in listed if one != own]
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f'{directory}: no such directory') from None
    return sorted(name for name in found if not is_partial(name))


def files(directory: epath.PathLike) -> list[str]:
    """The names of all files below a directory, sorted, with the folders they lie in; or none."""
    root = path(directory)
    if not is_local(directory):
        system = _bucket(root)
        begin = len(system._strip_protocol(str(root))) + 1
        return sorted(name[begin:] for name in system.find(str(root)) if name[begin:])
    found = []
    for folder, _, inside in os.walk(root):
        found += [os.path.relpath(os.path.join(folder, name), root) for name in inside]
    return sorted(found)


def size(name: epath.PathLike) -> int | None:
    """Length of the file in bytes; None when there is none."""
    try:
        if not is_local(name):
            return _bucket(name).info(str(path(name)))['size']
        return path(name).stat().length
    except FileNotFoundError:
        return None


def opened(name: epath.PathLike) -> Any:
    """A binary file open for reading, a context. Raises FileNotFoundError."""
    if is_local(name):
        return open(path(name), 'rb')
    return _bucket(name).open(str(path(name)), 'rb', cache_type='readahead')


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(name: epath.PathLike) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces. Raises UserError when there is none."""
    if is_local(name):
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


class Reader:
    """Random reads of one file from many threads; opened on first use, pickles without its handle.

    Local files are read with pread, objects with a request a read, as many at once as there are
    threads.
    """

    def __init__(self, name: epath.PathLike):
        self._path, self._local = path(name), is_local(name)
        self._file: IO[bytes] | None = None

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on; fewer or none where the file ends."""
        if self._local:
            return os.pread(self._handle().fileno(), length, offset)
        name, end = str(self._path), offset + length
        try:
            return _bucket(name).cat_file(name, start=offset, end=end)
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


def _bucket(name: epath.PathLike) -> Any:
    """The file system of a bucket; the same one each time."""
    scheme, is_url, _ = str(path(name)).partition('://')
    # As epath has it: without, an object of a zonal bucket stays open for appending.
    more = {'finalize_on_close': True} if scheme == 'gs' else {}
    return fsspec.filesystem(scheme if is_url else 'file', **more)


def _sync_directory(directory: epath.Path) -> None:
    """Makes a rename last through a power failure."""
    handle = os.open(os.fspath(directory), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
