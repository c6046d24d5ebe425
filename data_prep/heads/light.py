"""Lights, camera response and backgrounds of a track, drawn from a seed."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Scene(NamedTuple):
    """What surrounds the head. Directions in the camera's axes: x right, y up, z to the camera."""

    lamps: Float[np.ndarray, 'l 6']  # direction, colour; the first casts shadows
    ambient: Float[np.ndarray, '2 3']  # from above, from below
    gain: Float[np.ndarray, ' 3']  # exposure and white balance
    gamma: float
    noise: float  # standard deviation of sensor noise, 8-bit levels
    blur: float
    seed: int


def scene(seed: int) -> Scene:
    """The scene of a seed: daylight by a window, a lamp, an overcast day, a studio, evening."""
    rng = np.random.default_rng([seed, 3])
    kind = rng.choice(5, p=[0.28, 0.2, 0.24, 0.18, 0.1])
    side = rng.choice([-1.0, 1.0])
    azimuth = side * np.deg2rad(
        rng.uniform(*((15, 70), (10, 60), (0, 40), (25, 55), (45, 85))[kind])
    )
    height = np.deg2rad(rng.uniform(*((10, 45), (20, 60), (35, 70), (20, 40), (0, 30))[kind]))
    warm = rng.uniform(
        *((-0.05, 0.12), (0.10, 0.32), (-0.08, 0.02), (-0.02, 0.06), (0.15, 0.4))[kind]
    )
    power = rng.uniform(*((1.6, 2.3), (1.5, 2.1), (0.7, 1.2), (1.5, 2.0), (1.8, 2.4))[kind])
    fill = rng.uniform(*((0.5, 0.9), (0.45, 0.75), (0.9, 1.2), (0.5, 0.8), (0.35, 0.6))[kind])
    key = _lamp(azimuth, height, _colour(warm) * power)
    opposite = _lamp(
        -azimuth * rng.uniform(0.6, 1.2),
        rng.uniform(-0.1, 0.4),
        _colour(-0.5 * warm + rng.uniform(-0.1, 0.1)) * power * rng.uniform(0.12, 0.35),
    )
    rim = _lamp(
        np.pi - side * rng.uniform(0.5, 1.1),
        rng.uniform(0.2, 0.9),
        _colour(rng.uniform(-0.2, 0.3)) * rng.uniform(0.0, 1.2),
    )
    sky = _colour(-0.3 * warm + rng.uniform(-0.1, 0.06)) * fill * 0.85
    ground = _colour(0.08 + 0.2 * warm + rng.uniform(-0.05, 0.1)) * fill * 0.52
    balance = _colour(rng.normal() * 0.05) * np.array([1, 1 + 0.02 * rng.normal(), 1])
    return Scene(
        lamps=np.stack([key, opposite, rim]).astype(np.float32),
        ambient=np.stack([sky, ground]).astype(np.float32),
        gain=(balance * np.exp(0.12 * rng.normal()) * 0.64).astype(np.float32),
        gamma=float(np.exp(0.06 * rng.normal())),
        noise=float(rng.uniform(0, 2.2) ** 1.5),
        blur=float(rng.random()),
        seed=seed,
    )


def _colour(warm: float) -> np.ndarray:
    """White shifted towards orange (positive) or blue."""
    return np.array([1 + 0.45 * warm, 1.0, 1 - 0.9 * warm])


def _lamp(azimuth: float, height: float, colour) -> np.ndarray:
    c = np.cos(height)
    return np.array([np.sin(azimuth) * c, np.sin(height), np.cos(azimuth) * c, *colour])
