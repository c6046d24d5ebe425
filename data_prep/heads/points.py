"""Places of the landmarks on the neutral head: 106 surface points and the strips of the contour.

The points are rays cast on the implicit surface, so that they need no mesh. Order: JD-landmark's
106 points (as in LaPa); iBUG's 68 are a subset of them.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.data_prep.heads import implicit
from reenact_jax.data_prep.heads.anatomy import EYEBALL, Measures
from reenact_jax.data_prep.heads.expressions import Place
from reenact_jax.data_prep.heads.eyes import chart_x
from reenact_jax.data_prep.heads.features import brow_line, brow_width, brow_x, lip_edge
from reenact_jax.data_prep.heads.surface import mouth_line

STRIP = 25  # candidates for each of the 17 points of the contour
# iBUG's 68 points among the 106.
IBUG = np.array(
    [
        *(*range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 55), *range(58, 63)),
        *(66, 67, 69, 70, 71, 73, 75, 76, 78, 79, 80, 82),
        *range(84, 104),
    ]
)
EYE_Q = np.array([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25])  # ring from the image-left corner
LIDS = 66, 75  # first points of the rings
_OUTER_X = np.array([-1, -0.6, -0.2, 0, 0.2, 0.6, 1, 0.6, 0.25, 0, -0.25, -0.6])
_INNER_X = np.array([-0.93, -0.38, 0, 0.38, 0.93, 0.38, 0, -0.38])
# The jaw from the chin (0) to the ear (1): height over (0 chin, 1 mouth..), depth, degrees
_JAW_S = np.array([0, 0.15, 0.3, 0.5, 0.75, 1.0])


class Anchors(NamedTuple):
    """Neutral landmarks: rows 0..105 the surface points, then 17 strips of STRIP candidates."""

    place: Place
    outward: Float[np.ndarray, 'n 3']  # surface normal
    patch: Float[np.ndarray, '2 p p 3']  # lid skin over (q, height), for the eye rings
    heights: tuple[float, float]  # range of the patch's heights


def anchors(prims: np.ndarray, m: Measures) -> Anchors:
    """Cast all landmarks of a person."""
    points, lip, upper = _face(prims, m)
    jaw = _jaw_rays(m, np.abs(np.linspace(-1, 1, 33)), 0.5)
    side = np.where(np.linspace(-1, 1, 33) < 0, -1.0, 1.0)
    points[:33] = _cast(prims, *jaw) * np.stack([side, side**2, side**2], -1)
    strips = []
    for s in np.linspace(-1, 1, 17):
        band = _cast(prims, *_jaw_rays(m, np.full(STRIP, abs(s)), np.linspace(0, 1, STRIP)))
        strips.append(band * np.array([-1.0 if s < 0 else 1.0, 1, 1]))
    points = np.concatenate([points, *strips])
    n = len(points)
    heights = points[:, 1] - mouth_line(points[:, 0], m)
    heights[:106] = np.where(np.isnan(lip), heights[:106], lip)
    above = heights > 0
    above[84:104] = upper[84:104]
    outward = np.zeros((n, 3))
    for i in range(n):
        implicit.gradient(prims, *points[i], outward[i])
    return Anchors(Place(points, heights, above), outward, *_patch(prims, m))


def _cast(prims, origin, direction):
    return origin + implicit.solve(prims, origin, direction, 40.0)[:, None] * direction


def _forward(prims, x, y):
    """Find the points in front of (x, y), seen along z."""
    origin = np.stack([x, y, np.full(len(x), 3.5)], -1)
    return _cast(prims, origin, np.tile([0.0, 0.0, 1.0], (len(x), 1)))


def _face(prims, m: Measures):
    """Place brows, nose and lips; rows of jaw and lids are filled elsewhere."""
    xy = np.zeros((106, 2))
    lip = np.full(106, np.nan)
    upper = np.zeros(106, bool)
    q = np.array([1, 0.75, 0.5, 0.25, 0])
    xy[33:38] = np.stack([-brow_x(q), brow_line(m, q) + 0.7 * brow_width(m, q)], -1)
    q = q[::-1][:4] + 0.03
    xy[38:42] = np.stack([-brow_x(q), brow_line(m, q) - 0.7 * brow_width(m, q)], -1)
    xy[42:47] = xy[33:38][::-1] * [-1, 1]
    xy[47:51] = xy[38:42][::-1] * [-1, 1]
    tip, base = m.nose_tip[0], m.nose_base[0]
    xy[51:55, 1] = np.linspace(0.25, tip, 4)
    ax, ay, _ = m.ala
    side = [(1.15, 0.0), (1.0, tip + 0.9), (ax - 0.02, ay), (ax - 0.38, base + 0.05), (0.52, base)]
    xy[55:60] = np.array(side) * [-1, 1]
    xy[60] = 0, base
    xy[61:66] = np.array(side)[::-1]
    xy[LIDS[0] : LIDS[0] + 8, 0] = -m.eye[0]
    xy[LIDS[1] : LIDS[1] + 8, 0] = m.eye[0]
    x = _OUTER_X * m.mouth_half
    top = np.arange(12) <= 6
    xy[84:96] = np.stack([x, np.where(top, lip_edge(m, x, True), lip_edge(m, x, False))], -1)
    upper[84:96] = top
    x = _INNER_X * m.mouth_half
    xy[96:104] = np.stack([x, mouth_line(x, m)], -1)
    lip[96:104] = 0
    upper[96:104] = np.arange(8) <= 4
    return _forward(prims, xy[:, 0], xy[:, 1]), lip, upper


def _jaw_rays(m: Measures, s, across):
    """Make rays to the jaw at abs(s) (0 chin .. 1 ear); `across`: 0.5 on its edge, 1 in front."""
    chin, gonion = m.chin[0], m.gonion[1]
    knot = lambda values: np.interp(s, _JAW_S, values)  # noqa: E731
    y = knot([chin + 2.2, chin + 2.2, chin + 2.3, gonion, -3.2, 0.2])
    z = knot([5.5, 4.0, 2.2, 0.2, -0.5, -0.5])
    phi = knot([0, 36, 56, 70, 76, 79])
    lift = knot([-43, -39, -31, -12, 0, 0])
    forward = np.clip((np.asarray(across) - 0.5) * 2, -1, 1)
    phi = np.deg2rad(phi * (1 - 0.72 * np.maximum(forward, 0) * step_in(s)))
    lift = np.deg2rad(np.clip(lift + 26 * forward * (1 - step_in(s)), -80, 0))
    d = np.stack([np.sin(phi) * np.cos(lift), np.sin(lift), np.cos(phi) * np.cos(lift)], -1)
    origin = np.stack([np.zeros_like(y), y, z], -1)
    return origin, d


def step_in(s):
    """Return 0 at the chin and 1 from the corner of the jaw upwards."""
    return np.clip(np.asarray(s) / 0.45, 0, 1)


def _patch(prims, m: Measures, size: int = 13):
    low, high = m.eye[1] - 0.9, m.eye[1] + 1.1
    q, y = np.meshgrid(np.linspace(0, 1, size), np.linspace(low, high, size), indexing='ij')
    right = _forward(prims, chart_x(m, q.ravel()), y.ravel())
    right[:, 2] = np.maximum(right[:, 2], m.eye[2] + 0.1)
    right = right.reshape(size, size, 3)
    left = right * np.array([-1.0, 1, 1])
    return np.stack([left, right]), (low, high)


def lid_points(anchors: Anchors, side: int, q, y) -> np.ndarray:
    """Place points on the lid skin at q (inner to outer corner), height y; side 0 left, 1 right."""
    patch = anchors.patch[side]
    n = patch.shape[0] - 1
    low, high = anchors.heights
    a = np.clip(np.asarray(q) * n, 0, n - 1e-6)
    b = np.clip((np.asarray(y) - low) / (high - low) * n, 0, n - 1e-6)
    i, j = a.astype(int), b.astype(int)
    a, b = (a - i)[..., None], (b - j)[..., None]
    below = patch[i, j] * (1 - a) + patch[i + 1, j] * a
    above = patch[i, j + 1] * (1 - a) + patch[i + 1, j + 1] * a
    return below * (1 - b) + above * b


def pupil(m: Measures, side: int, direction) -> np.ndarray:
    """Find where the line of sight leaves the eyeball."""
    centre = np.array(m.eye) * [1.0 if side else -1.0, 1, 1]
    return centre + EYEBALL * np.asarray(direction)
