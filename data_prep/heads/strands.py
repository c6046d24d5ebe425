"""Strands of hair: how they grow over an implicit body, and how they are drawn.

A strand is a polyline. It is drawn one sample wide into the z-buffer of rasteriser.py, so that
four samples a pixel give soft outlines and hairlines. Scalp hair, brows, beards and lashes are all
strands.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from data_prep.heads.implicit import field, gradient

HAIR, FACIAL = -2, -3  # what `shown` holds where a strand is seen


class Strands(NamedTuple):
    """n strands of s points: position, outward direction, colour, what they follow."""

    points: Float[np.ndarray, 'n s 3']
    outward: Float[np.ndarray, 'n s 3']
    colours: Float[np.ndarray, 'n 3']
    light: Float[np.ndarray, 'n s']  # share of light that reaches a point through the hair
    root: Int[np.ndarray, ' n']  # vertex of the skin they move with; -1 none
    kind: Int[np.ndarray, ' n']  # HAIR or FACIAL
    wide: Int[np.ndarray, ' n']  # samples


class Style(NamedTuple):
    """How one strand grows; see `grow` for the columns of the table."""

    length: float
    lift: float  # height over the skin it settles at
    rise: float  # share of the first step that goes straight out
    gravity: float
    curl: float  # radius of the coil
    pitch: float  # turns a centimetre
    frizz: float
    stiffness: float


@njit(cache=True)
def grow(body, roots, combs, table, noise, out, outward):
    """Grows strands step by step along their comb direction, over a body they never enter.

    Args:
      body: primitives (implicit.table) of the bare head and shoulders.
      roots: [n, 3] on the skin; combs: [n, 3] unit direction of combing, any part along the normal
        is ignored unless `rise`.
      table: [n, 8] rows of `Style`.
      noise: [n, 4]: phase of the coil, its side, and two random numbers in [-1, 1].
      out, outward: [n, s, 3].
    """
    g = np.zeros(3)
    d = np.zeros(3)
    steps = out.shape[1]
    for i in range(roots.shape[0]):
        length, lift, rise, gravity = table[i, 0], table[i, 1], table[i, 2], table[i, 3]
        curl, pitch, frizz, stiff = table[i, 4], table[i, 5], table[i, 6], table[i, 7]
        x, y, z = roots[i]
        ds = length / (steps - 1)
        gradient(body, x, y, z, g)
        for k in range(3):
            d[k] = combs[i, k] + rise * g[k]
        for s in range(steps):
            gradient(body, x, y, z, g)
            height = field(body, x, y, z)
            for k in range(3):
                outward[i, s, k] = g[k]
            # The coil is laid around the path, in the plane of the outward direction.
            turn = 6.2831853 * pitch * ds * s + noise[i, 0]
            along = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2) + 1e-9
            ex, ey, ez = d[0] / along, d[1] / along, d[2] / along
            sx, sy, sz = ey * g[2] - ez * g[1], ez * g[0] - ex * g[2], ex * g[1] - ey * g[0]
            radius = curl * min(1.0, s * ds / 1.2)
            a, b = radius * np.cos(turn), radius * np.sin(turn)
            out[i, s, 0] = x + a * sx + b * g[0]
            out[i, s, 1] = y + a * sy + b * g[1]
            out[i, s, 2] = z + a * sz + b * g[2]
            share = s * ds / 1.5
            want = lift * min(1.0, share) * (0.75 + 0.25 * noise[i, 2])
            push = (want - height) * 0.9
            if gravity > 0 and height > want:
                push *= 0.25
            inner = d[0] * g[0] + d[1] * g[1] + d[2] * g[2]
            for k in range(3):
                keep = d[k] - (1 - rise) * inner * g[k]
                wobble = frizz * (noise[i, 2 + (k + s) % 2])
                d[k] = stiff * keep + (1 - stiff) * combs[i, k] + push * g[k] * (1 - rise)
                d[k] += wobble * 0.3
            d[1] -= gravity
            norm = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2) + 1e-9
            for k in range(3):
                d[k] /= norm
            x += d[0] * ds
            y += d[1] * ds
            z += d[2] * ds
            height = field(body, x, y, z)
            if height < 0.10:
                gradient(body, x, y, z, g)
                x += (0.12 - height) * g[0]
                y += (0.12 - height) * g[1]
                z += (0.12 - height) * g[2]


@njit(cache=True)
def draw(screen, colours, kinds, wide, bias, depth, shown, paint):
    """Draws polylines [n, s, 3] with colours [n, s, 3] into the buffers.

    Args:
      screen: points in samples with depth as in rasteriser.py.
      kinds: [n] written into `shown`; wide: [n] samples across.
      bias: depth by which strands are drawn nearer, so that roots are not lost in the skin.
      depth, shown: [h, w]; paint: [h, w, 3] colours of strands.
    """
    h, w = depth.shape
    for i in range(screen.shape[0]):
        for s in range(screen.shape[1] - 1):
            x0, y0, z0 = screen[i, s]
            x1, y1, z1 = screen[i, s + 1]
            if max(x0, x1) < 0 or min(x0, x1) >= w or max(y0, y1) < 0 or min(y0, y1) >= h:
                continue
            dx, dy = x1 - x0, y1 - y0
            steep = abs(dy) > abs(dx)
            n = int(np.ceil(max(abs(dx), abs(dy))))
            if n < 1:
                n = 1
            if n > 400:
                continue
            for t in range(n):
                f = (t + 0.5) / n
                px, py = int(np.floor(x0 + f * dx)), int(np.floor(y0 + f * dy))
                z = z0 + f * (z1 - z0) - bias
                for e in range(wide[i]):
                    qx, qy = (px + e, py) if steep else (px, py + e)
                    if qx < 0 or qy < 0 or qx >= w or qy >= h or z >= depth[qy, qx]:
                        continue
                    depth[qy, qx] = z
                    shown[qy, qx] = kinds[i]
                    for k in range(3):
                        paint[qy, qx, k] = colours[i, s, k] * (1 - f) + colours[i, s + 1, k] * f


@njit(cache=True)
def shade(points, outward, base, light, lamps, ambient, view, out):
    """Colours of strand points by Kajiya and Kay's model (1989), with two highlights.

    Args:
      points, outward: [n, s, 3] in the camera's axes (x right, y up, z to the camera).
      base: [n, 3] albedo; light: [n, s] share of light.
      lamps: [l, 6] direction and colour; ambient: [2, 3] from above and below; view: [3].
      out: [n, s, 3].
    """
    last = points.shape[1] - 1
    for i in range(points.shape[0]):
        for s in range(points.shape[1]):
            a, b = max(0, s - 1), min(last, s + 1)
            tx, ty, tz = (points[i, b, 0] - points[i, a, 0], points[i, b, 1] - points[i, a, 1],
                          points[i, b, 2] - points[i, a, 2])  # fmt: skip
            n = 1 / np.sqrt(tx * tx + ty * ty + tz * tz + 1e-12)
            tx, ty, tz = tx * n, ty * n, tz * n
            nx, ny, nz = outward[i, s]
            up = 0.5 + 0.5 * ny
            for k in range(3):
                mix = ambient[0, k] * up + ambient[1, k] * (1 - up)
                out[i, s, k] = base[i, k] * mix * light[i, s] * 0.9
            for q in range(lamps.shape[0]):
                lx, ly, lz = lamps[q, 0], lamps[q, 1], lamps[q, 2]
                facing = nx * lx + ny * ly + nz * lz
                wrap = min(1.0, max(0.0, (facing + 0.35) / 1.1))
                tl = tx * lx + ty * ly + tz * lz
                hx, hy, hz = lx + view[0], ly + view[1], lz + view[2]
                n = 1 / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-9)
                th = (tx * hx + ty * hy + tz * hz) * n
                soft = np.sqrt(max(0.0, 1 - tl * tl * 0.85)) * wrap
                p = max(0.0, 1 - th * th)
                p4 = p * p * p * p
                p16 = p4 * p4 * p4 * p4
                p64 = p16 * p16 * p16 * p16
                for k in range(3):
                    sheen = 0.05 * p64 + 0.30 * p16 * base[i, k] ** 0.7
                    value = base[i, k] * soft + sheen * wrap
                    out[i, s, k] += lamps[q, 3 + k] * value * light[i, s]
