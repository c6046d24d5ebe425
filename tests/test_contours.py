"""Points on the silhouette become points on the surface, by the frame that looks straight."""

from fractions import Fraction

import numpy as np
import pytest

from reenact_jax.geometry import contours, frames
from reenact_jax.reenact import motion


def head():
    """A head of 68 points whose jaw lies on an ellipsoid; y down, z away from the camera."""
    rng = np.random.default_rng(0)
    points = rng.uniform([-2, -2, -1], [2, 2, 0], (68, 3))
    around = np.linspace(-np.pi / 2, np.pi / 2, 17)
    points[:17] = np.stack([5 * np.sin(around), 6 * np.cos(around), 3 * np.abs(around)], 1)
    points[27:31] = np.stack([np.zeros(4), [-1, 0, 1, 2], [-1, -1.5, -2, -2.5]], 1)
    points[31:36] = np.stack([[-1, -0.5, 0, 0.5, 1], np.full(5, 2.5), [-1, -1.5, -2, -1.5, -1]], 1)
    for first, x in ((36, -2.5), (42, 2.5)):
        corners = np.array([[x - 1, -1, 0.5], [x + 1, -1, 0.0 if x < 0 else 0.5]])
        points[first], points[first + 3] = corners if x < 0 else corners[:, :]
    return points - points[list(frames.rigid(contours._LAYOUT))].mean(0)


def seen(points, yaw, scale=1.0, shift=(50, 60, 0)):
    """The head turned about y, larger and elsewhere."""
    turn = frames.rotation(np.array([0.0, np.deg2rad(yaw), 0.0]))
    return scale * points @ turn.T + shift


def test_a_jaw_that_slid_is_put_back():
    still = head()
    truth = np.stack([seen(still, 0), seen(still, 35, 1.3), seen(still, -25, 0.8, (10, 20, 5))])
    slid = truth.copy()
    slid[1:, 1:8, 0] += 2  # the silhouette is elsewhere
    made = contours.on_surface(slid)
    np.testing.assert_allclose(made, truth, atol=1e-3)
    assert np.abs(made - slid).max() > 1


def test_the_jaw_drops_with_the_chin():
    still, opened = head(), head()
    opened[8, 1] += 2
    made = contours.on_surface(np.stack([seen(still, 0), seen(opened, 20)]))
    drop = (made[1, :17] - seen(still, 20)[:17])[:, 1]
    assert drop[8] == pytest.approx(2, abs=1e-3) and drop[[0, 16]] == pytest.approx(0, abs=1e-3)
    assert (np.diff(drop[:9]) >= -1e-4).all() and (np.diff(drop[8:]) <= 1e-4).all()


def test_without_depth_or_a_face_points_stay():
    still = head()
    flat = np.stack([seen(still, 0), seen(still, 30)]) * [1, 1, 0]
    np.testing.assert_allclose(contours.on_surface(flat), flat, atol=1e-4)
    lost = np.stack([seen(still, 0), np.full((68, 3), np.nan)])
    made = contours.on_surface(lost)
    assert np.isnan(made[1]).all() and np.isfinite(made[0]).all()
    assert np.isnan(contours.on_surface(lost[1:])).all()


def test_a_motion_with_silhouettes_drives_models_of_68_points():
    still = head()
    places = np.stack([seen(still, 0), seen(still, 20)]).astype(np.float32) / 100
    aus, valid = np.zeros((2, 20), np.float32), np.zeros((2, 20), bool)
    made = motion.Motion(aus, valid, Fraction(25), '68c', places)
    assert motion.landmarks_of(made, '68c') is places
    np.testing.assert_allclose(motion.landmarks_of(made, '68'), places, atol=1e-3)
    assert motion.landmarks_of(made, '106') is None
    assert motion.landmarks_of(made._replace(points='106'), '68') is None
    assert motion.landmarks_of(made._replace(points=None, landmarks=None), '68') is None
