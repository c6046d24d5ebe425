"""LT, FACEGAN's landmark transformer (section 3.1): losses, and driving a face by action units.

    l_t = l_s + LT(l_s, AU_d)

Units (ours; the paper has "normalized coordinates" of crops that pin the middle between the eyes):
points from the middle between the eyes, in half sides of the source's bounding box.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.data.tracks import Batch
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts
from reenact_jax.systems import losses


def terms(hp, apply, batch: Batch):
    """Eqs. 1 to 4 on two frames of a track: the second one's action units move the first one.

    Returns the losses of LT and La, metrics, and l_t in pixels with the eyes where l_d has them.
    """
    source, known = batch.landmarks[:, 0], batch.aus_valid[:, 1]
    aus, unit = batch.aus[:, 1], lm.box(source)[1]
    truth = pinned(batch.landmarks[:, 1], unit)
    given = pinned(source, unit)
    made = moved(apply, given, aus, known)
    guess, right = losses.apart(apply('La', losses.together(made, truth)))
    metrics = {
        'l1': losses.l1(made, truth),
        'delta': jnp.square(made - given).mean(),
        'au': _masked(guess, aus, known),
        'lines': losses.l1(_lines(hp, made), _lines(hp, truth)),  # eq. 3
    }
    reconstruction = metrics['l1'] + hp.lambda_lr * metrics['delta']  # eq. 1
    value = (
        hp.lambda_l1 * reconstruction
        + hp.lambda_l2 * metrics['au']  # eq. 2, first term
        + hp.lambda_l3 * metrics['lines']
    )
    regress = metrics['au/real'] = _masked(right, aus, known)  # eq. 2, second term
    if hp.la_on_generated:
        regress = regress + metrics['au']
    points = made * unit[:, None, None] + lm.eye_middle(batch.landmarks[:, 1])
    return {'LT': value, 'La': regress}, metrics, points


def pinned(points: Float[Array, 'b n 2'], unit: Float[Array, ' b']) -> Float[Array, 'b n 2']:
    """Points in pixels as the networks take them."""
    return (points - lm.eye_middle(points)) / unit[:, None, None]


def moved(
    apply, given: Float[Array, 'b n 2'], aus: Float[Array, 'b 20'], known
) -> Float[Array, 'b n 2']:
    """l_t of pinned landmarks. Unknown action units (`known` [b, 20] bool) are given as 0."""
    shift = apply('LT', given, jnp.where(known, aus, 0.0))
    return given + shift.reshape(given.shape)


def _masked(made: Float[Array, 'b 20'], truth: Float[Array, 'b 20'], known) -> Float[Array, '']:
    """Mean absolute error of those that are known."""
    weight = known.astype(made.dtype)
    return (jnp.abs(made - truth) * weight).sum() / jnp.maximum(weight.sum(), 1)


def _lines(hp, points: Float[Array, 'b n 2']) -> Float[Array, 'b e _']:
    """Distances between connected landmarks, [b, e, 1], or their differences, [b, e, 2].

    The text and D's d x 1 numbers say distances, the sentence below eq. 3 differences.
    """
    edges = layouts.of_count(points.shape[1]).edges
    off = points[:, edges[:, 1]] - points[:, edges[:, 0]]
    if hp.lines == 'vectors':
        return off
    return jnp.sqrt(jnp.maximum(jnp.sum(off**2, -1, keepdims=True), 1e-12))
