"""A film as the source: its own motion stays, and its expression is replaced by the driver's.

    l_t = H_t(l_0 + change of the driver's expression since its first frame)  in the regions
    l_t = the film's own landmarks                                            elsewhere

l_0 is the film's first face, to which the driver's expression is added as to a portrait
(relative.py), and H_t the similarity that takes its rigid points (frames.py) to those of frame t. A
mouth that moves in the film is not added to the driver's: it is replaced.

Each frame of the film is a portrait of its own. Of its pixels a square around the face is drawn,
cut out without resampling and of one side as long as the face is about as large, so that nothing is
compiled anew for a frame.
"""

import collections
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax import faces
from reenact_jax.bundle import Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.faces.following import Follower
from reenact_jax.geometry import crops, frames, images
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry.layouts import Layout
from reenact_jax.media import reading
from reenact_jax.media.timeline import TICK
from reenact_jax.reenact import painting, portraits, smoothing
from reenact_jax.reenact.composing import MARGIN
from reenact_jax.reenact.driving import Driving
from reenact_jax.reenact.pasting import Canvas
from reenact_jax.reenact.portraits import Portrait

_SAME = 1.1  # ratio of sizes up to which a face keeps the side of its square
_BORDER = 2  # pixels around the region that is drawn, so that it ends within the square


class Shown(NamedTuple):
    """A frame of a film."""

    image: UInt8[np.ndarray, 'h w 3']
    begin: float  # seconds
    end: float
    face: dict[str, np.ndarray] | None  # `portraits.known`, pixels of the image; None: no face


class Film:
    """A film whose person is followed; it can be read once.

    Attributes:
      path: the video or the folder of stills.
      reader: what reads it.
      follower: what follows the person.
      first: the first frame that has a face.
    """

    def __init__(
        self,
        path: str,
        points: str,
        detector: faces.AnyDetector,
        which: str | int | None = None,
        *,
        most: int | None = None,
        smooth: bool = True,
    ):
        """Read up to the first face.

        Args:
          path: the video or the folder of stills.
          points: point set.
          detector: what finds faces.
          which: which of several faces in the first frame that has any; None: the largest.
          most: longest side of the frames, pixels; None: `painting.MOST_SIDE`.
          smooth: whether the jitter of the points is filtered.

        Raises:
          UserError: it cannot be read, or no frame has a face.
        """
        self.path, self._points, self._most = path, points, most or painting.MOST_SIDE
        self.reader = reading.Reader(path)
        self.follower = Follower(detector, which, path)
        self._before: list[Shown] = []
        self._rest = self._read(smooth)
        for shown in self._rest:
            self._before.append(shown)
            if shown.face is not None:
                self.first = shown
                return
        raise UserError(f'{path}: no face found in any frame; is it the right file?')

    def frames(self) -> Iterator[Shown]:
        """Give all frames."""
        while self._before:
            yield self._before.pop(0)
        yield from self._rest

    def _read(self, smooth: bool) -> Iterator[Shown]:
        read: collections.deque = collections.deque()
        times, shots = [], []

        def found():
            for image, begin, end in self.reader.frames():
                followed = self.follower(image, begin)
                small = painting.fitted(Canvas(image, (0, 0, 1)), self._most)
                read.append(Shown(small.picture, begin, end, None))
                times.append((begin, end))
                shots.append(followed.shot)
                yield self._known(followed.face, small.window[2])

        rate = self.reader.timeline.mean
        for face in smoothing.smooth(found(), rate, times, shots) if smooth else found():
            yield read.popleft()._replace(face=face)

    def _known(self, face: faces.Detected | None, scale: float) -> dict | None:
        if face is None:
            return None
        points = np.array(face.landmarks(self._points) * scale, np.float32)
        return portraits.known(points, face.aus, face.aus_valid)


class Square(NamedTuple):
    """Where the face of a frame is drawn: whole pixels of the frame."""

    left: int
    top: int
    side: int  # of the crop; around it lies a margin

    @property
    def margin(self) -> int:
        """Pixels on each side of the crop."""
        return math.ceil(MARGIN * self.side) + _BORDER

    def cut(self, image: UInt8[np.ndarray, 'h w 3']) -> Canvas:
        """Cut out the crop with its margin; outside of the frame its border repeats."""
        more, side = self.margin, self.side
        window = self.left - more, self.top - more, side + 2 * more
        return Canvas(crops.crop(image, window, side + 2 * more), (more, more, side))

    def put(self, drawn: UInt8[np.ndarray, 's s 3'], image: UInt8[np.ndarray, 'h w 3']) -> None:
        """Write a square with its margin into the frame, as far as it lies in it."""
        left, top, (height, width) = (
            self.left - self.margin,
            self.top - self.margin,
            image.shape[:2],
        )
        x, y = max(left, 0), max(top, 0)
        right, bottom = min(left + len(drawn), width), min(top + len(drawn), height)
        if x < right and y < bottom:
            image[y:bottom, x:right] = drawn[y - top : bottom - top, x - left : right - left]


