"""Effect of each action unit on the skin: displacement fields, the jaw's rotation, interactions.

A field is a sum of bumps placed relative to the person's own features, so that the same intensity
looks different on different people. The units are not additive, as in life: opposed units weaken
each other, long displacements saturate, and the jaw turns what the lips have already moved.
Centimetres; bumps move outwards from the midline (positive `out`), up and forwards.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.data.tracks import AU_NAMES
from reenact_jax.data_prep.heads.anatomy import Measures
from reenact_jax.data_prep.heads.compiled import compiled
from reenact_jax.data_prep.heads.identity import Identity
from reenact_jax.data_prep.heads.surface import step

AU = {name: i for i, name in enumerate(AU_NAMES)}
JAW_ANGLE = np.deg2rad(17.0)  # at AU26 = 1
HINGE = np.array([0.0, -1.4, -0.4])  # axis of the jaw: (y, z)
LIMIT = 1.15  # cm, where displacements saturate
GAIN = 1.2  # on all fields, what saturation takes away at 1


class Place(NamedTuple):
    """Points of the neutral skin with what the fields ask about them."""

    points: Float[np.ndarray, 'n 3']
    lip: Float[np.ndarray, ' n']  # height above the mouth line
    upper: np.ndarray  # [n] True above the mouth line


class Fields(NamedTuple):
    """Displacement of n points by each unit at 1, and how much they follow the jaw."""

    deltas: Float[np.ndarray, '17 n 3']
    jaw: Float[np.ndarray, ' n']


def fields(place: Place, m: Measures, who: Identity) -> Fields:
    """Compute the displacement fields of a person at any points of the skin."""
    brush = _Brush(place, m)
    _brows(brush, m)
    _middle(brush, m)
    _lips(brush, m)
    guard = brush.front * _lid_guard(place, m)
    deltas = brush.deltas * (GAIN * guard)[None, :, None] * _habits(place, who)
    return Fields(deltas.astype(np.float32), _jaw_weight(place, m).astype(np.float32))


def _habits(place: Place, who: Identity):
    """Compute factors [17, n, 3] on the fields: one side moves further, the direction slants."""
    side = np.tanh(place.points[:, 0] / 1.5)
    slant = np.array(who.slants)[:, None]
    more = 1 + np.array(who.sides)[:, None] * side[None]
    return more[..., None] * np.stack([1 + slant, 1 - 0.6 * slant, 1 + 0 * slant], -1)


class _Brush:
    """A brush that adds bumps to the deltas of one unit after another."""

    def __init__(self, place: Place, m: Measures):
        x, self.y, z = place.points.T
        self.x, self.side = np.abs(x), np.where(x < 0, -1.0, 1.0)
        self.lip, self.upper = place.lip, place.upper
        self.front = step(0.5, 4.0, z) * step(-15.5, -12.0, self.y)
        self.within = np.clip(1 - (self.x / m.mouth_half) ** 2, 0, 1)
        self.deltas = np.zeros((len(AU), len(x), 3))

    def at(self, x, y, sx, sy):
        """Place a bump on both sides, in chart coordinates."""
        return self._two(x, sx) * np.exp(-(((self.y - y) / sy) ** 2))

    def by_lip(self, x, lip, sx, sy):
        """Place a bump by height over the mouth line."""
        return self._two(x, sx) * np.exp(-(((self.lip - lip) / sy) ** 2))

    def _two(self, x, sx):
        if x == 0:
            return np.exp(-((self.x / sx) ** 2))
        return np.exp(-(((self.x - x) / sx) ** 2))

    def add(self, unit, out, up, forward, weight):
        """Move by (out, up, forward) times weight [n]."""
        delta = self.deltas[AU[unit]]
        lateral = self.side * np.tanh(self.x / 0.35)
        delta[:, 0] += out * weight * lateral
        delta[:, 1] += up * weight
        delta[:, 2] += forward * weight


def _lid_guard(place: Place, m: Measures):
    """Return 0 on the lids themselves: eyes.py alone moves their edges."""
    x, y = np.abs(place.points[:, 0]) - m.eye[0], place.points[:, 1] - m.eye[1]
    radius = np.sqrt((x / (m.eye_half + 0.25)) ** 2 + (y / 0.95) ** 2)
    return step(0.85, 1.45, radius)


def _brows(b: _Brush, m: Measures):
    y = m.brow_y + 0.25
    above = step(0.5, 1.2, b.y)
    inner, outer = b.at(1.3, y, 1.35, 1.25) * above, b.at(4.1, y, 1.4, 1.25) * above
    b.add('AU01', -0.05, 0.80, 0.08, inner)
    b.add('AU01', 0, 0.30, 0, b.at(1.0, 4.2, 2.0, 1.3))
    b.add('AU02', 0.05, 0.85, 0.02, outer)
    b.add('AU02', 0, 0.28, 0, b.at(3.8, 4.4, 1.9, 1.4))
    room = np.clip((m.brow_y - 1.0) / 1.05, 0.4, 1.0)  # low brows meet the lids sooner
    b.add('AU04', -0.34, -0.52 * room, 0.12, b.at(1.5, y, 1.3, 0.95) * step(0.35, 1.0, b.y))
    b.add('AU04', -0.14, -0.36 * room, 0.08, b.at(3.7, y, 1.5, 0.9) * step(0.4, 1.1, b.y))
    b.add('AU04', 0, -0.1, 0.20, b.at(0.75, y - 0.2, 0.4, 0.7))
    b.add('AU04', 0, 0, -0.20, b.at(0, y - 0.2, 0.22, 0.8))
    b.add('AU05', 0, 0.16, 0.0, b.at(3.2, 1.5, 1.6, 0.5))
    b.add('AU07', 0, -0.10, 0.0, b.at(3.3, 1.45, 1.5, 0.45))
    b.add('AU07', 0, 0.14, 0.10, b.at(3.2, -1.35, 1.5, 0.5))


def _middle(b: _Brush, m: Measures):
    ala_x, ala_y, _ = m.ala
    b.add('AU06', -0.06, 0.55, 0.42, b.at(4.0, -2.4, 1.5, 1.05))
    b.add('AU06', -0.05, 0.22, 0.16, b.at(3.3, -1.25, 1.7, 0.45))
    b.add('AU06', -0.15, -0.14, 0.05, b.at(5.1, 1.0, 0.9, 1.1))
    b.add('AU06', 0, 0, -0.12, b.at(3.2, -1.75, 1.6, 0.22))
    b.add('AU09', 0, 0.46, 0.10, b.at(ala_x, ala_y, 0.75, 0.9))
    b.add('AU09', 0.04, 0.36, 0.14, b.at(1.7, -2.4, 0.8, 1.1))
    b.add('AU09', -0.16, -0.36, 0.14, b.at(1.1, m.brow_y, 1.1, 0.9) * step(0.3, 0.9, b.y))
    b.add('AU09', 0, 0.20, 0.05, b.upper * b.within**0.5 * np.exp(-((b.lip / 1.6) ** 2)))
    b.add('AU09', 0, 0.15, -0.05, b.at(0, m.nose_tip[0], 0.6, 0.5))
    furrow = _nasolabial(b, m)
    b.add('AU09', 0, 0, -0.12, furrow * np.exp(-(((b.y - ala_y) / 0.9) ** 2)))
    b.add('AU10', 0, 0.02, -0.20, furrow)
    b.add('AU10', 0.05, 0.34, 0.28, b.at(ala_x + 1.15, ala_y - 0.1, 0.75, 1.0))
    b.add('AU12', 0, 0.0, -0.18, furrow)


def _nasolabial(b: _Brush, m: Measures):
    """Weigh a ridge along the fold from the wing of the nose past the mouth's corner."""
    a = np.array([m.ala[0] + 0.62, m.ala[1] + 0.25])
    c = np.array([m.mouth_half + 1.0, m.mouth_y + 0.1])
    along = c - a
    h = ((b.x - a[0]) * along[0] + (b.y - a[1]) * along[1]) / (along @ along)
    h = np.clip(h, 0, 1)
    gap = np.hypot(b.x - a[0] - h * along[0], b.y - a[1] - h * along[1])
    return np.exp(-((gap / 0.32) ** 2)) * step(-0.1, 0.25, h + 0.1)


