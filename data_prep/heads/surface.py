"""The skin as one grid: rows from the crown over the face to the shoulders, columns around.

Vertices are found by casting rays from an axis inside the head to the implicit surface. The mouth
is a slit: six rows share one line, the two innermost are not joined, and the ones between curl into
the mouth when it opens. At and beyond the corners all six coincide, so that nothing can crack.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from reenact_jax.data_prep.heads import implicit
from reenact_jax.data_prep.heads.anatomy import Measures

MOUTH_ROWS = 6  # upper edge, two inner; two inner, lower edge
FAR = 60.0


class Rays(NamedTuple):
    """Per row: the origin's height and z, and the tangent of the elevation before and behind."""

    height: np.ndarray
    depth: np.ndarray
    front: np.ndarray
    back: np.ndarray


@dataclasses.dataclass(frozen=True)
class Surface:
    """The neutral skin before asymmetry. Paint and action units are looked up in `chart`."""

    points: Float[np.ndarray, 'r c 3']
    triangles: Int[np.ndarray, 'f 3']
    slit: int  # first of the MOUTH_ROWS
    lip: Float[np.ndarray, 'r c']  # height above the mouth line; the sign tells the lips apart
    upper: np.ndarray  # [r] True for rows above the mouth line
    inner: Float[np.ndarray, 'r c']  # 0 outside, 1 and 2 for rows curled into the mouth


