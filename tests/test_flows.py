"""The landmark flow: similarities come back, nothing moves for nothing, gradients are finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reenact_jax.geometry import flows, images

SIDE, GRID = 256, 32


def some_points(seed=0, rows=2, n=68):
    return np.float32(np.random.default_rng(seed).uniform(60, 200, (rows, n, 2)))


def turned(points, angle, scale, shift):
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.float32(points @ np.array([[cos, sin], [-sin, cos]]) + shift)


@pytest.mark.parametrize('sharpness', [1.0, 2.0])
@pytest.mark.parametrize(
    'angle, scale, shift', [(0, 1, (7, -3)), (0.5, 1, (0, 0)), (-0.3, 1.3, (20, 5))]
)
def test_the_flow_of_a_similarity_is_that_similarity_everywhere(angle, scale, shift, sharpness):
    driving = some_points()
    source = turned(driving - 128, angle, scale, shift) + 128
    flow = flows.landmark_flow(source, driving, SIDE, GRID, sharpness) * (SIDE / 2)
    grid = images.pixel_grid(GRID, GRID) * (SIDE / GRID)
    expected = turned(grid - 128, angle, scale, shift) + 128 - grid
    np.testing.assert_allclose(flow, np.broadcast_to(expected, flow.shape), atol=1e-3)


def test_still_landmarks_move_nothing():
    points = some_points()
    assert np.all(np.asarray(flows.landmark_flow(points, points, SIDE, GRID)) == 0)


@pytest.mark.parametrize('at', [0, 10])
def test_a_landmark_takes_its_pixel_along(at):
    # Points on centres of the grid, so that the flow there can be read.
    cells = np.random.default_rng(1).permutation(GRID * GRID)[:20]
    driving = np.float32(np.stack([cells % GRID, cells // GRID], -1) + 0.5)[None] * (SIDE / GRID)
    source = driving.copy()
    source[0, at] += (5, -4)
    flow = np.asarray(flows.landmark_flow(source, driving, SIDE, GRID)) * (SIDE / 2)
    x, y = cells[at] % GRID, cells[at] // GRID
    np.testing.assert_allclose(flow[0, y, x], (5, -4), atol=0.3)
    others = [i for i in range(20) if i != at]
    assert np.abs(flow[0, cells[others] // GRID, cells[others] % GRID]).max() < 0.3


def test_the_formula_agrees_with_moving_least_squares_in_double_precision():
    source, driving = some_points(2, 1, 12), some_points(3, 1, 12)
    made = np.asarray(flows.landmark_flow(source, driving, SIDE, 8)) * (SIDE / 2)
    s, d = (x[0].astype(np.float64) @ [1, 1j] for x in (source, driving))
    p = images.pixel_grid(8, 8).reshape(-1, 2).astype(np.float64) @ [1, 1j] * (SIDE / 8)
    w = (np.abs(p[:, None] - d) ** 2 + 1) ** -2.0
    w /= w.sum(1, keepdims=True)
    p_star, q_star = w @ d, w @ s
    away = d[None] - p_star[:, None]
    m = (w * away.conj() * (s[None] - q_star[:, None])).sum(1) / (w * np.abs(away) ** 2).sum(1)
    flow = m * (p - p_star) + q_star - p
    expected = np.stack([flow.real, flow.imag], -1).reshape(1, 8, 8, 2)
    np.testing.assert_allclose(made, expected, atol=0.5)
    assert np.median(np.abs(made - expected)) < 0.02


@pytest.mark.parametrize('points', ['coincident', 'two', 'far outside'])
def test_odd_points_give_finite_flows_and_gradients(points):
    driving = some_points()
    if points == 'coincident':
        driving[:] = 100
    if points == 'two':
        driving[:, 1] = driving[:, 0]
    if points == 'far outside':
        driving += 1e4
    source = some_points(4)

    def loss(source, driving):
        return jnp.square(flows.landmark_flow(source, driving, SIDE, GRID)).mean()

    for x in (
        flows.landmark_flow(source, driving, SIDE, GRID),
        *jax.grad(loss, (0, 1))(source, driving),
    ):
        assert np.isfinite(np.asarray(x)).all()


def test_a_turned_head_shows_one_side_and_hides_the_other():
    """Points on a ball seen from the front: 1 in its middle, 0 at its outline, below 0 behind."""
    turn = np.deg2rad([-90, -45, 0, 45, 90])
    ball = np.stack([np.sin(turn), 0 * turn, -np.cos(turn)], -1)
    for angle in np.deg2rad([0, 30, -50]):
        cos, sin = np.cos(angle), np.sin(angle)
        points = np.float32(ball @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]]) * 40 + 7)
        found = flows.facing(points[None], (0, 4))[0]
        np.testing.assert_allclose(found, np.cos(turn - angle), atol=0.01)
    flat = points[None] * [1, 1, 0]
    np.testing.assert_array_equal(flows.facing(jnp.asarray(flat), (0, 4)), 1)


def test_a_field_has_its_landmarks_values():
    points = some_points(5, 1, 6)
    values = np.float32(np.random.default_rng(6).uniform(-1, 1, (1, 6, 2)))
    field = np.asarray(flows.landmark_field(values, points, SIDE, 256))
    for point, value in zip(np.int32(points[0]), values[0], strict=True):
        np.testing.assert_allclose(field[0, point[1], point[0]], value, atol=0.02)
    assert field.min() >= values.min() - 1e-5 and field.max() <= values.max() + 1e-5
