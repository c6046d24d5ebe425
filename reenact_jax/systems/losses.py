"""Loss terms that two papers or more share, each with its equation. All are means (scalars).

Arguments that are compared must have the same shape: a broadcast would be a silent mistake.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from reenact_jax.common.arrays import AnyArray

GAN_FORMS = ('log', 'hinge', 'lsgan', 'lsgan01')


def same_shape(a, b) -> None:
    """Reject arrays of different shapes.

    Raises:
      ValueError: the shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f'shapes differ: {a.shape} and {b.shape}')


def l1(prediction: Float[AnyArray, '...'], truth: Float[AnyArray, '...']) -> Float[AnyArray, '']:
    """Compute E |x - x'| over all entries (AAN eq. 7, first term)."""
    same_shape(prediction, truth)
    return jnp.abs(prediction - truth).mean()


def points(prediction: Float[AnyArray, '... n d'], truth: Float[AnyArray, '... n d']):
    """Compute E ||l - l'||^2, a mean over points of the squared distance (LD-Net eqs. 2 and 6)."""
    same_shape(prediction, truth)
    return jnp.sum((prediction - truth) ** 2, -1).mean()


def codes(
    prediction: Float[AnyArray, '... c'], truth: Float[AnyArray, '... c']
) -> Float[AnyArray, '']:
    """Compute E ||e - e'||^2, a mean over rows of the squared distance of codes (LD-Net eq. 5)."""
    same_shape(prediction, truth)
    return jnp.sum((prediction - truth) ** 2, -1).mean()


# --- adversarial -----------------------------------------------------------------------------


def gan_discriminator(
    real: Sequence[AnyArray], fake: Sequence[AnyArray], form: str
) -> Float[AnyArray, '']:
    """Compute what a discriminator minimises, from its logits on real and generated input.

    The value is a mean over the places of a scale and a sum over scales (pix2pixHD's).

    Args:
      real, fake: logit maps (any shape), one for each scale; a single-scale network gives lists of
        one.
      form: `log`      -log s(D(x)) - log(1 - s(D(x'))), s the sigmoid  (AAN eq. 6, negated)
            `hinge`    max(0, 1 - D(x)) + max(0, 1 + D(x'))
            `lsgan`    (D(x) - 1)^2 + (D(x') + 1)^2                      (LD-Net eqs. 3 and 10)
            `lsgan01`  (D(x) - 1)^2 + D(x')^2                            (pix2pixHD)
    """
    on_real = {
        'log': lambda x: jax.nn.softplus(-x),
        'hinge': lambda x: jax.nn.relu(1 - x),
        'lsgan': lambda x: (x - 1) ** 2,
        'lsgan01': lambda x: (x - 1) ** 2,
    }[form]
    on_fake = {
        'log': jax.nn.softplus,
        'hinge': lambda x: jax.nn.relu(1 + x),
        'lsgan': lambda x: (x + 1) ** 2,
        'lsgan01': jnp.square,
    }[form]
    return _scales(real, on_real) + _scales(fake, on_fake)


def gan_generator(fake: Sequence[AnyArray], form: str) -> Float[AnyArray, '']:
    """Compute what a generator minimises, from the discriminator's logits on its output.

    Args:
      fake: as of `gan_discriminator`.
      form: `log`      -log s(D(x')), the non-saturating form of AAN eq. 6 (Goodfellow et al.,
                       section 3)
            `hinge`    -D(x')
            `lsgan`    D(x')^2: the middle between -1 and +1              (LD-Net eqs. 7 and 12)
            `lsgan01`  (D(x') - 1)^2                                      (pix2pixHD)
    """
    term = {
        'log': lambda x: jax.nn.softplus(-x),
        'hinge': jnp.negative,
        'lsgan': jnp.square,
        'lsgan01': lambda x: (x - 1) ** 2,
    }[form]
    return _scales(fake, term)


def _scales(logits: Sequence[AnyArray], term) -> Float[AnyArray, '']:
    """Sum the term's mean over the scales."""
    return sum((term(scale).mean() for scale in logits), jnp.zeros(()))


