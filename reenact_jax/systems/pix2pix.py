"""Pix2Pix (Isola et al. 2017) and Pix2PixHD (Wang et al. 2018) with landmarks as their input: the
baselines of LD-Net + FD-GAN (table 3) and FReeNet (table 1).

The input is a landmark image, joined with the source's image where `source_input` is on: then
landmarks are the fourth channel (FReeNet, section 4.3); without it a generator can only draw one
average person. x_T, x'_T: source and driving frame of one track.

Letters: G the U-Net of Pix2Pix with its discriminator D; G1, G2 global generator and local enhancer
of Pix2PixHD with D1, D2 their discriminators, coarse to fine: `global` trains G1 at half of the
side, `local` G2 with G1 frozen, `joint` both.

Ours: all players step at once; the generators are averaged (`config.ema_decay`); D2 starts fresh;
no noise (Pix2Pix keeps dropout in use for that).
"""

import dataclasses
import logging

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

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


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The papers' numbers, and what is ours."""

    variant: str = setting('pix2pixhd', choices=('pix2pix', 'pix2pixhd'), doc='which of the two')
    source_input: bool = setting(True, doc="the source's image is part of the input")
    width: int = setting(64, low=2, high=2**16, doc='features of the first level, both papers')
    downs: int = setting(4, low=1, high=10, doc='pix2pixHD: halvings of G1')
    blocks: int = setting(9, low=0, high=100, doc='pix2pixHD: residual blocks of G1')
    local_blocks: int = setting(3, low=0, high=100, doc='pix2pixHD: residual blocks of G2')
    discriminator: int = setting(64, low=1, high=2**16, doc='width of PatchGANs, both papers')
    lambda_l1: float = setting(100.0, low=0, high=1e6, doc='pix2pix: L1, section 3.3')
    lambda_features: float = setting(
        10.0, low=0, high=1e6, doc='pix2pixHD: feature matching, section 3.3'
    )
    lambda_vgg: float = setting(
        10.0, low=0, high=1e6, doc='pix2pixHD: perceptual, section 4; 0: off'
    )
    features: str = setting(
        'vgg19', choices=('vgg19', 'random'), doc='of the perceptual loss, see nets/vgg.py'
    )
    vgg_weights: str = setting('', doc='.npz or .safetensors, see nets/vgg.py; not for `random`')
    random_width: int = setting(16, low=1, high=2**16, doc='features of the first `random` block')
    rate: float = setting(2e-4, low=0, high=1, doc='Adam, both papers')
    b1: float = setting(0.5, low=0, high=1, doc='Adam, both papers')
    schedule: str = setting(
        'late_linear', choices=optimisers.SCHEDULES, doc='constant, then linear to 0: both papers'
    )
    batch_size: int = setting(2, low=2, high=2**20, doc='pairs of frames (the papers: 1)')
    # Lengths are ours: the papers count epochs of other data.
    steps: int = setting(500_000, low=1, high=2**31 - 1, doc='pix2pix: updates (ours)')
    global_steps: int = setting(300_000, low=0, high=2**31 - 1, doc='pix2pixHD: G1 alone (ours)')
    local_steps: int = setting(50_000, low=0, high=2**31 - 1, doc='pix2pixHD: G2 alone (ours)')
    joint_steps: int = setting(150_000, low=0, high=2**31 - 1, doc='pix2pixHD: both (ours)')
    norm: str = setting(
        'batch', choices=('batch', 'instance', 'layer'), doc="pix2pix's; pix2pixHD's is instance"
    )
    line_width: float = setting(
        1.5, low=0.1, high=64, doc='landmark image: deviation of a line, pixels at 256 x 256 (ours)'
    )
    channels: str = setting(
        'one', choices=lm.CHANNELS, doc='landmark image: all lines in one, or one a part (ours)'
    )


