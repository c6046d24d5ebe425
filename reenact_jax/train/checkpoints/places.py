"""Where the checkpoints of a run lie: `WORKDIR/checkpoints/0-STAGE/000000100/`."""

import contextlib
import re
import time
from typing import NamedTuple

from etils import epath

from reenact_jax.common import storage
from reenact_jax.train.checkpoints import digests

FOLDER = 'checkpoints'
DAMAGED = 'damaged-'
_ATTEMPTS, _PAUSE = 5, 0.1  # of `discard`: times, seconds between
_STAGE, _STEP, _TRASH = re.compile(r'(\d+)-(.+)'), re.compile(r'\d+'), '.trash-'


class Place(NamedTuple):
    """Where in a run a checkpoint stands. Later places of a run are larger."""

    number: int  # of the stage in the system's training table, from 0
    stage: str
    step: int

    def inside(self, workdir: epath.PathLike) -> epath.Path:
        """The checkpoint's folder."""
        return _root(workdir) / f'{self.number}-{self.stage}' / f'{self.step:09d}'


def places(workdir: epath.PathLike) -> list[Place]:
    """All checkpoints, newest first, complete or not."""
    root, found = _root(workdir), []
    for folder in root.iterdir() if root.is_dir() else ():
        if match := _STAGE.fullmatch(folder.name):
            steps = [step.name for step in folder.iterdir() if _STEP.fullmatch(step.name)]
            found += [Place(int(match[1]), match[2], int(step)) for step in steps]
    return sorted(found, reverse=True)


def sweep(workdir: epath.PathLike) -> None:
    """Removes what an interrupted write or deletion left. Only the writer of a run may do so."""
    root = _root(workdir)
    for folder in root.iterdir() if root.is_dir() else ():
        for item in folder.iterdir() if folder.is_dir() else ():
            if not _STEP.fullmatch(item.name) and not item.name.startswith(DAMAGED):
                item.rmtree() if item.is_dir() else item.unlink()


def discard(workdir: epath.PathLike, place: Place) -> None:
    """Removes what a failed write of the checkpoint left; one that has its digest stays.

    Again and again, since the library's threads for other items may still be writing. What is left
    even so is swept at the next start.
    """
    final = place.inside(workdir)
    for _ in range(_ATTEMPTS):
        for item in final.parent.iterdir() if final.parent.is_dir() else ():
            mine = item.name == final.name or item.name.startswith(f'{final.name}.')
            if mine and not (item / digests.NAME).exists():
                with contextlib.suppress(OSError):
                    item.rmtree()
        time.sleep(_PAUSE)


def delete(folder: epath.Path) -> None:
    """By a rename first, so that a half-deleted checkpoint never looks like one."""
    trash = folder.parent / f'{_TRASH}{folder.name}'
    if trash.exists():
        trash.rmtree()
    folder.rename(trash)
    trash.rmtree()


def move_aside(folder: epath.Path) -> None:
    """Renames a checkpoint that must not be used to `damaged-STEP`; nothing is lost."""
    aside = folder.parent / f'{DAMAGED}{folder.name}'
    if aside.exists():
        aside.rmtree()
    folder.rename(aside)


def _root(workdir: epath.PathLike) -> epath.Path:
    return storage.absolute(workdir) / FOLDER
