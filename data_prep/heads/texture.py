"""Paints the skin, scalp and clothes: one map over the grid of surface.py, four texels a cell.

Everything is placed in the chart (x, y of the neutral head) or in space, so that nothing streaks
where the grid is stretched. Colours are linear albedo.
"""

import colorsys
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.data_prep.heads import colours, noise
from reenact_jax.data_prep.heads.anatomy import Measures
from reenact_jax.data_prep.heads.compiled import compiled
from reenact_jax.data_prep.heads.features import brow_line, brow_width, lip_heights
from reenact_jax.data_prep.heads.hairline import beard_region, scalp
from reenact_jax.data_prep.heads.identity import Identity
from reenact_jax.data_prep.heads.surface import Surface, step

FINE = 4  # texels a grid cell
WRINKLES = ('AU01', 'AU02', 'AU04', 'AU06', 'AU09', 'AU12')  # units with painted furrows


class Texture(NamedTuple):
    """`paint`: rgb, gloss, 1 on cloth, -1 on haired scalp; `wrinkles`: each unit's furrows."""

    paint: Float[np.ndarray, 'h w 5']
    wrinkles: Float[np.ndarray, 'h w 6']


class _Canvas:
    """The chart upsampled to texels, and layers of paint."""

    def __init__(self, surface: Surface, m: Measures, who: Identity):
        fine = lambda a: _upsample(a.astype(np.float32), FINE)  # noqa: E731
        self.x, self.y, self.z = (fine(surface.points[..., k]) for k in range(3))
        self.space = np.stack([self.x, self.y, self.z], -1).reshape(-1, 3)
        self.lip = fine(_continuous(surface))
        self.front = step(1.0, 4.5, self.z) * step(-14.0, -12.0, self.y)
        self.ax = np.abs(self.x)
        self.rgb = np.ones((*self.x.shape, 3), np.float32)
        self.gloss = np.ones(self.x.shape, np.float32)
        self.m, self.who = m, who

    def noise(self, size, seed):
        return noise.lattice(self.space, size, seed).reshape(self.x.shape)

    def spot(self, x, y, sx, sy):
        """A soft spot on both sides of the face."""
        side = np.exp(-(((self.ax - x) / sx) ** 2)) if x else np.exp(-((self.x / sx) ** 2))
        return side * np.exp(-(((self.y - y) / sy) ** 2)) * self.front

    def tint(self, weight, colour):
        """Multiplies by `colour` where `weight` is 1."""
        _multiply(self.rgb, np.ascontiguousarray(weight), np.asarray(colour, np.float32))

    def cover(self, weight, colour):
        """Replaces by `colour` where `weight` is 1."""
        w = np.clip(weight, 0, 1)[..., None].astype(np.float32)
        self.rgb += w * (np.asarray(colour, np.float32) - self.rgb)


@compiled
def _multiply(rgb, weight, colour):
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            w = min(1.0, max(0.0, weight[y, x]))
            for k in range(3):
                rgb[y, x, k] *= 1 + w * (colour[k] - 1)


def _continuous(surface: Surface):
    """Height over the mouth line with the six slit rows told apart by a hair's breadth."""
    lip = surface.lip.copy()
    for k, value in enumerate((0.0, 0.0, -0.004, 0.004, 0.0, 0.0)):
        lip[surface.slit + k] = value
    return lip


def _upsample(a: np.ndarray, n: int) -> np.ndarray:
    """Bilinear, [r, c] -> [(r - 1) n + 1, (c - 1) n + 1]."""
    for axis in (0, 1):
        a = np.moveaxis(a, axis, 0)
        t = np.arange((len(a) - 1) * n + 1) / n
        i = np.minimum(t.astype(int), len(a) - 2)
        f = (t - i).astype(np.float32)[:, None]
        a = np.moveaxis(a[i] * (1 - f) + a[i + 1] * f, 0, axis)
    return a


def bake(surface: Surface, m: Measures, who: Identity) -> Texture:
    """The texture of one person."""
    c = _Canvas(surface, m, who)
    base = colours.skin(who).astype(np.float32)
    n = [c.noise(size, 10 * who.seed + i) for i, size in enumerate((0.12, 0.35, 1.1, 3.0))]
    c.rgb *= base
    contrast = 1 - 0.4 * who.skin
    c.rgb *= (1 + 0.020 * n[0] + contrast * (0.035 * n[1] + 0.035 * n[2] + 0.03 * n[3]))[..., None]
    c.tint(0.5 + 0.5 * n[2], (1.0, 0.965, 0.955))
    _flush(c, n)
    _eyes(c)
    _age(c, n)
    _marks(c)
    _lips(c, n)
    _beard(c, n, base)
    _brows(c, n)
    hair = _scalp(c, n)
    cloth = _cloth(c, n) - hair
    paint = np.concatenate([c.rgb, c.gloss[..., None], cloth[..., None]], -1)
    return Texture(np.clip(paint, 0, 1.6).astype(np.float32), _wrinkles(c))


