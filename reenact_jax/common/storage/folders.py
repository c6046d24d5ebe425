"""Folders, and the beginnings of names in a bucket that stand for them: listed, moved, deleted."""

import contextlib
import os

from etils import epath

from reenact_jax.common.errors import UserError
from reenact_jax.common.storage import paths


def exists(name: epath.PathLike) -> bool:
    """Whether there is a file or a folder."""
    return paths.path(name).exists()


def is_dir(name: epath.PathLike) -> bool:
    """Whether there is a folder."""
    return paths.path(name).is_dir()


def make_folder(name: epath.PathLike) -> None:
    """Makes a folder and those above it; a bucket needs none."""
    if paths.is_local(name):
        paths.path(name).mkdir(parents=True, exist_ok=True)


def names(directory: epath.PathLike) -> list[str]:
    """The names of files and folders in a directory, sorted, without unfinished writes.

    Raises UserError when there is no such directory.
    """
    folder = paths.path(directory)
    try:
        if paths.is_local(directory):
            found = [item.name for item in folder.iterdir()]
        else:
            system = paths.bucket(folder)
            own = system._strip_protocol(str(folder))  # what a console makes to show a folder
            listed = [one.rstrip('/') for one in system.ls(str(folder), detail=False)]
            found = [one.rpartition('/')[2] for one in listed if one != own]
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f'{directory}: no such directory') from None
    return sorted(name for name in found if not paths.is_partial(name))


def sizes(directory: epath.PathLike) -> dict[str, int]:
    """List the files that lie directly in a directory, with their lengths in bytes.

    In a bucket this takes a request for about a thousand files, not one for each.

    Raises:
      UserError: there is no such directory.
    """
    folder = paths.path(directory)
    try:
        if paths.is_local(directory):
            with os.scandir(folder) as items:
                return {item.name: item.stat().st_size for item in items if item.is_file()}
        listed = paths.bucket(folder).ls(str(folder), detail=True)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f'{directory}: no such directory') from None
    inside = [one for one in listed if one['type'] == 'file']
    return {one['name'].rpartition('/')[2]: one['size'] for one in inside}


def files(directory: epath.PathLike) -> list[str]:
    """The names of all files below a directory, sorted, with the folders they lie in; or none."""
    root = paths.path(directory)
    if not paths.is_local(directory):
        system = paths.bucket(root)
        begin = len(system._strip_protocol(str(root))) + 1
        return sorted(name[begin:] for name in system.find(str(root)) if name[begin:])
    found = []
    for folder, _, inside in os.walk(root):
        found += [os.path.relpath(os.path.join(folder, name), root) for name in inside]
    return sorted(found)


def remove_tree(name: epath.PathLike) -> None:
    """Deletes a folder with all that is in it, if it is there."""
    if paths.is_local(name):
        paths.path(name).rmtree(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        paths.bucket(name).rm(str(paths.path(name)), recursive=True)


def move_tree(source: epath.PathLike, target: epath.PathLike) -> None:
    """Renames a folder to a name that is free; in a bucket file after file, so not at once."""
    if paths.is_local(source):
        paths.path(source).rename(target)
        return
    names = files(source)
    pairs = ([f'{paths.path(folder)}/{name}' for name in names] for folder in (source, target))
    old, new = pairs
    paths.bucket(source).mv(old, new)


def download_tree(source: epath.PathLike, target: epath.PathLike) -> None:
    """Fetches all files below a folder of a bucket into a local folder."""
    for name in files(source):
        make_folder((paths.path(target) / name).parent)
        paths.bucket(source).get_file(f'{paths.path(source)}/{name}', f'{target}/{name}')
