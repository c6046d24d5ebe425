"""Colours of the samples: skin, eyes, the inside of the mouth, strands, background.

Skin: diffuse light wraps past the terminator, red furthest and over the smoothest normals (light
scattered under the skin travels further in red: d'Eon and Luebke 2007, as cheap as can be), and two
lobes of shine with Fresnel's rise at grazing angles (Schlick 1994). Linear colours throughout.
"""

import numpy as np

from reenact_jax.data.tracks import BACKGROUND, FACE
from reenact_jax.data.tracks import HAIR as HAIR_CLASS
from reenact_jax.data_prep.heads.compiled import compiled, inlined

IRIS = 0.395  # radius of the iris and the pupil, radians of the eyeball
PUPIL = 0.150
COLUMNS = 13  # of `packed`


@compiled
def _smooth(low, high, x):
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3 - 2 * t)


@compiled
def _edge(table, x):
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
def _halves(lamps, view):
    """Compute [l, 4]: unit vectors halfway between lamp and view, and Fresnel's reflection."""
    out = np.empty((lamps.shape[0], 4))
    for q in range(lamps.shape[0]):
        n = cosine = 0.0
        for k in range(3):
            out[q, k] = lamps[q, k] + view[k]
            n += out[q, k] * out[q, k]
        n = 1 / np.sqrt(n + 1e-9)
        for k in range(3):
            out[q, k] *= n
            cosine += view[k] * out[q, k]
        out[q, 3] = 0.028 + 0.972 * (1 - max(0.0, cosine)) ** 5
    return out


@inlined
def _light(rgb, normals, view, ao, shadow, gloss, lamps, halves, ambient, out):
    """Light skin by all lamps: six numbers of sharp and soft normal; `rgb` albedo; into out[3]."""
    nx, ny, nz = normals[0], normals[1], normals[2]
    sx, sy, sz = normals[3], normals[4], normals[5]
    nv = max(0.0, nx * view[0] + ny * view[1] + nz * view[2])
    rim = (1 - nv) * (1 - nv)
    rim *= rim
    for k in range(3):
        up = 0.5 + 0.5 * (sy if k == 0 else ny)
        sky = ambient[0, k] * up + ambient[1, k] * (1 - up)
        bleed = ao * (1 + (1 - ao) * (0.15 if k == 0 else (-0.08 if k == 1 else -0.15)))
        out[k] = rgb[k] * sky * bleed + gloss * ao * ao * sky * (0.018 + 0.10 * rim)
    for q in range(lamps.shape[0]):
        lx, ly, lz = lamps[q, 0], lamps[q, 1], lamps[q, 2]
        sharp = nx * lx + ny * ly + nz * lz
        soft = sx * lx + sy * ly + sz * lz
        s = shadow if q == 0 else 0.3 + 0.7 * ao
        for k in range(3):
            mix = 0.85 if k == 0 else (0.45 if k == 1 else 0.30)
            wrap = 0.32 if k == 0 else (0.16 if k == 1 else 0.11)
            facing = mix * soft + (1 - mix) * sharp
            d = max(0.0, (facing + wrap) / (1 + wrap))
            d = d * (0.65 + 0.35 * d) if k == 0 else d
            reach = s * (1.6 - 0.6 * s) if k == 0 else s
            out[k] += rgb[k] * lamps[q, 3 + k] * d * reach
        if sharp > 0:
            nh = max(0.0, nx * halves[q, 0] + ny * halves[q, 1] + nz * halves[q, 2])
            n2 = nh * nh
            n8 = n2 * n2 * n2 * n2
            n32 = n8 * n8 * n8 * n8
            lobe = 0.66 * n8 * n2 + 2.0 * n32 * n2 * n2 * n2
            for k in range(3):
                out[k] += lamps[q, 3 + k] * gloss * lobe * halves[q, 3] * sharp * s * 1.25


@compiled
def _sample(texture, x, y, out):
    """Look texture [h, w, c] up bilinearly at texel (x, y) into out[c]."""
    h, w = texture.shape[0], texture.shape[1]
    x, y = min(w - 1.001, max(0.0, x)), min(h - 1.001, max(0.0, y))
    i, j = int(x), int(y)
    f, g = x - i, y - j
    for k in range(texture.shape[2]):
        a = texture[j, i, k] + f * (texture[j, i + 1, k] - texture[j, i, k])
        b = texture[j + 1, i, k] + f * (texture[j + 1, i + 1, k] - texture[j + 1, i, k])
        out[k] = a + g * (b - a)


