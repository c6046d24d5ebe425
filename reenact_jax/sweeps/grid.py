"""Train a config with every combination of some settings, and show the runs side by side.

    reenact-jax sweep --config aan:quick --data SHARDS --workdir W \\
        --grid hparams.lambda_c=1,5,25 --seeds 0 1 2

Each combination and seed is a run of its own in W, named by its settings. If interrupted, run the
command again: it resumes. After every run W/compare.html has curves, pictures and last values of
all, and W/table.md means over seeds +- their standard deviation: of the last line of the log, and
with --pairs LIST of scores on held-out people (`reenact-jax evaluate`). Flags after `--` go to
every training.
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from etils import epath

from reenact_jax.common import command_line, errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate import compare
from reenact_jax.evaluate.columns import COLUMNS
from reenact_jax.runs import page, reading
from reenact_jax.sweeps import measuring
from reenact_jax.train import command as train


class Point(NamedTuple):
    """One run of the grid."""

    settings: tuple[tuple[str, str], ...]  # field and value
    seed: int
    workdir: epath.Path

    @property
    def name(self) -> str:
        """Name the run's settings, without the seed."""
        return name_of(self.settings)


def name_of(settings: Sequence[tuple[str, str]]) -> str:
    """Write settings as they name a run: last parts of the fields and values."""
    return ','.join(f'{field.rpartition(".")[2]}={value}' for field, value in settings) or 'run'


def options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; return its options, and the flags for the trainings."""
    cut = arguments.index('--') if '--' in arguments else len(arguments)
    parser = errors.Parser(prog='reenact-jax sweep', description=__doc__)
    add = parser.add_argument
    add('--config', required=True, metavar='NAME[:PRESET]', help='shipped config, or FILE.py')
    add('--data', required=True, metavar='SHARDS', help='shard set to train on, and to score on')
    add('--workdir', required=True, metavar='DIR', help='folder of all runs')
    add(
        '--grid', action='append', default=[], metavar='FIELD=VALUE,VALUE',
        help='field of the config, such as hparams.rate, and its values; several times',
    )  # fmt: skip
    add('--seeds', type=int, nargs='+', default=[0], help='random seeds; default 0')
    add('--pairs', metavar='LIST', help='score each run on this list, as of `evaluate`')
    add('--transfer', metavar='WORKDIR', help='landmark transfer for the scores')
    add('--most', type=int, default=40, help='most tracks, pairs or people of a list; default 40')
    compare.estimator_flags(add)
    args = parser.parse_args(arguments[:cut])
    return args, arguments[cut + 1 :]


def plan(grid: Sequence[str], seeds: Sequence[int], workdir: str) -> list[Point]:
    """List the runs: every combination of values, with every seed.

    Raises:
      UserError: a text has another form, or a field stands twice.
    """
    axes = []
    for text in grid:
        field, sign, values = text.partition('=')
        field = field.removeprefix('config.')
        if not sign or not field or not all(split(values)):
            raise UserError(f'--grid {text}: expected FIELD=VALUE,VALUE, such as hparams.rate=1,2')
        axes.append([(field, value) for value in dict.fromkeys(split(values))])
    names = [axis[0][0] for axis in axes]
    if len(set(names)) < len(names):
        raise UserError(f'--grid: a field stands twice in {", ".join(names)}')
    folder = storage.path(workdir)
    return [
        Point(settings, seed, folder / f'{name_of(settings).replace("/", "_")},seed={seed}')
        for settings in itertools.product(*axes)
        for seed in dict.fromkeys(seeds)
    ]


def split(text: str) -> list[str]:
    """Split values at commas outside of brackets: `(1,2),(3,4)` are two tuples."""
    parts, depth = [''], 0
    for letter in text:
        depth += (letter in '([') - (letter in ')]')
        if letter == ',' and not depth:
            parts.append('')
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code; 42: stopped by a signal, run it again."""
    args, extra = options(arguments)
    points = plan(args.grid, args.seeds, args.workdir)
    for point in points:  # a wrong field is refused before the first run
        command_line.parse(train.define_flags, _flags(args, point, extra), ('config', 'workdir'))
    with storage.owning(args.workdir, what='a sweep'):
        return _run(args, points, extra)


