"""What FACEGAN's image stages share: drawn landmarks, masks, and images without background.

Pixels whose class is unknown (255) are left out of every loss of G_r. In compositing they count as
background: what the source shows there is kept. (Masks of footage do not know hair, ears and neck;
there G_r learns the face alone, and the rest of the head stays with the background.)
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from reenact_jax.data.tracks import FACE, HAIR, UNKNOWN
from reenact_jax.geometry import landmarks as lm

CLASSES = 3  # background, face, hair


def drawn(hp, points: Float[Array, 'b n 2'], side: int) -> Float[Array, 'b s s 1']:
    """Draw H_t: a Gaussian for each landmark, the largest of all in one channel.

    Args:
      points: in pixels of a side x side image.
    """
    maps = lm.heatmaps(points, side, hp.sigma * side / 256)
    return maps.max(-1, keepdims=True)


def head(segmentation: UInt8[Array, 'b s s']) -> Float[Array, 'b s s 1']:
    """Return 1 where face or hair is known to be."""
    inside = (segmentation == FACE) | (segmentation == HAIR)
    return inside[..., None].astype(jnp.float32)


def certain(segmentation: UInt8[Array, 'b s s']) -> Float[Array, 'b s s 1']:
    """Return 1 where the class is known."""
    return (segmentation != UNKNOWN)[..., None].astype(jnp.float32)


def probability(logits: Float[Array, 'b s s 3']) -> Float[Array, 'b s s 1']:
    """Compute the probability of face or hair from G_r's segmentation head: S_fr as a soft mask."""
    share = jax.nn.softmax(logits)
    return share[..., FACE : FACE + 1] + share[..., HAIR : HAIR + 1]


def cross_entropy(
    logits: Float[Array, 'b s s 3'], segmentation: UInt8[Array, 'b s s']
) -> Float[Array, '']:
    """Compute the mean cross-entropy over the pixels whose class is known."""
    label = jnp.where(segmentation == UNKNOWN, 0, segmentation).astype(jnp.int32)
    each = -jnp.take_along_axis(jax.nn.log_softmax(logits), label[..., None], -1)
    weight = certain(segmentation)
    return (each * weight).sum() / jnp.maximum(weight.sum(), 1)
