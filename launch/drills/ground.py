"""What the drills train: the smallest LD-Net and AAN, on synthetic people made in seconds."""

import os
import pathlib
import resource
import subprocess
import sys
from typing import NamedTuple

from data_prep import synthetic
from data_prep.heads.plan import Request

ROOT = pathlib.Path(__file__).parent.parent.parent
STAGES = {  # by system: stage -> steps, in order
    'ldnet': {'ldnet_1': 160, 'ldnet_warm': 40, 'ldnet_2': 80},
    'short': {'ldnet_1': 60},
    'aan': {'aan': 12},
}
_POINTS = dict(layers=1, width=8, pose_code=4, identity_code=4, examples=16, frames=2)
_SMALL = {
    'ldnet': _POINTS | dict(stage1_steps=160, warm_steps=40, stage2_steps=80),
    'short': _POINTS | dict(stage1_steps=60, warm_steps=0, stage2_steps=0),
    'aan': dict(norm='batch', extractor='(2,2)', fusion='(2,2)', flow='(2,2)', local='(2,2)')
    | dict(residuals=0, discriminator=1, random_width=1, batch_size=8, steps=12),
}
_RUN = {
    'ldnet': dict(checkpoint_every=20, log_every=20, preview_every=0),
    'short': dict(checkpoint_every=20, log_every=20, preview_every=0),
    'aan': dict(checkpoint_every=3, log_every=3, preview_every=0),
}
_FILES = {'ldnet': 'ldnet_fdgan', 'short': 'ldnet_fdgan', 'aan': 'aan'}


class Ground(NamedTuple):
    """A system, its data and where its compiled programs are kept."""

    system: str  # of STAGES. ldnet, short: landmarks; aan: images, spectral, batch statistics
    data: pathlib.Path
    programs: pathlib.Path

    def arguments(self, workdir: pathlib.Path, *extra: str) -> list[str]:
        """Of reenact_jax.train."""
        given = {f'config.hparams.{name}': value for name, value in _SMALL[self.system].items()}
        given |= {f'config.{name}': value for name, value in _RUN[self.system].items()}
        given |= {'config.data': self.data, 'config.compilation_cache': self.programs}
        file = ROOT / 'configs' / f'{_FILES[self.system]}.py'
        flags = [f'--{name}={value}' for name, value in given.items()]
        return [f'--config={file}:tiny', f'--workdir={workdir}', *flags, *extra]

    def start(self, workdir: pathlib.Path, log: pathlib.Path, *extra: str) -> subprocess.Popen:
        """The command in a process of its own on one CPU device; what it says goes to `log`."""
        command = [sys.executable, '-m', 'reenact_jax.train', *self.arguments(workdir, *extra)]
        environment = os.environ | {
            'JAX_PLATFORMS': 'cpu',
            'XLA_FLAGS': '',
            'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
        }
        with log.open('wb') as file:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)

    def run(
        self, workdir: pathlib.Path, log: pathlib.Path, *extra: str, longest: int | None = None
    ) -> int:
        """The command to its end; its exit code. `longest`: a limit on its files, in bytes."""
        process = self.start(workdir, log, *extra)
        try:
            if longest is not None:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (longest, longest))
            return process.wait()
        finally:
            process.kill()


def make(folder: pathlib.Path, system: str) -> Ground:
    """The ground of a system in a folder shared by the drills; made where it is missing."""
    sizes = dict(val_identities=0, test_identities=0, cross_pairs=0, size=32)
    if system != 'aan':
        request = Request(identities=4, tracks=4, frames=8, landmarks_only=True, **sizes)
    else:
        request = Request(identities=2, tracks=4, frames=2, **sizes)
    data = folder / f'data-{"images" if system == "aan" else "points"}'
    synthetic.write(data, request, workers=1, quiet=True)
    return Ground(system, data, folder / 'programs')
