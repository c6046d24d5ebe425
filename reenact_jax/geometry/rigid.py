"""Similarity fits of 3D landmarks: a head's shape apart from its size, place and rotation.

NumPy or JAX arrays of any leading shape; no SVD, whose kernels cannot be exported for all devices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.geometry import exact

_STEPS = 10  # steps of the iteration below; it converges quadratically


class Placement(NamedTuple):
    """The place of a shape: point = centre + rotation shape / scale.

    The rotation is R of tracks.py: it takes the reference to where the face is seen, as in
    frames.py and head_pose.py.
    """

    scale: Float[Array, '*s']
    rotation: Float[Array, '*s 3 3']
    centre: Float[Array, '*s 3']


def fit(points: Float[Array, '*s n 3'], reference: Float[Array, 'n 3']) -> Placement:
    """Fit the least-squares similarity that takes points to a reference, without reflection.

    The points must not lie in a plane: without depth there is no rotation to find.

    Args:
      points: landmarks of faces.
      reference: a shape around 0.
    """
    centre = points.mean(-2)
    around = points - centre[..., None, :]
    rotation = _nearest_rotation(exact.einsum('...ni,nj->...ij', around, reference))
    turned = exact.einsum('...ji,...nj->...ni', rotation, around)
    square = jnp.maximum((around**2).sum((-1, -2)), 1e-12)
    scale = exact.einsum('ni,...ni->...', reference, turned) / square
    return Placement(scale, rotation, centre)


def remove(points: Float[Array, '*s n 3'], placement: Placement) -> Float[Array, '*s n 3']:
    """Take a placement off points; what stays is the shape, in the reference's frame."""
    around = points - placement.centre[..., None, :]
    turned = exact.einsum('...ji,...nj->...ni', placement.rotation, around)
    return turned * placement.scale[..., None, None]


def restore(shape: Float[Array, '*s n 3'], placement: Placement) -> Float[Array, '*s n 3']:
    """Put a shape where its placement says: the inverse of `remove`."""
    turned = exact.einsum('...ij,...nj->...ni', placement.rotation, shape)
    return turned / placement.scale[..., None, None] + placement.centre[..., None, :]


def _nearest_rotation(matrix: Float[Array, '*s 3 3']) -> Float[Array, '*s 3 3']:
    """Find the orthogonal factor of the polar decomposition by Newton's iteration (Higham 1986)."""
    size = jnp.sqrt((matrix**2).sum((-1, -2), keepdims=True))

    def step(_, x):
        cofactors = jnp.stack(
            [jnp.cross(x[..., (i + 1) % 3, :], x[..., (i + 2) % 3, :]) for i in range(3)], -2
        )
        determinant = (x[..., 0, :] * cofactors[..., 0, :]).sum(-1)[..., None, None]
        return (x + cofactors / jnp.where(determinant == 0, 1e-12, determinant)) / 2

    return jax.lax.fori_loop(0, _STEPS, step, matrix / jnp.maximum(size, 1e-12))
