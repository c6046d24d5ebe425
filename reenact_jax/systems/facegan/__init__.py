"""FACEGAN, "Facial Attribute Controllable rEenactment GAN" (Tripathy et al. 2021): a landmark
transformer driven by action units, a face reenactor, a background mixer.

Words: I_s, l_s are the source's image and landmarks; I_d, l_d those of the driving face, which in
training is another frame of the source's track; AU_d its 17 intensities and head angles.

Networks: LT the landmark transformer, La the regressor of action units, trained beside LT; G_r the
face reenactor with its segmentation head, G_b the background mixer, D_r and D_b their
discriminators. The image networks grow from half of the side to all of it, as pix2pixHD's: 1 is the
inner network (its stage is at half the side), 2 the enhancer around it.

`transfer` takes action units and goes with every generator; `render` takes landmarks and goes with
every transfer.

The paper is silent, so ours: all layers, the optimiser's momenta and schedule, all weights and
lengths; the joint stage moves one sum of all generators' losses; a stage of the larger network
moves the inner one as well; all players step at once; LT and the generators are averaged
(`config.ema_decay`). Departure: La learns from real landmarks alone (`la_on_generated`).
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
from reenact_jax.geometry.layers import Layers
from reenact_jax.nets import facegan as net
from reenact_jax.nets import frozen_apply, vgg
from reenact_jax.nets.initial import init_each
from reenact_jax.nets.mlp import MLP
from reenact_jax.nets.patch import MultiScale, halve
from reenact_jax.systems import losses, optimisers
from reenact_jax.systems.facegan import faces, lt, mixer, reenactor
from reenact_jax.systems.interface import Stage

log = logging.getLogger(__name__)
# Values of the fields that old configs lack.
EARLIER = {'conditional': True, 'lines': 'vectors', 'tap_weights': (), 'vgg_input': 'imagenet'}
AUS = 20  # 17 intensities and three angles, see tracks.py
LANDMARKS, REENACTOR, MIXER = ('LT',), ('G_r1', 'G_r2'), ('G_b1', 'G_b2')
NEEDS = {
    'transfer': LANDMARKS,
    'render': REENACTOR + MIXER,
}  # function -> networks without which it cannot be called
TAKES_BACKGROUND = True  # `encode` can put the face before another background
DRIVEN_BY = ('landmarks', 'aus', 'aus_valid')  # landmarks only for where the head moves


@dataclasses.dataclass(frozen=True)
class Hparams:
    """FACEGAN's settings: the paper's numbers (section 4), and what is ours."""

    rate: float = settings.rate(2e-4, 'learning rate of all networks, section 4')
    lt_batch: int = settings.batch(32, 'LT: pairs of frames in a step, section 4')
    batch_size: int = settings.batch(
        2, 'the other stages: pairs of frames in a step (section 4: 1)'
    )
    la_on_generated: bool = setting(False, doc='whether La learns from l_t too, as eq. 2 prints')
    # The paper names all weights below and gives no numbers.
    lambda_lr: float = settings.weight(0.01, 'eq. 1: weight of the size of the shift')
    lambda_l1: float = settings.weight(10.0, 'eq. 4: weight of the reconstruction')
    lambda_l2: float = settings.weight(0.1, 'eq. 4: weight of the action units')
    lambda_l3: float = settings.weight(10.0, 'eq. 4: weight of the connected landmarks')
    lambda_r1: float = settings.weight(10.0, 'eq. 8: weight of L1')
    lambda_r2: float = settings.weight(10.0, 'eq. 8: weight of the perceptual loss')
    lambda_r3: float = settings.weight(1.0, 'eq. 8: weight of the adversarial loss')
    lambda_r4: float = settings.weight(1.0, 'eq. 8: weight of the cross-entropy')
    lambda_b1: float = settings.weight(0.3, 'eq. 10: weight of the variation of M (a mean)')
    lambda_b2: float = settings.weight(0.1, 'eq. 10: weight of the square of M (a mean)')
    lambda_b3: float = settings.weight(10.0, 'eq. 11: weight of the perceptual loss')
    lambda_b4: float = settings.weight(1.0, 'eq. 11: weight of the adversarial loss')
    lambda_b5: float = settings.weight(10.0, 'eq. 11: weight of L1')
    lt_width: int = settings.width(512, 'LT: features of a layer')
    lt_layers: int = setting(4, low=0, high=100, doc='LT: hidden layers')
    units_known: bool = setting(False, doc='LT is told which action units are known (ours)')
    drop_units: float = setting(
        0.0, low=0, high=0.9, doc='chance that an intensity is hidden from LT in training (ours)'
    )
    la_width: int = settings.width(256, 'La: features of a layer')
    la_layers: int = setting(3, low=0, high=100, doc='La: hidden layers')
    width: int = setting(64, low=2, high=2**16, doc='G_r1, G_b1: features of the first level')
    downs: int = setting(5, low=1, high=10, doc='G_r1, G_b1: halvings')
    reenactor: str = setting(
        'unet',
        choices=net.VARIANTS,
        doc="G_r1: plain, or msrunet in the manner of FSGAN's residual U-Net",
    )
    blocks: int = setting(3, low=0, high=100, doc='G_r2, G_b2: residual blocks')
    discriminator: int = settings.width(64, 'D_r, D_b: features of the first level')
    norm: str = setting(
        'layer',
        choices=('instance', 'layer', 'none'),
        doc='norm of the generators; `instance` drops colours',
    )
    sigma: float = setting(2.0, low=0.1, high=64, doc='H_t: deviation of a point, pixels at 256')
    gan: str = setting(
        'lsgan01', choices=losses.GAN_FORMS, doc="form of the adversarial loss, eq. 7; pix2pixHD's"
    )
    scales: int = setting(2, low=1, high=8, doc="D_r, D_b: scales; 2 as in pix2pixHD's code")
    conditional: bool = setting(
        False,
        doc='D_r, D_b see the input too: the paper does not say; FSGAN, its nearest kin, has none',
    )
    lines: str = setting(
        'distances',
        choices=('distances', 'vectors'),
        doc='eq. 3: distances (D in R^d), or its differences as vectors',
    )
    tap_weights: tuple[float, ...] = setting(
        losses.PIX2PIXHD_TAPS,
        low=0,
        high=1e6,
        doc="eq. 6: weights of VGG19's maps, pix2pixHD's; empty: a plain mean",
    )
    vgg_input: str = setting(
        'plain', choices=vgg.INPUTS, doc="eq. 6: VGG's input; `plain` as in pix2pixHD's code"
    )
    features: str = setting(
        'vgg19', choices=('vgg19', 'random'), doc='eq. 6: features; `random` is ours'
    )
    vgg_weights: str = setting(
        '', doc="file of VGG's weights, .npz or .safetensors, see nets/vgg.py; not for `random`"
    )
    random_width: int = settings.width(16, 'features of the first `random` block')
    b1: float = settings.share(0.5, 'b1 of Adam')
    schedule: str = setting(
        'constant', choices=optimisers.SCHEDULES, doc='schedule of the learning rate, all stages'
    )
    lt_steps: int = settings.steps(200_000, 'updates of LT alone; 0: no such stage')
    r1_steps: int = settings.steps(400_000, 'updates of G_r at half the side')
    r2_steps: int = settings.steps(400_000, 'updates of G_r at the full side')
    b1_steps: int = settings.steps(200_000, 'updates of G_b at half the side')
    b2_steps: int = settings.steps(200_000, 'updates of G_b at the full side')
    joint_steps: int = settings.steps(400_000, 'updates of all networks together')


def networks(hp: Hparams, data: DataInfo) -> dict:
    """Build the paper's networks, those of the stages that have steps.

    Raises:
      UserError: no stage has steps, or the width is odd.
    """
    points, nets = layouts.layout(data.points).count, {}
    if hp.lt_steps or hp.joint_steps:
        nets['LT'] = MLP(2 * points, hp.lt_width, hp.lt_layers)
        nets['La'] = MLP(AUS, hp.la_width, hp.la_layers)
    if hp.r1_steps or hp.r2_steps or hp.b1_steps or hp.b2_steps or hp.joint_steps:
        if hp.width % 2:
            raise UserError(f'hparams.width: {hp.width} is odd, the enhancers have half of it')
        for part, second in (('r', faces.CLASSES), ('b', 1)):
            variant = hp.reenactor if part == 'r' else 'unet'
            nets[f'G_{part}1'] = net.Generator(second, hp.width, hp.downs, hp.norm, variant)
            nets[f'G_{part}2'] = net.Enhancer(second, hp.width // 2, hp.blocks, hp.norm)
            for n in '12':
                nets[f'D_{part}{n}'] = MultiScale(hp.scales, hp.discriminator)
    if not nets:
        raise UserError('hparams.*_steps: all are 0, there is nothing to train')
    return nets


def init(hp: Hparams, nets: dict, rng: jax.Array, batch: Batch) -> dict:
    """Initialise the variables of all networks; of `batch` only shapes matter.

    Raises:
      UserError: the halvings do not fit the images' side.
    """
    points = jnp.zeros((1, *batch.landmarks.shape[2:]))
    units = (jnp.zeros((1, AUS)),) * (1 + hp.units_known)
    arguments = {'LT': (points, *units), 'La': (points,)}
    if 'G_r1' in nets:
        side, factor = batch.image.shape[2], 2 ** (hp.downs + 1)
        if side % factor or side // factor < 2:
            raise UserError(
                f'hparams.downs: {hp.downs} halvings need images whose side is a multiple of '
                f'{factor} and at least {2 * factor}, the data has {side}'
            )
        for part, channels in (('r', 4), ('b', 6)):
            full = jnp.zeros((1, side, side, channels))
            coarse = jnp.zeros((1, side // 2, side // 2, hp.width))
            image = jnp.zeros((1, side, side, 3))
            arguments[f'G_{part}1'] = (halve(full),)
            arguments[f'G_{part}2'] = (full, coarse)
            arguments[f'D_{part}1'] = (halve(image), halve(full))[: 1 + hp.conditional]
            arguments[f'D_{part}2'] = (image, full)[: 1 + hp.conditional]
    return init_each(nets, rng, {network: arguments[network] for network in nets})


def stages(hp: Hparams, data: DataInfo) -> tuple[Stage, ...]:
    """List the stages of section 4: every part alone, small then large, then all end to end.

    Stages of 0 steps are left out.
    """
    del data
    fields = ('image', 'landmarks', 'segmentation', 'identity')

    def stage(name, players, terms, steps, rows, reads):
        adam = optimisers.adam(hp.rate, steps, hp.schedule, hp.b1)
        averaged = tuple(n for own in players.values() for n in own if n[0] in 'GL' and n != 'La')

        def stage_losses(apply, constants, batch, rng):
            return terms(hp, apply, constants, batch, rng)

        tx = dict.fromkeys(players, adam)
        made = Stage(name, players, stage_losses, tx, steps, rows, ema=averaged, reads=reads)
        return made._replace(neighbour='unused')

    def images(name, own, network, terms, steps):
        players = {own[0][:-1]: own, network[:-1]: (network,)}
        return stage(name, players, terms, steps, hp.batch_size, fields)

    every = (
        stage(
            'lt', {'LT': LANDMARKS, 'La': ('La',)}, _landmark_terms, hp.lt_steps, hp.lt_batch,
            ('landmarks', 'aus', 'aus_valid', 'identity'),
        ),
        images('reenactor_half', ('G_r1',), 'D_r1', _reenactor(False), hp.r1_steps),
        images('reenactor', REENACTOR, 'D_r2', _reenactor(True), hp.r2_steps),
        images('mixer_half', ('G_b1',), 'D_b1', _mixer(False), hp.b1_steps),
        images('mixer', MIXER, 'D_b2', _mixer(True), hp.b2_steps),
        stage(
            'joint',
            {'G': LANDMARKS + REENACTOR + MIXER, 'La': ('La',), 'D_r': ('D_r2',), 'D_b': ('D_b2',)},
            _joint_terms, hp.joint_steps, hp.batch_size, (*fields, 'aus', 'aus_valid'),
        ),
    )  # fmt: skip
    return tuple(one for one in every if one.steps)


def constants(hp: Hparams, load: bool = True) -> dict:
    """Load {'vgg': weights of the perceptual losses}, where there are such losses.

    With load=False the arrays have the right shapes and no file is read.
    """
    images = hp.r1_steps or hp.r2_steps or hp.b1_steps or hp.b2_steps or hp.joint_steps
    if not images or not (hp.lambda_r2 or hp.lambda_b3):
        return {}
    if hp.features == 'random' or not load:
        return {'vgg': vgg.random(19, hp.random_width if hp.features == 'random' else 64)}
    weights = vgg.load(hp.vgg_weights, 19)
    log.info('perceptual loss: %s from %s', hp.features, hp.vgg_weights)
    return {'vgg': weights}


# --- losses ----------------------------------------------------------------------------------


def _landmark_terms(hp, apply, constants, batch, rng):
    """Compute the losses of stage `lt`."""
    del constants
    values, metrics, _ = lt.terms(hp, apply, batch, rng)
    return values, metrics


def _reenactor(fine: bool):
    """Make the losses of G_r's stage at half (`fine` off) or at the full side."""

    def terms(hp, apply, constants, batch, rng):
        del rng
        batch = batch if fine else _half(batch)
        points = batch.landmarks[:, 1]
        value, against, metrics, _ = reenactor.terms(hp, apply, constants, batch, points, fine)
        return {'G_r': value, 'D_r': against}, metrics

    return terms


