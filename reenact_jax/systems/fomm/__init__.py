"""First order motion model for image animation (Siarohin et al. 2019): keypoints found in images.

Networks: KP the keypoint detector, M the dense motion network, G the generator, D the
discriminator. The official generator holds M and G. Source and driver are two frames of a track.

KP gives keypoints with Jacobians, without labels: they have to move as the image does under random
transforms. The motion near each keypoint is a first-order map from the driver's frame to the
source; M says which of them a place follows, and whether the source shows it. G warps the source's
features by that, leaves out what is occluded, and paints.

As the official code (not the paper) has it: heatmaps have a variance of 0.01; the sum of losses
has a weight of 10 a term; distances of thin plates are |x| + |y|. Its first version, with which the
weights were published, asks for PyTorch 1.0.0, which samples as `align_corners=True` does.

Ours: normal initial weights (He) and zero biases; all players step at once, which for them is the
same. `config.ema_decay` is 0 in the presets of the paper: it has no averages.

The motion is of the kind `keypoints`: no landmarks move it, and `transfer` takes the driver's
images. Images are in [0, 1] inside, as in the official code.
"""

import logging

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry import images, keypoints
from reenact_jax.nets import fomm as net
from reenact_jax.nets import frozen_apply, vgg
from reenact_jax.nets.initial import init_each
from reenact_jax.systems import optimisers
from reenact_jax.systems.fomm import generator
from reenact_jax.systems.fomm.hparams import Hparams
from reenact_jax.systems.fomm.terms import terms
from reenact_jax.systems.interface import Motion, Stage

log = logging.getLogger(__name__)

DRIVEN_BY = ('image',)
NEEDS = {'transfer': ('KP',), 'render': ('KP', 'M', 'G')}


def networks(hp: Hparams, data: DataInfo) -> dict:
    """Build the networks; without an adversarial loss there is no D.

    Raises:
      UserError: settings contradict each other.
    """
    del data
    if hp.lambda_gan and len(hp.lambda_features) != hp.d_layers:
        raise UserError(
            f'hparams.lambda_features: {len(hp.lambda_features)} weights for the {hp.d_layers} '
            'layers of hparams.d_layers; give one for each'
        )
    for scale in hp.scales:
        if abs(1 / scale - round(1 / scale)) > 1e-6:
            raise UserError(f'hparams.scales: {scale} is not 1 / an integer')
    nets = {
        'KP': net.KeypointDetector(hp.kp_width, hp.kp_depth, hp.kp_most, hp.keypoints),
        'M': net.DenseMotion(hp.motion_width, hp.motion_depth, hp.motion_most, hp.keypoints),
        'G': net.Generator(hp.width, hp.downs, hp.most, hp.blocks),
    }
    if hp.lambda_gan:
        nets['D'] = net.Discriminator(hp.d_width, hp.d_layers, hp.d_most, hp.d_spectral)
    return nets


def init(hp: Hparams, nets: dict, rng: jax.Array, batch: Batch) -> dict:
    """Initialise the variables of all networks; of `batch` only shapes matter.

    Raises:
      UserError: the levels do not fit the images' side.
    """
    side = batch.image.shape[2]
    _check_side(hp, side)
    coarse = side // hp.stride
    given = jnp.zeros((1, side, side, 3 + hp.d_keypoints * hp.keypoints))
    arguments = {
        'KP': (jnp.zeros((1, coarse, coarse, 3)),),
        'M': (jnp.zeros((1, coarse, coarse, 4 * (hp.keypoints + 1))),),
        'G': (given[..., :3],),
        'D': (given,),
    }
    return init_each(nets, rng, {network: arguments[network] for network in nets})


def _check_side(hp: Hparams, side: int) -> None:
    """Reject images whose side the levels cannot halve evenly, or that are too small."""
    levels = {'downs': hp.downs}
    levels |= {'kp_depth': hp.kp_depth, 'motion_depth': hp.motion_depth}
    for name, depth in levels.items():
        factor = (hp.stride if name != 'downs' else 1) * 2**depth
        if side % factor:
            raise UserError(
                f'hparams.{name}: {depth} halvings need images whose side is a multiple of '
                f'{factor}, the data has {side} pixels; use fewer halvings or other data'
            )
    if side // hp.stride < net.LEAST_SIDE:
        raise UserError(
            f'hparams.stride: keypoints are found at {side // hp.stride} pixels, side / stride; '
            f'at least {net.LEAST_SIDE} are needed'
        )
    if hp.lambda_gan and net.left(side, hp.d_layers) < 1:
        raise UserError(
            f'hparams.d_layers: {hp.d_layers} layers leave nothing of {side} pixels; use fewer'
        )
    if side * min(hp.scales) < vgg.LEAST_SIDE:
        raise UserError(
            f'hparams.scales: {min(hp.scales)} of {side} pixels is less than the '
            f'{vgg.LEAST_SIDE} that the perceptual loss needs; leave it out'
        )