# --- adversarial classifiers -----------------------------------------------------------------


def log_probability(
    logits: Float[AnyArray, 'b c'], label: Int[AnyArray, ' b'], floor: bool = False
):
    """Compute log P(label) of every row (LD-Net eqs. 1, 2, 4, 7).

    Args:
      floor: no value is below -log c, the log probability of a guess. Without it, minimising log P
        has no bound, and an answer worse than a guess hides an identity no better.
    """
    value = jnp.take_along_axis(jax.nn.log_softmax(logits), label[:, None], -1)[:, 0]
    return jnp.maximum(value, -jnp.log(float(logits.shape[-1]))) if floor else value


def log_complement(
    logits: Float[AnyArray, 'b c'], label: Int[AnyArray, ' b']
) -> Float[AnyArray, ' b']:
    """Compute log(1 - P(label)) of every row (LD-Net eqs. 4 and 11); exact where P is next to 1."""
    classes = jnp.arange(logits.shape[-1])
    others = jnp.where(classes[None] == label[:, None], -jnp.inf, logits)
    return jax.nn.logsumexp(others, -1) - jax.nn.logsumexp(logits, -1)


def accuracy(logits: Float[AnyArray, 'b c'], label: Int[AnyArray, ' b']) -> Float[AnyArray, '']:
    """Compute the share of rows whose largest logit is the label's."""
    return (logits.argmax(-1) == label).mean()


# --- features --------------------------------------------------------------------------------


PIX2PIXHD_TAPS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # weights of VGG19's five maps, in its code


def perceptual(
    prediction: Sequence[AnyArray], truth: Sequence[AnyArray], weights: tuple[float, ...] = ()
) -> Float[AnyArray, '']:
    """Compute E_i ||Phi_i(x) - Phi_i(x')||_1 over feature maps i (AAN eq. 8), a mean in each map.

    Args:
      weights: of the maps, whose weighted sum is taken (pix2pixHD); empty: their plain mean.
    """
    each = [l1(a, b) for a, b in zip(prediction, truth, strict=True)]
    weights = weights or (1 / len(each),) * len(each)
    return sum((w * one for w, one in zip(weights, each, strict=True)), jnp.zeros(()))


def feature_matching(
    made: Sequence[Sequence[AnyArray]], real: Sequence[Sequence[AnyArray]]
) -> Float[AnyArray, '']:
    """Compute E_k E_i ||D_k^i(x) - D_k^i(x')||_1 over scales k and layers i, times 4 (pix2pixHD).

    The factor is that of pix2pixHD's code: 4 / (n_layers + 1) for a layer, 1 / num_D for a scale.

    Args:
      made, real: for each scale, the outputs of the discriminator's layers. The last ones, its
        logits, do not count.
    """
    scales = zip(made, real, strict=True)
    each = [perceptual(list(fake[:-1]), list(truth[:-1])) for fake, truth in scales]
    return 4 * sum(each, jnp.zeros(())) / len(each)


# --- rows of a batch -------------------------------------------------------------------------


def partner(x: AnyArray) -> AnyArray:
    """Swap rows 2i and 2i + 1: every row's partner, of another identity (batches/pairs.py)."""
    return x.reshape(-1, 2, *x.shape[1:])[:, ::-1].reshape(x.shape)


def together(*batches: AnyArray) -> AnyArray:
    """Join n batches [b, ...] to one [n b, ...], their rows i next to each other.

    One call of a network then serves for n. End to end (`concatenate`), nearly every row of a batch
    that is spread over devices would have to move to another device; so each stays where it is.
    """
    return jnp.stack(batches, 1).reshape(-1, *batches[0].shape[1:])


def apart(x: AnyArray, n: int = 2) -> tuple[AnyArray, ...]:
    """Split x into the n batches that `together` joined."""
    rows = x.reshape(-1, n, *x.shape[1:])
    return tuple(rows[:, i] for i in range(n))
