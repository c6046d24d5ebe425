"""Smaller images without aliasing, as the first order motion model makes them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray


def reduced(image: Float[AnyArray, 'b h w c'], scale: float) -> Float[AnyArray, 'b H W c']:
    """Blur by a Gaussian of deviation (1 / scale - 1) / 2 and take every (1 / scale)-th pixel.

    Outside of the image is 0. The sum over taps is written out: it is exact on every device, where
    matrix units would round, and as quick.

    Args:
      image: any range.
      scale: 1 / an integer.

    Raises:
      ValueError: it is not.
    """
    step = round(1 / scale)
    if abs(step * scale - 1) > 1e-6:
        raise ValueError(f'scale {scale}: expected 1 / an integer')
    if step == 1:
        return image
    deviation = (step - 1) / 2
    half = round(deviation * 4)
    taps = np.exp(-np.square(np.arange(-half, half + 1)) / (2 * deviation**2))
    taps = (taps / taps.sum()).astype(np.float32)
    return _along(_along(image, 1, taps, step), 2, taps, step)


def _along(image, axis: int, taps: np.ndarray, step: int):
    """Convolve along an axis with a stride."""
    half, outputs = len(taps) // 2, -(-image.shape[axis] // step)
    padding = [(half * (i == axis),) * 2 for i in range(image.ndim)]
    padded = jnp.pad(image, padding)
    total = 0.0
    for i, tap in enumerate(taps):
        end = i + (outputs - 1) * step + 1
        total = total + tap * jax.lax.slice_in_dim(padded, i, end, step, axis)
    return total
