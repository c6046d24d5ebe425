"""The outer ear: a rim (helix), an inner fold (antihelix), the bowl (concha), tragus and lobe."""

import numpy as np

from reenact_jax.data_prep.heads.eyes import rolled
from reenact_jax.data_prep.heads.identity import Identity
from reenact_jax.data_prep.heads.surface import step

RINGS, AROUND = 18, 44


def ear(who: Identity, side_x: float):
    """Make the ear at positive x: points [n, 3], triangles [f, 3], and how red each point is [n].

    Args:
      who: gives size and angle.
      side_x: half the width of the head where the ear is attached, centimetres.
    """
    radius = np.concatenate([np.linspace(0.03, 1, RINGS - 3), [1.02, 0.94, 0.6]])
    r, a = np.meshgrid(radius, np.linspace(0, 2 * np.pi, AROUND, False), indexing='ij')
    c, s = np.cos(a), np.sin(a)
    wide = 1.55 + 0.28 * s - 0.10 * np.cos(2 * a) - 0.25 * np.clip(-s, 0, 1) ** 2
    tall = 3.05 - 0.12 * np.clip(-s, 0, 1)
    p, q = 1.15 + r * c * wide, r * s * tall  # backwards, upwards
    h = _relief(r, c, s, p, q)
    skirt = np.zeros_like(r)
    skirt[-2:] = np.array([-0.30, -0.85])[:, None]
    h = np.where(skirt < 0, skirt, h)
    size = 0.93 + 0.06 * who.ear_size + 0.05 * who.age
    angle = np.deg2rad(26 + 8 * who.ear_angle)
    tilt = 0.20
    x = side_x + np.sin(angle) * p * size + np.cos(angle) * h - 0.40 * step(0.9, -0.3, p)
    y = -1.15 + q * size
    z = -0.5 - np.cos(angle) * p * size + np.sin(angle) * h - tilt * q
    red = np.exp(-(((r - 0.95) / 0.12) ** 2)) + 0.5 * step(-0.7, -1, s) * (r > 0.5)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    return points, rolled(RINGS, AROUND), np.clip(red, 0, 1).ravel()


def _relief(r, c, s, p, q):
    h = 0.34 * np.exp(-(((r - 0.93) / 0.11) ** 2)) * step(-0.9, -0.3, s + 0.5 * c)  # helix
    h -= 0.24 * np.exp(-(((r - 0.76) / 0.09) ** 2)) * step(-0.4, 0.3, c)  # scapha
    h += 0.28 * np.exp(-(((r - 0.57) / 0.11) ** 2)) * step(-0.3, 0.4, c) * step(1.05, 0.6, s)
    h -= 0.70 * np.exp(-(((p - 1.0) / 0.62) ** 2) - ((q + 0.5) / 0.85) ** 2)  # concha
    h += 0.32 * np.exp(-(((p - 0.35) / 0.26) ** 2) - ((q + 0.7) / 0.5) ** 2)  # tragus
    h += 0.18 * np.exp(-(((p - 1.1) / 0.4) ** 2) - ((q + 1.6) / 0.3) ** 2)  # antitragus
    return h
