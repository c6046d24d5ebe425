"""Random thin-plate transforms, under which keypoints have to move as the image does."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.geometry import keypoints
from reenact_jax.systems.fomm.hparams import Hparams


class Transform(NamedTuple):
    """A map of the plane a row: affine, and bent about a square grid of control points."""

    matrix: Float[Array, 'b 2 3']
    bends: Float[Array, 'b c']  # of the control points, row by row


def draw(hp: Hparams, rng: Array, rows: int) -> Transform:
    """Draw transforms near the identity."""
    affine, plate = jax.random.split(rng)
    matrix = jnp.eye(2, 3)[None] + hp.sigma_affine * jax.random.normal(affine, (rows, 2, 3))
    bends = hp.sigma_plate * jax.random.normal(plate, (rows, hp.plate_points**2))
    return Transform(matrix, bends)


def warp(transform: Transform, points: Float[Array, '#b *s 2']) -> Float[Array, 'b *s 2']:
    """Map points, -1..1. Distances to control points are |x| + |y|, as in the official code."""
    rows, side = transform.bends.shape[0], round(transform.bends.shape[1] ** 0.5)
    flat = points.reshape(points.shape[0], -1, 2)
    linear = (transform.matrix[:, None, :, :2] * flat[:, :, None, :]).sum(-1)
    controls = jnp.asarray(keypoints.grid(side)).reshape(1, 1, -1, 2)
    apart = jnp.abs(flat[:, :, None] - controls).sum(-1)
    bent = (apart**2 * jnp.log(apart + 1e-6) * transform.bends[:, None]).sum(-1, keepdims=True)
    moved = linear + transform.matrix[:, None, :, 2] + bent
    return moved.reshape(rows, *points.shape[1:])


def jacobian(transform: Transform, points: Float[Array, 'b n 2']) -> Float[Array, 'b n 2 2']:
    """Differentiate `warp` at points."""
    along = [
        jax.jvp(
            lambda at: warp(transform, at), (points,), (jnp.zeros_like(points).at[..., i].set(1),)
        )[1]
        for i in (0, 1)
    ]
    return jnp.stack(along, -1)


def of_image(
    hp: Hparams, transform: Transform, image: Float[Array, 'b h w 3']
) -> Float[Array, 'b h w 3']:
    """Transform images: out(p) = image(T(p)), mirrored at the border."""
    at = warp(transform, jnp.asarray(keypoints.grid(image.shape[1]))[None])
    return keypoints.sampled(image, at, hp.align_corners, mirror=True)
