"""What people wear, and their skin, brows, teeth and beards: all that moves no landmark."""

from typing import NamedTuple

import numpy as np

from reenact_jax.data_prep.heads.variety import Variety, drawn

GLASSES = ('thin', 'thick', 'half', 'rimless', 'tinted')
HEADWEAR = ('cap', 'knitted', 'scarf')
BEARDS = ('stubble', 'full', 'goatee', 'moustache')


class Makeup(NamedTuple):
    """Strengths 0..1, and the colours that lips and lids are tinted with."""

    lips: float = 0.0
    lids: float = 0.0
    liner: float = 0.0
    cheeks: float = 0.0
    lip_tone: tuple = (0.86, 0.26, 0.32)
    lid_tone: tuple = (0.62, 0.48, 0.50)


class Beard(NamedTuple):
    """`full` 0 none, 0.3 stubble, 1 long; where it grows, 0 or 1."""

    full: float = 0.0
    cheeks: float = 1.0
    moustache: float = 1.0
    chin: float = 1.0


class Teeth(NamedTuple):
    """Whiteness 0..1; gaps and crookedness 0..1; length and width as factors."""

    white: float
    gaps: float
    crooked: float
    length: float
    width: float


class Looks(NamedTuple):
    """A person's looks. Fractions 0..1 unless said."""

    makeup: Makeup
    beard: Beard
    teeth: Teeth
    glasses: str  # one of GLASSES; '': none
    headwear: str  # one of HEADWEAR; '': none
    frame_tone: tuple  # linear colour of the glasses' frame
    cloth_tone: tuple  # of the headwear
    blemishes: float
    bags: float  # shade under the eyes
    brow_density: float
    brow_tone: float  # how much darker brows are than the hair
    mottle: float  # how uneven the skin's colour is
    pores: float
    contrast: float  # of the hollows and folds that paint deepens


def looks(seed: int, female: bool, age: float, skin: float, variety: Variety) -> Looks:
    """Draw the looks of a person from a seed.

    Args:
      seed: of the person; female, age, skin: as in identity.Identity; variety: the shares.
    """
    rng = np.random.default_rng([seed, 11])
    glasses = drawn(seed, variety.glasses, 'glasses')
    headwear = drawn(seed, variety.headwear, 'headwear')
    spots = drawn(seed, variety.blemishes, 'blemishes')
    return Looks(
        makeup=_makeup(drawn(seed, variety.makeup, 'makeup') if female else None, skin),
        beard=_beard(None if female else drawn(seed, variety.beards, 'beards')),
        teeth=Teeth(
            white=float(np.clip(0.95 - 0.5 * age - 0.45 * rng.random(), 0, 1)),
            gaps=float(rng.random() ** 2),
            crooked=float(rng.random() ** 1.5),
            length=float(rng.uniform(0.85, 1.15)),
            width=float(rng.uniform(0.9, 1.1)),
        ),
        glasses='' if glasses is None else str(glasses.choice(GLASSES)),
        headwear='' if headwear is None else str(headwear.choice(HEADWEAR)),
        frame_tone=tuple(_frame_colour(rng)),
        cloth_tone=tuple(_cloth_colour(rng)),
        blemishes=0.0 if spots is None else float(spots.uniform(0.3, 1)),
        bags=float(np.clip(rng.random() ** 1.5 + 0.3 * age, 0, 1)),
        brow_density=float(np.clip(rng.normal(0.6 - 0.1 * female, 0.22), 0.1, 1)),
        brow_tone=float(rng.random()),
        mottle=float(rng.random()),
        pores=float(np.clip(rng.random() - 0.25 * female, 0, 1)),
        contrast=float(rng.uniform(0.5, 1.5)),
    )


def _makeup(rng, skin: float) -> Makeup:
    if rng is None:
        return Makeup()
    reds = np.array([(0.80, 0.16, 0.20), (0.72, 0.22, 0.36), (0.62, 0.34, 0.30), (0.92, 0.45, 0.48),
                     (0.45, 0.12, 0.20), (0.95, 0.42, 0.30)])  # fmt: skip
    lids = np.array([(0.55, 0.42, 0.42), (0.38, 0.34, 0.36), (0.62, 0.46, 0.34), (0.50, 0.55, 0.75),
                     (0.45, 0.60, 0.50), (0.70, 0.45, 0.58)])  # fmt: skip
    return Makeup(
        lips=float(rng.random() ** 0.7),
        lids=float(rng.random()),
        liner=float(rng.random()),
        cheeks=float(rng.random()) * (1 - 0.5 * skin),
        lip_tone=tuple(reds[rng.integers(len(reds))] * np.exp(0.12 * rng.normal(size=3))),
        lid_tone=tuple(lids[rng.integers(len(lids))]),
    )


def _beard(rng) -> Beard:
    if rng is None:
        return Beard()
    kind = str(rng.choice(BEARDS, p=[0.4, 0.3, 0.15, 0.15]))
    if kind == 'stubble':
        return Beard(float(rng.uniform(0.14, 0.4)), 1.0, float(rng.random() < 0.85), 1.0)
    if kind == 'full':
        return Beard(float(rng.uniform(0.45, 1.0)), 1.0, float(rng.random() < 0.85), 1.0)
    if kind == 'goatee':
        return Beard(float(rng.uniform(0.35, 0.8)), 0.0, float(rng.random() < 0.7), 1.0)
    return Beard(float(rng.uniform(0.4, 0.8)), 0.0, 1.0, 0.0)


def _frame_colour(rng) -> np.ndarray:
    dark, metal = np.array([0.012, 0.011, 0.011]), np.array([0.35, 0.34, 0.33])
    brown, gold = np.array([0.07, 0.03, 0.015]), np.array([0.45, 0.30, 0.12])
    table = (dark, dark, brown, metal, gold, _cloth_colour(rng))
    return np.asarray(table[rng.integers(len(table))])


def _cloth_colour(rng) -> np.ndarray:
    value = rng.uniform(0.02, 0.6) ** 1.3
    tint = np.exp(0.6 * rng.normal(size=3) * rng.random())
    return np.clip(value * tint / tint.mean(), 0.004, 0.85)
