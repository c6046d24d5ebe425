"""SIGKILL at random moments of training and saving; the resumed run ends as if nothing happened.

A chain is one run: each of its processes is killed and the next one resumes, until the last one is
left in peace and its result is compared with an undisturbed run. Chains train in turn LD-Net (three
stages), AAN (spectral vectors, batch statistics, images), FD-GAN, Pix2PixHD, FReeNet (the networks
of one stage are frozen in the next), FACEGAN and the first order motion model.
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
READY = b': compiling'  # in the log just before the loop over steps begins


class Chain:
    """One run that is killed again and again, beside an undisturbed one."""

    def __init__(self, where: Ground, rounds: Rounds, number: int, rng: np.random.Generator):
        self.ground, self.rng = where, rng
        self.workdir = rounds.folder / f'chain-{number}'
        self.log = rounds.folder / f'chain-{number}.log'
        self.peace, self.seconds = _undisturbed(where, rounds.folder)
        shutil.rmtree(self.workdir, ignore_errors=True)

    def kill(self) -> tuple[str, list[str]]:
        """Start the run and kill it; return what it was doing then, and failures on the way."""
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
            failures += self._ended(code)  # it ended before it was killed: a whole run to compare
            if failures:
                return 'ended by itself', failures
            shutil.rmtree(self.workdir)

    def finish(self) -> list[str]:
        """Let the run come to its end; list what differs from the undisturbed one."""
        before = states.newest(self.workdir)
        code = self.ground.run(self.workdir, self.log)
        failures = self._ended(code) or self._resumed(before)
        if not failures:
            shutil.rmtree(self.workdir)
        return failures

    def _wait(self, process: subprocess.Popen) -> bool:
        """Wait for the moment to kill; return False if the process ended before it."""
        end = time.monotonic() + PATIENCE
        saving = self.rng.random() < 0.5
        known, count = _unfinished(self.workdir), int(self.rng.integers(1, 4))
        delay = self.rng.uniform(0, 0.3 if saving else self.seconds)
        while process.poll() is None and time.monotonic() < end:
            new = _unfinished(self.workdir) - known
            known |= new
            count -= len(new)
            if (saving and count <= 0) or (not saving and READY in self.log.read_bytes()):
                try:
                    process.wait(delay)
                except subprocess.TimeoutExpired:
                    return True
            time.sleep(POLL)
        return False

    def _resumed(self, before: Place | None) -> list[str]:
        """Check that the process resumed from the newest valid checkpoint, if it came so far."""
        text = self.log.read_text()
        if before is None or not text.count(READY.decode()):
            return [] if 'Traceback' not in text else [f'{self.log}: {text[-300:]}']
        whole = before.step == self.ground.lengths()[before.stage]
        expected = f'resuming stage {before.stage} after step {before.step}\n'
        if whole == (expected in text) or ('resuming' in text) == whole:
            return [f'{self.workdir}: {before} was valid and not resumed from: {text[-300:]}']
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
    kinds: tuple[str, ...] = ('ldnet', 'aan', 'fdgan', 'pix2pix', 'freenet', 'facegan', 'fomm'),
) -> dict:
    """Kill one process in each round.

    Args:
      folder: of the drills.
      kills: rounds.
      chain: kills in one run.
      seed: of the moments.
      quiet: no progress bar.
      kinds: of the runs, in turn.

    Returns:
      The counts.
    """
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
    """Make an undisturbed run; return its workdir and its seconds of training."""
    workdir, log = folder / f'peace-{where.kind}', folder / f'peace-{where.kind}.log'
    stages = where.lengths()
    last = Place(len(stages) - 1, *list(stages.items())[-1])
    if digests.fault(last.inside(workdir)) is not None:
        # The first run compiles; if there were no programs before, a second one is timed.
        for _ in range(1 if where.programs.exists() else 2):
            shutil.rmtree(workdir, ignore_errors=True)
            if code := where.run(workdir, log):
                raise RuntimeError(f'exit code {code}, undisturbed: {log.read_text()[-2000:]}')
    begun = places(workdir)[-1].inside(workdir).stat().mtime
    return workdir, last.inside(workdir).stat().mtime - begun + 0.5


def _unfinished(workdir: pathlib.Path) -> set[str]:
    """List temporary checkpoint folders, which orbax renames when they are whole."""
    return {str(item) for item in (workdir / FOLDER).glob('*/*orbax-checkpoint-tmp*')}


def _doing(workdir: pathlib.Path) -> str:
    """Infer from the disk what a killed process was doing."""
    if list((workdir / FOLDER).glob('*/.trash-*')):
        return 'while deleting an old checkpoint'
    if _unfinished(workdir):
        return 'while writing a checkpoint'
    faults = [digests.fault(place.inside(workdir)) for place in places(workdir)]
    if 'incomplete' in faults:
        return "before a checkpoint's digest"
    return 'between checkpoints' if faults else 'before the first checkpoint'