@compiled
def _lid_paint(rgb, table, cx, cy, female):
    """Paint the lashes' line, margin and crease on the skin about one eye, in the chart."""
    low, high, crease, q = _edge(table, cx)
    if q < 0:
        return
    ends = _smooth(0.0, 0.12, q) * _smooth(1.0, 0.97, q)
    up, down = cy - high, low - cy
    if up >= -0.02:
        line = (
            _smooth(0.10 + 0.03 * female, 0.0, up) * ends * (0.35 + 0.5 * q) * (0.75 + 0.2 * female)
        )
        fold = (
            np.exp(-(((up - crease) / 0.055) ** 2)) * _smooth(0.05, 0.3, q) * _smooth(1.04, 0.8, q)
        )
        fold *= 0.5 * min(1.0, crease / 0.2)
        above = _smooth(0.0, 0.3, up - crease) * _smooth(0.6, 0.2, up - crease) * 0.05
        for k in range(3):
            rgb[k] *= (1 - line * (0.85 + 0.04 * k)) * (1 - fold * (0.55 + 0.09 * k)) * (1 + above)
    if 0 <= down < 0.2:
        rim = _smooth(0.08, 0.02, down) * ends
        lash = np.exp(-(((down - 0.085) / 0.035) ** 2)) * ends * (0.18 + 0.22 * q)
        for k in range(3):
            rgb[k] *= (1 + rim * (0.10 - 0.10 * k)) * (1 - lash * 0.7)


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


@compiled
def _eye(d, sight, turn, view, iris, lids, cx, cy, ao, shadow, lamps, ambient, out):
    """Colour the eyeball at direction d of the head; sight: its look; turn: head -> camera."""
    low, high, _, q = _edge(lids, cx)
    c = min(1.0, d[0] * sight[0] + d[1] * sight[1] + d[2] * sight[2])
    off = np.arccos(max(-1.0, c))
    r = off / IRIS
    u0, u1 = d[0] - c * sight[0], d[1] - c * sight[1]
    angle = np.arctan2(u1, u0)
    white = np.array([0.60, 0.56, 0.53])
    red = _smooth(0.35, 0.0, q) * 0.8 + _smooth(0.75, 1.0, q) * 0.35
    for k in range(3):
        white[k] *= (
            1
            - red * (0.02 + 0.17 * (k > 0))
            - 0.05 * (k > 0) * _streak(angle, 37, 9) * _smooth(1.2, 2.4, r)
        )
    streak = (
        0.62 + 0.5 * _streak(angle, 61, 3) * _smooth(1.0, 0.5, r) + 0.35 * _streak(angle, 23, 5)
    )
    ring = 1 - 0.72 * _smooth(0.76, 1.0, r)
    inner = 1 + 0.55 * _smooth(0.75, 0.42, r)
    blend = _smooth(0.93, 1.07, r)
    hole = _smooth(0.92, 1.08, off / PUPIL)
    rgb = np.empty(3)
    for k in range(3):
        warm = inner if k < 2 else 1.0
        colour = iris[k] * streak * ring * warm * hole + 0.004
        rgb[k] = colour + (white[k] - colour) * blend
    bulge = 0.75 * max(0.0, 1 - r * r / 1.2)
    nx, ny, nz = (
        d[0] + bulge * (d[0] - sight[0]),
        d[1] + bulge * (d[1] - sight[1]),
        d[2] + bulge * (d[2] - sight[2]),
    )
    n = 1 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-9)
    wx = (turn[0, 0] * nx + turn[0, 1] * ny + turn[0, 2] * nz) * n
    wy = (turn[1, 0] * nx + turn[1, 1] * ny + turn[1, 2] * nz) * n
    wz = (turn[2, 0] * nx + turn[2, 1] * ny + turn[2, 2] * nz) * n
    shade = (0.22 + 0.78 * _smooth(-0.04, 0.36, high - cy)) * (
        0.66 + 0.34 * _smooth(-0.02, 0.2, cy - low)
    )
    shade *= 0.55 + 0.45 * _smooth(0.0, 0.16, q) * _smooth(1.0, 0.86, q)
    up = 0.5 + 0.5 * wy
    for k in range(3):
        out[k] = rgb[k] * (ambient[0, k] * up + ambient[1, k] * (1 - up)) * shade * 0.85
    for l in range(lamps.shape[0]):
        lx, ly, lz = lamps[l, 0], lamps[l, 1], lamps[l, 2]
        facing = max(0.0, (wx * lx + wy * ly + wz * lz + 0.25) / 1.25)
        hx, hy, hz = lx + view[0], ly + view[1], lz + view[2]
        n = 1 / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-9)
        nh = max(0.0, (wx * hx + wy * hy + wz * hz) * n)
        s = 0.25 + 0.75 * shadow if l == 0 else 0.6
        spark = (1.6 * _smooth(0.9965, 0.9985, nh) + 0.05 * nh**40) * _smooth(0.02, 0.12, high - cy)
        for k in range(3):
            out[k] += lamps[l, 3 + k] * s * (rgb[k] * facing * shade + spark * 0.8)
    margin = _smooth(0.075, 0.02, cy - low) * _smooth(0.02, 0.1, q)  # the wet edge of the lower lid
    duct = _smooth(0.11, 0.05, q)
    for k in range(3):
        flesh = (0.46, 0.25, 0.22)[k] * (ambient[0, k] + lamps[0, 3 + k] * 0.4 * shadow)
        flesh *= max(0.6, shade)
        out[k] += (flesh - out[k]) * max(0.75 * margin, 0.85 * duct)


