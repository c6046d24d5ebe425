"""The command line of reenact_jax.reenact, and what can be wrong with it before a model is read."""

import argparse
from fractions import Fraction

from reenact_jax import pretrained
from reenact_jax.common import errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import credentials, reading
from reenact_jax.reenact import motion, painting, regions, source_flags
from reenact_jax.reenact.edits import landmark_edits, unit_edits
from reenact_jax.reenact.options import BATCH, MOTIONS, REFERENCES
from reenact_jax.reenact.output import STILLS, Output
from reenact_jax.reenact.regions import Amount

RATES = 1, 240  # lowest and highest frames a second of a result
_EPILOG = f"""\
edits of landmarks, with strengths from -1 to 1 (any generator)
{landmark_edits.describe()}

action units, from 0 to 1, for a bundle whose transfer is facegan's
{unit_edits.describe()}
"""


def read(description: str | None, arguments: list[str] | None = None) -> argparse.Namespace:
    """Read and check the command line.

    Raises:
      UserError: a flag is wrong; the message names it.
    """
    parser = errors.Parser(
        prog='reenact-jax reenact',
        description=description,
        epilog=_EPILOG,
    )
    faces = parser.add_argument_group('source and driver').add_argument
    _faces(faces)
    _motion(faces)
    _handling(faces)
    _changes(parser.add_argument_group('changes').add_argument)
    results = parser.add_argument_group('result').add_argument
    _results(results)
    _marks(results)
    args = parser.parse_args(arguments)
    args.driving = str(pretrained.motion(args.driving) or args.driving) if args.driving else None
    source_flags.check(args)
    _check(args)
    return args


def model(add) -> None:
    """Add the flags of a command that runs a bundle on pictures."""
    add(
        '--model', default=pretrained.MODELS[0], metavar='BUNDLE',
        help='folder that `reenact-jax export` wrote; default: portrait, which is in the package',
    )  # fmt: skip
    add('--face-landmarker', metavar='FILE', help="the face detector's model file")


def _faces(add) -> None:
    model(add)
    source_flags.add_to(add)
    add(
        '--face',
        metavar='WHICH',
        help="which face of a source that has several: 'largest', 'left', 'right', or its number "
        'from the left, from 0',
    )
    add(
        '--source-landmarks',
        metavar='FILE',
        help="the source's landmarks, instead of detection: .csv, .npz or .npy with points in "
        'pixels of the picture',
    )
    add(
        '--detector',
        metavar='NAME',
        help='a detector of your own, my_package.faces:find, a function from a picture to points',
    )
    add(
        '--driving',
        help='video, still, folder of stills, a shard set, or motion as .csv or .json '
        f'(--save-motion, OpenFace); {", ".join(pretrained.MOTIONS)}: motions that come with the '
        'package; not needed with a change',
    )
    add('--driving-track', metavar='ID', help='track of the shard set --driving')
    add(
        '--driving-face',
        metavar='WHICH',
        help='which face of the first driving frame that has any is followed, as --face; default '
        'largest',
    )


def _motion(add) -> None:
    add(
        '--motion',
        choices=MOTIONS,
        default=MOTIONS[0],
        help="relative (default): what changes in the driver is added to the source's own face; "
        "absolute: the source takes the driver's pose, expression and place",
    )
    add(
        '--reference',
        choices=REFERENCES,
        default=REFERENCES[0],
        help='frame of the driver where relative motion starts: its first, or that in which its '
        "pose, mouth and eyes are most as the source's (reads the driver twice); default first",
    )
    low, high = regions.STRENGTHS
    add(
        '--strength',
        metavar='X',
        help=f'how much of a relative motion is taken, {low:g} to {high:g}; default 1',
    )
    add(
        '--region',
        metavar='NAME',
        action='append',
        help=f'what moves, as often as wanted: {", ".join(regions.NAMES)} (default); the mouth '
        'with the jaw; pose: rotation, size and place; with relative motion',
    )


