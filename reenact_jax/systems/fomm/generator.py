"""From images to keypoints, from keypoints to dense motion, from dense motion to an image."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.geometry import keypoints, pyramid
from reenact_jax.systems.fomm.hparams import Hparams


class Motion(NamedTuple):
    """Dense motion, at the image's side / `stride`."""

    deformation: Float[Array, 'b h w 2']  # where in the source every place comes from, -1..1
    occlusion: Float[Array, 'b h w 1']  # 0: what is there must be painted
    mask: Float[Array, 'b h w m']  # shares of no keypoint and of every one
    sparse: Float[Array, 'b h w m 3']  # the source deformed by each alone


class Drawn(NamedTuple):
    """An image, and how it was made."""

    image: Float[Array, 'b h w 3']  # in [0, 1]
    motion: Motion


def detect(hp: Hparams, apply, image: Float[Array, 'b h w 3']) -> Float[Array, 'b n 6']:
    """Find the keypoints in images in [0, 1]."""
    logits, matrices = apply('KP', pyramid.reduced(image, 1 / hp.stride))
    return keypoints.of_maps(logits, matrices, hp.temperature)


def encode(hp: Hparams, apply, image: Float[Array, 'b h w 3']) -> dict[str, Array]:
    """Compute what the source alone gives, from its image in [0, 1]."""
    return {
        'features': apply('G', image, method='encode'),
        'coarse': pyramid.reduced(image, 1 / hp.stride),
        'keypoints': detect(hp, apply, image),
    }


def draw(hp: Hparams, apply, source: dict, driving: Float[Array, 'b n 6']) -> Drawn:
    """Draw the source with the driver's keypoints; one source serves b frames.

    Args:
      source: the result of `encode`.
      driving: keypoints.
    """
    frames = driving.shape[0]
    source = {k: jnp.broadcast_to(x, (frames, *x.shape[1:])) for k, x in source.items()}
    motion = dense(hp, apply, source['coarse'], source['keypoints'], driving)
    features = source['features']
    side = features.shape[1]
    warped = keypoints.sampled(features, _resized(motion.deformation, side), hp.align_corners)
    warped = warped * _resized(motion.occlusion, side)
    return Drawn(apply('G', warped, method='decode'), motion)


def dense(
    hp: Hparams,
    apply,
    image: Float[Array, 'b h w 3'],
    source: Float[Array, 'b n 6'],
    driving: Float[Array, 'b n 6'],
) -> Motion:
    """Join the motions of single keypoints to a dense one.

    Args:
      image: the source's, at the side of the motion.
      source, driving: keypoints.
    """
    side = image.shape[1]
    there = _sparse(source, driving, side)
    deformed = jax.vmap(
        lambda at: keypoints.sampled(image, at, hp.align_corners), in_axes=3, out_axes=3
    )(there)
    heat = heatmaps(hp, driving, side) - heatmaps(hp, source, side)
    heat = jnp.pad(heat, ((0, 0), (0, 0), (0, 0), (1, 0)))
    given = jnp.concatenate([heat[..., None], deformed], -1)
    logits, visible = apply('M', given.reshape(*given.shape[:3], -1))
    mask = jax.nn.softmax(logits, -1)
    deformation = (there * mask[..., None]).sum(3)
    return Motion(deformation, jax.nn.sigmoid(visible), mask, deformed)


def heatmaps(hp: Hparams, points: Float[Array, 'b n 6'], side: int) -> Float[Array, 'b h w n']:
    """Draw keypoints as Gaussians."""
    return keypoints.heatmaps(points, side, hp.variance)


def _sparse(source, driving, side: int) -> Float[Array, 'b h w m 2']:
    """Compute the motion of nothing, and of each keypoint to first order (eq. 4).

    T(z) = p_source + J_source J_driving^-1 (z - p_driving)
    """
    grid = jnp.asarray(keypoints.grid(side))[None, :, :, None]
    turn = keypoints.product(
        keypoints.jacobians(source), keypoints.inverse(keypoints.jacobians(driving))
    )
    away = grid - keypoints.places(driving)[:, None, None]
    moved = (turn[:, None, None] * away[..., None, :]).sum(-1)
    moved = moved + keypoints.places(source)[:, None, None]
    still = jnp.broadcast_to(grid, (*moved.shape[:3], 1, 2))
    return jnp.concatenate([still, moved], 3)


def _resized(maps: Float[Array, 'b h w c'], side: int) -> Float[Array, 'b s s c']:
    """Resize bilinearly, without a filter where it shrinks, as the official code does."""
    shape = (maps.shape[0], side, side, maps.shape[-1])
    if maps.shape == shape:
        return maps
    return jax.image.resize(maps, shape, 'bilinear', antialias=False)
