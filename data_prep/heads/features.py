"""Curves of the face that paint, points and hair share: brows, the vermilion of the lips."""

import numpy as np

from reenact_jax.data_prep.heads.anatomy import Measures
from reenact_jax.data_prep.heads.surface import mouth_line

BROW_INNER, BROW_OUTER = 1.15, 5.05  # abs(x)


def brow_x(q):
    """Compute abs(x) at q in [0, 1] from the inner to the outer end of a brow."""
    return BROW_INNER + np.asarray(q) * (BROW_OUTER - BROW_INNER)


def brow_line(m: Measures, q):
    """Compute the height of a brow's middle at q."""
    q = np.clip(q, 0, 1)
    return (
        m.brow_y
        + m.brow_slope * (q - 0.4)
        + m.brow_arch * np.sin(np.pi * 0.86 * q**1.2)
        - 0.38 * np.clip(q - 0.6, 0, 1)
    )


def brow_width(m: Measures, q):
    """Compute half the width of a brow at q: blunt at the inner end, a point at the outer."""
    return m.brow_half * np.interp(
        q, [-0.1, 0, 0.2, 0.5, 0.8, 1], [0.2, 0.55, 0.95, 0.95, 0.6, 0.12]
    )


def lip_heights(m: Measures, x):
    """Compute the heights (upper, lower) of the vermilion at x, zero at the corners."""
    q = np.clip(np.abs(x) / m.mouth_half, 0, 1)
    peak = 1 + 0.10 * np.exp(-(((np.abs(x) - 0.45) / 0.30) ** 2))
    dip = m.cupid * np.exp(-((x / 0.22) ** 2))
    upper = m.upper_lip * (peak - dip) * (1 - q**1.8) ** 0.7
    lower = m.lower_lip * (1 - q**2.3) ** 0.65
    return upper, lower


def lip_edge(m: Measures, x, upper: bool):
    """Compute the height of the outer edge of a lip at x."""
    high, low = lip_heights(m, x)
    return mouth_line(x, m) + (high if upper else -low)