def _handling(add) -> None:
    add(
        '--smooth',
        action=argparse.BooleanOptionalAction,
        help="filter the jitter of the driver's points, without delay; default: if they are "
        'detected, not if they are stored (tracks of shard sets, motion files)',
    )
    add(
        '--adapt-scale',
        action='store_true',
        help="scale a relative motion of keypoints by the faces' sizes, the areas of their hulls",
    )
    add(
        '--transfer',
        metavar='NAME',
        help="a landmark model of the bundle by name, or 'none': the driver's landmarks as they "
        "are, the driver's face shape included; default: the bundle's first, for --au and --sweep "
        'the one that action units drive',
    )
    add('--batch', type=int, default=BATCH, help=f'frames in one call; default {BATCH}')


def _changes(add) -> None:
    many = dict(action='append', default=[])
    add(
        '--edit',
        metavar='NAME=STRENGTH',
        help='edit of landmarks, as often as wanted; see below',
        **many,
    )
    add(
        '--au',
        metavar='NUMBER=VALUE',
        help="set an action unit, as often as wanted; +VALUE adds to the face's own; see below",
        **many,
    )
    text = 'set the {} of the head, positive: {}; +DEGREES adds to its own'
    for angle, plus in (('pitch', 'down'), ('yaw', "to the image's left"), ('roll', 'clockwise')):
        add(f'--pose-{angle}', metavar='DEGREES', help=text.format(angle, plus))
    add('--sweep', metavar='NUMBER', help='move this action unit from 0 to 1: a strip or a video')
    add(
        '--steps',
        type=int,
        metavar='N',
        help="N frames from the source's own face to the changed one or a still driver's",
    )
    add(
        '--background',
        metavar='FILE',
        help='another background for the square crop, a picture or a video (generator facegan)'
        ', frame by frame; its last frame stays',
    )


def _results(add) -> None:
    add(
        '--out',
        required=True,
        metavar='FILE',
        help='.mp4, .mov or .webm; .webp or .gif: a short loop; .png or .jpg for a still driver '
        'or a strip',
    )
    add(
        '--crop',
        action='store_true',
        help='the square crop alone; default: the whole picture, the crop in its place',
    )
    add(
        '--max-side',
        type=int,
        metavar='PIXELS',
        help=f'longest side of the result; default {painting.MOST_SIDE}',
    )
    add(
        '--side-by-side',
        action='store_true',
        help='every frame of the result shows source, driver and result',
    )
    add('--sheet', metavar='FILE.png', help='contact sheet: source, driving, landmarks, result')
    add('--rows', type=int, default=6, help='rows of the sheet, even in time; default 6')
    add('--overwrite', action='store_true', help='replace files that are there; else: refuse')
    add(
        '--rate',
        metavar='FPS',
        help='frames a second of the video, such as 25 or 30000/1001, and of a folder of stills; '
        "default: the driver's frames with their times",
    )
    add(
        '--sound',
        metavar='FILE',
        help="file whose sound goes with the video; none: no sound; default: the driver's",
    )
    add(
        '--save-motion',
        metavar='FILE',
        help="write the driver's landmarks and action units, with --au and --pose: .csv or .json",
    )


def _marks(add) -> None:
    add(
        '--no-watermark',
        action='store_true',
        help='leave out the invisible mark of synthetic pixels, which `reenact-jax provenance` '
        'finds; the metadata say so in any case',
    )
    add(
        '--no-credentials',
        action='store_true',
        help='leave out content credentials: the signed C2PA manifest that results get where '
        'c2pa-python is installed; environment variables REENACT_C2PA_CERT and REENACT_C2PA_KEY '
        'name the PEM files of your own certificate chain and its key',
    )


def units(args: argparse.Namespace) -> list[unit_edits.Change]:
    """Return the changes of action units and head angles."""
    angles = {angle: getattr(args, f'pose_{angle}') for angle in unit_edits.ANGLES}
    return unit_edits.parse(args.au, angles)


def rate(text: str) -> Fraction:
    """Read frames a second: 25, 12.5, 30000/1001; 29.97 and its like are what is meant by them.

    Raises:
      UserError: the text is no number, or out of the range.
    """
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise UserError(f'--rate {text}: frames a second, such as 25, 12.5, 30000/1001') from None
    low, high = RATES
    if not low <= value <= high:
        raise UserError(f'--rate {text}: from {low} to {high} frames a second')
    ntsc = Fraction(round(value * Fraction(1001, 1000)) * 1000, 1001)
    if value.denominator != 1 and abs(value - ntsc) < Fraction(5, 1000):
        return ntsc
    return value.limit_denominator(1001)