def _run(args: argparse.Namespace, points: Sequence[Point], extra: list[str]) -> int:
    """Train and score one point after another."""
    scores: dict[str, dict[str, float]] = {}
    for number, point in enumerate(points, 1):
        print(f'\n{number} of {len(points)}: {point.workdir}', flush=True)
        if code := train.main(_flags(args, point, extra)):
            return code
        if args.pairs:
            scores[str(point.workdir)] = _scores(args, point)
        show(points[:number], scores, args.workdir)
    print(storage.read(storage.path(args.workdir) / 'table.md').decode())
    print(json.dumps({'page': f'{args.workdir}/compare.html', 'runs': len(points)}))
    return 0


def _flags(args: argparse.Namespace, point: Point, extra: list[str]) -> list[str]:
    """Write the command line of a training."""
    fields = [f'--config.{field}={value}' for field, value in point.settings]
    fields.append(f'--config.seed={point.seed}')
    return [
        f'--config={args.config}', f'--data={args.data}', f'--workdir={point.workdir}', *fields,
        *extra,
    ]  # fmt: skip


def _scores(args: argparse.Namespace, point: Point) -> dict[str, float]:
    """Score a run on held-out people; what was scored before is read."""
    model = compare.read_model(str(point.workdir), args.transfer)
    part = ShardSet(args.data, 'gt_cross' if args.pairs == 'gt_cross' else 'test')
    chosen = compare.choose(args.pairs, part, args.most, 0)
    target = point.workdir / 'evaluation' / chosen.kind
    with compare.measuring(args) as measure:
        what = compare.described(str(point.workdir), model, part, chosen, measure, args.stored)
        results = measuring.earlier(target, what)
        if results is None:
            compare.run(model, part, chosen, measure, target, what)
            results = storage.read_json(target / 'table.json')
    ours = results['methods'][f'{model.transfer_name} + {model.card["generator"]["system"]}']
    return {name: ours[name]['mean'] for name in COLUMNS if name in ours}


def show(points: Sequence[Point], scores: dict[str, dict[str, float]], workdir: str) -> None:
    """Write the page, the table and its numbers for the runs that are done."""
    runs = [reading.read(str(point.workdir)) for point in points]
    measured = [scores.get(str(point.workdir), {}) for point in points]
    logged = [run.last() for run in runs]
    tables = {'Scores': table(points, measured), 'Last lines of the logs': table(points, logged)}
    tables = {heading: rows for heading, rows in tables.items() if len(rows[0]) > 2}
    folder = storage.path(workdir)
    storage.write(folder / 'compare.html', page.write(runs, tables))
    text = '\n\n'.join(f'## {heading}\n\n{_markdown(rows)}' for heading, rows in tables.items())
    storage.write(folder / 'table.md', text + '\n')
    numbers = [
        {**dict(point.settings), 'seed': point.seed, 'scores': one, 'last': last}
        for point, one, last in zip(points, measured, logged, strict=True)
    ]
    storage.write_json(folder / 'table.json', {'runs': numbers})


def table(points: Sequence[Point], values: Sequence[dict[str, float]]) -> list[list[str]]:
    """Return means over seeds +- their standard deviation, a row for each combination."""
    metrics = list(dict.fromkeys(name for one in values for name in one))
    groups: dict[str, list[dict[str, float]]] = {}
    for point, one in zip(points, values, strict=True):
        groups.setdefault(point.name, []).append(one)
    rows = [['settings', 'seeds', *metrics]]
    for name, several in groups.items():
        cells = [_mean([one[m] for one in several if m in one]) for m in metrics]
        rows.append([name, str(len(several)), *cells])
    return rows


def _mean(values: list[float]) -> str:
    if not values:
        return ''
    mean = f'{np.mean(values):.5g}'
    return f'{mean} +- {np.std(values, ddof=1):.2g}' if len(values) > 1 else mean


def _markdown(rows: list[list[str]]) -> str:
    head, *body = ('| ' + ' | '.join(row) + ' |' for row in rows)
    return '\n'.join([head, '|---' * len(rows[0]) + '|', *body])
