"""Clips of natural motion: talk, expressions that come and go, blinks, looks, turns of the head.

A motion belongs to no one: every identity can perform it exactly, so that its frames are labels of
expression and pose shared by all.
"""

import numpy as np

from reenact_jax.data_prep.heads import extremes
from reenact_jax.data_prep.heads.expressions import AU
from reenact_jax.data_prep.heads.pose import State
from reenact_jax.data_prep.heads.surface import step
from reenact_jax.data_prep.heads.variety import Variety

RATE = 25.0  # frames a second
LENGTH = 4.0  # seconds
_FINE = 100  # samples of a clip

# Faces of emotion and of everyday, as intensities (after Ekman and Friesen's tables, eased).
FACES = (
    {'AU06': 0.7, 'AU12': 0.8, 'AU25': 0.4},
    {'AU12': 0.5},
    {'AU06': 0.9, 'AU12': 1.0, 'AU25': 0.8, 'AU26': 0.4},
    {'AU01': 0.8, 'AU02': 0.8, 'AU05': 0.8, 'AU25': 0.6, 'AU26': 0.8},
    {'AU04': 0.9, 'AU05': 0.4, 'AU07': 0.7, 'AU23': 0.7},
    {'AU01': 0.8, 'AU04': 0.5, 'AU15': 0.8, 'AU17': 0.5},
    {'AU09': 0.9, 'AU10': 0.6, 'AU17': 0.3, 'AU04': 0.4},
    {'AU01': 0.8, 'AU02': 0.5, 'AU04': 0.6, 'AU05': 0.7, 'AU20': 0.8, 'AU25': 0.5},
    {'AU14': 0.8, 'AU12': 0.2},
    {'AU02': 0.8, 'AU01': 0.7},
    {'AU04': 0.6, 'AU07': 0.6},
    {'AU17': 0.8, 'AU15': 0.4, 'AU23': 0.3},
    {'AU10': 0.8, 'AU25': 0.5},
    {'AU20': 0.8, 'AU25': 0.4},
    {'AU23': 0.9, 'AU04': 0.2},
)


def motion(seed: int, frames: int, variety: Variety = Variety()) -> State:
    """Draw `frames` frames spread over the clip of a seed. At most 16 are usual."""
    rng = np.random.default_rng([seed, 7])
    t = np.linspace(0, 1, _FINE)
    aus = np.zeros((_FINE, len(AU)))
    _expressions(aus, t, rng)
    if rng.random() < 0.65:
        _speech(aus, t, rng)
    _single_unit(aus, t, rng)
    extremes.lips(aus, seed, variety)
    aus = np.clip(aus, 0, 1)
    pose, shift = _head(t, rng)
    extremes.turns(pose, t, seed, variety)
    gaze = _gaze(t, pose, rng)
    aus[:, AU['AU45']] = np.maximum(aus[:, AU['AU45']], _blinks(t, rng))
    extremes.eyes(aus, t, seed, variety)
    extremes.from_rest(aus, pose, gaze, shift, t, seed, variety)
    at = frame_numbers(frames)
    pick = np.clip(at, 0, _FINE - 1)
    return State(aus[pick], pose[pick], gaze[pick], shift[pick])


def frame_numbers(frames: int) -> np.ndarray:
    """Choose which of the clip's frames are taken: `frames` of LENGTH * RATE, evenly spread."""
    return np.round((np.arange(frames) + 0.5) / frames * LENGTH * RATE - 0.5).astype(np.int64)


def neutral(state: State) -> State:
    """Keep the head pose and put the face at rest, looking straight ahead."""
    return state._replace(aus=np.zeros_like(state.aus), gaze=np.zeros_like(state.gaze))


def _expressions(aus, t, rng):
    """Draw one to three faces that ease in, hold, ease out; brows and mouth not quite in step."""
    for _ in range(rng.integers(1, 4)):
        face = FACES[rng.integers(len(FACES))]
        start, hold = rng.uniform(-0.15, 0.75), rng.uniform(0.08, 0.45)
        attack, decay, strength = (
            rng.uniform(0.06, 0.18),
            rng.uniform(0.08, 0.25),
            rng.uniform(0.35, 1.1),
        )
        for unit, value in face.items():
            lag = rng.uniform(0, 0.05)
            rise = step(start + lag, start + lag + attack, t)
            fall = step(start + lag + attack + hold + decay, start + lag + attack + hold, t)
            level = value * strength * rng.uniform(0.7, 1.2) * rise * fall
            aus[:, AU[unit]] = np.maximum(aus[:, AU[unit]], level)


