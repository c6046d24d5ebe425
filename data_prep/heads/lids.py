"""Lids of an eye in the chart of the face: where their edges run, and the paint along them."""

import numpy as np

from reenact_jax.data_prep.heads.compiled import compiled


@compiled
def smooth(low, high, x):
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3 - 2 * t)


@compiled
def edge(table, x):
    """Compute heights of the lid edges at chart x: (lower, upper, q); q < 0 outside."""
    n = table.shape[0]
    place = (x - table[0, 0]) / (table[n - 1, 0] - table[0, 0]) * (n - 1)
    inside = 0 <= place <= n - 1
    place = min(n - 1.001, max(0.0, place))
    i = int(place)
    f = place - i
    low = table[i, 1] + f * (table[i + 1, 1] - table[i, 1])
    high = table[i, 2] + f * (table[i + 1, 2] - table[i, 2])
    crease = table[i, 3] + f * (table[i + 1, 3] - table[i, 3])
    q = place / (n - 1)
    if x < 0:
        q = 1 - q
    return low, high, crease, q if inside else -1.0


@compiled
def paint_lids(rgb, table, cx, cy, female):
    """Paint the lashes' line, margin and crease on the skin about one eye, in the chart."""
    low, high, crease, q = edge(table, cx)
    if q < 0:
        return
    ends = smooth(0.0, 0.12, q) * smooth(1.0, 0.97, q)
    up, down = cy - high, low - cy
    if up >= -0.02:
        line = (
            smooth(0.10 + 0.03 * female, 0.0, up) * ends * (0.35 + 0.5 * q) * (0.75 + 0.2 * female)
        )
        fold = np.exp(-(((up - crease) / 0.055) ** 2)) * smooth(0.05, 0.3, q) * smooth(1.04, 0.8, q)
        fold *= 0.5 * min(1.0, crease / 0.2)
        above = smooth(0.0, 0.3, up - crease) * smooth(0.6, 0.2, up - crease) * 0.05
        for k in range(3):
            rgb[k] *= (1 - line * (0.85 + 0.04 * k)) * (1 - fold * (0.55 + 0.09 * k)) * (1 + above)
    if 0 <= down < 0.2:
        rim = smooth(0.08, 0.02, down) * ends
        lash = np.exp(-(((down - 0.085) / 0.035) ** 2)) * ends * (0.18 + 0.22 * q)
        for k in range(3):
            rgb[k] *= (1 + rim * (0.10 - 0.10 * k)) * (1 - lash * 0.7)
