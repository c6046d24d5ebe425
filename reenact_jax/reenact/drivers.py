"""The driver: a stream of faces, from a video, a still, a folder of stills or a stored track.

One frame is in memory at a time. Where no face is found, the face is None.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from reenact_jax import faces
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import Track
from reenact_jax.faces.following import Follower
from reenact_jax.geometry import crops, images
from reenact_jax.geometry import landmarks as lm
from reenact_jax.media import reading, sheets, timeline
from reenact_jax.media.sound import Track as Sound
from reenact_jax.media.sound import has_sound
from reenact_jax.media.timeline import Timeline
from reenact_jax.reenact import motion, portraits
from reenact_jax.reenact.pipeline import Ahead, serial

STILL_RATE = reading.FOLDER_RATE  # frames a second of a result of one frame
SHOWN = 256  # side of a picture that is shown, pixels
DRAWN = 512  # and of a drawing of landmarks
FOUND = 8  # faces that are found ahead: a batch


class Frame(NamedTuple):
    """A driving frame."""

    face: dict[str, np.ndarray] | None  # `portraits.known`, in the driver's own crop; None: no face
    picture: UInt8[np.ndarray, 's s 3'] | None = None  # the crop, of those that are shown
    time: tuple[float, float] | None = None  # its begin and end, seconds; None: by the rate
    shot: int = 0  # number of the shot: grows where the film cuts


class Driver(NamedTuple):
    """A stream of driving frames."""

    frames: Iterator[Frame]  # can be read once
    count: int  # frames that the file's header promises
    rate: Fraction  # exact frames per second; the mean where they are not even
    fault: Callable[[], str | None]  # after the last frame: what was broken in the file, or None
    shown: frozenset[int] = frozenset()  # numbers of the frames that bring a picture
    sound: Sound | None = None  # its sound
    timeline: Timeline | None = None  # when they are shown; None: at the rate, from nought
    unused: Mapping[str, str] = {}  # files of its folder that are no stills, with the reason
    report: Callable[[], dict] = dict  # after the last frame: `Follower.report`
    detected: bool = False  # whether its points are detected, and tremble

    @property
    def times(self) -> Timeline:
        """When its frames are shown."""
        return self.timeline or timeline.even(self.count, self.rate)


def from_file(
    path: str,
    size: int,
    points: str,
    detector: faces.AnyDetector,
    pictures: int = 0,
    shown_side: int = SHOWN,
    rate: Fraction | None = None,
    which: str | int | None = None,
    *,
    seen: bool = False,
    ahead: Ahead = serial,
) -> Driver:
    """Open a video, a still or a folder of stills as a driver.

    One face of the first frame that has any is followed. Its crop there, fixed as long as the film
    does not cut, is the frame of reference.

    Args:
      path: file or folder.
      size: side of the crop, pixels.
      points: point set.
      detector: what finds faces.
      pictures: how many frames, evenly spread, bring their picture.
      shown_side: side of these pictures, pixels.
      rate: frames a second of a folder of stills; None: 25.
      which: which of several faces, as `faces.choose` takes it; None: the largest.
      seen: whether faces bring the image of their crop, which some models take (`Bundle.sees`).
      ahead: what reads streams ahead: pictures, and the faces found in them.

    Raises:
      UserError: the file cannot be read.
    """
    reader = reading.Reader(path, rate)
    times = reader.timeline
    shown = times.spread(pictures)
    follower = Follower(detector, which, path)
    pictured = ahead(reader.frames())
    frames = detected(pictured, size, points, follower, shown, shown_side, seen)
    heard = reader.probe.kind == 'video' and has_sound(path)
    sound = Sound(path, reader.zero) if heard else None
    more = sound, times, reader.unused, follower.report, True
    found = ahead(frames, FOUND)
    return Driver(found, reader.probe.frames, times.mean, reader.fault, shown, *more)


def from_pictures(
    pictures: UInt8[np.ndarray, 't h w 3'],
    rate: Fraction,
    size: int,
    points: str,
    detector: faces.AnyDetector,
    which: str | int | None = None,
    *,
    seen: bool = False,
    ahead: Ahead = serial,
) -> Driver:
    """Follow a face in frames in memory, as `from_file` does.

    Args:
      pictures: RGB.
      rate: frames a second.
      size: side of the crop, pixels.
      points: point set.
      detector: what finds faces.
      which: which of several faces, as `faces.choose` takes it; None: the largest.
      seen: as of `from_file`.
      ahead: as of `from_file`.
    """
    times = timeline.even(len(pictures), rate).times
    stream = timeline.ends(zip(pictures, times, strict=True), len(pictures) / float(rate))
    shown = itertools.starmap(reading.TimedFrame, stream)
    follower = Follower(detector, which, 'the driving pictures')
    frames = ahead(detected(shown, size, points, follower, frozenset(), SHOWN, seen), FOUND)
    return Driver(frames, len(pictures), rate, lambda: None, report=follower.report, detected=True)


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
    times = times_of(track)
    shown = times.spread(pictures)
    moments = list(moments_of(times))
    all_faces = portraits.faces_of(track, size, points)

    def frames():
        for number in range(track.frames):
            face = {name: value[number] for name, value in all_faces.items()}
            if seen:
                face['image'] = portraits.picture(track, number, size)
            picture = simplejpeg.decode_jpeg(track.image[number]) if number in shown else None
            yield Frame(face, picture, moments[number])

    return Driver(frames(), track.frames, times.mean, lambda: None, shown, timeline=times)


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
      pictures: how many frames, evenly spread, bring a picture: a drawing of their landmarks.

    Raises:
      UserError: the file holds no motion, or none that drives the model.
    """
    if 'image' in driven_by:
        raise UserError(
            f'{path}: motion without pictures, and the model is driven by images; give the video '
            'itself, or take a bundle that landmarks drive'
        )
    content = motion.read(path)
    placed = motion.landmarks_of(content, points)
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
            if not seen[number]:
                yield Frame(None, time=moments[number])
                continue
            drawn = number in shown and placed is not None
            picture = sheets.drawing(face['landmarks'], size, points, DRAWN) if drawn else None
            yield Frame(face, picture, moments[number])

    seen = np.asarray(content.valid.any(1) if placed is None else np.isfinite(placed).all((1, 2)))
    times = content.timeline
    moments = list(moments_of(times))
    shown = times.spread(pictures)
    return Driver(frames(), len(content.aus), times.mean, lambda: None, shown, timeline=times)


