"""Action units of a person above what that person shows at rest.

An estimator sees a little of a unit in many faces at rest: narrow eyes look half shut, high brows
look raised. What a person shows in most frames or less is that person's rest, and is taken off.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from reenact_jax.data.tracks import POSE

REST = 0.2  # in this share of the frames a unit is at rest or below
LEAST = 8  # frames that can tell what rest is


def above(
    aus: Float[np.ndarray, 't 20'], known: Bool[np.ndarray, 't 20'] | Int[np.ndarray, 't 20']
) -> Float[np.ndarray, 't 20']:
    """Take the rest off the action units of one person's frames.

    Intensities are scaled so that the rest becomes 0 and 1 stays. Angles and unknown units stay;
    of less than `LEAST` frames all do.

    Args:
      aus: as in tracks.py.
      known: where they are.
    """
    if len(aus) < LEAST:
        return aus
    units = np.asarray(known, bool).copy()
    units[:, POSE] = False
    rest = np.quantile(aus, REST, 0)
    scaled = np.clip((aus - rest) / np.maximum(1 - rest, 1e-3), 0, 1)
    return np.where(units, scaled, aus).astype(np.float32)
