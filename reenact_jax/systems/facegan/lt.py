"""LT, FACEGAN's landmark transformer (section 3.1): its losses, and a face driven by action units.

    l_t = l_s + LT(l_s, AU_d)

Units (ours; the paper has "normalized coordinates" of crops that pin the middle between the eyes):
points from the middle between the eyes, in half sides of the source's bounding box.

Not every estimator knows every action unit. An unknown one is given as 0, which is also a muscle at
rest; with `units_known` LT is told which ones are known, and `drop_units` hides some in training,
so that it meets all cases (both ours).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.data.tracks import POSE, Batch
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts
from reenact_jax.systems import losses


def terms(hp, apply, batch: Batch, rng: jax.Array):
    """Compute eqs. 1 to 4 on two frames of a track: the second's action units move the first.

    La judges all units that are known, those too that are hidden from LT.

    Returns:
      The losses of LT and La, metrics, and l_t in pixels with the eyes where l_d has them.
    """
    source, known = batch.landmarks[:, 0], batch.aus_valid[:, 1]
    aus, unit = batch.aus[:, 1], lm.box(source)[1]
    truth = pinned(batch.landmarks[:, 1], unit)
    start = pinned(source, unit)
    result = moved(hp, apply, start, aus, _given(hp, known, rng))
    guess, right = losses.apart(apply('La', losses.together(result, truth)))
    metrics = {
        'l1': losses.l1(result, truth),
        'delta': jnp.square(result - start).mean(),
        'au': _masked(guess, aus, known),
        'lines': losses.l1(_lines(hp, result), _lines(hp, truth)),  # eq. 3
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
    points = result * unit[:, None, None] + lm.eye_middle(batch.landmarks[:, 1])
    return {'LT': value, 'La': regress}, metrics, points


def pinned(points: Float[Array, 'b n 2'], unit: Float[Array, ' b']) -> Float[Array, 'b n 2']:
    """Convert points in pixels to what the networks take."""
    return (points - lm.eye_middle(points)) / unit[:, None, None]


def moved(
    hp, apply, given: Float[Array, 'b n 2'], aus: Float[Array, 'b 20'], known
) -> Float[Array, 'b n 2']:
    """Compute l_t of pinned landmarks.

    Args:
      hp: FACEGAN's settings.
      apply: calls a network by name.
      given: pinned landmarks.
      aus: the driver's.
      known: [b, 20] bool; action units that are not known are given as 0.
    """
    told = (known.astype(aus.dtype),) if hp.units_known else ()
    shift = apply('LT', given, jnp.where(known, aus, 0.0), *told)
    return given + shift.reshape(given.shape)


def _given(hp, known, rng: jax.Array):
    """Hide each intensity with the chance `drop_units`; the angles stay."""
    if not hp.drop_units:
        return known
    kept = jax.random.bernoulli(rng, 1 - hp.drop_units, known.shape)
    return known & kept.at[:, POSE].set(True)


def _masked(guess: Float[Array, 'b 20'], truth: Float[Array, 'b 20'], known) -> Float[Array, '']:
    """Compute the mean absolute error of the action units that are known."""
    weight = known.astype(guess.dtype)
    return (jnp.abs(guess - truth) * weight).sum() / jnp.maximum(weight.sum(), 1)


def _lines(hp, points: Float[Array, 'b n 2']) -> Float[Array, 'b e _']:
    """Compute distances between connected landmarks, [b, e, 1], or their differences, [b, e, 2].

    The text and D's d x 1 numbers say distances, the sentence below eq. 3 differences.
    """
    edges = layouts.of_count(points.shape[1]).edges
    offsets = points[:, edges[:, 1]] - points[:, edges[:, 0]]
    if hp.lines == 'vectors':
        return offsets
    return jnp.sqrt(jnp.maximum(jnp.sum(offsets**2, -1, keepdims=True), 1e-12))
