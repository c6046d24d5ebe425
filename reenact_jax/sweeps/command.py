"""Train, measure and tabulate the rows of a paper's table: the paper's numbers beside ours.

    reenact-jax sweep aan_table3:cpu --workdir out/tables

Sizes: `:cpu` (hours of a core), `:tiny` (a test of the machinery), or none: the paper's,
which needs your data (--data heads=SHARDS). Rows run one after another and a stopped sweep goes on
with the same command; models and measurements are shared by all tables in one --workdir. Writes
WORKDIR/TABLE/table.md and table.json. For a cluster, --print says one command a training; when all
are done, the sweep without --only measures them. Flags after `--` go to every training, hparams to
those systems that have them:

    reenact-jax sweep fdgan_table3 --workdir gs://... \\
        --data heads=DATA --data people=DATA -- --config.hparams.vgg_weights=vgg19.safetensors
"""

import argparse
import json
import shlex
import sys
from typing import Any

from etils import epath

from reenact_jax.common import command_line, errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.evaluate import compare
from reenact_jax.sweeps import data, measuring, plan, text, training
from reenact_jax.sweeps.plan import Table


def options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command line, and what goes to the trainings."""
    cut = arguments.index('--') if '--' in arguments else len(arguments)
    parser = errors.Parser(
        prog='reenact-jax sweep',
        description=__doc__,
        epilog=data.__doc__,
    )
    add = parser.add_argument
    add('table', metavar='TABLE[:SIZE]', help='name of a file in configs/ablations, or a path')
    add(
        '--workdir',
        required=True,
        metavar='DIR',
        help='folder of models, measurements, tables and synthetic sets',
    )
    add(
        '--data',
        action='append',
        default=[],
        metavar='KIND=SHARDS',
        help='shard set of a kind, see below',
    )
    add(
        '--seeds', type=int, nargs='+', default=[0], help='random seeds of the trainings; default 0'
    )
    add('--most', type=int, default=40, help='most tracks, pairs or people of a list; default 40')
    add('--cases', type=int, default=20_000, help='most cases of landmark transfer; default 20,000')
    add('--only', metavar='MODEL', help='train this one, measure nothing')
    add('--print', action='store_true', help='show one command a training; run nothing')
    compare.estimator_flags(add)
    args = parser.parse_args(arguments[:cut])
    return args, arguments[cut + 1 :]


def main(arguments: list[str] | None = None) -> int:
    """The command. Exit code 42: stopped by a signal; the same command goes on."""
    arguments = sys.argv[1:] if arguments is None else arguments
    args, extra = options(arguments)
    table, workdir = plan.load(args.table), storage.path(args.workdir)
    if args.only and args.only not in table.models:
        raise UserError(f'--only {args.only}: the models are {", ".join(table.models)}')
    if args.print:
        return _commands(table, args, arguments)
    command_line.say_device()
    folders = data.gather(table.needs, table.size, data.given(args.data), workdir)
    folders = {kind: folders[kind] for kind in table.needs}
    trainings = []
    if table.trains:
        trainings = training.plan(table, folders, args.seeds, extra, workdir)
    for one in trainings:
        if args.only in (None, one.model) and (code := training.run(one)):
            return code
    if args.only:
        return 0
    found = measure(table, args, {(t.model, t.seed): t for t in trainings}, folders, workdir)
    command = shlex.join(['reenact-jax', 'sweep', *arguments])
    written = text.document(table, found, trainings, folders, command)
    target = workdir / table.name
    storage.write(target / 'table.md', written)
    plain = {kind: value for kind, value in found.items() if kind != 'lmtest'}
    storage.write(target / 'table.json', json.dumps(plain, indent=1) + '\n')
    print('\n' + written)
    print(json.dumps({'table': str(target / 'table.md')}))
    return 0


def _commands(table: Table, args: argparse.Namespace, arguments: list[str]) -> int:
    rest = [word for word in arguments if word != '--print']
    for seed in args.seeds:
        for model in table.models if table.trains else ():
            print(shlex.join(['reenact-jax', 'sweep', *_with(rest, model, seed)]))
    print('# when these are done:')
    print(shlex.join(['reenact-jax', 'sweep', *rest]))
    return 0


def _with(words: list[str], model: str, seed: int) -> list[str]:
    """The command line for one training; flags for trainings stay behind `--`."""
    cut = words.index('--') if '--' in words else len(words)
    return [*words[:cut], '--only', model, '--seeds', str(seed), *words[cut:]]


def measure(table: Table, args, trainings: dict, folders: dict, workdir: epath.Path) -> dict:
    """Measurement -> row -> seed -> metric -> value; 'rules': what needs no training."""
    found: dict = {}
    for kind in table.measures:
        if kind == plan.SPEED:
            rows = [row for row in table.rows if row.ours]
            found[kind] = {row.name: {0: measuring.speed(table, row)} for row in rows}
        elif kind in plan.LANDMARKS:
            folder = folders[plan.LANDMARKS[kind]]
            found[kind] = _landmarks(table, kind, args, trainings, folder)
        else:
            found[kind] = _pairs(table, kind, args, trainings, folders, workdir)
    return found


def _landmarks(table: Table, kind: str, args, trainings: dict, folder: str) -> dict:
    made: dict[int, Any] = {
        seed: measuring.landmarks(table, kind, trainings, seed, folder, args.cases)
        for seed in args.seeds
    }
    if kind == 'lmtest':
        return made
    names = {row.name for row in table.rows if row.transfer}
    found: dict = {row: {seed: result[row] for seed, result in made.items()} for row in names}
    first = made[args.seeds[0]]
    found['rules'] = {rule: {0: value} for rule, value in first.items() if rule not in names}
    return found


def _pairs(table: Table, kind: str, args, trainings: dict, folders: dict, workdir) -> dict:
    found: dict = {'estimators': []}
    place = workdir / 'evaluations'
    for row in table.rows:
        for seed in args.seeds if row.generator else ():
            made = measuring.pairs(table, row, kind, trainings, seed, folders, place, args)
            found.setdefault(row.name, {})[seed] = made['methods'][made['ours']]
            found['estimators'] = made['estimators']
    generator = made['ours'].rpartition(' + ')[2]
    trained = {f'{name} + {generator}' for name in (made['ours'].rpartition(' + ')[0], 'none')}
    rules = {name: {0: row} for name, row in made['methods'].items() if name not in trained}
    return found | {'rules': rules}
