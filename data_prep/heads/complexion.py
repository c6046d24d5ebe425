"""Paint of the skin: blood, pores, uneven colour, age, spots, make-up."""

import numpy as np

from reenact_jax.data_prep.heads import noise
from reenact_jax.data_prep.heads.canvas import Canvas
from reenact_jax.data_prep.heads.surface import step

DEEP = (0.70, 0.56, 0.52)  # the tint of a fold


def base(c: Canvas, n, colour) -> None:
    """Paint the skin's own colour: grain of the pores, patches, veins of red and of yellow."""
    looks = c.who.looks
    patchy = (0.5 + looks.mottle) * (1 - 0.4 * c.who.skin)
    c.rgb *= colour
    grain = (0.02 + 0.05 * looks.pores) * n[0] + 0.045 * patchy * n[1]
    c.rgb *= (1 + grain + patchy * (0.04 * n[2] + 0.04 * n[3]))[..., None]
    c.tint((0.5 + 0.5 * n[2]) * patchy, (1.0, 0.955, 0.94))
    c.tint(np.clip(n[1] * n[3] * 2, 0, 1) * patchy * c.front, (1.0, 0.86, 0.84))
    holes = c.dots(0.16, 0.75, 8)
    where = c.spot(0, -2.4, 1.6, 2.6) + c.spot(2.6, -3.0, 1.8, 1.8) + c.spot(0, 4.2, 3.5, 1.6)
    holes = holes * (0.25 + np.clip(where, 0, 1)) * looks.pores
    c.tint(holes * 0.5, (0.80, 0.72, 0.69))
    c.gloss *= np.clip(1 + 0.35 * n[0] + 0.2 * n[1] - 0.8 * holes, 0.1, 2)


def flush(c: Canvas, n) -> None:
    """Paint blood under the skin: cheeks, nose, chin; yellower forehead; paler neck; rouge."""
    who, m, makeup = c.who, c.m, c.who.looks.makeup
    light = 1 - 0.7 * who.skin
    tip, base_y = m.nose_tip[0], m.nose_base[0]
    cheeks = c.spot(3.8, -3.0, 1.8, 1.5) * np.clip(1 + 0.6 * n[2] + 0.4 * n[1], 0, 2)
    c.tint(cheeks * (0.2 + 0.9 * who.blush**1.5) * light, (1.0, 0.72, 0.69))
    c.tint(c.spot(4.0, -2.4, 1.5, 1.2) * 0.8 * makeup.cheeks, (1.0, 0.62, 0.62))
    c.tint(c.spot(0, tip, 1.1, 0.8) * (0.3 + 0.6 * who.blush) * light, (1.0, 0.74, 0.71))
    c.tint(c.spot(m.ala[0], m.ala[1], 0.5, 0.5) * 0.5, (0.93, 0.72, 0.68))
    c.tint(c.spot(0, m.chin[0] + 1.2, 1.6, 1.0) * 0.4 * light, (1.0, 0.84, 0.81))
    c.tint(c.spot(0, 5.0, 4.5, 1.8) * 0.6, (1.03, 1.01, 0.95))
    c.tint(step(-11.5, -13.5, c.y) * 0.6, (0.96, 0.97, 0.95))
    nostril = 1.2 * c.spot(0.56 * (1 + 0.085 * who.nose_width), base_y + 0.16, 0.24, 0.15)
    c.tint(nostril * step(9.2, 9.9, c.z), (0.16, 0.09, 0.08))
    c.tint(c.spot(m.ala[0] + 0.05, m.ala[1] - 0.25, 0.22, 0.35) * 0.45, (0.74, 0.60, 0.57))
    shine = c.spot(0, -1.5, 0.7, 2.4) + c.spot(0, 4.6, 3.0, 1.4) + 0.6 * c.spot(3.6, -1.6, 1.4, 0.8)
    c.gloss *= 0.75 + (0.3 + 0.6 * who.looks.pores) * shine


def hollows(c: Canvas) -> None:
    """Darken the hollows that ambient light leaves: sockets, beside the nose, under the lip."""
    m, k = c.m, c.who.looks.contrast
    x = m.eye[0]
    c.tint(c.spot(1.75, 0.35, 0.55, 0.8) * 0.55 * k, (0.72, 0.60, 0.57))
    c.tint(c.spot(x + 0.2, m.brow_y - 0.65, 1.7, 0.45) * 0.40 * k, (0.76, 0.64, 0.60))
    c.tint(c.spot(1.35, -2.6, 0.40, 1.6) * 0.25 * k, (0.80, 0.69, 0.66))
    c.tint(c.spot(0, m.mouth_y - m.lower_lip - 0.55, 1.4, 0.35) * 0.60 * k, (0.70, 0.58, 0.55))
    c.tint(c.spot(0, m.nose_base[0] - 0.15, 1.1, 0.35) * 0.35 * k, (0.70, 0.58, 0.55))
    c.tint(c.spot(5.0, -4.6, 0.9, 2.2) * 0.30 * k, (0.84, 0.75, 0.72))
    c.tint(c.spot(5.9, 2.4, 0.8, 1.8) * 0.30 * k, (0.86, 0.79, 0.76))


