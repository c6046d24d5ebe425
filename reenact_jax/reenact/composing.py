"""Layers composed into the whole picture that the source was cut from, at its own pixels.

Only the head moves: the change fades out around it (`reach`) and ends before the border of the
region that is drawn, so that no seam shows and the rest of the picture stays bit for bit. What lies
around the face itself, hair and shoulders, is moved and never painted: a small network knows it
least.
"""

import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import blending, composition, heads, images
from reenact_jax.geometry.layers import Reach, Region, of_tree
from reenact_jax.reenact.pasting import Canvas

MARGIN = 0.25  # of the crop's side: how much further the region reaches than the crop
RAMP = 0.1  # of the crop's side: band at the region's border in which the change ends
# Above this glibc gives memory back and takes it anew, which costs as much as half of the work
# (enlarging: 5.0 instead of 2.5 ms of CPU time a 512 x 512 frame).
LARGEST = 32 << 20  # bytes of the widest array of a step
WIDEST = 6  # its channels: flow, mask, paint
# Hair and shoulders move too; no place folds over another (`stretch`).
MOVED = heads.Extent(1.6, 2.0, fade=0.6, stretch=2.0)
PAINTED = heads.Extent(1.25, 1.75, fade=0.25)  # the head without its hair


class Composer:
    """Draws layers into one picture; compiled once for its size and the region's place."""

    def __init__(self, canvas: Canvas, landmarks: Float[np.ndarray, 'n 2'], size: int):
        """Prepare everything that does not depend on the driver.

        Args:
          canvas: the picture, and where the crop lies in it.
          landmarks: the source's, in pixels of a crop of side `size`.
          size: side of the model's crop, pixels.
        """
        self.canvas, self.region = canvas, region_of(canvas)
        (x0, y0, side), scale = canvas.window, canvas.window[2] / size
        self._window = float(x0), float(y0), float(side)
        self._source = np.array(landmarks * scale + np.array([x0, y0]), np.float32)[None]
        self._picture = images.to_float(canvas.picture)[None]
        self._ramp = jnp.asarray(ramp(canvas, self.region))[None, ..., None]
        self._scale = scale

    def draw(self, layers: Mapping, points: Float[AnyArray, 'b n _']) -> UInt8[AnyArray, 'b h w 3']:
        """Draw the region for driving landmarks.

        Args:
          layers: those of a bundle's `layers`.
          points: driving landmarks in pixels of the model's crop, with or without depth.
        """
        driving = points[..., :2] * np.float32(self._scale) + np.array(self._window[:2], np.float32)
        count = _at_once(driving.shape[0], self.region)
        made = []
        for first in range(0, driving.shape[0], count):
            some, rows = jax.tree.map(lambda x, f=first: x[f : f + count], (dict(layers), driving))
            places = self._picture, self._ramp, self._source, rows
            made.append(_drawn(self.region, self._window, some, *places))
        return jnp.concatenate(made)

    def whole(self, drawn: UInt8[np.ndarray, 'h w 3']) -> UInt8[np.ndarray, 'H W 3']:
        """Put a drawn region into the picture."""
        picture, place = self.canvas.picture.copy(), self.region
        rows = slice(place.top, place.top + place.height)
        picture[rows, place.left : place.left + place.width] = drawn
        return picture


def _at_once(frames: int, region: Region) -> int:
    """Choose how many frames to compose at once: a divisor, so that one program serves all.

    Several devices share the frames, and a part of those would be collected from all of them.
    """
    if jax.device_count() > 1:
        return frames
    most = max(int(LARGEST / (region.height * region.width * WIDEST * 4)), 1)
    return max(count for count in range(1, frames + 1) if frames % count == 0 and count <= most)


def _drawn(region: Region, window, layers, picture, edge, source, driving):
    """Compose in steps compiled alone (composition.py says why)."""
    layers = of_tree(layers)
    enlarged = _enlarged(region, window, _joined(layers))
    weight = _reached(region, edge, source, driving)
    moved = _moved(region, window, picture, enlarged, weight.moves)
    return _blended(region, window, *moved, enlarged, layers, weight.paints)


_joined = jax.jit(composition.join)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _enlarged(region: Region, window, joined):
    return composition.enlarge(joined, np.array(window, np.float32), region)


@functools.partial(jax.jit, static_argnums=0)
def _reached(region: Region, edge, source, driving):
    return Reach(*(edge * share for share in reach(source, driving, region)))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _moved(region: Region, window, picture, enlarged, share):
    return composition.move(picture, enlarged, np.array(window, np.float32), region, share)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _blended(region: Region, window, warped, shown, enlarged, layers, share):
    window = np.array(window, np.float32)
    return blending.blend_bytes(warped, shown, enlarged, layers, window, region, share)


def region_of(canvas: Canvas) -> Region:
    """Find the pixels that can change: the crop and a margin, inside the picture."""
    (x0, y0, side), (height, width) = canvas.window, canvas.picture.shape[:2]
    more = MARGIN * side

    def clipped(place: float, most: int) -> int:
        return min(max(math.floor(place), 0), most)

    left, right = clipped(x0 - more, width - 1), clipped(x0 + side + more + 1, width)
    top, bottom = clipped(y0 - more, height - 1), clipped(y0 + side + more + 1, height)
    return Region(top, left, max(bottom - top, 1), max(right - left, 1))


def ramp(canvas: Canvas, region: Region) -> Float[np.ndarray, 'h w']:
    """Return 1 inside the region, 0 at those of its borders behind which the picture goes on."""
    height, width = canvas.picture.shape[:2]

    def along(first: int, count: int, most: int):
        place, far = np.arange(count) + 0.5, RAMP * canvas.window[2]
        low = place if first > 0 else np.full(count, far)
        high = count - place if first + count < most else np.full(count, far)
        return heads.smooth(np.minimum(low, high) / far)

    down = along(region.top, region.height, height)
    return np.array(down[:, None] * along(region.left, region.width, width)[None], np.float32)


def reach(
    source: Float[AnyArray, '1 n 2'], driving: Float[AnyArray, 'b n 2'], region: Region
) -> Reach:
    """Weigh the change by place: 1 on the head, where it was and where it goes, 0 far from both.

    Args:
      source, driving: landmarks in pixels of the picture that has the region.
    """
    places = images.pixel_grid(region.height, region.width)[None]
    places = places + np.array([[[[region.left, region.top]]]], np.float32)
    source = jnp.broadcast_to(source, driving.shape)
    moves = heads.moving(source, driving, places, MOVED)
    return Reach(moves, heads.near(driving, places, PAINTED))