def step(low, high, x):
    """Compute a smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((np.asarray(x) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def columns() -> np.ndarray:
    """Return angles around the axis, radians: from the back over image-left, front, to the back."""
    half = [0.0]
    while half[-1] < 180:
        half.append(half[-1] + 1.15 + 3.2 * float(step(48, 120, half[-1])))
    half = np.array(half) * (180 / half[-1])
    return np.deg2rad(np.concatenate([-half[:0:-1], half]))


def mouth_line(x, m: Measures):
    """Compute the height of the closed mouth at x."""
    q = np.abs(x) / m.mouth_half
    bow = -0.05 * np.exp(-((x / 0.32) ** 2)) + 0.035 * np.exp(-(((np.abs(x) - 0.8) / 0.4) ** 2))
    return m.mouth_y + m.mouth_curve * (np.minimum(q, 1.5) ** 2 - 0.3) + bow


def build(prims: np.ndarray, m: Measures) -> Surface:
    """Cast the grid onto the implicit surface `prims` of a person with measures `m`."""
    phi = columns()
    rays, slit = _rows(m)
    points = _cast(prims, rays, phi)
    _align(prims, points, rays, phi, slit, m)
    _even(prims, points, rays, slit, m)
    for k in range(1, MOUTH_ROWS):
        points[slit + k] = points[slit]
    rows = np.arange(len(points))
    upper = rows < slit + MOUTH_ROWS // 2
    lip = points[..., 1] - mouth_line(points[..., 0], m)
    lip[slit : slit + MOUTH_ROWS] = 0
    inner = np.zeros(points.shape[:2])
    open_ = (np.abs(points[slit, :, 0]) < 0.97 * m.mouth_half) & (points[slit, :, 2] > 4)
    for k, depth in ((1, 1), (2, 2), (3, 2), (4, 1)):
        inner[slit + k] = depth * open_
    triangles = _triangles(len(points), len(phi), slit, open_)
    return Surface(points, triangles, slit, lip, upper, inner)


def _rows(m: Measures) -> tuple[Rays, int]:
    """Make the rays of each row, and the number of the first mouth row."""
    rows = []  # (height, depth, front, back)
    for e in np.deg2rad(np.linspace(89.0, 12, 19)):
        rows.append((1.5, -0.5, np.tan(e), np.tan(e)))
    for e in np.linspace(np.tan(np.deg2rad(12)), 0, 9)[1:]:
        rows.append((1.5, -0.5, e, e))
    base = m.nose_base[0]
    for a, b, n in ((1.5, -1.5, 24), (-1.5, base + 1.3, 12), (base + 1.3, base - 0.2, 17)):
        rows += [(y, -0.5, 0, 0) for y in np.linspace(a, b, n + 1)[1:]]
    rows += [(y, -0.5, 0, 0) for y in np.linspace(base - 0.2, m.mouth_y, 19)[1:-1]]
    slit = len(rows)
    rows += [(m.mouth_y, -0.5, 0, 0)] * MOUTH_ROWS
    low = m.chin[0] + 2.2
    rows += [(y, -0.5, 0, 0) for y in np.linspace(m.mouth_y, low, 17)[1:]]
    for t in np.linspace(0, 1, 17)[1:]:
        rows.append((low + 0.8 * t, -0.5 + 2.0 * t, -1.6 * t, -0.3 * t))
    for t in np.linspace(0, 1, 15)[1:]:
        rows.append((low + 0.8 - 9.5 * t, 1.5 - 2.5 * t, -1.6 + 1.3 * t, -0.3))
    for t in np.linspace(0, 1, 13)[1:]:
        rows.append((low - 8.7 - 9 * t, -1.0, -0.3 + 0.1 * t, -0.3 + 0.1 * t))
    return Rays(*np.array(rows).T), slit


def _directions(rays: Rays, phi: np.ndarray, rows=slice(None)):
    ahead = 0.5 + 0.5 * np.cos(phi)[None]
    slope = rays.back[rows, None] + (rays.front - rays.back)[rows, None] * step(0.3, 0.95, ahead)
    flat = 1 / np.sqrt(1 + slope**2)
    d = np.stack([np.sin(phi) * flat, slope * flat, np.cos(phi) * flat], -1)
    o = np.zeros_like(d)
    o[..., 1], o[..., 2] = rays.height[rows, None], rays.depth[rows, None]
    return o, d


def _cast(prims, rays: Rays, phi, rows=slice(None)) -> np.ndarray:
    o, d = _directions(rays, phi, rows)
    t = implicit.solve(prims, o.reshape(-1, 3), d.reshape(-1, 3), FAR).reshape(d.shape[:2])
    return o + t[..., None] * d


def _align(prims, points, rays: Rays, phi, slit: int, m: Measures) -> None:
    """Bend the rows about the mouth so that the slit lies on the mouth line."""
    near = slice(slit - 17, slit + MOUTH_ROWS + 14)
    o, d = _directions(rays, phi, near)
    for _ in range(2):
        x, y = points[near, :, 0], rays.height[near, None]
        shift = mouth_line(x, m) - m.mouth_y
        front = step(3.0, 6.0, points[near, :, 2]) * np.exp(-((x / 4.2) ** 4))
        o[..., 1] = y + shift * front * np.exp(-(((y - m.mouth_y) / 1.5) ** 2))
        t = implicit.solve(prims, o.reshape(-1, 3), d.reshape(-1, 3), FAR).reshape(d.shape[:2])
        points[near] = o + t[..., None] * d


def _even(prims, points, rays: Rays, slit: int, m: Measures) -> None:
    """Spread the rows between eyes and mouth, and under the chin, by their length on the skin."""
    top = int(np.argmin(np.abs(rays.height - (m.nose_base[0] + 2.6)) + 9 * (rays.front != 0)))
    for a, b in ((top, slit), (slit + MOUTH_ROWS - 1 + 8, slit + MOUTH_ROWS + 32)):
        band = points[a : b + 1]
        for _ in range(2):
            gap = np.linalg.norm(np.diff(band, axis=0), axis=-1)
            even = 0.6 * gap.mean(0, keepdims=True) + 0.4 * gap
            want = np.concatenate([np.zeros((1, gap.shape[1])), np.cumsum(even, 0)])
            have = np.concatenate([np.zeros((1, gap.shape[1])), np.cumsum(gap, 0)])
            want *= have[-1:] / want[-1:]
            for j in range(band.shape[1]):
                for k in range(3):
                    band[:, j, k] = np.interp(want[:, j], have[:, j], band[:, j, k])
            inside = np.ascontiguousarray(band[1:-1].reshape(-1, 3))
            implicit.project(prims, inside, 2)
            band[1:-1] = inside.reshape(band[1:-1].shape)
        points[a : b + 1] = band


def _triangles(rows: int, cols: int, slit: int, open_: np.ndarray) -> np.ndarray:
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(cols - 1), indexing='ij')
    keep = np.ones(i.shape, bool)
    inside = open_[:-1] | open_[1:]
    keep[slit + 2] = False  # the opening
    for k in (0, 1, 3, 4):
        keep[slit + k] = inside
    a = (i * cols + j)[keep]
    b, c, d = a + 1, a + cols, a + cols + 1
    return np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)]).astype(np.int32)
