"""Square crops of pictures, and points on their way into them; a window is (x0, y0, side)."""

import math

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image


def crop(
    image: UInt8[np.ndarray, 'h w 3'], window: tuple[float, float, float], size: int
) -> UInt8[np.ndarray, 'size size 3']:
    """Cut a square (x0, y0, side) out of an image at `size` pixels; outside, the border repeats."""
    x0, y0, side = window
    height, width = image.shape[:2]
    left, top = math.floor(x0), math.floor(y0)
    right, bottom = math.ceil(x0 + side), math.ceil(y0 + side)
    part = image[_rows(top, bottom, height)][:, _rows(left, right, width)]
    box = (x0 - left, y0 - top, x0 - left + side, y0 - top + side)
    resized = Image.fromarray(part).resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized)


def into_crop(
    points: Float[np.ndarray, '*s n 3'], window: tuple[float, float, float], size: int
) -> Float[np.ndarray, '*s n 3']:
    """Map points of the image, with depth, to pixels of the crop that `crop` makes."""
    x0, y0, side = window
    return np.array((points - np.array([x0, y0, 0])) * (size / side), np.float32)


def _rows(first: int, last: int, length: int) -> np.ndarray:
    return np.clip(np.arange(first, last), 0, length - 1)
