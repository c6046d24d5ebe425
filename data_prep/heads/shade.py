"""Colours of the samples: skin, eyes, the inside of the mouth, strands, background.

Skin: diffuse light wraps past the terminator, red furthest and over the smoothest normals (light
scattered under the skin travels further in red: d'Eon and Luebke 2007, as cheap as can be), and two
lobes of shine with Fresnel's rise at grazing angles (Schlick 1994). Linear colours throughout.
"""

import numpy as np

from reenact_jax.data.tracks import BACKGROUND, FACE
from reenact_jax.data.tracks import HAIR as HAIR_CLASS
from reenact_jax.data_prep.heads.compiled import compiled, inlined
from reenact_jax.data_prep.heads.eyeball import eye
from reenact_jax.data_prep.heads.lids import paint_lids

COLUMNS = 13  # of `packed`


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
        paint_lids(rgb, lids[1 if cx > 0 else 0], cx, cy, female)
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
                cx, cy, lid = row[6], row[7], lids[m - 2]
                eye(rgb, sight, turn, view, iris, lid, cx, cy, light, dark, lamps, ambient, lum)
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
