"""FReeNet: unified landmark converter (ULC) and geometry-aware generator (GAG), Zhang et al. 2020.

Words: the paper's **target** T (the portrait) is our **source**; its source S is our **driving**
face; r is the reference expression (neutral), n any expression, R another person.

Networks: psi_1, psi_2 encoders of the reference's and the driver's landmarks, psi_3 decoder of the
shift between them; D_TF and D_S discriminators of landmark sets, real or fake, and of one person or
not; phi the image generator, D its discriminator.

The pose of the result is the reference's, as in the paper (`pose='reference'`), or with section
4.4's change the driver's. The portrait of a user is the reference, though it need not be neutral.
Departures of the official code (github.com/zhangzjn/FReeNet) from the paper are settings whose
defaults are the paper's; the preset `official` sets them all. Where the paper is silent, the
defaults are the official code's and are tested against it (tests/parity).

The paper is silent, so ours: all players step at once; psi and phi are averaged
(`config.ema_decay`).
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
from reenact_jax.nets import freenet as net
from reenact_jax.nets import frozen_apply, vgg
from reenact_jax.nets.blocks import NORMS
from reenact_jax.nets.initial import init_each
from reenact_jax.nets.patch import PatchGAN
from reenact_jax.systems import losses, optimisers
from reenact_jax.systems.freenet import gag, ulc
from reenact_jax.systems.interface import Stage

log = logging.getLogger(__name__)
PSI = ('psi_1', 'psi_2', 'psi_3')
NEEDS = {'transfer': PSI, 'render': ('phi',)}  # networks without which it cannot be called

# Fields of old configs: their names today, and values of those that they lack.
RENAMED = {'gan': lambda form: {'ulc_gan': form, 'gag_gan': form}}
EARLIER = {'vgg_input': 'imagenet', 'epoch': 'tracks', 'form': 'early'}


@dataclasses.dataclass(frozen=True)
class Hparams:
    """FReeNet's settings: the paper's numbers (sections 3.4, 4.1), the code's, and ours."""

    pose: str = setting(
        'reference',
        choices=('reference', 'driving'),
        doc='whose pose the result has; section 4.4: `driving`',
    )
    lambda_l1: float = settings.weight(100.0, 'ULC: weight of L1, eq. 3')
    lambda_cycle: float = settings.weight(10.0, 'ULC: weight of the cycle, eq. 4')
    lambda_d: float = settings.weight(0.1, 'ULC: weight of the adversarial loss; 0: no D_TF, D_S')
    lambda_identity: float = settings.weight(
        0.0, 'ULC: weight of own expression on own neutral face (code: 10)'
    )
    ulc_rate: float = settings.rate(3e-4, 'ULC: learning rate of Adam')
    ulc_b1: float = settings.share(0.99, 'ULC: b1 of Adam')
    ulc_epochs: int = setting(1000, low=0, high=10**6, doc='ULC: epochs (code: 200); 0: no ULC')
    ulc_steps: int = settings.steps(0, 'ULC: number of updates; 0: as many as the epochs have')
    ulc_batch: int = settings.batch(16, 'ULC: rows in a step')
    ulc_width: int = settings.width(512, "ULC: features of a layer, the official code's")
    units: str = setting(
        'box', choices=('box', 'pixels'), doc='units of landmarks, see ulc.py (code: pixels)'
    )
    crop_side: int = setting(
        256, low=1, high=2**16, doc="side of the data's crops in pixels, for units=pixels"
    )
    lambda_pix: float = settings.weight(100.0, 'GAG: weight of L1, eq. 9')
    lambda_adv: float = settings.weight(
        1.0, 'GAG: weight of the adversarial loss, eq. 10 (code: 0.1)'
    )
    lambda_tp: float = settings.weight(0.1, 'GAG: weight of the triplet perceptual loss, eq. 11')
    margin: float = setting(0.3, low=0, high=1e6, doc='GAG: margin m of eq. 11')
    gag_rate: float = settings.rate(2e-4, 'GAG: learning rate of Adam')
    gag_b1: float = settings.share(0.5, 'GAG: b1 of Adam')
    gag_epochs: int = setting(400, low=0, high=10**6, doc='GAG: epochs; 0: no GAG')
    gag_steps: int = settings.steps(0, 'GAG: number of updates; 0: as many as the epochs have')
    epoch: str = setting(
        'images',
        choices=('images', 'tracks'),
        doc='what an epoch counts; the code: its 4,824 images',
    )
    gag_batch: int = settings.batch(4, 'GAG: rows in a step')
    joins: str = setting(
        'every', choices=net.JOINS, doc='GAG: blocks that landmarks join (code: parts)'
    )
    raster_channels: int = setting(1, low=1, high=3, doc='channels of the landmark image (code: 3)')
    condition: str = setting(
        'none',
        choices=('none', 'reference'),
        doc='what D sees beside the image: nothing, eq. 10 (code: reference)',
    )
    positive: str = setting(
        'n2', choices=('n1', 'n2'), doc='eq. 11: image from which I^_T,n3 is drawn (code: n1)'
    )
    ulc_gan: str = setting(
        'log',
        choices=losses.GAN_FORMS,
        doc='ULC: form of the adversarial loss, eqs. 5, 6 (code: lsgan01)',
    )
    gag_gan: str = setting(
        'log', choices=losses.GAN_FORMS, doc='GAG: form of the adversarial loss, eq. 10 (code: log)'
    )
    landmark_image: str = setting(
        'lines',
        choices=('lines', 'circles'),
        doc='landmark image: lines in 0..1, or circles in [-1, 1] as in the code (circles.py)',
    )
    hinge: str = setting(
        'sample',
        choices=('sample', 'batch'),
        doc='eq. 11: hinge of each sample (code: of the batch)',
    )
    vgg_input: str = setting(
        'plain',
        choices=vgg.INPUTS,
        doc="eq. 11: VGG's input; `plain` as in the code, to which m = 0.3 belongs",
    )
    schedule: str = setting(
        'staircase', choices=optimisers.SCHEDULES, doc='schedule of the learning rates'
    )
    gag_schedule: str = setting(
        '',
        choices=('', *optimisers.SCHEDULES),
        doc='GAG: schedule of its own; empty: `schedule` (code: early_linear)',
    )
    ulc_start: str = setting(
        'he', choices=tuple(net.STARTS), doc='ULC: initial weights (code: xavier)'
    )
    # The paper and the code are silent on all below.
    width: int = settings.width(64, "GAG: features of the first level, the official code's")
    blocks: int = setting(9, low=3, high=300, doc="GAG: residual blocks, the official code's")
    dropout: float = setting(
        0.5, low=0, high=0.99, doc="GAG: dropout in the blocks, the official code's"
    )
    norm: str = setting('instance', choices=NORMS, doc="GAG: norm, the official code's")
    form: str = setting(
        'official',
        choices=net.FORMS,
        doc='GAG: form of the layers; `early`: as in workdirs from before the parity test',
    )
    discriminator: int = settings.width(64, 'D (PatchGAN): features of the first level')
    line_width: float = setting(
        1.5,
        low=0.1,
        high=64,
        doc='landmark image: deviation of a line, pixels at 64 x 64 for images of 256 (ours)',
    )
    features: str = setting(
        'vgg16', choices=('vgg16', 'random'), doc='eq. 11: features; `random` is ours'
    )
    vgg_weights: str = setting(
        '', doc="file of VGG16's weights, .npz or .safetensors, see nets/vgg.py; not for `random`"
    )
    random_width: int = setting(
        16, low=1, high=512, doc='features of the first `random` block (ours)'
    )


