"""A full disk: saves fail, whole checkpoints stay as they are; with room again training resumes.

In a round, a run saves a checkpoint; a random part of the room is taken away; the run is started
again and fails, several times; the room is given back and the run finishes. Room is taken on a
small tmpfs if one may be mounted, and by a limit on the size of files (RLIMIT_FSIZE).
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
FIRST, LAST = 20, 60  # steps before the good checkpoint; steps of the whole run
STAGE = 'ldnet_1'
ALONE = f'--config.stages=("{STAGE}",)'


def drill(folder: pathlib.Path, count: int, failures: int, seed: int, quiet: bool = False) -> dict:
    """Fill the disk in each round, by tmpfs and by limit in turn.

    Args:
      folder: of the drills.
      count: rounds.
      failures: failed starts in a round.
      seed: of the room that is left.
      quiet: no progress bar.

    Returns:
      The counts.
    """
    rounds = Rounds(folder / 'full', count, {'failures': failures, 'seed': seed}, quiet)
    for number in rounds.left():
        rng, where = np.random.default_rng([seed, number]), ground.make(folder, 'ldnet')
        disk = rounds.folder / 'now'
        shutil.rmtree(disk, ignore_errors=True)
        disk.mkdir()
        mounted = _mounted(disk) if number % 2 == 0 else contextlib.nullcontext(False)
        with mounted as small:
            faults = _round(where, disk, rounds.folder, failures, rng, _full if small else _limited)
        method = 'tmpfs' if small else 'RLIMIT_FSIZE'
        rounds.note(number, f'{method}: {failures} failed saves', faults)
    return rounds.result()


def _round(
    where: Ground,
    disk: pathlib.Path,
    folder: pathlib.Path,
    failures: int,
    rng: np.random.Generator,
    without_room: Callable,
) -> list[str]:
    """Run a round and list what went wrong."""
    workdir, log = disk / 'run', folder / 'log'
    begin, more = (f'--config.hparams.stage1_steps={steps}' for steps in (FIRST, LAST))
    if where.run(workdir, log, ALONE, begin):
        return [f'no checkpoint to begin with: {log.read_text()[-1000:]}']
    good, room = _contents(workdir / FOLDER), _room(workdir)
    faults = []
    for _ in range(failures):
        with without_room(disk, rng) as longest:
            code = where.run(workdir, log, ALONE, more, longest=longest)
        text = log.read_text()
        if code != 1 or 'Traceback (most recent call last):\n  File "<frozen runpy>"' in text:
            faults.append(f'exit code {code}: {text[-1000:]}')
        # Threads of the checkpoint library may print more after it.
        errors = [line for line in text.splitlines() if line.startswith('error: ')]
        if len(errors) != 1 or f'{workdir}: no room left' not in errors[0]:
            faults.append(f'said {errors or text[-600:]}')
        if _contents(workdir / FOLDER) != good:
            faults.append(f'checkpoints/ changed: {sorted(_contents(workdir / FOLDER))[:8]}')
        if _room(workdir) > room:
            faults.append(f'{_room(workdir)} bytes beside TensorBoard, {room} before')
    if where.run(workdir, log, ALONE, more):
        faults.append(f'with room again: {log.read_text()[-1000:]}')
    return faults or _compared(where, workdir, folder, begin, more)


def _compared(where: Ground, workdir, folder: pathlib.Path, *lengths: str) -> list[str]:
    """List the differences to a run that always had room."""
    undisturbed = folder / 'peace'
    shutil.rmtree(undisturbed, ignore_errors=True)
    for steps in lengths:
        where.run(undisturbed, folder / 'peace.log', ALONE, steps)
    return states.different_runs(undisturbed, workdir, {STAGE: LAST})


@contextlib.contextmanager
def _mounted(folder: pathlib.Path) -> Iterator[bool]:
    """Mount a small tmpfs on the folder; yield False where that is not allowed."""
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
def _full(folder: pathlib.Path, rng: np.random.Generator) -> Iterator[None]:
    """Fill the file system; at most nine tenths of a checkpoint's size stay free."""
    checkpoint = Place(0, STAGE, FIRST).inside(folder / 'run')
    free = int(rng.uniform(0, 0.9) * _room(pathlib.Path(checkpoint)))
    ballast = folder / 'ballast'
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(folder).free - free)))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def _limited(folder: pathlib.Path, rng: np.random.Generator) -> Iterator[int]:
    """Yield a limit on the length of files, shorter than the longest file of a checkpoint."""
    checkpoint = pathlib.Path(Place(0, STAGE, FIRST).inside(folder / 'run'))
    longest = max(file.stat().st_size for file in checkpoint.rglob('*') if file.is_file())
    yield int(rng.uniform(0.2, 0.8) * longest)


def _contents(folder: pathlib.Path) -> dict[str, str]:
    """List every file below the folder with its SHA-256, every folder with ''."""
    return {
        str(item.relative_to(folder)): hashlib.sha256(item.read_bytes()).hexdigest()
        if item.is_file()
        else ''
        for item in sorted(folder.rglob('*'))
    }


def _room(folder: pathlib.Path) -> int:
    """Sum up the bytes on the disk, without TensorBoard's files: every start adds one."""
    files = (item for item in folder.rglob('*') if 'tensorboard' not in item.parts)
    return sum(item.stat().st_blocks * 512 for item in files)
