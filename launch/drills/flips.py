"""Flipped bits and truncations in shards, checkpoints, bundles and files of motion.

Rounds in turn damage a file of
- a shard set, which is then read as training does. Either a UserError names the file, or the same
  bytes are read and the set's check (`reenact-jax shards`) names the file;
- the newest checkpoint: it is refused by name, the one before it is used, and that one is as it was
  written;
- a bundle, and a file of motion (handed.py).
"""

import contextlib
import hashlib
import logging
import pathlib
import shutil
from collections.abc import Iterator

import numpy as np

from launch.drills import damage, ground, handed, states
from launch.drills.ground import Ground
from launch.drills.rounds import Rounds
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.train.checkpoints.places import Place
from reenact_jax.train.checkpoints.store import Store
from reenact_jax.train.feed import SPLIT

FILES = ['shards', 'checkpoints', 'bundles', 'motion']  # in turn
STAGE = 'ldnet_1'
OLDER, NEWER = (Place(0, STAGE, steps) for steps in (20, 40))
RESTORE_EVERY = 20  # rounds between those that also restore the arrays of the older checkpoint


def drill(folder: pathlib.Path, flips: int, seed: int, quiet: bool = False) -> dict:
    """Damage one file in each round.

    Args:
      folder: of the drills.
      flips: rounds.
      seed: of files and places.
      quiet: no progress bar.

    Returns:
      The counts.
    """
    rounds = Rounds(folder / 'flips', flips, {'seed': seed, 'files': FILES}, quiet)
    where = ground.make(folder, 'ldnet')
    data, workdir = _copies(where, rounds.folder)
    whole, store, older = _read(data), Store(workdir), _digest(OLDER.inside(workdir))
    arrays, others = states.saved(workdir, OLDER), handed.make(rounds.folder)
    for number in rounds.left():
        rng = np.random.default_rng([seed, number])
        kind = FILES[number % len(FILES)]
        if kind == 'shards':
            seen, failures = _shard(data, whole, rng)
        elif kind == 'bundles':
            seen, failures = handed.of_bundle(others, rng)
        elif kind == 'motion':
            seen, failures = handed.of_motion(others, rng)
        else:
            seen, failures = _checkpoint(store, workdir, older, rng)
            if number % RESTORE_EVERY == 1 and states.differences(
                arrays, states.saved(workdir, OLDER)
            ):
                failures.append('the older checkpoint restores other arrays')
        rounds.note(number, seen, failures)
    store.close()
    return rounds.result()


def _copies(where: Ground, folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Make a shard set and a workdir with two checkpoints, to be damaged."""
    data, workdir, log = folder / 'data', folder / 'run', folder / 'run.log'
    for place in (data, workdir):
        shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(where.data, data)
    length = f'--config.hparams.stage1_steps={NEWER.step}'
    if code := where.run(workdir, log, f'--config.stages=("{STAGE}",)', length):
        raise RuntimeError(f'exit code {code}: {log.read_text()[-2000:]}')
    return data, workdir


def _shard(data: pathlib.Path, whole: str, rng: np.random.Generator) -> tuple[str, list[str]]:
    file = rng.choice(sorted(data.iterdir()))
    with damage.done(file, rng) as what:
        seen, failures = _caught(data, file, whole)
    kind = {'.index': 'index', '.npz': 'sidecar', '.json': 'set'}.get(file.suffix, 'records')
    if file.name in ('features.json', 'dataset_info.json'):
        kind = 'TFDS metadata'
    return f'shards, {kind}, {what}: {seen}', failures


def _caught(data: pathlib.Path, file: pathlib.Path, whole: str) -> tuple[str, list[str]]:
    """Tell how damage to `file` was noticed, and list the failures to notice it."""
    try:
        same = _read(data) == whole
    except UserError as error:
        named = str(file) in str(error)
        return 'refused when read', [] if named else [f'{file}: not named in {error}']
    if not same:
        return 'SILENT', [f'{file}: other bytes were read without a word']
    if any(str(file) in problem for problem in shards.verify(data)):
        return 'not read in training; named by the check', []
    return 'SILENT', [f'{file}: not found by the check either']


def _checkpoint(store: Store, workdir: pathlib.Path, older: str, rng) -> tuple[str, list[str]]:
    folder = pathlib.Path(NEWER.inside(workdir))
    aside, spare = folder.parent / f'damaged-{folder.name}', workdir.parent / 'spare'
    if not spare.exists():
        shutil.copytree(folder, spare)
    file = rng.choice([item for item in sorted(folder.rglob('*')) if _has_bytes(item)])
    what = damage.do(file, rng)
    with _heard() as messages:
        taken = store.newest()
    failures = []
    if taken != OLDER:
        failures.append(f'{file}, {what}: {taken} was taken')
    if not any(file.name in line and folder.name in line for line in messages):
        failures.append(f'{file}, {what}: not named, said {messages}')
    if _digest(OLDER.inside(workdir)) != older:
        failures.append(f'{file}, {what}: the older checkpoint changed')
    for place in (aside, folder):
        shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(spare, folder)
    seen = 'SILENT' if failures else 'refused by name, the older one taken'
    kind = 'digests' if file.name == 'digests.json' else 'content'
    return f'checkpoints, {kind}, {what}: {seen}', failures


def _read(data: pathlib.Path) -> str:
    """Compute a digest of everything that training can read of a set."""
    part, digest = shards.ShardSet(data, SPLIT), hashlib.sha256()
    for column in vars(part.columns).values():
        digest.update(np.ascontiguousarray(column).tobytes())
    for number in range(len(part)):
        digest.update(part[number])
    return digest.hexdigest()


def _digest(folder) -> str:
    digest, folder = hashlib.sha256(), pathlib.Path(folder)
    for file in sorted(item for item in folder.rglob('*') if item.is_file()):
        digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()


def _has_bytes(item: pathlib.Path) -> bool:
    return item.is_file() and item.stat().st_size > 0


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect the messages that are logged; a command shows them on standard error."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger('absl')
    before, logger.propagate = logger.propagate, False
    others, logger.handlers = logger.handlers, [handler]
    try:
        yield messages
    finally:
        logger.handlers, logger.propagate = others, before