def networks(hp: Hparams, data: DataInfo) -> dict:
    """The variant's networks by letter."""
    del data
    if hp.variant == 'pix2pix':
        return {
            'G': net.UNetGenerator(hp.width, hp.norm),
            'D': PatchGAN(hp.discriminator, padding=1, norm=hp.norm),
        }
    if hp.width % 2:
        raise UserError(f'hparams.width: {hp.width} is odd, the local enhancer has half of it')
    return {
        'G1': net.GlobalGenerator(hp.width, hp.downs, hp.blocks),
        'G2': net.LocalEnhancer(hp.width // 2, hp.local_blocks),
        'D1': MultiScale(width=hp.discriminator),
        'D2': MultiScale(width=hp.discriminator),
    }


def init(hp: Hparams, nets: dict, rng: jax.Array, batch: Batch) -> dict:
    """Fresh variables by letter; of `batch` only shapes matter."""
    side, layout = batch.image.shape[2], layouts.of_count(batch.landmarks.shape[2])
    factor = side if hp.variant == 'pix2pix' else 2 ** (hp.downs + 1)
    if side % factor or (side & (side - 1) and hp.variant == 'pix2pix'):
        need = 'a power of 2' if hp.variant == 'pix2pix' else f'a multiple of {factor}'
        raise UserError(f'{hp.variant} needs images whose side is {need}, the data has {side}')
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
    """Pix2Pix: one stage. Pix2PixHD: coarse to fine, a stage of 0 steps is left out."""
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
    """{'vgg': weights of the perceptual loss}, where there is one."""
    if hp.variant == 'pix2pix' or not hp.lambda_vgg:
        return {}
    if hp.features == 'random' or not load:
        return {'vgg': vgg.random(19, hp.random_width if hp.features == 'random' else 64)}
    weights = vgg.load(hp.vgg_weights, 19)
    log.info('perceptual loss: %s from %s', hp.features, hp.vgg_weights)
    return {'vgg': weights}


# --- losses ----------------------------------------------------------------------------------


def terms(hp: Hparams, apply, constants: dict, batch: Batch):
    """Pix2Pix, eq. 4: conditional GAN (log form) + lambda L1."""
    del constants
    given, truth = _input(hp, batch.image[:, 0], batch.landmarks[:, 1]), batch.image[:, 1]
    fake = apply('G', given)
    real, made = losses.apart(apply('D', losses.together(truth, fake), given))
    pixels, by = losses.l1(fake, truth), losses.gan_generator([made], 'log')
    values = {
        'G': by + hp.lambda_l1 * pixels,
        'D': losses.gan_discriminator([real], [made], 'log'),
    }
    return values, {'l1': pixels, 'gan': by}


def global_terms(hp: Hparams, apply, constants: dict, batch: Batch):
    """Pix2PixHD's losses of G1, at half of the side."""
    given = halve(_input(hp, batch.image[:, 0], batch.landmarks[:, 1]))
    return _hd(hp, apply, constants, apply('G1', given), halve(batch.image[:, 1]), given, 'D1')


def full_terms(hp: Hparams, apply, constants: dict, batch: Batch):
    """Pix2PixHD's losses of G2 over G1."""
    given = _input(hp, batch.image[:, 0], batch.landmarks[:, 1])
    fake = _enhanced(apply, given)
    return _hd(hp, apply, constants, fake, batch.image[:, 1], given, 'D2')


def _hd(hp: Hparams, apply, constants: dict, fake, truth, given, letter: str):
    """Section 3.3: multi-scale LSGAN, feature matching; section 4: perceptual."""
    both = apply(letter, losses.together(truth, fake), given, features=True)
    real, made = zip(*(zip(*map(losses.apart, scale), strict=True) for scale in both), strict=True)
    by = losses.gan_generator([scale[-1] for scale in made], 'lsgan01')
    matching = losses.feature_matching(made, real)
    value = by + hp.lambda_features * matching
    metrics = {'l1': losses.l1(fake, truth), 'gan': by, 'features': matching}
    if hp.lambda_vgg:
        phi = [vgg.features(constants['vgg'], image, 19) for image in (fake, truth)]
        metrics['perceptual'] = losses.perceptual(*phi)
        value += hp.lambda_vgg * metrics['perceptual']
    seen, drawn = ([scale[-1] for scale in one] for one in (real, made))
    return {'G': value, 'D': losses.gan_discriminator(seen, drawn, 'lsgan01')}, metrics


# --- the generators --------------------------------------------------------------------------


def _input(hp: Hparams, image: Float[Array, '#b s s 3'], points: Float[Array, 'b n 2']):
    """What a generator is given: the source's image, if it is to see it, and the landmarks."""
    side, layout = image.shape[1], layouts.of_count(points.shape[1])
    lines = lm.landmark_image(points, layout, side, hp.line_width * side / 256, hp.channels)
    if not hp.source_input:
        return lines
    image = jnp.broadcast_to(image, (points.shape[0], *image.shape[1:]))
    return jnp.concatenate([image, lines], -1)


def _enhanced(apply, given: Array) -> Float[Array, 'b s s 3']:
    return apply('G2', given, apply('G1', halve(given), method='features'))


def _draw(hp: Hparams, apply, image: Array, points: Array) -> Float[Array, 'b s s 3']:
    given = _input(hp, image, points)
    return apply('G', given) if hp.variant == 'pix2pix' else _enhanced(apply, given)


# --- use -------------------------------------------------------------------------------------


def encode(hp: Hparams, nets: dict, variables: dict, source: Face, background=None) -> dict:
    """The source's image, [b, s, s, 3] in [-1, 1]: these networks keep nothing of it."""
    del hp, nets, variables, background
    return {'image': source.image}


def render(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n 2']
) -> Float[Array, 'b s s 3']:
    """Frames in [-1, 1] for driving landmarks in the source's pixels; one source, b frames."""
    return _draw(hp, frozen_apply(nets, variables), appearance['image'], landmarks)


def preview(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Images [b, s, s, 3] in [-1, 1]: source, driving, its landmark image, result.

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
