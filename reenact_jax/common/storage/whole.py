"""Whole files: written so that a name appears with its complete content, read, deleted.

A local file is written under a temporary name beside, flushed to the disk and renamed; an object of
a bucket appears when it is sent.
"""

import atexit
import contextlib
import errno
import functools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from etils import epath

from reenact_jax.common.errors import UserError
from reenact_jax.common.storage import folders, paths

_TRIED = 1 << 16  # bytes written to find out whether there is room


@contextlib.contextmanager
def writing(name: epath.PathLike) -> Iterator:
    """A binary file open for writing that takes its name, `name`, at the end of the block.

    If the block raises, nothing is left; if the process dies, a dot file ending in `.partial`.
    What goes to a bucket passes the folder for temporary files.
    """
    target = paths.path(name)
    if not paths.is_local(name):
        with tempfile.NamedTemporaryFile() as file:
            yield file
            file.flush()
            paths.bucket(target).put_file(file.name, str(target))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f'.{target.name}.{os.getpid()}{paths.PARTIAL}'
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
    if not paths.is_local(name):
        paths.bucket(name).pipe_file(str(paths.path(name)), content)
        return
    with writing(name) as file:
        file.write(content)


@contextlib.contextmanager
def drafting(name: epath.PathLike) -> Iterator[epath.Path]:
    """A local path, to be written by name, whose file becomes `name` at the end of the block.

    It has the suffix of `name`. If the block raises, nothing is left.
    """
    target = paths.path(name)
    if paths.is_local(name):
        folders.make_folder(target.parent)
        draft = _draft(target)
        try:
            yield draft
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        draft = epath.Path(folder) / target.name
        yield draft
        paths.bucket(target).put_file(str(draft), str(target))


def _draft(target: epath.Path, process: int | str = '') -> epath.Path:
    """The name of a draft: hidden, of this process, no longer than names may be."""
    process = process or os.getpid()
    ending = f'.{process}{target.suffix}'
    stem = target.stem.encode()[: 200 - len(ending)].decode(errors='ignore')
    return target.parent / f'.{stem}{ending}'


def try_out(name: epath.PathLike, flag: str = '') -> None:
    """Finds out whether a file can be written, before there is anything to write.

    Its folder is made; drafts of it that processes left which have ended are deleted.

    Raises UserError when it cannot; the message names the file and the reason.
    """
    if not paths.is_local(name):
        return
    target = paths.path(name)
    what = f'{flag} {name}'.strip()
    try:
        folders.make_folder(target.parent)
        with contextlib.suppress(FileNotFoundError):
            os.lstat(target)  # says so if the name is too long
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, 'it is read-only')
        sweep(target)
        draft = _draft(target, f'{os.getpid()}-try')
        try:
            with draft.open('wb') as file:
                file.write(bytes(_TRIED))
                file.flush()
                os.fsync(file.fileno())
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f'{what}: cannot be written ({error.strerror or error})') from None


def sweep(name: epath.PathLike) -> None:
    """Deletes drafts of a file that processes left which have ended."""
    target = paths.path(name)
    if not paths.is_local(name) or not target.parent.is_dir():
        return
    names = re.escape(_draft(target, '@').name).replace('@', r'(\d+)(?:-try|\.signed)?')
    partial = rf'\.{re.escape(target.name)}\.(\d+){re.escape(paths.PARTIAL)}'
    pattern = re.compile(f'{names}|{partial}')
    for file in target.parent.iterdir():
        found = pattern.fullmatch(file.name)
        if found and not _lives(int(found[1] or found[2])):
            file.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def local(name: epath.PathLike) -> epath.Path:
    """The file itself, or that of a bucket fetched once, until the process ends.

    Raises UserError when a bucket has no such file.
    """
    if paths.is_local(name):
        return paths.path(name)
    try:
        version = paths.bucket(name).checksum(str(paths.path(name)))
    except FileNotFoundError:
        raise UserError(f'{name}: no such file') from None
    return _fetched(str(paths.path(name)), version)


@functools.cache
def _fetched(name: str, version: Any) -> epath.Path:
    """Version: of the content; another one is fetched anew."""
    folder = tempfile.mkdtemp(prefix='reenact_jax-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = epath.Path(folder) / paths.path(name).name
    paths.bucket(name).get_file(name, str(target))
    return target


def write_json(name: epath.PathLike, content) -> None:
    """Writes plain values as indented JSON; NaN and infinity are refused (ValueError)."""
    write(name, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + '\n')


def read(name: epath.PathLike) -> bytes:
    """The whole file. Raises UserError when there is none."""
    try:
        if not paths.is_local(name):
            return paths.bucket(name).cat_file(str(paths.path(name)))
        return paths.path(name).read_bytes()
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


def remove(name: epath.PathLike) -> None:
    """Deletes a file if it is there."""
    if paths.is_local(name):
        paths.path(name).unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        paths.bucket(name).rm_file(str(paths.path(name)))


def remove_partials(directory: epath.PathLike, name: str) -> None:
    """Deletes what interrupted writes of the file `name` left in the directory."""
    if not paths.is_local(directory):
        return
    for file in paths.path(directory).glob(f'.{name}.*{paths.PARTIAL}'):
        file.unlink(missing_ok=True)


def upload(source: epath.PathLike, target: epath.PathLike) -> None:
    """Sends a local file to a bucket."""
    paths.bucket(target).put_file(str(source), str(paths.path(target)))


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


def _sync_directory(directory: epath.Path) -> None:
    """Makes a rename last through a power failure."""
    handle = os.open(os.fspath(directory), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
