"""AAN: one-shot face reenactment with appearance adaptive normalization (Yao et al. 2021).

Letters: E_a appearance extractor, FEN flow estimation, G_local the local nets, G_f fusion net;
D_L and D_I discriminators of pose and expression, and of identity. In the losses I_s, I_d are
source and driving image, S_s, S_d their heatmaps; source and driving are two frames of a track.

The paper is silent, so ours: all widths; the blocks' insides; the part crops (upright squares of
`part_size`, a similarity transform, with the part's own heatmaps); F_a from the decoder's level of
its own size; Theta's heads start near gamma 1 and beta 0, the flow at 0, by a learned gain, which
all output layers have and which spectral norm does not bound (`blocks.Head`); all players step at
once; the generator is averaged (`config.ema_decay`; 0 switches it off) and the average is what is
exported. Eq. 6 prints three images for D_I; the text below it has two, and so has this file. Sizes
in pixels are for 256 x 256 and scale with it.

The paper moves landmarks between people by MarioNETte's transformer before all this; here that is
the part of any system with a `transfer` (LD-Net, say), joined at export. The sub-nets are in
nets/appearance.py.
"""

import dataclasses
import logging

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax import images, layouts, losses, optimisers
from reenact_jax import landmarks as lm
from reenact_jax.errors import UserError
from reenact_jax.layouts import LOCAL_PARTS, local_points
from reenact_jax.nets import appearance as net
from reenact_jax.nets import blocks, frozen_apply, vgg
from reenact_jax.nets.initial import init_each
from reenact_jax.nets.patch import MultiScale
from reenact_jax.settings import setting
from reenact_jax.step import Stage
from reenact_jax.tracks import Batch, DataInfo, Face

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The paper's numbers (section "Implementation"), and what is ours."""

    lambda_gan: float = setting(
        10.0, low=0, high=1e6, doc='adversarial, eq. 5; 0: no discriminators'
    )
    lambda_c: float = setting(5.0, low=0, high=1e6, doc='content (L1 + perceptual), eqs. 5 and 7')
    lambda_local: float = setting(5.0, low=0, high=1e6, doc='local regions, eqs. 5 and 9')
    rate: float = setting(2e-5, low=0, high=1, doc='Adam of the generator')
    d_rate: float = setting(1e-5, low=0, high=1, doc='Adam of the discriminators')
    sigma: float = setting(
        3**0.5,
        low=0.1,
        high=64,
        doc='heatmaps: variance 3; pixels at 256 x 256, in part crops too (ours)',
    )
    local_net: bool = setting(True, doc='off: table 3, "-local net"')
    modulation: str = setting('aan', choices=('aan', 'spade'), doc='table 3, "-aan +spade"')
    spectral: bool = setting(True, doc='spectral norm on every convolution of the generator')
    gan: str = setting(
        'log', choices=losses.GAN_FORMS, doc="eq. 6 is `log`; G's term non-saturating (ours)"
    )
    flow_stride: int = setting(
        1,
        low=1,
        high=64,
        doc='FEN works at image size / this, and so big is the flow (1 as printed)',
    )
    local: tuple[int, ...] = setting(
        (32, 64, 128, 256),
        least=1,
        low=1,
        high=2**16,
        doc='local nets: three down, three up; the widths are ours',
    )
    discriminator: int = setting(
        64, low=1, high=2**16, doc="width; two scales of three layers: Wang et al. 2018's"
    )
    features: str = setting(
        'vgg19',
        choices=('vgg19', 'vgg16', 'random'),
        doc='perceptual loss, eq. 8: a pretrained VGG, which one is ours; taps in vgg.py',
    )
    vgg_weights: str = setting('', doc='.npz or .safetensors, see nets/vgg.py; not for `random`')
    # The paper is silent on all below.
    b1: float = setting(0.5, low=0, high=1, doc='Adam (ours)')
    schedule: str = setting('constant', choices=optimisers.SCHEDULES, doc='learning rate (ours)')
    steps: int = setting(500_000, low=1, high=2**31 - 1, doc='updates (ours)')
    batch_size: int = setting(8, low=2, high=2**20, doc='pairs of frames in a step (ours)')
    statistics: str = setting(
        'batch', choices=('batch', 'instance'), doc='mu and sigma of the adaptive norm (ours)'
    )
    norm: str = setting('batch', choices=blocks.NORMS, doc='norm of the other sub-nets (ours)')
    extractor: tuple[int, ...] = setting(
        (64, 128, 256, 512, 512),
        least=1,
        low=1,
        high=2**16,
        doc='E_a: widths by level from the full size (ours)',
    )
    fusion: tuple[int, ...] = setting(
        (256, 128, 64),
        least=1,
        low=1,
        high=2**16,
        doc='G_f: widths of the blocks, coarse to full size; F_a has the first',
    )
    residuals: int = setting(
        2, low=0, high=100, doc='G_f: residual layers behind the blocks (ours)'
    )
    flow: tuple[int, ...] = setting(
        (32, 64, 128, 256, 256), least=1, low=1, high=2**16, doc='FEN: widths by level (ours)'
    )
    soft: bool = setting(False, doc='G_f: 2x2 means behind pixel shuffle, against its grid (ours)')
    part_size: int = setting(64, low=8, high=256, doc='side of the part crops at 256 x 256 (ours)')
    part_margin: float = setting(
        1.5, low=1, high=10, doc='part crop: side over that of its points (ours)'
    )
    random_width: int = setting(16, low=1, high=2**16, doc='features of the first `random` block')


