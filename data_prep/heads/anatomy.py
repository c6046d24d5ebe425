"""The neutral head of one person, sculpted from primitives by the measures of anthropometry.

The mean adult: head 15 cm wide and 19.5 cm long, crown 11.3 cm above and chin 11.2 cm below the
line of the pupils (y = 0), pupils at x = +-3.15, nose base at -4.6, mouth line at -6.9 (after
Farkas, *Anthropometry of the Head and Face*, 1994, rounded). Every factor moves bone or flesh.
"""

import dataclasses

from reenact_jax.data_prep.heads.identity import Identity
from reenact_jax.data_prep.heads.implicit import Primitive, cone, ellipsoid

EYEBALL = 1.48  # radius, larger than life so that lids close on one sphere
LID = 1.555


@dataclasses.dataclass(frozen=True)
class Measures:
    """Places on one face, centimetres, before the asymmetries of surface.py."""

    eye: tuple[float, float, float]  # centre of the eyeball at positive x
    eye_half: float  # half the width of the lid opening
    eye_up: float  # upper lid above the line of the corners, at rest
    eye_down: float
    eye_tilt: float  # slope of the line of the corners
    mouth_y: float
    mouth_half: float
    mouth_curve: float
    upper_lip: float  # height of the vermilion at its peak
    lower_lip: float
    cupid: float
    nose_tip: tuple[float, float]  # y, z
    nose_base: tuple[float, float]  # y, z of the subnasale
    ala: tuple[float, float, float]
    chin: tuple[float, float]  # y, z
    gonion: tuple[float, float, float]
    brow_y: float
    brow_arch: float
    brow_slope: float  # rise of the outer end over the inner
    brow_half: float


def measures(who: Identity) -> Measures:
    """Compute the places on the face of `who`."""
    length = 1 + 0.050 * who.face_length
    nose = 4.55 * length * (1 + 0.07 * who.nose_length)
    mouth = -nose - (2.25 + 0.16 * who.mouth_height) * length
    chin = mouth - (4.15 + 0.30 * who.chin_height) * length
    half = 1.48 * (1 + 0.060 * who.eye_size)
    opening = 1.05 + 0.14 * who.eye_opening + 0.07 * who.eye_size - 0.10 * who.age
    base_z = 9.75 + 0.12 * who.muzzle
    width = 1 + 0.11 * who.nose_width
    return Measures(
        eye=(3.15 + 0.18 * who.eye_distance, 0.0, 6.72 - 0.13 * who.eye_depth),
        eye_half=half,
        eye_up=0.49 * opening,
        eye_down=0.42 * (0.6 + 0.4 * opening),
        eye_tilt=0.06 + 0.055 * who.eye_tilt - 0.03 * who.age,
        mouth_y=mouth,
        mouth_half=2.50 * (1 + 0.09 * who.mouth_width),
        mouth_curve=0.06 * who.mouth_curve - 0.07 * who.age,
        upper_lip=max(0.30, 0.72 + 0.20 * who.upper_lip - 0.20 * who.age),
        lower_lip=max(0.40, 0.92 + 0.20 * who.lower_lip - 0.18 * who.age),
        cupid=0.14 + 0.06 * who.cupid_bow,
        nose_tip=(-nose + 0.92 + 0.17 * who.nose_upturn, 11.25 + 0.32 * who.nose_tip),
        nose_base=(-nose, base_z),
        ala=(1.22 * width, -nose + 0.42, 9.55),
        chin=(chin, 8.7 + 0.30 * who.chin_forward),
        gonion=(
            4.45 + 0.50 * who.jaw_width,
            mouth - 0.05 + 0.45 * who.jaw_angle - 0.3 * who.jaw_length,
            0.3,
        ),
        brow_y=2.05 + 0.20 * who.brow_height - 0.15 * who.age,
        brow_arch=0.42 + 0.17 * who.brow_arch,
        brow_slope=0.07 * who.brow_slope,
        brow_half=0.33 * max(0.4, 1 + 0.20 * who.brow_thickness),
    )


def sculpt(who: Identity) -> tuple[list[Primitive], list[Primitive]]:
    """Make the whole head, and the bare skull with neck and shoulders that hair grows over."""
    m = measures(who)
    skull = _skull(who)
    body = _neck(who, m)
    whole = [*skull, *_face(who, m), *body, *_orbits(who, m), *_nose(who, m), *_mouth(who, m)]
    # Long hair falls past the shoulders, not along them: only the neck holds it off.
    ear = ellipsoid((6.9, -1.0, -1.2), (1.0, 2.9, 1.9), 0.8)
    return whole, [*skull, *_face(who, m)[:3], body[0], ear]


