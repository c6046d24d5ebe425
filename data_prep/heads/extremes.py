"""Changes to a clip of motion as a whole: rest to extremes, wide turns, shut eyes."""

import numpy as np
from jaxtyping import Float

from reenact_jax.data_prep.heads.expressions import AU
from reenact_jax.data_prep.heads.surface import step
from reenact_jax.data_prep.heads.variety import Variety, drawn

WIDEST = np.deg2rad(60.0)
# Faces that are held at their extreme, and the range of their strength.
_HELD = (
    ({'AU26': 1.0, 'AU25': 0.9}, 0.5, 1.0),
    ({'AU12': 1.0, 'AU06': 0.8, 'AU25': 0.9, 'AU10': 0.3}, 0.7, 1.0),  # a smile, teeth closed
    ({'AU12': 1.0, 'AU06': 0.9, 'AU25': 0.9, 'AU26': 0.5}, 0.6, 1.0),
    ({'AU45': 1.0}, 1.0, 1.0),
    ({'AU01': 1.0, 'AU02': 1.0, 'AU05': 0.9}, 0.7, 1.0),
    ({'AU01': 0.9, 'AU02': 0.9, 'AU05': 0.8, 'AU26': 0.9, 'AU25': 0.8}, 0.7, 1.0),
    ({'AU04': 1.0, 'AU07': 0.8, 'AU23': 0.8}, 0.7, 1.0),
    ({'AU04': 0.8, 'AU09': 0.9, 'AU10': 0.8, 'AU45': 0.9}, 0.7, 1.0),
    ({'AU23': 1.0, 'AU17': 0.6, 'AU25': 0.3}, 0.7, 1.0),
    ({'AU20': 1.0, 'AU25': 0.8, 'AU15': 0.4}, 0.7, 1.0),
)


def lips(aus: Float[np.ndarray, 'n 17'], seed: int, variety: Variety) -> None:
    """Let the mouth of some motions hang open a little throughout; in place."""
    rng = drawn(seed, variety.parted_lips, 'parted_lips')
    if rng is not None:
        parted, drop = rng.uniform(0.2, 0.7), rng.uniform(0, 0.25)
        aus[:, AU['AU25']] = np.maximum(aus[:, AU['AU25']], parted)
        aus[:, AU['AU26']] = np.maximum(aus[:, AU['AU26']], drop)


def eyes(aus: Float[np.ndarray, 'n 17'], t, seed: int, variety: Variety) -> None:
    """Shut the eyes of some motions for a while; in place."""
    rng = drawn(seed, variety.shut_eyes, 'shut_eyes')
    if rng is not None:
        start, hold = rng.uniform(0.05, 0.5), rng.uniform(0.2, 0.45)
        shut = _held(t, start, start + 0.05, start + hold, start + hold + 0.05)
        aus[:, AU['AU45']] = np.maximum(aus[:, AU['AU45']], shut)


def turns(pose: Float[np.ndarray, 'n 3'], t, seed: int, variety: Variety) -> None:
    """Turn the head of some motions far to one side and then to the other; in place."""
    rng = drawn(seed, variety.wide_turns, 'wide_turns')
    if rng is not None:
        side = rng.choice([-1.0, 1.0])
        first, second = rng.uniform(0.6, 1.0, 2) * WIDEST
        there = _held(t, 0.05, 0.35, 0.38, 0.66)
        back = _held(t, 0.40, 0.70, 0.76, 0.99)
        pose[:, 1] = side * (first * there - second * back)
        pose[:, [0, 2]] *= 0.5


def from_rest(aus, pose, gaze, shift, t, seed: int, variety: Variety) -> None:
    """Make some motions begin at rest, go to one or two extremes and come back; in place.

    At rest all units are 0, the mouth shut and the eyes open, the gaze and the head straight.
    """
    rng = drawn(seed, variety.extremes, 'extremes')
    if rng is None:
        return
    rest = 0.055  # of the clip: the first frame of 16 lies at 0.03
    away = step(rest, 0.2, t) * step(1 - rest, 0.82, t)
    for track in (pose, gaze, shift):
        track *= away[:, None]
    aus *= 0.25 * away[:, None]
    spans = ((0.0, 1.0),) if rng.random() < 0.5 else ((0.0, 0.52), (0.48, 1.0))
    for low, high in spans:
        units, weakest, strongest = _HELD[rng.integers(len(_HELD))]
        level = rng.uniform(weakest, strongest)
        start, end = max(low, rest), min(high, 1 - rest)
        hold = rng.uniform(0.15, 0.5) * (end - start)
        rise = 0.5 * (end - start - hold)
        held = _held(t, start, start + rise, end - rise, end)
        for unit, value in units.items():
            aus[:, AU[unit]] = np.maximum(aus[:, AU[unit]], value * level * held)


def _held(t, start, risen, falling, end):
    """Make a curve: 0, a smooth rise to 1, a smooth fall to 0."""
    return step(start, risen, t) * step(end, falling, t)
