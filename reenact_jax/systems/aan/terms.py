"""AAN's losses, eqs. 5 to 9."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.data.tracks import Batch
from reenact_jax.geometry.layers import Layers
from reenact_jax.nets import vgg
from reenact_jax.systems import losses
from reenact_jax.systems.aan import generator
from reenact_jax.systems.aan.hparams import Hparams, depth, parts_of


def terms(hp: Hparams, apply, constants: dict, batch: Batch, rng: Array):
    """Compute AAN's losses, eqs. 5 to 9: I_s is frame 0, I_d frame 1.

    Returns:
      The losses of the players G and D, and metrics.
    """
    i_s, i_d = batch.image[:, 0], batch.image[:, 1]
    l_s, l_d = batch.landmarks[:, 0], batch.landmarks[:, 1]
    p_s, p_d = l_s, l_d
    if hp.occlusion:
        p_s, p_d = _with_depth(hp, batch, rng)
    drawn = generator.draw(hp, apply, generator.encode(hp, apply, i_s, p_s), p_d)
    fake = drawn.image

    def phi(image):
        return vgg.features(constants['vgg'], image, depth(hp))

    pixels, perceptual = losses.l1(fake, i_d), losses.perceptual(phi(fake), phi(i_d))
    content = pixels + perceptual  # eq. 7
    value = hp.lambda_c * content
    metrics = {'l1': pixels, 'perceptual': perceptual, 'flow': jnp.abs(drawn.flow).mean()}
    if drawn.layers is not None:
        metrics['painted'] = painted = _painted(drawn.layers)
        value = value + hp.lambda_mask * painted
    if hp.local_net:
        metrics |= (regions := _regions(hp, phi, drawn, i_d, l_d))
        value = value + hp.lambda_local * regions['local']
        value = value + hp.lambda_regions * regions.get('regions', 0.0)
    values = {'G': value}
    if hp.lambda_gan:
        s_d = generator.heatmaps(hp, l_d, i_d.shape[1], i_d.shape[1])
        d_loss, metrics['gan'] = _adversarial(hp, apply, fake, i_d, i_s, s_d)
        values = {'G': value + hp.lambda_gan * metrics['gan'], 'D': d_loss}
        metrics['D'] = d_loss
    return values, metrics


def _regions(hp: Hparams, phi, drawn: generator.Drawn, i_d, l_d) -> dict[str, Array]:
    """Compute eq. 9 of what the local nets draw, and eq. 7 of the regions in the result.

    Both are sums over the regions: a mean over regions of equal size, times their number.
    """
    names = parts_of(hp)

    def cut(image):
        return losses.together(*(generator.crop(hp, image, l_d, part)[0] for part in names))

    truth = cut(i_d)
    features = phi(truth)
    parts = losses.together(*(drawn.parts[part] for part in names))
    terms = {'local': losses.perceptual(phi(parts), features) * len(names)}
    if hp.lambda_regions:
        laid = cut(drawn.image)
        content = losses.l1(laid, truth) + losses.perceptual(phi(laid), features)
        terms['regions'] = content * len(names)
    return terms


def _painted(layers: Layers) -> Float[Array, '']:
    """Return the painted share of the image: by G_f, and by each part over its area."""
    side, share = layers.mask.shape[1], (1 - layers.mask).mean()
    for part in layers.parts.values():
        across = part.frame[:, 0, 0] * part.alpha.shape[1] / side
        share += (part.alpha.mean((1, 2, 3)) * across**2).mean()
    return share


def _with_depth(hp: Hparams, batch: Batch, rng: Array):
    """Return the landmarks of both frames with depth, which is made unknown in some rows."""
    known = jax.random.bernoulli(rng, 1 - hp.depth_drop, (batch.landmarks.shape[0], 1, 1, 1))
    z = jnp.where(known, batch.landmarks3d[..., 2:], 0)
    points = jnp.concatenate([batch.landmarks, z], -1)
    return points[:, 0], points[:, 1]


def _adversarial(hp: Hparams, apply, fake, i_d, i_s, s_d):
    """Compute eq. 6: what D_L and D_I minimise together, and what the generator minimises."""
    d_loss = g_loss = 0.0
    for network, condition in (('D_L', s_d), ('D_I', i_s)):
        logits = apply(network, losses.together(i_d, fake), condition)
        real, generated = zip(*(losses.apart(scale) for scale in logits), strict=True)
        d_loss += losses.gan_discriminator(real, generated, hp.gan)
        g_loss += losses.gan_generator(generated, hp.gan)
    share = 1 / (2 * hp.scales) if hp.reduction == 'mean' else 1
    return share * d_loss, share * g_loss