def _skull(who: Identity) -> list[Primitive]:
    w, l, h = 0.33 * who.skull_width, 0.38 * who.skull_length, 0.26 * who.skull_height
    slope = 0.22 * who.forehead_slope
    return [
        ellipsoid((0, 3.1, -1.0 - 0.5 * l), (7.35 + w, 8.1 + h, 9.3 + l)),
        ellipsoid((0, 1.2, -5.0 - l), (6.2 + w, 6.2, 5.6), 2.0),
        ellipsoid((0, 4.3, 3.3 - slope), (5.6 + 0.5 * w, 5.9 + 0.5 * h, 5.95), 2.4),
        ellipsoid((2.4, 5.0 - slope, 5.7 - 0.9 * slope), (2.2, 1.9, 2.7), 2.4),
        ellipsoid((8.45 + w, 1.9, 4.6), (1.5 + 0.14 * who.temple, 2.4, 2.6), 2.6, carve=True),
    ]


def _face(who: Identity, m: Measures) -> list[Primitive]:
    gx, gy, gz = m.gonion
    chin_y, chin_z = m.chin
    wide = 0.42 * who.cheekbone_width
    zy = -2.2 + 0.28 * who.cheekbone_height
    full = 0.34 * who.cheek_fullness - 0.22 * who.age
    chin_w = 1.2 + 0.30 * who.chin_width
    muscle = 0.12 * (not who.female)
    return [
        ellipsoid((0, -2.4, 2.0), (5.85 + 0.5 * wide, 7.4, 6.75), 1.5),
        ellipsoid((0, -5.6, 2.6), (4.5 + 0.3 * who.jaw_width, 5.4, 5.6), 2.0),
        cone((3.4, zy - 0.2, 6.5), (5.7 + wide, zy + 0.9, 1.0), 1.2, 0.7, 2.2),  # zygoma
        ellipsoid((3.4, -4.5, 5.5), (2.2 + full, 2.7, 2.4 + full), 2.2),  # buccal
        cone((gx + 0.75, -1.0, -0.2), (gx, gy, gz), 0.8 + muscle, 0.95 + muscle, 2.0),  # ramus
        cone((gx, gy, gz), (chin_w, chin_y + 1.1, chin_z - 1.6), 0.95 + muscle, 1.0, 1.8),
        ellipsoid((0, chin_y + 1.15, chin_z - 0.75), (chin_w + 0.45, 1.15, 1.2), 1.1),
        ellipsoid((0, chin_y + 2.4, 5.2), (3.2 + 0.2 * who.jaw_width, 2.4, 3.2), 1.6),
        ellipsoid((3.0, chin_y + 1.9, 5.4), (0.8, 0.6 + 0.6 * who.age, 1.3), 1.6),  # jowl
        ellipsoid((0, m.mouth_y + 0.7, 6.6 + 0.12 * who.muzzle), (3.4, 2.9, 2.75), 1.6),
        cone((0.9, 2.0, 8.2), (4.6, 2.0, 6.35), 0.62 + 0.10 * who.brow_ridge, 0.62, 1.3),
    ]


def _orbits(who: Identity, m: Measures) -> list[Primitive]:
    x, y, z = m.eye
    deep = 0.10 * who.eye_depth + 0.06 * who.brow_ridge - 0.05 * who.lid_fold
    fold = 0.11 * who.lid_fold
    return [
        ellipsoid((x, y + 0.25, 9.05), (1.75, 1.15, 1.35 + deep), 1.1, carve=True),
        ellipsoid((1.75, 0.3, 8.95), (0.55, 0.8, 0.75 + deep), 0.7, carve=True),
        ellipsoid((x, y, z), (LID, LID, LID), 0.28),
        ellipsoid((x + 0.1, 1.15 - 0.25 * fold, 7.05 + fold), (1.5, 0.5, 0.75), 0.8),
        ellipsoid((x - 0.1, -1.55, 7.35), (1.3, 0.3 + 0.1 * who.age, 0.65 + 0.14 * who.age), 0.45),
    ]


