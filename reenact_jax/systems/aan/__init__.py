"""AAN: one-shot face reenactment with appearance adaptive normalization (Yao et al. 2021).

Networks: E_a the appearance extractor, FEN flow estimation, G_local the local nets, G_f the fusion
net; D_L and D_I discriminators of pose and expression, and of identity. In the losses I_s, I_d are
source and driving image, S_s, S_d their heatmaps; source and driving are two frames of a track.

The paper is silent, so ours: all widths; the blocks' insides; the part crops (upright squares of
`part_size`, a similarity transform, with the part's own heatmaps); F_a comes from the decoder's
level of its own size; Theta's heads start near gamma 1 and beta 0, the flow at 0, by a learned
gain, which all output layers have and which spectral norm does not bound (`blocks.Head`); all
players step at once; the generator is averaged (`config.ema_decay`; 0 switches it off) and the
average is exported. Eq. 6 prints three images for D_I; the text below it has two, and so has this
file. Sizes in pixels are for 256 x 256 and scale with it.

Ours, and off in the paper's preset: `prior`, `prior_reach`, `flow_bound`, `mask`, `part_masks`,
`inner_mouth`, `mouth_palette`, `occlusion`, `unseen` (hparams.py). With them the network warps what
the source shows and paints what it does not, and offers `layers`.

The paper first moves landmarks between people by MarioNETte's transformer; here any system with a
`transfer` does so (MarioNETte's, LD-Net), joined at export.

Files: hparams.py the numbers, generator.py the generator (`draw`: warp, mask, paint, parts),
terms.py the losses, palette.py the colours of mouths; here networks and stages. The sub-nets are in
nets/aan.py.
"""

import logging
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry import composition, heads, images, layouts
from reenact_jax.geometry.layers import Layers
from reenact_jax.geometry.layouts import local_points
from reenact_jax.nets import aan as net
from reenact_jax.nets import frozen_apply, vgg
from reenact_jax.nets.initial import init_each
from reenact_jax.nets.modulation import condition_of
from reenact_jax.nets.patch import MultiScale
from reenact_jax.systems import optimisers
from reenact_jax.systems.aan import generator
from reenact_jax.systems.aan.hparams import Hparams, check, depth, part_side, parts_of
from reenact_jax.systems.aan.terms import terms
from reenact_jax.systems.interface import Stage

log = logging.getLogger(__name__)

# Fields of old configs: their names today, and values of those that they lack.
RENAMED = {'soft': lambda soft: {'upscale': 'shuffle_soft' if soft else 'shuffle'}}
EARLIER = {'spade_map': 'bilinear'}


def networks(hp: Hparams, data: DataInfo) -> dict:
    """Build the paper's sub-nets and discriminators; an ablation leaves some out.

    Raises:
      UserError: settings contradict each other.
    """
    del data
    check(hp)
    style: dict[str, Any] = dict(norm=hp.norm, spectral=hp.spectral)
    nets = {
        'E_a': net.Extractor(
            hp.extractor, hp.fusion, condition_of(hp.modulation) == 'theta', **style
        ),
        'FEN': net.FlowNet(hp.flow, **style),
        'G_local': net.LocalNets(hp.local, **style, masks=hp.part_masks),
        'G_f': net.Fusion(
            hp.fusion,
            hp.residuals,
            hp.modulation,
            hp.statistics,
            hp.upscale,
            hp.spectral,
            hp.mask,
            hp.spade_map,
            hp.spade_hidden,
        ),
        'D_L': MultiScale(hp.scales, hp.discriminator),
        'D_I': MultiScale(hp.scales, hp.discriminator),
    }
    left_out = [] if hp.local_net else ['G_local']
    left_out += [] if hp.lambda_gan else ['D_L', 'D_I']
    return {name: network for name, network in nets.items() if name not in left_out}