def _flush(c: _Canvas, n):
    """Blood under the skin: cheeks, nose, chin; yellower forehead; paler neck."""
    who, m = c.who, c.m
    light = 1 - 0.7 * who.skin
    tip, base = m.nose_tip[0], m.nose_base[0]
    cheeks = c.spot(3.8, -3.0, 1.8, 1.5) * (1 + 0.35 * n[2])
    c.tint(cheeks * (0.35 + 0.6 * who.blush) * light, (1.0, 0.74, 0.71))
    c.tint(c.spot(0, tip, 1.1, 0.8) * 0.6 * light, (1.0, 0.76, 0.73))
    c.tint(c.spot(m.ala[0], m.ala[1], 0.5, 0.5) * 0.5, (0.93, 0.72, 0.68))
    c.tint(c.spot(0, m.chin[0] + 1.2, 1.6, 1.0) * 0.4 * light, (1.0, 0.84, 0.81))
    c.tint(c.spot(0, 5.0, 4.5, 1.8) * 0.6, (1.03, 1.01, 0.95))
    c.tint(step(-11.5, -13.5, c.y) * 0.6, (0.96, 0.97, 0.95))
    nostril = 1.2 * c.spot(0.56 * (1 + 0.085 * who.nose_width), base + 0.16, 0.24, 0.15)
    c.tint(nostril * step(9.2, 9.9, c.z), (0.16, 0.09, 0.08))
    c.tint(c.spot(m.ala[0] + 0.05, m.ala[1] - 0.25, 0.22, 0.35) * 0.45, (0.74, 0.60, 0.57))
    shine = c.spot(0, -1.5, 0.7, 2.4) + c.spot(0, 4.6, 3.0, 1.4) + 0.6 * c.spot(3.6, -1.6, 1.4, 0.8)
    c.gloss *= 0.85 + 0.5 * shine + 0.12 * n[1]


def _eyes(c: _Canvas):
    """Thin skin around the eyes, the inner corner, make-up."""
    m, who = c.m, c.who
    x = m.eye[0]
    c.tint(c.spot(x - 0.2, -1.05, 1.4, 0.45) * (0.35 + 0.4 * who.age), (0.86, 0.77, 0.80))
    c.tint(c.spot(x, 0.75, 1.6, 0.5) * 0.55, (0.93, 0.80, 0.78))
    c.tint(c.spot(x - 1.7, 0.0, 0.35, 0.5) * 0.5, (0.90, 0.72, 0.70))
    shadow = c.spot(x + 0.15, 0.72, 1.4, 0.38) * who.eye_makeup
    c.tint(shadow * 0.7, (0.62, 0.48, 0.50))


def _age(c: _Canvas, n):
    """Lines that stay: forehead, crow's feet, the fold beside the mouth, the neck."""
    who, m = c.who, c.m
    a = max(0.0, who.age - 0.2) * 1.2
    wave = 0.18 * n[2]
    for y in (3.7, 4.6, 5.5):
        line = np.exp(-(((c.y - y - wave - 0.12 * np.cos(c.x * 0.9)) / 0.09) ** 2))
        c.tint(line * np.exp(-((c.x / 3.6) ** 4)) * c.front * a * 0.8, (0.72, 0.62, 0.60))
    for slope in (-0.45, 0.0, 0.4):
        along = c.ax - (m.eye[0] + m.eye_half + 0.35)
        line = np.exp(-(((c.y - m.eye[1] - 0.1 - slope * along) / 0.07) ** 2))
        reach = step(0, 0.25, along) * step(1.5, 0.6, along)
        c.tint(line * reach * c.front * a * 0.9, (0.72, 0.62, 0.60))
    c.tint(_fold(c) * (0.12 + 0.6 * a), (0.80, 0.70, 0.68))
    for y in (-13.6, -15.2, -16.4):
        line = np.exp(-(((c.y - y - 0.3 * n[3] - 0.06 * c.ax) / 0.10) ** 2))
        c.tint(line * step(0, 2, c.z) * (0.10 + 0.5 * a), (0.78, 0.70, 0.68))


