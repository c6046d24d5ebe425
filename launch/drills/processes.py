"""Two processes of one run on this machine: one is told to stop, dies, or falls silent.

preempt: SIGTERM to one; both save the same step and exit with code 42, and the run resumes.
lost: SIGKILL or SIGSTOP (as silent as a broken network) to one; the other ends within the
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

PATIENCE = 600  # seconds for what should take some
GRACE = 5  # seconds after the heartbeat's timeout
# What a lost process is called: by us, or by JAX's own service where that is faster.
WORDS = ('another process of this run ended or cannot be reached', 'another task died')


class Pair:
    """Two processes of one run; at the end of the `with` block they are gone."""

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
        """Until the first is whole; what went wrong, or nothing."""
        end = time.monotonic() + PATIENCE
        while states.newest(self.workdir) is None:
            if any(process.poll() is not None for process in self.both):
                return f'ended before the first checkpoint: {self.said()}'
            if time.monotonic() > end:
                return f'no checkpoint after {PATIENCE} s: {self.said()}'
            time.sleep(0.05)
        return ''

    def codes(self) -> list[int | None]:
        """Both exit codes; None for one that does not end."""
        end = time.monotonic() + PATIENCE
        return [_code(process, end - time.monotonic()) for process in self.both]

    def said(self) -> str:
        """The last words of both."""
        return ' | '.join(log.read_text()[-1500:] for log in self.logs)


def preempt(folder: pathlib.Path, count: int, seed: int, quiet: bool = False) -> dict:
    """`count` rounds; the process that is told alternates, the moment is random."""
    rounds = Rounds(folder / 'preempt', count, {'seed': seed}, quiet)
    for number in rounds.left():
        rng, where = np.random.default_rng([seed, number]), ground.make(folder, 'ldnet')
        told, place = number % 2, _fresh(rounds.folder)
        with Pair(where, place) as pair:
            fault = pair.wait_for_checkpoint()
            time.sleep(rng.uniform(0, 1))
            pair.both[told].terminate()
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
        rounds.note(number, f'process {told} told, both saved and left with 42', failures)
    return rounds.result()


def lost(folder: pathlib.Path, count: int, seed: int, timeout: int, quiet: bool = False) -> dict:
    """`count` rounds with a heartbeat's timeout of `timeout` s; victim and signal alternate."""
    rounds = Rounds(folder / 'lost', count, {'seed': seed, 'timeout': timeout}, quiet)
    for number in rounds.left():
        rng, where = np.random.default_rng([seed, number]), ground.make(folder, 'ldnet')
        victim, how = number % 2, (signal.SIGKILL, signal.SIGSTOP)[number // 2 % 2]
        longer = '--config.hparams.stage1_steps=1000000'
        with Pair(where, _fresh(rounds.folder), longer, f'--heartbeat_timeout={timeout}') as pair:
            fault = pair.wait_for_checkpoint()
            time.sleep(rng.uniform(0, 1))
            begin = time.monotonic()
            pair.both[victim].send_signal(how)
            code = _code(pair.both[1 - victim], timeout + GRACE)
            took = time.monotonic() - begin
            said = pair.logs[1 - victim].read_text()
        failures = [fault] if fault else []
        if code is None:
            failures.append(f'still there after {took:.0f} s: {said[-1000:]}')
        elif code == 0 or not any(words in said for words in WORDS):
            failures.append(f'exit code {code} after {took:.1f} s, said {said[-1500:]}')
        speed = 'at once' if took < timeout / 2 else "by the heartbeat's timeout"
        seen = f'process {victim} gone ({how.name}), the other ended {speed}'
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
    """Whether both stopped at the step of the newest checkpoint, of which each wrote its share."""
    if newest is None:
        return ['no valid checkpoint']
    said = f'stopped after step {newest.step} of stage {newest.stage}'
    found = [] if said in pair.logs[0].read_text() else [f'{newest}, said {pair.said()}']
    parts = {item.name for item in newest.inside(pair.workdir).glob('*/ocdbt.process_*')}
    if parts and parts != {'ocdbt.process_0', 'ocdbt.process_1'}:
        found.append(f'{newest}: parts of {sorted(parts)}')
    return found


def _resumes(where: Ground, place: pathlib.Path) -> list[str]:
    """Whether two processes bring the run to its end."""
    with Pair(where, place) as pair:
        codes = pair.codes()
    if codes != [0, 0]:
        return [f'resumed: exit codes {codes}: {pair.said()}']
    stages = list(where.lengths().items())
    newest = states.newest(pair.workdir)
    done = newest is not None and (newest.stage, newest.step) == stages[-1]
    return [] if done else [f'resumed and ended at {newest}']