def networks(hp: Hparams, data: DataInfo) -> dict:
    """The paper's sub-nets and discriminators by letter; some are absent in an ablation."""
    del data
    if len(hp.extractor) < len(hp.fusion):
        raise UserError(
            f'hparams.extractor: {len(hp.extractor)} levels do not reach the {len(hp.fusion)} '
            'blocks of hparams.fusion; give at least as many'
        )
    style = dict(norm=hp.norm, spectral=hp.spectral)
    nets = {
        'E_a': net.Extractor(hp.extractor, hp.fusion, hp.modulation == 'aan', **style),
        'FEN': net.FlowNet(hp.flow, **style),
        'G_local': net.LocalNets(hp.local, **style),
        'G_f': net.Fusion(
            hp.fusion, hp.residuals, hp.modulation, hp.statistics, hp.soft, hp.spectral
        ),
        'D_L': MultiScale(width=hp.discriminator),
        'D_I': MultiScale(width=hp.discriminator),
    }
    left_out = [] if hp.local_net else ['G_local']
    left_out += [] if hp.lambda_gan else ['D_L', 'D_I']
    return {letter: one for letter, one in nets.items() if letter not in left_out}


def init(hp: Hparams, nets: dict, rng: jax.Array, batch: Batch) -> dict:
    """Fresh variables by letter; of `batch` only shapes matter."""
    side, n = batch.image.shape[2], batch.landmarks.shape[2]
    _check_side(hp, side)
    full, maps = jnp.zeros((1, side, side, 3)), jnp.zeros((1, side, side, n))
    rough = jnp.zeros((1, side // hp.flow_stride, side // hp.flow_stride, n))
    coarse = side // 2 ** (len(hp.fusion) - 1)
    theta = []
    for i, width in enumerate(hp.fusion):
        pair = jnp.zeros((1, coarse * 2**i, coarse * 2**i, width))
        theta.append((pair, pair) if hp.modulation == 'aan' else full)
    part = part_side(hp, side)
    layout = layouts.of_count(n)
    crops = {
        name: jnp.zeros((1, part, part, 3 + 2 * len(local_points(layout, name))))
        for name in LOCAL_PARTS
    }
    canvas = jnp.zeros((1, side, side, 3 * len(LOCAL_PARTS))) if hp.local_net else None
    arguments = {
        'E_a': (full,),
        'FEN': (rough, rough),
        'G_local': (crops,),
        'G_f': (jnp.zeros((1, coarse, coarse, hp.fusion[0])), theta, canvas),
        'D_L': (full, maps),
        'D_I': (full, full),
    }
    return init_each(nets, rng, {letter: arguments[letter] for letter in nets})


def _check_side(hp: Hparams, side: int) -> None:
    for name, widths, scale in (('extractor', hp.extractor, 1), ('flow', hp.flow, hp.flow_stride)):
        factor = scale * 2 ** (len(widths) - 1)
        if side % factor:
            raise UserError(
                f'hparams.{name}: {len(widths)} levels need images whose side is a multiple of '
                f'{factor}, the data has {side} pixels; use fewer levels or other data'
            )


def stages(hp: Hparams, data: DataInfo) -> tuple[Stage, ...]:
    """One stage: the four sub-nets together, end to end, against both discriminators."""
    del data
    generator = ('E_a', 'FEN', 'G_local', 'G_f') if hp.local_net else ('E_a', 'FEN', 'G_f')
    players = {'G': generator}
    tx = {'G': optimisers.adam(hp.rate, hp.steps, hp.schedule, hp.b1)}
    if hp.lambda_gan:
        players['D'] = ('D_L', 'D_I')
        tx['D'] = optimisers.adam(hp.d_rate, hp.steps, hp.schedule, hp.b1)

    def stage_losses(apply, constants, batch, rng):
        del rng
        return terms(hp, apply, constants, batch)

    return (
        Stage(
            'aan',
            players,
            stage_losses,
            tx,
            hp.steps,
            hp.batch_size,
            ema=generator,
            reads=('image', 'landmarks', 'identity'),
        ),
    )


def constants(hp: Hparams, load: bool = True) -> dict:
    """{'vgg': weights of the perceptual loss}. UserError when a file is needed and absent.

    load: False gives arrays of the right shapes instead of a file's weights.
    """
    if not load:
        return {'vgg': vgg.random(depth(hp), hp.random_width if hp.features == 'random' else 64)}
    if hp.features == 'random':
        log.info('perceptual loss: random features of width %d', hp.random_width)
        return {'vgg': vgg.random(depth(hp), hp.random_width)}
    weights = vgg.load(hp.vgg_weights, depth(hp))
    log.info('perceptual loss: %s from %s', hp.features, hp.vgg_weights)
    return {'vgg': weights}


def depth(hp: Hparams) -> int:
    """VGG's depth; random features have VGG19's form."""
    return 16 if hp.features == 'vgg16' else 19


# --- losses ----------------------------------------------------------------------------------


def terms(hp: Hparams, apply, constants: dict, batch: Batch):
    """Eqs. 5 to 9: I_s is frame 0, I_d frame 1."""
    i_s, i_d = batch.image[:, 0], batch.image[:, 1]
    l_s, l_d = batch.landmarks[:, 0], batch.landmarks[:, 1]
    made = _render(hp, apply, _encode(hp, apply, i_s, l_s), l_d)
    fake = made['image']

    def phi(image):
        return vgg.features(constants['vgg'], image, depth(hp))

    pixels, perceptual = losses.l1(fake, i_d), losses.perceptual(phi(fake), phi(i_d))
    content = pixels + perceptual  # eq. 7
    value = hp.lambda_c * content
    metrics = {'l1': pixels, 'perceptual': perceptual, 'flow': jnp.abs(made['flow']).mean()}
    if hp.local_net:
        truth = losses.together(*(_crop(hp, i_d, l_d, part)[0] for part in LOCAL_PARTS))
        parts = losses.together(*(made['parts'][part] for part in LOCAL_PARTS))
        # A mean over four equal regions times four: the sum of eq. 9.
        local = losses.perceptual(phi(parts), phi(truth)) * len(LOCAL_PARTS)
        value, metrics['local'] = value + hp.lambda_local * local, local
    values = {'G': value}
    if hp.lambda_gan:
        s_d = _heatmaps(hp, l_d, i_d.shape[1], i_d.shape[1])
        against, metrics['gan'] = _adversarial(hp, apply, fake, i_d, i_s, s_d)
        values = {'G': value + hp.lambda_gan * metrics['gan'], 'D': against}
        metrics['D'] = against
    return values, metrics


def _adversarial(hp: Hparams, apply, fake, i_d, i_s, s_d):
    """Eq. 6: what D_L and D_I minimise together, and what the generator does."""
    against = by = 0.0
    for letter, condition in (('D_L', s_d), ('D_I', i_s)):
        both = apply(letter, losses.together(i_d, fake), condition)
        real, made = zip(*(losses.apart(scale) for scale in both), strict=True)
        against += losses.gan_discriminator(real, made, hp.gan)
        by += losses.gan_generator(made, hp.gan)
    return against, by


# --- the generator ---------------------------------------------------------------------------


def _encode(hp: Hparams, apply, image: Float[Array, 'b h w 3'], points: Float[Array, 'b n 2']):
    """What the source alone gives: Theta, F_a, S_s and the source's part crops."""
    side = image.shape[1]
    features, theta = apply('E_a', image)
    if hp.modulation == 'spade':
        theta = [image] * len(hp.fusion)
    appearance = {
        'F_a': features,
        'theta': theta,
        'S_s': _heatmaps(hp, points, side, side // hp.flow_stride),
        'image': image,
    }
    if hp.local_net:
        crops = {part: _crop(hp, image, points, part) for part in LOCAL_PARTS}
        appearance['parts'] = {part: jnp.concatenate(crops[part][:2], -1) for part in crops}
    return appearance


def _render(hp: Hparams, apply, appearance: dict, points: Float[Array, 'b n 2']) -> dict:
    """The image, the flow, the warped features and the parts for driving landmarks `points`.

    One source (leading axis 1) serves any number of frames.
    """
    side, frames = appearance['image'].shape[1], points.shape[0]

    def spread(x):
        return jnp.broadcast_to(x, (frames, *x.shape[1:]))

    s_d = _heatmaps(hp, points, side, side // hp.flow_stride)
    flow = apply('FEN', spread(appearance['S_s']), s_d)
    features = spread(appearance['F_a'])
    small = images.resize(flow, features.shape[1])
    warped = images.warp(features, small)
    parts, canvas = {}, None
    if hp.local_net:
        cut = {part: _crop(hp, None, points, part, side) for part in LOCAL_PARTS}
        inputs = {
            part: jnp.concatenate([spread(appearance['parts'][part]), cut[part][1]], -1)
            for part in LOCAL_PARTS
        }
        parts = apply('G_local', inputs)
        canvas = jnp.concatenate(
            [images.part_paste(parts[part], cut[part][2], side) for part in LOCAL_PARTS], -1
        )
    image = apply('G_f', warped, appearance['theta'], canvas)
    return {'image': image, 'flow': flow, 'parts': parts}


def _heatmaps(hp: Hparams, points: Float[Array, 'b n 2'], side: int, size: int):
    """Heatmaps of `size` for points in pixels of `side`; sigma is in pixels at 256."""
    return lm.heatmaps(points * (size / side), size, hp.sigma * size / 256)


def _crop(hp: Hparams, image, points: Float[Array, 'b n 2'], part: str, side: int | None = None):
    """(crop or None, its heatmaps, its frame) of one part."""
    side = image.shape[1] if side is None else side
    size = part_side(hp, side)
    own = points[:, jnp.array(local_points(layouts.of_count(points.shape[1]), part))]
    frame = images.part_frame(own, size, hp.part_margin)
    inside = lm.transform(own, lm.invert(frame))
    maps = lm.heatmaps(inside, size, hp.sigma * side / 256)
    crop = None if image is None else images.part_crop(image, frame, size)
    return crop, maps, frame


def part_side(hp: Hparams, side: int) -> int:
    """Side of the part crops of a `side` pixel image; divisible by the local nets' halvings."""
    step = 2 ** (len(hp.local) - 1)
    least = max(vgg.LEAST_SIDE, hp.part_size * side / 256)
    return -(-int(least) // step) * step


# --- use -------------------------------------------------------------------------------------


def encode(hp: Hparams, nets: dict, variables: dict, source: Face, background=None) -> dict:
    """The source's appearance: image [b, h, w, 3] in [-1, 1] and landmarks [b, n, 2]. Once."""
    del background  # the image is drawn whole
    return _encode(hp, frozen_apply(nets, variables), source.image, source.landmarks)


def render(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n 2']
) -> Float[Array, 'b h w 3']:
    """Frames in [-1, 1] for driving landmarks in the source's pixels; one source, b frames."""
    return _render(hp, frozen_apply(nets, variables), appearance, landmarks)['image']


def preview(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Images [b, h, w, 3] in [-1, 1]: inputs, flow as colours, the warped source, the result."""
    apply = frozen_apply(nets, variables)
    i_s, i_d = batch.image[:, 0], batch.image[:, 1]
    side = i_s.shape[1]
    made = _render(hp, apply, _encode(hp, apply, i_s, batch.landmarks[:, 0]), batch.landmarks[:, 1])
    flow = images.resize(made['flow'], side)
    heat = _heatmaps(hp, batch.landmarks[:, 1], side, side).max(-1, keepdims=True)
    return {
        'source': i_s,
        'driving': i_d,
        'heatmaps': jnp.broadcast_to(heat * 2 - 1, i_s.shape),
        'flow': images.flow_colours(flow),
        'warped': images.warp(i_s, flow),
        'result': made['image'],
    }
