"""Two processes of one run on this machine: one is told to stop, dies, or falls silent.

preempt: one gets SIGTERM; both save the same step and exit with code 42, and the run resumes.
lost: one gets SIGKILL or SIGSTOP (as silent as a broken network); the other ends within the
heartbeat's timeout and 5 s, says why, and its exit code is not 0.
"""

import pathlib
import shutil
import signal
import socket
import subprocess
import time

import numpy as np

from launch.drills import ground, states
from launch.drills.ground import Ground
from launch.drills.rounds import Rounds
from reenact_jax.train.signals import STOPPED

PATIENCE = 600  # most seconds to wait for a process
GRACE = 5  # seconds after the heartbeat's timeout
# Messages about a lost process: ours, and that of JAX's own service, if that is faster.
WORDS = ('another process of this run ended or cannot be reached', 'another task died')


class Pair:
    """Two processes of one run; they are killed at the end of the `with` block."""

    def __init__(self, where: Ground, folder: pathlib.Path, *extra: str):
        self.workdir = folder / 'run'
        self.logs = [folder / f'process-{number}.log' for number in range(2)]
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        common = [f'--coordinator=127.0.0.1:{port}', '--num_processes=2', *extra]
        self.both: list[subprocess.Popen] = [
            where.start(self.workdir, log, *common, f'--process_id={number}')
            for number, log in enumerate(self.logs)
        ]

    def __enter__(self) -> 'Pair':
        return self

    def __exit__(self, *_) -> None:
        for process in self.both:
            process.kill()
            process.wait()

    def wait_for_checkpoint(self) -> str:
        """Wait until the first checkpoint is whole; return what went wrong, or ''."""
        end = time.monotonic() + PATIENCE
        while states.newest(self.workdir) is None:
            if any(process.poll() is not None for process in self.both):
                return f'ended before the first checkpoint: {self.said()}'
            if time.monotonic() > end:
                return f'no checkpoint after {PATIENCE} s: {self.said()}'
            time.sleep(0.05)
        return ''

    def codes(self) -> list[int | None]:
        """Wait for both exit codes; None for a process that does not end."""
        end = time.monotonic() + PATIENCE
        return [_code(process, end - time.monotonic()) for process in self.both]

    def said(self) -> str:
        """Return the end of both logs."""
        return ' | '.join(log.read_text()[-1500:] for log in self.logs)


def preempt(folder: pathlib.Path, count: int, seed: int, quiet: bool = False) -> dict:
    """Send SIGTERM to one of two processes in each round, to each in turn.

    Args:
      folder: of the drills.
      count: rounds.
      seed: of the moments.
      quiet: no progress bar.

    Returns:
      The counts.
    """
    rounds = Rounds(folder / 'preempt', count, {'seed': seed}, quiet)
    for number in rounds.left():
        rng, where = np.random.default_rng([seed, number]), ground.make(folder, 'ldnet')
        victim, place = number % 2, _fresh(rounds.folder)
        with Pair(where, place) as pair:
            fault = pair.wait_for_checkpoint()
            time.sleep(rng.uniform(0, 1))
            pair.both[victim].terminate()
            codes = pair.codes()
        newest = states.newest(pair.workdir)
        failures = [fault] if fault else []
        if codes == [0, 0] and not fault:
            rounds.note(number, 'ended before it was told')
            continue
        if codes != [STOPPED, STOPPED]:
            failures.append(f'exit codes {codes}, expected twice {STOPPED}: {pair.said()}')
        else:
            failures += _same_step(pair, newest) + _resumes(where, place)
        rounds.note(number, f'process {victim} told, both saved and left with 42', failures)
    return rounds.result()


def lost(folder: pathlib.Path, count: int, seed: int, timeout: int, quiet: bool = False) -> dict:
    """Lose one of two processes in each round; victim and signal alternate.

    Args:
      folder: of the drills.
      count: rounds.
      seed: of the moments.
      timeout: of the heartbeat, seconds.
      quiet: no progress bar.

    Returns:
      The counts.
    """
    rounds = Rounds(folder / 'lost', count, {'seed': seed, 'timeout': timeout}, quiet)
    for number in rounds.left():
        rng, where = np.random.default_rng([seed, number]), ground.make(folder, 'ldnet')
        victim, kind = number % 2, (signal.SIGKILL, signal.SIGSTOP)[number // 2 % 2]
        longer = '--config.hparams.stage1_steps=1000000'
        with Pair(where, _fresh(rounds.folder), longer, f'--heartbeat_timeout={timeout}') as pair:
            fault = pair.wait_for_checkpoint()
            time.sleep(rng.uniform(0, 1))
            begin = time.monotonic()
            pair.both[victim].send_signal(kind)
            code = _code(pair.both[1 - victim], timeout + GRACE)
            seconds = time.monotonic() - begin
            text = pair.logs[1 - victim].read_text()
        failures = [fault] if fault else []
        if code is None:
            failures.append(f'still there after {seconds:.0f} s: {text[-1000:]}')
        elif code == 0 or not any(words in text for words in WORDS):
            failures.append(f'exit code {code} after {seconds:.1f} s, said {text[-1500:]}')
        speed = 'at once' if seconds < timeout / 2 else "by the heartbeat's timeout"
        seen = f'process {victim} gone ({kind.name}), the other ended {speed}'
        rounds.note(number, seen, failures)
    return rounds.result()


def _code(process: subprocess.Popen, seconds: float) -> int | None:
    try:
        return process.wait(max(0, seconds))
    except subprocess.TimeoutExpired:
        return None


def _fresh(folder: pathlib.Path) -> pathlib.Path:
    place = folder / 'now'
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place


def _same_step(pair: Pair, newest) -> list[str]:
    """Check that both stopped at the newest checkpoint's step and that each wrote its share."""
    if newest is None:
        return ['no valid checkpoint']
    message = f'stopped after step {newest.step} of stage {newest.stage}'
    faults = [] if message in pair.logs[0].read_text() else [f'{newest}, said {pair.said()}']
    parts = {item.name for item in newest.inside(pair.workdir).glob('*/ocdbt.process_*')}
    if parts and parts != {'ocdbt.process_0', 'ocdbt.process_1'}:
        faults.append(f'{newest}: parts of {sorted(parts)}')
    return faults


def _resumes(where: Ground, place: pathlib.Path) -> list[str]:
    """Check that two processes bring the run to its end."""
    with Pair(where, place) as pair:
        codes = pair.codes()
    if codes != [0, 0]:
        return [f'resumed: exit codes {codes}: {pair.said()}']
    stages = list(where.lengths().items())
    newest = states.newest(pair.workdir)
    done = newest is not None and (newest.stage, newest.step) == stages[-1]
    return [] if done else [f'resumed and ended at {newest}']
