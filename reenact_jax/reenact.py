"""Animate a portrait: the source's face and identity, the driver's motion.

    python -m reenact_jax.reenact --model BUNDLE --source portrait.jpg --driving clip.mp4 \\
        --out result.mp4 --sheet result.png

The driver may be a video, a still or a folder of stills. Source and driver may also be tracks of a
shard set (synthetic heads, say), which need no face detection:

    python -m reenact_jax.reenact --model BUNDLE --source SHARDS --source-track ID \\
        --driving SHARDS --driving-track ID --out result.mp4

Without a driver, --edit changes the source's own landmarks, and --steps leads from these to the
changed ones (or to those of a driver that is a still), as a strip of pictures or a video:

    python -m reenact_jax.reenact --model BUNDLE --source portrait.jpg --edit mouth_open=0.8 \\
        --steps 6 --out strip.png

The result shows the source's square crop. It is marked as synthetic in the file's metadata.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path

from reenact_jax import bundle as bundles
from reenact_jax import drivers, edits, errors, faces, media, portraits, recording
from reenact_jax.animation import BATCH, MOTIONS
from reenact_jax.bundle import Bundle
from reenact_jax.drivers import Driver
from reenact_jax.errors import UserError
from reenact_jax.portraits import Portrait


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m reenact_jax.reenact',
        description=__doc__,
        epilog=f'edits, with strengths from -1 to 1\n{edits.describe()}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--model', required=True, metavar='BUNDLE', help='folder that reenact_jax.export made')
    add('--source', required=True, help='picture of the person to animate, or a shard set')
    add('--source-track', metavar='ID', help='track of the shard set --source')
    add('--source-frame', type=int, default=0, metavar='N', help='its frame, from 0')
    add(
        '--face', help="which face of a source that has several: 'largest', or its number from left"
    )
    add('--driving', help='video, still, folder of stills, or a shard set; not needed with --edit')
    add('--driving-track', metavar='ID', help='track of the shard set --driving')
    add('--out', required=True, help='result: .mp4; .png or .jpg for a still driver or a strip')
    add(
        '--edit',
        action='append',
        default=[],
        metavar='NAME=STRENGTH',
        help='change the landmarks, as often as wanted; see below',
    )
    add(
        '--steps',
        type=int,
        metavar='N',
        help="N frames from the source's own landmarks to the edited ones or a still driver's",
    )
    add('--sheet', metavar='FILE.png', help='contact sheet: source, driving, landmarks, result')
    add('--rows', type=int, default=6, help='rows (frames) of the sheet; default 6')
    add(
        '--motion',
        choices=MOTIONS,
        default=MOTIONS[0],
        help='relative (default): the source stays '
        "in its place and moves as the driver does; absolute: it goes to the driver's place",
    )
    add(
        '--transfer',
        metavar='NAME',
        help="'none': the driver's landmarks as they are, the driver's "
        "face shape included; default: the bundle's own landmark model",
    )
    add('--batch', type=int, default=BATCH, help=f'frames in one call; default {BATCH}')
    add('--face-landmarker', metavar='FILE', help="the face detector's model file")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    args = options(arguments)
    _check(args)
    bundle = bundles.load(args.model, args.transfer)
    with contextlib.ExitStack() as stack:
        detector = None
        if not (args.source_track and (args.driving_track or not args.driving)):
            detector = stack.enter_context(faces.Detector(args.face_landmarker))
        source = _source(args, bundle, detector)
        driver = _driver(args, bundle, detector) if args.driving else None
        summary = _record(args, bundle, source, driver)
    if summary['held']:
        _warn(f'{args.driving}: no face in {summary["held"]} frames; the motion before was held')
    if summary['fault']:
        _warn(f'{args.driving}: {summary["fault"]}')
    print(json.dumps(summary))
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be wrong before anything is loaded."""
    recording.is_video(args.out)
    if args.sheet and Path(args.sheet).suffix.lower() not in ('.png', '.jpg', '.jpeg'):
        raise UserError(f'--sheet {args.sheet}: name it .png or .jpg')
    for name, least in (('batch', 1), ('rows', 1)):
        if getattr(args, name) < least:
            raise UserError(f'--{name} {getattr(args, name)}: must be at least {least}')
    if args.face not in (None, 'largest') and not args.face.isdigit():
        raise UserError(f"--face {args.face}: give 'largest' or the face's number from the left")
    edits.parse(args.edit)
    if not args.driving and not args.edit:
        raise UserError('--driving: missing; give a driver, or --edit to change the source itself')
    if args.steps is not None and args.steps < 2:
        raise UserError(f'--steps {args.steps}: from one face to another are at least 2')
    for name in ('source', 'driving'):
        if getattr(args, name) and not getattr(args, f'{name}_track'):
            media.kind(getattr(args, name))


def _record(args: argparse.Namespace, bundle: Bundle, source: Portrait, driver) -> dict:
    """Writes the result: of a driver, or the way to a still one's or to edited landmarks."""
    how = dict(sheet=args.sheet, motion=args.motion, batch=args.batch)
    how['strengths'] = edits.parse(args.edit)
    video = recording.is_video(args.out)
    if driver is None or args.steps:
        if driver is not None and driver.count != 1:
            raise UserError(
                f'--steps: {args.driving} has {driver.count} frames; the driver must be a still'
            )
        steps = args.steps or (2 * int(recording.LEAD_RATE) if video else 1)
        return recording.record_lead(bundle, source, driver, args.out, steps, rows=args.rows, **how)
    if driver.count != 1 and not video:
        raise UserError(f'--out {args.out}: the driver has several frames; name it .mp4')
    return recording.record(bundle, source, driver, args.out, **how)


def _source(args: argparse.Namespace, bundle: Bundle, detector) -> Portrait:
    if args.source_track:
        track = portraits.find_track(args.source, args.source_track)
        return portraits.from_track(track, args.source_frame, bundle.size, bundle.points)
    return portraits.from_file(args.source, bundle.size, bundle.points, detector, args.face)


def _driver(args: argparse.Namespace, bundle: Bundle, detector) -> Driver:
    rows = args.rows if args.sheet else 0
    if args.driving_track:
        track = portraits.find_track(args.driving, args.driving_track)
        return drivers.from_track(track, bundle.size, bundle.points, rows)
    return drivers.from_file(args.driving, bundle.size, bundle.points, detector, rows)


def _warn(text: str) -> None:
    print(f'warning: {text}', file=sys.stderr)


if __name__ == '__main__':
    errors.command(main)
