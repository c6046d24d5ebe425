"""Inside the mouth: the cavity, two rows of teeth with gums, and the tongue, as meshes with paint.

The lower teeth, the tongue and the floor follow the jaw.
"""

from typing import NamedTuple

import numpy as np

from reenact_jax.data_prep.heads.anatomy import Measures
from reenact_jax.data_prep.heads.eyes import rolled
from reenact_jax.data_prep.heads.looks import Teeth
from reenact_jax.data_prep.heads.surface import step

COLUMNS = 129  # of a row of teeth
LIP_TO_TEETH = 0.62  # cm from the front of the lips to the incisors


class Part(NamedTuple):
    """A painted mesh: points [n, 3], triangles [f, 3], linear colours [n, 3], share of the jaw."""

    points: np.ndarray
    triangles: np.ndarray
    colours: np.ndarray
    jaw: np.ndarray
    gloss: float


def parts(m: Measures, front: float, teeth: Teeth, seed: int) -> list[Part]:
    """Make everything inside the mouth.

    Args:
      m: measures; front: z of the closed lips at the midline; teeth: what they are like; seed: of
        the person, for what differs between one tooth and the next.
    """
    z = front - LIP_TO_TEETH
    rng = np.random.default_rng([seed, 12])
    return [
        _cavity(m, z),
        _teeth(m, z, teeth, rng, upper=True),
        _teeth(m, z - 0.24, teeth, rng, upper=False),
        _tongue(m, z, rng),
    ]


def sheet(rows: int, cols: int) -> np.ndarray:
    """List the triangles of an open grid."""
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
    dark = (0.05 + 0.55 * np.sin(a) ** 4)[..., None] * np.array([0.24, 0.065, 0.05])
    jaw = step(0.5, -0.5, np.sin(b) * np.sin(a))
    points = np.stack([x, y, depth], -1).reshape(-1, 3)
    faces = rolled(9, 28)  # seen from inside
    return Part(points, faces, dark.reshape(-1, 3), jaw.ravel(), 0.2)


def _teeth(m: Measures, z: float, teeth: Teeth, rng, upper: bool) -> Part:
    """Make a row of 13 teeth; closed, the upper ones cover the edges of the lower ones."""
    angle, down = np.meshgrid(np.linspace(-1.25, 1.25, COLUMNS), np.linspace(0, 1, 9))
    tooth = angle / 1.25 * 6.5 / (teeth.width if upper else 0.86 * teeth.width)
    number = np.clip(np.floor(tooth).astype(int) + 8, 0, 15)
    gap = np.abs(tooth - np.round(tooth))  # 0 between teeth, 0.5 at their middles
    own = rng.normal(size=(5, 16))[:, number]  # height, depth, slant, tone, yellowness of each
    size = 1 - 0.20 * (np.abs(tooth) > 1) + 0.14 * (np.abs(np.abs(tooth) - 2.5) < 0.5)
    if not upper:
        size = 0.92 + 0 * size
    rough = 0.012 + 0.035 * teeth.crooked
    cut = 0.15 * np.clip(0.5 - gap - 0.12, 0, 1) + rough * (own[0] + own[2] * (tooth % 1 - 0.5))
    tall = (1.05 if upper else 0.85) * size * teeth.length
    edge = m.mouth_y + (-0.20 * teeth.length if upper else -0.10)
    y = edge + (cut + down * tall) * (1 if upper else -1)
    arch = 2.9 * (1 - np.cos(angle))
    wide = 2.35 * min(1.0, m.mouth_half / 2.4)  # never through the cheeks
    bulge = 0.12 * np.sin(np.pi * np.minimum(down + 0.15, 1)) + 0.14 * (gap - 0.25)
    points = np.stack([wide * np.sin(angle), y, z - arch + bulge + 0.8 * rough * own[1]], -1)
    colour = _enamel(teeth, angle, down, gap, own, upper)
    faces = sheet(9, COLUMNS)
    if upper:
        faces = faces[:, [0, 2, 1]]
    jaw = np.full(points[..., 0].size, 0.0 if upper else 1.0)
    return Part(points.reshape(-1, 3), faces, colour.reshape(-1, 3), jaw, 1.0)


def _enamel(teeth: Teeth, angle, down, gap, own, upper: bool):
    """Colour a row: ivory to white, yellower to the gum, dark between teeth and at the back."""
    base = np.array([0.50, 0.41, 0.28]) + teeth.white * np.array([0.18, 0.22, 0.29])
    yellow = np.array([1.0, 0.93, 0.78])
    mix = np.clip(0.35 * down + 0.15 * own[4], 0, 1)[..., None]
    colour = base * (1 - mix + mix * yellow) * np.exp(0.06 * own[3])[..., None]
    dark = 0.35 + 0.5 * (1 - teeth.gaps)
    between = dark + (1 - dark) * step(0.02, 0.10 + 0.08 * teeth.gaps, gap)
    back = 1 - 0.62 * (np.abs(angle) / 1.25) ** 1.5
    clear = 1 - 0.18 * step(0.12, 0.0, down)  # the edge lets the dark through
    shade = between * back * clear * (1.0 if upper else 0.78)
    gum = step(0.70, 0.80, down + 0.16 * (0.5 - gap))[..., None]
    flesh = np.array([0.38, 0.13, 0.125]) * back[..., None]
    return colour * shade[..., None] * (1 - gum) + gum * flesh


def _tongue(m: Measures, z: float, rng) -> Part:
    a, b = np.meshgrid(
        np.linspace(0.05, 1.57, 9), np.linspace(0, 2 * np.pi, 24, False), indexing='ij'
    )
    x = 1.65 * np.sin(a) * np.cos(b)
    y = m.mouth_y - 1.2 + 0.65 * np.cos(a) - 0.12 * np.exp(-((x / 0.22) ** 2))
    depth = z - 2.3 + 2.0 * np.sin(a) * np.sin(b)
    tone = np.array([0.36, 0.115, 0.11]) * np.exp(0.15 * rng.normal(size=3))
    lit = 1 - 0.35 * np.exp(-((x / 0.15) ** 2)) + 0.12 * rng.normal(size=x.shape)
    lit = lit * step(-4.6, -1.0, depth - z)
    points = np.stack([x, y, depth], -1).reshape(-1, 3)
    colour = (tone * lit[..., None]).reshape(-1, 3)
    return Part(points, rolled(9, 24)[:, [0, 2, 1]], colour, np.ones(a.size), 0.8)
