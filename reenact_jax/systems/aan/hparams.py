"""AAN's settings: the paper's numbers, and what is ours."""

import dataclasses

from reenact_jax.common import settings
from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.geometry.layouts import INNER_MOUTH, LOCAL_PARTS
from reenact_jax.nets import aan as net
from reenact_jax.nets import blocks, vgg
from reenact_jax.nets.modulation import RESIZES
from reenact_jax.systems import losses, optimisers


@dataclasses.dataclass(frozen=True)
class Hparams:
    """AAN's settings: the paper's numbers (section "Implementation"), and what is ours."""

    lambda_gan: float = settings.weight(
        10.0, 'weight of the adversarial term, eq. 5; 0: no discriminators'
    )
    lambda_c: float = settings.weight(5.0, 'weight of the content (L1 + perceptual), eqs. 5 and 7')
    lambda_local: float = settings.weight(5.0, 'weight of the local regions, eqs. 5 and 9')
    rate: float = settings.rate(2e-5, "learning rate of the generator's Adam")
    d_rate: float = settings.rate(1e-5, "learning rate of the discriminators' Adam")
    sigma: float = setting(
        3**0.5,
        low=0.1,
        high=64,
        doc='deviation of the heatmaps (variance 3), pixels at 256 x 256, in part crops too (ours)',
    )
    local_net: bool = setting(True, doc='whether there are local nets; off: table 3, "-local net"')
    modulation: str = setting(
        'aan',
        choices=('aan', 'spade'),
        own=True,
        doc='modulation of G_f; `spade`: table 3, "-aan +spade"; or an own block, '
        '`my_package.blocks:Mine` (ours)',
    )
    spectral: bool = setting(True, doc='spectral norm on every convolution of the generator')
    gan: str = setting(
        'log',
        choices=losses.GAN_FORMS,
        doc="form of the adversarial loss; eq. 6 is `log`, G's term non-saturating (ours)",
    )
    reduction: str = setting(
        'sum',
        choices=('sum', 'mean'),
        doc='adversarial term over D_L, D_I and their scales: `sum` as eq. 6 prints of both and '
        'pix2pixHD takes of its scales; `mean` as eq. 8 of layers, a quarter of the sum',
    )
    scales: int = setting(
        2, low=1, high=8, doc="scales of the discriminators; 2 as in pix2pixHD's code (ours)"
    )
    spade_map: str = setting(
        'nearest', choices=RESIZES, doc="how SPADE's condition is resized; `nearest` as in its code"
    )
    spade_hidden: int = settings.width(128, 'SPADE: hidden features, as in its code')
    flow_stride: int = setting(
        1,
        low=1,
        high=64,
        doc='FEN works at image side / this, which is also the side of the flow (1 as printed)',
    )
    local: tuple[int, ...] = settings.widths(
        (32, 64, 128, 256), 'local nets: widths by level, three halvings and back (widths are ours)'
    )
    discriminator: int = settings.width(
        64, 'discriminators: features of the first of three layers (as Wang et al. 2018)'
    )
    features: str = setting(
        'vgg19',
        choices=('vgg19', 'vgg16', 'random'),
        doc='perceptual loss, eq. 8: features of a pretrained VGG (which: ours); taps in vgg.py',
    )
    vgg_weights: str = setting(
        '', doc="file of VGG's weights, .npz or .safetensors, see nets/vgg.py; not for `random`"
    )
    # The paper is silent on all below.
    b1: float = settings.share(0.5, 'b1 of Adam (ours)')
    schedule: str = setting(
        'constant', choices=optimisers.SCHEDULES, doc='schedule of the learning rate (ours)'
    )
    steps: int = settings.steps(500_000, 'number of updates (ours)', low=1)
    batch_size: int = settings.batch(8, 'pairs of frames in a step (ours)')
    statistics: str = setting(
        'batch',
        choices=('batch', 'instance'),
        doc='over what the adaptive norm takes mu and sigma (ours)',
    )
    norm: str = setting('batch', choices=blocks.NORMS, doc='norm of the other sub-nets (ours)')
    extractor: tuple[int, ...] = settings.widths(
        (64, 128, 256, 512, 512), 'E_a: widths by level from the full size (ours)'
    )
    fusion: tuple[int, ...] = settings.widths(
        (256, 128, 64), 'G_f: widths of the blocks, coarse to full size; F_a has the first (ours)'
    )
    residuals: int = setting(
        2, low=0, high=100, doc='G_f: residual layers behind the blocks (ours)'
    )
    flow: tuple[int, ...] = settings.widths((32, 64, 128, 256, 256), 'FEN: widths by level (ours)')
    upscale: str = setting(
        'shuffle',
        choices=net.UPSCALES,
        doc='G_f, between blocks: pixel shuffle as printed; `shuffle_soft`: 2x2 means behind it, '
        'against its grid; `resize`: bilinear, then a convolution (ours)',
    )
    part_size: int = setting(
        64,
        low=8,
        high=256,
        doc='side of the part crops at 256 x 256; with `part_masks` at any size (ours)',
    )
    part_margin: float = setting(
        1.5, low=1, high=10, doc="part crops: side over that of the part's points (ours)"
    )
    random_width: int = settings.width(16, 'features of the first `random` block')
    # Warp what is known, paint what is not: not in the paper, off in its preset.
    prior: bool = setting(
        False,
        doc='the flow starts from the landmarks (flows.py) at full size; FEN learns what is left, '
        'which is enlarged and added (ours)',
    )
    prior_reach: bool = setting(
        False,
        doc='with `prior` and `mask`: in use, the flow of the image ends a little beyond the face '
        '(`heads.within`), so that the background stays; training moves all of it (ours)',
    )
    flow_bound: float = setting(
        0.0,
        low=0,
        high=2,
        doc="bound of FEN's share of the flow with `prior`, in half sides of the image; 0: none. "
        'Unbounded, it fetches backgrounds from far away (ours)',
    )
    prior_grid: int = setting(
        128,
        low=8,
        high=1024,
        doc='side of the flow with `prior` in use, unless the image is larger (ours)',
    )
    mask: bool = setting(
        False,
        doc='G_f also gives a mask m: m * warped source + (1 - m) * painted image (ours)',
    )
    lambda_mask: float = settings.weight(
        0.0,
        'weight of the painted share of the image and of its parts: paint only where it gains '
        '(ours)',
    )
    lambda_regions: float = settings.weight(
        0.0,
        'weight of the content of local regions as they lie in the result, each counting alike: '
        "lids and lips are few of the image's pixels (ours)",
    )
    part_masks: bool = setting(
        False,
        doc='each local net also gives a mask and sees the warped source; the results are laid '
        'over the image in frames of their own, `part_size` pixels a side (ours)',
    )
    occlusion: bool = setting(
        False,
        doc='the mask sees how squarely source and driver show a place, from landmarks '
        'with depth (ours)',
    )
    unseen: bool = setting(
        False,
        doc='masks paint only what the source cannot show, by landmarks (unseen.py); parts paint '
        'all of a mouth or an eye that the source shows shut (ours)',
    )
    depth_drop: float = settings.share(
        0.2, 'share of training rows whose depth counts as unknown (ours)'
    )
    inner_mouth: bool = setting(
        False, doc='whether a fifth local net draws what is between the lips (ours)'
    )
    mouth_palette: bool = setting(
        False,
        doc='the inside of a mouth is mixed of the colours of a cavity, a tongue and teeth, taken '
        "from the source's lips and skin (palette.py); with `inner_mouth` (ours)",
    )
    mouth_form: bool = setting(
        False,
        doc='where they lie starts from what most mouths have: teeth above, the tongue below, dark '
        'between; the network learns what is left; with `mouth_palette` (ours)',
    )


