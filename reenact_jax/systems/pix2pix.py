"""Pix2Pix (Isola et al. 2017) and Pix2PixHD (Wang et al. 2018) with landmarks as their input: the
baselines of LD-Net + FD-GAN (table 3) and FReeNet (table 1).

The input is a landmark image. With `source_input` it is joined to the source's image, so that
landmarks are the fourth channel (FReeNet, section 4.3); without, a generator can only draw one
average person. x_T and x'_T are the source and the driving frame of one track.

Networks: G the U-Net of Pix2Pix and D its discriminator; G1, G2 the global generator and the local
enhancer of Pix2PixHD and D1, D2 their discriminators. Pix2PixHD trains from coarse to fine:
`global` trains G1 at half of the side, `local` G2 with G1 frozen, `joint` both.

Ours: all players step at once; the generators are averaged (`config.ema_decay`); D2 starts fresh;
no noise (Pix2Pix keeps dropout in use for that).
"""

import dataclasses
import logging

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.common import settings
from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts
from reenact_jax.nets import frozen_apply, vgg
from reenact_jax.nets import pix2pix as net
from reenact_jax.nets.initial import init_each
from reenact_jax.nets.patch import MultiScale, PatchGAN, halve
from reenact_jax.systems import losses, optimisers
from reenact_jax.systems.interface import Stage

log = logging.getLogger(__name__)
# Values of the fields that old configs lack.
EARLIER = {'scales': 2, 'affine': False, 'tap_weights': (), 'vgg_input': 'imagenet'}


@dataclasses.dataclass(frozen=True)
class Hparams:
    """Settings of Pix2Pix and Pix2PixHD: the papers' numbers, and what is ours."""

    variant: str = setting(
        'pix2pixhd', choices=('pix2pix', 'pix2pixhd'), doc='which of the two papers'
    )
    source_input: bool = setting(True, doc="whether the source's image is part of the input")
    width: int = setting(64, low=2, high=2**16, doc='features of the first level, both papers')
    downs: int = setting(4, low=1, high=10, doc='pix2pixHD: halvings of G1')
    blocks: int = setting(9, low=0, high=100, doc='pix2pixHD: residual blocks of G1')
    local_blocks: int = setting(3, low=0, high=100, doc='pix2pixHD: residual blocks of G2')
    discriminator: int = settings.width(64, 'features of the first level of PatchGANs, both papers')
    scales: int = setting(3, low=1, high=8, doc='pix2pixHD: scales of D, section 3.2 (its code: 2)')
    affine: bool = setting(
        True, doc="pix2pix: D's batch norm has scale and shift, as in its code (old workdirs: none)"
    )
    lambda_l1: float = settings.weight(100.0, 'pix2pix: weight of L1, section 3.3')
    lambda_features: float = settings.weight(
        10.0, 'pix2pixHD: weight of feature matching, section 3.3'
    )
    lambda_vgg: float = settings.weight(
        10.0, 'pix2pixHD: weight of the perceptual loss, section 4; 0: off'
    )
    tap_weights: tuple[float, ...] = setting(
        losses.PIX2PIXHD_TAPS,
        low=0,
        high=1e6,
        doc="pix2pixHD: weights of VGG19's maps; empty: a plain mean",
    )
    vgg_input: str = setting(
        'plain', choices=vgg.INPUTS, doc="pix2pixHD: VGG's input; `plain` as in its code"
    )
    features: str = setting(
        'vgg19', choices=('vgg19', 'random'), doc='features of the perceptual loss, see nets/vgg.py'
    )
    vgg_weights: str = setting(
        '', doc="file of VGG's weights, .npz or .safetensors, see nets/vgg.py; not for `random`"
    )
    random_width: int = settings.width(16, 'features of the first `random` block')
    rate: float = settings.rate(2e-4, 'learning rate of Adam, both papers')
    b1: float = settings.share(0.5, 'b1 of Adam, both papers')
    schedule: str = setting(
        'late_linear',
        choices=optimisers.SCHEDULES,
        doc='learning rate: constant, then linear to 0, both papers',
    )
    batch_size: int = settings.batch(2, 'pairs of frames in a step (the papers: 1)')
    # Lengths are ours: the papers count epochs of other data.
    steps: int = settings.steps(500_000, 'pix2pix: number of updates (ours)', low=1)
    global_steps: int = settings.steps(300_000, 'pix2pixHD: updates of G1 alone (ours)')
    local_steps: int = settings.steps(50_000, 'pix2pixHD: updates of G2 alone (ours)')
    joint_steps: int = settings.steps(150_000, 'pix2pixHD: updates of both (ours)')
    norm: str = setting(
        'batch',
        choices=('batch', 'instance', 'layer'),
        doc='pix2pix: norm of G and D (pix2pixHD has instance norm)',
    )
    line_width: float = setting(
        1.5, low=0.1, high=64, doc='landmark image: deviation of a line, pixels at 256 x 256 (ours)'
    )
    channels: str = setting(
        'one',
        choices=lm.CHANNELS,
        doc='landmark image: one channel for all lines, or one for each part (ours)',
    )


