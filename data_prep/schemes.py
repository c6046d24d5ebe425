"""Numberings of a face's points in tables, and how they become ours.

ibug68            iBUG's 68, as dlib gives them
muct68            the first 68 of MUCT's: linear maps of neighbouring points, since MUCT has 15 on
                  the jaw, brows as outlines, and fewer on lids, nose and inner lips
hyperlandmark106  HyperLandmark's 106, in which FReeNet's authors publish RaFD's; the points of the
                  set 106 in another order. Their jaw follows the silhouette.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Scheme(NamedTuple):
    """A numbering of points in tables."""

    weights: Float[np.ndarray, 'n m']  # ours as weighted sums of the table's
    points: str  # point set that ours are


def _muct() -> Float[np.ndarray, '68 68']:
    """Write iBUG's 68 points as weighted sums of MUCT's first 68 (ours)."""
    old = np.eye(68)

    def along(points, count):
        """Place `count` points, evenly by number, on a polyline."""
        at = np.linspace(0, len(points) - 1, count)
        first = np.minimum(at.astype(int), len(points) - 2)
        points = np.stack(points)
        share = (at - first)[:, None]
        return points[first] * (1 - share) + points[first + 1] * share

    def lid(left, middle, right):
        """Place two points at a third and two thirds of the parabola through three."""
        a, b, c = old[left], old[middle], old[right]
        return [2 / 9 * a + 8 / 9 * b - 1 / 9 * c, -1 / 9 * a + 8 / 9 * b + 2 / 9 * c]

    def between(i, j, share=0.5):
        return old[i] * (1 - share) + old[j] * share

    rows = [
        *along(list(old[:15]), 17),
        *along([old[21], between(22, 26), between(23, 25), old[24]], 5),
        *along([old[18], between(17, 19), between(16, 20), old[15]], 5),
        *along([between(37, 45), old[67]], 4),
        *(old[i] for i in (40, 46, 41, 47, 42)),
        *(old[27], *lid(27, 28, 29), old[29], *lid(29, 30, 27)),
        *(old[34], *lid(34, 33, 32), old[32], *lid(32, 35, 34)),
        *old[48:60],
        *(between(48, 54, 0.07), old[65], old[64], old[63]),
        *(between(54, 48, 0.07), old[62], old[61], old[60]),
    ]
    return np.stack(rows)


# Numbers of HyperLandmark's points in the order of the set 106. Left is the image's.
HYPERLANDMARK = (
    *range(33),  # jaw
    *range(33, 38), *range(67, 63, -1),  # left brow: upper edge inwards, lower edge outwards
    *range(38, 43), *range(71, 67, -1),  # right brow: upper edge outwards, lower edge inwards
    *range(43, 47),  # bridge of the nose
    78, 80, 82, *range(47, 52), 83, 81, 79,  # base: down its left side, and up its right one
    52, 53, 72, 54, 55, 56, 73, 57, 74,  # left eye from its outer corner over the upper lid; pupil
    58, 59, 75, 60, 61, 62, 76, 63, 77,  # right eye from its inner corner; pupil
    *range(84, 104),  # lips: outer, inner
    104, 105,  # the pupils once more
)  # fmt: skip

SCHEMES = {
    'ibug68': Scheme(np.eye(68), '68c'),
    'muct68': Scheme(_muct(), '68c'),
    'hyperlandmark106': Scheme(np.eye(106)[list(HYPERLANDMARK)], '106'),
}
