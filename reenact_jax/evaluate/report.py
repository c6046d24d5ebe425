"""Measure a bundle on held-out people and show it: report.md, contact sheets and videos.

    reenact-jax report --model BUNDLE --data SHARDS --out DIR

The command writes DIR/report.md (the tables), DIR/synthetic.mp4 and .png (a held-out synthetic
person, driven by another), DIR/portrait.mp4 and .png (a photograph with the same driver; needs the
extra `[video]`). Without --portrait the photograph is scikit-image's astronaut: Eileen Collins, by
NASA, public domain.
"""

import argparse
import json
import platform
import sys
from typing import NamedTuple

import jax
import numpy as np
from etils import epath

from reenact_jax import bundle as bundles
from reenact_jax import faces
from reenact_jax.bundle import LANDMARKS, Bundle
from reenact_jax.common import command_line, errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import Track
from reenact_jax.evaluate import pairs as pair_lists
from reenact_jax.evaluate import scoring, tables
from reenact_jax.evaluate.baselines import COPY, PRIOR, WARP
from reenact_jax.evaluate.scoring import Scores
from reenact_jax.reenact import drivers, portraits, recording
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.output import Output

TEST, CROSS = 'test', 'gt_cross'
SHEET_ROWS = 6


class Scored(NamedTuple):
    """Scores, and what they are scores of."""

    scores: Scores
    of: str  # such as '40 frames of 8 people'


def scored(bundle: Bundle, data: str, split: str, kind: str, most: int) -> Scored:
    """Score a bundle on a list of pairs.

    Args:
      bundle: the model.
      data: folder of the shard set.
      split: split of the set.
      kind: kind of the list, a key of `pairs.KINDS`.
      most: most tracks or pairs.
    """
    part = ShardSet(data, split)
    pairs = pair_lists.make(part, kind, most)
    people = len(np.unique(part.identity[pairs.rows[:, 0]]))
    scores = scoring.score(bundle, part, pairs)
    return Scored(scores, f'{len(pairs.rows)} frames of {people} people')


def _cross_section(cross: Scored | None, motion: str) -> str:
    """Return the section on cross-reenactment."""
    if cross is None:
        return f'Not measured: the data have no split `{CROSS}` (synthetic people have).'
    alike = 'for every method alike' if motion == LANDMARKS else "but for the model's own results"
    return f"""The source driven by another person; the truth is the source's person rendered with
the driver's motion: {cross.of}. The face is put into the
truth's bounding box {alike}. Identity leak: 1 is the driver's own face shape.

{tables.plain(cross.scores)}"""


def text(bundle: Bundle, data: str, own: Scored, cross: Scored | None, shown: list[str]) -> str:
    """Write the text of the report.

    Args:
      bundle: the model.
      data: folder of the shard set.
      own: scores of self-reenactment.
      cross: scores of cross-reenactment; None for data without ground truth of it.
      shown: lines on the pictures.
    """
    card, device = bundle.card, jax.devices()[0]
    models = [card['generator']] + ([bundle.transfer_entry] if bundle.transfer_entry else [])
    trained = '\n'.join(
        f'- {model["system"]}, stage {model.get("stage", "?")}, step {model.get("step", "?")}: '
        f'{model["paper"]}'
        for model in models
    )
    return f"""# Report

Made by `reenact-jax report`, reenact_jax {card['versions']['reenact_jax']}, jax
{jax.__version__}, {device.platform} ({device.device_kind}), {platform.machine()}.

{trained}

Images {card['size']} x {card['size']}; points {card['points']}; data {data}. The people below were
not in the training set. `none` uses the driver's landmarks as they are; `{COPY}` ignores
the driver, and a method that does not beat it has learnt no motion. `{WARP}` and `{PRIOR}`
move the source's pixels by those landmarks, triangle by triangle and smoothly; neither is trained.

## Self-reenactment

The first frame of a track, driven by its other frames: {own.of}.

{tables.plain(own.scores)}

## Cross-reenactment with exact truth (GT-cross)

{_cross_section(cross, bundle.motion)}

## Pictures

{chr(10).join(shown)}

The videos and pictures are synthetic and marked so in their metadata.
"""


def synthetic_person(bundle: Bundle, part: ShardSet, driver: Track, out: epath.Path) -> str:
    """Animate the first held-out person; return a line on it."""
    source = part.track(0)
    portrait = portraits.from_track(source, 0, bundle.size, bundle.points)
    _record(bundle, portrait, driver, out / 'synthetic')
    return (
        f'- `synthetic.mp4`, `synthetic.png`: {source.identity_name}, who was held out, driven by '
        f'{driver.identity_name}'
    )


