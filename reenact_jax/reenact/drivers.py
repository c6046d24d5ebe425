"""The driver: a stream of faces, from a video, a still, a folder of stills or a stored track.

One frame is in memory at a time. Where no face is found it is None.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from reenact_jax import faces
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import Track
from reenact_jax.faces import windows
from reenact_jax.geometry import crops
from reenact_jax.geometry import landmarks as lm
from reenact_jax.media import reading
from reenact_jax.media.sound import has_sound
from reenact_jax.reenact import motion, portraits

STILL_RATE = reading.FOLDER_RATE  # of a one-frame result
SHOWN = 256  # side of a picture that is shown, pixels


class Frame(NamedTuple):
    """A driving frame."""

    face: dict[str, np.ndarray] | None  # `portraits.known`, in the driver's own crop; None: no face
    picture: UInt8[np.ndarray, 's s 3'] | None = None  # the crop, of those that are shown


class Driver(NamedTuple):
    """A stream of driving frames."""

    frames: Iterator[Frame]  # to be read once
    count: int  # frames promised by the file's header
    rate: Fraction  # exact frames per second
    fault: Callable[[], str | None]  # after the last frame: None, or what was broken in the file
    shown: frozenset[int] = frozenset()  # numbers of the frames that bring a picture
    sound: str | None = None  # a file with its sound


def from_file(
    path: str,
    size: int,
    points: str,
    detector: faces.Detector,
    pictures: int = 0,
    shown_side: int = SHOWN,
) -> Driver:
    """A video, still or folder of stills. The largest face of the first frame that has one is
    followed; its crop there, fixed for the whole clip, is the frame of reference.

    Args:
      size: side of the crop, pixels.
      points: point set.
      pictures: how many frames, evenly spread, shall bring their picture.
      shown_side: side of these pictures, pixels.

    Raises UserError when the file cannot be read.
    """
    reader = reading.Reader(path)
    rate = reader.probe.rate or STILL_RATE
    shown = spread(reader.probe.frames, pictures)
    frames = _detected(reader, size, points, detector, shown, shown_side)
    heard = path if reader.probe.kind == 'video' and has_sound(path) else None
    return Driver(frames, reader.probe.frames, rate, reader.fault, shown, heard)


def from_pictures(
    pictures: UInt8[np.ndarray, 't h w 3'],
    rate: Fraction,
    size: int,
    points: str,
    detector: faces.Detector,
) -> Driver:
    """Frames in memory, RGB, followed as of `from_file`."""
    frames = _detected(pictures, size, points, detector, frozenset(), SHOWN)
    return Driver(frames, len(pictures), rate, lambda: None)


def from_track(track: Track, size: int, points: str, pictures: int = 0) -> Driver:
    """A stored track: its landmarks, no detection. `pictures` as in `from_file`."""
    shown = spread(track.frames, pictures)
    every = portraits.faces_of(track, size, points)

    def frames():
        for number in range(track.frames):
            one = {name: value[number] for name, value in every.items()}
            picture = simplejpeg.decode_jpeg(track.image[number]) if number in shown else None
            yield Frame(one, picture)

    return Driver(frames(), track.frames, rate_of(track), lambda: None, shown)


def from_motion(
    path: str,
    source: portraits.Portrait,
    size: int,
    points: str,
    driven_by: Sequence[str],
    pictures: int = 0,
) -> Driver:
    """Landmarks and action units of a file (motion.py).

    Where it has no landmarks of the point set, action units drive a head that stays in its place.

    Args:
      size, points: of the model.
      driven_by: the fields of a face that its transfer takes.
      pictures: how many frames, evenly spread, are to be shown; there is no picture of them.

    Raises UserError when the file holds no motion, or none that drives the model.
    """
    found = motion.read(path)
    placed = found.landmarks if found.points == points else None
    by_units = 'aus' in driven_by
    if not (found.valid.any() if by_units else placed is not None):
        has = [f'landmarks of {found.points}'] if found.points else []
        has += ['action units'] if found.valid.any() else []
        raise UserError(
            f'{path}: has {" and ".join(has) or "nothing"} alone, and the model is driven by '
            f'{", ".join(driven_by)} of point set {points}; save the motion with this model '
            '(--save-motion), or take a bundle with another transfer'
        )

    def frames():
        for number in range(len(found.aus)):
            face = {**source.known, 'aus': found.aus[number]}
            face['aus_valid'] = np.array(found.valid[number], np.float32)
            if placed is not None:
                there = np.array(placed[number] * size, np.float32)
                face |= {'landmarks': there[..., :2], 'landmarks3d': there}
            yield Frame(face if seen[number] else None)

    seen = np.asarray(found.valid.any(1) if placed is None else np.isfinite(placed).all((1, 2)))
    shown = spread(len(found.aus), pictures)
    return Driver(frames(), len(found.aus), found.rate, lambda: None, shown)


def spread(count: int, pictures: int) -> frozenset[int]:
    """At most `pictures` numbers below `count`, evenly spread, first and last included."""
    wanted = min(pictures, count)
    return frozenset(int(i) for i in np.linspace(0, count - 1, wanted).round())


def rate_of(track: Track) -> Fraction:
    """Frames per second of a stored track, which may hold every second or third frame of a clip."""
    steps = np.diff(track.frame_number)
    step = max(1, round(float(np.median(steps)))) if len(steps) else 1
    stored = Fraction(float(track.crop[3])).limit_denominator(1001)
    return stored / step if stored > 0 else STILL_RATE


def _detected(reader, size, points, detector, shown, side) -> Iterator[Frame]:
    window, last = None, None
    for number, image in enumerate(reader):
        found = detector.detect(image, near=() if last is None else (last,))
        if not found:
            yield Frame(None, _show(image, window, side) if number in shown else None)
            continue
        face = _same(found, last)
        last, landmarks = face.box, getattr(face, f'landmarks_{points}')
        if window is None:
            window = lm.crop_box(landmarks[None])
        picture = _show(image, window, side) if number in shown else None
        points_there = crops.into_crop(landmarks, window, size)
        yield Frame(portraits.known(points_there, face.aus, face.aus_valid), picture)


def _same(found, last):
    """The face that overlaps that of the frame before most; the largest when none does."""
    if last is None:
        return found[0]  # largest first
    overlaps = [windows.overlap(face.box, last) for face in found]
    return found[int(np.argmax(overlaps))]


def _show(image, window, side: int):
    return None if window is None else crops.crop(image, window, side)
