"""Evaluation: `reenact-jax evaluate --help`; `... NAME --help` for single measures."""

import argparse
import json
import sys

from reenact_jax import bundle
from reenact_jax.common import command_line, errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate import compare, figure, preview
from reenact_jax.evaluate.papers import ace, lmtest, mixing, references, units, verify
from reenact_jax.export import trained
from reenact_jax.export.trained import Trained
from reenact_jax.media import credentials, watermark, writing


def run_lmtest(args: argparse.Namespace) -> int:
    """Run `reenact-jax evaluate lmtest`; return its exit code."""
    if args.sheet:
        credentials.check()
    results = lmtest.measure(_models(args), ShardSet(args.data, args.split), args.pairs, args.cases)
    if args.sheet and results.sheet is None:
        print(f'{args.sheet}: not written, there are no cases to draw', file=sys.stderr)
    elif args.sheet and results.sheet is not None:
        writing.write_still(args.sheet, watermark.embed(results.sheet))
    values = results._asdict()
    del values['sheet']
    return _finish(args, lmtest.text(results), values)


def run_verify(args: argparse.Namespace) -> int:
    """Run `reenact-jax evaluate verify`; return its exit code."""
    part = ShardSet(args.data, args.split)
    results = verify.measure(_models(args), part, args.pairs)
    return _finish(args, verify.text(results, part), {'auc': results})


def run_ace(args: argparse.Namespace) -> int:
    """Run `reenact-jax evaluate ace`; return its exit code."""
    learnt = ShardSet(args.fit, 'train') if args.fit else None
    part = ShardSet(args.data, args.split)
    results = ace.measure(_models(args), part, args.cases, learnt=learnt)
    return _finish(args, ace.text(results), {'ace': results})


def run_references(args: argparse.Namespace) -> int:
    """Run `reenact-jax evaluate references`; return its exit code."""
    scores = references.measure(bundle.load(args.model), ShardSet(args.data, args.split), args.most)
    return _finish(args, references.text(scores), {'references': scores})


def run_units(args: argparse.Namespace) -> int:
    """Run `reenact-jax evaluate units`; return its exit code."""
    results = units.measure(_models(args), ShardSet(args.data, args.split), args.most)
    return _finish(args, units.text(results), {'units': results})


def run_mixing(args: argparse.Namespace) -> int:
    """Run `reenact-jax evaluate mixing`; return its exit code."""
    results = mixing.measure(_models(args), ShardSet(args.data, args.split), args.most)
    return _finish(args, mixing.text(results), {'mixing': results})


def _models(args: argparse.Namespace) -> dict[str, Trained]:
    """Return name -> model; a model's name is its folder's, or what stands before `=`."""
    models = {}
    for text in args.model:
        name, sign, workdir = text.partition('=')
        if not sign:
            name, workdir = storage.path(text).name, text
        if name in models:
            raise UserError(f'--model: {name!r} twice; name them: --model one={text} two=...')
        models[name] = trained.read(workdir)
    return models


def _finish(args: argparse.Namespace, text: str, values: dict) -> int:
    """Print the text, and write the values to --out if it is given."""
    print(text)
    if args.out:
        values = {'data': args.data, 'split': args.split, 'models': args.model, **values}
        storage.write(args.out, json.dumps(values, indent=1) + '\n')
        print(f'\n{args.out} written', file=sys.stderr)
    return 0


DRAWN = {'figure': figure, 'preview': preview}  # read their own command lines
COMMANDS = {
    'lmtest': (lmtest, run_lmtest),
    'verify': (verify, run_verify),
    'ace': (ace, run_ace),
    'references': (references, run_references),
    'units': (units, run_units),
    'mixing': (mixing, run_mixing),
}


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line of a measure with a name."""
    parser = errors.Parser(prog='reenact-jax evaluate', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='NAME')
    for name, (module, run) in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=_title(module),
            description=module.__doc__,
        )
        add = subparser.add_argument
        if name == 'references':
            add(
                '--model',
                required=True,
                metavar='BUNDLE',
                help='folder that `reenact-jax export` wrote',
            )
        else:
            runs = dict(metavar='[NAME=]WORKDIR', help='workdirs of landmark models')
            add('--model', required=True, nargs='+', **runs)
        add('--data', required=True, metavar='SHARDS', help='set with people kept out of training')
        add('--split', default='test', help='split of the set; default test')
        add('--out', metavar='FILE', help='write the numbers as JSON')
        subparser.set_defaults(run=run)
        if name in ('references', 'units', 'mixing'):
            add('--most', type=_count, default=40, help='most tracks; default 40')
        if name in ('lmtest', 'verify'):
            add(
                '--pairs',
                type=_count,
                default=1_000_000,
                help='pairs of each kind; default 1,000,000',
            )
        if name in ('lmtest', 'ace'):
            add('--cases', type=_count, default=20_000, help='cases of transfer; default 20,000')
        if name == 'ace':
            add('--fit', metavar='SHARDS', help='fit ridge regression to its split train')
        if name == 'lmtest':
            add('--sheet', metavar='FILE', help='draw some cases: .png or .jpg')
    return parser.parse_args(arguments)


def _title(module) -> str:
    """Return the first line of a module's docstring."""
    return module.__doc__.split('\n', 1)[0]


def _count(text: str) -> int:
    """Read a number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number from 1')
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Run one of `COMMANDS`, or the comparison of methods on pairs; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in DRAWN:
        return DRAWN[arguments[0]].main(arguments[1:])
    if not arguments or arguments[0] not in COMMANDS:
        modules = {name: module for name, (module, _) in COMMANDS.items()} | DRAWN
        lines = [f'  {name}: {_title(module)}' for name, module in modules.items()]
        return compare.main(arguments, '\n'.join(lines))
    args = options(arguments)
    command_line.say_device()
    return args.run(args)
