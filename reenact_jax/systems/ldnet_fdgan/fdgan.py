"""FD-GAN: feature dictionary GAN, the image half of LD-Net + FD-GAN ("One-Shot Identity-Preserving
Portrait Reenactment", section 3.2, supplement 6-7).

Words: the paper's **target** (the portrait) is our **source**; its x_T, l_T are the source's image
and landmark image, x'_T, l'_T another frame of the same track.

Networks: the paper's one network T is `Ext` (extractor) and `Tra` (translator), so that the
dictionary between them can be kept: it depends on the source alone and is what `encode` returns.
D and C are patch discriminator and patch classifier (they see the image alone).

The paper is silent, so ours: skips are added, not joined (what is read has the length of the
features it is added to, supplement 6); normalisation, ReLU, tanh at the end; the landmark image is
soft lines; RMSprop's decay; all players step at once; the generator is averaged
(`config.ema_decay`; 0 switches it off). Sizes in pixels are for 256 x 256 and scale with it.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.common import settings
from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts
from reenact_jax.nets import dictionary, frozen_apply
from reenact_jax.nets.initial import init_each
from reenact_jax.systems import losses, optimisers
from reenact_jax.systems.interface import Stage


@dataclasses.dataclass(frozen=True)
class Hparams:
    """FD-GAN's settings: the paper's numbers, and what is ours."""

    widths: tuple[int, ...] = settings.widths(
        (32, 64, 128, 256),
        'features, and length of the dictionary rows, by level, finest first, supplement 6',
    )
    rows: tuple[int, ...] = setting(
        (512, 256, 128, 64),
        least=1,
        low=1,
        high=2**20,
        doc='number of dictionary rows by level, supplement 6',
    )
    tag: int = settings.width(32, 'length of the tags to read and write by, supplement 6')
    dictionary: str = setting(
        'full',
        choices=dictionary.KINDS,
        doc='kind of dictionary; table 3: `one` mean row (FD-GAN-1); `adain`, where it modulates',
    )
    lambda_rec: float = settings.weight(50.0, 'weight of the reconstruction, eq. 12')
    lambda_d: float = settings.weight(1.0, 'weight of the discriminator, eq. 12; 0: no D')
    lambda_c: float = settings.weight(1.0, 'weight of the classifier, eq. 12; 0: no C')
    rate: float = settings.rate(2e-5, 'learning rate of RMSprop, table 5')
    steps: int = settings.steps(1_000_000, 'number of updates, table 5', low=1)
    batch_size: int = settings.batch(4, 'pairs of frames in a step, table 5')
    # The paper is silent on all below.
    decay: float = settings.share(0.99, "decay of RMSprop, PyTorch's (ours)")
    schedule: str = setting(
        'constant', choices=optimisers.SCHEDULES, doc='schedule of the learning rate (ours)'
    )
    norm: str = setting(
        'layer',
        choices=('instance', 'layer', 'none'),
        doc='norm of all networks; `instance` takes colours away (ours)',
    )
    line_width: float = setting(
        1.5, low=0.1, high=64, doc='landmark image: deviation of a line, pixels at 256 x 256 (ours)'
    )
    channels: str = setting(
        'one',
        choices=lm.CHANNELS,
        doc='landmark image: one channel for all lines, or one for each part (ours)',
    )
    discriminator: tuple[int, ...] = settings.widths(
        (32, 64, 128, 256), "D and C: widths by level, as the U-Nets' way down, supplement 6"
    )


def networks(hp: Hparams, data: DataInfo) -> dict:
    """Build the paper's networks; D and C are absent where their weight is 0.

    Raises:
      UserError: settings contradict each other, or C has fewer than 2 identities.
    """
    if len(hp.widths) != len(hp.rows):
        raise UserError(
            f'hparams.rows: {len(hp.rows)} levels, hparams.widths has {len(hp.widths)}; '
            'give both as many'
        )
    inner = (hp.widths, hp.rows, hp.tag, hp.dictionary, hp.norm)
    nets = {'Ext': dictionary.Extractor(*inner), 'Tra': dictionary.Translator(*inner)}
    if hp.lambda_d:
        nets['D'] = dictionary.Patches(1, hp.discriminator, hp.norm)
    if hp.lambda_c:
        if data.identities < 2:
            raise UserError(
                'hparams.lambda_c: the classifier needs at least 2 identities, the data has '
                f'{data.identities}; give other data or lambda_c 0'
            )
        nets['C'] = dictionary.Patches(data.identities, hp.discriminator, hp.norm)
    return nets


def init(hp: Hparams, nets: dict, rng: jax.Array, batch: Batch) -> dict:
    """Initialise the variables of all networks; of `batch` only shapes matter.

    Raises:
      UserError: the levels do not fit the images' side.
    """
    side, layout = batch.image.shape[2], layouts.of_count(batch.landmarks.shape[2])
    levels = [hp.widths] + [hp.discriminator] * bool(hp.lambda_d or hp.lambda_c)
    factor = 2 ** max(map(len, levels))
    if side % factor or side // factor < 2:
        raise UserError(
            f'hparams.widths, hparams.discriminator: so many levels need images whose side is a '
            f'multiple of {factor} and at least {2 * factor}, the data has {side} pixels; use '
            'fewer levels or other data'
        )
    image = jnp.zeros((1, side, side, 3))
    lines = jnp.zeros((1, side, side, lm.image_channels(layout, hp.channels)))
    single = hp.dictionary != 'full'
    rows = [jnp.zeros((1, 1 if single else n, w)) for n, w in zip(hp.rows, hp.widths, strict=True)]
    arguments = {'Ext': (image, lines), 'Tra': (lines, rows), 'D': (image,), 'C': (image,)}
    return init_each(nets, rng, {network: arguments[network] for network in nets})


def stages(hp: Hparams, data: DataInfo) -> tuple[Stage, ...]:
    """List the one stage: extractor and translator, against discriminator and classifier."""
    del data
    players: dict[str, tuple[str, ...]] = {'G': ('Ext', 'Tra')}
    players |= {'D': ('D',)} if hp.lambda_d else {}
    players |= {'C': ('C',)} if hp.lambda_c else {}
    tx = {
        player: optimisers.rmsprop(hp.rate, hp.steps, hp.schedule, hp.decay) for player in players
    }

    def stage_losses(apply, constants, batch, rng):
        del constants, rng
        return terms(hp, apply, batch)

    return (
        Stage(
            'fdgan',
            players,
            stage_losses,
            tx,
            hp.steps,
            hp.batch_size,
            ema=players['G'],
            reads=('image', 'landmarks', 'identity'),
            # With one person C has one class, and its complement no logarithm.
            neighbour='other_identity' if hp.lambda_c else 'unused',
        ),
    )


def constants(hp: Hparams, load: bool = True) -> dict:
    """Return none: FD-GAN uses no pretrained network."""
    del hp, load
    return {}


# --- losses ----------------------------------------------------------------------------------


def terms(hp: Hparams, apply, batch: Batch):
    """Compute eqs. 10 to 12: x_T is frame 0, x'_T frame 1; k is the identity of both."""
    x, truth, label = batch.image[:, 0], batch.image[:, 1], batch.identity
    written = _write(hp, apply, x, batch.landmarks[:, 0])
    fake = _read(hp, apply, written, batch.landmarks[:, 1], x.shape[1])
    rec = jnp.square(fake - truth).mean()
    value, values = hp.lambda_rec * rec, {}
    metrics = {'rec': rec, 'l1': losses.l1(fake, truth)}
    images = losses.together(x, fake)
    if hp.lambda_d:
        real, generated = ([one] for one in losses.apart(apply('D', images)))
        values['D'] = losses.gan_discriminator(real, generated, 'lsgan')  # eq. 10
        value += hp.lambda_d * losses.gan_generator(generated, 'lsgan')
        metrics |= {'D_real': real[0].mean(), 'D_fake': generated[0].mean()}
    if hp.lambda_c:
        logits = apply('C', images)
        patches = logits.shape[1] * logits.shape[2]
        real, generated = (one.reshape(-1, one.shape[-1]) for one in losses.apart(logits))
        k = jnp.repeat(label, patches)
        values['C'] = (
            -losses.log_probability(real, k).mean() - losses.log_complement(generated, k).mean()
        )  # eq. 11
        value -= hp.lambda_c * losses.log_probability(generated, k).mean()
        metrics['C_accuracy'] = losses.accuracy(real, k)
    return {'G': value} | values, metrics  # eq. 12