def networks(hp: Hparams, data: DataInfo) -> dict:
    """Build the networks of the variant.

    Raises:
      UserError: the width is odd, and the local enhancer has half of it.
    """
    del data
    if hp.variant == 'pix2pix':
        return {
            'G': net.UNetGenerator(hp.width, hp.norm),
            'D': PatchGAN(hp.discriminator, 3, 1, hp.norm, affine=hp.affine and hp.norm == 'batch'),
        }
    if hp.width % 2:
        raise UserError(f'hparams.width: {hp.width} is odd, the local enhancer has half of it')
    return {
        'G1': net.GlobalGenerator(hp.width, hp.downs, hp.blocks),
        'G2': net.LocalEnhancer(hp.width // 2, hp.local_blocks),
        'D1': MultiScale(hp.scales, hp.discriminator),
        'D2': MultiScale(hp.scales, hp.discriminator),
    }


def init(hp: Hparams, nets: dict, rng: jax.Array, batch: Batch) -> dict:
    """Initialise the variables of all networks; of `batch` only shapes matter.

    Raises:
      UserError: the networks do not fit the images' side.
    """
    side, layout = batch.image.shape[2], layouts.of_count(batch.landmarks.shape[2])
    factor = side if hp.variant == 'pix2pix' else 2 ** (hp.downs + 1)
    if side % factor or (side & (side - 1) and hp.variant == 'pix2pix'):
        requirement = 'a power of 2' if hp.variant == 'pix2pix' else f'a multiple of {factor}'
        raise UserError(
            f'{hp.variant} needs images whose side is {requirement}, the data has {side}'
        )
    inputs = 3 * hp.source_input + lm.image_channels(layout, hp.channels)
    full, image = jnp.zeros((1, side, side, inputs)), jnp.zeros((1, side, side, 3))
    coarse = jnp.zeros((1, side // 2, side // 2, hp.width))
    arguments = {
        'G': (full,),
        'D': (image, full),
        'G1': (halve(full),),
        'G2': (full, coarse),
        'D1': (halve(image), halve(full)),
        'D2': (image, full),
    }
    return init_each(nets, rng, {letter: arguments[letter] for letter in nets})


def stages(hp: Hparams, data: DataInfo) -> tuple[Stage, ...]:
    """List the stages: one of Pix2Pix; of Pix2PixHD coarse to fine, without those of 0 steps."""
    del data

    def stage(name, generators, discriminator, terms, steps):
        tx = {p: optimisers.adam(hp.rate, steps, hp.schedule, hp.b1) for p in ('G', 'D')}

        def stage_losses(apply, constants, batch, rng):
            del rng
            return terms(hp, apply, constants, batch)

        return Stage(
            name,
            {'G': generators, 'D': (discriminator,)},
            stage_losses,
            tx,
            steps,
            hp.batch_size,
            ema=generators,
            reads=('image', 'landmarks', 'identity'),
            neighbour='unused',
        )

    if hp.variant == 'pix2pix':
        return (stage('pix2pix', ('G',), 'D', terms, hp.steps),)
    every = (
        stage('pix2pixhd_global', ('G1',), 'D1', global_terms, hp.global_steps),
        stage('pix2pixhd_local', ('G2',), 'D2', full_terms, hp.local_steps),
        stage('pix2pixhd_joint', ('G1', 'G2'), 'D2', full_terms, hp.joint_steps),
    )
    return tuple(one for one in every if one.steps)


def constants(hp: Hparams, load: bool = True) -> dict:
    """Load {'vgg': weights of the perceptual loss}, where there is such a loss.

    With load=False the arrays have the right shapes and no file is read.
    """
    if hp.variant == 'pix2pix' or not hp.lambda_vgg:
        return {}
    if hp.features == 'random' or not load:
        return {'vgg': vgg.random(19, hp.random_width if hp.features == 'random' else 64)}
    weights = vgg.load(hp.vgg_weights, 19)
    log.info('perceptual loss: %s from %s', hp.features, hp.vgg_weights)
    return {'vgg': weights}


# --- losses ----------------------------------------------------------------------------------


def terms(hp: Hparams, apply, constants: dict, batch: Batch):
    """Compute Pix2Pix's losses, eq. 4: conditional GAN (log form) + lambda L1."""
    del constants
    inputs, truth = _input(hp, batch.image[:, 0], batch.landmarks[:, 1]), batch.image[:, 1]
    fake = apply('G', inputs)
    real_logits, fake_logits = losses.apart(apply('D', losses.together(truth, fake), inputs))
    pixels, adversarial = losses.l1(fake, truth), losses.gan_generator([fake_logits], 'log')
    values = {
        'G': adversarial + hp.lambda_l1 * pixels,
        'D': losses.gan_discriminator([real_logits], [fake_logits], 'log'),
    }
    return values, {'l1': pixels, 'gan': adversarial}


def global_terms(hp: Hparams, apply, constants: dict, batch: Batch):
    """Compute Pix2PixHD's losses of G1, at half of the side."""
    inputs = halve(_input(hp, batch.image[:, 0], batch.landmarks[:, 1]))
    return _hd(hp, apply, constants, apply('G1', inputs), halve(batch.image[:, 1]), inputs, 'D1')


def full_terms(hp: Hparams, apply, constants: dict, batch: Batch):
    """Compute Pix2PixHD's losses of G2 over G1."""
    inputs = _input(hp, batch.image[:, 0], batch.landmarks[:, 1])
    fake = _enhanced(apply, inputs)
    return _hd(hp, apply, constants, fake, batch.image[:, 1], inputs, 'D2')


def _hd(hp: Hparams, apply, constants: dict, fake, truth, inputs, network: str):
    """Compute multi-scale LSGAN and feature matching (section 3.3), perceptual loss (section 4)."""
    both = apply(network, losses.together(truth, fake), inputs, features=True)
    real_maps, fake_maps = zip(
        *(zip(*map(losses.apart, scale), strict=True) for scale in both), strict=True
    )
    adversarial = losses.gan_generator([scale[-1] for scale in fake_maps], 'lsgan01')
    matching = losses.feature_matching(fake_maps, real_maps)
    value = adversarial + hp.lambda_features * matching
    metrics = {'l1': losses.l1(fake, truth), 'gan': adversarial, 'features': matching}
    if hp.lambda_vgg:
        a, b = (vgg.features(constants['vgg'], one, 19, hp.vgg_input) for one in (fake, truth))
        metrics['perceptual'] = losses.perceptual(a, b, hp.tap_weights)
        value += hp.lambda_vgg * metrics['perceptual']
    seen, drawn = ([scale[-1] for scale in one] for one in (real_maps, fake_maps))
    return {'G': value, 'D': losses.gan_discriminator(seen, drawn, 'lsgan01')}, metrics


# --- the generators --------------------------------------------------------------------------


def _input(hp: Hparams, image: Float[Array, '_ s s 3'], points: Float[Array, 'b n 2']):
    """Join a generator's input: the source's image, with `source_input`, and landmark image."""
    side, layout = image.shape[1], layouts.of_count(points.shape[1])
    lines = lm.landmark_image(points, layout, side, hp.line_width * side / 256, hp.channels)
    if not hp.source_input:
        return lines
    image = jnp.broadcast_to(image, (points.shape[0], *image.shape[1:]))
    return jnp.concatenate([image, lines], -1)


def _enhanced(apply, inputs: Array) -> Float[Array, 'b s s 3']:
    """Draw with G2 over G1."""
    return apply('G2', inputs, apply('G1', halve(inputs), method='features'))


def _draw(hp: Hparams, apply, image: Array, points: Array) -> Float[Array, 'b s s 3']:
    """Draw the source with these landmarks."""
    inputs = _input(hp, image, points)
    return apply('G', inputs) if hp.variant == 'pix2pix' else _enhanced(apply, inputs)


# --- use -------------------------------------------------------------------------------------


def encode(hp: Hparams, nets: dict, variables: dict, source: Face, background=None) -> dict:
    """Keep the source's image, [b, s, s, 3] in [-1, 1]: nothing is computed from it once."""
    del hp, nets, variables, background
    return {'image': source.image}


def render(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n 2']
) -> Float[Array, 'b s s 3']:
    """Draw frames in [-1, 1] for driving landmarks in the source's pixels; one source, b frames."""
    return _draw(hp, frozen_apply(nets, variables), appearance['image'], landmarks)


def preview(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Draw images [b, s, s, 3] in [-1, 1]: source, driving, its landmark image, result.

    Before stage `local` Pix2PixHD's result is that of an untrained enhancer.
    """
    source, points = batch.image[:, 0], batch.landmarks[:, 1]
    lines = _input(hp, source, points)[..., 3 * hp.source_input :].max(-1, keepdims=True)
    return {
        'source': source,
        'driving': batch.image[:, 1],
        'landmarks': jnp.broadcast_to(lines * 2 - 1, source.shape),
        'result': _draw(hp, frozen_apply(nets, variables), source, points),
    }
