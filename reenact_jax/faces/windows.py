"""Windows of an image and boxes (x0, y0, x1, y1 in pixels) in the search for faces."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image


def cut(
    image: UInt8[np.ndarray, 'h w 3'], window: tuple[int, int, int, int], limit: int
) -> tuple[UInt8[np.ndarray, '... 3'], float]:
    """Cut a window out of an image, black outside it.

    Args:
      image: RGB.
      window: x0, y0, x1, y1 in its pixels; may reach outside.
      limit: longest side of the result, pixels; a larger window is made smaller.

    Returns:
      The window, and its scale.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = window
    if window != (0, 0, width, height):
        left, top, right, bottom = max(-x0, 0), max(-y0, 0), max(x1 - width, 0), max(y1 - height, 0)
        image = image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        image = np.pad(image, ((top, bottom), (left, right), (0, 0)))
    scale = min(1.0, limit / max(image.shape[:2]))
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
        image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
    return np.ascontiguousarray(image), scale


def turned(image: UInt8[np.ndarray, 'h w 3'], turn: int) -> UInt8[np.ndarray, '... 3']:
    """Turn an image by quarter turns, counter-clockwise."""
    return np.ascontiguousarray(np.rot90(image, turn)) if turn % 4 else image


def turned_back(
    points: Float[np.ndarray, 'n 3'], turn: int, size: tuple[int, int]
) -> Float[np.ndarray, 'n 3']:
    """Take points of a turned image back to the image before.

    Args:
      points: x, y, z, pixels of the turned image.
      turn: quarter turns, counter-clockwise, that were made.
      size: width and height of the turned image.
    """
    (x, y, z), (width, height) = points.T, size
    places = ((x, y), (height - y, x), (width - x, height - y), (y, width - x))
    return np.stack([*places[turn % 4], z], -1)


def tiles(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """List square windows: the padded image; overlapping tiles of its short side and of half."""
    long, short = max(width, height), min(width, height)
    middle_x, middle_y, half = width // 2, height // 2, round(long * 0.8)
    windows = [(middle_x - half, middle_y - half, middle_x + half, middle_y + half)]
    for side in (short, short // 2):
        if side < 96 or (side == short == long):
            continue
        for y in _starts(height, side):
            windows += [(x, y, x + side, y + side) for x in _starts(width, side)]
    return windows


def _starts(length: int, side: int) -> list[int]:
    count = 1 + max(0, int(np.ceil((length - side) / (side / 2))))
    return [round(start) for start in np.linspace(0, length - side, count)]


def around(box: Float[np.ndarray, ' 4'], factor: float) -> tuple[int, int, int, int]:
    """Find the square window around a box, with `factor` times the box's longer side."""
    half = factor * max(box[2] - box[0], box[3] - box[1]) / 2
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    x0, y0, x1, y1 = (round(float(v)) for v in (x - half, y - half, x + half, y + half))
    return x0, y0, x1, y1


def box(mesh: Float[np.ndarray, 'n d']) -> Float[np.ndarray, ' 4']:
    """Find the bounding box of points."""
    return np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])


def area(box: Float[np.ndarray, ' 4']) -> float:
    """Measure the area of a box; 0 where it is empty."""
    return float(np.prod(np.maximum(box[2:] - box[:2], 0)))


def overlap(a: Float[np.ndarray, ' 4'], b: Float[np.ndarray, ' 4']) -> float:
    """Measure the intersection over union of two boxes x0, y0, x1, y1."""
    both = area(np.concatenate([np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])]))
    return both / max(area(a) + area(b) - both, 1e-9)


def distinct(found) -> list:
    """Keep each face once of those found in several windows, largest first."""
    faces = []
    for item in sorted(found, key=lambda item: -area(box(item[0]))):
        if all(overlap(box(item[0]), box(other[0])) < 0.4 for other in faces):
            faces.append(item)
    return faces
