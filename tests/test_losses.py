"""Every shared loss against numbers made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reenact_jax.systems import losses, optimisers

LOG2, E = np.log(2), np.e


def test_distances():
    a = jnp.array([[[0.0, 0.0], [1.0, 2.0]]])
    b = jnp.array([[[3.0, 4.0], [1.0, 0.0]]])
    assert float(losses.points(a, b)) == pytest.approx((25 + 4) / 2)
    assert float(losses.codes(a[0], b[0])) == pytest.approx((25 + 4) / 2)
    assert float(losses.codes(a.reshape(1, 4), b.reshape(1, 4))) == pytest.approx(29)
    assert float(losses.l1(a, b)) == pytest.approx((3 + 4 + 0 + 2) / 4)


@pytest.mark.parametrize('name', ['l1', 'points', 'codes'])
def test_shapes_are_not_broadcast(name):
    with pytest.raises(ValueError, match='shapes differ'):
        getattr(losses, name)(jnp.zeros((2, 3, 2)), jnp.zeros((1, 3, 2)))


@pytest.mark.parametrize(
    'form, on_real, on_fake, generator',
    [
        ('log', np.log(1 + 1 / E**2), np.log(1 + E**0.5), np.log(1 + E**-0.5)),
        ('hinge', 0.0, 1.5, -0.5),
        ('lsgan', 1.0, 2.25, 0.25),
        ('lsgan01', 1.0, 0.25, 0.25),
    ],
)
def test_gan_forms(form, on_real, on_fake, generator):
    """Two scales, logit 2 on real and 0.5 on fake; constant, so means over places are plain."""
    real = [jnp.full((2, 3, 3, 1), 2.0), jnp.full((2, 2, 2, 1), 2.0)]
    fake = [jnp.full((2, 3, 3, 1), 0.5), jnp.full((2, 2, 2, 1), 0.5)]
    value = losses.gan_discriminator(real, fake, form)
    assert float(value) == pytest.approx(2 * (on_real + on_fake), rel=1e-5)
    assert float(losses.gan_generator(fake, form)) == pytest.approx(2 * generator, rel=1e-5)


def test_gan_scales_are_summed():
    fake = [jnp.full((1, 8, 8, 1), -1.0), jnp.full((1, 2, 2, 1), -3.0)]
    assert float(losses.gan_generator(fake, 'hinge')) == pytest.approx(4.0)


def test_log_probability_and_floor():
    logits = jnp.log(jnp.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]])) + 5
    label = jnp.array([0, 2])
    value = losses.log_probability(logits, label)
    np.testing.assert_allclose(value, np.log([0.7, 0.1]), rtol=1e-5)
    floored = losses.log_probability(logits, label, floor=True)
    np.testing.assert_allclose(floored, np.log([0.7, 1 / 3]), rtol=1e-5)
    # Below the floor nothing is left to gain: the gradient of that row vanishes.
    slope = jax.grad(lambda z: losses.log_probability(z, label, floor=True).sum())(logits)
    assert np.abs(slope[0]).max() > 0.1 and np.abs(slope[1]).max() == 0


def test_log_complement():
    logits = jnp.log(jnp.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]])) - 3
    value = losses.log_complement(logits, jnp.array([0, 2]))
    np.testing.assert_allclose(value, np.log([0.3, 0.9]), rtol=1e-5)
    # P within float32's rounding of 1: log(1 - P) computed naively would be -inf.
    sure = jnp.array([[30.0, 0.0, 0.0]])
    assert float(losses.log_complement(sure, jnp.array([0]))[0]) == pytest.approx(LOG2 - 30)
    slope = jax.grad(lambda z: losses.log_complement(z, jnp.array([0])).sum())(sure)
    np.testing.assert_allclose(slope, [[-1, 0.5, 0.5]], atol=1e-5)


def test_accuracy():
    logits = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert float(losses.accuracy(logits, jnp.array([0, 1, 1]))) == pytest.approx(2 / 3)


def test_perceptual_weighs_maps_not_entries():
    truth = [jnp.zeros((1, 4, 4, 2)), jnp.zeros((1, 2, 2, 8))]
    guess = [jnp.full((1, 4, 4, 2), 0.5), jnp.full((1, 2, 2, 8), -2.0)]
    assert float(losses.perceptual(guess, truth)) == pytest.approx(1.25)
    assert float(losses.perceptual(guess, truth, (0.5, 2.0))) == pytest.approx(4.25)


def test_partner_swaps_rows():
    x = jnp.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(losses.partner(x), x[jnp.array([1, 0, 3, 2])])


def test_joined_batches_keep_rows_together():
    x = jnp.arange(6.0).reshape(3, 2)
    both = losses.together(x, x + 10)
    np.testing.assert_array_equal(both[:, 0], [0, 10, 2, 12, 4, 14])
    for part, whole in zip(losses.apart(both), (x, x + 10), strict=True):
        np.testing.assert_array_equal(part, whole)


def test_schedules():
    assert optimisers.learning_rate(optimisers.adam(1e-3, 100, 'cosine'), 50) == pytest.approx(5e-4)
    assert optimisers.learning_rate(optimisers.adam(1e-3, 100), 99) == pytest.approx(1e-3)


def test_adam_moves_by_its_rate():
    tx = optimisers.adam(0.1, 10, 'cosine')
    weight = jnp.array(3.0)
    state = tx.init(weight)
    update, state = tx.update(jnp.array(7.0), state, weight)
    assert float(update) == pytest.approx(-0.1, rel=1e-4)
    assert float(state.hyperparams['learning_rate']) == pytest.approx(0.1)
