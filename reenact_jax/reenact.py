"""Animate a portrait: the source's face and identity, the driver's motion.

    python -m reenact_jax.reenact --model BUNDLE --source portrait.jpg --driving clip.mp4 \\
        --out result.mp4 --sheet result.png

The driver may be a video, a still or a folder of stills. Source and driver may also be tracks of a
shard set (synthetic heads, say), which need no face detection:

    python -m reenact_jax.reenact --model BUNDLE --source SHARDS --source-track ID \\
        --driving SHARDS --driving-track ID --out result.mp4

The result shows the source's square crop. It is marked as synthetic in the file's metadata.
"""

import argparse
import contextlib
import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from reenact_jax import bundle as bundles
from reenact_jax import drivers, errors, faces, images, media, portraits, results, sheets
from reenact_jax.animation import BATCH, MOTIONS, animate
from reenact_jax.bundle import Bundle
from reenact_jax.drivers import Driver
from reenact_jax.errors import UserError
from reenact_jax.portraits import Portrait


def record(
    bundle: Bundle,
    source: Portrait,
    driver: Driver,
    out: str,
    *,
    sheet: str | None = None,
    motion: str = 'relative',
    batch: int = BATCH,
) -> dict:
    """Writes the animation (an .mp4 at the driver's exact rate, or a still) and its contact sheet.

    Args:
      driver: read once; the frames that bring a picture are the rows of the sheet.
      out: .mp4, or .png or .jpg for a driver of one frame.
      sheet: file of the contact sheet; None for none.

    Returns {'out', 'frames', 'held', 'rate', 'fault', ...} for a summary.
    """
    rows, pictures = {}, {}
    own = np.asarray(images.to_uint8(source.image))

    def found():
        for number, frame in enumerate(driver.frames):
            if number in driver.shown:
                pictures[number] = frame.picture
            yield frame.face

    made = tqdm(
        animate(bundle, source, found(), motion=motion, batch=batch),
        total=driver.count,
        unit='frame',
        desc=Path(out).name,
    )
    held = count = 0
    with _writer(out, driver.rate) as write:
        for number, one in enumerate(made):
            write(one.image)
            held, count = held + one.held, number + 1
            if number in driver.shown:
                drawn = sheets.drawing(one.landmarks, bundle.size, bundle.points)
                rows[number] = (own, pictures.pop(number, None), drawn, one.image)
    if sheet:
        results.write_still(sheet, sheets.sheet(list(rows.values()), list(rows)))
    summary = {'out': out, 'sheet': sheet, 'frames': count, 'rate': str(driver.rate), 'held': held}
    return summary | {'fault': driver.fault(), 'transfer': bundle.transfer_name, 'motion': motion}


@contextlib.contextmanager
def _writer(out: str, rate: Fraction):
    """A function that takes frames, in order."""
    if is_video(out):
        with results.VideoWriter(out, rate) as video:
            yield video.write
    else:
        yield lambda image: results.write_still(out, image)


def is_video(out: str) -> bool:
    """Whether the output is a video. Raises UserError for a suffix that is neither."""
    suffix = Path(out).suffix.lower()
    if suffix not in ('.mp4', '.png', '.jpg', '.jpeg'):
        raise UserError(f'--out {out}: name it .mp4 (or .png, .jpg when the driver is a still)')
    return suffix == '.mp4'


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m reenact_jax.reenact',
        description=__doc__,
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
    add('--driving', required=True, help='video, still, folder of stills, or a shard set')
    add('--driving-track', metavar='ID', help='track of the shard set --driving')
    add('--out', required=True, help='result: .mp4; .png or .jpg for a still driver')
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
        if not (args.source_track and args.driving_track):
            detector = stack.enter_context(faces.Detector(args.face_landmarker))
        source = _source(args, bundle, detector)
        driver = _driver(args, bundle, detector)
        if driver.count != 1 and not is_video(args.out):
            raise UserError(f'--out {args.out}: the driver has several frames; name it .mp4')
        summary = record(
            bundle,
            source,
            driver,
            args.out,
            sheet=args.sheet,
            motion=args.motion,
            batch=args.batch,
        )
    if summary['held']:
        _warn(f'{args.driving}: no face in {summary["held"]} frames; the motion before was held')
    if summary['fault']:
        _warn(f'{args.driving}: {summary["fault"]}')
    print(json.dumps(summary))
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be wrong before anything is loaded."""
    is_video(args.out)
    if args.sheet and Path(args.sheet).suffix.lower() not in ('.png', '.jpg', '.jpeg'):
        raise UserError(f'--sheet {args.sheet}: name it .png or .jpg')
    for name, least in (('batch', 1), ('rows', 1)):
        if getattr(args, name) < least:
            raise UserError(f'--{name} {getattr(args, name)}: must be at least {least}')
    if args.face not in (None, 'largest') and not args.face.isdigit():
        raise UserError(f"--face {args.face}: give 'largest' or the face's number from the left")
    for name in ('source', 'driving'):
        if not getattr(args, f'{name}_track'):
            media.kind(getattr(args, name))


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
