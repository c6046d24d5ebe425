"""The landmark image of FReeNet's official code: a filled circle for each landmark, then shrunk."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from reenact_jax.geometry import exact

SHRINK = 8  # drawn at 512, used at 64
RADIUS = 5  # OpenCV's circle of radius 1 and thickness 8


def circles(points: Float[Array, 'b n 2'], size: int) -> Float[Array, 'b s s 1']:
    """Draw filled circles, white (1) on black (-1), at eight times the size, and shrink them.

    No gradient reaches the points: their pixel is rounded down, as in the code.

    Args:
      points: pixels of a size x size image.
    """
    side, rows = SHRINK * size, np.arange(points.shape[0])[:, None, None]
    at = jnp.trunc(points * SHRINK).astype(jnp.int32)[:, :, None] + _disc()[None, None]
    at = jnp.where(at < 0, side, at)  # a negative index would count from the other border
    blank = jnp.zeros((points.shape[0], side, side), points.dtype)
    image = blank.at[rows, at[..., 1], at[..., 0]].set(1, mode='drop')
    shrink = jnp.asarray(_bicubic(side, size), points.dtype)
    for axes in ('bij,pj->bip', 'bip,qi->bqp'):  # eight bits hold no overshoot between the passes
        image = jnp.clip(exact.einsum(axes, image, shrink), 0, 1)
    return (2 * image - 1)[..., None]


def _disc() -> np.ndarray:
    """List the offsets of a circle's pixels, [k, 2]."""
    reach = np.arange(-RADIUS, RADIUS + 1)
    offsets = np.stack(np.meshgrid(reach, reach), -1).reshape(-1, 2)
    return offsets[(offsets**2).sum(1) <= RADIUS**2]


def _bicubic(side: int, size: int) -> np.ndarray:
    """Compute Pillow's bicubic weights [size, side]: a = -0.5, the kernel widened by scale."""
    scale = side / size
    x = np.abs((np.arange(side) + 0.5) / scale - (np.arange(size)[:, None] + 0.5))
    inner, outer = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x < 1, inner, np.where(x < 2, outer, 0))
    return weights / weights.sum(1, keepdims=True)