def networks(hp: Hparams, data: DataInfo) -> dict:
    """Build the paper's networks; ULC's or GAG's are absent where their epochs are 0.

    Raises:
      UserError: both have 0 epochs, or the triplet loss has no ULC.
    """
    points, w, start = 2 * layouts.layout(data.points).count, hp.ulc_width, hp.ulc_start
    nets = {}
    if hp.ulc_epochs:
        nets |= {network: net.Perceptron((w,) * 6, start) for network in PSI[:2]}
        nets['psi_3'] = net.Perceptron((2 * w, w, points), start)
        if hp.lambda_d:
            nets['D_TF'] = net.Perceptron((w, w, w, w, 64, 1), start)
            nets['D_S'] = net.Similarity((w, w, 64), start=start)
    elif hp.gag_epochs and hp.lambda_tp:
        raise UserError(
            'hparams.lambda_tp: the triplet loss needs landmarks that ULC has converted; give '
            'ulc_epochs, or lambda_tp 0'
        )
    if hp.gag_epochs:
        nets['phi'] = net.GAG(hp.width, hp.blocks, hp.joins, hp.dropout, hp.norm, hp.form)
        nets['D'] = PatchGAN(hp.discriminator, padding=1)
    if not nets:
        raise UserError('hparams.ulc_epochs, gag_epochs: both are 0, there is nothing to train')
    return nets


