"""Results on disk: an animation, or the way from one landmark set to another, with its sheet."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from tqdm import tqdm

from reenact_jax.common import storage
from reenact_jax.geometry import layouts
from reenact_jax.media import sheets
from reenact_jax.reenact import drivers, driving, motion, starts
from reenact_jax.reenact.animation import Animation, Made
from reenact_jax.reenact.drivers import Driver, Frame
from reenact_jax.reenact.edits import head_pose, unit_edits
from reenact_jax.reenact.output import Output

LEAD_RATE = Fraction(12)  # frames a second of a video of --steps
BESIDE = 512  # side of the pictures of source and driver beside a result, pixels


def record(animation: Animation, driver: Driver, output: Output) -> dict:
    """Write an animation (a video at the driver's exact rate, or a still) and its contact sheet.

    Args:
      driver: read once; the frames that bring a picture are the rows of the sheet, but where every
        frame brings one (`side_by_side`). Its sound, where it has some, goes with an .mp4.

    Returns:
      {'out', 'frames', 'held', 'rate', 'fault', 'start', ...} for a summary: `start` says why
      relative motion should not start at the driver's first frame, where it did; else it is None.
    """
    read = driving.read(driver, animation.source, animation.options)
    kept, rows, held = [], {}, 0
    shown = drivers.spread(driver.count, output.rows) if output.side_by_side else driver.shown
    own = animation.source.shown(BESIDE if output.side_by_side else drivers.SHOWN)
    faces = _kept(read.faces, kept) if output.save_motion else read.faces
    frames = animation.frames(faces, read.start)
    bar = tqdm(frames, total=driver.count, unit='frame', desc=storage.path(output.path).name)
    with output.open(driver.rate, driver.count, driver.sound) as write:
        for number, made in enumerate(bar):
            picture, image = read.pictures.pop(number, None), made.image
            write(sheets.side_by_side(own, picture, image) if output.side_by_side else image)
            held += made.held
            if output.sheet and number in shown:
                rows[number] = _row(animation, own, picture, made)
    if output.save_motion:
        motion.write(output.save_motion, _motion(animation, kept, driver.rate))
    if output.sheet:
        output.write_sheet(rows)
    summary = {'out': output.path, 'sheet': output.sheet, 'frames': number + 1}
    summary |= {'rate': str(driver.rate), 'held': held, 'reference': read.number}
    summary |= {'sound': bool(driver.sound) and output.path.lower().endswith('.mp4')}
    summary |= {'start': read.fault, 'fault': driver.fault()}
    return summary | {
        'transfer': animation.bundle.transfer_name,
        'motion': animation.options.motion,
    }


def record_lead(animation: Animation, driver: Driver | None, steps: int, output: Output) -> dict:
    """Write `steps` frames from the source's own landmarks to changed ones, or to a driver's.

    Args:
      driver: of one frame; None: the source itself.
      steps: 1 for the last frame alone.
      output: a still is a strip of all frames' crops, or the frame where there is one.
    """
    frame = None if driver is None else next(driver.frames)
    made = list(animation.lead(_end(animation, frame), steps))
    if output.is_video or steps == 1:
        pictures = [one.image for one in made]
    else:
        pictures = [np.concatenate([animation.painter.close_up(one.image) for one in made], 1)]
    with output.open(LEAD_RATE, len(pictures)) as write:
        for picture in pictures:
            write(picture)
    if output.sheet:
        own, seen = animation.source.shown(drivers.SHOWN), frame and frame.picture
        shown = sorted(drivers.spread(steps, output.rows))
        output.write_sheet({n: _row(animation, own, seen, made[n]) for n in shown})
    units, summary = animation.options.units, {'out': output.path, 'sheet': output.sheet}
    summary |= {'frames': steps, 'held': 0, 'fault': None}
    return summary | {
        'transfer': animation.bundle.transfer_name if driver or units else None,
        'edits': dict(animation.options.edits),
        'units': {unit_edits.NAMES[one.index]: one.value for one in units},
    }


def _end(animation: Animation, frame: Frame | None):
    """Landmarks of the last frame of a lead: the source's own, or as a still driver moves them."""
    source, start = animation.source, None
    if frame is None:
        return source.known['landmarks']
    if animation.options.is_relative and frame.face is not None:
        start = starts.onto(source.known, frame.face)
    ((points, _),) = animation.landmarks([frame.face], start)
    return points[0, :, :2]


def _row(animation: Animation, own, picture, made: Made) -> tuple:
    """Pictures of a row of the sheet: source, driver, landmarks, result."""
    drawn = sheets.drawing(made.landmarks, animation.bundle.size, animation.bundle.points)
    return own, picture, drawn, animation.painter.close_up(made.image)


def _kept(faces: Iterator, kept: list) -> Iterator[dict | None]:
    """The same faces, which go into a list as well."""
    for face in faces:
        kept.append(face)
        yield face


def _motion(animation: Animation, faces: list, rate: Fraction) -> motion.Motion:
    """Driving faces as they are kept in a file."""
    bundle, layout = animation.bundle, layouts.layout(animation.bundle.points)
    aus, valid = np.zeros((2, len(faces), 20), np.float32)
    places = np.full((len(faces), layout.count, 3), np.nan, np.float32)
    for number, face in enumerate(faces):
        if face is not None:
            made = head_pose.apply(face, animation.options.units, layout)
            places[number] = made['landmarks3d'] / bundle.size
            aus[number], valid[number] = made['aus'], made['aus_valid']
    return motion.Motion(aus, valid > 0, rate, bundle.points, places)
