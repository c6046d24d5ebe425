"""Train, measure and tabulate the rows of a paper's table: the paper's numbers beside ours.

    reenact-jax sweep aan_table3:cpu --workdir out/tables

Sizes: `:cpu` (hours of a core), `:tiny` (a test of the machinery), or none: the paper's,
which needs your data (--data heads=SHARDS). Rows run one after another. If interrupted, run the
command again: it resumes. Tables in one --workdir share models and measurements. The results are
WORKDIR/TABLE/table.md and table.json. For a cluster, --print shows one command for each training,
and --print-as shows them as a Slurm array, as JobSets or for xpk; --collect measures what is
trained so far and names what is missing. Flags after `--` go to every training, hparams to those
systems that have them. --results ROW=FOLDER fills in the row of another program, with a folder
FOLDER/KIND for each list of pairs (`evaluate --export-pairs` writes what is to be animated):

    reenact-jax sweep fdgan_table3 --workdir gs://... \\
        --data heads=DATA --data people=DATA -- --config.hparams.vgg_weights=vgg19.safetensors

With --config it is a sweep of settings of your own, and no paper's table (its flags:
`reenact-jax sweep --config aan:quick --help`):

    reenact-jax sweep --config aan:quick --data DATA --grid hparams.lambda_c=1,5,25 --workdir out/w
"""

import argparse
import json
import re
import shlex
import sys
from typing import Any

from etils import epath

from reenact_jax.common import command_line, errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.evaluate import compare
from reenact_jax.sweeps import clusters, collecting, data, grid, measuring, plan, text, training
from reenact_jax.sweeps.plan import Table


