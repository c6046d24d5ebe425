"""Linear colours of skin, hair and irises (albedo 0..1)."""

import numpy as np

from reenact_jax.data_prep.heads.identity import Identity

_TONES = np.array([0, 0.2, 0.4, 0.6, 0.8, 1.0])
_SKIN = np.array(
    [
        [0.60, 0.39, 0.295],
        [0.545, 0.335, 0.237],
        [0.435, 0.258, 0.172],
        [0.295, 0.160, 0.101],
        [0.170, 0.087, 0.054],
        [0.083, 0.042, 0.027],
    ]
)
_HAIR_TONES = np.array([0, 0.25, 0.5, 0.75, 1.0])
_HAIR = np.array(
    [
        [0.013, 0.010, 0.009],
        [0.040, 0.022, 0.013],
        [0.105, 0.055, 0.026],
        [0.235, 0.135, 0.058],
        [0.47, 0.335, 0.17],
    ]
)
_IRIS_TONES = np.array([0, 0.3, 0.5, 0.65, 0.8, 1.0])
_IRIS = np.array(
    [
        [0.035, 0.015, 0.008],
        [0.11, 0.050, 0.020],
        [0.17, 0.105, 0.040],
        [0.13, 0.135, 0.065],
        [0.11, 0.160, 0.180],
        [0.13, 0.215, 0.320],
    ]
)


def _ramp(x, tones, table):
    return np.exp([np.interp(x, tones, np.log(table[:, i])) for i in range(3)])


def skin(who: Identity) -> np.ndarray:
    """Compute the mean colour of the skin."""
    u = who.undertone * (1 - 0.5 * who.skin)
    return _ramp(who.skin, _TONES, _SKIN) * np.array([1 - 0.03 * u, 1 + 0.04 * u, 1 - 0.06 * u])


def hair(who: Identity, grey: float | None = None) -> np.ndarray:
    """Compute the mean colour of the hair; `grey` overrides the person's own."""
    colour = _ramp(who.hair_tone, _HAIR_TONES, _HAIR)
    red = np.array([0.26, 0.085, 0.028])
    colour = colour + (red - colour) * min(0.85, 1.4 * who.hair_red)
    grey = who.hair_grey if grey is None else grey
    return colour + (np.array([0.40, 0.39, 0.37]) - colour) * grey


def brow(who: Identity) -> np.ndarray:
    """Compute the mean colour of the brows: the hair's or darker, never paler than the skin."""
    tone = hair(who, 0.5 * who.hair_grey) * (0.85 - 0.5 * who.looks.brow_tone)
    return np.minimum(tone, 0.45 * skin(who))


def iris(who: Identity) -> np.ndarray:
    """Compute the mean colour of the irises."""
    return _ramp(who.iris, _IRIS_TONES, _IRIS)