def packed(normals, soft, chart, uv, ambient, shadow, gloss):
    """Pack what shading reads of a vertex into one row, which one look into memory brings."""
    single = [one[:, None] for one in (ambient, shadow, gloss)]
    return np.concatenate([normals, soft, chart, uv, *single], 1, dtype=np.float32)


@inlined
def _blend(table, corners, s, r, out):
    """Weigh the rows of a triangle's corners by 1 - s - r, s, r."""
    a, b, c = corners
    p = 1 - s - r
    for k in range(out.shape[0]):
        out[k] = p * table[a, k] + s * table[b, k] + r * table[c, k]


@inlined
def _unit(vector):
    n = 1 / np.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2 + 1e-12)
    for k in range(3):
        vector[k] *= n


@inlined
def _skin(row, paint, wrinkles, furrow, creased, lids, female, texel, lines, rgb):
    """Write the texture's colour, with furrows and lids, into `rgb`, and its gloss into the row.

    Returns:
      The sample's class: the texture holds skin, haired scalp and cloth.
    """
    _sample(paint, row[8], row[9], texel)
    depth = 0.0
    if creased:
        _sample(wrinkles, row[8], row[9], lines)
        for k in range(lines.shape[0]):
            depth += furrow[k] * lines[k]
    depth = min(0.6, 0.5 * depth)
    for k in range(3):
        rgb[k] = texel[k] * (1 - depth * (0.75 + 0.12 * k))
    row[12] = texel[3]
    cx, cy = row[6], row[7]
    if row[2] > -0.2 and -1.6 < cy < 1.9:
        _lid_paint(rgb, lids[1 if cx > 0 else 0], cx, cy, female)
    if texel[4] > 0.5:
        return BACKGROUND
    return HAIR_CLASS if texel[4] < -0.5 else FACE