def photograph(bundle: Bundle, driver: Track, out: epath.Path, path: str | None, model) -> str:
    """Animate a photograph; return a line on it.

    Args:
      bundle: the model.
      driver: the track that drives.
      out: folder to write into.
      path: file of the photograph; None: scikit-image's astronaut.
      model: the face detector's model file; None: the one that is found.

    Raises:
      UserError: there is no face, or the detector is missing.
    """
    with faces.Detector(model) as detector:
        size, points = bundle.size, bundle.points
        if path:
            portrait = portraits.from_file(path, size, points, detector, 'largest')
        else:
            portrait = portraits.from_picture(
                portraits.astronaut(), size, points, detector, 'largest'
            )
    _record(bundle, portrait, driver, out / 'portrait')
    name = path or "scikit-image's astronaut (NASA, public domain)"
    return f'- `portrait.mp4`, `portrait.png`: {name} driven by {driver.identity_name}'


def _record(bundle: Bundle, portrait, driving_track, out: epath.Path) -> None:
    """Write a video and a contact sheet."""
    spec = bundle.size, bundle.points, SHEET_ROWS
    driver = drivers.from_track(driving_track, *spec, seen=bundle.sees)
    video, sheet = (str(out.with_suffix(end)) for end in ('.mp4', '.png'))
    recording.record(Animation(bundle, portrait), driver, Output(video, sheet=sheet))


def driving_track(directory: str | None, part: ShardSet) -> Track:
    """Choose the track that drives the pictures.

    Args:
      directory: shard set whose first track drives; None: the longest track of the second held-out
        person.
      part: the held-out people.

    Raises:
      UserError: there is no second person.
    """
    if directory:
        return ShardSet(directory, shards.splits(directory)[-1]).track(0)
    others = np.flatnonzero(part.identity != part.identity[0])
    if not len(others):
        raise UserError(
            f'{part.directory}, {part.split}: has one person; give a driver: --driving SHARDS'
        )
    return part.track(int(others[np.argmax(part.columns.frames[others])]))


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = errors.Parser(
        prog='reenact-jax report',
        description=__doc__,
    )
    add = parser.add_argument
    add('--model', required=True, metavar='BUNDLE', help='folder that `reenact-jax export` wrote')
    add(
        '--data',
        required=True,
        metavar='SHARDS',
        help=f'shard set with the split {TEST}, and {CROSS} if there is one',
    )
    add('--out', required=True, metavar='DIR', help='folder to write into')
    add('--most', type=int, default=40, help='most tracks, and most pairs, to score; default 40')
    add(
        '--driving',
        metavar='SHARDS',
        help='set whose first track drives the pictures; default: '
        'the longest track of the second held-out person',
    )
    add('--portrait', metavar='FILE', help='photograph instead of the astronaut')
    add('--face-landmarker', metavar='FILE', help="the face detector's model file")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run `reenact-jax report`; return its exit code."""
    args = options(arguments)
    if args.most < 1:
        raise UserError(f'--most {args.most}: must be at least 1')
    command_line.say_device()
    bundle, out = bundles.load(args.model), storage.path(args.out)
    held_out = shards.ShardSet(args.data, TEST)
    exact = CROSS in shards.splits(args.data)
    driver = driving_track(args.driving, held_out)
    own = scored(bundle, args.data, TEST, 'self', args.most)
    cross = scored(bundle, args.data, CROSS, CROSS, args.most) if exact else None
    shown = [synthetic_person(bundle, held_out, driver, out)]
    try:
        shown.append(photograph(bundle, driver, out, args.portrait, args.face_landmarker))
    except UserError as error:
        if args.portrait:
            raise
        print(f'warning: no photograph in the report: {error}', file=sys.stderr)
        shown.append(f'- no photograph: {str(error).splitlines()[0]}')
    storage.write(out / 'report.md', text(bundle, args.data, own, cross, shown))
    best = {
        f'{name}_{metric}': {m: section.scores.mean(m, metric) for m in section.scores.values}
        for name, section in (('self', own), ('cross', cross))
        if section
        for metric in ('l1', 'ssim')
    }
    print(json.dumps({'report': str(out / 'report.md'), **best}))
    return 0