def _nose(who: Identity, m: Measures) -> list[Primitive]:
    tip_y, tip_z = m.nose_tip
    base_y, base_z = m.nose_base
    ax, ay, az = m.ala
    bridge, hump = 0.30 * who.nose_bridge, 0.26 * who.nose_hump
    w = 1 + 0.11 * who.nose_width
    round_ = 1 + 0.10 * who.nose_width
    mid = 0.45 * tip_y
    side = (0.95 * w, mid - 0.6, 8.55 + 0.5 * bridge)
    tip = 0.66 * w**0.5 * round_
    return [
        ellipsoid((0, 0.55 * base_y, 8.3), (0.85 * w, 2.5, 1.5 + bridge), 0.8),  # body
        ellipsoid((0, tip_y, 9.3), (1.0 * w, 0.85, 1.3), 0.6),
        cone((0, 1.7, 8.45), (0, 0.1, 8.2 + bridge), 0.6, 0.5, 0.9),
        cone((0, 0.1, 8.35 + bridge), (0, mid, 9.3 + bridge + hump), 0.50, 0.52 * w, 0.5),
        cone(
            (0, mid, 9.3 + bridge + hump), (0, tip_y + 0.1, tip_z - 0.55), 0.52 * w, tip - 0.08, 0.5
        ),
        cone((0.55, 0.3, 7.6 + 0.6 * bridge), side, 0.55, 0.62, 0.9),
        cone(side, (ax - 0.25, ay, az - 0.55), 0.62, 0.5, 0.8),
        ellipsoid((0, tip_y, tip_z - tip), (tip * w, tip * 0.93, tip), 0.55),
        ellipsoid((ax - 0.36, ay + 0.05, az - 0.02), (0.52 * w, 0.55, 0.82), 0.32),
        cone((0, tip_y - 0.42, tip_z - 0.65), (0, base_y + 0.15, base_z - 0.35), 0.3, 0.36, 0.35),
        ellipsoid(
            (0.56 * w, base_y + 0.22, base_z + 0.25), (0.27 * w, 0.36, 0.46), 0.16, carve=True
        ),
        ellipsoid((ax + 0.30, ay + 0.1, az + 0.35), (0.16, 0.6, 0.5), 0.35, carve=True),
    ]


def _mouth(who: Identity, m: Measures) -> list[Primitive]:
    y, half, up, low = m.mouth_y, m.mouth_half, m.upper_lip, m.lower_lip
    base_y = m.nose_base[0]
    z = 9.35 + 0.16 * who.muzzle
    fat_up, fat_low = 0.30 + 0.16 * up, 0.30 + 0.20 * low
    corner = (half - 0.2, y, z - 1.12)
    fold = 0.05 + 0.13 * who.age + 0.03 * max(0.0, who.cheek_fullness)
    return [
        cone((0.35, y + 0.42 * up, z + 0.25 - 0.5 * fat_up), corner, fat_up, 0.17, 0.28),
        ellipsoid((0, y + 0.30 * up, z - 0.02), (0.42, 0.30, 0.42), 0.25),  # tubercle
        cone((0.45, y - 0.48 * low, z + 0.10 - 0.5 * fat_low), corner, fat_low, 0.17, 0.26),
        cone(
            (0, base_y - 0.45, base_z(m) + 0.28),
            (0, y + up + 0.15, z + 0.72),
            0.22,
            0.26,
            0.35,
            True,
        ),
        ellipsoid((half + 0.25, y - 0.1, z - 0.55), (0.2, 0.3, 0.25), 0.6, carve=True),
        ellipsoid((0, y - low - 0.75, z + 0.9), (1.5, 0.42, 0.75), 0.7, carve=True),
        cone(
            (m.ala[0] + 0.75, m.ala[1], 9.55), (half + 0.95, y - 0.2, 8.75), fold, fold, 0.55, True
        ),
    ]


def base_z(m: Measures) -> float:
    """Compute the depth of the subnasale."""
    return m.nose_base[1]


def _neck(who: Identity, m: Measures) -> list[Primitive]:
    r = 5.1 + 0.36 * who.neck_width
    male = 0.0 if who.female else 1.0
    drop = 1.0 * who.female
    shoulder = 15.5 - 1.8 * who.female
    return [
        cone((0, -6.5, -1.6), (0, -20, -2.2), r - 0.1, r + 0.2, 1.6),
        cone((4.7, -4.6, -2.0), (1.1, -18.6, 3.3), 0.9, 0.55 + 0.1 * male, 1.0),
        ellipsoid((0, -13.9, r - 2.0), (0.8, 1.2, 0.55 + 0.25 * male), 1.2),
        cone((2.3, -13.5, -4.8), (11.5, -20.3 - drop, -4.0), 2.2 + 0.3 * male, 1.9, 3.0),
        cone((3, -23, -2), (shoulder, -24.2 - drop, -2.6), 4.2, 3.9, 2.5),
        ellipsoid((0, -30.5, -0.5), (15.0 - drop, 11.0, 7.6 + male), 2.5),
        cone((1.2, -19.9, 4.3), (11.0, -20.6 - drop, 1.0), 0.42, 0.40, 1.2),
    ]
