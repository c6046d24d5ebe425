"""The trainings of the drills: each system at its smallest, on people made in seconds."""

import os
import pathlib
import resource
import subprocess
import sys
from typing import NamedTuple

from reenact_jax.data_prep import synthetic
from reenact_jax.data_prep.heads.plan import Request

ROOT = pathlib.Path(__file__).parent.parent.parent
_POINTS = dict(layers=1, width=8, pose_code=4, identity_code=4, examples=16, frames=2)
_AAN = dict(norm='batch', extractor='(2,2)', fusion='(2,2)', flow='(2,2)', local='(2,2)') | dict(
    residuals=0, discriminator=1, random_width=1, batch_size=8
)
_FDGAN = dict(widths='(2,2)', rows='(4,2)', tag=2, discriminator='(2,2)', batch_size=8)
_FREENET = dict(ulc_width=4, width=2, discriminator=1, random_width=1) | dict(
    ulc_batch=8, gag_batch=8
)
_FACEGAN = dict(
    width=2, downs=2, blocks=1, discriminator=1, random_width=1, lt_batch=8, batch_size=8
)
_FOMM = dict(
    keypoints=3, kp_width=2, motion_width=2, width=2, d_width=1, d_layers=2, random_width=1
) | dict(lambda_features='(10.0,10.0)', scales='(1.0,0.5)', batch_size=8)
_HD = dict(width=2, downs=1, discriminator=1, random_width=1, batch_size=8)


class Kind(NamedTuple):
    """A training: a preset made smaller still."""

    config: str
    stages: dict[str, tuple[str, int]]  # in order: the setting of a stage's length, its steps
    hparams: dict
    every: int  # steps from one checkpoint to the next
    images: bool


KINDS = {
    'ldnet': Kind(
        'ldnet_fdgan.py:tiny',
        {
            'ldnet_1': ('stage1_steps', 160),
            'ldnet_warm': ('warm_steps', 40),
            'ldnet_2': ('stage2_steps', 80),
        },
        _POINTS,
        every=20,
        images=False,
    ),
    'short': Kind(
        'ldnet_fdgan.py:tiny',
        {'ldnet_1': ('stage1_steps', 60)},
        _POINTS | dict(warm_steps=0, stage2_steps=0),
        every=20,
        images=False,
    ),
    'aan': Kind('aan.py:tiny', {'aan': ('steps', 12)}, _AAN, every=3, images=True),
    'fdgan': Kind(
        'ldnet_fdgan.py:fdgan_tiny', {'fdgan': ('steps', 12)}, _FDGAN, every=3, images=True
    ),
    'freenet': Kind(
        'freenet.py:tiny',
        {'ulc': ('ulc_steps', 12), 'gag': ('gag_steps', 6)},
        _FREENET,
        every=3,
        images=True,
    ),
    'facegan': Kind(
        'facegan.py:tiny',
        {
            'lt': ('lt_steps', 12),
            'reenactor_half': ('r1_steps', 3),
            'reenactor': ('r2_steps', 3),
            'mixer_half': ('b1_steps', 3),
            'mixer': ('b2_steps', 3),
            'joint': ('joint_steps', 6),
        },
        _FACEGAN,
        every=3,
        images=True,
    ),
    'fomm': Kind('fomm.py:tiny', {'fomm': ('steps', 12)}, _FOMM, every=3, images=True),
    'pix2pix': Kind(
        'pix2pix.py:hd_tiny',
        {
            'pix2pixhd_global': ('global_steps', 6),
            'pix2pixhd_local': ('local_steps', 3),
            'pix2pixhd_joint': ('joint_steps', 6),
        },
        _HD,
        every=3,
        images=True,
    ),
}


class Ground(NamedTuple):
    """A system, its data, and the folder of its compiled programs."""

    kind: str  # one of KINDS
    data: pathlib.Path
    programs: pathlib.Path

    def arguments(self, workdir: pathlib.Path, *extra: str) -> list[str]:
        """List the arguments of reenact_jax.train."""
        kind = KINDS[self.kind]
        values = kind.hparams | dict(kind.stages.values())
        values = {f'config.hparams.{name}': value for name, value in values.items()}
        values |= {'config.data': self.data, 'config.compilation_cache': self.programs}
        values |= {'config.checkpoint_every': kind.every, 'config.log_every': kind.every}
        values |= {'config.preview_every': 0}
        flags = [f'--{name}={value}' for name, value in values.items()]
        return [
            f'--config={ROOT / "configs" / kind.config}',
            f'--workdir={workdir}',
            *flags,
            *extra,
        ]

    def lengths(self) -> dict[str, int]:
        """Return the steps of each stage, in order."""
        return {stage: steps for stage, (_, steps) in KINDS[self.kind].stages.items()}

    def start(self, workdir: pathlib.Path, log: pathlib.Path, *extra: str) -> subprocess.Popen:
        """Start the command in a process of its own on one CPU device; its output goes to `log`."""
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
        """Run the command to its end.

        Args:
          workdir: of the run.
          log: file of its output.
          *extra: more arguments.
          longest: limit on the length of its files, bytes.

        Returns:
          Its exit code.
        """
        process = self.start(workdir, log, *extra)
        try:
            if longest is not None:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (longest, longest))
            return process.wait()
        finally:
            process.kill()


def make(folder: pathlib.Path, kind: str) -> Ground:
    """Prepare a kind in a folder that the drills share; data are made where they are missing."""
    sizes = dict(val_identities=0, test_identities=0, cross_pairs=0, size=32)
    if KINDS[kind].images:
        request = Request(identities=2, tracks=4, frames=2, **sizes)
    else:
        request = Request(identities=4, tracks=4, frames=8, landmarks_only=True, **sizes)
    data = folder / f'data-{"images" if KINDS[kind].images else "points"}'
    synthetic.write(data, request, workers=1, quiet=True)
    return Ground(kind, data, folder / 'programs')