def _lips(b: _Brush, m: Measures):
    half, q = m.mouth_half, b.within
    high = b.upper * np.exp(-((b.lip / 1.5) ** 2))
    low = ~b.upper * np.exp(-((b.lip / 1.7) ** 2))
    corner = b.by_lip(half, 0, 1.45, 1.25)
    b.add('AU10', 0, 0.52, 0.14, high * q**0.45 * (1 - 0.3 * np.exp(-((b.x / 0.5) ** 2))))
    b.add('AU10', 0, 0.16, 0.06, b.at(m.ala[0], m.ala[1], 0.6, 0.6))
    b.add('AU12', 0.82, 0.78, -0.52, corner)
    b.add('AU12', 0.18, 0.04, -0.18, (high + low) * q)
    b.add('AU12', 0.14, 0.50, 0.46, b.at(3.9, -3.5, 1.4, 1.2))
    b.add('AU12', 0.22, 0.30, 0.20, b.by_lip(half + 1.7, 1.1, 0.8, 1.1))
    b.add('AU12', 0.10, 0.04, 0, b.at(m.ala[0], m.ala[1], 0.5, 0.5))
    b.add('AU14', 0.40, 0.10, -0.42, b.by_lip(half, 0, 0.9, 0.8))
    b.add('AU14', 0, 0, -0.30, b.by_lip(half + 0.6, 0.05, 0.30, 0.6))
    b.add('AU14', 0.12, 0.05, 0.22, b.by_lip(half + 1.4, 0.1, 0.55, 0.9))
    b.add('AU14', 0.1, 0, -0.1, (high + low) * q)
    b.add('AU15', 0.14, -0.78, -0.12, b.by_lip(half, 0, 1.0, 1.0))
    b.add('AU15', 0.1, -0.40, 0.10, b.by_lip(half + 0.2, -1.2, 0.85, 1.0))
    b.add('AU15', 0, 0, -0.15, b.by_lip(half + 0.35, -0.9, 0.28, 0.8))
    b.add('AU15', 0, 0.10, 0.10, low * q)
    b.add('AU17', 0, 0.50, 0.26, low * np.clip(q, 0, 1) ** 0.4)
    b.add('AU17', 0, 0.28, 0.06, high * q * 0.8)
    b.add('AU17', 0, 0.62, 0.30, b.at(0, m.chin[0] + 1.4, 1.5, 1.1))
    b.add('AU17', 0, -0.20, -0.05, b.by_lip(half, 0, 0.7, 0.7))
    b.add('AU17', 0, 0, -0.20, b.by_lip(0, -m.lower_lip - 0.85, 1.6, 0.35))
    b.add('AU20', 0.92, -0.16, -0.48, b.by_lip(half, -0.1, 1.35, 1.2))
    b.add('AU20', 0.26, -0.02, -0.18, (high + low) * q)
    b.add('AU20', 0, 0.10, 0, low * q)
    b.add('AU20', 0.12, 0, 0.14, b.by_lip(half + 1.5, 0, 0.5, 1.2))
    b.add('AU23', -0.42, 0, 0.05, b.by_lip(half, 0, 1.3, 0.9))
    b.add('AU23', -0.16, -0.26, -0.16, b.upper * b.by_lip(0, 0.55, 2.0, 0.5) * q)
    b.add('AU23', -0.16, 0.34, -0.20, ~b.upper * b.by_lip(0, -0.75, 2.0, 0.55) * q)
    b.add('AU23', 0, 0, 0.14, b.by_lip(1.4, 1.25, 1.1, 0.4) + b.by_lip(1.3, -1.6, 1.1, 0.4))
    b.add('AU25', 0, 0.17, 0.04, high * q**0.5)
    b.add('AU25', 0, -0.36, 0.02, low * q**0.5)
    b.add('AU25', 0, -0.10, 0, b.by_lip(half, -0.4, 0.8, 0.7))
    b.add('AU26', 0, -0.06, -0.10, b.by_lip(half, 0, 0.9, 0.8))
    b.add('AU26', -0.30, 0, 0.10, b.by_lip(half, -0.1, 1.3, 1.3))


