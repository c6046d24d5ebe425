"""G_r, FACEGAN's face reenactor (section 3.2): the driven face and its segmentation."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.data.tracks import Batch
from reenact_jax.nets import vgg
from reenact_jax.nets.patch import halve
from reenact_jax.systems import losses
from reenact_jax.systems.facegan import faces


def terms(hp, apply, constants: dict, batch: Batch, points: Float[Array, 'b n 2'], fine: bool):
    """Eqs. 5 to 8 on two frames of a track, with landmarks `points` of the second one.

    Both images lose their background before they are compared: I_fr by the head's own soft mask,
    I_d by the stored classes. Returns the losses of G_r and D_r, metrics, and S_fr * I_fr.
    """
    source, truth, classes = batch.image[:, 0], batch.image[:, 1], batch.segmentation[:, 1]
    made, logits = draw(hp, apply, source, points, fine)
    alone = faces.probability(logits) * made
    fake, real = alone * faces.certain(classes), truth * faces.head(classes)
    metrics = {
        'r/l1': losses.l1(fake, real),  # eq. 5
        'r/classes': faces.cross_entropy(logits, classes),
    }
    value = hp.lambda_r1 * metrics['r/l1'] + hp.lambda_r4 * metrics['r/classes']
    metrics['r/perceptual'] = perceptual(hp, constants, fake, real)  # eq. 6
    letter = 'D_r2' if fine else 'D_r1'
    by, against = adversarial(hp, apply, letter, real, fake, _given(hp, source, points))
    metrics['r/gan'] = by  # eq. 7
    value += hp.lambda_r2 * metrics['r/perceptual'] + hp.lambda_r3 * by  # eq. 8
    return value, against, metrics, alone


def draw(hp, apply, source: Float[Array, 'b s s 3'], points: Float[Array, 'b n 2'], fine: bool):
    """I_fr in [-1, 1] and the logits of S_fr, for landmarks in pixels of the source's crop.

    fine: with the enhancer around the network; else by the network alone, at the images' side.
    """
    given = _given(hp, source, points)
    if not fine:
        return apply('G_r1', given)
    half = _given(hp, halve(source), points / 2)
    return apply('G_r2', given, apply('G_r1', half, method='features'))


def cut(hp, apply, source: Float[Array, 'b s s 3'], points: Float[Array, 'b n 2'], fine: bool):
    """S_fr * I_fr, the driven face, 0 where its background would be; and S_fr [b, s, s, 1]."""
    made, logits = draw(hp, apply, source, points, fine)
    share = faces.probability(logits)
    return share * made, share


def perceptual(hp, constants: dict, fake: Array, real: Array) -> Float[Array, '']:
    """Distance of VGG19's features; 0 where the weight of all such losses is 0."""
    if 'vgg' not in constants:
        return jnp.zeros(())
    a, b = (vgg.features(constants['vgg'], one, 19, hp.vgg_input) for one in (fake, real))
    return losses.perceptual(a, b, hp.tap_weights)


def adversarial(hp, apply, letter: str, real: Array, fake: Array, given: Array):
    """What generator and multi-scale discriminator minimise; `given` is the condition."""
    condition = (given,) if hp.conditional else ()
    scales = apply(letter, losses.together(real, fake), *condition)
    right, wrong = zip(*map(losses.apart, scales), strict=True)
    against = losses.gan_discriminator(list(right), list(wrong), hp.gan)
    return losses.gan_generator(list(wrong), hp.gan), against


def _given(hp, image: Float[Array, 'b s s 3'], points: Float[Array, 'b n 2']):
    image = jnp.broadcast_to(image, (points.shape[0], *image.shape[1:]))
    return jnp.concatenate([image, faces.drawn(hp, points, image.shape[1])], -1)
