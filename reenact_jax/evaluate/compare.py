"""Scores a model on pairs of frames, beside what needs no training, and shows them.

    reenact-jax evaluate --model BUNDLE_or_WORKDIR --data SHARDS --pairs self

Writes into --out: table.md and table.json (means with 95% bootstrap intervals), scores.csv (a row a
pair and method), pairs.csv (the list; give it as --pairs to score the same pairs again) and
sheet.png (best, median and worst pairs). An interrupted run goes on with the same command. Frames
are scored before video encoding, at the model's size. Further measurements are commands of their
own, listed below.
"""

import argparse
import contextlib
import json
import sys

from etils import epath

from reenact_jax import bundle as bundles
from reenact_jax.bundle import Bundle
from reenact_jax.common import command_line, errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet, manifest
from reenact_jax.evaluate import cases, estimators, examples, pairs, progress, scoring, tables
from reenact_jax.evaluate.pairs import Pairs
from reenact_jax.evaluate.scoring import Estimators, Scores
from reenact_jax.export import live, trained
from reenact_jax.media import credentials, writing
from reenact_jax.systems import interface


def options(arguments: list[str], commands: str) -> argparse.Namespace:
    """The command line; `commands`: lines on the others, for the help."""
    parser = errors.Parser(
        prog='reenact-jax evaluate',
        description=__doc__,
        epilog='lists of pairs:\n'
        + '\n'.join(f'  {k}: {v}' for k, v in pairs.KINDS.items())
        + f'\n\nfurther measures, `reenact-jax evaluate NAME --help`:\n{commands}',
    )
    add = parser.add_argument
    add('--model', required=True, metavar='BUNDLE_or_WORKDIR', help='bundle, or folder of a run')
    add('--transfer', metavar='WORKDIR', help='landmark transfer for a --model that is a workdir')
    add('--data', required=True, metavar='SHARDS', help='set with people kept out of training')
    add('--split', help='split of the set; default: gt_cross for those pairs, else test')
    add('--pairs', default='self', metavar='LIST', help='one listed below, or a file; default self')
    add('--most', type=int, default=40, help='most tracks, pairs or people of a list; default 40')
    add('--seed', type=int, default=0, help='random seed of the list; default 0')
    add(
        '--placement', default=cases.AT_TRUTH, choices=cases.PLACEMENTS,
        help='for the lists gt_cross and lsim: every face moved to where the truth has its, or '
        'left where the transfer puts it; default truth',
    )  # fmt: skip
    add('--out', metavar='DIR', help='folder to write; default: out/evaluation/MODEL-LIST')
    estimator_flags(add)
    args = parser.parse_args(arguments)
    if args.most < 1:
        raise UserError(f'--most {args.most}: must be at least 1')
    return args


def estimator_flags(add) -> None:
    """The flags that `measuring` reads; `add` of a parser."""
    add(
        '--identity', default='dlib', metavar='dlib[=FILE]|none',
        help="identity network for CSIM; default dlib: the extra [identity]'s",
    )  # fmt: skip
    add(
        '--attributes', default='mediapipe', choices=('mediapipe', 'none'),
        help='what estimates points, pose and action units of results; default mediapipe',
    )  # fmt: skip
    add(
        '--features', default='identity', metavar='identity|vgg19=FILE|random|none',
        help="features of the Frechet distance; default: the identity network's",
    )  # fmt: skip
    add(
        '--stored', action='store_true',
        help="the driver's pose and action units are the data's (exact in synthetic sets), not "
        'estimated on its frames',
    )  # fmt: skip
    add('--face-landmarker', metavar='FILE', help="the face detector's model file")


def main(arguments: list[str], commands: str) -> int:
    """The command without a name."""
    args = options(arguments, commands)
    credentials.check()  # the sheet is signed, after hours
    command_line.say_device()
    model = read_model(args.model, args.transfer)
    part = ShardSet(args.data, args.split or ('gt_cross' if args.pairs == 'gt_cross' else 'test'))
    chosen = choose(args.pairs, part, args.most, args.seed)
    moved = '' if args.placement == cases.AT_TRUTH else f'-{args.placement}'
    name = f'{storage.path(storage.same(args.model)).name}-{chosen.kind}{moved}'
    out = storage.path(args.out or f'out/evaluation/{name}')
    with measuring(args) as measure:
        what = described(args.model, model, part, chosen, measure, args.stored, args.placement)
        scores = run(model, part, chosen, measure, out, what)
    print(storage.read(out / tables.NAME).decode())
    print(json.dumps({'out': str(out), 'pairs': len(chosen.rows), 'methods': len(scores.values)}))
    return 0