def init(hp: Hparams, nets: dict, rng: jax.Array, batch: Batch) -> dict:
    """Initialise the variables of all networks; of `batch` only shapes matter.

    Raises:
      UserError: the levels do not fit the images' side.
    """
    side, n = batch.image.shape[2], batch.landmarks.shape[2]
    _check_side(hp, side)
    full, maps = jnp.zeros((1, side, side, 3)), jnp.zeros((1, side, side, n))
    strided = jnp.zeros((1, side // hp.flow_stride, side // hp.flow_stride, n))
    coarse = side // 2 ** (len(hp.fusion) - 1)
    theta = []
    for i, width in enumerate(hp.fusion):
        pair = jnp.zeros((1, coarse * 2**i, coarse * 2**i, width))
        theta.append((pair, pair) if condition_of(hp.modulation) == 'theta' else full)
    part = part_side(hp, side)
    layout = layouts.of_count(n)
    images_in = 3 + 3 * hp.part_masks + 2 * hp.unseen
    crops = {
        name: jnp.zeros((1, part, part, images_in + 2 * len(local_points(layout, name))))
        for name in parts_of(hp)
    }
    canvas = jnp.zeros((1, side, side, 3 * len(crops))) if hp.local_net else None
    seen = jnp.zeros((1, side, side, 4 + 2 * hp.occlusion + hp.unseen)) if hp.mask else None
    arguments = {
        'E_a': (full,),
        'FEN': (strided, strided),
        'G_local': (crops,),
        'G_f': (jnp.zeros((1, coarse, coarse, hp.fusion[0])), theta, canvas, seen),
        'D_L': (full, maps),
        'D_I': (full, full),
    }
    return init_each(nets, rng, {network: arguments[network] for network in nets})


def _check_side(hp: Hparams, side: int) -> None:
    """Reject images whose side the levels cannot halve evenly."""
    for name, widths, scale in (('extractor', hp.extractor, 1), ('flow', hp.flow, hp.flow_stride)):
        factor = scale * 2 ** (len(widths) - 1)
        if side % factor:
            raise UserError(
                f'hparams.{name}: {len(widths)} levels need images whose side is a multiple of '
                f'{factor}, the data has {side} pixels; use fewer levels or other data'
            )


def stages(hp: Hparams, data: DataInfo) -> tuple[Stage, ...]:
    """List the one stage: the four sub-nets together, end to end, against both discriminators."""
    del data
    generator = ('E_a', 'FEN', 'G_local', 'G_f') if hp.local_net else ('E_a', 'FEN', 'G_f')
    players: dict[str, tuple[str, ...]] = {'G': generator}
    tx = {'G': optimisers.adam(hp.rate, hp.steps, hp.schedule, hp.b1)}
    if hp.lambda_gan:
        players['D'] = ('D_L', 'D_I')
        tx['D'] = optimisers.adam(hp.d_rate, hp.steps, hp.schedule, hp.b1)

    def stage_losses(apply, constants, batch, rng):
        return terms(hp, apply, constants, batch, rng)

    return (
        Stage(
            'aan',
            players,
            stage_losses,
            tx,
            hp.steps,
            hp.batch_size,
            ema=generator,
            reads=('image', 'landmarks', 'identity') + ('landmarks3d',) * hp.occlusion,
            neighbour='unused',
        ),
    )


def constants(hp: Hparams, load: bool = True) -> dict:
    """Load {'vgg': weights of the perceptual loss}.

    Args:
      load: False gives arrays of the right shapes instead of a file's weights.

    Raises:
      UserError: a file is needed and not there.
    """
    if not load:
        return {'vgg': vgg.random(depth(hp), hp.random_width if hp.features == 'random' else 64)}
    if hp.features == 'random':
        log.info('perceptual loss: random features of width %d', hp.random_width)
        return {'vgg': vgg.random(depth(hp), hp.random_width)}
    weights = vgg.load(hp.vgg_weights, depth(hp))
    log.info('perceptual loss: %s from %s', hp.features, hp.vgg_weights)
    return {'vgg': weights}


# --- use -------------------------------------------------------------------------------------


def takes_depth(hp: Hparams) -> bool:
    """Tell whether landmarks have depth: `encode` reads `landmarks3d`, others take [b, n, 3]."""
    return hp.occlusion


def encode(hp: Hparams, nets: dict, variables: dict, source: Face, background=None) -> dict:
    """Compute the source's appearance, once per source.

    Args:
      source: image [b, h, w, 3] in [-1, 1] and landmarks [b, n, 2].
    """
    del background  # the image is drawn whole
    points = source.landmarks3d if hp.occlusion else source.landmarks
    return generator.encode(hp, frozen_apply(nets, variables), source.image, points)


def render(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n _']
) -> Float[Array, 'b h w 3']:
    """Draw frames in [-1, 1] for driving landmarks in the source's pixels; one source, b frames."""
    return _drawn(hp, nets, variables, appearance, landmarks).image


def layers(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n _']
) -> Layers | None:
    """Return what `render` composes its frames of (layers.py); None without `mask`: one image."""
    return _drawn(hp, nets, variables, appearance, landmarks).layers


def _drawn(hp, nets, variables, appearance, landmarks) -> generator.Drawn:
    """Draw with a finer grid for the flow, which is cheap from landmarks alone, and bound it."""
    side = appearance['image'].shape[1]
    grid = max(hp.prior_grid, side)
    finer = grid if hp.mask else None
    drawn = generator.draw(hp, frozen_apply(nets, variables), appearance, landmarks, finer)
    if drawn.layers is None or not hp.prior_reach:
        return drawn
    places = jnp.asarray(images.pixel_grid(grid, grid)[None]) * (side / grid)
    driving = landmarks[..., :2]
    source = jnp.broadcast_to(appearance['points'], driving.shape)
    reach = heads.within(source, driving, places, side)
    made = drawn.layers._replace(reach=reach)
    return drawn._replace(image=composition.compose(made, appearance['image']), layers=made)


def preview(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Draw images [b, h, w, 3] in [-1, 1]: inputs, flow as colours, the warped source, the result.

    With `mask` the mask and the paint are shown as well.
    """
    apply = frozen_apply(nets, variables)
    i_s, i_d = batch.image[:, 0], batch.image[:, 1]
    side, points = i_s.shape[1], batch.landmarks3d if hp.occlusion else batch.landmarks
    appearance = generator.encode(hp, apply, i_s, points[:, 0])
    drawn = generator.draw(hp, apply, appearance, points[:, 1])
    flow = images.resize(drawn.flow, side)
    heat = generator.heatmaps(hp, batch.landmarks[:, 1], side, side).max(-1, keepdims=True)
    shown = {
        'source': i_s,
        'driving': i_d,
        'heatmaps': jnp.broadcast_to(heat * 2 - 1, i_s.shape),
        'flow': images.flow_colours(flow),
        'warped': images.warp(i_s, flow),
        'result': drawn.image,
    }
    if drawn.layers is not None:
        shown['mask'] = jnp.broadcast_to(drawn.layers.mask * 2 - 1, i_s.shape)
        shown['paint'] = drawn.layers.paint
    return shown