def amount(args: argparse.Namespace) -> Amount:
    """Return how much of a relative motion is taken, and where.

    Raises:
      UserError: as `regions.read_amount`.
    """
    return regions.read_amount(
        args.strength, args.region, args.motion == MOTIONS[0], bool(args.driving)
    )


def output(args: argparse.Namespace) -> Output:
    """Say where the result goes."""
    return Output(
        args.out,
        sheet=args.sheet,
        rows=args.rows,
        side_by_side=args.side_by_side,
        save_motion=args.save_motion,
        mark=not args.no_watermark,
        signed=not args.no_credentials,
        rate=args.rate and rate(args.rate),
        sound=args.sound,
    )


def _check(args: argparse.Namespace) -> None:
    if not output(args).is_video and args.source_as == source_flags.FILM:
        raise UserError(f'--out {args.out}: a film has several frames; name it .mp4')
    if args.sheet and storage.path(args.sheet).suffix.lower() not in STILLS:
        raise UserError(f'--sheet {args.sheet}: name it .png or .jpg')
    if args.save_motion and storage.path(args.save_motion).suffix.lower() not in motion.SUFFIXES:
        raise UserError(f'--save-motion {args.save_motion}: name it .csv or .json')
    for name in ('batch', 'rows'):
        if getattr(args, name) < 1:
            raise UserError(f'--{name} {getattr(args, name)}: must be at least 1')
    if args.source_landmarks and (args.source_track or args.face):
        raise UserError(
            '--source-landmarks: says where the face of a picture is; not for --source-track or '
            '--face'
        )
    for name in ('face', 'driving_face'):
        given = getattr(args, name)
        if given not in (None, 'largest', 'left', 'right') and not given.isdigit():
            flag = f'--{name.replace("_", "-")} {given}'
            raise UserError(f"{flag}: give 'largest', 'left', 'right' or its number from the left")
    if args.max_side is not None and args.max_side < painting.LEAST_SIDE:
        raise UserError(
            f'--max-side {args.max_side}: must be at least {painting.LEAST_SIDE} pixels'
        )
    if args.side_by_side and (args.steps or not args.driving):
        raise UserError(
            '--side-by-side: shows the driver beside the result; it needs a --driving, and is not '
            'for --steps'
        )
    amount(args)
    _check_changes(args)
    _check_places(args)
    if not args.no_credentials:
        credentials.check()
    source_flags.check_files(args)
    if args.driving and not args.driving_track and not is_motion(args):
        reading.kind(args.driving)
    output(args).check(args.overwrite)


def _check_changes(args: argparse.Namespace) -> None:
    landmark_edits.parse(args.edit)
    changed = units(args)
    if args.sweep is not None:
        unit_edits.unit(args.sweep, f'--sweep {args.sweep}')
        if args.driving:
            raise UserError('--sweep: needs no --driving, it is the source that moves')
    if not args.driving and not (args.edit or changed or args.sweep or args.background):
        raise UserError(
            '--driving: missing; give a driver, or change the source itself: --edit, --au, --sweep'
        )
    if args.driving and args.steps and changed:
        raise UserError('--steps: leads to a driver or to changed action units, not to both')
    if args.steps is not None and args.steps < 2:
        raise UserError(f'--steps {args.steps}: from one face to another are at least 2')
    if args.save_motion and (args.steps or not args.driving):
        raise UserError('--save-motion: needs --driving, and is not for --steps')


def _check_places(args: argparse.Namespace) -> None:
    """Reject a file that is read or written twice."""
    taken = {}
    for name in (
        'source',
        'source_landmarks',
        'driving',
        'background',
        'out',
        'sheet',
        'save_motion',
    ):
        if value := getattr(args, name):
            flag, place = f'--{name.replace("_", "-")}', storage.same(value)
            if place in taken and name in ('out', 'sheet', 'save_motion'):
                raise UserError(f'{flag} {value}: is {taken[place]} already; name another file')
            taken[place] = flag
    for path in args.others:
        if storage.same(path) in taken:
            raise UserError(f'--source {path}: is {taken[storage.same(path)]} already')


def is_motion(args: argparse.Namespace) -> bool:
    """Tell whether the driver is a file of motion."""
    given = args.driving
    return bool(given) and storage.path(given).suffix.lower() in motion.SUFFIXES
