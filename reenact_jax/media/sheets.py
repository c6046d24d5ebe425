"""Contact sheets of a result: source, driver, landmarks and result side by side, a row a frame."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from reenact_jax.geometry import layouts
from reenact_jax.media import writing

COLUMNS = ('source', 'driving', 'landmarks', 'result')


def drawing(
    landmarks: Float[np.ndarray, 'n 2'], size: int, points: str | None, side: int = 256
) -> UInt8[np.ndarray, 'side side 3']:
    """Draw the landmarks of a size x size crop as lines, in a picture of side `side`.

    Points of no point set (None) are dots.
    """
    image = Image.new('RGB', (side, side), 'white')
    draw = ImageDraw.Draw(image)
    scaled = np.asarray(landmarks) * (side / size)
    if points is None:
        for x, y in scaled:
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=(20, 60, 140))
        return np.asarray(image)
    for a, b in layouts.layout(points).edges:
        draw.line([tuple(scaled[a]), tuple(scaled[b])], fill=(20, 60, 140), width=2)
    return np.asarray(image)


def side_by_side(
    source: UInt8[np.ndarray, 's s 3'] | None,
    driving: UInt8[np.ndarray, 'd d 3'] | None,
    result: UInt8[np.ndarray, 'h w 3'],
) -> UInt8[np.ndarray, 'h W 3']:
    """Put source and driver, scaled to the result's height, before it; black: no picture."""
    height = result.shape[0]
    square = (height, height)
    black = np.zeros((height, height, 3), np.uint8)
    before = [
        black
        if image is None
        else np.asarray(Image.fromarray(image).resize(square, Image.Resampling.LANCZOS))
        for image in (source, driving)
    ]
    return np.concatenate([*before, result], 1)


def sheet(
    rows: Sequence[Sequence[UInt8[np.ndarray, '_ _ 3'] | None]], times: Sequence[float]
) -> UInt8[np.ndarray, 'H W 3']:
    """Lay out rows of (source, driving, landmarks, result) with the frames' times, seconds."""
    return writing.contact_sheet(rows, [f'{time:.2f} s' for time in times], COLUMNS, cell=192)
