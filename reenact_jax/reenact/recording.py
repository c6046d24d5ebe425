"""Results on disk: an animation, or the way from one landmark set to another, with its sheet."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from reenact_jax.bundle import LANDMARKS
from reenact_jax.common import storage
from reenact_jax.geometry import layouts
from reenact_jax.media import measuring, sheets, timeline
from reenact_jax.reenact import drivers, driving, motion, starts
from reenact_jax.reenact.animation import Animation, ResultFrame
from reenact_jax.reenact.drivers import Driver, Frame
from reenact_jax.reenact.driving import Driving
from reenact_jax.reenact.edits import head_pose, unit_edits
from reenact_jax.reenact.output import Output, Shown
from reenact_jax.reenact.pipeline import Ahead, serial

LEAD_RATE = Fraction(12)  # frames a second of a video of --steps
BESIDE = 512  # side of the pictures of source and driver beside a result, pixels


def record(animation: Animation, driver: Driver, output: Output, ahead: Ahead = serial) -> dict:
    """Write an animation (a video at the driver's exact rate, or a still) and its contact sheet.

    Args:
      animation: what to draw.
      driver: read once. The frames that bring a picture are the rows of the sheet, except where
        every frame brings one (`side_by_side`). Its sound, if any, goes with an .mp4.
      output: where to write.
      ahead: what reads streams ahead, the driver's too.

    Returns:
      {'out', 'frames', 'held', 'rate', 'fault', 'start', ...} for a summary. If relative motion
      starts at the driver's first frame and should not, `start` says why; else it is None.
    """
    read = driving.read(driver, animation.source, animation.options)
    kept, notes = [], _Notes([], {})
    faces = _kept(read.faces, kept) if output.save_motion else read.faces
    results = animation.frames(faces, read.start, read.shots, ahead)
    bar = tqdm(results, total=driver.count, unit='frame', desc=storage.path(output.path).name)
    frames, uneven = _shown(animation, driver, read, output, bar, notes), driver.times.rate is None
    output.save(frames, driver.rate, driver.count, driver.sound, uneven, ahead)
    begins = np.array([begin for begin, _ in read.times])
    if output.save_motion:
        motion.write(output.save_motion, _motion(animation, kept, driver.rate, begins))
    if output.sheet:
        output.write_sheet({float(begins[number]): row for number, row in notes.rows.items()})
    summary = {'out': output.path, 'sheet': output.sheet, **_written(output)}
    summary |= {'held': sum(notes.held), 'reference': read.number, 'unused': dict(driver.unused)}
    summary |= {'start': read.fault, 'fault': driver.fault(), **driver.report()}
    return summary | {
        'transfer': animation.bundle.transfer_name,
        'motion': animation.options.motion,
    }


def record_lead(animation: Animation, driver: Driver | None, steps: int, output: Output) -> dict:
    """Write `steps` frames from the source's own landmarks to changed ones, or to a driver's.

    Args:
      animation: what to draw.
      driver: a driver of one frame; None: the source itself.
      steps: how many frames; 1 for the last one alone.
      output: where to write. A still is a strip of all frames' crops, or the frame if there is one.
    """
    frame = None if driver is None else next(driver.frames)
    results = list(animation.lead(_end(animation, frame), steps))
    if output.is_video or steps == 1:
        pictures = [result.image for result in results]
    else:
        pictures = [
            np.concatenate([animation.painter.close_up(result.image) for result in results], 1)
        ]
    rate = float(LEAD_RATE)
    frames = [(picture, n / rate, (n + 1) / rate) for n, picture in enumerate(pictures)]
    output.save(frames, LEAD_RATE, len(frames))
    if output.sheet:
        portrait, seen = animation.source.shown(drivers.SHOWN), frame and frame.picture
        shown = sorted(timeline.even(steps, LEAD_RATE).spread(output.rows))
        rows = {n / float(LEAD_RATE): _row(animation, portrait, seen, results[n]) for n in shown}
        output.write_sheet(rows)
    units, summary = animation.options.units, {'out': output.path, 'sheet': output.sheet}
    summary |= {'frames': steps, 'held': 0, 'fault': None}
    return summary | {
        'transfer': animation.bundle.transfer_name if driver or units else None,
        'edits': dict(animation.options.edits),
        'units': {unit_edits.NAMES[change.index]: change.value for change in units},
    }


def _end(animation: Animation, frame: Frame | None):
    """Return a lead's last motion: the source's own, or as a still driver moves it."""
    source, start = animation.source, None
    if frame is None:
        return animation.own()
    if animation.options.is_relative and frame.face is not None:
        start = starts.of_still(source, frame.face)
    ((points, _),) = animation.landmarks([frame.face], start)
    return points[0, :, :2] if animation.bundle.motion == LANDMARKS else points[0]


def _row(animation: Animation, portrait, picture, result: ResultFrame) -> tuple:
    """Return the pictures of a row of the sheet: source, driver, landmarks, result."""
    bundle = animation.bundle
    points = bundle.points if bundle.motion == LANDMARKS else None
    drawn = sheets.drawing(result.landmarks, bundle.size, points)
    return portrait, picture, drawn, animation.painter.close_up(result.image)


class _Notes(NamedTuple):
    """What is known of the frames that have been made."""

    held: list[bool]  # of every frame
    rows: dict[int, tuple]  # of the sheet, by the number of the frame


def _shown(
    animation: Animation, driver: Driver, read: Driving, output: Output, results, notes: _Notes
) -> Iterator[Shown]:
    """Yield the frames as they are written."""
    shown = driver.times.spread(output.rows)
    portrait = animation.source.shown(BESIDE if output.side_by_side else drivers.SHOWN)
    for number, result in enumerate(results):
        picture, image = read.pictures.pop(number, None), result.image
        image = sheets.side_by_side(portrait, picture, image) if output.side_by_side else image
        notes.held.append(result.held)
        if output.sheet and number in shown:
            notes.rows[number] = _row(animation, portrait, picture, result)
        yield image, *read.times[number]


def _kept(faces: Iterator, kept: list) -> Iterator[dict | None]:
    """Yield the same faces and append each to a list."""
    for face in faces:
        kept.append(face)
        yield face


def _written(output: Output) -> dict:
    """Return what the file has, for a summary."""
    facts = measuring.measured(output.path)
    return facts | {'sound': facts['sound'] is not None}


def _motion(animation: Animation, faces: list, rate: Fraction, times) -> motion.Motion:
    """Turn driving faces into the motion that a file keeps."""
    bundle, layout = animation.bundle, layouts.layout(animation.bundle.points)
    aus, valid = np.zeros((2, len(faces), 20), np.float32)
    places = np.full((len(faces), layout.count, 3), np.nan, np.float32)
    for number, face in enumerate(faces):
        if face is not None:
            made = head_pose.apply(face, animation.options.units, layout)
            places[number] = made['landmarks3d'] / bundle.size
            aus[number], valid[number] = made['aus'], made['aus_valid']
    return motion.Motion(aus, valid > 0, rate, bundle.points, places, times)
