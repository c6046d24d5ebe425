"""Results on disk: an animation, or the way from one landmark set to another, with its sheet."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from tqdm import tqdm

from reenact_jax.bundle import Bundle
from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.geometry import layouts
from reenact_jax.media import loops, sheets, watermark, writing
from reenact_jax.reenact import drivers, motion, painting, reference_frame, smoothing, starts
from reenact_jax.reenact.animation import BATCH, Changes, animate, lead
from reenact_jax.reenact.drivers import Driver
from reenact_jax.reenact.edits import head_pose, unit_edits
from reenact_jax.reenact.portraits import Portrait
from reenact_jax.reenact.regions import Amount

LEAD_RATE = Fraction(12)  # frames a second of a video of --steps
REFERENCES = ('first', 'best')
VIDEOS = ('.mp4', '.webp')
BESIDE = 512  # side of the pictures of source and driver beside a result, pixels


def record(
    bundle: Bundle,
    source: Portrait,
    driver: Driver,
    out: str,
    *,
    sheet: str | None = None,
    sheet_rows: int = 6,
    how: str = 'relative',
    batch: int = BATCH,
    changes: Changes = Changes(),
    keep: str | None = None,
    crop: bool = False,
    mark: bool = True,
    signed: bool = True,
    reference: str = 'first',
    smooth: bool = False,
    most: int | None = None,
    beside: bool = False,
    amount: Amount = Amount(),
) -> dict:
    """Writes the animation (an .mp4 at the driver's exact rate, or a still) and its contact sheet.

    Args:
      driver: read once; the frames that bring a picture are the rows of the sheet.
      out: .mp4, or .png or .jpg for a driver of one frame.
      sheet: file of the contact sheet; None for none.
      sheet_rows: frames on it, where every frame brings a picture (`beside`).
      how: `motion` of `animate`; batch, changes: as there.
      keep: file of the driver's motion (motion.py), smoothed and with changed units if these are
        asked for; None for none.
      crop: the square crop alone, not the source's whole picture with the crop in its place; with
        another background it is always so.
      mark: the invisible mark in the pixels (watermark.py).
      signed: content credentials (credentials.py), of the sheet too.
      reference: where relative motion starts, one of `REFERENCES`: the driver's first frame, or
        that in which it looks most as the source does (reference_frame.py; reads the
        driver once before). A driver of one frame starts at the source's own face
        (`starts.onto`).
      smooth: filters the driver's jitter (smoothing.py).
      most: longest side of the result, as of `painting.painter`.
      beside: every frame shows source, driver and result side by side; the driver has to bring the
        picture of every frame.
      amount: how much of a relative motion is taken (regions.py).

    The driver's sound, where it has some, goes with a video.

    Returns {'out', 'frames', 'held', 'rate', 'fault', 'start', ...} for a summary: `start` says why
    relative motion should not start at the driver's first frame, where it did; else it is None.
    """
    rows, pictures, moved = {}, {}, []
    relative, start, begin = how == 'relative', None, 0
    if reference == 'best' and relative and driver.count != 1:
        driver, start, begin = reference_frame.nearest(driver, source)
    own = source.shown(BESIDE if beside else drivers.SHOWN)
    first, driving = starts.first(_faces(driver, pictures, smooth))
    if relative and driver.count == 1 and first is not None:
        start = starts.onto(source.known, first)
    driving = _kept(driving, moved) if keep else driving
    painter = _painter(bundle, source, changes, crop, most)
    moving: dict[str, Any] = dict(motion=how, batch=batch, changes=changes, reference=start)
    moving |= dict(painter=painter, amount=amount)
    made = tqdm(
        animate(bundle, source, driving, **moving),
        total=driver.count,
        unit='frame',
        desc=storage.path(out).name,
    )
    held = count = 0
    shown = drivers.spread(driver.count, sheet_rows) if beside else driver.shown
    with writer(out, driver.rate, signed, driver.count, driver.sound) as write:
        for number, one in enumerate(made):
            seen, frame = pictures.pop(number, None), one.image
            if beside:
                frame = sheets.side_by_side(own, seen, frame)
            write(watermark.embed(frame) if mark else frame)
            held, count = held + one.held, number + 1
            if sheet and number in shown:
                drawn = sheets.drawing(one.landmarks, bundle.size, bundle.points)
                rows[number] = (own, seen, drawn, painter.close_up(one.image))
    if keep:
        motion.write(keep, _motion(moved, bundle, changes, driver.rate))
    if sheet:
        writing.write_still(sheet, sheets.sheet(list(rows.values()), list(rows)), signed=signed)
    summary = {'out': out, 'sheet': sheet, 'frames': count, 'rate': str(driver.rate), 'held': held}
    summary |= {'reference': begin, 'sound': bool(driver.sound) and out.lower().endswith('.mp4')}
    plain = relative and start is None
    summary['start'] = starts.fault(first, source.known) if plain and first else None
    return summary | {'fault': driver.fault(), 'transfer': bundle.transfer_name, 'motion': how}


def record_lead(
    bundle: Bundle,
    source: Portrait,
    driver: Driver | None,
    out: str,
    steps: int,
    *,
    sheet: str | None = None,
    rows: int = 6,
    how: str = 'relative',
    batch: int = BATCH,
    changes: Changes = Changes(),
    crop: bool = False,
    mark: bool = True,
    signed: bool = True,
    most: int | None = None,
    amount: Amount = Amount(),
) -> dict:
    """Writes `steps` frames from the source's own landmarks to changed ones, or to a driver's.

    Args:
      driver: of one frame; None: the source itself.
      steps: 1 for the last frame alone.
      out: .mp4, or .png or .jpg for a strip of all frames.
      sheet, rows: file of the contact sheet (None for none) and how many frames it shows.
      how, batch, changes: see `animate` (`motion`) and `lead`.
      crop, mark, signed, most, amount: as in `record`; a strip is of crops.
    """
    end, seen = source.known['landmarks'], None
    if driver is not None:
        frame = next(driver.frames)
        seen = frame.picture
        start = None
        if how == 'relative' and frame.face is not None:
            start = starts.onto(source.known, frame.face)
        moving: dict[str, Any] = dict(motion=how, batch=batch, reference=start, amount=amount)
        (made,) = animate(bundle, source, [frame.face], **moving)
        end = made.landmarks
    painter = _painter(bundle, source, changes, crop, most)
    made = list(lead(bundle, source, end, steps, batch=batch, changes=changes, painter=painter))
    pictures = [one.image for one in made]
    close = [painter.close_up(picture) for picture in pictures]
    marked = watermark.embed if mark else lambda picture: picture
    if is_video(out):
        with writer(out, LEAD_RATE, signed, steps) as write:
            for picture in pictures:
                write(marked(picture))
    else:
        strip = pictures[0] if steps == 1 else np.concatenate(close, 1)
        writing.write_still(out, marked(strip), signed=signed)
    if sheet:
        own = source.shown(drivers.SHOWN)
        shown = sorted(drivers.spread(steps, rows))
        drawn = [sheets.drawing(made[n].landmarks, bundle.size, bundle.points) for n in shown]
        lines = [(own, seen, d, close[n]) for n, d in zip(shown, drawn, strict=True)]
        writing.write_still(sheet, sheets.sheet(lines, shown), signed=signed)
    return {'out': out, 'sheet': sheet, 'frames': steps, 'held': 0, 'fault': None} | {
        'transfer': bundle.transfer_name if driver or changes.units else None,
        'edits': dict(changes.strengths),
        'units': {unit_edits.NAMES[one.index]: one.value for one in changes.units},
    }


def _painter(bundle: Bundle, source: Portrait, changes: Changes, crop: bool, most: int | None):
    return painting.painter(
        bundle, source, whole=not crop, background=changes.background, most=most
    )


def _faces(driver: Driver, pictures: dict, smooth: bool) -> Iterator[dict | None]:
    """The driver's faces; pictures that are shown go into `pictures` by number."""

    def found():
        for number, frame in enumerate(driver.frames):
            if number in driver.shown:
                pictures[number] = frame.picture
            yield frame.face

    return smoothing.smooth(found(), driver.rate) if smooth else found()


def _kept(faces: Iterator, kept: list) -> Iterator[dict | None]:
    """The same faces, which go into a list as well."""
    for face in faces:
        kept.append(face)
        yield face


def _motion(faces: list, bundle: Bundle, changes: Changes, rate: Fraction) -> motion.Motion:
    """Driving faces as they are kept in a file."""
    count = layouts.layout(bundle.points).count
    aus, valid = np.zeros((2, len(faces), 20), np.float32)
    places = np.full((len(faces), count, 3), np.nan, np.float32)
    for number, face in enumerate(faces):
        if face is not None:
            made = head_pose.apply(face, changes.units, layouts.layout(bundle.points))
            places[number] = made['landmarks3d'] / bundle.size
            aus[number], valid[number] = made['aus'], made['aus_valid']
    return motion.Motion(aus, valid > 0, rate, bundle.points, places)


@contextlib.contextmanager
def writer(out: str, rate: Fraction, signed: bool, count: int, sound: str | None = None):
    """A function that takes frames, in order."""
    if out.lower().endswith('.webp'):
        with loops.LoopWriter(out, rate, signed, count) as loop:
            yield loop.write
    elif is_video(out):
        with writing.VideoWriter(out, rate, sound=sound, signed=signed) as video:
            yield video.write
    else:
        yield lambda image: writing.write_still(out, image, signed=signed)


def is_video(out: str) -> bool:
    """Whether the output is a video. Raises UserError for a suffix that is neither."""
    suffix = storage.path(out).suffix.lower()
    if suffix not in (*VIDEOS, '.png', '.jpg', '.jpeg'):
        raise UserError(
            f'--out {out}: name it .mp4, .webp for a short loop, .png or .jpg when the driver is '
            'a still'
        )
    return suffix in VIDEOS
