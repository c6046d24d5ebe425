"""How much of the requested change arrives: slopes of what a result shows on what was requested.

Distances between pixels hardly feel a mouth that stays shut, hence this measure (ours). For a track
and a method, x_t is a quantity of the landmarks that frame t was made with, y_t the same of the
points that the estimator finds in the result: slope = cov(x, y) / var(x), 1 where all of the change
arrives, 0 where nothing moves; the correlation tells how closely y follows.

Quantities are distances in units of the outer eye corners', and the head's yaw and roll in degrees.
Where both sides know depth (landmarks that are the driver's own) distances are in 3D, since the
unit shrinks as the head turns; elsewhere both sides are in 2D. Stored points of synthetic heads and
detected ones follow different conventions (where a lid or a brow begins): that shifts y, and may
stretch it by a few per cent, but a slope is of differences and stays comparable between methods.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry.layouts import layout

LEAST = 8  # fewest frames that a slope needs
BOX = 1.3  # side of the box in which sharpness is measured, in sides of the face's box
# A quantity whose x has a smaller standard deviation in a track is left out of it.
FLOORS = {'mouth': 0.015, 'width': 0.015, 'eyes': 0.008, 'brows': 0.01, 'yaw': 2.0, 'roll': 1.5}


class Points(NamedTuple):
    """Numbers of the points that quantities are made of; left and right are the image's."""

    mouth: tuple[int, int]  # middles of the inner lips
    width: tuple[int, int]  # outer corners of the mouth
    lids: tuple[tuple[int, int], ...]  # upper and lower lid, of both eyes
    brows: tuple[tuple[int, ...], tuple[int, ...]]  # the middle of each brow
    eyes: tuple[tuple[int, int], tuple[int, int]]  # the corners of each eye

    @property
    def unit(self) -> tuple[int, int]:
        """The outer eye corners."""
        return self.eyes[0][0], self.eyes[1][1]


_68 = Points(
    mouth=(62, 66),
    width=(48, 54),
    lids=((37, 41), (38, 40), (43, 47), (44, 46)),
    brows=((18, 19, 20), (23, 24, 25)),
    eyes=((36, 39), (42, 45)),
)
# A brow is a ring here: its upper and its lower edge, so that the mean is the 68 points' line.
_106 = Points(
    mouth=(98, 102),
    width=(84, 90),
    lids=((67, 73), (69, 71), (76, 82), (78, 80)),
    brows=((34, 35, 36, 39, 40, 41), (43, 44, 45, 47, 48, 49)),
    eyes=((66, 70), (75, 79)),
)
POINTS = {'68': _68, '68c': _68, '106': _106}


def quantities(points: Float[np.ndarray, 'b n d'], points_of: str) -> dict[str, np.ndarray]:
    """Measure a face's expression: name -> [b], in units of the outer eye corners' distance.

    A brow's height is over the line through its own eye's corners, so that a blink moves no brow.

    Args:
      points: in 2D or 3D, any unit.
      points_of: the layout's name.

    Raises:
      UserError: an unknown layout.
    """
    layout(points_of)
    at, points = POINTS[points_of], np.asarray(points, np.float64)

    def distance(a: int, b: int):
        return np.linalg.norm(points[:, a] - points[:, b], axis=-1)

    distances = {
        'mouth': distance(*at.mouth),
        'width': distance(*at.width),
        'eyes': np.mean([distance(*pair) for pair in at.lids], 0),
        'brows': np.mean([_height(points, *one) for one in zip(at.brows, at.eyes, strict=True)], 0),
    }
    unit = np.maximum(distance(*at.unit), 1e-6)
    return {name: value / unit for name, value in distances.items()}


def _height(points, brow: tuple[int, ...], corners: tuple[int, int]) -> Float[np.ndarray, ' b']:
    """Return the mean distance of a brow's points from the line through two corners."""
    start, end = (points[:, None, i] for i in corners)
    along = (end - start) / np.maximum(np.linalg.norm(end - start, axis=-1, keepdims=True), 1e-6)
    offset = points[:, list(brow)] - start
    across = offset - (offset * along).sum(-1, keepdims=True) * along
    return np.linalg.norm(across, axis=-1).mean(-1)


def slope(x: Float[np.ndarray, ' t'], y: Float[np.ndarray, ' t'], floor: float):
    """Fit y's change to x's over the frames where both are known (not NaN).

    Returns:
      Slope and correlation, 0 and 0 for a y that stays. NaN and NaN below `LEAST` frames, or where
      x's standard deviation is not above `floor`.
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < LEAST or x.std() <= floor:
        return np.nan, np.nan
    if np.ptp(y) == 0:
        return 0.0, 0.0
    x, y = x - x.mean(), y - y.mean()
    square = (x * x).sum(), (y * y).sum()
    return (x * y).sum() / square[0], (x * y).sum() / np.sqrt(square[0] * square[1])


def sharpness(
    image: Float[np.ndarray, 'b h w c'], points: Float[np.ndarray, 'b n d']
) -> Float[np.ndarray, ' b']:
    """Measure the variance of the grey picture's Laplacian in the box of the points times `BOX`.

    It is NaN where less than three pixels of the box lie in the picture.
    """
    grey = np.asarray(image, np.float64).mean(-1)
    centre, half = (np.asarray(one) for one in lm.box(points[..., :2]))
    low = np.maximum(np.floor(centre - BOX * half[:, None]), 0).astype(int)
    high = np.maximum(np.ceil(centre + BOX * half[:, None]), 0).astype(int)
    boxes = zip(grey, low, high, strict=True)
    return np.array([_laplacian(g[y0:y1, x0:x1]) for g, (x0, y0), (x1, y1) in boxes])


def _laplacian(grey: Float[np.ndarray, 'h w']) -> float:
    """Return the variance of the Laplacian; NaN below 3 x 3 pixels."""
    if min(grey.shape) < 3:
        return np.nan
    beside = grey[1:-1, 2:] + grey[1:-1, :-2] + grey[2:, 1:-1] + grey[:-2, 1:-1]
    return float((beside - 4 * grey[1:-1, 1:-1]).var())
