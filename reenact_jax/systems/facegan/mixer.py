"""G_b, FACEGAN's background mixer (section 3.3): the face on the source's background.

I_r = M * I_c + (1 - M) * I_b                                                       (eq. 9)
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from reenact_jax.data.tracks import Batch
from reenact_jax.nets.patch import halve
from reenact_jax.systems import losses
from reenact_jax.systems.facegan import faces, reenactor


def terms(hp, apply, constants: dict, batch: Batch, cut: Float[Array, 'b s s 3'], fine: bool):
    """Compute eqs. 10 and 11.

    Args:
      cut: S_fr * I_fr.
      fine: at the full side, with G_b2 around G_b1; else at half the side by G_b1 alone.

    Returns:
      The losses of G_b and D_b, and metrics.
    """
    truth = batch.image[:, 1]
    background = behind(batch.image[:, 0], batch.segmentation[:, 0])
    image, mask = mix(apply, cut, background, fine)
    metrics = {
        'b/tv': variation(mask),
        'b/mask': jnp.square(mask).mean(),
        'b/l1': losses.l1(image, truth),
        'b/perceptual': reenactor.perceptual(hp, constants, image, truth),
    }
    inputs = jnp.concatenate([cut, background], -1)
    network = 'D_b2' if fine else 'D_b1'
    adversarial, d_loss = reenactor.adversarial(hp, apply, network, truth, image, inputs)
    metrics['b/gan'] = adversarial
    value = (
        hp.lambda_b1 * metrics['b/tv']
        + hp.lambda_b2 * metrics['b/mask']
        + hp.lambda_b3 * metrics['b/perceptual']
        + hp.lambda_b4 * adversarial
        + hp.lambda_b5 * metrics['b/l1']
    )
    return value, d_loss, metrics


def behind(
    source: Float[Array, 'b s s 3'], classes: UInt8[Array, 'b s s']
) -> Float[Array, 'b s s 3']:
    """Compute I_b: the source without face and hair (0 there)."""
    return source * (1 - faces.head(classes))


def mix(apply, cut: Float[Array, 'b s s 3'], background: Float[Array, 'b s s 3'], fine: bool):
    """Draw I_r [b, s, s, 3] and M [b, s, s, 1] in 0..1."""
    content, mask = parts(apply, cut, background, fine)
    return joined(content, mask, background), mask


def parts(apply, cut: Float[Array, 'b s s 3'], background: Float[Array, 'b s s 3'], fine: bool):
    """Draw I_c [b, s, s, 3] in [-1, 1] and M [b, s, s, 1] in 0..1."""
    inputs = jnp.concatenate([cut, background], -1)
    if fine:
        content, logit = apply('G_b2', inputs, apply('G_b1', halve(inputs), method='features'))
    else:
        content, logit = apply('G_b1', inputs)
    return content, jax.nn.sigmoid(logit)


def joined(
    content: Float[Array, 'b s s 3'],
    mask: Float[Array, 'b s s 1'],
    background: Float[Array, 'b s s 3'],
) -> Float[Array, 'b s s 3']:
    """Compose the content and the background by eq. 9."""
    return mask * content + (1 - mask) * background


def variation(mask: Float[Array, 'b s s 1']) -> Float[Array, '']:
    """Compute eq. 10's first term: squared differences of neighbours, a mean each direction."""
    across, down = mask[:, :, 1:] - mask[:, :, :-1], mask[:, 1:] - mask[:, :-1]
    return jnp.square(across).mean() + jnp.square(down).mean()