def _fold(c: _Canvas):
    m = c.m
    a = np.array([m.ala[0] + 0.6, m.ala[1] + 0.2])
    b = np.array([m.mouth_half + 0.75, m.mouth_y + 0.3])
    along = b - a
    h = np.clip(((c.ax - a[0]) * along[0] + (c.y - a[1]) * along[1]) / (along @ along), 0, 1)
    bend = 0.18 * np.sin(np.pi * h)
    gap = np.hypot(c.ax - bend - a[0] - h * along[0], c.y - a[1] - h * along[1])
    return np.exp(-((gap / 0.17) ** 2)) * step(0, 0.3, h + 0.15) * step(1.02, 0.7, h) * c.front


def _marks(c: _Canvas):
    who = c.who
    if who.freckles > 0.05:
        dots = noise.spots(c.space, 0.28, 0.55, 10 * who.seed + 5).reshape(c.x.shape)
        where = c.spot(3.2, -2.2, 2.4, 1.7) + c.spot(0, -2.0, 1.4, 1.6) + 0.3 * c.front
        c.tint(dots * where * min(1.0, 1.3 * who.freckles), (0.72, 0.55, 0.44))
    moles = noise.spots(c.space, 0.6, 0.008, 10 * who.seed + 6).reshape(c.x.shape)
    c.tint(moles * 0.6 * (c.z > 0), (0.5, 0.38, 0.32))
    if who.age > 0.6:
        dots = noise.spots(c.space, 1.1, 0.2, 10 * who.seed + 7).reshape(c.x.shape)
        c.tint(dots * (who.age - 0.5) * step(0, 3, c.z), (0.80, 0.66, 0.56))


def _lips(c: _Canvas, n):
    """The vermilion, with a soft edge, fine vertical lines and a dark parting."""
    m, who = c.m, c.who
    high, low = lip_heights(m, c.x)
    upper = c.lip > 0
    depth = np.where(upper, c.lip / np.maximum(high, 0.05), -c.lip / np.maximum(low, 0.05))
    mask = step(1.10, 0.80, depth) * (c.ax < 1.02 * m.mouth_half) * step(6, 7, c.z)
    mask = mask * step(-0.01, 0.03, 1 - c.ax / m.mouth_half)
    natural = np.array([0.90, 0.62, 0.60]) + who.skin * np.array([0.06, 0.02, 0.02])
    makeup = np.array([0.86, 0.26, 0.32])
    tone = natural + (makeup - natural) * 0.75 * who.lip_colour
    lines = noise.lattice(c.space * np.array([1, 0.12, 0.12]), 0.11, 3).reshape(c.x.shape)
    c.tint(mask * (0.92 + 0.10 * lines), tone)
    c.tint(mask * upper * 0.30, (0.88, 0.80, 0.80))
    part = (
        np.exp(-((c.lip / 0.075) ** 2)) * step(-0.15, 0.15, m.mouth_half - c.ax) * step(6, 7, c.z)
    )
    c.tint(part * 0.9, (0.42, 0.26, 0.26))
    c.tint(c.spot(m.mouth_half + 0.05, m.mouth_y, 0.28, 0.22) * 0.5, (0.68, 0.55, 0.53))
    c.gloss += mask * (0.35 + 0.8 * who.lip_colour)


def _beard(c: _Canvas, n, base):
    """The shadow of shaved or short hair on men's cheeks and chins; strands grow on top of it."""
    who = c.who
    if who.female:
        return
    region = beard_region(c.x, c.y, c.z, c.lip, c.m, who)
    hair = colours.hair(who, 0.5 * who.hair_grey)
    shade = 0.10 + 0.62 * who.beard
    mix = 0.55 * hair + 0.45 * base * np.array([0.55, 0.60, 0.70])
    c.cover(region * shade * np.clip(0.75 + 0.25 * n[0], 0, 1), mix)
    c.gloss *= 1 - 0.5 * region * who.beard


def _brows(c: _Canvas, n):
    """A soft shade under the hairs of the brows."""
    m, who = c.m, c.who
    q = (c.ax - 1.15) / 3.9
    off = (c.y - brow_line(m, q)) / brow_width(m, q)
    mask = step(1.25, 0.2, np.abs(off)) * step(-0.06, 0.10, q) * step(1.03, 0.75, q) * c.front
    hair = colours.hair(who, 0.5 * who.hair_grey) * 0.8
    skin = colours.skin(who)
    tone = np.minimum(hair, 0.45 * skin)
    c.cover(mask * (0.30 + 0.06 * who.brow_thickness), tone)


def _scalp(c: _Canvas, n):
    """The scalp under the hair; returns where it counts as hair."""
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


def _cloth(c: _Canvas, n):
    """Clothes below the collar; returns where they are."""
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


def _wrinkles(c: _Canvas) -> np.ndarray:
    """Furrows that appear with an action unit, each 0..1."""
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
    out[..., 5] = _fold(c)
    return np.clip(out * deep, 0, 1)
