"""Strands of hair: how they grow over an implicit body, and how they are drawn.

A strand is a polyline, drawn with soft edges over the shaded samples against their z-buffer, which
gives soft outlines and hairlines. Scalp hair, brows, beards and lashes are all strands.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from reenact_jax.data_prep.heads.compiled import compiled
from reenact_jax.data_prep.heads.implicit import field, gradient

HAIR, FACIAL = 0, 1  # kinds of strands: facial ones are segmented as face


class Strands(NamedTuple):
    """n strands of s points: where they are, how they look, what they follow."""

    points: Float[np.ndarray, 'n s 3']
    outward: Float[np.ndarray, 'n s 3']
    colours: Float[np.ndarray, 'n 3']
    light: Float[np.ndarray, 'n s']  # share of light that reaches a point through the hair
    root: Int[np.ndarray, ' n']  # vertex of the skin they move with; -1 none
    kind: Int[np.ndarray, ' n']  # HAIR or FACIAL
    opacity: Float[np.ndarray, 'n s']  # at images of 256 pixels


class Style(NamedTuple):
    """How one strand grows, centimetres."""

    length: float
    lift: float  # height over the skin it settles at
    rise: float  # share of the first step that goes straight out
    gravity: float
    curl: float  # radius of the coil
    pitch: float  # turns a centimetre
    frizz: float
    stiffness: float


@compiled
def grow(body, roots, combs, table, noise, out, outward):
    """Grow strands in small strides along their comb direction, over a body they never enter.

    Args:
      body: primitives (implicit.table) of the bare head and shoulders.
      roots: [n, 3] on the skin; combs: [n, 3] unit direction of combing.
      table: [n, 8] rows of `Style`.
      noise: [n, 4]: phase of the coil, unused, and two numbers in about [-1, 1].
      out, outward: [n, s, 3].
    """
    g, d, p = np.zeros(3), np.zeros(3), np.zeros(3)
    steps = out.shape[1]
    for i in range(roots.shape[0]):
        length = table[i, 0]
        strides = max(1, int(np.ceil(length / (steps - 1) / 0.45)))
        ds = length / (steps - 1) / strides
        p[:] = roots[i]
        gradient(body, p[0], p[1], p[2], g)
        for k in range(3):
            d[k] = combs[i, k] + table[i, 2] * g[k]
        for s in range(steps):
            _coil(table[i], noise[i, 0], s * strides * ds, d, g, p, out[i, s])
            outward[i, s] = g
            for _ in range(strides):
                _stride(body, table[i], combs[i], noise[i], ds, d, g, p, s * strides * ds)


@compiled
def _coil(style, phase, along, d, g, p, out):
    """Lay the coil around the path, in the plane across it."""
    radius = style[4] * min(1.0, along / 1.2)
    turn = 6.2831853 * style[5] * along + phase
    sx, sy, sz = d[1] * g[2] - d[2] * g[1], d[2] * g[0] - d[0] * g[2], d[0] * g[1] - d[1] * g[0]
    a, b = radius * np.cos(turn), radius * np.sin(turn)
    out[0] = p[0] + a * sx + b * g[0]
    out[1] = p[1] + a * sy + b * g[1]
    out[2] = p[2] + a * sz + b * g[2]


@compiled
def _stride(body, style, comb, noise, ds, d, g, p, along):
    """Move a strand's tip p by a stride in direction d; g becomes the outward direction there."""
    lift, rise, gravity, frizz, stiff = style[1], style[2], style[3], style[6], style[7]
    height = field(body, p[0], p[1], p[2])
    gradient(body, p[0], p[1], p[2], g)
    want = lift * min(1.0, along / 1.5) * (0.8 + 0.25 * noise[2])
    push = min(0.6, max(-0.6, (want - height) * 0.8))
    if gravity > 0 and height > want:
        push *= 0.03
    inner = d[0] * g[0] + d[1] * g[1] + d[2] * g[2]
    blend = ds * (1 - stiff) * 2 * (np.exp(-along / 5.0) if gravity > 0 else 1.0)
    for k in range(3):
        d[k] -= (1 - rise) * inner * g[k] * 0.7
        d[k] += blend * (comb[k] - d[k]) + push * g[k] * (1 - rise)
        d[k] += ds * frizz * 0.5 * np.sin(6.0 * noise[2 + k % 2] + (1.1 + 0.3 * k) * along)
    d[1] -= gravity * ds
    norm = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2) + 1e-9
    for k in range(3):
        d[k] /= norm
        p[k] += d[k] * ds
    height = field(body, p[0], p[1], p[2])
    if height < 0.08:
        for k in range(3):
            p[k] += (0.10 - height) * g[k]


