"""Drills that break real training runs on purpose, again and again, and count the outcomes.

    python -m launch.fault_drill                     every drill in its long form, about 1 1/2 hours
    python -m launch.fault_drill kill --kills 10     one of them, shorter

The runs are small LD-Nets and generators on synthetic people, which are made first (seconds).
Finished rounds are kept in --workdir. If interrupted, run the command again: it resumes. At the end
it prints a table, which WORKDIR/drills.md has too; the counts are in WORKDIR/drills.json. The exit
code is 1 if a round failed.
"""

import argparse
import os
import pathlib
import sys

import jax

from launch.drills import flips, full, kill, nan, processes, settings
from reenact_jax.common import errors, storage
from reenact_jax.common.errors import UserError

DRILLS = {
    'kill': 'SIGKILL at random moments of training and saving; the resumed run ends bit-equal',
    'preempt': 'SIGTERM to one of two processes: both save the same step and exit with 42',
    'lost': 'SIGKILL or SIGSTOP to one of two processes: the other ends in time and says why',
    'full': 'a full disk: whole checkpoints stay, nothing piles up, with room again it resumes',
    'flips': 'flipped bits and cut-off files: shards, checkpoints, bundles, files of motion',
    'nan': "NaN in each player's loss: the step leaves no trace, too many end the run",
    'config': 'every field of every config with wrong values: refused by name',
}
NUMBERS = {  # flag: (default, meaning)
    'kills': (100, 'kill: processes killed'),
    'chain': (10, 'kill: how many of them in one run, whose result is then compared'),
    'preempts': (4, 'preempt: rounds'),
    'losses': (8, 'lost: rounds'),
    'heartbeat': (10, "lost: the heartbeat's timeout in seconds"),
    'disks': (2, 'full: rounds, on a tmpfs (where one may be mounted) and under a limit in turn'),
    'failures': (5, 'full: failed starts in a round'),
    'flips': (2000, 'flips: files damaged: shards, checkpoints, bundles, motion in turn'),
    'nan-limit': (3, 'nan: steps that a run may leave out'),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    flags = _flags(arguments)
    folder = pathlib.Path(flags.workdir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.environ.get('JAX_PLATFORMS'):
        jax.config.update('jax_platforms', 'cpu')
    results = {name: _run(name, folder, flags) for name in flags.drills or DRILLS}
    table = render(results)
    storage.write(folder / 'drills.md', table)
    storage.write_json(folder / 'drills.json', results)
    print(table)
    return int(any(result['failures'] for result in results.values()))


def render(results: dict[str, dict]) -> str:
    """Write the drills' counts as a Markdown table, and the failures below it.

    Args:
      results: the counts by the drill's name.
    """
    lines = ['| drill | rounds | seen | failures | minutes |', '|---|---|---|---|---|']
    for name, result in results.items():
        seen = '; '.join(f'{count} {observation}' for observation, count in result['seen'].items())
        numbers = f'{len(result["failures"])} | {result["minutes"]}'
        lines.append(f'| {name} | {result["rounds"]} | {seen} | {numbers} |')
    failures = [f'- {name}, {text}' for name, r in results.items() for text in r['failures']]
    return '\n'.join([*lines, '', *failures]).rstrip() + '\n'


def _run(name: str, folder: pathlib.Path, flags: argparse.Namespace) -> dict:
    common = {'seed': flags.seed, 'quiet': flags.quiet}
    match name:
        case 'kill':
            return kill.drill(folder, flags.kills, flags.chain, **common)
        case 'preempt':
            return processes.preempt(folder, flags.preempts, **common)
        case 'lost':
            return processes.lost(folder, flags.losses, timeout=flags.heartbeat, **common)
        case 'full':
            return full.drill(folder, flags.disks, flags.failures, **common)
        case 'flips':
            return flips.drill(folder, flags.flips, **common)
        case 'nan':
            return nan.drill(folder, flags.nan_limit, **common)
    return settings.drill(folder, flags.quiet)


def _flags(arguments: list[str] | None) -> argparse.Namespace:
    listed = '\n'.join(f'  {name:10}{text}' for name, text in DRILLS.items())
    parser = errors.Parser(
        prog='python -m launch.fault_drill',
        description=__doc__,
        epilog=f'drills:\n{listed}',
    )
    parser.add_argument('drills', nargs='*', metavar='DRILL', help='listed below; default: all')
    text = 'folder of the rounds (default out/drills)'
    parser.add_argument('--workdir', default='out/drills', metavar='DIR', help=text)
    for name, (default, meaning) in NUMBERS.items():
        text = f'{meaning} (default {default})'
        parser.add_argument(f'--{name}', type=int, default=default, metavar='N', help=text)
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='random seed (default 0)')
    parser.add_argument('--quiet', action='store_true', help='no progress bars')
    flags = parser.parse_args(arguments)
    if unknown := [name for name in flags.drills if name not in DRILLS]:
        raise UserError(f'{unknown[0]!r}: no such drill; there are {", ".join(DRILLS)}')
    for name in NUMBERS:
        if (value := getattr(flags, name.replace('-', '_'))) < 1:
            raise UserError(f'--{name} {value}: expected 1 or more')
    if flags.seed < 0:
        raise UserError(f'--seed {flags.seed}: expected 0 or more')
    return flags


if __name__ == '__main__':
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    errors.command(main, sys.argv[1:])  # without arguments: every drill
