"""NaN in the loss of each player: the step leaves no trace, and too many of them end the run.

A round trains one stage in which the loss of one player is NaN in half of the steps, drawn by the
step's own key. It saves after every step and compares the checkpoints: if the player's count of
skipped steps rose, nothing else but the number of the step may differ by a byte.
"""

import contextlib
import pathlib
import shutil
import types
from collections.abc import Callable, Iterator
from unittest import mock

import jax
import jax.numpy as jnp

from launch.drills import ground, states
from launch.drills.ground import Ground
from launch.drills.rounds import Rounds
from reenact_jax import systems
from reenact_jax.common.errors import UserError
from reenact_jax.train import command as train
from reenact_jax.train.checkpoints.places import places
from reenact_jax.train.signals import STOPPED

CASES = (  # system, stage, player
    *(('ldnet', 'ldnet_1', player) for player in 'GC'),
    ('ldnet', 'ldnet_warm', 'G'),
    *(('ldnet', 'ldnet_2', player) for player in 'GDC'),
    *(('aan', 'aan', player) for player in 'GD'),
    *(('fdgan', 'fdgan', player) for player in 'GDC'),
    *(('freenet', 'ulc', player) for player in ('psi', 'D_TF', 'D_S')),
    *(('freenet', 'gag', player) for player in 'GD'),
    *(('facegan', 'lt', player) for player in ('LT', 'La')),
    *(
        ('facegan', f'{part}{half}', f'{player}_{"r" if part == "reenactor" else "b"}')
        for part in ('reenactor', 'mixer')
        for half in ('_half', '')
        for player in 'GD'
    ),
    *(('facegan', 'joint', player) for player in ('G', 'La', 'D_r', 'D_b')),
    *(('fomm', 'fomm', player) for player in 'GD'),
    *(
        ('pix2pix', f'pix2pixhd_{stage}', player)
        for stage in ('global', 'local', 'joint')
        for player in 'GD'
    ),
)
MANY = 200  # steps: more than are made before the limit is reached


def drill(
    folder: pathlib.Path, limit: int, cases=CASES, seed: int = 0, quiet: bool = False
) -> dict:
    """Train each case in a round of its own.

    Args:
      folder: of the drills.
      limit: steps that a run may leave out.
      cases: (system, stage, player).
      seed: of the runs.
      quiet: no progress bar.

    Returns:
      The counts.
    """
    rounds = Rounds(folder / 'nan', len(cases), {'limit': limit, 'seed': seed}, quiet)
    for number in rounds.left():
        system, stage, player = cases[number]
        where, workdir = ground.make(folder, system), rounds.folder / f'{stage}-{player}'
        shutil.rmtree(workdir, ignore_errors=True)
        with _poisoned(system, stage, player), (rounds.folder / 'log').open('w') as log:
            message = _run(where, workdir, stage, limit, seed, log)
        kept, skipped, failures = _compare(workdir, player)
        last = places(workdir)[0].step if places(workdir) else 0
        for words in (
            f'stage {stage}, step {last + 1}: player {player} ',
            f'config.nan_limit = {limit} steps',
            f'last good checkpoint: {stage}, step {last}',
        ):
            if words not in message:
                failures.append(f'{words!r} is not in: {message!r}')
        if skipped != limit or not kept:
            failures.append(f'{skipped} steps left out and {kept} applied before the end')
        outcome = 'no trace of the skipped steps, run ended' if not failures else 'FAILED'
        rounds.note(number, f'{stage}, player {player}: {outcome}', failures)
        shutil.rmtree(workdir)
    return rounds.result()


@contextlib.contextmanager
def _poisoned(system: str, stage: str, player: str) -> Iterator[None]:
    """Change a system so that a player's loss is NaN for half of the keys in one stage."""
    real = systems.find(system)

    def stages(hp, data):
        table = real.stages(hp, data)
        return tuple(
            one._replace(losses=_spoilt(one.losses, player)) if one.name == stage else one
            for one in table
        )

    broken = types.SimpleNamespace(**{**vars(real), 'stages': stages})
    with mock.patch.dict(systems.SYSTEMS, {system: broken}):
        yield


def _spoilt(losses: Callable, player: str) -> Callable:
    def spoilt(apply, constants, batch, rng):
        values, metrics = losses(apply, constants, batch, rng)
        bad = jax.random.bernoulli(jax.random.fold_in(rng, 1))
        return values | {player: values[player] * jnp.where(bad, jnp.nan, 1.0)}, metrics

    return spoilt


def _run(where: Ground, workdir: pathlib.Path, stage: str, limit: int, seed: int, log) -> str:
    """Train until the run fails; return its message."""
    length, _ = ground.KINDS[where.kind].stages[stage]
    extra = [
        f'--config.stages=("{stage}",)',
        f'--config.hparams.{length}={MANY}',
        '--config.checkpoint_every=1',
        '--config.log_every=1',
        f'--config.keep={MANY}',
        f'--config.nan_limit={limit}',
        f'--config.seed={seed}',
    ]
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        try:
            code = train.main(where.arguments(workdir, *extra))
        except UserError as error:
            return str(error)
    if code == STOPPED:  # the run took the signal that was meant for the drill
        raise KeyboardInterrupt
    return f'exit code {code}'


def _compare(workdir: pathlib.Path, player: str) -> tuple[int, int, list[str]]:
    """Compare successive checkpoints: count steps applied and left out; list failures."""
    kept = skipped = 0
    failures, before = [], None
    for place in reversed(places(workdir)):
        now = states.saved(workdir, place)
        if before is not None:
            changed = states.differences(before, now)
            count = int(now['counters']['skipped'][player] - before['counters']['skipped'][player])
            allowed = {"['counters']['step']", f"['counters']['skipped'][{player!r}]"}
            if count and set(changed) != allowed:
                failures.append(f'step {place.step} was left out and changed {changed[:4]}')
            if not count and not any(name.startswith("['variables.") for name in changed):
                failures.append(f'step {place.step} was applied and changed nothing')
            kept, skipped = kept + (not count), skipped + count
        else:  # the first step cannot be compared: the state before it is not on the disk
            first = int(now['counters']['skipped'][player])
            kept, skipped = int(not first), first
        before = now
    return kept, skipped, failures