class Squares:
    """Places of squares around the faces of a film."""

    def __init__(self):
        """Begin before the first frame."""
        self._side = 0

    def __call__(self, shown: Shown) -> Square:
        """Place the square of the next frame that has a face."""
        assert shown.face is not None
        x0, y0, side = lm.crop_box(shown.face['landmarks'][None])
        if not self._side / _SAME <= side <= self._side * _SAME:
            self._side = max(round(side), 1)
        off = (side - self._side) / 2
        return Square(round(x0 + off), round(y0 + off), self._side)


def portrait(shown: Shown, square: Square, size: int) -> Portrait:
    """Make a portrait of a frame that has a face.

    Args:
      shown: the frame.
      square: where its face is.
      size: side of the model's crop, pixels.
    """
    assert shown.face is not None
    canvas = square.cut(shown.image)
    window = float(square.left), float(square.top), float(square.side)
    points = crops.into_crop(frames.of_face(shown.face), window, size)
    known = portraits.known(points, shown.face['aus'], shown.face['aus_valid'])
    image = np.asarray(images.to_float(crops.crop(canvas.picture, canvas.window, size)))
    return Portrait(image, known, canvas)


def replaced(
    own: Float[np.ndarray, 'n 3'],
    reference: Float[np.ndarray, 'n 3'],
    moved: Float[np.ndarray, 'n 3'],
    layout: Layout,
    weights: Float[np.ndarray, 'n 1'],
) -> Float[np.ndarray, 'n 3']:
    """Put the expression of a moved reference on the head of another frame.

    Args:
      own: landmarks of the frame.
      reference: those of the reference.
      moved: the reference's with the driver's expression.
      layout: of the points.
      weights: 1 for the points that are replaced, else 0.
    """
    at = frames.rigid(layout)
    flat = frames.is_flat(own, layout) or frames.is_flat(reference, layout)
    head = frames.fit(own[at], reference[at], flat)
    around = (moved - reference[at].mean(0)) * ([1, 1, 0] if flat else 1)
    there = head.centre + head.scale * around @ head.turn.T
    return own + weights * (there - own) * ([1, 1, 0] if flat else 1)


def draw(
    bundle: Bundle, shown: Shown, square: Square, source: Portrait, points: Float[np.ndarray, 'n 3']
) -> UInt8[np.ndarray, 'h w 3']:
    """Draw a frame of a film with other landmarks.

    Args:
      bundle: the model.
      shown: the frame.
      square: where its face is.
      source: its portrait.
      points: landmarks in pixels of the model's crop.

    Raises:
      UserError: the model draws values that are not finite.
    """
    assert source.canvas is not None
    painter = painting.painter(bundle, source, whole=True, most=len(source.canvas.picture))
    (drawn,) = painter.draw(np.array(points[None], np.float32), 1)
    image = shown.image.copy()
    square.put(painter.finish(np.asarray(drawn)), image)
    return image


@dataclasses.dataclass
class Paired:
    """The driver's faces that are on the screen when the frames of a film begin; read once.

    Attributes:
      driving: the driver.
      begins: when the frames of the film begin, seconds.
      stays: whether the driver is a still, whose face stays.
      numbers: numbers of the driver's frames given so far.
      shots: and of their shots.
    """

    driving: Driving
    begins: Sequence[float] | Float[np.ndarray, ' t']
    stays: bool = False
    numbers: list[int] = dataclasses.field(default_factory=list)
    shots: list[int] = dataclasses.field(default_factory=list)

    def __iter__(self) -> Iterator[dict | None]:
        """Give a face for each frame of the film, as long as the driver goes on."""
        number, face = -1, None
        for begin in self.begins:
            while number < 0 or (not self.stays and self._is_past(number, begin)):
                try:
                    face = next(self.driving.faces)
                except StopIteration:
                    return
                number += 1
            self.numbers.append(number)
            self.shots.append(self.driving.shots.numbers[number])
            yield face

    def _is_past(self, number: int, begin: float) -> bool:
        return bool(self.driving.times[number][1] <= begin + TICK)
