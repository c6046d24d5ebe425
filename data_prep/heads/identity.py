"""Identity of a head: named factors with a sampler so wide that people do not look related.

Shape factors are standard scores (0 the average adult, 1 one standard deviation); the others are
fractions 0..1 unless said. A factor moves the anatomy in anatomy.py or the paint in texture.py.
"""

import dataclasses

import numpy as np

from reenact_jax.data_prep.heads.looks import Looks, looks
from reenact_jax.data_prep.heads.variety import Variety

# People are drawn wider than the population is: a network has to know the faces at its rims too.
WIDER, RIM = 1.5, 3.0
# name -> (shift of women against the mean of both sexes, spread)
SHAPE = {
    'skull_width': (-0.30, 1.0),
    'skull_length': (-0.25, 1.0),
    'skull_height': (-0.05, 1.0),
    'forehead_slope': (-0.55, 0.9),
    'brow_ridge': (-0.95, 0.8),
    'temple': (0.0, 1.0),
    'cheekbone_width': (-0.10, 1.0),
    'cheekbone_height': (0.20, 1.0),
    'cheek_fullness': (0.30, 1.1),
    'jaw_width': (-0.70, 1.0),
    'jaw_angle': (-0.50, 1.0),
    'jaw_length': (-0.45, 1.0),
    'chin_width': (-0.60, 1.0),
    'chin_forward': (-0.10, 1.0),
    'chin_height': (-0.30, 1.0),
    'face_length': (-0.30, 1.0),
    'eye_distance': (-0.10, 1.0),
    'eye_size': (0.35, 1.0),
    'eye_opening': (0.25, 1.0),
    'eye_tilt': (0.30, 1.0),
    'eye_depth': (-0.30, 1.0),
    'lid_fold': (0.10, 1.1),
    'nose_length': (-0.30, 1.0),
    'nose_width': (-0.40, 1.1),
    'nose_bridge': (-0.30, 1.1),
    'nose_hump': (-0.30, 0.9),
    'nose_tip': (-0.10, 1.0),
    'nose_upturn': (0.35, 1.0),
    'mouth_width': (-0.30, 1.0),
    'mouth_height': (0.0, 0.8),
    'upper_lip': (0.30, 1.1),
    'lower_lip': (0.30, 1.1),
    'cupid_bow': (0.20, 1.0),
    'mouth_curve': (0.05, 1.0),
    'muzzle': (-0.05, 1.0),
    'brow_height': (0.30, 1.0),
    'brow_arch': (0.45, 1.0),
    'brow_slope': (0.10, 1.0),
    'brow_thickness': (-0.55, 1.0),
    'ear_size': (-0.30, 1.0),
    'ear_angle': (0.0, 1.0),
    'neck_width': (-0.95, 0.7),
    'asymmetry_jaw': (0.0, 0.7),
    'asymmetry_eyes': (0.0, 0.7),
}
STYLES = ('bald', 'buzz', 'short', 'side', 'swept', 'curly', 'afro', 'bob', 'long', 'bun')
_STYLES_OF = {
    True: ('bob', 'long', 'bun', 'bob', 'long', 'curly', 'swept', 'afro', 'long', 'side'),
    False: ('bald', 'buzz', 'short', 'side', 'swept', 'short', 'side', 'buzz', 'curly', 'afro'),
}


@dataclasses.dataclass(frozen=True)
class Identity:
    """A person: 44 shape factors, how far and which way each unit moves, looks of skin and hair."""

    seed: int
    shape: dict  # name of SHAPE -> standard score
    strengths: tuple  # how far each action unit moves this face, about 1
    sides: tuple  # how much further it moves the right side, about 0
    slants: tuple  # how much of its motion is sideways rather than up, about 0
    female: bool
    age: float  # 0: twenty, 1: eighty
    skin: float  # 0 the lightest, 1 the darkest
    undertone: float  # -1 pink .. 1 olive
    blush: float
    freckles: float
    style: str
    hair_length: float
    hair_wave: float
    hairline: float  # standard score, higher recedes
    fringe: float  # share of the forehead that hair falls over
    hair_tone: float  # 0 black .. 1 light blond
    hair_red: float
    hair_grey: float
    iris: float  # 0 dark brown .. 1 pale blue
    cloth: tuple  # hue, saturation, value
    collar: int  # crew, V, high
    looks: Looks

    def __getattr__(self, name):
        """Return a shape factor by its name."""
        try:
            return self.__dict__['shape'][name]
        except KeyError:
            raise AttributeError(name) from None


def _shape(rng, female: bool) -> dict:
    sign = 1.0 if female else -1.0
    return {
        name: float(np.clip(sign * shift + WIDER * spread * rng.normal(), -RIM, RIM))
        for name, (shift, spread) in SHAPE.items()
    }


def _style(rng, female: bool, skin: float) -> str:
    style = str(rng.choice(_STYLES_OF[female]))
    if style == 'afro' and skin < 0.55:
        style = 'curly'
    if skin > 0.7 and style in ('side', 'swept'):
        style = str(rng.choice(['afro', 'buzz', 'bun' if female else 'short']))
    return style


def sample(seed: int, variety: Variety = Variety()) -> Identity:
    """Draw the person of a seed; the same seed and shares are always the same person."""
    rng = np.random.default_rng([seed, 1])
    female = bool(rng.random() < 0.5)
    shape = _shape(rng, female)
    age = float(rng.beta(1.15, 1.9))
    skin = float(rng.random())
    # Population covariance, loosely: broad low noses and full lips go with dark skin on average.
    shape['nose_width'] += 0.8 * (skin - 0.4)
    shape['nose_bridge'] -= 0.9 * (skin - 0.4)
    shape['upper_lip'] += 1.3 * (skin - 0.4)
    shape['lower_lip'] += 1.1 * (skin - 0.4)
    grey = float(np.clip((age - 0.45) * 2.4 * rng.uniform(0.3, 1.4), 0, 1))
    tone = float(np.clip(rng.beta(1.0, 1.8) * (1.15 - 1.25 * skin), 0, 1))
    style = _style(rng, female, skin)
    return Identity(
        seed=seed,
        shape=shape,
        strengths=tuple(float(v) for v in np.clip(np.exp(0.3 * rng.normal(size=17)), 0.5, 1.35)),
        sides=tuple(float(v) for v in np.clip(0.13 * rng.normal(size=17), -0.35, 0.35)),
        slants=tuple(float(v) for v in np.clip(0.3 * rng.normal(size=17), -0.7, 0.7)),
        female=female,
        age=age,
        skin=skin,
        undertone=float(rng.uniform(-1, 1)),
        blush=float(rng.random()),
        freckles=float(max(0, rng.random() * 1.7 - 1) * (1 - skin)),
        style=style,
        hair_length=float(rng.random()),
        hair_wave=float(rng.random()),
        hairline=float(rng.normal() * 1.1 + (0.0 if female else 1.3 * age)),
        fringe=float(max(0.0, rng.random() * 1.8 - 1.0)),
        hair_tone=tone,
        hair_red=float(max(0, rng.random() * 1.4 - 1.05) * (skin < 0.4)),
        hair_grey=grey,
        iris=float(np.clip(rng.random() * (1.25 - 1.2 * skin), 0, 1)),
        cloth=(float(rng.random()), float(rng.uniform(0.02, 0.6)), float(rng.uniform(0.08, 0.8))),
        collar=int(rng.integers(3)),
        looks=looks(seed, female, age, skin, variety),
    )
