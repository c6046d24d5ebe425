"""Inside the mouth: the cavity, two rows of teeth with gums, and the tongue, as meshes with paint.

The lower teeth, the tongue and the floor follow the jaw.
"""

from typing import NamedTuple

import numpy as np

from reenact_jax.data_prep.heads.anatomy import Measures
from reenact_jax.data_prep.heads.eyes import rolled
from reenact_jax.data_prep.heads.surface import step

LIP_TO_TEETH = 0.62  # cm from the front of the lips to the incisors


class Part(NamedTuple):
    """A painted mesh: points [n, 3], triangles [f, 3], linear colours [n, 3], share of the jaw."""

    points: np.ndarray
    triangles: np.ndarray
    colours: np.ndarray
    jaw: np.ndarray
    gloss: float


def parts(m: Measures, front: float, white: float) -> list[Part]:
    """Everything inside the mouth.

    Args:
      m: measures; front: z of the closed lips at the midline; white: 0 yellowish .. 1 white teeth.
    """
    z = front - LIP_TO_TEETH
    enamel = np.array([0.60, 0.52, 0.40]) + white * np.array([0.10, 0.13, 0.19])
    return [
        _cavity(m, z),
        _teeth(m, z, enamel, upper=True),
        _teeth(m, z - 0.12, enamel * 0.92, upper=False),
        _tongue(m, z),
    ]


def sheet(rows: int, cols: int) -> np.ndarray:
    """Triangles of an open grid."""
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(cols - 1), indexing='ij')
    a = (i * cols + j).ravel()
    b, c, d = a + 1, a + cols, a + cols + 1
    return np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)]).astype(np.int32)


def _cavity(m: Measures, z: float) -> Part:
    a, b = np.meshgrid(
        np.linspace(0.05, 1.5, 9), np.linspace(0, 2 * np.pi, 28, False), indexing='ij'
    )
    x = 2.75 * np.sin(a) * np.cos(b)
    y = m.mouth_y + 1.9 * np.sin(a) * np.sin(b)
    depth = z - 0.15 - 5.0 * np.cos(a) - 0.14 * x**2
    dark = (0.16 + 0.6 * np.sin(a) ** 3)[..., None] * np.array([0.25, 0.07, 0.055])
    jaw = step(0.5, -0.5, np.sin(b) * np.sin(a))
    points = np.stack([x, y, depth], -1).reshape(-1, 3)
    faces = rolled(9, 28)  # seen from inside
    return Part(points, faces, dark.reshape(-1, 3), jaw.ravel(), 0.2)


def _teeth(m: Measures, z: float, enamel, upper: bool) -> Part:
    angle, down = np.meshgrid(np.linspace(-1.25, 1.25, 97), np.linspace(0, 1, 8), indexing='xy')
    sign = 1.0 if upper else -1.0
    tooth = angle / 1.25 * 6.5
    gap = np.abs(tooth - np.round(tooth))  # 0 between teeth, 0.5 at their middles
    size = 1 - 0.22 * (np.abs(tooth) > 1) + 0.06 * (np.abs(np.abs(tooth) - 2.5) < 0.5)
    edge = m.mouth_y + (-0.16 if upper else -0.30)
    cut = 0.10 * (0.5 - gap) * 2
    tall = (1.05 if upper else 0.85) * size
    y = edge + sign * (cut + down * tall) if upper else edge - cut - down * tall
    arch = 2.9 * (1 - np.cos(angle))
    bulge = 0.10 * np.sin(np.pi * np.minimum(down + 0.15, 1)) + 0.10 * (gap - 0.25)
    points = np.stack([2.35 * np.sin(angle), y, z - arch + bulge], -1)
    gum = step(0.66, 0.78, down + 0.10 * (0.5 - gap))[..., None]
    shade = (0.55 + 0.45 * step(0.0, 0.14, gap))[..., None] * (1 - 0.30 * np.abs(angle[..., None]))
    colour = enamel * shade * (1 - gum) + gum * np.array([0.42, 0.14, 0.13])
    faces = sheet(8, 97)
    if upper:
        faces = faces[:, [0, 2, 1]]
    jaw = np.full(points[..., 0].size, 0.0 if upper else 1.0)
    return Part(points.reshape(-1, 3), faces, colour.reshape(-1, 3), jaw, 1.0)


def _tongue(m: Measures, z: float) -> Part:
    a, b = np.meshgrid(
        np.linspace(0.05, 1.57, 9), np.linspace(0, 2 * np.pi, 24, False), indexing='ij'
    )
    x = 1.65 * np.sin(a) * np.cos(b)
    y = m.mouth_y - 1.2 + 0.65 * np.cos(a) - 0.10 * np.exp(-((x / 0.22) ** 2))
    depth = z - 2.3 + 2.0 * np.sin(a) * np.sin(b)
    colour = np.broadcast_to(np.array([0.42, 0.13, 0.12]), (*a.shape, 3))
    points = np.stack([x, y, depth], -1).reshape(-1, 3)
    return Part(points, rolled(9, 24)[:, [0, 2, 1]], colour.reshape(-1, 3), np.ones(a.size), 0.8)
