"""Colours of an eyeball: streaked iris with its limbus, veined white, shade of lids, sparks."""

import numpy as np

from reenact_jax.data_prep.heads.compiled import compiled, inlined
from reenact_jax.data_prep.heads.lids import edge, smooth

IRIS = 0.395  # radius of the iris and the pupil, radians of the eyeball
PUPIL = 0.150


@compiled
def _hash(a):
    a = (a * 2654435761) & 0xFFFFFFFF
    a = ((a ^ (a >> 15)) * 2246822519) & 0xFFFFFFFF
    return ((a ^ (a >> 13)) & 0xFFFF) / 65535.0


@compiled
def _streak(angle, count, seed):
    """Compute smooth noise around a circle."""
    t = (angle / 6.2831853 + 1.0) * count
    i = int(np.floor(t))
    f = t - i
    f = f * f * (3 - 2 * f)
    a, b = _hash(i % count + seed), _hash((i + 1) % count + seed)
    return a + f * (b - a)


@inlined
def _albedo(d, sight, iris, q, rgb):
    """Write the eyeball's own colour at direction d into `rgb`; q: from the inner corner, 0..1.

    Returns:
      Angle to the look, in radii of the iris.
    """
    c = min(1.0, d[0] * sight[0] + d[1] * sight[1] + d[2] * sight[2])
    off = np.arccos(max(-1.0, c))
    r = off / IRIS
    angle = np.arctan2(d[1] - c * sight[1], d[0] - c * sight[0])
    red = smooth(0.35, 0.0, q) * 0.8 + smooth(0.75, 1.0, q) * 0.35
    vein = 0.05 * _streak(angle, 37, 9) * smooth(1.2, 2.4, r)
    streak = 0.62 + 0.5 * _streak(angle, 61, 3) * smooth(1.0, 0.5, r) + 0.35 * _streak(angle, 23, 5)
    ring = 1 - 0.72 * smooth(0.76, 1.0, r)
    inner = 1 + 0.55 * smooth(0.75, 0.42, r)
    blend = smooth(0.93, 1.07, r)
    hole = smooth(0.92, 1.08, off / PUPIL)
    for k in range(3):
        white = (0.60, 0.56, 0.53)[k] * (1 - red * (0.02 + 0.17 * (k > 0)) - vein * (k > 0))
        colour = iris[k] * streak * ring * (inner if k < 2 else 1.0) * hole + 0.004
        rgb[k] = colour + (white - colour) * blend
    return r


@inlined
def _normal(d, sight, turn, r, normal):
    """Write the normal in the camera's frame, the cornea's bulge included, into `normal`."""
    bulge = 0.75 * max(0.0, 1 - r * r / 1.2)
    nx = d[0] + bulge * (d[0] - sight[0])
    ny = d[1] + bulge * (d[1] - sight[1])
    nz = d[2] + bulge * (d[2] - sight[2])
    n = 1 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-9)
    for k in range(3):
        normal[k] = (turn[k, 0] * nx + turn[k, 1] * ny + turn[k, 2] * nz) * n


@inlined
def _lamp(lamp, normal, view, rgb, shade, reach, open_, out):
    """Add one lamp's light: diffuse and a spark on the cornea, which the upper lid can hide."""
    lx, ly, lz = lamp[0], lamp[1], lamp[2]
    wx, wy, wz = normal[0], normal[1], normal[2]
    facing = max(0.0, (wx * lx + wy * ly + wz * lz + 0.25) / 1.25)
    hx, hy, hz = lx + view[0], ly + view[1], lz + view[2]
    n = 1 / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-9)
    nh = max(0.0, (wx * hx + wy * hy + wz * hz) * n)
    spark = (1.6 * smooth(0.9965, 0.9985, nh) + 0.05 * nh**40) * open_
    for k in range(3):
        out[k] += lamp[3 + k] * reach * (rgb[k] * facing * shade + spark * 0.8)


@compiled
def eye(d, sight, turn, view, iris, lids, cx, cy, ao, shadow, lamps, ambient, out):
    """Colour the eyeball where the head's direction d meets it.

    Args:
      d, sight: [3] directions of the sample and of the look; turn: [3, 3] head -> camera.
      view: [3] towards the camera; iris: [3] colour; lids: [s, 4] rows of `lids.edge`.
      cx, cy: the sample's place in the chart; ao, shadow: of ambient light and the first lamp.
      lamps: [l, 6]; ambient: [2, 3] from above and below; out: [3] linear colour, written.
    """
    low, high, _, q = edge(lids, cx)
    rgb, normal = np.empty(3), np.empty(3)
    r = _albedo(d, sight, iris, q, rgb)
    _normal(d, sight, turn, r, normal)
    shade = (0.22 + 0.78 * smooth(-0.04, 0.36, high - cy)) * (
        0.66 + 0.34 * smooth(-0.02, 0.2, cy - low)
    )
    shade *= 0.55 + 0.45 * smooth(0.0, 0.16, q) * smooth(1.0, 0.86, q)
    up = 0.5 + 0.5 * normal[1]
    for k in range(3):
        out[k] = rgb[k] * (ambient[0, k] * up + ambient[1, k] * (1 - up)) * shade * 0.85
    for l in range(lamps.shape[0]):
        reach = 0.25 + 0.75 * shadow if l == 0 else 0.6
        _lamp(lamps[l], normal, view, rgb, shade, reach, smooth(0.02, 0.12, high - cy), out)
    margin = smooth(0.075, 0.02, cy - low) * smooth(0.02, 0.1, q)  # the wet edge of the lower lid
    duct = smooth(0.11, 0.05, q)
    for k in range(3):
        flesh = (0.46, 0.25, 0.22)[k] * (ambient[0, k] + lamps[0, 3 + k] * 0.4 * shadow)
        flesh *= max(0.6, shade)
        out[k] += (flesh - out[k]) * max(0.75 * margin, 0.85 * duct)
