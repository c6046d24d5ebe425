"""The parts of the first minutes on a chip, one function each.

A part takes its folder and `tiny`, and returns plain values, `ok` among them. Parts that start
other processes leave the chip to those: a TPU serves one process.
"""

import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax

from reenact_jax.bench import command as bench
from reenact_jax.bench import device as bench_device
from reenact_jax.bench import parity, trial
from reenact_jax.common import command_line
from reenact_jax.data.shards import ShardSet
from reenact_jax.data_prep import synthetic
from reenact_jax.data_prep.heads.plan import Request
from reenact_jax.train import config
from reenact_jax.train.checkpoints import digests
from reenact_jax.train.checkpoints.places import places

ROOT = pathlib.Path(__file__).parent.parent.parent
# At paper size, with VGG19 in its own width and with random weights: the same arithmetic.
PAPER = {
    'aan': ('aan', ['--config.hparams.features=random', '--config.hparams.random_width=64']),
    'fdgan': ('ldnet_fdgan:fdgan', []),
}
TINY = {'aan': ('aan:tiny', []), 'fdgan': ('ldnet_fdgan:fdgan_tiny', [])}
PARITY = ('ldnet_fdgan:tiny', 'ldnet_fdgan:fdgan_tiny', 'aan:tiny')
ROWS = {False: 8, True: 4}  # rows a chip, by `tiny`
CLOSE = 1e-3  # largest difference of a loss on the chip and on the CPU, in full float32; a share


def device(folder: pathlib.Path, tiny: bool) -> dict:
    """Describe the device, and time its fastest matrix products."""
    seconds = 0.1 if tiny else 1
    kinds = ('float32',) if tiny else ('float32', 'bfloat16')
    memory = (jax.local_devices()[0].memory_stats() or {}).get('bytes_limit')
    peaks = {dtype: bench_device.peak(dtype, seconds) for dtype in kinds}
    chip = jax.default_backend() != 'cpu'
    description = {**bench.machine(), 'count': jax.device_count(), 'memory': memory}
    return {'ok': chip or tiny, **description, 'peak, FLOP/s': peaks}


def data(folder: pathlib.Path, tiny: bool) -> dict:
    """Write synthetic heads for all other parts."""
    size = dict(frames=4, size=64, identities=4) if tiny else dict(frames=8, size=256, identities=8)
    request = Request(tracks=2, test_identities=2, val_identities=0, cross_pairs=0, **size)
    synthetic.write(folder / 'data', request, 1 if tiny else 0, quiet=True)
    return {'ok': True, 'tracks': len(ShardSet(folder / 'data', 'train')), **size}


def tests(folder: pathlib.Path, tiny: bool) -> dict:
    """Run the tests that need a chip."""
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests/test_chip.py']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return {'ok': done.returncode == 0, 'said': done.stdout[-2000:] + done.stderr[-1000:]}


def one_step(folder: pathlib.Path, tiny: bool) -> dict:
    """Compare one step of three systems here and on the CPU."""
    distances = {}
    for name in PARITY[1:2] if tiny else PARITY:
        given = values(folder, name, '--config.size=64')
        distances[name] = parity.compare(given, jax.devices()[0], jax.devices('cpu')[0])
    return {'ok': all(one['highest']['loss'] < CLOSE for one in distances.values()), **distances}


def training(folder: pathlib.Path, tiny: bool, system: str, dtype: str) -> dict:
    """Train a few hundred steps at paper size."""
    name, flags = (TINY if tiny else PAPER)[system]
    rows = ROWS[tiny] * jax.device_count()
    given = values(folder, name, *flags, f'--config.dtype={dtype}', f'--config.batch_size={rows}')
    report = trial.run(given, *((5, 20) if tiny else (300, 25)))
    finite = all(math.isfinite(value) for value in report['losses'].values())
    return {'ok': finite and not any(report['steps left out'].values()), **report}


def resume(folder: pathlib.Path, tiny: bool) -> dict:
    """Kill a run with SIGKILL after its first checkpoint, and give the same command again."""
    name, count, every = ('fdgan_tiny', 40, 4) if tiny else ('fdgan_small', 300, 50)
    rows = ROWS[tiny] * json.loads((folder / 'parts' / 'device.json').read_text())['count']
    command = reenact_jax(
        'train', f'--config=ldnet_fdgan:{name}', f'--workdir={folder / "run"}',
        f'--config.data={folder / "data"}', f'--config.hparams.steps={count}',
        f'--config.checkpoint_every={every}', f'--config.log_every={every}', '--config.size=64',
        f'--config.batch_size={rows}', '--config.preview_every=0',
    )  # fmt: skip
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        while process.poll() is None and not whole(folder / 'run'):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        log = process.communicate()[0].decode()
    killed, begin = whole(folder / 'run'), time.perf_counter()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return {
        'ok': process.returncode == -signal.SIGKILL and again.returncode == 0
        and f'resuming stage fdgan after step {killed}' in again.stdout,
        'killed after step': killed,
        'second start, s': time.perf_counter() - begin,
        'said': (log + again.stdout + again.stderr)[-1500:],
    }  # fmt: skip


def export(folder: pathlib.Path, tiny: bool) -> dict:
    """Export that run as a bundle."""
    where = ('--generator', str(folder / 'run'), '--out', str(folder / 'bundle'), '--overwrite')
    done = subprocess.run(reenact_jax('export', *where), cwd=ROOT, capture_output=True, text=True)
    return {'ok': done.returncode == 0, 'said': done.stderr[-1000:]}


def animate(folder: pathlib.Path, tiny: bool) -> dict:
    """Drive one held-out synthetic person by another: no face detector is needed."""
    shards = ShardSet(folder / 'data', 'test')
    source, driving = (shards.track(n).track_id for n in (0, len(shards) - 1))
    place, out = str(folder / 'data'), folder / 'result.webp'
    done = subprocess.run(
        reenact_jax(
            'reenact', '--model', str(folder / 'bundle'), '--source', place, '--source-track',
            source, '--driving', place, '--driving-track', driving, '--out', str(out),
        ), cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    written = out.stat().st_size if out.exists() else 0
    return {
        'ok': done.returncode == 0 and written > 0,
        'bytes': written,
        'said': done.stderr[-1000:],
    }


def values(folder: pathlib.Path, name: str, *flags: str) -> dict:
    """Read a config as plain values, on the data of the folder."""
    words = [f'--config={name}', f'--config.data={folder / "data"}', *flags]
    return config.to_json(command_line.parse(command_line.define_config, words, ('config',)).config)


def reenact_jax(*words: str) -> list[str]:
    """Return the command line of `reenact-jax` for this interpreter."""
    return [sys.executable, '-m', 'reenact_jax', *words]


def whole(workdir: pathlib.Path) -> int:
    """Return the step of the newest complete checkpoint; 0: there is none."""
    done = (p for p in places(workdir) if os.path.exists(p.inside(workdir) / digests.NAME))
    return next((place.step for place in done), 0)
