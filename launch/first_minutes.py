"""A first test of a TPU or a GPU, in at most eight minutes; the results are one JSON file.

    bash launch/first_minutes_tpu.sh        or launch/first_minutes_gpu.sh, which call this

Each part is a process of its own with a limit on its time, in this order: a description of the
device; synthetic heads; one training step here and on the CPU; AAN and FD-GAN at paper size for a
few hundred steps in bfloat16 and float32 (seconds of compilation, milliseconds of a step beside the
shortest that its FLOPs allow, memory, waiting for data); a run that is killed and resumed; its
export; an animation; the tests that need a chip. OUT/first_minutes.json is written after every
part. If a part fails, the others still run. The exit code is 1 if a part failed or the time did not
suffice for all.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from launch.minutes import parts
from reenact_jax.common import errors, storage
from reenact_jax.common.errors import UserError

TRAININGS = {
    f'{system}, {dtype}': functools.partial(parts.training, system=system, dtype=dtype)
    for dtype in ('bfloat16', 'float32')
    for system in ('fdgan', 'aan')
}
PARTS = {  # name: (function, seconds at most)
    'device': (parts.device, 60),
    'data': (parts.data, 90),
    'one step': (parts.one_step, 120),
    **{name: (function, 150) for name, function in TRAININGS.items()},
    'resume': (parts.resume, 100),
    'export': (parts.export, 60),
    'animate': (parts.animate, 60),
    'tests': (parts.tests, 120),
}
NAME = 'first_minutes.json'


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(prog='python -m launch.first_minutes', description=__doc__)
    add = parser.add_argument
    add('--out', default='out/first_minutes', metavar='DIR', help='default out/first_minutes')
    add('--seconds', type=float, default=470, help='time for all parts together; default 470')
    add('--tiny', action='store_true', help='everything small, on any device: tests the script')
    add('--part', choices=PARTS, help=argparse.SUPPRESS)  # the process of one part
    args = parser.parse_args(arguments)
    folder = pathlib.Path(args.out).absolute()
    if args.part:
        outcome = PARTS[args.part][0](folder, args.tiny)
        storage.write_json(_file(folder, args.part), outcome)
        return 0
    if args.seconds <= 0:
        raise UserError(f'--seconds {args.seconds}: expected more than 0')
    if any(folder.glob('*')):
        raise UserError(f'--out {args.out}: is not empty; name another folder')
    results = run(folder, args.tiny, time.monotonic() + args.seconds)
    print(f'{folder / NAME} written')
    return int(not all(result['ok'] for result in results.values()))


def run(folder: pathlib.Path, tiny: bool, end: float) -> dict:
    """Run all parts for which there is time.

    Args:
      folder: for the parts' files and the results.
      tiny: everything small, to test the script.
      end: when the time is up, as time.monotonic counts.

    Returns:
      Results by the part's name.
    """
    results: dict[str, dict] = {}
    (folder / 'parts').mkdir(parents=True, exist_ok=True)
    for name, (_, most) in PARTS.items():
        begin = time.monotonic()
        results[name] = _part(folder, name, tiny, min(most * (5 if tiny else 1), end - begin))
        results[name]['seconds'] = round(time.monotonic() - begin, 1)
        storage.write_json(folder / NAME, {'tiny': tiny, **results})
        state = 'ok' if results[name]['ok'] else f'FAILED: {results[name].get("error", "see JSON")}'
        print(f'{name:<18}{results[name]["seconds"]:>7} s  {state}', flush=True)
    return results


def _part(folder: pathlib.Path, name: str, tiny: bool, seconds: float) -> dict:
    if seconds < 1:
        return {'ok': False, 'error': 'no time was left'}
    command = [sys.executable, '-m', 'launch.first_minutes', '--part', name, '--out', str(folder)]
    programs = os.environ.get('JAX_COMPILATION_CACHE_DIR', str(folder / 'programs'))
    log = _file(folder, name).with_suffix('.log')
    with log.open('wb') as file:
        process = subprocess.Popen(
            command + ['--tiny'] * tiny,
            env=os.environ | {'JAX_COMPILATION_CACHE_DIR': programs},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return {'ok': False, 'error': f'not done after {seconds:.0f} s'}
        finally:  # also kill the processes that it started: they would keep the chip
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        last = log.read_text(errors='replace').strip().splitlines()[-8:]
        return {'ok': False, 'error': f'exit code {code}: ' + '\n'.join(last)}
    return json.loads(_file(folder, name).read_text())


def _file(folder: pathlib.Path, name: str) -> pathlib.Path:
    return folder / 'parts' / f'{name.replace(", ", "_").replace(" ", "_")}.json'


if __name__ == '__main__':
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through `finally`: the part ends too
    errors.command(main, sys.argv[1:])