def eyes(c: Canvas) -> None:
    """Paint the thin skin around the eyes, bags, the furrow below, the inner corner, make-up."""
    m, looks = c.m, c.who.looks
    x, makeup = m.eye[0], looks.makeup
    c.tint(c.spot(x - 0.2, -1.05, 1.4, 0.45) * (0.25 + 0.75 * looks.bags), (0.80, 0.68, 0.71))
    below = -1.35 - 0.16 * ((c.ax - x + 0.2) / 1.4) ** 2 * -1
    c.tint(
        _line(c.y - below + 0.1, 0.09) * c.spot(x - 0.3, -1.4, 1.1, 0.4) * 0.9 * looks.bags, DEEP
    )
    c.tint(c.spot(x, 0.75, 1.6, 0.5) * 0.55, (0.93, 0.80, 0.78))
    c.tint(c.spot(x - 1.7, 0.0, 0.35, 0.5) * 0.5, (0.90, 0.72, 0.70))
    c.tint(c.spot(x + 0.15, 0.72, 1.4, 0.38) * makeup.lids, makeup.lid_tone)
    around = np.hypot((c.ax - x) / (m.eye_half + 0.08), c.y / 0.56)
    liner = step(1.35, 1.0, around) * step(0.6, 0.9, around) * (c.y > -0.3) * c.front
    c.tint(liner * 0.8 * makeup.liner, (0.18, 0.15, 0.15))


def age(c: Canvas, n) -> None:
    """Paint lines that stay: forehead, crow's feet, the folds beside mouth and chin, the neck."""
    who, m = c.who, c.m
    a = max(0.0, who.age - 0.2) * 1.2
    wave = 0.22 * n[2]
    for y in (3.7, 4.6, 5.5):
        off = c.y - y - wave - 0.12 * np.cos(c.x * 0.9)
        _furrow(c, off, 0.09, np.exp(-((c.x / 3.6) ** 4)) * c.front * (0.06 + a * 0.8))
    for slope in (-0.45, 0.0, 0.4):
        along = c.ax - (m.eye[0] + m.eye_half + 0.35)
        reach = step(0, 0.25, along) * step(1.5, 0.6, along)
        _furrow(c, c.y - m.eye[1] - 0.1 - slope * along, 0.07, reach * c.front * a * 0.9)
    c.tint(fold(c) * (0.15 + 0.25 * who.looks.contrast + 0.5 * a), (0.76, 0.65, 0.62))
    beside = c.ax - m.mouth_half - 0.25 + 0.18 * (c.y - m.mouth_y)
    reach = step(-0.2, -0.9, c.y - m.mouth_y) * step(-3.2, -1.8, c.y - m.mouth_y) * c.front
    _furrow(c, beside, 0.13, reach * (0.05 + 0.7 * a))
    for y in (-13.6, -15.2, -16.4):
        line = _line(c.y - y - 0.3 * n[3] - 0.06 * c.ax, 0.10)
        c.tint(line * step(0, 2, c.z) * (0.10 + 0.5 * a), (0.78, 0.70, 0.68))
    if not a:
        return
    fine = noise.lattice(c.space * np.array([0.35, 1, 0.35]), 0.13, 17).reshape(c.x.shape)
    c.tint(np.clip(fine - 0.2, 0, 1) * c.front * a * 0.35, (0.78, 0.70, 0.68))


def _line(off, width):
    return np.exp(-((off / width) ** 2))


def _furrow(c: Canvas, off, width, weight):
    """Paint a dark line with a lighter one below: a groove lit from above."""
    c.tint(_line(off, width) * weight, DEEP)
    c.tint(_line(off + 1.7 * width, width) * weight * 0.5, (1.12, 1.10, 1.09))


def fold(c: Canvas):
    """Weigh the nasolabial fold: from the wing of the nose past the corner of the mouth."""
    m = c.m
    a = np.array([m.ala[0] + 0.6, m.ala[1] + 0.2])
    b = np.array([m.mouth_half + 0.75, m.mouth_y + 0.3])
    along = b - a
    h = np.clip(((c.ax - a[0]) * along[0] + (c.y - a[1]) * along[1]) / (along @ along), 0, 1)
    bend = 0.18 * np.sin(np.pi * h)
    gap = np.hypot(c.ax - bend - a[0] - h * along[0], c.y - a[1] - h * along[1])
    return np.exp(-((gap / 0.17) ** 2)) * step(0, 0.3, h + 0.15) * step(1.02, 0.7, h) * c.front


def marks(c: Canvas, n) -> None:
    """Paint freckles, moles and spots of age, and red spots and patches on those who have them."""
    who, bad = c.who, c.who.looks.blemishes
    if who.freckles > 0.05:
        where = c.spot(3.2, -2.2, 2.4, 1.7) + c.spot(0, -2.0, 1.4, 1.6) + 0.3 * c.front
        c.tint(c.dots(0.28, 0.55, 5) * where * min(1.0, 1.3 * who.freckles), (0.72, 0.55, 0.44))
    c.tint(c.dots(0.6, 0.012, 6) * 0.75, (0.42, 0.30, 0.25))
    if who.age > 0.6:
        c.tint(c.dots(1.1, 0.2, 7) * (who.age - 0.5) * step(0, 3, c.z), (0.80, 0.66, 0.56))
    if bad:
        red = (1.0, 0.66, 0.62) if who.skin < 0.5 else (0.62, 0.50, 0.48)
        c.tint(c.dots(0.75, 0.08, 2) * bad * c.front, red)
        c.tint(c.dots(0.4, 0.10, 3) * bad * 0.7 * c.front, red)
        patch = np.clip(n[3] + 0.6 * n[2] - 0.3, 0, 1) * bad * (1 - 0.6 * who.skin)
        c.tint(patch * c.front, (1.0, 0.80, 0.77))