@compiled
def in_view(screen, depth, slack):
    """Tell [n] whether a point of a strand is on the image, not far behind what is seen there."""
    h, w = depth.shape
    seen = np.zeros(screen.shape[0], np.bool_)
    for i in range(screen.shape[0]):
        for s in range(screen.shape[1]):
            x, y = int(screen[i, s, 0]), int(screen[i, s, 1])
            x, y = min(w - 1, max(0, x)), min(h - 1, max(0, y))
            if screen[i, s, 2] < depth[y, x] + slack:
                seen[i] = True
                break
    return seen


@compiled
def draw(screen, colours, opacity, kinds, bias, depth, cover, light, classes, values):
    """Draw polylines [n, s, 3] softly over a shaded image: each step covers two samples in part.

    Nearer strands are blended over farther ones; a farther one is not drawn over a nearer one once
    that covers most of the sample.

    Args:
      screen: points in samples with depth as in rasteriser.py; colours: [n, s, 3].
      opacity: [n, s]; kinds: [n] index into `values`, the segmentation classes.
      bias: depth by which strands are drawn nearer, so that roots are not lost in the skin.
      depth, cover: [h, w] z-buffer, and share covered by strands, zero at first.
      light: [h, w, 3] colours; classes: [h, w] segmentation.
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
            n = max(1, int(np.ceil(max(abs(dx), abs(dy)))))
            if n > 400:
                continue
            for t in range(n):
                f = (t + 0.5) / n
                x, y = x0 + f * dx - 0.5, y0 + f * dy - 0.5
                z = z0 + f * (z1 - z0) - bias
                px, py = int(np.floor(x)), int(np.floor(y))
                if steep:
                    py = int(np.floor(y + 0.5))
                else:
                    px = int(np.floor(x + 0.5))
                part = x - px if steep else y - py
                if px < -1 or py < -1 or px >= w or py >= h:
                    continue
                alpha = opacity[i, s] + f * (opacity[i, s + 1] - opacity[i, s])
                for e in range(2):
                    qx, qy = (px + e, py) if steep else (px, py + e)
                    if qx < 0 or qy < 0 or qx >= w or qy >= h or z >= depth[qy, qx]:
                        continue
                    a = alpha * (part if e == 1 else 1 - part)
                    if a < 0.02:
                        continue
                    for k in range(3):
                        c = colours[i, s, k] * (1 - f) + colours[i, s + 1, k] * f
                        light[qy, qx, k] += a * (c - light[qy, qx, k])
                    cover[qy, qx] += a * (1 - cover[qy, qx])
                    if a > 0.4:
                        depth[qy, qx] = z
                    if cover[qy, qx] > 0.5:
                        classes[qy, qx] = values[kinds[i]]


@compiled
def shade(points, outward, base, light, lamps, ambient, view, out):
    """Colour strand points by Kajiya and Kay's model (1989), with two highlights.

    Args:
      points, outward: [n, s, 3] in the camera's axes (x right, y up, z to the camera).
      base: [n, 3] albedo; light: [n, s] share of light.
      lamps: [l, 6] direction and colour; ambient: [2, 3] from above and below; view: [3].
      out: [n, s, 3].
    """
    last = points.shape[1] - 1
    halves = np.empty((lamps.shape[0], 3))
    for q in range(lamps.shape[0]):
        for k in range(3):
            halves[q, k] = lamps[q, k] + view[k]
        halves[q] /= np.sqrt((halves[q] ** 2).sum() + 1e-9)
    gleam = 0.22 * base**0.75
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
                wrap = min(1.0, max(0.0, (facing + 0.35) / 1.1)) * light[i, s]
                if wrap <= 0:
                    continue
                tl = tx * lx + ty * ly + tz * lz
                th = tx * halves[q, 0] + ty * halves[q, 1] + tz * halves[q, 2]
                soft = np.sqrt(max(0.0, 1 - tl * tl * 0.85))
                p = max(0.0, 1 - th * th)
                p4 = p * p * p * p
                p16 = p4 * p4 * p4 * p4
                p64 = p16 * p16 * p16 * p16
                strength = 1.0 if q == 0 else 0.5
                for k in range(3):
                    sheen = (0.012 * p64 + p16 * gleam[i, k]) * strength
                    out[i, s, k] += lamps[q, 3 + k] * wrap * (base[i, k] * soft + sheen)
