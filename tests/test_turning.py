"""Heads turned by their landmarks."""

import numpy as np
import pytest
from bundles import drawing_model, landmark_model, random_face

from reenact_jax import bundle
from reenact_jax.data_prep.heads import pose
from reenact_jax.export import command as export
from reenact_jax.geometry import layouts
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.edits import head_pose, unit_edits
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.portraits import Portrait

OWN, OTHER = np.deg2rad([[10, -20, 5], [-15, 25, 30]])
EACH = [unit_edits.Change(17 + axis, angle, False) for axis, angle in enumerate(OTHER)]


def face(angles) -> dict:
    """A head of random points at angles, its mean in pixel 50, 40."""
    flip = np.diag([1, -1, -1])  # the model's axes have y up and z towards the camera
    turn = flip @ pose.rotation(angles) @ flip
    points = np.random.default_rng(0).normal(0, 10, (68, 3)) @ turn.T
    points += [50, 40, 0] - points.mean(0)
    aus = np.zeros(20, np.float32)
    aus[17:] = angles
    units = {'aus': aus, 'aus_valid': np.ones(20, np.float32)}
    return {'landmarks': points[:, :2], 'landmarks3d': points} | units


def apply(one: dict, changes=EACH, amount=1.0) -> dict:
    return head_pose.apply(one, changes, layouts.layout('68'), amount)


def test_shape_is_that_of_the_other_pose():
    made, wanted = apply(face(OWN)), face(OTHER)
    moved = made['landmarks3d'].mean(0) - wanted['landmarks3d'].mean(0)
    np.testing.assert_allclose(made['landmarks3d'], wanted['landmarks3d'] + moved, atol=1e-4)
    np.testing.assert_array_equal(made['landmarks'], made['landmarks3d'][:, :2])
    np.testing.assert_allclose(made['aus'][17:], OTHER, atol=1e-6)


def test_the_nose_goes_where_the_axes_say():
    frontal = face(np.zeros(3))
    yaw = apply(frontal, [unit_edits.Change(18, np.deg2rad(20), False)])
    pitch = apply(frontal, [unit_edits.Change(17, np.deg2rad(20), False)])
    # The pivot is behind the face: its middle goes where the nose points.
    assert yaw['landmarks'][:, 0].mean() < 49 and pitch['landmarks'][:, 1].mean() > 41


def test_share_of_the_way_and_rows():
    both = {name: np.stack([value] * 3) for name, value in face(OWN).items()}
    made = apply(both, amount=np.array([0, 0.5, 1]))
    np.testing.assert_allclose(made['landmarks3d'][0], face(OWN)['landmarks3d'], atol=1e-4)
    np.testing.assert_allclose(made['aus'][1, 17:], (OWN + OTHER) / 2, atol=1e-6)
    np.testing.assert_allclose(made['landmarks3d'][2], apply(face(OWN))['landmarks3d'], atol=1e-4)


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp('turning') / 'bundle'
    export.write(folder, drawing_model(), landmark_model())
    return bundle.load(folder, 'none')


def test_a_model_that_landmarks_drive_turns_the_source_and_the_driver(model):
    known = {name: value[0] for name, value in random_face(0, 1).items()}
    source = Portrait(known.pop('image'), known)
    yaw = [unit_edits.Change(18, np.deg2rad(-40), False)]
    (made,) = Animation(model, source, Options(units=yaw)).lead(None, 1)
    wanted = head_pose.apply(known, yaw, layouts.layout('68'))['landmarks']
    np.testing.assert_allclose(made.landmarks, wanted, atol=1e-4)
    turned, plain = (
        next(Animation(model, source, Options(motion='absolute', units=units)).frames([known]))
        for units in (yaw, ())
    )
    assert np.abs(turned.landmarks - plain.landmarks).mean() > 0.5
