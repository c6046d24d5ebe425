"""Lights, camera response and backgrounds of a track, drawn from a seed."""

import colorsys
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.data_prep.heads import noise
from reenact_jax.data_prep.heads.camera import Camera, camera
from reenact_jax.data_prep.heads.surface import step
from reenact_jax.data_prep.heads.variety import Variety, drawn


class Shade(NamedTuple):
    """Something between the first lamp and the head: where its shadow falls, in the lamp's view."""

    kind: int  # 0 nothing, 1 an edge, 2 bars, 3 leaves
    angle: float  # radians
    place: float  # of the edge, or the phase, centimetres
    pitch: float  # of bars and leaves, centimetres
    soft: float  # half the width of the penumbra, centimetres
    dark: float  # share of light taken away


class Scene(NamedTuple):
    """What surrounds the head. Directions in the camera's axes: x right, y up, z to the camera."""

    lamps: Float[np.ndarray, 'l 6']  # direction, colour; the first casts shadows
    ambient: Float[np.ndarray, '2 3']  # from above, from below
    gain: Float[np.ndarray, ' 3']  # exposure and white balance
    gamma: float
    shade: Shade
    camera: Camera
    seed: int


def scene(seed: int, variety: Variety = Variety()) -> Scene:
    """Draw a seed's scene: daylight by a window, a lamp, an overcast day, a studio, evening."""
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
    fill = fill * rng.uniform(0.6, 1.0)
    share = rng.uniform(0.12, 0.35)
    aside = drawn(seed, variety.side_light, 'side_light')
    if aside is not None:
        azimuth, height = side * aside.uniform(1.2, 1.75), aside.uniform(0.0, 0.7)
        power, fill, share = power * 1.3, fill * aside.uniform(0.35, 0.7), aside.uniform(0, 0.12)
    lamps = _lamps(rng, side, azimuth, height, warm, power, share)
    sky = _colour(-0.3 * warm + rng.uniform(-0.1, 0.06)) * fill * 0.85
    ground = _colour(0.08 + 0.2 * warm + rng.uniform(-0.05, 0.1)) * fill * 0.52
    balance = _colour(rng.normal() * 0.05) * np.array([1, 1 + 0.02 * rng.normal(), 1])
    chance = np.exp(0.13 * np.clip(rng.normal(), -2, 2))
    _tint(lamps, drawn(seed, variety.coloured_light, 'coloured_light'))
    return Scene(
        lamps=lamps,
        ambient=np.stack([sky, ground]).astype(np.float32),
        gain=(balance * chance * _exposure(lamps, sky, ground)).astype(np.float32),
        gamma=float(np.exp(0.06 * rng.normal())),
        shade=_shade(drawn(seed, variety.cast_shadows, 'cast_shadows')),
        camera=camera(seed, variety),
        seed=seed,
    )


def _lamps(rng, side, azimuth, height, warm, power, share) -> Float[np.ndarray, '3 6']:
    """Place a key light, a fill with a `share` of its power opposite, and a rim from behind."""
    key = _lamp(azimuth, height, _colour(warm) * power)
    opposite = _lamp(
        -azimuth * rng.uniform(0.6, 1.2),
        rng.uniform(-0.1, 0.4),
        _colour(-0.5 * warm + rng.uniform(-0.1, 0.1)) * power * share,
    )
    rim = _lamp(
        np.pi - side * rng.uniform(0.5, 1.1),
        rng.uniform(0.2, 0.9),
        _colour(rng.uniform(-0.2, 0.3)) * rng.uniform(0.0, 1.2),
    )
    return np.stack([key, opposite, rim]).astype(np.float32)


def _exposure(lamps, sky, ground) -> float:
    """Gain of a camera that mostly evens out how much light falls on a face."""
    facing = np.clip(0.3 + 0.7 * lamps[:, 2], 0, 1)
    light = (facing * lamps[:, 3:].mean(1)).sum() + 0.5 * (sky + ground).mean()
    return 0.8 * (2.0 / light) ** 0.85


def metered(skin: Float[np.ndarray, ' 3']) -> float:
    """Factor on the gain of a camera that meters the face: lighter skin is exposed for less."""
    return float((0.18 / skin.mean()) ** 0.4)


def _tint(lamps, rng) -> None:
    """Coloured lamps, for example a screen's blue against a lamp's red; in place."""
    if rng is None:
        return
    hue = rng.random()
    for lamp, at in zip(lamps, (hue, hue + rng.uniform(0.25, 0.75), rng.random()), strict=True):
        colour = np.array(colorsys.hsv_to_rgb(at % 1, rng.uniform(0.1, 0.4), 1.0))
        lamp[3:] *= colour / colour.mean()
    lamps[1, 3:] *= rng.uniform(1, 3)


def _shade(rng) -> Shade:
    if rng is None:
        return Shade(0, 0.0, 0.0, 1.0, 1.0, 0.0)
    kind = int(rng.choice([1, 2, 3], p=[0.45, 0.25, 0.3]))
    return Shade(
        kind=kind,
        angle=float(rng.uniform(0, 2 * np.pi) if kind == 1 else rng.normal() * 0.3 + np.pi / 2),
        place=float(rng.uniform(-5, 5)),
        pitch=float(rng.uniform(3, 7)),
        soft=float(rng.uniform(0.3, 2.0)),
        dark=float(rng.uniform(0.4, 0.85)),
    )


def through(shade: Shade, x, y) -> np.ndarray:
    """Compute the share of the first lamp's light at (x, y) of its view, centimetres."""
    along = x * np.cos(shade.angle) + y * np.sin(shade.angle)
    if shade.kind == 1:
        free = step(-shade.soft, shade.soft, along - shade.place)
    elif shade.kind == 2:
        wave = np.sin(2 * np.pi * (along + shade.place) / shade.pitch)
        free = step(-0.5, 0.5, wave + 0.2)
    else:
        p = np.stack([x, y, np.full_like(x, shade.place)], -1).reshape(-1, 3).astype(np.float32)
        blotch = noise.lattice(p, shade.pitch, 1) + 0.5 * noise.lattice(p, 0.4 * shade.pitch, 2)
        free = step(-0.25, 0.35, blotch.reshape(x.shape))
    return 1 - shade.dark * (1 - free)


def _colour(warm: float) -> np.ndarray:
    """Shift white towards orange (positive) or blue."""
    return np.array([1 + 0.45 * warm, 1.0, 1 - 0.9 * warm])


def _lamp(azimuth: float, height: float, colour) -> np.ndarray:
    c = np.cos(height)
    return np.array([np.sin(azimuth) * c, np.sin(height), np.cos(azimuth) * c, *colour])