def _speech(aus, t, rng):
    """Draw syllables, four to six a second: the jaw drops, lips part, spread, round and press."""
    rate = rng.uniform(3.5, 6) * LENGTH
    phase = rng.uniform(0, 6.28)
    loud = _wander(t, rng, 5, 0.0, 1.0)
    talk = step(0.25, 0.6, loud)
    beat = 0.5 + 0.5 * np.sin(6.28 * rate * t + phase + 0.8 * np.sin(6.28 * rate * 0.37 * t))
    drop = beat * talk * (0.15 + 0.45 * _wander(t, rng, 9, 0, 1))
    aus[:, AU['AU26']] = np.maximum(aus[:, AU['AU26']], drop)
    aus[:, AU['AU25']] = np.maximum(aus[:, AU['AU25']], talk * (0.15 + 0.6 * beat))
    for unit, top in (('AU20', 0.45), ('AU23', 0.5), ('AU10', 0.35), ('AU17', 0.4), ('AU14', 0.3)):
        level = talk * top * step(0.6, 0.95, _wander(t, rng, 12, 0, 1))
        aus[:, AU[unit]] = np.maximum(aus[:, AU[unit]], level)


def _single_unit(aus, t, rng):
    """Move one more unit by itself, so that no unit only ever comes with others."""
    unit = rng.integers(len(AU))
    if unit == AU['AU45'] and rng.random() < 0.7:
        return
    centre, width = rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.25)
    level = rng.uniform(0.3, 1) * np.exp(-(((t - centre) / width) ** 2))
    aus[:, unit] = np.maximum(aus[:, unit], level)


def _blinks(t, rng):
    """Blink every few seconds: shut in 80 ms, open in 160."""
    shut = np.zeros_like(t)
    at = rng.uniform(-0.2, 0.5)
    while at < 1.05:
        down, up = 0.08 / LENGTH, 0.18 / LENGTH
        lid = np.where(t < at, step(at - 1.5 * down, at, t), step(at + up * 1.6, at + 0.2 * up, t))
        shut = np.maximum(shut, lid)
        at += rng.uniform(0.35, 0.9)
    return shut


def _head(t, rng):
    """Draw wandering pose [n, 3], radians, and shift [n, 3], cm; at times a wide turn."""
    wide = rng.random()
    yaw_mean, yaw_range = 0.0, np.deg2rad(rng.uniform(3, 12))
    if wide < 0.35:
        yaw_mean = np.deg2rad(rng.uniform(-30, 30))
        yaw_range = np.deg2rad(rng.uniform(5, 14))
    elif wide < 0.6:
        yaw_range = np.deg2rad(rng.uniform(18, 38))
    yaw = yaw_mean + yaw_range * _wander(t, rng, 2.5, -1, 1)
    pitch = np.deg2rad(rng.uniform(-8, 9)) + np.deg2rad(rng.uniform(2, 11)) * _wander(
        t, rng, 3, -1, 1
    )
    roll = np.deg2rad(rng.uniform(-5, 5)) + np.deg2rad(rng.uniform(1, 9)) * _wander(
        t, rng, 2, -1, 1
    )
    yaw = np.clip(yaw, np.deg2rad(-44), np.deg2rad(44))
    shift = np.stack([_wander(t, rng, 2, -1, 1) * rng.uniform(0.2, 1.4) for _ in range(3)], -1)
    return np.stack([pitch, yaw, roll], -1), shift


def _gaze(t, pose, rng):
    """Draw fixations with quick jumps; the eyes undo part of the head's turn (R_y > 0 is left)."""
    gaze = np.zeros((len(t), 2))
    at = 0.0
    while at < 1:
        target = np.array([rng.normal() * 0.16, rng.normal() * 0.09])
        gaze += (target - gaze) * step(at - 0.012, at + 0.012, t)[:, None]
        at += rng.uniform(0.12, 0.5)
    hold = rng.uniform(0, 0.6)
    gaze[:, 0] += hold * pose[:, 1]
    gaze[:, 1] -= hold * pose[:, 0]
    return np.clip(gaze, [-0.55, -0.35], [0.55, 0.38])


def _wander(t, rng, cycles, low, high):
    """Draw a smooth random path between `low` and `high`, `cycles` bends over the clip."""
    total = np.zeros_like(t)
    for k in range(1, 5):
        total += rng.normal() / k**0.7 * np.sin(6.28 * (cycles * k / 2.5 * t + rng.random()))
    return low + (high - low) * (0.5 + 0.5 * np.tanh(0.8 * total))
