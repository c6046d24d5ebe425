"""Paint of skin, scalp and clothes: one map over the grid of surface.py, four texels a cell.

Everything is placed in the chart (x, y of the neutral head) or in space, so that nothing streaks
where the grid is stretched. Colours are linear albedo.
"""

import colorsys
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.data_prep.heads import colours, complexion, noise
from reenact_jax.data_prep.heads.anatomy import Measures
from reenact_jax.data_prep.heads.canvas import Canvas
from reenact_jax.data_prep.heads.features import (
    BROW_INNER,
    BROW_OUTER,
    brow_line,
    brow_width,
    lip_heights,
)
from reenact_jax.data_prep.heads.hairline import beard_region, scalp
from reenact_jax.data_prep.heads.identity import Identity
from reenact_jax.data_prep.heads.looks import Beard
from reenact_jax.data_prep.heads.surface import Surface, step

WRINKLES = ('AU01', 'AU02', 'AU04', 'AU06', 'AU09', 'AU12')  # units with painted furrows


class Texture(NamedTuple):
    """`paint`: rgb, gloss, 1 on cloth, -1 on haired scalp; `wrinkles`: each unit's furrows."""

    paint: Float[np.ndarray, 'h w 5']
    wrinkles: Float[np.ndarray, 'h w 6']


def bake(surface: Surface, m: Measures, who: Identity) -> Texture:
    """Paint the texture of one person."""
    c = Canvas(surface, m, who)
    base = colours.skin(who).astype(np.float32)
    n = [c.noise(size, 10 * who.seed + i) for i, size in enumerate((0.12, 0.35, 1.1, 3.0))]
    complexion.base(c, n, base)
    complexion.flush(c, n)
    complexion.hollows(c)
    complexion.eyes(c)
    complexion.age(c, n)
    complexion.marks(c, n)
    _lips(c, n)
    _beard(c, n, base)
    _brows(c, n)
    hair = _scalp(c, n)
    cloth = _cloth(c, n) - hair
    paint = np.concatenate([c.rgb, c.gloss[..., None], cloth[..., None]], -1)
    return Texture(np.clip(paint, 0, 1.6).astype(np.float32), _wrinkles(c))


def _lips(c: Canvas, n):
    """Paint the vermilion in several tones, with vertical lines, a pale border, a dark parting."""
    m, who, makeup = c.m, c.who, c.who.looks.makeup
    high, low = lip_heights(m, c.x)
    upper = c.lip > 0
    depth = np.where(upper, c.lip / np.maximum(high, 0.05), -c.lip / np.maximum(low, 0.05))
    inside = (c.ax < 1.02 * m.mouth_half) * step(6, 7, c.z)
    inside = inside * step(-0.01, 0.03, 1 - c.ax / m.mouth_half)
    mask = step(1.12, 0.72, depth + 0.05 * n[1]) * inside
    natural = np.array([0.92, 0.64, 0.62]) - who.blush * np.array([0.05, 0.16, 0.13])
    natural = natural + who.skin * np.array([0.02, 0.04, 0.03])
    tone = natural + (np.array(makeup.lip_tone) - natural) * 0.9 * makeup.lips
    lines = noise.lattice(c.space * np.array([1, 0.12, 0.12]), 0.11, 3).reshape(c.x.shape)
    c.tint(mask * (0.90 + 0.14 * lines), tone)
    c.tint(mask * upper * 0.55, (0.84, 0.74, 0.74))  # it faces down
    wet = step(0.55, 0.1, depth) * mask
    c.tint(wet * 0.6, (0.90, 0.70, 0.70))
    c.tint(mask * np.clip(n[2], 0, 1) * 0.4, (1.0, 0.86, 0.86))
    c.tint(mask * step(0.5, 1.0, c.ax / m.mouth_half) * 0.5, (0.80, 0.66, 0.65))
    border = np.exp(-(((depth - 1.12) / 0.12) ** 2)) * inside
    c.tint(border * 0.5, (1.06, 1.05, 1.04))
    part = (
        np.exp(-((c.lip / 0.085) ** 2)) * step(-0.15, 0.15, m.mouth_half - c.ax) * step(6, 7, c.z)
    )
    c.tint(part * 0.95, (0.30, 0.17, 0.17))
    c.tint(c.spot(m.mouth_half + 0.05, m.mouth_y, 0.28, 0.22) * 0.6, (0.60, 0.46, 0.44))
    c.gloss += mask * (0.25 + 0.5 * step(0.9, 0.3, depth) + 0.9 * makeup.lips) * (1 + 0.5 * lines)


