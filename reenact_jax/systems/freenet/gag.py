"""GAG, FReeNet's geometry-aware generator phi (sections 3.2 and 3.3): its losses.

Departure: the official code steps the discriminator first and the generator against the new one;
here both step at once.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.data.tracks import Batch
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts
from reenact_jax.nets import vgg
from reenact_jax.systems import losses
from reenact_jax.systems.freenet import ulc
from reenact_jax.systems.freenet.circles import circles

DEPTH, TAPS = 16, 3  # kappa: VGG16 after relu1_2, relu2_2, relu3_3 (the official code)


def terms(hp, apply, constants: dict, batch: Batch):
    """Compute eqs. 8 to 11: T's frames 0 and 1 are n1 and n2, the partner R's frame 0 is n3."""
    i_n1, i_n2 = batch.image[:, 0], batch.image[:, 1]
    l_n2, side = batch.landmarks[:, 1], batch.image.shape[2]
    if hp.lambda_tp:
        made, same, other = _triplet(hp, apply, batch)
    else:
        made = apply('phi', i_n1, lines(hp, l_n2, side))
    pixels = losses.l1(made, i_n2)  # eq. 9
    images = losses.together(i_n2, made)
    logits = apply('D', images, i_n1) if hp.condition == 'reference' else apply('D', images)
    real, fake = ([one] for one in losses.apart(logits))
    gan = losses.gan_generator(fake, hp.gag_gan)
    value = hp.lambda_pix * pixels + hp.lambda_adv * gan
    metrics = {'l1': pixels, 'gan': gan}
    if hp.lambda_tp:
        a, b, c = (
            vgg.features(constants['vgg'], one, DEPTH, hp.vgg_input)[:TAPS]
            for one in (made, same, other)
        )
        metrics['triplet'] = triplet(a, b, c, hp.margin, hp.hinge)
        value += hp.lambda_tp * metrics['triplet']
    return {
        'G': value,
        'D': losses.gan_discriminator(real, fake, hp.gag_gan),
    }, metrics  # eqs. 8, 10


def triplet(
    made: list[Float[Array, 'b _ _ _']],
    same: list[Float[Array, 'b _ _ _']],
    other: list[Float[Array, 'b _ _ _']],
    margin: float,
    hinge: str = 'sample',
) -> Float[Array, '']:
    """Compute eq. 11, [m + D(made, same) - D(made, other)]_+, D the mean square of a difference.

    Args:
      made, same, other: features by layer.
      margin: m.
      hinge: `sample`: one hinge for each sample and layer; a mean over samples, a sum over layers.
        `batch`: one hinge for the mean over a batch, as in the official code, whose value lacks m
        for every layer above 0; the gradient is the same.
    """
    axes = (1, 2, 3) if hinge == 'sample' else None

    def distance(a, b):
        return jnp.square(a - b).mean(axes)

    each = (
        jax.nn.relu(margin + distance(a, b) - distance(a, c)).mean()
        for a, b, c in zip(made, same, other, strict=True)
    )
    return sum(each, jnp.zeros(()))


def _triplet(hp, apply, batch: Batch) -> tuple[Array, Array, Array]:
    """Draw I^_T,n2; I^_T,n3, the same person with R's expression; I^_R,n2, R with T's."""
    i_n1, i_n2 = batch.image[:, 0], batch.image[:, 1]
    l_n2, reference, side = batch.landmarks[:, 1], batch.reference[:, 1], batch.image.shape[2]
    their_image, their_points, their_reference = (
        losses.partner(one[:, 0]) for one in (batch.image, batch.landmarks, batch.reference)
    )
    l_t3 = ulc.in_pixels(hp, ulc.convert(hp, apply, reference, their_points), reference)
    l_r2 = ulc.in_pixels(hp, ulc.convert(hp, apply, their_reference, l_n2), their_reference)
    positive = i_n2 if hp.positive == 'n2' else i_n1
    images = losses.together(i_n1, positive, their_image)
    drawn = lines(hp, losses.together(l_n2, l_t3, l_r2), side)
    made, same, other = losses.apart(apply('phi', images, drawn), 3)
    return made, same, other


def lines(hp, points: Float[Array, 'b n 2'], side: int) -> Float[Array, 'b q q c']:
    """Draw the landmark image that phi takes, a quarter of the image's side (64 x 64 for 256)."""
    size, layout = side // 4, layouts.of_count(points.shape[1])
    if hp.landmark_image == 'circles':
        return jnp.repeat(circles(points * (size / side), size), hp.raster_channels, -1)
    width = hp.line_width * side / 256
    drawn = lm.landmark_image(points * (size / side), layout, size, width)
    return jnp.repeat(drawn, hp.raster_channels, -1)