def _jaw_weight(place: Place, m: Measures):
    """Return 1 on what is fixed to the jaw, 0 on the skull; cheeks beside the mouth are between."""
    x, y, z = np.abs(place.points[:, 0]), place.points[:, 1], place.points[:, 2]
    q = np.sqrt(np.clip(1 - (x / m.mouth_half) ** 2, 0, 1))
    spread = 1.3 + 0.55 * np.clip(x - 1.0, 0, 9)
    plain = step(spread, -spread * 0.9, place.lip)
    soft_up = plain * (1 - q)
    soft_low = plain + (1 - plain) * q
    weight = np.where(place.upper, soft_up * step(3.0, 0.5, place.lip * (q > 0)), soft_low)
    under = step(m.chin[0] - 4.2, m.chin[0] - 0.4, y)
    return weight * step(-0.5, 4.0, z) * under


def effective(aus: Float[np.ndarray, '*t 17'], strengths) -> Float[np.ndarray, '*t 17']:
    """Compute how far each unit's field is driven, by the person's strength and opposing units.

    The pairs follow the facial action coding system's account of antagonists (Ekman and Friesen,
    1978); the numbers are ours.
    """
    a = np.asarray(aus, np.float64)
    get = lambda name: a[..., AU[name]]  # noqa: E731
    scale = np.ones_like(a)
    for unit, rival, share in (
        ('AU01', 'AU04', 0.25), ('AU02', 'AU04', 0.40), ('AU12', 'AU15', 0.45),
        ('AU15', 'AU12', 0.45), ('AU12', 'AU23', 0.30), ('AU25', 'AU17', 0.45),
        ('AU25', 'AU23', 0.35), ('AU17', 'AU26', 0.45), ('AU20', 'AU23', 0.40),
        ('AU10', 'AU23', 0.25), ('AU14', 'AU12', 0.35), ('AU04', 'AU09', 0.35),
        ('AU09', 'AU04', 0.30), ('AU10', 'AU09', 0.45), ('AU10', 'AU12', 0.40),
    ):  # fmt: skip
        scale[..., AU[unit]] *= 1 - share * get(rival)
    scale[..., AU['AU06']] *= 1 + 0.25 * get('AU12')  # a smile carries the cheeks further
    return a * scale * np.asarray(strengths)


