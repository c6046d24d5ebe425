"""G_r, FACEGAN's face reenactor (section 3.2): the driven face and its segmentation."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.data.tracks import Batch
from reenact_jax.nets import vgg
from reenact_jax.nets.patch import halve
from reenact_jax.systems import losses
from reenact_jax.systems.facegan import faces


def terms(hp, apply, constants: dict, batch: Batch, points: Float[Array, 'b n 2'], fine: bool):
    """Compute eqs. 5 to 8 on two frames of a track.

    Both images lose their background before they are compared: I_fr by the head's own soft mask,
    I_d by the stored classes.

    Args:
      points: landmarks of the second frame, or those that LT gives for it.
      fine: at the full side, with G_r2 around G_r1; else at half the side by G_r1 alone.

    Returns:
      The losses of G_r and D_r, metrics, and S_fr * I_fr.
    """
    source, truth, classes = batch.image[:, 0], batch.image[:, 1], batch.segmentation[:, 1]
    image, logits = draw(hp, apply, source, points, fine)
    alone = faces.probability(logits) * image
    fake, real = alone * faces.certain(classes), truth * faces.head(classes)
    metrics = {
        'r/l1': losses.l1(fake, real),  # eq. 5
        'r/classes': faces.cross_entropy(logits, classes),
    }
    value = hp.lambda_r1 * metrics['r/l1'] + hp.lambda_r4 * metrics['r/classes']
    metrics['r/perceptual'] = perceptual(hp, constants, fake, real)  # eq. 6
    network = 'D_r2' if fine else 'D_r1'
    gan, d_loss = adversarial(hp, apply, network, real, fake, _inputs(hp, source, points))
    metrics['r/gan'] = gan  # eq. 7
    value += hp.lambda_r2 * metrics['r/perceptual'] + hp.lambda_r3 * gan  # eq. 8
    return value, d_loss, metrics, alone


def draw(hp, apply, source: Float[Array, '_ s s 3'], points: Float[Array, 'b n 2'], fine: bool):
    """Draw I_fr in [-1, 1] and the logits of S_fr, for landmarks in pixels of the source's crop.

    Args:
      fine: with the enhancer around the network; else by the network alone, at the images' side.
    """
    inputs = _inputs(hp, source, points)
    if not fine:
        return apply('G_r1', inputs)
    half = _inputs(hp, halve(source), points / 2)
    return apply('G_r2', inputs, apply('G_r1', half, method='features'))


def cut(hp, apply, source: Float[Array, '_ s s 3'], points: Float[Array, 'b n 2'], fine: bool):
    """Draw S_fr * I_fr, the driven face, 0 where its background would be, and S_fr [b, s, s, 1]."""
    image, logits = draw(hp, apply, source, points, fine)
    share = faces.probability(logits)
    return share * image, share


def perceptual(hp, constants: dict, fake: Array, real: Array) -> Float[Array, '']:
    """Compute the distance of VGG19's features; 0 where the weight of all such losses is 0."""
    if 'vgg' not in constants:
        return jnp.zeros(())
    a, b = (vgg.features(constants['vgg'], one, 19, hp.vgg_input) for one in (fake, real))
    return losses.perceptual(a, b, hp.tap_weights)


def adversarial(hp, apply, network: str, real: Array, fake: Array, given: Array):
    """Compute what generator and multi-scale discriminator minimise; `given` is the condition."""
    condition = (given,) if hp.conditional else ()
    scales = apply(network, losses.together(real, fake), *condition)
    real_logits, fake_logits = zip(*map(losses.apart, scales), strict=True)
    d_loss = losses.gan_discriminator(list(real_logits), list(fake_logits), hp.gan)
    return losses.gan_generator(list(fake_logits), hp.gan), d_loss


def _inputs(hp, image: Float[Array, '_ s s 3'], points: Float[Array, 'b n 2']):
    """Join the images and the drawn landmarks, a generator's input."""
    image = jnp.broadcast_to(image, (points.shape[0], *image.shape[1:]))
    return jnp.concatenate([image, faces.drawn(hp, points, image.shape[1])], -1)
