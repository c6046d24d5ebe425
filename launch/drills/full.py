"""A full disk: saves fail, nothing that was whole is touched, and with room again training goes on.

A round: a run saves a checkpoint; the room is taken away, more or less of it; the run is started
again and fails, several times; the room is given back and the run comes to its end. Room is taken
on a small tmpfs where one may be mounted, and by a limit on the size of files (RLIMIT_FSIZE).
"""

import contextlib
import hashlib
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Iterator

import numpy as np

from launch.drills import ground, states
from launch.drills.ground import Ground
from launch.drills.rounds import Rounds
from reenact_jax.train.checkpoints.places import FOLDER, Place

TMPFS = '24m'
FIRST, LAST = 20, 60  # steps after which the good checkpoint is written; of the run in the end
STAGE = 'ldnet_1'
ALONE = f'--config.stages=("{STAGE}",)'


def drill(folder: pathlib.Path, count: int, failures: int, seed: int, quiet: bool = False) -> dict:
    """`count` rounds, tmpfs and limit in turn, of `failures` failed starts each."""
    rounds = Rounds(folder / 'full', count, {'failures': failures, 'seed': seed}, quiet)
    for number in rounds.left():
        rng, where = np.random.default_rng([seed, number]), ground.make(folder, 'ldnet')
        here = rounds.folder / 'now'
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        mounted = _mounted(here) if number % 2 == 0 else contextlib.nullcontext(False)
        with mounted as small:
            found = _round(where, here, rounds.folder, failures, rng, _full if small else _limited)
        how = 'tmpfs' if small else 'RLIMIT_FSIZE'
        rounds.note(number, f'{how}: {failures} failed saves', found)
    return rounds.result()


def _round(
    where: Ground,
    here: pathlib.Path,
    folder: pathlib.Path,
    failures: int,
    rng: np.random.Generator,
    without_room: Callable,
) -> list[str]:
    """What went wrong in a round."""
    workdir, log = here / 'run', folder / 'log'
    begin, more = (f'--config.hparams.stage1_steps={steps}' for steps in (FIRST, LAST))
    if where.run(workdir, log, ALONE, begin):
        return [f'no checkpoint to begin with: {log.read_text()[-1000:]}']
    good, room = _contents(workdir / FOLDER), _room(workdir)
    found = []
    for _ in range(failures):
        with without_room(here, rng) as longest:
            code = where.run(workdir, log, ALONE, more, longest=longest)
        said = log.read_text()
        if code != 1 or 'Traceback (most recent call last):\n  File "<frozen runpy>"' in said:
            found.append(f'exit code {code}: {said[-1000:]}')
        # Threads of the checkpoint library may have more to say after it.
        errors = [line for line in said.splitlines() if line.startswith('error: ')]
        if len(errors) != 1 or f'{workdir}: no room left' not in errors[0]:
            found.append(f'said {errors or said[-600:]}')
        if _contents(workdir / FOLDER) != good:
            found.append(f'checkpoints/ changed: {sorted(_contents(workdir / FOLDER))[:8]}')
        if _room(workdir) > room:
            found.append(f'{_room(workdir)} bytes beside TensorBoard, {room} before')
    if where.run(workdir, log, ALONE, more):
        found.append(f'with room again: {log.read_text()[-1000:]}')
    return found or _compared(where, workdir, folder, begin, more)


def _compared(where: Ground, workdir, folder: pathlib.Path, *lengths: str) -> list[str]:
    """In what the run differs from one that always had room."""
    peace = folder / 'peace'
    shutil.rmtree(peace, ignore_errors=True)
    for steps in lengths:
        where.run(peace, folder / 'peace.log', ALONE, steps)
    return states.different_runs(peace, workdir, {STAGE: LAST})


@contextlib.contextmanager
def _mounted(folder: pathlib.Path) -> Iterator[bool]:
    """A small tmpfs on the folder; False where that is not allowed."""
    command = ['mount', '-t', 'tmpfs', '-o', f'size={TMPFS}', 'drill', str(folder)]
    try:
        small = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        small = False
    try:
        yield small
    finally:
        if small:
            subprocess.run(['umount', str(folder)], check=True)


@contextlib.contextmanager
def _full(here: pathlib.Path, rng: np.random.Generator) -> Iterator[None]:
    """Fills the file system but for up to nine tenths of what a checkpoint takes."""
    place = Place(0, STAGE, FIRST).inside(here / 'run')
    free = int(rng.uniform(0, 0.9) * _room(pathlib.Path(place)))
    ballast = here / 'ballast'
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(here).free - free)))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def _limited(here: pathlib.Path, rng: np.random.Generator) -> Iterator[int]:
    """No file may be as long as the longest of a checkpoint."""
    place = pathlib.Path(Place(0, STAGE, FIRST).inside(here / 'run'))
    longest = max(file.stat().st_size for file in place.rglob('*') if file.is_file())
    yield int(rng.uniform(0.2, 0.8) * longest)


def _contents(folder: pathlib.Path) -> dict[str, str]:
    """Every file below the folder with its SHA-256, every folder with nothing."""
    return {
        str(item.relative_to(folder)): hashlib.sha256(item.read_bytes()).hexdigest()
        if item.is_file()
        else ''
        for item in sorted(folder.rglob('*'))
    }


def _room(folder: pathlib.Path) -> int:
    """Bytes on the disk, without TensorBoard's files, of which every start adds one."""
    files = (item for item in folder.rglob('*') if 'tensorboard' not in item.parts)
    return sum(item.stat().st_blocks * 512 for item in files)
