"""Losses of the first order motion model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.data.tracks import Batch
from reenact_jax.geometry import keypoints, pyramid
from reenact_jax.nets import vgg
from reenact_jax.systems import losses
from reenact_jax.systems.fomm import generator, transforms
from reenact_jax.systems.fomm.hparams import Hparams
from reenact_jax.systems.fomm.transforms import Transform


class Frames(NamedTuple):
    """Two frames of a track, in [0, 1]."""

    source: Float[Array, 'b h w 3']
    driving: Float[Array, 'b h w 3']


def terms(hp: Hparams, apply, constants: dict, batch: Batch, rng: Array):
    """Compute the losses: frame 0 is the source, frame 1 drives it and is the truth.

    Returns:
      The losses of the players G and D, and metrics.
    """
    frames = Frames(*((batch.image[:, i] + 1) / 2 for i in (0, 1)))
    return of_frames(hp, apply, constants, frames, transforms.draw(hp, rng, len(batch.image)))


def of_frames(hp: Hparams, apply, constants: dict, frames: Frames, transform: Transform):
    """Compute the losses with a given transform for the equivariance."""
    source = generator.encode(hp, apply, frames.source)
    driving = generator.detect(hp, apply, frames.driving)
    drawn = generator.draw(hp, apply, source, driving)
    metrics = {'perceptual': _perceptual(hp, constants, drawn.image, frames.driving)}
    value, metrics['l1'] = metrics['perceptual'], losses.l1(drawn.image, frames.driving)
    metrics['occlusion'] = drawn.motion.occlusion.mean()
    if hp.lambda_value or hp.lambda_jacobian:
        metrics |= _equivariance(hp, apply, frames.driving, driving, transform)
        value = value + hp.lambda_value * metrics['equivariance_value']
        value = value + hp.lambda_jacobian * metrics['equivariance_jacobian']
    if not hp.lambda_gan:
        return {'G': value}, metrics
    metrics |= _adversarial(hp, apply, drawn.image, frames.driving, driving)
    value = value + hp.lambda_gan * metrics['gan'] + metrics['features']
    return {'G': value, 'D': hp.lambda_d * metrics['D']}, metrics


def _perceptual(hp: Hparams, constants: dict, made, truth) -> Float[Array, '']:
    """Sum the weighted distances of VGG's maps over the scales."""
    total = jnp.zeros(())
    for scale in hp.scales:
        ours, theirs = (
            vgg.features(constants['vgg'], 2 * pyramid.reduced(image, scale) - 1)
            for image in (made, truth)
        )
        total = total + losses.perceptual(ours, theirs, hp.lambda_perceptual)
    return total


def _equivariance(hp: Hparams, apply, image, found, transform: Transform) -> dict[str, Array]:
    """Compare keypoints with those of a transformed image, brought back.

    Places: |p - T(p')|; Jacobians: |1 - J^-1 T'(p') J'|.
    """
    there = generator.detect(hp, apply, transforms.of_image(hp, transform, image))
    at = keypoints.places(there)
    back = keypoints.product(transforms.jacobian(transform, at), keypoints.jacobians(there))
    product = keypoints.product(keypoints.inverse(keypoints.jacobians(found)), back)
    identity = jnp.broadcast_to(jnp.eye(2)[None, None], product.shape)
    return {
        'equivariance_value': losses.l1(keypoints.places(found), transforms.warp(transform, at)),
        'equivariance_jacobian': losses.l1(identity, product),
    }


def _adversarial(hp: Hparams, apply, made, truth, driving) -> dict[str, Array]:
    """Compute what G and D minimise, and the weighted distance of D's maps."""
    both = losses.together(truth, made)
    if hp.d_keypoints:
        heat = generator.heatmaps(hp, jax.lax.stop_gradient(driving), made.shape[1])
        both = jnp.concatenate([both, losses.together(heat, heat)], -1)
    maps = [losses.apart(one) for one in apply('D', both)]
    real, fake = zip(*maps, strict=True)
    return {
        'gan': losses.gan_generator(fake[-1:], 'lsgan01'),
        'features': losses.perceptual(fake[:-1], real[:-1], hp.lambda_features),
        'D': losses.gan_discriminator(real[-1:], fake[-1:], 'lsgan01'),
    }
