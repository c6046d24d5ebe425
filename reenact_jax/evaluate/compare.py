"""Score a model on pairs of frames, beside methods without training, and show some pairs.

    reenact-jax evaluate --model BUNDLE_or_WORKDIR --data SHARDS --pairs self

The command writes into --out: table.md and table.json (means with 95% bootstrap intervals),
scores.csv (a row for each pair and method), pairs.csv (the list; give it as --pairs to score the
same pairs again) and sheet.png (best, median and worst pairs). If interrupted, run the same command
again: it resumes. Frames are scored before video encoding, at the model's size. Further
measurements are commands of their own, listed below.

Other programs: `--export-pairs FOLDER` writes what they have to animate, and --results NAME=FOLDER
scores what they made beside the model.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence

from etils import epath

from reenact_jax import bundle as bundles
from reenact_jax.bundle import Bundle
from reenact_jax.common import command_line, errors, outside, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet, manifest
from reenact_jax.evaluate import (
    cases,
    estimators,
    examples,
    handing,
    pairs,
    progress,
    scoring,
    tables,
    video_lists,
)
from reenact_jax.evaluate.others import Other, warnings
from reenact_jax.evaluate.others import find as find_results
from reenact_jax.evaluate.pairs import Pairs
from reenact_jax.evaluate.scoring import Estimators, Scores
from reenact_jax.export import live, trained
from reenact_jax.media import credentials, watermark, writing
from reenact_jax.systems import interface


def options(arguments: list[str], commands: str) -> argparse.Namespace:
    """Read the command line.

    Args:
      arguments: what was typed.
      commands: lines on the other commands, for the help.

    Raises:
      UserError: a flag is wrong; the message names it.
    """
    parser = errors.Parser(
        prog='reenact-jax evaluate',
        description=__doc__,
        epilog='lists of pairs:\n'
        + '\n'.join(f'  {k}: {v}' for k, v in pairs.KINDS.items())
        + f'\n\nfurther measures, `reenact-jax evaluate NAME --help`:\n{commands}',
    )
    add = parser.add_argument
    add('--model', metavar='BUNDLE_or_WORKDIR', help='bundle, or folder of a run')
    add('--transfer', metavar='WORKDIR', help='landmark transfer for a --model that is a workdir')
    add('--data', required=True, metavar='SHARDS', help='set with people kept out of training')
    add('--split', help='split of the set; default: gt_cross for those pairs, else test')
    add('--pairs', default='self', metavar='LIST', help='list named below, or a file; default self')
    add('--most', type=int, default=40, help='most tracks, pairs or people of a list; default 40')
    add('--seed', type=int, default=0, help='random seed of the list; default 0')
    add(
        '--placement', default=cases.AT_TRUTH, choices=cases.PLACEMENTS,
        help='for the lists gt_cross and lsim: move every face to where the ground truth has it, '
        'or leave it where the transfer puts it; default truth',
    )  # fmt: skip
    add('--out', metavar='DIR', help='folder to write; default: out/evaluation/MODEL-LIST')
    add(
        '--results', action='append', default=[], metavar='NAME=FOLDER',
        help='results of another program for this list, see --export-pairs; several times',
    )  # fmt: skip
    add('--export-pairs', metavar='FOLDER', help='write the list for other programs; score nothing')
    estimator_flags(add)
    args = parser.parse_args(arguments)
    if args.most < 1:
        raise UserError(f'--most {args.most}: must be at least 1')
    if not args.model and not args.export_pairs:
        parser.error('the following arguments are required: --model')
    return args


def estimator_flags(add) -> None:
    """Add the flags that `measuring` reads; `add` is the `add_argument` of a parser."""
    add(
        '--identity', default='dlib', metavar='dlib[=FILE]|arcface=FILE|vggface2=FILE|NAME|none',
        help="identity network for CSIM; default dlib: the extra [identity]'s; ArcFace's and "
        "VGGFace2's as ONNX files that you bring; NAME: a function of your own, "
        'my_package.measures:embed (docs/cookbook.md)',
    )  # fmt: skip
    add(
        '--attributes', default='mediapipe', metavar='mediapipe|NAME|none',
        help='estimator of points, pose and action units of results; default mediapipe; NAME: a '
        'detector of your own, which gives points alone',
    )  # fmt: skip
    add(
        '--features', default='identity',
        metavar='identity|inception=FILE|vgg19=FILE|random|NAME|none',
        help="features of the Frechet distance; default: the identity network's; inception: an "
        'ONNX file of FID\'s Inception that you bring, which makes the distance FID',
    )  # fmt: skip
    add(
        '--stored', action='store_true',
        help="take the driver's pose and action units from the data (exact in synthetic sets), do "
        'not estimate them on its frames',
    )  # fmt: skip
    add('--face-landmarker', metavar='FILE', help="the face detector's model file")


def main(arguments: list[str], commands: str) -> int:
    """Run `reenact-jax evaluate` without a name; return its exit code."""
    args = options(arguments, commands)
    if not args.export_pairs:
        credentials.check()  # the sheet is signed, after hours
    command_line.say_device()
    part = ShardSet(args.data, args.split or ('gt_cross' if args.pairs == 'gt_cross' else 'test'))
    chosen = choose(args.pairs, part, args.most, args.seed)
    if args.export_pairs:
        count = handing.write(args.export_pairs, part, chosen)
        print(f'{args.export_pairs}: {count} cases; README.txt there says how to give results back')
        return 0
    others = find_results(args.results, chosen)
    model = read_model(args.model, args.transfer)
    moved = '' if args.placement == cases.AT_TRUTH else f'-{args.placement}'
    name = f'{storage.path(storage.same(args.model)).name}-{chosen.kind}{moved}'
    out = storage.path(args.out or f'out/evaluation/{name}')
    with measuring(args) as measure:
        what = described(args.model, model, part, chosen, measure, args.stored, args.placement)
        what |= {'results': {one.name: one.facts() for one in others}} if others else {}
        scores = run(model, part, chosen, measure, out, what, others)
    for line in warnings(dict(scores.alignment)):
        print(f'warning: {line}', file=sys.stderr)
    print(storage.read(out / tables.NAME).decode())
    print(json.dumps({'out': str(out), 'pairs': len(chosen.rows), 'methods': len(scores.values)}))
    return 0


def choose(given: str, part: ShardSet, most: int, seed: int) -> Pairs:
    """Return the list of pairs with this name, or from this file."""
    if given not in pairs.KINDS and storage.exists(given):
        if video_lists.is_list(given):
            return video_lists.read(given, part)
        return pairs.read(given, part)
    return pairs.make(part, given, most, seed)


def read_model(path: str, transfer: str | None) -> Bundle:
    """Read a bundle, or the networks of a workdir, which may be a generator's and a transfer's.

    Args:
      path: a bundle, or the workdir of a generator.
      transfer: workdir of a transfer; None: that of `path`, if it has one.

    Raises:
      UserError: there is neither a bundle nor a workdir, or no image generator.
    """
    if bundles.is_bundle(path):
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
    """Open the estimators that the command line names.

    Raises:
      UserError: an estimator is unknown or missing.
    """
    identity = _identity(args.identity)
    features = None
    if outside.is_name(args.features):
        features = estimators.Own(args.features, 'features')
    elif args.features.startswith('inception='):
        features = estimators.Brought('inception', args.features.partition('=')[2])
    elif args.features not in ('identity', 'none'):
        features = estimators.Features(args.features)
    own = args.attributes if outside.is_name(args.attributes) else None
    if own is None and args.attributes not in ('mediapipe', 'none'):
        raise UserError(
            f'--attributes {args.attributes}: expected mediapipe, none or a function of your own, '
            'my_package.faces:find'
        )
    with contextlib.ExitStack() as stack:
        attributes = None
        if args.attributes != 'none':
            opened = estimators.Attributes(args.face_landmarker, own=own)
            attributes = stack.enter_context(opened)
        yield Estimators(identity, attributes, features, args.features != 'none')


def _identity(name: str) -> estimators.Identity | estimators.Own | estimators.Brought | None:
    if outside.is_name(name):
        return estimators.Own(name, 'identity')
    kind, _, path = name.partition('=')
    if kind in ('arcface', 'vggface2') and path:
        return estimators.Brought(kind, path)
    if kind not in ('dlib', 'none'):
        raise UserError(
            f'--identity {name}: expected dlib, dlib=FILE, arcface=FILE.onnx, vggface2=FILE.onnx, '
            'none or a function of your own, '
            'my_package.measures:embed'
        )
    if kind == 'none':
        return None
    try:
        return estimators.Identity(path or None)
    except UserError as error:
        raise UserError(f'--identity {name}: {error}; without CSIM: --identity none') from None


def described(
    path: str,
    model: Bundle,
    part: ShardSet,
    chosen: Pairs,
    measure: Estimators,
    stored: bool,
    placement: str = cases.AT_TRUTH,
) -> dict:
    """Say what is scored, on which data and by which estimators, as plain values."""
    parts = {'generator': model.card['generator'], 'transfer': model.transfer_entry}
    fields = ('system', 'stage', 'step')
    return {name: card and {k: card.get(k) for k in fields} for name, card in parts.items()} | {
        'model': path,
        'size': model.size,
        'data': part.directory,
        'digest': manifest.read(part.directory)['digest'],
        'split': part.split,
        'pairs': chosen.kind,
        'seed': chosen.seed,
        'count': len(chosen.rows),
        'short': pairs.short_clips(part, chosen),
        'list': storage.digest(chosen.rows.tobytes()),
        'estimators': [card._asdict() for card in measure.cards()],
        'driver': 'stored' if stored else 'estimated',
        'placement': placement,
    }


def run(
    model: Bundle,
    part: ShardSet,
    chosen: Pairs,
    measure: Estimators,
    out: epath.Path,
    what: dict,
    others: Sequence[Other] = (),
) -> Scores:
    """Score the pairs and write everything.

    Args:
      model: the model.
      part: split of a shard set.
      chosen: the list of pairs.
      measure: the estimators.
      out: folder to write into.
      what: what `described` returned, with the results of others.
      others: results of other programs for the list.

    Raises:
      UserError: another evaluation is at work in the folder.
    """
    with storage.owning(out, what='an evaluation'):
        return _run(model, part, chosen, measure, out, what, others)


def _run(model, part, chosen, measure, out, what, others) -> Scores:
    pairs.write(out / 'pairs.csv', chosen, part)
    progress_file = out / 'progress.jsonl'
    progress.begin(progress_file, what)
    stored, placement = what['driver'] == 'stored', what['placement']
    kept = progress_file, stored, placement, others
    scores = scoring.score(model, part, chosen, measure, *kept)
    storage.write(out / 'scores.csv', tables.rows(scores, chosen, part))
    storage.write_json(out / 'table.json', what | {'methods': tables.values(scores)})
    storage.write(out / tables.NAME, tables.document(scores, what, measure.cards()))
    sheet = examples.sheet(model, part, chosen, scores, placement, others)
    if sheet is not None:
        writing.write_still(out / 'sheet.png', watermark.embed(sheet))
    else:
        print('no sheet: nothing was measured that pairs can be ordered by', file=sys.stderr)
    progress.end(progress_file)
    return scores
