"""The folder of a page's pictures: gone when the page ends, or when the next one starts."""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = 'reenact_page_'
_YOUNG = 5.0  # seconds: a younger folder may be of a page that has not locked it yet


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a temporary folder, locked as long as this process lives."""
    sweep()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        lock = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(lock)


def sweep() -> None:
    """Delete the folders of pages that were killed: nobody holds their locks."""
    for place in Path(tempfile.gettempdir()).glob(f'{PREFIX}*'):
        with contextlib.suppress(OSError):
            about = os.lstat(place)
            is_own = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
            if not is_own or time.time() - about.st_mtime < _YOUNG:
                continue
            lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(place, ignore_errors=True)
            finally:
                os.close(lock)
