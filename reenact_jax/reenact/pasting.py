"""A result's crop pasted into the picture it comes from, under a mask that fades at its border."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

FEATHER = 0.12  # of the crop's side: band in which picture and crop are mixed (ours)


class Canvas(NamedTuple):
    """Where a crop comes from."""

    picture: UInt8[np.ndarray, 'h w 3']
    window: tuple[float, float, float]  # x0, y0, side of the square, pixels; may reach outside

    @property
    def has_more(self) -> bool:
        """Whether the picture shows more than the crop."""
        height, width = self.picture.shape[:2]
        return height != width or tuple(self.window) != (0, 0, width)


class Paster:
    """What puts crops of any side into one picture; what does not depend on them is done once."""

    def __init__(self, canvas: Canvas, feather: float = FEATHER):
        """Prepare the mask.

        Args:
          canvas: the picture, and where the crop lies in it.
          feather: width of the mixed band, in sides of the crop; 0 for a hard border.
        """
        (x0, y0, side), (height, width) = canvas.window, canvas.picture.shape[:2]
        left, top = max(math.floor(x0), 0), max(math.floor(y0), 0)
        right, bottom = min(math.ceil(x0 + side), width), min(math.ceil(y0 + side), height)
        self.picture = canvas.picture
        self._place = slice(top, bottom), slice(left, right)
        self._size = max(right - left, 0), max(bottom - top, 0)
        # Place of the region's corner and length of its pixels, in units of the crop's side.
        self._corner, self._pixel = ((left - x0) / side, (top - y0) / side), 1 / side
        across, down = (
            _ramp((np.arange(count) + 0.5) * self._pixel + corner, feather)
            for count, corner in zip(self._size, self._corner, strict=True)
        )
        self.mask = (down[:, None] * across[None, :])[..., None].astype(np.float32)

    def __call__(self, crop: UInt8[np.ndarray, 's s 3']) -> UInt8[np.ndarray, 'h w 3']:
        """Return the picture with the crop in its place."""
        result = self.picture.copy()
        if 0 in self._size:
            return result
        scale, side = self._pixel * len(crop), len(crop)
        (x, y), source = self._corner, Image.fromarray(crop)
        if scale > 1:  # the picture's pixels are larger than the crop's: bilinear would skip some
            least = max(1, math.ceil(1 / self._pixel))
            source = source.resize((least, least), Image.Resampling.BOX)
            scale, side = self._pixel * least, least
        matrix = scale, 0, x * side, 0, scale, y * side
        placed = source.transform(
            self._size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
        under = result[self._place].astype(np.float32)
        mixed = under + self.mask * (np.asarray(placed, np.float32) - under)
        result[self._place] = np.clip(np.round(mixed), 0, 255)
        return result


def _ramp(place: Float[np.ndarray, ' n'], feather: float) -> Float[np.ndarray, ' n']:
    """Return 0 at the crop's ends (0 and 1), 1 from `feather` inwards, smooth between."""
    inside = np.minimum(place, 1 - place)
    if feather <= 0:
        return (inside > 0).astype(np.float64)
    t = np.clip(inside / feather, 0, 1)
    return t * t * (3 - 2 * t)