def init(hp: Hparams, nets: dict, rng: jax.Array, batch: Batch) -> dict:
    """Initialise the variables of all networks; of `batch` only shapes matter.

    Raises:
      UserError: GAG does not fit the images' side.
    """
    points, code = jnp.zeros((1, *batch.landmarks.shape[2:])), jnp.zeros((1, hp.ulc_width))
    arguments = dict.fromkeys((*PSI[:2], 'D_TF'), (points,))
    arguments |= {'psi_3': (code, code), 'D_S': (points, points)}
    if 'phi' in nets:
        side = batch.image.shape[2]
        if side % 4 or side < 32:
            raise UserError(f'GAG needs images whose side is a multiple of 4, not {side}')
        image = jnp.zeros((1, side, side, 3))
        drawn = jnp.zeros((1, side // 4, side // 4, hp.raster_channels))
        arguments['phi'] = (image, drawn)
        arguments['D'] = (image, image) if hp.condition == 'reference' else (image,)
    return init_each(nets, rng, {network: arguments[network] for network in nets})


def stages(hp: Hparams, data: DataInfo) -> tuple[Stage, ...]:
    """List the stages of section 3.4: ULC, then GAG with ULC frozen, without those of 0 epochs."""
    table = []
    if hp.ulc_epochs:
        players: dict[str, tuple[str, ...]] = {'psi': PSI}
        players |= {'D_TF': ('D_TF',), 'D_S': ('D_S',)} if hp.lambda_d else {}
        steps = hp.ulc_steps or _steps(hp, hp.ulc_epochs, hp.ulc_batch, data)
        adam = optimisers.adam(hp.ulc_rate, steps, hp.schedule, hp.ulc_b1)
        table.append(
            Stage(
                'ulc',
                players,
                lambda apply, constants, batch, rng: ulc.terms(hp, apply, batch),
                dict.fromkeys(players, adam),
                steps,
                hp.ulc_batch,
                ema=PSI,
                reads=('landmarks', 'reference', 'identity'),
                neighbour='same_expression' if hp.pose == 'reference' else 'same_pose',
            )
        )
    if hp.gag_epochs:
        players = {'G': ('phi',), 'D': ('D',)}
        steps = hp.gag_steps or _steps(hp, hp.gag_epochs, hp.gag_batch, data)
        adam = optimisers.adam(hp.gag_rate, steps, hp.gag_schedule or hp.schedule, hp.gag_b1)
        table.append(
            Stage(
                'gag',
                players,
                lambda apply, constants, batch, rng: gag.terms(hp, apply, constants, batch),
                dict.fromkeys(players, adam),
                steps,
                hp.gag_batch,
                ema=('phi',),
                reads=('image', 'landmarks', 'reference', 'identity'),
            )
        )
    return tuple(table)


def _steps(hp: Hparams, epochs: int, rows: int, data: DataInfo) -> int:
    """Convert epochs to steps."""
    images = data.images if hp.epoch == 'images' else 0
    return max(1, epochs * (images or data.examples) // rows)


def constants(hp: Hparams, load: bool = True) -> dict:
    """Load {'vgg': weights of the triplet loss}, where there is such a loss.

    With load=False the arrays have the right shapes and no file is read.
    """
    if not (hp.gag_epochs and hp.lambda_tp):
        return {}
    if hp.features == 'random' or not load:
        return {'vgg': vgg.random(16, hp.random_width if hp.features == 'random' else 64)}
    weights = vgg.load(hp.vgg_weights, 16)
    log.info('triplet loss: %s from %s', hp.features, hp.vgg_weights)
    return {'vgg': weights}


# --- use -------------------------------------------------------------------------------------


def identify(hp: Hparams, nets: dict, variables: dict, source: Face) -> dict:
    """Return {'points': the source's landmarks [b, n, 2], the reference of all conversions}."""
    del hp, nets, variables
    return {'points': source.landmarks}


def transfer(
    hp: Hparams, nets: dict, variables: dict, identity: dict, driving: Face, first: Face
) -> Float[Array, 'b n 2']:
    """Put the driver's expression on the source's face, in pixels of the source's crop.

    With `pose='reference'` the head stays where and as the source's is; else it turns as the
    driver's and moves as in `landmarks.place`.

    Args:
      identity: of `identify`, one source or as many as there are driving faces.
      driving, first: faces with landmarks [b, n, 2] and [1 or b, n, 2]; `first` is the driver's
        first frame.
    """
    apply = frozen_apply(nets, variables)
    points = jnp.broadcast_to(identity['points'], driving.landmarks.shape)
    converted = ulc.in_pixels(hp, ulc.convert(hp, apply, points, driving.landmarks), points)
    if hp.pose == 'reference' or hp.units == 'pixels':
        return converted
    placed = lm.place(
        lm.box(identity['points']), lm.box(driving.landmarks), lm.box(first.landmarks)
    )
    return lm.denormalise(lm.normalise(converted, *lm.box(converted)), *placed)


def encode(hp: Hparams, nets: dict, variables: dict, source: Face, background=None) -> dict:
    """Compute what phi keeps of the source: features [b, s / 4, s / 4, f]. Once per source."""
    del hp, background  # the image is drawn whole
    apply = frozen_apply(nets, variables)
    return {'features': apply('phi', source.image, method='encode')}


def render(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n 2']
) -> Float[Array, 'b s s 3']:
    """Draw frames in [-1, 1] for driving landmarks in the source's pixels; one source, b frames."""
    features = appearance['features']
    drawn = gag.lines(hp, landmarks, 4 * features.shape[1])
    features = jnp.broadcast_to(features, (landmarks.shape[0], *features.shape[1:]))
    return frozen_apply(nets, variables)('phi', features, drawn, method='decode')


def preview(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Draw in [-1, 1]: ULC's landmarks as lines, or GAG's images and landmark image."""
    if batch.image is None:
        return _preview_ulc(hp, nets, variables, batch)
    source, points = batch.image[:, 0], batch.landmarks[:, 1]
    appearance = encode(hp, nets, variables, Face(image=source))
    drawn = gag.lines(hp, points, source.shape[1]).max(-1, keepdims=True)
    drawn = (drawn + 1) / 2 if hp.landmark_image == 'circles' else drawn
    drawn = jax.image.resize(drawn, (*source.shape[:3], 1), 'nearest')
    return {
        'source': source,
        'driving': batch.image[:, 1],
        'landmarks': jnp.broadcast_to(drawn * 2 - 1, source.shape),
        'result': render(hp, nets, variables, appearance, points),
    }


def _preview_ulc(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Draw the landmarks of reference, driver and result."""
    side, reference = 128, batch.reference[:, 0]
    driving = losses.partner(batch.landmarks[:, 0])
    converted = ulc.in_pixels(
        hp, ulc.convert(hp, frozen_apply(nets, variables), reference, driving), reference
    )
    layout = layouts.of_count(reference.shape[1])

    def draw(points, box):
        points = (lm.normalise(points, *box) * 0.4 + 0.5) * side
        return lm.raster(points, layout, side)[..., None] * 2 - 1

    shown = {'reference': (reference, lm.box(reference)), 'driving': (driving, lm.box(driving))}
    shown |= {'result': (converted, lm.box(reference))}
    return {name: draw(*args) for name, args in shown.items()}
