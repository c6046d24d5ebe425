"""Keypoints as a motion: places and local affine maps, in one array (Siarohin et al. 2019).

In [b, n, 6] a row is (x, y, J_xx, J_xy, J_yx, J_yy): a place, from -1 at the centre of an image's
first pixel to 1 at that of its last, and the Jacobian of the map from an abstract reference frame
near it. Numbers are added and multiplied one by one, not by matrix units, which would round them.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import images

NUMBERS = 6


def joined(
    places: Float[AnyArray, 'b n 2'], jacobians: Float[AnyArray, 'b n 2 2']
) -> Float[AnyArray, 'b n 6']:
    """Put places and Jacobians into one array."""
    return jnp.concatenate([places, jacobians.reshape(*places.shape[:2], 4)], -1)


def places(keypoints: Float[AnyArray, 'b n 6']) -> Float[AnyArray, 'b n 2']:
    """Return where the keypoints are."""
    return keypoints[..., :2]


def jacobians(keypoints: Float[AnyArray, 'b n 6']) -> Float[AnyArray, 'b n 2 2']:
    """Return the Jacobians at the keypoints."""
    return keypoints[..., 2:].reshape(*keypoints.shape[:-1], 2, 2)


def product(
    left: Float[AnyArray, '*s 2 2'], right: Float[AnyArray, '*t 2 2']
) -> Float[AnyArray, '*u 2 2']:
    """Multiply matrices."""
    return (left[..., :, :, None] * right[..., None, :, :]).sum(-2)


def inverse(matrix: Float[AnyArray, '*s 2 2']) -> Float[AnyArray, '*s 2 2']:
    """Invert matrices."""
    a, b, c, d = (matrix[..., i, j] for i in (0, 1) for j in (0, 1))
    adjugate = jnp.stack([jnp.stack([d, -b], -1), jnp.stack([-c, a], -1)], -2)
    return adjugate / (a * d - b * c)[..., None, None]


def moved(
    source: Float[AnyArray, '#b n 6'],
    first: Float[AnyArray, '#b n 6'],
    driving: Float[AnyArray, 'b n 6'],
    scale: float | Float[AnyArray, ''] = 1.0,
) -> Float[AnyArray, 'b n 6']:
    """Move the source's keypoints as the driver's have moved since its first frame.

    Places get the difference, Jacobians the product J_driving J_first^-1 J_source, as the official
    demo computes them. With the source as `first` the result is the driver's own keypoints.

    Args:
      source, first, driving: of the source, the driver's first frame and its frames.
      scale: factor of the differences of places.
    """
    there = places(source) + scale * (places(driving) - places(first))
    turn = product(jacobians(driving), inverse(jacobians(first)))
    return joined(there, product(turn, jacobians(source)))


def in_pixels(keypoints: Float[AnyArray, 'b n 6'], side: int) -> Float[AnyArray, 'b n 2']:
    """Return the places in pixels of an image, whose corner is (0, 0)."""
    return (places(keypoints) + 1) / 2 * (side - 1) + 0.5


def grid(side: int) -> Float[np.ndarray, 'h w 2']:
    """Return the place (x, y) of every pixel, -1 and 1 at the centres of the border's."""
    places = np.linspace(-1, 1, side, dtype=np.float32)
    return np.stack(np.meshgrid(places, places), -1)


def of_maps(
    logits: Float[AnyArray, 'b h w n'], matrices: Float[AnyArray, 'b h w m'], temperature: float
) -> Float[AnyArray, 'b n 6']:
    """Find keypoints as means over an image, weighted by a softmax.

    Args:
      logits: where each keypoint is.
      matrices: of a Jacobian at every pixel, 4 n numbers, or 4 for all keypoints.
      temperature: of the softmax.
    """
    b, h, w, n = logits.shape
    share = jax.nn.softmax(logits.reshape(b, h * w, n) / temperature, 1)[..., None]
    at = jnp.asarray(grid(h)).reshape(1, h * w, 1, 2)
    found = (share * matrices.reshape(b, h * w, -1, 4)).sum(1)
    return jnp.concatenate([(share * at).sum(1), found], -1)


def heatmaps(
    keypoints: Float[AnyArray, 'b n 6'], side: int, variance: float
) -> Float[AnyArray, 'b side side n']:
    """Draw keypoints as Gaussians of height 1, whose variance is in units of the places."""
    at = jnp.asarray(np.linspace(-1, 1, side, dtype=np.float32))[None, :, None]
    x, y = (jnp.exp(-0.5 * (at - keypoints[:, None, :, i]) ** 2 / variance) for i in (0, 1))
    return y[:, :, None] * x[:, None]


def sampled(
    image: Float[AnyArray, 'b h w c'],
    position: Float[AnyArray, 'b H W 2'],
    align_corners: bool = False,
    mirror: bool = False,
) -> Float[AnyArray, 'b H W c']:
    """Sample bilinearly at places (x, y), -1..1, as PyTorch's `grid_sample` does.

    Args:
      image: any range.
      position: where.
      align_corners: whether -1 and 1 are the centres of the border's pixels, or their outer edges.
      mirror: the image is mirrored at these places; else it is 0 outside.
    """
    h, w = image.shape[1:3]
    size = jnp.array([w, h], jnp.float32)[None, None, None]
    if mirror:
        position = 1 - jnp.abs((position + 1) % 4 - 2)
    pixels = (position + 1) / 2 * (size - align_corners) + 0.5 * align_corners
    return jax.vmap(lambda one, at: images.sample(one, at, None if mirror else 0.0))(image, pixels)
