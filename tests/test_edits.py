"""Edits of landmarks: what each moves, that it is bounded, that tilted heads are no different."""

import numpy as np
import pytest

from reenact_jax.common.errors import UserError
from reenact_jax.data_prep.heads import likeness, motion, pose
from reenact_jax.geometry.layouts import layout
from reenact_jax.reenact.edits import landmark_edits


@pytest.fixture(scope='module', params=['68', '106'])
def face(request):
    """(frontal faces [2, n, 2] at rest and in motion, layout): synthetic, in pixels."""
    return faces_of(request.param)


def faces_of(name):
    from reenact_jax.data_prep.heads import points

    person = likeness.likeness(3)
    state = motion.motion(5, 2)
    state = state._replace(pose=np.zeros_like(state.pose))
    both = [motion.neutral(state).frame(0), state.frame(1)]
    states = pose.State(*(np.stack(field) for field in zip(*both, strict=True)))
    found = pose.project(likeness.marks(person, states).surface)[..., :2]
    return np.float32(found if name == '106' else found[:, points.IBUG]), layout(name)


def part(points, layout, *names):
    at = [i for name in names for i in layout.parts[name]]
    return np.asarray(points)[:, at]


def height(points):
    return np.ptp(points[..., 1], axis=1)


def width(points):
    return np.ptp(points[..., 0], axis=1)


@pytest.mark.parametrize('name', landmark_edits.EDITS)
def test_an_edit_moves_its_part_alone(name, face):
    points, lay = face
    moves = {
        'mouth_open': ('outer_lips', 'inner_lips', 'jaw'),
        'mouth_width': ('outer_lips', 'inner_lips'),
        'smile': ('outer_lips', 'inner_lips'),
        'face_width': ('jaw',),
        'eye_open': ('left_eye', 'right_eye'),
        'eye_rotation': ('left_eye', 'right_eye', 'left_pupil', 'right_pupil'),
        'brow_raise': ('left_brow', 'right_brow'),
    }[name]
    for strength in (1.0, -1.0):
        made = np.asarray(landmark_edits.apply(points, lay, {name: strength}))
        moved = np.abs(made - points).max((0, 2)) > 1e-2
        inside = {i for one in moves for i in lay.parts.get(one, ())}
        assert moved.any() and set(np.flatnonzero(moved)) <= inside
        # Bounded: nothing goes further than a quarter of the face.
        assert np.abs(made - points).max() < 0.25 * np.ptp(points, axis=1).max()
    same = landmark_edits.apply(points, lay, {name: 0.0})
    np.testing.assert_allclose(same, points, atol=1e-2)


def test_edits_do_what_they_are_called(face):
    points, lay = face

    def edited(**strengths):
        return landmark_edits.apply(points, lay, strengths)

    lips = ('inner_lips',)
    opened, shut = (part(edited(mouth_open=by), lay, *lips) for by in (1.0, -1.0))
    mouth = width(part(points, lay, 'inner_lips'))
    fall = height(opened) - height(part(points, lay, *lips))
    assert (fall > 0.4 * mouth).all()
    np.testing.assert_allclose(shut[:, [1, 2, 3], 1], shut[:, [7, 6, 5], 1], atol=1e-2)
    for name, one, scale in (('mouth_width', 'outer_lips', 1.3), ('face_width', 'jaw', 1.2)):
        made = width(part(edited(**{name: 1.0}), lay, one))
        np.testing.assert_allclose(made, scale * width(part(points, lay, one)), rtol=1e-3)
    for eye in ('left_eye', 'right_eye'):
        closed = height(part(edited(eye_open=-1.0), lay, eye))
        np.testing.assert_allclose(closed, 0, atol=0.05 * width(part(points, lay, eye)).max())
    raised = part(edited(brow_raise=1.0), lay, 'left_brow') - part(points, lay, 'left_brow')
    assert (raised[..., 1] < 0).all()
    corners = [lay.parts['outer_lips'][0], lay.parts['outer_lips'][6]]
    smile = np.asarray(edited(smile=1.0))[:, corners] - points[:, corners]
    assert (smile[..., 1] < 0).all()
    outer = lay.parts['left_eye'][0]  # at the smallest x, upwards
    assert (np.asarray(edited(eye_rotation=1.0))[:, outer, 1] < points[:, outer, 1]).all()


def test_a_tilted_head_is_edited_alike():
    points, lay = faces_of('68')
    angle = 0.5
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    every = dict.fromkeys(landmark_edits.EDITS, 0.6)
    straight = np.asarray(landmark_edits.apply(points, lay, every)) @ turn.T * 2 + 7
    tilted = landmark_edits.apply(np.float32(points @ turn.T * 2 + 7), lay, every)
    np.testing.assert_allclose(tilted, straight, atol=0.05 * np.ptp(points))


def test_amounts_are_a_row_each():
    points, lay = faces_of('68')
    made = landmark_edits.apply(points, lay, {'smile': 1.0}, np.array([0.0, 0.5]))
    np.testing.assert_allclose(made[0], points[0], atol=1e-2)
    half = landmark_edits.apply(points, lay, {'smile': 0.5})
    np.testing.assert_allclose(made[1], half[1], atol=1e-2)


def test_between_is_even():
    start, end = np.zeros((3, 2)), np.full((3, 2), 4.0)
    np.testing.assert_allclose(
        landmark_edits.between(start, end, np.linspace(0, 1, 5))[:, 1, 0], [0, 1, 2, 3, 4]
    )


@pytest.mark.parametrize(
    'texts, message',
    [
        (['mouth=1'], 'no such edit; there are mouth_open, '),
        (['smile'], 'give a strength'),
        (['smile=much'], 'give a strength'),
        (['smile=nan'], 'give a strength'),
        (['smile=1.5'], 'from -1 to 1'),
        (['smile=0.5', 'smile=0.1'], 'given already'),
    ],
)
def test_bad_edits_are_named(texts, message):
    with pytest.raises(UserError, match=message):
        landmark_edits.parse(texts)


def test_good_edits_are_parsed():
    assert landmark_edits.parse(['smile=-.5', 'mouth_open=+1']) == {
        'smile': -0.5,
        'mouth_open': 1.0,
    }
    assert all(name in landmark_edits.describe() for name in landmark_edits.EDITS)
