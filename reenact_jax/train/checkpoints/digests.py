"""A folder's digest: the SHA-256 of every file in it, written when the folder is complete.

The checkpoint library never checks the bytes it reads; this does. A folder without its digest is
incomplete: the writing was interrupted.
"""

import json
import pathlib

from etils import epath

from reenact_jax.common import storage

NAME = 'digests.json'


def write(directory: epath.Path) -> None:
    """Writes the digest of every file below `directory`; the digest's own digest comes first."""
    files = {name: storage.file_digest(directory / name) for name in _files(directory)}
    storage.write(directory / NAME, _render(files))


def fault(directory: epath.Path | pathlib.Path) -> str | None:
    """What is wrong with the folder: 'incomplete', or the first file that is not as written."""
    try:
        content = (directory / NAME).read_bytes()
    except FileNotFoundError:
        return 'incomplete'
    try:
        files = json.loads(content.partition(b'\n')[2])
    except ValueError:
        return f'{NAME} is damaged'
    if not isinstance(files, dict) or _render(files).encode() != content:
        return f'{NAME} is damaged'
    for name, digest in files.items():
        if not (directory / name).is_file():
            return f'{name} is missing'
        if storage.file_digest(directory / name) != digest:
            return f'{name} is damaged'
    return None


def _files(directory: epath.Path, below: str = '') -> list[str]:
    """Names of all files, folders inside included, without the digest itself."""
    found = []
    for item in sorted((directory / below).iterdir(), key=lambda item: item.name):
        name = f'{below}/{item.name}' if below else item.name
        if item.is_dir():
            found += _files(directory, name)
        elif name != NAME:
            found.append(name)
    return found


def _render(files: dict[str, str]) -> str:
    text = json.dumps(files, indent=0, sort_keys=True)
    return storage.digest(text.encode()) + '\n' + text