def choose(given: str, part: ShardSet, most: int, seed: int) -> Pairs:
    """The list of that name, or in that file."""
    if given not in pairs.KINDS and storage.exists(given):
        return pairs.read(given, part)
    return pairs.make(part, given, most, seed)


def read_model(path: str, transfer: str | None) -> Bundle:
    """A bundle, or the networks of a workdir, which may be a generator's and a transfer's at once.

    Raises UserError when there is neither, or no image generator.
    """
    if storage.exists(storage.path(path) / bundles.CARD):
        if transfer:
            raise UserError(f'--transfer: {path} is a bundle, which has its own')
        return bundles.load(path)
    generator = trained.read(path)
    if not interface.able(generator.module, generator.nets, 'render'):
        raise UserError(
            f'--model {path}: {generator.system} as trained here makes no images; its landmarks '
            'are measured by `evaluate lmtest`, `ace` and `units`, or give an image generator and '
            f'--transfer {path}'
        )
    mover = trained.read(transfer) if transfer else generator
    if not interface.able(mover.module, mover.nets, 'transfer'):
        if transfer:
            raise UserError(f'--transfer {transfer}: {mover.system} has no landmark transfer')
        mover = None
    return live.assemble(generator, mover)


@contextlib.contextmanager
def measuring(args: argparse.Namespace):
    """The estimators that the command line names."""
    kind, _, path = args.identity.partition('=')
    if kind not in ('dlib', 'none'):
        raise UserError(f'--identity {args.identity}: expected dlib, dlib=FILE or none')
    identity = estimators.Identity(path or None) if kind == 'dlib' else None
    features = None
    if args.features not in ('identity', 'none'):
        features = estimators.Features(args.features)
    with contextlib.ExitStack() as stack:
        attributes = None
        if args.attributes == 'mediapipe':
            attributes = stack.enter_context(estimators.Attributes(args.face_landmarker))
        yield Estimators(identity, attributes, features, args.features != 'none')


def described(
    path: str,
    model: Bundle,
    part: ShardSet,
    chosen: Pairs,
    measure: Estimators,
    stored: bool,
    placement: str = cases.AT_TRUTH,
) -> dict:
    """What is scored on what by whom, as plain values."""
    parts = {'generator': model.card['generator'], 'transfer': model.card['transfer']}
    kept = ('system', 'stage', 'step')
    return {name: card and {k: card.get(k) for k in kept} for name, card in parts.items()} | {
        'model': path,
        'size': model.size,
        'data': part.directory,
        'digest': manifest.read(part.directory)['digest'],
        'split': part.split,
        'pairs': chosen.kind,
        'seed': chosen.seed,
        'count': len(chosen.rows),
        'list': storage.digest(chosen.rows.tobytes()),
        'estimators': [card._asdict() for card in measure.cards()],
        'driver': 'stored' if stored else 'estimated',
        'placement': placement,
    }


def run(
    model: Bundle, part: ShardSet, chosen: Pairs, measure: Estimators, out: epath.Path, what: dict
) -> Scores:
    """Scores, and writes everything; `what`: of `described`."""
    storage.make_folder(out)
    pairs.write(out / 'pairs.csv', chosen, part)
    kept = out / 'progress.jsonl'
    progress.begin(kept, what)
    stored, placement = what['driver'] == 'stored', what['placement']
    scores = scoring.score(model, part, chosen, measure, kept, stored, placement)
    storage.write(out / 'scores.csv', tables.rows(scores, chosen, part))
    storage.write_json(out / 'table.json', what | {'methods': tables.values(scores)})
    storage.write(out / tables.NAME, tables.document(scores, what, measure.cards()))
    sheet = examples.sheet(model, part, chosen, scores, placement)
    if sheet is not None:
        writing.write_still(out / 'sheet.png', sheet)
    else:
        print('no sheet: nothing was measured that pairs can be ordered by', file=sys.stderr)
    progress.end(kept)
    return scores
