"""Where hair grows: the outline of the scalp and of a beard."""

import numpy as np

from reenact_jax.data_prep.heads.anatomy import Measures
from reenact_jax.data_prep.heads.identity import Identity
from reenact_jax.data_prep.heads.looks import Beard
from reenact_jax.data_prep.heads.surface import step

# Height of the hairline by the angle from the middle of the face (0) to the back (180 degrees),
# and how far one standard score of recession raises it there.
_ANGLE = [0, 14, 26, 36, 44, 51, 58, 64, 70, 75, 80, 86, 94, 108, 118, 128, 142, 160, 180]
_HEIGHT = [
    7.25,
    7.25,
    7.15,
    6.75,
    5.8,
    4.5,
    3.0,
    1.5,
    0.2,
    -0.7,
    -1.0,
    1.4,
    2.0,
    1.9,
    0.9,
    -1.8,
    -5.0,
    -6.6,
    -6.9,
]
_RECEDE = [0.35, 0.55, 0.9, 1.0, 0.8, 0.5, 0.25, 0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def scalp(x, y, z, who: Identity):
    """Compute the distance (cm, roughly) into the hair at neutral points; negative outside."""
    angle = np.degrees(np.abs(np.arctan2(x, z)))
    line = np.interp(angle, _ANGLE, _HEIGHT) + who.hairline * np.interp(angle, _ANGLE, _RECEDE)
    if who.female:
        line = line + np.interp(angle, [58, 66, 80, 86], [0, 1.4, 1.8, 0])
    ripple = 0.16 * np.sin(1.9 * x + who.seed) + 0.12 * np.sin(0.31 * angle + 0.7 * who.seed)
    inside = y - line + ripple
    if who.style == 'bald':  # a monk's rim is shaved too; only its shadow stays
        inside = np.minimum(inside, 2.0 - y)
    return np.where(y < -8.5, -5.0, inside)


def beard_region(x, y, z, lip, m: Measures, beard: Beard):
    """Compute the share 0..1 of beard at points of the skin; `lip`: height over the mouth line."""
    ax = np.abs(x)
    chin = m.chin[0]
    cheek = np.interp(ax, [0, 2.2, 3.5, 5.0, 6.2, 7.5], [-9, -7.2, -6.3, -5.0, -2.6, -1.0])
    low = step(1.7, -1.5, y - cheek) * step(chin - 1.1, chin + 0.3, y)
    low = low * (beard.cheeks + (1 - beard.cheeks) * step(3.4, 2.2, ax)) * beard.chin
    moustache = step(0.05, 0.30, lip - m.upper_lip * (ax < m.mouth_half)) * step(
        m.nose_base[0] + 0.1, m.nose_base[0] - 0.3, y
    )
    moustache = moustache * step(m.mouth_half + 0.7, m.mouth_half + 0.1, ax) * beard.moustache
    tall = 0.2 + 1.0 * np.clip(1 - (ax / (m.mouth_half + 0.5)) ** 2, 0, 1)
    moustache = moustache * step(0.25, -0.25, lip - m.upper_lip * (ax < m.mouth_half) - tall)
    beside = step(m.mouth_half + 0.1, m.mouth_half + 0.6, ax) * step(
        m.mouth_half + 1.6, m.mouth_half + 0.8, ax
    )
    beside = beside * step(chin + 0.8, chin + 2.2, y) * step(-3.6, -5.4, y) * step(0.8, -0.4, lip)
    beside = beside * beard.moustache * beard.chin
    below = step(-0.10, -0.35, lip + m.lower_lip * (ax < m.mouth_half + 0.2))
    below = np.maximum(below, step(m.mouth_half + 0.7, m.mouth_half + 2.0, ax))
    region = np.maximum(np.maximum(low * below, moustache * (lip > 0)), beside)
    under = step(1.0, 4.0, z) + step(chin + 3.2, chin + 4.6, y)
    return region * step(-0.6, 0.8, z) * np.clip(under, 0, 1)
