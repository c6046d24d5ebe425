"""A folder's digest: the SHA-256 of every file in it, written when the folder is complete.

The checkpoint library never checks the bytes that it reads; this does. A folder without its digest
is incomplete: the writing was interrupted.
"""

import concurrent.futures
import json
from collections.abc import Iterable, Iterator

from etils import epath

from reenact_jax.common import storage

NAME = 'digests.json'


def write(directory: epath.Path) -> None:
    """Write the digest of every file below `directory`; the digest's own digest comes first."""
    names = [name for name in storage.files(directory) if name != NAME]
    files = dict(zip(names, _digests(directory, names), strict=True))
    storage.write(directory / NAME, _render(files))


def fault(directory: epath.Path) -> str | None:
    """Find the folder's fault: 'incomplete', or the first file that is not as written."""
    if storage.size(directory / NAME) is None:
        return 'incomplete'
    content = storage.read(directory / NAME)
    try:
        files = json.loads(content.partition(b'\n')[2])
    except ValueError:
        return f'{NAME} is damaged'
    if not isinstance(files, dict) or _render(files).encode() != content:
        return f'{NAME} is damaged'
    there = set(storage.files(directory))
    if missing := next((name for name in files if name not in there), None):
        return f'{missing} is missing'
    for name, digest in zip(files, _digests(directory, files), strict=True):
        if digest != files[name]:
            return f'{name} is damaged'
    return None


def _digests(directory: epath.Path, names: Iterable[str]) -> Iterator[str]:
    """Compute the files' digests, several at once: a bucket keeps each of them waiting."""
    with concurrent.futures.ThreadPoolExecutor(1 if storage.is_local(directory) else 16) as pool:
        yield from pool.map(lambda name: storage.file_digest(directory / name), names)


def _render(files: dict[str, str]) -> str:
    text = json.dumps(files, indent=0, sort_keys=True)
    return storage.digest(text.encode()) + '\n' + text