def stages(hp: Hparams, data: DataInfo) -> tuple[Stage, ...]:
    """List the one stage: all networks together, end to end."""
    steps = hp.steps or max(1, hp.epochs * (data.examples * hp.repeats // hp.batch_size))
    falls = tuple(epoch / hp.epochs for epoch in hp.milestones)
    moving = ('KP', 'M', 'G')

    def adam(rate):
        return optimisers.adam(rate, steps, 'staircase', hp.b1, falls=falls)

    def stage_losses(apply, constants, batch, rng):
        return terms(hp, apply, constants, batch, rng)

    players: dict[str, tuple[str, ...]] = {'G': moving}
    tx = {'G': adam(hp.rate)}
    if hp.lambda_gan:
        players['D'], tx['D'] = ('D',), adam(hp.d_rate)
    reads = ('image', 'landmarks', 'identity')
    return (
        Stage('fomm', players, stage_losses, tx, steps, hp.batch_size, ema=moving, reads=reads),
    )


def constants(hp: Hparams, load: bool = True) -> dict:
    """Load {'vgg': weights of the perceptual loss}.

    With load=False the arrays have the right shapes and no file is read.
    """
    if hp.features == 'random' or not load:
        return {'vgg': vgg.random(19, hp.random_width if hp.features == 'random' else 64)}
    weights = vgg.load(hp.vgg_weights, 19)
    log.info('perceptual loss: %s from %s', hp.features, hp.vgg_weights)
    return {'vgg': weights}


# --- use -------------------------------------------------------------------------------------


def motion(hp: Hparams) -> Motion:
    """Return the kind of motion: keypoints."""
    return Motion('keypoints', (hp.keypoints, keypoints.NUMBERS))


def identify(hp: Hparams, nets: dict, variables: dict, source: Face) -> dict:
    """Return {'keypoints': the source's}."""
    return {'keypoints': _found(hp, nets, variables, source)}


def transfer(
    hp: Hparams, nets: dict, variables: dict, identity: dict, driving: Face, first: Face
) -> Float[Array, 'b n 6']:
    """Move the source's keypoints as the driver's have moved since `first`.

    With the source as `first` the result is the driver's own keypoints.
    """
    there, begun = (_found(hp, nets, variables, face) for face in (driving, first))
    return keypoints.moved(identity['keypoints'], begun, there)


def encode(hp: Hparams, nets: dict, variables: dict, source: Face, background=None) -> dict:
    """Compute features and keypoints of the source, once per source."""
    del background  # the image is drawn whole
    return generator.encode(hp, frozen_apply(nets, variables), (source.image + 1) / 2)


def render(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n 6']
) -> Float[Array, 'b h w 3']:
    """Draw frames in [-1, 1] for keypoints; one source, b frames."""
    return 2 * _drawn(hp, nets, variables, appearance, landmarks).image - 1


def preview(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Draw images [b, h, w, 3] in [-1, 1]: inputs, keypoints, deformation, occlusion, result."""
    source, driving = (Face(image=batch.image[:, i]) for i in (0, 1))
    appearance = encode(hp, nets, variables, source)
    found = _found(hp, nets, variables, driving)
    made = _drawn(hp, nets, variables, appearance, found)
    side = source.image.shape[1]
    flow = made.motion.deformation - keypoints.grid(made.motion.deformation.shape[1])[None]
    heat = generator.heatmaps(hp, found, side).max(-1, keepdims=True)
    return {
        'source': source.image,
        'driving': driving.image,
        'keypoints': jnp.maximum(driving.image, 2 * heat - 1),
        'flow': images.flow_colours(images.resize(flow, side)),
        'occlusion': jnp.broadcast_to(
            2 * images.resize(made.motion.occlusion, side) - 1, source.image.shape
        ),
        'result': 2 * made.image - 1,
    }


def _found(hp, nets, variables, face: Face) -> Float[Array, 'b n 6']:
    return generator.detect(hp, frozen_apply(nets, variables), (face.image + 1) / 2)


def _drawn(hp, nets, variables, appearance, motion) -> generator.Drawn:
    return generator.draw(hp, frozen_apply(nets, variables), appearance, motion)
