"""How steady a result is: flicker while the driver rests, and jitter of the landmarks found in it.

Both are ratios of what a result shows to what its reference shows (ours): 1 is as steady as that,
the copy of the source has 0 flicker. Neighbouring frames are those that are stored next to each
other: a set that keeps few frames a second tells little.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from reenact_jax.evaluate.estimators import Faces
from reenact_jax.geometry import landmarks as lm

FLICKER, JITTER = 'flicker', 'jitter'
REST = 0.005  # mean motion of the driver's landmarks up to which it rests, sides of its box a frame
LEAST = 3  # fewest pairs, or triples, of frames
# What a reference shows at least: half a grey level of 256, and what detection trembles by.
GREY, TREMBLE = 1 / 255, 0.0005


def flicker(
    image: Float[np.ndarray, 'g h w 3'],
    truth: Float[np.ndarray, 'g h w 3'],
    driving: Float[np.ndarray, 'g n 2'],
    number: Int[np.ndarray, ' g'],
) -> float:
    """Compare the mean change between neighbouring frames while the driver rests.

    Args:
      image: results in [-1, 1].
      truth: the ground truth's.
      driving: the driver's landmarks.
      number: of each frame in the driver's track.

    Returns:
      The ratio; NaN where the driver rests in fewer than `LEAST` pairs of frames.
    """
    at = np.flatnonzero((np.diff(number) == 1) & (_speed(driving) <= REST))
    if len(at) < LEAST:
        return np.nan
    made, real = (np.abs(x[at + 1] - x[at]).mean() for x in (image, truth))
    return float(made / max(real, GREY))


def jitter(found: Faces, reference: Faces, number: Int[np.ndarray, ' g']) -> float:
    """Compare second differences of detected landmarks, each in sides of its own face's box.

    Args:
      found: faces of the results.
      reference: faces of the ground truth; of the driver where there is none.
      number: of each frame in the driver's track.

    Returns:
      The ratio; NaN below `LEAST` triples of frames that all show a face.
    """
    seen = found.found & reference.found
    at = np.flatnonzero((np.diff(number)[1:] == 1) & (np.diff(number)[:-1] == 1) & _three(seen))
    if len(at) < LEAST:
        return np.nan
    made, real = (_bend(faces.points)[at].mean() for faces in (found, reference))
    return float(made / max(real, TREMBLE))


def _three(seen: Bool[np.ndarray, ' g']) -> Bool[np.ndarray, ' t']:
    return seen[2:] & seen[1:-1] & seen[:-2]


def _speed(points: Float[np.ndarray, 'g n 2']) -> Float[np.ndarray, ' p']:
    """Measure the mean motion of points to the next frame, in sides of the box."""
    side = 2 * np.asarray(lm.box(points)[1])
    return np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(-1) / side[:-1]


def _bend(points: Float[np.ndarray, 'g n 2']) -> Float[np.ndarray, ' t']:
    """Measure the mean second difference of points, in sides of the box."""
    side = 2 * np.asarray(lm.box(points)[1])
    return np.linalg.norm(np.diff(points, 2, axis=0), axis=-1).mean(-1) / side[1:-1]
