"""The flags that say what a source is: a portrait, pictures of one person, or a film."""

import argparse
from collections.abc import Callable

from reenact_jax.common.errors import UserError
from reenact_jax.media import reading
from reenact_jax.reenact.options import MOTIONS
from reenact_jax.reenact.regions import EXPRESSION

PORTRAIT, SET, FILM = SOURCES = ('portrait', 'set', 'film')
_NOT_OF_FILMS = {  # flag: why
    'steps': 'leads from one picture to another',
    'sweep': 'moves one picture',
    'crop': 'cuts out one place, and the face of a film moves',
    'background': 'is behind one picture',
    'save_motion': 'take it from a portrait',
    'adapt_scale': 'is of keypoints',
}


def add_to(add: Callable) -> None:
    """Add the flags of the source."""
    add(
        '--source',
        required=True,
        action='append',
        help='picture or video of the person to animate, or a shard set; given several times: '
        'pictures of one person, the first of which moves, and each frame is drawn from the one '
        'whose pose fits',
    )
    add(
        '--source-as',
        choices=SOURCES,
        default=PORTRAIT,
        help='portrait (default): a picture, or the frame --source-frame of a video; set: pictures '
        'of one person, from a video or a folder of stills; film: a video, or a folder, whose own '
        "motion stays, while eyes, brows and mouth (--region) get the driver's expression",
    )
    add('--source-track', metavar='ID', help='track of the shard set --source')
    add(
        '--source-frame',
        type=int,
        default=0,
        metavar='N',
        help='frame of a --source that is a video or a track, from 0; default 0',
    )


def check(args: argparse.Namespace) -> None:
    """Split `args.source` into the first source and `args.others`, and check what is asked of them.

    Of a film, `args.region` becomes the expression where nothing else is said.

    Raises:
      UserError: names the flag.
    """
    args.source, *args.others = args.source
    kind = args.source_as
    if (args.source_track or args.source_landmarks) and (args.others or kind != PORTRAIT):
        raise UserError('--source-track, --source-landmarks: are of one --source, a portrait')
    if args.others and kind != PORTRAIT:
        raise UserError(f'--source-as {kind}: is for one --source, a video or a folder')
    if kind != PORTRAIT and args.source_frame:
        raise UserError('--source-frame: is of --source-as portrait')
    if (args.others or kind == SET) and args.background:
        raise UserError('--background: is for one --source')
    if kind == FILM:
        _check_film(args)


def check_files(args: argparse.Namespace) -> None:
    """Check that the sources are there and of their kind.

    Raises:
      UserError: names the file.
    """
    kind = args.source_as
    for path in () if args.source_track else (args.source, *args.others):
        found = reading.kind(path)
        if found == 'folder' and kind == PORTRAIT:
            raise UserError(f'{path}: is a folder; --source-as set or film says what it is')
        if found == 'still' and kind == SET:
            raise UserError(f'--source-as set: {path} is one picture; give --source once for each')
        if found == 'still' and kind == FILM:
            raise UserError(f'--source-as film: {path} is one picture; leave it out')


def _check_film(args: argparse.Namespace) -> None:
    if not args.driving:
        raise UserError('--source-as film: needs --driving')
    if args.motion != MOTIONS[0]:
        raise UserError(f'--motion {args.motion}: the own motion of a film stays; leave it out')
    for name, why in _NOT_OF_FILMS.items():
        if getattr(args, name):
            raise UserError(f'--{name.replace("_", "-")}: {why}; not for --source-as film')
    if wrong := [name for name in args.region or () if name not in EXPRESSION]:
        raise UserError(
            f"--region {wrong[0]}: the film's own pose stays; give {', '.join(EXPRESSION)}"
        )
    args.region = args.region or list(EXPRESSION)
