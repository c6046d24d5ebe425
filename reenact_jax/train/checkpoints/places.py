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
NEWEST = 'newest.json'  # says which checkpoint was completed last
_ATTEMPTS, _PAUSE = 5, 0.1  # attempts of `discard`, and seconds between them
_STAGE, _STEP, _TRASH = re.compile(r'(\d+)-(.+)'), re.compile(r'\d+'), '.trash-'


class Place(NamedTuple):
    """Where in a run a checkpoint stands. Later places of a run are larger."""

    number: int  # the stage's number in the system's training table, from 0
    stage: str
    step: int

    def inside(self, workdir: epath.PathLike) -> epath.Path:
        """Return the checkpoint's folder."""
        return _root(workdir) / f'{self.number}-{self.stage}' / f'{self.step:09d}'


def places(workdir: epath.PathLike) -> list[Place]:
    """List all checkpoints, newest first, complete or not."""
    root, checkpoints = _root(workdir), []
    for folder in _inside(root):
        if match := _STAGE.fullmatch(folder):
            steps = [step for step in _inside(root / folder) if _STEP.fullmatch(step)]
            checkpoints += [Place(int(match[1]), match[2], int(step)) for step in steps]
    return sorted(checkpoints, reverse=True)


def note(workdir: epath.PathLike, place: Place) -> None:
    """Note that a checkpoint is complete."""
    storage.write_json(_root(workdir) / NEWEST, place._asdict())


def noted(workdir: epath.PathLike) -> bool:
    """Tell whether a checkpoint of this run was ever complete, as far as was noted."""
    return storage.exists(_root(workdir) / NEWEST)


def sweep(workdir: epath.PathLike) -> None:
    """Remove what an interrupted write or deletion left. Only the writer of a run may do so."""
    root = _root(workdir)
    for folder in _inside(root):
        for item in _inside(root / folder):
            if not _STEP.fullmatch(item) and not item.startswith(DAMAGED):
                storage.remove_tree(root / folder / item)


def discard(workdir: epath.PathLike, place: Place) -> None:
    """Remove what a failed write of the checkpoint left, unless it has its digest.

    It tries several times, since the library's threads for other items may still be writing. What
    is left even so is swept at the next start.
    """
    final = place.inside(workdir)
    for _ in range(_ATTEMPTS):
        for item in _inside(final.parent):
            mine = item == final.name or item.startswith(f'{final.name}.')
            if mine and not storage.exists(final.parent / item / digests.NAME):
                with contextlib.suppress(OSError):
                    storage.remove_tree(final.parent / item)
        time.sleep(_PAUSE)


def delete(folder: epath.Path) -> None:
    """Delete a checkpoint by a rename first, so that a half-deleted one never looks like one.

    In a bucket, which cannot rename, its digest is deleted first; without it, it is incomplete.
    """
    if not storage.is_local(folder):
        storage.remove(folder / digests.NAME)
        storage.remove_tree(folder)
        return
    trash = folder.parent / f'{_TRASH}{folder.name}'
    storage.remove_tree(trash)
    storage.move_tree(folder, trash)
    storage.remove_tree(trash)


def move_aside(folder: epath.Path) -> None:
    """Rename a checkpoint that must not be used to `damaged-STEP`; nothing is lost."""
    aside = folder.parent / f'{DAMAGED}{folder.name}'
    storage.remove_tree(aside)
    storage.move_tree(folder, aside)


def _inside(folder: epath.Path) -> list[str]:
    """List the names in a folder, which need not be there."""
    return storage.names(folder) if storage.is_dir(folder) else []


def _root(workdir: epath.PathLike) -> epath.Path:
    return storage.absolute(workdir) / FOLDER
