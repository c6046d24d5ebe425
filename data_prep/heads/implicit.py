"""Implicit surfaces: smooth unions of ellipsoids and round cones, solved along rays.

A head is sculpted as a list of primitives (`Primitive`), each blended into the ones before it with
its own radius of blending (polynomial smooth minimum, Quilez). The field is positive outside. It is
symmetric in x: every primitive stands for itself and its mirror image.

Lengths are centimetres; axes x right, y up, z towards the camera.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.data_prep.heads.compiled import compiled

ELLIPSOID, CONE = 0.0, 1.0


class Primitive(NamedTuple):
    """An ellipsoid (centre `a`, semi-axes `b`) or a round cone from `a` to `b` (radii ra, rb)."""

    kind: float
    a: tuple[float, float, float]
    b: tuple[float, float, float]
    ra: float = 0.0
    rb: float = 0.0
    blend: float = 0.5  # how far the seam with the earlier primitives is rounded
    carve: bool = False  # take away instead of add


def ellipsoid(centre, axes, blend=0.5, carve=False) -> Primitive:
    """Make an axis-aligned ellipsoid."""
    return Primitive(ELLIPSOID, centre, axes, blend=blend, carve=carve)


def cone(a, b, ra, rb, blend=0.5, carve=False) -> Primitive:
    """Make a capsule whose radius goes from `ra` at `a` to `rb` at `b`."""
    return Primitive(CONE, a, b, ra, rb, blend, carve)


def table(primitives) -> Float[np.ndarray, 'n 11']:
    """Write the primitives as rows of numbers for the compiled functions below."""
    rows = [(p.kind, *p.a, *p.b, p.ra, p.rb, p.blend, float(p.carve)) for p in primitives]
    return np.array(rows, np.float64)


@compiled
def _one(row, x, y, z):
    """Compute the distance to one primitive (for ellipsoids: first-order)."""
    px, py, pz = x - row[1], y - row[2], z - row[3]
    if row[0] == ELLIPSOID:
        u, v, w = px / row[4], py / row[5], pz / row[6]
        inner = np.sqrt(u * u + v * v + w * w)
        u, v, w = u / row[4], v / row[5], w / row[6]
        slope = np.sqrt(u * u + v * v + w * w)
        if slope < 1e-9:
            return -min(row[4], row[5], row[6])
        return inner * (inner - 1.0) / slope
    bx, by, bz = row[4] - row[1], row[5] - row[2], row[6] - row[3]
    along = (px * bx + py * by + pz * bz) / (bx * bx + by * by + bz * bz)
    along = min(1.0, max(0.0, along))
    dx, dy, dz = px - along * bx, py - along * by, pz - along * bz
    return np.sqrt(dx * dx + dy * dy + dz * dz) - (row[7] + along * (row[8] - row[7]))


@compiled
def field(prims, x, y, z):
    """Compute the signed field at one point, centimetres, positive outside."""
    x = abs(x)
    value = 1e3
    for i in range(prims.shape[0]):
        row = prims[i]
        d = _one(row, x, y, z)
        k = row[9]
        if row[10] > 0.5:
            d = -d
            h = max(k - abs(value - d), 0.0) / k
            value = max(value, d) + h * h * k * 0.25
        else:
            h = max(k - abs(value - d), 0.0) / k
            value = min(value, d) - h * h * k * 0.25
    return value


@compiled
def gradient(prims, x, y, z, out):
    """Write the unit outward direction at a point into `out[3]`: differences over a tetrahedron."""
    e = 0.02
    a = field(prims, x + e, y - e, z - e)
    b = field(prims, x - e, y - e, z + e)
    c = field(prims, x - e, y + e, z - e)
    d = field(prims, x + e, y + e, z + e)
    out[0] = a - b - c + d
    out[1] = c + d - a - b
    out[2] = b + d - a - c
    norm = np.sqrt(out[0] ** 2 + out[1] ** 2 + out[2] ** 2) + 1e-12
    for i in range(3):
        out[i] /= norm


@compiled
def _root(prims, origin, direction, near, high, below, above):
    """Find where the field is 0 between near (inside) and high, by the Illinois rule, to 1e-4."""
    kept = 0
    for _ in range(12):
        share = below / (below - above) if above > 0 else 0.5
        t = near + share * (high - near)
        d = field(
            prims,
            origin[0] + t * direction[0],
            origin[1] + t * direction[1],
            origin[2] + t * direction[2],
        )
        if abs(d) < 5e-5 or high - near < 1e-4:
            break
        if d < 0:
            near, below = t, d
            above *= 0.5 if kept == -1 else 1.0
            kept = -1
        else:
            high, above = t, d
            below *= 0.5 if kept == 1 else 1.0
            kept = 1
    return t


@compiled
def solve(prims, origin, direction, far):
    """Find the first distances from inside to the surface along rays; `far` where none is met.

    Args:
      prims: rows of `table`.
      origin, direction: [n, 3], direction of unit length, origin inside.
      far: where the search ends.

    Returns:
      Distances [n] to 1e-4.
    """
    n = origin.shape[0]
    out = np.zeros(n)
    last = 0.0
    for i in range(n):
        ox, oy, oz = origin[i]
        dx, dy, dz = direction[i]
        near, t = 0.0, max(0.0, last - 1.5)  # the ray before mostly ends near this one
        if t > 0 and field(prims, ox + t * dx, oy + t * dy, oz + t * dz) >= 0:
            t = 0.0
        inside, below, d = False, -1.0, 1.0
        while t < far:  # the field overestimates distances little: stride by most of it
            d = field(prims, ox + t * dx, oy + t * dy, oz + t * dz)
            if d < 0:
                inside = True
                near, below = t, d
            elif inside:
                break
            t += max(0.06, -0.7 * d) if d < 0 else 0.1
        last = out[i] = _root(prims, origin[i], direction[i], near, t, below, d)
    return out


@compiled
def project(prims, points, steps):
    """Move points [n, 3] onto the surface along the gradient, in place."""
    g = np.zeros(3)
    for i in range(points.shape[0]):
        for _ in range(steps):
            x, y, z = points[i]
            d = field(prims, x, y, z)
            gradient(prims, x, y, z, g)
            d = min(0.4, max(-0.4, d))
            for k in range(3):
                points[i, k] -= d * g[k]


@compiled
def heights(prims, points):
    """Compute the field at points [n, 3]."""
    out = np.zeros(points.shape[0])
    for i in range(points.shape[0]):
        out[i] = field(prims, points[i, 0], points[i, 1], points[i, 2])
    return out