@compiled
def deform(points, deltas, jaw, weights, angle, out):
    """Move the neutral points: a saturating sum of fields, then the jaw's rotation.

    Args:
      points: [n, 3] neutral.
      deltas: [17, n, 3]; jaw: [n].
      weights: [17] from `effective`; angle: of the jaw, radians.
      out: [n, 3].
    """
    n = points.shape[0]
    out[:] = 0
    for k in range(deltas.shape[0]):
        w = weights[k]
        if w != 0:
            for i in range(n):
                for d in range(3):
                    out[i, d] += w * deltas[k, i, d]
    for i in range(n):
        x, y, z = out[i, 0], out[i, 1], out[i, 2]
        keep = 1 / np.sqrt(1 + (x * x + y * y + z * z) / (LIMIT * LIMIT))
        x = points[i, 0] + keep * x
        y = points[i, 1] + keep * y
        z = points[i, 2] + keep * z
        turn = jaw[i] * angle
        if turn != 0:
            c, s = np.cos(turn), np.sin(turn)
            y -= HINGE[1]
            z -= HINGE[2]
            y, z = c * y - s * z + HINGE[1], s * y + c * z + HINGE[2] - 0.5 * abs(turn)
        out[i, 0], out[i, 1], out[i, 2] = x, y, z
