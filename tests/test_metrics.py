"""Metrics against numbers worked out by hand and against scikit-image."""

import numpy as np
import pytest
import scipy.linalg
from skimage import data, transform
from skimage import metrics as reference

from reenact_jax.common.errors import UserError
from reenact_jax.evaluate import metrics

SQUARE = np.array([[[0, 0], [10, 0], [10, 10], [0, 10]]], np.float32)  # box side 10


def test_l1_and_mse_by_hand():
    truth = np.zeros((2, 2, 2, 3), np.float32)
    result = truth.copy()
    result[1, 0, 0] = 0.6  # 3 of 12 numbers off by 0.6
    np.testing.assert_allclose(metrics.l1(result, truth), [0, 0.15], rtol=1e-6)
    np.testing.assert_allclose(metrics.mse(result, truth), [0, 0.36 / 4 / 4], rtol=1e-6)


def test_shapes_must_agree_so_that_nothing_broadcasts(unchecked):
    with pytest.raises(ValueError, match='shapes differ'):
        metrics.l1(np.zeros((2, 4, 4, 3)), np.zeros((1, 4, 4, 3)))


def test_ssim_equals_scikit_image():
    rng = np.random.default_rng(0)
    image = transform.resize(data.astronaut()[:256, 100:356], (48, 40)).astype(np.float32)
    noisy = np.clip(image + rng.normal(0, 0.1, image.shape), 0, 1).astype(np.float32)
    dark = (image * 0.6).astype(np.float32)
    expected = [
        reference.structural_similarity(
            image,
            other,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=-1,
        )
        for other in (image, noisy, dark)
    ]
    truth = np.stack([image] * 3) * 2 - 1
    got = metrics.ssim(np.stack([image, noisy, dark]) * 2 - 1, truth)
    assert expected[1] < 0.95  # the comparison says something
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_ssim_of_flat_images_by_hand():
    # No structure: only the luminance term (2ab + c1) / (a^2 + b^2 + c1) is left, a = 0.2, b = 0.6.
    a, b = np.full((1, 12, 12, 3), -0.6, np.float32), np.full((1, 12, 12, 3), 0.2, np.float32)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
    np.testing.assert_allclose(metrics.ssim(a, b), [expected], atol=1e-4)


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(UserError, match='11 pixels'):
        metrics.ssim(np.zeros((1, 10, 20, 3)), np.zeros((1, 10, 20, 3)))


def test_point_error_is_percent_of_the_truths_box():
    moved = SQUARE.copy()
    moved[0, 0] += (3, 4)  # one of four points off by 5
    np.testing.assert_allclose(metrics.point_error(moved, SQUARE), [100 * 5 / 4 / 10], rtol=1e-6)


def test_ace_is_in_pixels_at_256():
    moved = SQUARE.copy()
    moved[0, 0] += (3, -4)
    np.testing.assert_allclose(metrics.ace(moved, SQUARE, 128), [2 * 7 / 8], rtol=1e-6)


def test_identity_leak_is_0_at_the_truth_and_1_at_the_driver():
    rng = np.random.default_rng(1)
    truth, driver = rng.normal(size=(2, 1, 68, 2)).astype(np.float32)
    mixed = truth + 0.3 * (driver - truth)
    sideways = np.stack([-(driver - truth)[..., 1], (driver - truth)[..., 0]], -1)  # orthogonal
    results = np.concatenate([truth, driver, mixed, mixed + sideways])
    truths, drivers = np.repeat(truth, 4, 0), np.repeat(driver, 4, 0)
    leak = metrics.identity_leak(results, truths, drivers)
    np.testing.assert_allclose(leak, [0, 1, 0.3, 0.3], atol=1e-5)
    np.testing.assert_array_equal(metrics.identity_leak(driver, truth, truth), [0])


def test_same_box_leaves_only_the_shape():
    points = SQUARE * 3 + np.array([7, -2], np.float32)
    np.testing.assert_allclose(metrics.same_box(points, SQUARE), SQUARE, atol=1e-5)


def test_cosine_angles_and_units_by_hand():
    a, b = np.float32([[3, 4], [0, 0]]), np.float32([[4, 3], [1, 0]])
    np.testing.assert_allclose(metrics.similarity(a, b), [0.96, 0], rtol=1e-6)
    turn = np.radians(np.float32([[10, 0, 0]])), np.radians(np.float32([[4, 0, 8]]))
    np.testing.assert_allclose(metrics.prmse(*turn), [np.sqrt((36 + 64) / 3)], rtol=1e-5)
    made, truth = np.float32([[0.5, 0.1, 0.9]]), np.float32([[0.1, 0.4, 0.0]])
    known = np.array([[True, True, False]])
    np.testing.assert_allclose(metrics.expression_distance(made, truth, known), [0.5], rtol=1e-6)
    # Of the two known units the first is present in one, the second in the other.
    assert metrics.au_agreement(made, truth, known).tolist() == [0]
    assert metrics.au_agreement(made, truth, known, present=0.45).tolist() == [0.5]


def test_lsim_by_hand():
    moved = SQUARE + np.float32([3, 4])  # of an image of 100 pixels: 0.06, 0.08 of its half side
    expected = (0.06**2 + 0.08**2) / 2
    np.testing.assert_allclose(metrics.lsim(moved, SQUARE, 100), [expected], rtol=1e-5)


def test_frechet_distance_equals_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (50, 4)), rng.normal(0.5, 2, (60, 4)) @ rng.normal(size=(4, 4))
    root = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = np.square(a.mean(0) - b.mean(0)).sum()
    expected += np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert metrics.frechet(a, b) == pytest.approx(expected, rel=1e-6)
    assert metrics.frechet(a, a) == pytest.approx(0, abs=1e-6)
    # One number each: (difference of means)^2 + (difference of deviations)^2.
    one, two = np.float64([[0], [2]]), np.float64([[5], [9]])
    assert metrics.frechet(one, two) == pytest.approx(36 + (np.sqrt(8) - np.sqrt(2)) ** 2)
    assert np.isnan(metrics.frechet(one[:1], two))


def test_cross_triples_are_ordered_by_role():
    pair, role = np.array([1, -1, 0, 1, 0, 1, 0]), np.array([2, -1, 1, 0, 0, 1, 2])
    np.testing.assert_array_equal(metrics.cross_triples(pair, role), [[4, 2, 6], [3, 5, 0]])


@pytest.mark.parametrize('role', [[0, 1, 1], [0, 1]])
def test_cross_triples_refuse_an_incomplete_pair(role):
    with pytest.raises(UserError, match='pair 0'):
        metrics.cross_triples(np.zeros(len(role), int), np.array(role))
