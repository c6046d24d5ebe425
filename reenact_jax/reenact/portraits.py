"""The source: a portrait's crop and its landmarks, from a picture file or from a stored track.

What is known of a face goes to a bundle as a dict of arrays, named as in `tracks.Face`.
"""

import itertools
from typing import NamedTuple

import numpy as np
import simplejpeg
from jaxtyping import Float, UInt8

from reenact_jax import faces
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data.tracks import Track
from reenact_jax.faces.following import Finder
from reenact_jax.faces.points import of_points
from reenact_jax.geometry import crops, images
from reenact_jax.geometry import landmarks as lm
from reenact_jax.media import reading
from reenact_jax.reenact.pasting import Canvas


class Portrait(NamedTuple):
    """A face in its square crop, as a model of that size takes it."""

    image: Float[np.ndarray, 's s 3']  # in [-1, 1]
    known: dict[str, np.ndarray]  # landmarks [n, 2] and more, pixels of the crop
    canvas: Canvas | None = None  # what it was cut from; None: unknown
    certain: bool = True  # whether it is surely a human face, no animal or drawing

    def face(self) -> dict:
        """Return the portrait as a bundle's `source`: arrays with a leading axis of 1."""
        return {name: value[None] for name, value in {'image': self.image, **self.known}.items()}

    @property
    def is_cut(self) -> bool:
        """Whether the picture ends within the face: some landmarks lie outside of it."""
        if self.canvas is None:
            return False
        (x0, y0, side), (height, width) = self.canvas.window, self.canvas.picture.shape[:2]
        points = self.known['landmarks'] * (side / len(self.image)) + np.array([x0, y0])
        return bool((points < 0).any() or (points > np.array([width, height])).any())

    def shown(self, side: int) -> UInt8[np.ndarray, 'side side 3']:
        """Cut the crop from the picture it comes from, to be looked at."""
        if self.canvas is None:
            return np.asarray(images.to_uint8(self.image))
        return crops.crop(self.canvas.picture, self.canvas.window, side)


def from_file(
    path: str,
    size: int,
    points: str,
    detector: faces.AnyDetector,
    which: str | int | None = None,
    frame: int = 0,
) -> Portrait:
    """Find the face in a picture, or in a frame of a video.

    Args:
      path: picture or video.
      size: side of the crop, pixels.
      points: point set.
      detector: what finds faces.
      which: of several faces: None (there must be one), 'largest' or its number from the left.
      frame: frame of a video, from 0.

    Raises:
      UserError: there is no such picture or frame, no face in it, several faces and no choice among
        them, or hardly a human face.
    """
    where = f'{path}, frame {frame}' if reading.kind(path) == 'video' else path
    return from_picture(read(path, frame), size, points, detector, which, where)


def read(path: str, frame: int = 0) -> UInt8[np.ndarray, 'h w 3']:
    """Read a picture, or a frame of a video, from 0.

    Raises:
      UserError: there is no such picture or frame.
    """
    if reading.kind(path) != 'video':
        return reading.read_still(path)
    reader = reading.Reader(path)
    shown = next(itertools.islice(reader, frame, None), None) if frame >= 0 else None
    if shown is None:
        raise UserError(f'--source-frame {frame}: {path} has {reader.probe.frames} frames, from 0')
    return shown


def from_picture(
    picture: UInt8[np.ndarray, 'h w 3'],
    size: int,
    points: str,
    detector: faces.AnyDetector,
    which: str | int | None = None,
    where: str = 'picture',
) -> Portrait:
    """Find the face in a decoded picture, as `from_file` does.

    Args:
      picture: RGB.
      size: side of the crop, pixels.
      points: point set.
      detector: what finds faces.
      which: of several faces: None (there must be one), 'largest' or its number from the left.
      where: what error messages call the picture.

    Raises:
      UserError: there is no face, several faces and no choice among them, or hardly a human face.
    """
    found = Finder(detector).at_any_roll(picture)
    face = faces.choose(found, which, where)
    certain = detector.is_certain(picture, face)
    if which is None and not certain:
        raise UserError(
            f'{where}: what was found is hardly a human face (an animal, a drawing?); if it is '
            'one, say so: --face largest'
        )
    return _cut(picture, face, size, points)._replace(certain=certain)