@compiled
def shade(shown, u, v, faces, material, vertex, tone, paint, wrinkles,
          furrow, lids, sight, turn, iris, female, lamps, ambient, back, out, classes):  # fmt: skip
    """Colour every sample of the buffers.

    Args:
      shown, u, v: from rasteriser.py and strands.py.
      faces, material: of head.Head; tone: [n, 3] colour, or direction of the eyeball.
      vertex: [n, 13] from `packed`.
      paint, wrinkles: the texture; furrow: [6] how deep each unit's wrinkles are now.
      lids: [2, s, 4] rows (x, lower, upper, height of the crease over the upper edge).
      sight: [3]; turn: [3, 3] head -> camera; iris: [3] colour; female: 0 or 1.
      lamps: [l, 6]; ambient: [2, 3]; back: [h / 2, w / 2, 3] the background, out of focus.
      out: [h, w, 3] linear colours; classes: [h, w] segmentation.
    """
    texel, lines, row = np.empty(5), np.empty(wrinkles.shape[2]), np.empty(COLUMNS)
    rgb, lum = np.empty(3), np.empty(3)
    view = np.array([0.0, 0.0, 1.0])
    halves = _halves(lamps, view)
    creased = furrow.max() > 0.02
    for y in range(shown.shape[0]):
        for x in range(shown.shape[1]):
            t = shown[y, x]
            if t < 0:
                classes[y, x] = BACKGROUND
                for k in range(3):
                    out[y, x, k] = back[y // 2, x // 2, k]
                continue
            corners, m = (faces[t, 0], faces[t, 1], faces[t, 2]), material[t]
            _blend(vertex, corners, u[y, x], v[y, x], row)
            classes[y, x] = BACKGROUND if m == 6 else FACE  # cloth counts as clothes
            if m == 0:
                classes[y, x] = _skin(
                    row, paint, wrinkles, furrow, creased, lids, female, texel, lines, rgb
                )
            else:
                _blend(tone, corners, u[y, x], v[y, x], rgb)
            light, dark, shine = row[10], row[11], row[12]
            if m == 2 or m == 3:
                _unit(rgb)  # the direction of the eyeball
                eye = lids[m - 2]
                _eye(
                    rgb,
                    sight,
                    turn,
                    view,
                    iris,
                    eye,
                    row[6],
                    row[7],
                    light,
                    dark,
                    lamps,
                    ambient,
                    lum,
                )
            else:
                if m == 4:  # lips let light through to the teeth
                    shine, dark = 2.2 * shine, 0.35 + 0.65 * dark
                _unit(row)  # its first three: the normal
                _light(rgb, row, view, light, dark, shine, lamps, halves, ambient, lum)
            for k in range(3):
                out[y, x, k] = lum[k]


@compiled
def soften(normals, faces, passes, out):
    """Average normals [n, 3] over neighbouring vertices, `passes` times, to unit length."""
    n = normals.shape[0]
    total = np.empty((n, 3), np.float32)
    out[:] = normals
    for _ in range(passes):
        total[:] = out
        for t in range(faces.shape[0]):
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            for k in range(3):
                mean = out[a, k] + out[b, k] + out[c, k]
                total[a, k] += mean
                total[b, k] += mean
                total[c, k] += mean
        for i in range(n):
            x, y, z = total[i, 0], total[i, 1], total[i, 2]
            norm = np.sqrt(x * x + y * y + z * z) + 1e-12
            out[i, 0], out[i, 1], out[i, 2] = x / norm, y / norm, z / norm


@compiled
def develop(light, classes, gain, gamma, image, merged):
    """Turn linear samples [2h, 2w, 3] into display values 0..1 [h, w, 3] and classes [h, w].

    The curve is Narkowicz's fit of a filmic response (2015), per sample, so that highlights do not
    bleed over edges; classes by majority of the four samples, the face winning a draw.
    """
    h, w = merged.shape
    count = np.zeros(3, np.int64)
    curve = (np.arange(4098) / 4096) ** (gamma / 2.2)  # far cheaper than a power a pixel
    for y in range(h):
        for x in range(w):
            count[:] = 0
            for k in range(3):
                total = 0.0
                for j in range(2):
                    for i in range(2):
                        value = light[2 * y + j, 2 * x + i, k] * gain[k]
                        value = (
                            value * (2.51 * value + 0.03) / (value * (2.43 * value + 0.59) + 0.14)
                        )
                        total += min(1.0, max(0.0, value))
                place = total * 1024
                i = int(place)
                image[y, x, k] = curve[i] + (place - i) * (curve[i + 1] - curve[i])
            for j in range(2):
                for i in range(2):
                    count[classes[2 * y + j, 2 * x + i]] += 1
            best = FACE
            for k in (BACKGROUND, HAIR_CLASS):
                if count[k] > count[best]:
                    best = k
            merged[y, x] = best
