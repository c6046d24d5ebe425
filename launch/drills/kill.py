"""SIGKILL at random moments of training and saving; what is resumed ends as if nothing happened.

A chain is one run: every process of it is killed and the next one resumes, until the chain's last
process is left in peace and its result compared with a run that was not disturbed. Chains train in
turn LD-Net (three stages), AAN (spectral vectors, batch statistics, images), FD-GAN, Pix2PixHD and
FReeNet (the nets of one stage frozen in the next).
"""

import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np

from launch.drills import ground, states
from launch.drills.ground import Ground
from launch.drills.rounds import Rounds
from reenact_jax.train.checkpoints import digests
from reenact_jax.train.checkpoints.places import FOLDER, Place, places

POLL = 0.002  # seconds between looks at the disk
PATIENCE = 600  # seconds after which a process that does nothing has failed
READY = b': compiling'  # in the log when the loop over steps is about to begin


class Chain:
    """One run that is killed again and again, beside one that was not."""

    def __init__(self, where: Ground, rounds: Rounds, number: int, rng: np.random.Generator):
        self.ground, self.rng = where, rng
        self.workdir = rounds.folder / f'chain-{number}'
        self.log = rounds.folder / f'chain-{number}.log'
        self.peace, self.seconds = _undisturbed(where, rounds.folder)
        shutil.rmtree(self.workdir, ignore_errors=True)

    def kill(self) -> tuple[str, list[str]]:
        """(what the process was doing when it was killed, failures on the way)."""
        failures = []
        while True:
            before = states.newest(self.workdir)
            process = self.ground.start(self.workdir, self.log)
            try:
                struck = self._wait(process)
            finally:
                process.kill()
                code = process.wait()
            if struck and code == -signal.SIGKILL:
                return _doing(self.workdir), failures + self._resumed(before)
            failures += self._ended(code)  # it was faster than the blow: a whole run to compare
            if failures:
                return 'ended by itself', failures
            shutil.rmtree(self.workdir)

    def finish(self) -> list[str]:
        """Lets the run come to its end; what differs from the undisturbed one."""
        before = states.newest(self.workdir)
        code = self.ground.run(self.workdir, self.log)
        failures = self._ended(code) or self._resumed(before)
        if not failures:
            shutil.rmtree(self.workdir)
        return failures

    def _wait(self, process: subprocess.Popen) -> bool:
        """Until the moment to strike; False when the process ended before it."""
        end = time.monotonic() + PATIENCE
        saving = self.rng.random() < 0.5
        seen, wanted = _unfinished(self.workdir), int(self.rng.integers(1, 4))
        delay = self.rng.uniform(0, 0.3 if saving else self.seconds)
        while process.poll() is None and time.monotonic() < end:
            new = _unfinished(self.workdir) - seen
            seen |= new
            wanted -= len(new)
            if (saving and wanted <= 0) or (not saving and READY in self.log.read_bytes()):
                try:
                    process.wait(delay)
                except subprocess.TimeoutExpired:
                    return True
            time.sleep(POLL)
        return False

    def _resumed(self, before: Place | None) -> list[str]:
        """Whether the process went on from the newest valid checkpoint, if it came so far."""
        said = self.log.read_text()
        if before is None or not said.count(READY.decode()):
            return [] if 'Traceback' not in said else [f'{self.log}: {said[-300:]}']
        whole = before.step == self.ground.lengths()[before.stage]
        expected = f'resuming stage {before.stage} after step {before.step}\n'
        if whole == (expected in said) or ('resuming' in said) == whole:
            return [f'{self.workdir}: {before} was valid and not resumed from: {said[-300:]}']
        return []

    def _ended(self, code: int) -> list[str]:
        if code:
            return [f'exit code {code}: {self.log.read_text()[-600:]}']
        return states.different_runs(self.peace, self.workdir, self.ground.lengths())


def drill(
    folder: pathlib.Path,
    kills: int,
    chain: int,
    seed: int,
    quiet: bool = False,
    kinds: tuple[str, ...] = ('ldnet', 'aan', 'fdgan', 'pix2pix', 'freenet', 'facegan'),
) -> dict:
    """`kills` rounds of one kill each, `chain` of them in a run, `kinds` in turn."""
    sizes = {'chain': chain, 'seed': seed}
    rounds = Rounds(folder / 'kill', kills, sizes, quiet)
    running: Chain | None = None
    for number in rounds.left():
        index = number // chain
        if running is None or number % chain == 0:
            rng = np.random.default_rng([seed, number])
            where = ground.make(folder, kinds[index % len(kinds)])
            running = Chain(where, rounds, index, rng)
        seen, failures = running.kill()
        if number % chain == chain - 1 or number == kills - 1:
            failures += running.finish()
        rounds.note(number, f'{running.ground.kind}, {seen}', failures)
        if failures:
            running = None  # the next round begins another
    return rounds.result()


def _undisturbed(where: Ground, folder: pathlib.Path) -> tuple[pathlib.Path, float]:
    """The workdir of a run that was left in peace, and its seconds of training."""
    workdir, log = folder / f'peace-{where.kind}', folder / f'peace-{where.kind}.log'
    stages = where.lengths()
    last = Place(len(stages) - 1, *list(stages.items())[-1])
    if digests.fault(last.inside(workdir)) is not None:
        # The first run compiles; where there are no programs yet, another one is timed.
        for _ in range(1 if where.programs.exists() else 2):
            shutil.rmtree(workdir, ignore_errors=True)
            if code := where.run(workdir, log):
                raise RuntimeError(f'exit code {code}, undisturbed: {log.read_text()[-2000:]}')
    begun = places(workdir)[-1].inside(workdir).stat().mtime
    return workdir, last.inside(workdir).stat().mtime - begun + 0.5


def _unfinished(workdir: pathlib.Path) -> set[str]:
    """Temporary checkpoint folders, which orbax renames when they are whole."""
    return {str(item) for item in (workdir / FOLDER).glob('*/*orbax-checkpoint-tmp*')}


def _doing(workdir: pathlib.Path) -> str:
    """What the disk says that a killed process was doing."""
    if list((workdir / FOLDER).glob('*/.trash-*')):
        return 'while deleting an old checkpoint'
    if _unfinished(workdir):
        return 'while writing a checkpoint'
    faults = [digests.fault(place.inside(workdir)) for place in places(workdir)]
    if 'incomplete' in faults:
        return "before a checkpoint's digest"
    return 'between checkpoints' if faults else 'before the first checkpoint'
