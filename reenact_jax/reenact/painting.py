"""From landmarks to finished frames: the crop, or the whole picture with the crop in its place.

A model that gives layers draws at the picture's own pixels (composing.py). The result of any other
model is pasted under a mask (pasting.py).
"""

import collections
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from reenact_jax.bundle import Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.geometry import crops, images
from reenact_jax.reenact.composing import MARGIN, Composer
from reenact_jax.reenact.pasting import Canvas, Paster
from reenact_jax.reenact.portraits import Portrait
from reenact_jax.reenact.scenes import Scenes

MOST_SIDE = 1024  # longest side of a result where nothing else is asked for, pixels
LEAST_SIDE = 64


@runtime_checkable
class Painter(Protocol):
    """What draws the frames of one source."""

    def draw(self, points: Float[np.ndarray, 'b n _'], count: int | None = None) -> Any:
        """Draw on the device; landmarks in pixels of the model's crop, with or without depth.

        Args:
          points: of a whole batch, whose last rows may be repetitions.
          count: how many rows are wanted; None: all.

        Returns:
          What `finish` takes, by the number of the row, as far as it was wanted.
        """
        ...

    def finish(self, drawn: Any, /) -> UInt8[np.ndarray, 'H W 3']:
        """Turn what was drawn into a frame of the result.

        Raises:
          UserError: the model drew values that are not finite.
        """
        ...

    def close_up(self, frame: UInt8[np.ndarray, 'H W 3']) -> UInt8[np.ndarray, 's s 3']:
        """Cut the source's crop out of a finished frame."""
        ...


def painter(
    bundle: Bundle,
    source: Portrait,
    *,
    whole: bool = False,
    background: UInt8[np.ndarray, 's s 3'] | Scenes | None = None,
    most: int | None = None,
) -> Painter:
    """Choose how the frames of a source are drawn.

    Args:
      bundle: the model.
      source: the portrait.
      whole: show the whole picture instead of the square crop alone.
      background: picture, or video, to put behind the head in the square crop, which is then the
        whole result; None: the source's own.
      most: longest side of the result, pixels; None: `MOST_SIDE`.
    """
    if isinstance(background, Scenes):
        return _Before(bundle, source, background)
    if background is not None:
        appearance = bundle.encode(source.face(), images.to_float(background)[None])
        return _Pasted(bundle, appearance, None)
    appearance = bundle.encode(source.face())
    most = most or MOST_SIDE
    if bundle.has_layers:
        return _Composed(bundle, appearance, source, whole, most)
    canvas = source.canvas if whole and source.canvas and source.canvas.has_more else None
    return _Pasted(bundle, appearance, canvas and fitted(canvas, most))


class _Finite:
    """A check of what a model draws: without waiting for the device where it draws on."""

    def __init__(self):
        self._flags: collections.deque = collections.deque()  # one thread draws, one finishes

    def take(self, drawn):
        """Begin to look at arrays; return them."""
        self._flags.append(_all_finite(drawn))
        return drawn

    def check(self) -> None:
        """Check all that was taken.

        Raises:
          UserError: something is NaN or infinite.
        """
        while self._flags:
            if not self._flags.popleft():
                raise UserError(
                    'the model drew values that are not finite (NaN or infinity); nothing is '
                    'written. Its weights are wrong, or the landmarks are'
                )


@jax.jit
def _all_finite(tree):
    return jnp.all(jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]))


class _Pasted:
    """A painter that puts a model's image in its place."""

    def __init__(self, bundle: Bundle, appearance: tuple, canvas: Canvas | None):
        self._bundle, self._appearance, self._canvas = bundle, appearance, canvas
        self._paste: Callable = Paster(canvas) if canvas else lambda crop: crop
        self._finite = _Finite()

    def draw(self, points, count=None):
        del count
        image = self._bundle.render(self._appearance, points)
        return images.to_uint8(self._finite.take(image))

    def finish(self, drawn):
        self._finite.check()
        return self._paste(drawn)

    def close_up(self, frame):
        if self._canvas is None:
            return frame
        return crops.crop(frame, self._canvas.window, self._bundle.size)


class _Before:
    """A painter of the square crop before a background that moves."""

    def __init__(self, bundle: Bundle, source: Portrait, scenes: Scenes):
        self._bundle, self._face, self._scenes = bundle, source.face(), iter(scenes)
        self._finite = _Finite()

    def draw(self, points, count=None):
        # The mixer sees source and background together: both are encoded anew for every frame.
        drawn = []
        for row in range(len(points) if count is None else count):
            scene = images.to_float(next(self._scenes))[None]
            appearance = self._bundle.encode(self._face, scene)
            image = self._bundle.render(appearance, points[row : row + 1])
            drawn.append(images.to_uint8(self._finite.take(image))[0])
        return drawn

    def finish(self, drawn):
        self._finite.check()
        return np.asarray(drawn)

    def close_up(self, frame):
        return frame


class _Composed:
    """A painter that composes a model's layers at the picture's own pixels."""

    def __init__(self, bundle: Bundle, appearance: tuple, source: Portrait, whole: bool, most: int):
        self._bundle, self._appearance, self._whole = bundle, appearance, whole
        canvas = source.canvas
        if canvas is None:
            canvas = Canvas(np.asarray(images.to_uint8(source.image)), (0, 0, bundle.size))
        self._canvas = fitted(canvas, most) if whole else around(canvas, most)
        self._composer = Composer(self._canvas, source.known['landmarks'], bundle.size)
        self._finite = _Finite()

    def draw(self, points, count=None):
        del count
        layers = self._finite.take(self._bundle.layers(self._appearance, points))
        return self._composer.draw(layers, np.asarray(points))

    def finish(self, drawn):
        self._finite.check()
        picture = self._composer.whole(drawn)
        return picture if self._whole else self._cut(picture)

    def close_up(self, frame):
        return self._cut(frame) if self._whole else frame

    def _cut(self, picture):
        """Cut the crop: whole pixels of what `around` returned, resampled from a whole picture."""
        return crops.crop(picture, self._canvas.window, max(round(self._canvas.window[2]), 1))


def fitted(canvas: Canvas, most: int | None) -> Canvas:
    """Shrink a picture to a longest side of `most` pixels; None: leave it as it is."""
    height, width = canvas.picture.shape[:2]
    if most is None or max(height, width) <= most:
        return canvas
    scale = most / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = Image.fromarray(canvas.picture).resize(size, Image.Resampling.LANCZOS)
    return Canvas(np.asarray(small), tuple(x * scale for x in canvas.window))


def around(canvas: Canvas, most: int) -> Canvas:
    """Cut out the crop and what lies around it, upright, on whole pixels."""
    x0, y0, side = canvas.window
    if not canvas.has_more:
        return fitted(canvas, most)
    pixels = max(min(round(side), most), 1)
    more = round(MARGIN * pixels)
    total, off = pixels + 2 * more, more * side / pixels
    window = x0 - off, y0 - off, side * total / pixels
    return Canvas(crops.crop(canvas.picture, window, total), (more, more, pixels))
