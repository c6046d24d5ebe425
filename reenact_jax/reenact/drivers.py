"""The driver: a stream of faces, from a video, a still, a folder of stills or a stored track.

One frame is in memory at a time. Where no face is found, the face is None.
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
from reenact_jax.geometry import crops, images
from reenact_jax.geometry import landmarks as lm
from reenact_jax.media import reading
from reenact_jax.media.sound import has_sound
from reenact_jax.reenact import motion, portraits

STILL_RATE = reading.FOLDER_RATE  # frames a second of a result of one frame
SHOWN = 256  # side of a picture that is shown, pixels


class Frame(NamedTuple):
    """A driving frame."""

    face: dict[str, np.ndarray] | None  # `portraits.known`, in the driver's own crop; None: no face
    picture: UInt8[np.ndarray, 's s 3'] | None = None  # the crop, of those that are shown


class Driver(NamedTuple):
    """A stream of driving frames."""

    frames: Iterator[Frame]  # can be read once
    count: int  # frames that the file's header promises
    rate: Fraction  # exact frames per second
    fault: Callable[[], str | None]  # after the last frame: what was broken in the file, or None
    shown: frozenset[int] = frozenset()  # numbers of the frames that bring a picture
    sound: str | None = None  # a file with its sound


def from_file(
    path: str,
    size: int,
    points: str,
    detector: faces.Detector,
    pictures: int = 0,
    shown_side: int = SHOWN,
    *,
    seen: bool = False,
) -> Driver:
    """Open a video, a still or a folder of stills as a driver.

    The largest face of the first frame that has one is followed. Its crop there, fixed for the
    whole clip, is the frame of reference.

    Args:
      path: file or folder.
      size: side of the crop, pixels.
      points: point set.
      detector: what finds faces.
      pictures: how many frames, evenly spread, bring their picture.
      shown_side: side of these pictures, pixels.
      seen: whether faces bring the image of their crop, which some models take (`Bundle.sees`).

    Raises:
      UserError: the file cannot be read.
    """
    reader = reading.Reader(path)
    rate = reader.probe.rate or STILL_RATE
    shown = spread(reader.probe.frames, pictures)
    frames = _detected(reader, size, points, detector, shown, shown_side, seen)
    sound = path if reader.probe.kind == 'video' and has_sound(path) else None
    return Driver(frames, reader.probe.frames, rate, reader.fault, shown, sound)


def from_pictures(
    pictures: UInt8[np.ndarray, 't h w 3'],
    rate: Fraction,
    size: int,
    points: str,
    detector: faces.Detector,
    *,
    seen: bool = False,
) -> Driver:
    """Follow the largest face in frames in memory, as `from_file` does.

    Args:
      pictures: RGB.
      rate: frames a second.
      size: side of the crop, pixels.
      points: point set.
      detector: what finds faces.
      seen: as of `from_file`.
    """
    frames = _detected(pictures, size, points, detector, frozenset(), SHOWN, seen)
    return Driver(frames, len(pictures), rate, lambda: None)


def from_track(
    track: Track, size: int, points: str, pictures: int = 0, *, seen: bool = False
) -> Driver:
    """Take the faces of a stored track, without detection.

    Args:
      track: the track.
      size: side of the crop, pixels.
      points: point set.
      pictures: how many frames, evenly spread, bring their picture.
      seen: as of `from_file`.
    """
    shown = spread(track.frames, pictures)
    all_faces = portraits.faces_of(track, size, points)

    def frames():
        for number in range(track.frames):
            face = {name: value[number] for name, value in all_faces.items()}
            if seen:
                face['image'] = portraits.picture(track, number, size)
            picture = simplejpeg.decode_jpeg(track.image[number]) if number in shown else None
            yield Frame(face, picture)

    return Driver(frames(), track.frames, rate_of(track), lambda: None, shown)


def from_motion(
    path: str,
    source: portraits.Portrait,
    size: int,
    points: str,
    driven_by: Sequence[str],
    pictures: int = 0,
) -> Driver:
    """Read landmarks and action units from a file (motion.py).

    If it has no landmarks of the point set, action units drive a head that stays in its place.

    Args:
      path: the file.
      source: the portrait, whose values stand in for what the file does not have.
      size: side of the model's crop, pixels.
      points: the model's point set.
      driven_by: the fields of a face that the model's transfer takes.
      pictures: how many frames, evenly spread, are shown; there is no picture of them.

    Raises:
      UserError: the file holds no motion, or none that drives the model.
    """
    if 'image' in driven_by:
        raise UserError(
            f'{path}: motion without pictures, and the model is driven by images; give the video '
            'itself, or take a bundle that landmarks drive'
        )
    content = motion.read(path)
    placed = content.landmarks if content.points == points else None
    by_units = 'aus' in driven_by
    if not (content.valid.any() if by_units else placed is not None):
        has = [f'landmarks of {content.points}'] if content.points else []
        has += ['action units'] if content.valid.any() else []
        raise UserError(
            f'{path}: has {" and ".join(has) or "nothing"} alone, and the model is driven by '
            f'{", ".join(driven_by)} of point set {points}; save the motion with this model '
            '(--save-motion), or take a bundle with another transfer'
        )

    def frames():
        for number in range(len(content.aus)):
            face = {**source.known, 'aus': content.aus[number]}
            face['aus_valid'] = np.array(content.valid[number], np.float32)
            if placed is not None:
                there = np.array(placed[number] * size, np.float32)
                face |= {'landmarks': there[..., :2], 'landmarks3d': there}
            yield Frame(face if seen[number] else None)

    seen = np.asarray(content.valid.any(1) if placed is None else np.isfinite(placed).all((1, 2)))
    shown = spread(len(content.aus), pictures)
    return Driver(frames(), len(content.aus), content.rate, lambda: None, shown)


def spread(count: int, pictures: int) -> frozenset[int]:
    """Choose at most `pictures` numbers below `count`, evenly spread, first and last included."""
    wanted = min(pictures, count)
    return frozenset(int(i) for i in np.linspace(0, count - 1, wanted).round())


def rate_of(track: Track) -> Fraction:
    """Return the frames a second of a stored track.

    It may hold every second or third frame of a clip only.
    """
    steps = np.diff(track.frame_number)
    step = max(1, round(float(np.median(steps)))) if len(steps) else 1
    stored = Fraction(float(track.crop[3])).limit_denominator(1001)
    return stored / step if stored > 0 else STILL_RATE


def _detected(reader, size, points, detector, shown, side, seen) -> Iterator[Frame]:
    """Yield the face of every frame, in the crop of the first one found."""
    window, last = None, None
    for number, image in enumerate(reader):
        detections = detector.detect(image, near=() if last is None else (last,))
        if not detections:
            yield Frame(None, _show(image, window, side) if number in shown else None)
            continue
        face = _same(detections, last)
        last, landmarks = face.box, getattr(face, f'landmarks_{points}')
        if window is None:
            window = lm.crop_box(landmarks[None])
        picture = _show(image, window, side) if number in shown else None
        points_there = crops.into_crop(landmarks, window, size)
        known = portraits.known(points_there, face.aus, face.aus_valid)
        if seen:
            known['image'] = np.asarray(images.to_float(crops.crop(image, window, size)))
        yield Frame(known, picture)


def _same(detections, last):
    """Choose the face that overlaps the last one most; without a last one, the largest."""
    if last is None:
        return detections[0]  # largest first
    overlaps = [windows.overlap(face.box, last) for face in detections]
    return detections[int(np.argmax(overlaps))]


def _show(image, window, side: int):
    """Cut the window out of a frame; None where there is no window yet."""
    return None if window is None else crops.crop(image, window, side)