def moments_of(times: Timeline) -> Iterator[tuple[float, float]]:
    """Give the seconds at which each frame of a timeline begins and ends."""
    for _, begin, end in timeline.ends(((None, float(t)) for t in times.times), times.end):
        yield begin, end


def rate_of(track: Track) -> Fraction:
    """Return the frames a second of a stored track.

    It may hold every second or third frame of a clip only.
    """
    steps = np.diff(track.frame_number)
    step = max(1, round(float(np.median(steps)))) if len(steps) else 1
    stored = Fraction(float(track.crop[3])).limit_denominator(1001)
    return stored / step if stored > 0 else STILL_RATE


def times_of(track: Track) -> Timeline:
    """Return the times of a stored track's frames, from nought."""
    if track.seconds is None or track.frames < 2:
        return timeline.even(track.frames, rate_of(track))
    seconds = np.asarray(track.seconds - track.seconds[0], np.float64)
    return timeline.read(seconds, None, (rate_of(track),))


def detected(
    stream: Iterable[tuple[UInt8[np.ndarray, 'h w 3'], float, float]],
    size: int,
    points: str,
    follower: Follower,
    shown: frozenset[int] = frozenset(),
    side: int = SHOWN,
    seen: bool = False,
) -> Iterator[Frame]:
    """Yield the face of every frame, in the crop of the first one of its shot.

    Args:
      stream: pictures with their begin and end, seconds; one is taken for each face.
      size: side of the crop, pixels.
      points: point set.
      follower: what follows one person.
      shown: numbers of the frames that bring their picture.
      side: of these pictures, pixels.
      seen: as of `from_file`.
    """
    window, shot = None, 0
    for number, (image, begin, end) in enumerate(stream):
        found = follower(image, begin)
        if found.shot != shot:
            window, shot = None, found.shot
        known = None
        if found.face is not None:
            landmarks = found.face.landmarks(points)
            window = lm.crop_box(landmarks[None]) if window is None else window
            there = crops.into_crop(landmarks, window, size)
            known = portraits.known(there, found.face.aus, found.face.aus_valid)
            if seen:
                known['image'] = np.asarray(images.to_float(crops.crop(image, window, size)))
        picture = _show(image, window, side) if number in shown else None
        yield Frame(known, picture, (begin, end), shot)


def _show(image, window, side: int):
    """Cut the window out of a frame; None where there is no window yet."""
    return None if window is None else crops.crop(image, window, side)