def _mixer(fine: bool):
    """Make the losses of G_b's stage at half (`fine` off) or at the full side."""

    def terms(hp, apply, constants, batch, rng):
        del rng
        batch = batch if fine else _half(batch)
        cut, _ = reenactor.cut(hp, apply, batch.image[:, 0], batch.landmarks[:, 1], fine)
        value, against, metrics = mixer.terms(hp, apply, constants, batch, cut, fine)
        return {'G_b': value, 'D_b': against}, metrics

    return terms


def _joint_terms(hp, apply, constants, batch, rng):
    """Compute all losses on one chain: action units to landmarks, to the face, to the image."""
    values, metrics, points = lt.terms(hp, apply, batch, rng)
    face, by_r, more, cut = reenactor.terms(hp, apply, constants, batch, points, True)
    whole, by_b, most = mixer.terms(hp, apply, constants, batch, cut, True)
    values = {'G': values['LT'] + face + whole, 'La': values['La'], 'D_r': by_r, 'D_b': by_b}
    return values, metrics | more | most


def _half(batch: Batch) -> Batch:
    """Halve a batch's images, landmarks and masks."""
    flat = batch.image.reshape(-1, *batch.image.shape[2:])
    image = halve(flat).reshape(*batch.image.shape[:2], *(one // 2 for one in flat.shape[1:3]), 3)
    return dataclasses.replace(
        batch,
        image=image,
        landmarks=batch.landmarks / 2,
        segmentation=batch.segmentation[:, :, ::2, ::2],
    )


# --- use -------------------------------------------------------------------------------------


def identify(hp: Hparams, nets: dict, variables: dict, source: Face) -> dict:
    """Return {'points': the source's landmarks [b, n, 2]}."""
    del hp, nets, variables
    return {'points': source.landmarks}


def transfer(
    hp: Hparams, nets: dict, variables: dict, identity: dict, driving: Face, first: Face
) -> Float[Array, 'b n 2']:
    """Move the source's landmarks by the driver's action units, in pixels of the source's crop.

    Action units do not say where a head is: the middle between the eyes moves as the driver's has
    moved since `first`, in units of box size (ours; the paper pins it in every crop). If the source
    is also driver and `first`, for example with edited action units, it stays.

    Args:
      identity: of `identify`, one source or as many as there are driving faces.
      driving, first: faces with `aus` [b, 20] (those not `aus_valid` are taken as 0) and
        `landmarks`; `first` is the driver's first frame.
    """
    source = identity['points']
    unit = lm.box(source)[1]
    points = jnp.broadcast_to(lt.pinned(source, unit), driving.landmarks.shape)
    known = driving.aus_valid > 0
    moved = lt.moved(hp, frozen_apply(nets, variables), points, driving.aus, known)
    scale = unit / lm.box(first.landmarks)[1]
    offset = (lm.eye_middle(driving.landmarks) - lm.eye_middle(first.landmarks)) * scale[
        :, None, None
    ]
    return moved * unit[:, None, None] + lm.eye_middle(source) + offset


def encode(hp: Hparams, nets: dict, variables: dict, source: Face, background=None) -> dict:
    """Compute what rendering needs of the source: its image, and I_b, what is behind the head.

    The source's mask is the stored one; without one, G_r draws it for the source's landmarks.

    Args:
      background: another image [1, s, s, 3] in [-1, 1] to put the face on; it gets the same hole.
    """
    if source.segmentation is not None:
        inside = faces.head(source.segmentation)
    else:
        apply = frozen_apply(nets, variables)
        _, logits = reenactor.draw(hp, apply, source.image, source.landmarks, True)
        inside = faces.probability(logits)
    scene = source.image if background is None else background
    return {'image': source.image, 'background': scene * (1 - inside), 'inside': inside}


def render(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n 2']
) -> Float[Array, 'b s s 3']:
    """Draw frames in [-1, 1] for driving landmarks in the source's pixels; one source, b frames."""
    return pieces(hp, nets, variables, appearance, landmarks)['result']


def layers(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n 2']
) -> Layers:
    """Return eq. 9 as layers (layers.py): M * I_c painted over the source with the hole of I_b.

    They show the source on its own background: I_r = (1 - M)(1 - S) I_s + M I_c, S being the
    source's face and hair.
    """
    images = pieces(hp, nets, variables, appearance, landmarks)
    mask = (1 - images['mask']) * (1 - appearance['inside'])
    paint = images['mask'] * images['content'] / jnp.maximum(1 - mask, 1e-6)
    return Layers(jnp.zeros((*mask.shape[:3], 2)), mask, paint, {})


def pieces(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n 2']
) -> dict[str, Float[Array, 'b s s _']]:
    """Return what `render` makes its frames of, and the frames.

    Returns:
      face: S_fr * I_fr; share: S_fr, of face or hair; content: I_c; mask: M; result: I_r.
    """
    apply = frozen_apply(nets, variables)
    face, share = reenactor.cut(hp, apply, appearance['image'], landmarks, True)
    background = jnp.broadcast_to(appearance['background'], face.shape)
    content, mask = mixer.parts(apply, face, background, True)
    result = mixer.joined(content, mask, background)
    return {'face': face, 'share': share, 'content': content, 'mask': mask, 'result': result}


def preview(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Draw in [-1, 1]: source, driving, I_fr without background, M, result; or only lines."""
    if batch.image is None:
        return _preview_lines(hp, nets, variables, batch)
    source = batch.image[:, 0]
    appearance = encode(hp, nets, variables, Face(image=source, landmarks=batch.landmarks[:, 0]))
    images = pieces(hp, nets, variables, appearance, batch.landmarks[:, 1])
    return {
        'source': source,
        'driving': batch.image[:, 1],
        'face': images['face'],
        'mask': jnp.broadcast_to(images['mask'] * 2 - 1, source.shape),
        'result': images['result'],
    }


def _preview_lines(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Draw the landmarks of source, driver and result, for a stage that reads no images."""
    side, source, driving = 128, batch.landmarks[:, 0], batch.landmarks[:, 1]
    unit, layout = lm.box(source)[1], layouts.of_count(source.shape[1])
    pinned = lt.pinned(source, unit)
    aus, known = batch.aus[:, 1], batch.aus_valid[:, 1]
    moved = lt.moved(hp, frozen_apply(nets, variables), pinned, aus, known)

    def draw(points):
        return lm.raster((points * 0.4 + 0.4) * side, layout, side)[..., None] * 2 - 1

    shown = {'source': pinned, 'driving': lt.pinned(driving, unit), 'result': moved}
    return {name: draw(points) for name, points in shown.items()}