def from_points(
    picture: UInt8[np.ndarray, 'h w 3'], given: Float[np.ndarray, 'n d'], size: int, points: str
) -> Portrait:
    """Take the face in a picture whose landmarks are known, without detection.

    Args:
      picture: RGB.
      given: the landmarks, with depth or without, pixels of the picture.
      size: side of the crop, pixels.
      points: point set.

    Raises:
      UserError: the landmarks are of another point set.
    """
    return _cut(picture, of_points(given), size, points)


def _cut(picture, face: faces.Detected, size: int, points: str) -> Portrait:
    landmarks = face.landmarks(points)
    window = lm.crop_box(landmarks[None])
    image = np.asarray(images.to_float(crops.crop(picture, window, size)))
    moved = known(crops.into_crop(landmarks, window, size), face.aus, face.aus_valid)
    return Portrait(image, moved, Canvas(picture, window))


def astronaut() -> UInt8[np.ndarray, 'h w 3']:
    """Return a photograph that everybody has: Eileen Collins, by NASA, public domain.

    Raises:
      UserError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError:
        raise UserError(
            'the photograph is in scikit-image: pip install scikit-image, or give another'
        ) from None
    return data.astronaut()


def from_track(track: Track, frame: int, size: int, points: str) -> Portrait:
    """Take a frame of a stored track, scaled to `size`; its canvas is the crop as it is stored.

    Raises:
      UserError: the track has no such frame.
    """
    if not -track.frames <= frame < track.frames:
        raise UserError(
            f'--source-frame {frame}: track {track.track_id} has {track.frames} frames, from 0'
        )
    all_faces = faces_of(track, size, points)
    stored = simplejpeg.decode_jpeg(track.image[frame])
    face = {name: value[frame] for name, value in all_faces.items()}
    return Portrait(picture(track, frame, size), face, Canvas(stored, (0, 0, len(stored))))


def picture(track: Track, frame: int, size: int) -> Float[np.ndarray, 's s 3']:
    """Return a frame's image in [-1, 1], scaled as training scales it."""
    decoded = simplejpeg.decode_jpeg(track.image[frame])
    return np.asarray(images.resize(images.to_float(decoded), size))


def faces_of(track: Track, size: int, points: str) -> dict[str, np.ndarray]:
    """Return what is known of a track's faces, [t, ...], in pixels of a crop of side `size`."""
    landmarks = np.array(getattr(track, f'landmarks_{points}') * (size / track.size), np.float32)
    return known(landmarks, track.aus, track.aus_valid)


def known(
    landmarks: Float[np.ndarray, '*s n 3'], aus: Float[np.ndarray, '*s 20'], valid
) -> dict[str, np.ndarray]:
    """Put landmarks and action units into the fields of `tracks.Face`.

    Args:
      landmarks: with depth.
      aus: 17 action units and three angles, as in tracks.py.
      valid: which of them are known; stored as 0 and 1.
    """
    units = {'aus': np.array(aus, np.float32), 'aus_valid': np.array(valid, np.float32)}
    return {'landmarks': landmarks[..., :2], 'landmarks3d': landmarks} | units


def find_track(directory: str, track_id: str) -> Track:
    """Return the track with an id, from any split of a shard set.

    Raises:
      UserError: there is none; the message names some that there are.
    """
    track_ids = []
    for split in shards.splits(directory):
        part = shards.ShardSet(directory, split)
        names = [str(name) for name in part.columns.track_id]
        if track_id in names:
            return part.track(names.index(track_id))
        track_ids += names
    some = ', '.join(track_ids[:3])
    raise UserError(
        f'{directory}: no track {track_id!r}; there are {len(track_ids)}, such as {some}'
    )


def scene(path: str, size: int) -> UInt8[np.ndarray, 'size size 3']:
    """Cut the middle square out of a picture, as a background.

    Raises:
      UserError: the file is no picture.
    """
    return middle(reading.read_still(path), size)


def middle(picture: UInt8[np.ndarray, 'h w 3'], size: int) -> UInt8[np.ndarray, 'size size 3']:
    """Cut the middle square out of a picture."""
    height, width = picture.shape[:2]
    side = min(height, width)
    return crops.crop(picture, ((width - side) / 2, (height - side) / 2, side), size)
