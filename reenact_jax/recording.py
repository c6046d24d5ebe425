"""Results on disk: an animation, or the way from one landmark set to another, with its sheet."""

import contextlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from reenact_jax import drivers, images, results, sheets
from reenact_jax.animation import BATCH, NO_EDITS, animate, lead
from reenact_jax.bundle import Bundle
from reenact_jax.drivers import Driver
from reenact_jax.errors import UserError
from reenact_jax.portraits import Portrait

LEAD_RATE = Fraction(12)  # frames a second of a video of --steps


def record(
    bundle: Bundle,
    source: Portrait,
    driver: Driver,
    out: str,
    *,
    sheet: str | None = None,
    motion: str = 'relative',
    batch: int = BATCH,
    strengths: Mapping[str, float] = NO_EDITS,
) -> dict:
    """Writes the animation (an .mp4 at the driver's exact rate, or a still) and its contact sheet.

    Args:
      driver: read once; the frames that bring a picture are the rows of the sheet.
      out: .mp4, or .png or .jpg for a driver of one frame.
      sheet: file of the contact sheet; None for none.
      motion, batch, strengths: see `animate`.

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
        animate(bundle, source, found(), motion=motion, batch=batch, strengths=strengths),
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


def record_lead(
    bundle: Bundle,
    source: Portrait,
    driver: Driver | None,
    out: str,
    steps: int,
    *,
    sheet: str | None = None,
    rows: int = 6,
    motion: str = 'relative',
    batch: int = BATCH,
    strengths: Mapping[str, float] = NO_EDITS,
) -> dict:
    """Writes `steps` frames from the source's own landmarks to edited ones, or to a driver's.

    Args:
      driver: of one frame; None: the source itself.
      steps: 1 for the last frame alone.
      out: .mp4, or .png or .jpg for a strip of all frames.
      sheet, rows: file of the contact sheet (None for none) and how many frames it shows.
      motion, batch, strengths: see `animate` and `lead`.
    """
    end, seen = source.known['landmarks'], None
    if driver is not None:
        frame = next(driver.frames)
        seen = frame.picture
        (made,) = animate(bundle, source, [frame.face], motion=motion, batch=batch)
        end = made.landmarks
    made = list(lead(bundle, source, end, max(steps, 2), batch=batch, strengths=strengths))
    made = made[-steps:]  # a single frame is the last
    pictures = [one.image for one in made]
    if is_video(out):
        with _writer(out, LEAD_RATE) as write:
            for picture in pictures:
                write(picture)
    else:
        results.write_still(out, np.concatenate(pictures, 1))
    if sheet:
        own = np.asarray(images.to_uint8(source.image))
        shown = sorted(drivers.spread(steps, rows))
        drawn = [sheets.drawing(made[n].landmarks, bundle.size, bundle.points) for n in shown]
        lines = [(own, seen, d, pictures[n]) for n, d in zip(shown, drawn, strict=True)]
        results.write_still(sheet, sheets.sheet(lines, shown))
    return {'out': out, 'sheet': sheet, 'frames': steps, 'held': 0, 'fault': None} | {
        'transfer': bundle.transfer_name if driver else None,
        'edits': dict(strengths),
    }


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