def parts_of(hp: Hparams) -> tuple[str, ...]:
    """List the names of the local regions."""
    return LOCAL_PARTS + ((INNER_MOUTH,) if hp.inner_mouth else ())


def part_side(hp: Hparams, side: int) -> int:
    """Compute the side of part crops of a `side` pixel image; the local nets halve it evenly."""
    step = 2 ** (len(hp.local) - 1)
    asked = hp.part_size if hp.part_masks else hp.part_size * side / 256
    return -(-int(max(vgg.LEAST_SIDE, asked)) // step) * step


def depth(hp: Hparams) -> int:
    """Return VGG's depth; random features have VGG19's form."""
    return 16 if hp.features == 'vgg16' else 19


def check(hp: Hparams) -> None:
    """Refuse settings that contradict each other.

    Raises:
      UserError: they do.
    """
    if len(hp.extractor) < len(hp.fusion):
        raise UserError(
            f'hparams.extractor: {len(hp.extractor)} levels do not reach the {len(hp.fusion)} '
            'blocks of hparams.fusion; give at least as many'
        )
    if hp.part_masks and not hp.mask:
        raise UserError(
            'hparams.part_masks: lays parts over what hparams.mask composes; set mask to True'
        )
    if hp.occlusion and not hp.mask:
        raise UserError('hparams.occlusion: tells hparams.mask what to refuse; set mask to True')
    if hp.unseen and not (hp.mask and hp.prior):
        raise UserError(
            'hparams.unseen: bounds hparams.mask by the flow of hparams.prior; set both to True'
        )
    if hp.mouth_palette and not hp.inner_mouth:
        raise UserError(
            'hparams.mouth_palette: colours what hparams.inner_mouth draws; set that to True'
        )
    if hp.mouth_form and not hp.mouth_palette:
        raise UserError(
            'hparams.mouth_form: says where the colours of hparams.mouth_palette lie; set that to '
            'True'
        )