# --- the generator ---------------------------------------------------------------------------


def _lines(hp: Hparams, points: Float[Array, 'b n 2'], side: int) -> Float[Array, 'b s s c']:
    """Draw the landmark image, 0..1."""
    layout = layouts.of_count(points.shape[1])
    return lm.landmark_image(points, layout, side, hp.line_width * side / 256, hp.channels)


def _write(hp: Hparams, apply, image: Float[Array, 'b s s 3'], points: Float[Array, 'b n 2']):
    """Write the source into dictionaries."""
    return apply('Ext', image, _lines(hp, points, image.shape[1]))


def _read(hp: Hparams, apply, written: list, points: Float[Array, 'b n 2'], side: int):
    """Draw the image; one source's dictionary (leading axis 1) serves any number of frames."""
    written = [jnp.broadcast_to(v, (points.shape[0], *v.shape[1:])) for v in written]
    return apply('Tra', _lines(hp, points, side), written)


# --- use -------------------------------------------------------------------------------------


def encode(hp: Hparams, nets: dict, variables: dict, source: Face, background=None) -> dict:
    """Compute the source's dictionaries, once per source.

    Returns:
      `rows`: dictionaries [b, n, v], one for each level; `image`: the source's, for its side alone.
    """
    del background  # the image is drawn whole
    apply = frozen_apply(nets, variables)
    written = _write(hp, apply, source.image, source.landmarks)
    return {'rows': written, 'image': source.image}


def render(
    hp: Hparams, nets: dict, variables: dict, appearance: dict, landmarks: Float[Array, 'b n 2']
) -> Float[Array, 'b s s 3']:
    """Draw frames in [-1, 1] for driving landmarks in the source's pixels; one source, b frames."""
    side = appearance['image'].shape[1]
    return _read(hp, frozen_apply(nets, variables), appearance['rows'], landmarks, side)


def preview(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Draw images [b, s, s, 3] in [-1, 1]: source, driving, its landmark image, result."""
    apply = frozen_apply(nets, variables)
    source, side = batch.image[:, 0], batch.image.shape[2]
    points = batch.landmarks[:, 1]
    written = _write(hp, apply, source, batch.landmarks[:, 0])
    lines = _lines(hp, points, side).max(-1, keepdims=True)
    return {
        'source': source,
        'driving': batch.image[:, 1],
        'landmarks': jnp.broadcast_to(lines * 2 - 1, source.shape),
        'result': _read(hp, apply, written, points, side),
    }