def _beard(c: Canvas, n, base):
    """Paint the shadow of shaved or short hair on men's cheeks and chins; strands grow on it."""
    who, beard = c.who, c.who.looks.beard
    if who.female:
        return
    region = beard_region(c.x, c.y, c.z, c.lip, c.m, Beard(1.0))
    hair = colours.hair(who, 0.5 * who.hair_grey)
    dots = c.dots(0.13, 0.8, 9)
    mix = 0.55 * hair + 0.45 * base * np.array([0.55, 0.60, 0.70])
    shaved = (0.08 + 0.10 * who.looks.mottle) * (1 - 0.6 * who.hair_tone)
    c.cover(region * shaved * (0.7 + 0.6 * dots), mix)
    region = beard_region(c.x, c.y, c.z, c.lip, c.m, beard)
    c.cover(region * 0.72 * beard.full**0.7 * np.clip(0.7 + 0.25 * n[0] + 0.3 * dots, 0, 1), mix)
    c.gloss *= 1 - 0.5 * region * beard.full


def _brows(c: Canvas, n):
    """Paint a soft shade under the hairs of the brows, thin at the edges."""
    m, who = c.m, c.who
    q = (c.ax - BROW_INNER) / (BROW_OUTER - BROW_INNER)
    off = (c.y - brow_line(m, q)) / brow_width(m, q)
    mask = step(1.5, 0.0, np.abs(off)) * step(-0.10, 0.18, q) * step(1.06, 0.7, q) * c.front
    mask = mask * np.clip(0.8 + 0.35 * n[1] + 0.3 * n[0], 0, 1)
    c.cover(mask * (0.12 + 0.42 * who.looks.brow_density), colours.brow(who))


def _scalp(c: Canvas, n):
    """Paint the scalp under the hair; return where it counts as hair."""
    who = c.who
    cover = step(-0.1, 1.0, scalp(c.x, c.y, c.z, who) + 0.25 * n[1])
    hair = colours.hair(who)
    if who.style == 'bald':
        c.cover(cover * 0.10, hair)
        return np.zeros_like(cover)
    c.tint(step(-1.2, 0.3, scalp(c.x, c.y, c.z, who)) * 0.25, (0.72, 0.68, 0.66))
    c.cover(cover * (0.72 if who.style == 'buzz' else 0.93), hair * 0.6)
    c.gloss *= 1 - 0.8 * cover
    return (cover > 0.5).astype(np.float32)


def _cloth(c: Canvas, n):
    """Paint clothes below the collar; return where they are."""
    who = c.who
    r = np.hypot(c.x, c.z)
    collar = {0: -15.9 + 0 * r, 1: -15.4 - 3.2 * np.clip(1 - c.ax / 4.2, 0, 1), 2: -13.9 + 0 * r}
    below = collar[who.collar] - 0.6 * step(2, 6, c.z) - c.y
    cloth = step(-0.14, 0.14, below)
    rgb = np.array(colorsys.hsv_to_rgb(*who.cloth)) ** 2.2
    weave = 1 + 0.06 * n[0] + 0.05 * n[1] + 0.06 * n[3]
    seam = np.exp(-(((below - 0.7) / 0.08) ** 2))
    c.cover(cloth, rgb)
    c.rgb *= (1 + cloth * (weave * (1 - 0.35 * seam) - 1))[..., None]
    c.gloss *= 1 - cloth
    return cloth


def _wrinkles(c: Canvas) -> np.ndarray:
    """Paint furrows that appear with an action unit, each 0..1."""
    m = c.m
    out = np.zeros((*c.x.shape, len(WRINKLES)), np.float32)
    deep = 0.55 + 0.6 * c.who.age
    rows = sum(
        np.exp(-(((c.y - y - 0.10 * np.cos(c.x * 0.8)) / 0.10) ** 2)) for y in (3.8, 4.55, 5.3, 6.0)
    )
    out[..., 0] = rows * c.spot(0, 4.7, 2.4, 1.4)
    out[..., 1] = rows * c.spot(3.6, 4.7, 2.0, 1.4)
    frown = np.exp(-(((c.ax - 0.42 - 0.05 * (c.y - 2)) / 0.11) ** 2))
    out[..., 2] = frown * np.exp(-(((c.y - m.brow_y - 0.1) / 0.75) ** 2)) * c.front
    for slope in (-0.5, -0.1, 0.3, 0.65):
        along = c.ax - (m.eye[0] + m.eye_half + 0.25)
        line = np.exp(-(((c.y - 0.05 - slope * along) / 0.075) ** 2))
        out[..., 3] += line * step(0, 0.25, along) * step(1.7, 0.6, along) * c.front
    out[..., 3] += (
        0.7 * np.exp(-(((c.y + 1.35 + 0.1 * (c.ax - 3)) / 0.10) ** 2)) * c.spot(3.0, -1.3, 1.5, 0.5)
    )
    across = np.exp(-(((np.abs(c.y - 0.6) - 0.28) / 0.09) ** 2))
    out[..., 4] = across * c.spot(0, 0.6, 0.7, 0.8) + 0.7 * np.exp(
        -(((c.ax - 0.75 - 0.4 * (0.2 - c.y)) / 0.10) ** 2)
    ) * c.spot(1.0, -0.8, 0.6, 0.8)
    out[..., 5] = complexion.fold(c)
    return np.clip(out * deep, 0, 1)