def options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; return its options, and the flags for the trainings."""
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
    add('--only', metavar='MODEL', help='train this model alone; measure nothing')
    add('--print', action='store_true', help='show one command a training; run nothing')
    add('--print-as', choices=clusters.FORMS, help='show the trainings as jobs; run nothing')
    add('--prepare', action='store_true', help='make the data that are not given; do nothing else')
    add('--collect', action='store_true', help='train nothing; measure what is trained so far')
    add(
        '--results', action='append', default=[], metavar='ROW=FOLDER',
        help='results of another program, for a row without a model here; FOLDER/self, ...',
    )  # fmt: skip
    compare.estimator_flags(add)
    args = parser.parse_args(arguments[:cut])
    return args, arguments[cut + 1 :]


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code; 42: stopped by a signal, run it again."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if any(re.match('--(config|grid)(=|$)', word) for word in _own(arguments)):
        return grid.main(arguments)
    args, extra = options(arguments)
    table, workdir = plan.load(args.table), storage.path(args.workdir)
    results = measuring.results_of(table, args.results)
    if args.only and args.only not in table.models:
        raise UserError(f'--only {args.only}: the models are {", ".join(table.models)}')
    if args.only and args.collect:
        raise UserError('--only trains and --collect measures: give one of them')
    if args.print or args.print_as:
        return _commands(table, args, arguments)
    data.missing(table.needs, table.size, data.read_flags(args.data))  # before a folder is made
    args.results = results
    if args.only or args.prepare:  # many at a time, as jobs of a cluster
        return _run(table, args, extra, arguments, workdir)
    with storage.owning(workdir / table.name, what='a sweep'):
        return _run(table, args, extra, arguments, workdir)


def _run(table: Table, args, extra: list[str], arguments: list[str], workdir: epath.Path) -> int:
    """Make the data, train and measure, as far as the arguments ask for it."""
    if not args.only:  # a training says it itself, once its other processes have started
        command_line.say_device()
    folders = data.gather(table.needs, table.size, data.read_flags(args.data), workdir)
    folders = {kind: folders[kind] for kind in table.needs}
    if args.prepare:
        return 0
    trainings = []
    if table.trains:
        trainings = training.plan(table, folders, args.seeds, extra, workdir)
    if args.collect:
        missing = collecting.missing(trainings)
    else:
        missing = {}
        for one in trainings:
            if args.only in (None, one.model) and (code := training.run(one)):
                return code
    if args.only:
        return 0
    command = shlex.join(['reenact-jax', 'sweep', *arguments])
    return _tabulate(table, args, trainings, missing, folders, workdir, command)


def _own(arguments: list[str]) -> list[str]:
    """Return the arguments before those for the trainings."""
    return arguments[: arguments.index('--')] if '--' in arguments else arguments


def _tabulate(table: Table, args, trainings, missing, folders, workdir, command: str) -> int:
    """Measure the rows whose models are trained, write the table and say what is missing."""
    late = collecting.waiting(table, missing)
    ready = table._replace(rows=[row for row in table.rows if row not in late])
    results = measure(ready, args, {(t.model, t.seed): t for t in trainings}, folders, workdir)
    unfinished = [f'{model}, seed {seed}: {far}' for (model, seed), far in missing.items()]
    document = text.document(table, results, trainings, folders, command, late, unfinished)
    target = workdir / table.name
    storage.write(target / 'table.md', document)
    plain = {kind: value for kind, value in results.items() if kind != 'lmtest'}
    storage.write(target / 'table.json', json.dumps(plain, indent=1) + '\n')
    print('\n' + document)
    for line in unfinished:
        print(f'missing: {line}')
    print(json.dumps({'table': str(target / 'table.md'), 'missing': unfinished}))
    return 0


def _commands(table: Table, args: argparse.Namespace, arguments: list[str]) -> int:
    """Print the trainings, one command each or as jobs of a cluster."""
    rest = _without(arguments)
    rows = [
        (model, seed, ['reenact-jax', 'sweep', *_with(rest, model, seed)])
        for seed in args.seeds
        for model in (table.models if table.trains else ())
    ]
    whole = ['reenact-jax', 'sweep', *rest]
    if args.print_as in (None, 'commands'):
        for _, _, words in rows:
            print(shlex.join(words))
        print('# when these are done:')
        print(shlex.join(whole))
        return 0
    if not rows:
        raise UserError(f'--print-as {args.print_as}: {table.name} trains nothing; leave it out')
    given = data.read_flags(args.data)
    kinds = [kind for kind in table.needs if kind not in given]
    if kinds and table.size not in data.REQUESTS:
        data.gather(table.needs, table.size, given, storage.path(args.workdir))  # raises UserError
    prepare, collect = (_flagged(whole, flag) for flag in ('--prepare', '--collect'))
    jobs = [clusters.row(table.name, *row) for row in rows]
    print(clusters.render(args.print_as, jobs, prepare if kinds else None, collect), end='')
    return 0


def _without(arguments: list[str]) -> list[str]:
    """Remove the flags of printing from the command line."""
    rest, words = [], iter(arguments)
    for word in words:
        if word == '--print-as':
            next(words)
        elif word != '--print' and not word.startswith('--print-as='):
            rest.append(word)
    return rest


def _flagged(words: list[str], *flags: str) -> list[str]:
    """Add flags to the command line, before those for the trainings."""
    cut = words.index('--') if '--' in words else len(words)
    return [*words[:cut], *flags, *words[cut:]]


def _with(words: list[str], model: str, seed: int) -> list[str]:
    """Narrow the command line to one training."""
    return _flagged(words, '--only', model, '--seeds', str(seed))


def measure(table: Table, args, trainings: dict, folders: dict, workdir: epath.Path) -> dict:
    """Make all measurements of a table.

    Args:
      table: what is measured, and on which rows.
      args: the command's options.
      trainings: (model, seed) -> `Training`.
      folders: kind of data -> shard set.
      workdir: where evaluations are kept.

    Returns:
      Measurement -> row -> seed -> metric -> value; the row 'rules': methods without training.
    """
    results: dict = {}
    for kind in table.measures:
        if kind == plan.SPEED:
            rows = [row for row in table.rows if row.ours]
            results[kind] = {row.name: {0: measuring.speed(table, row)} for row in rows}
        elif kind in plan.LANDMARKS:
            results[kind] = _landmarks(table, kind, args, trainings, folders)
        else:
            results[kind] = _pairs(table, kind, args, trainings, folders, workdir)
    return results


def _landmarks(table: Table, kind: str, args, trainings: dict, folders: dict) -> dict:
    if not any(row.transfer for row in table.rows):
        return {}
    scores: dict[int, Any] = {
        seed: measuring.landmarks(table, kind, trainings, seed, folders, args.cases)
        for seed in args.seeds
    }
    if kind == 'lmtest':
        return scores
    names = {row.name for row in table.rows if row.transfer}
    results: dict = {row: {seed: result[row] for seed, result in scores.items()} for row in names}
    first = scores[args.seeds[0]]
    results['rules'] = {rule: {0: value} for rule, value in first.items() if rule not in names}
    return results


def _pairs(table: Table, kind: str, args, trainings: dict, folders: dict, workdir) -> dict:
    results: dict = {'estimators': []}
    scores = None
    place = workdir / 'evaluations'
    waiting = args.results
    for row in table.rows:
        for seed in args.seeds if row.generator else ():
            measured = table, row, kind, trainings, seed, folders, place, args
            scores = measuring.pairs(*measured, waiting)
            results |= {name: {0: scores['methods'][name]} for name in waiting}
            waiting = {}  # scored once, beside the first row
            results.setdefault(row.name, {})[seed] = scores['methods'][scores['ours']]
            results['estimators'] = scores['estimators']
    if scores is None:  # no row is trained yet
        return results
    generator = scores['ours'].rpartition(' + ')[2]
    trained = {f'{name} + {generator}' for name in (scores['ours'].rpartition(' + ')[0], 'none')}
    trained |= args.results.keys()
    rules = {name: {0: row} for name, row in scores['methods'].items() if name not in trained}
    return results | {'rules': rules}
