"""Heads: geometry, action units, signs of pose and gaze, pictures without holes, determinism."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip('numba', reason='the extra [synthetic] is not installed')

from reenact_jax.data.tracks import AU_NAMES, BACKGROUND, FACE
from reenact_jax.data_prep.heads import (
    additive,
    clips,
    head,
    likeness,
    motion,
    points,
    pose,
    render,
)
from reenact_jax.data_prep.heads.background import background
from reenact_jax.data_prep.heads.light import scene
from reenact_jax.data_prep.heads.sheets import state
from reenact_jax.geometry.landmarks import LAYOUTS

SIZE = 64
PARTS = LAYOUTS['68'].parts


@pytest.fixture(scope='module')
def person():
    return likeness.likeness(3)


@pytest.fixture(scope='module')
def baked():
    return head.bake(3)


def picture(baked, what, size=SIZE):
    crop = clips.crop_of(likeness.marks(baked.person, state()))
    return render.render(
        baked, what.frame(0), scene(1), background(1, size), crop, size, 0
    ), crop  # fmt: skip


def ibug(person, what):
    """The 68 points [68, 2], pixels with y down."""
    return pose.project(likeness.marks(person, what).surface[0, points.IBUG])[:, :2]


def part(xy, *names):
    return xy[[i for name in names for i in PARTS[name]]]


def test_ibug_points_are_among_the_106(person):
    assert len(points.IBUG) == 68
    xy = ibug(person, state())
    jaw = part(xy, 'jaw')
    assert (np.diff(jaw[1:-1, 0]) > 0).all(), 'the jaw runs from image-left to image-right'
    assert part(xy, 'left_brow')[:, 0].max() < part(xy, 'right_brow')[:, 0].min()
    assert part(xy, 'left_brow')[:, 1].max() < part(xy, 'left_eye')[:, 1].min()
    assert part(xy, 'nose_base')[:, 1].max() < part(xy, 'outer_lips')[:, 1].min()
    assert part(xy, 'outer_lips')[:, 1].max() < jaw[8, 1]


def test_mirrored_layouts_match_the_face(person):
    m = likeness.marks(_symmetric(person), state())
    x = m.surface[0, :, 0]
    np.testing.assert_allclose(x, -x[LAYOUTS['106'].flip], atol=0.05)


def _symmetric(person):
    shape = {**person.who.shape, 'asymmetry_jaw': 0.0, 'asymmetry_eyes': 0.0}
    who = dataclasses.replace(person.who, shape=shape)
    return dataclasses.replace(person, who=who, neutral=person.anchors.place.points)


# Each unit with the parts it must move (mean, in % of the face's box) and those it must leave.
MOVES = {
    'AU01': ('left_brow', 'jaw'), 'AU02': ('right_brow', 'jaw'), 'AU04': ('left_brow', 'jaw'),
    'AU05': ('left_eye', 'outer_lips'), 'AU06': ('right_eye', 'nose_bridge'),
    'AU07': ('left_eye', 'outer_lips'), 'AU09': ('nose_base', 'jaw'),
    'AU10': ('outer_lips', 'left_brow'), 'AU12': ('outer_lips', 'left_brow'),
    'AU14': ('outer_lips', 'left_brow'), 'AU15': ('outer_lips', 'left_brow'),
    'AU17': ('outer_lips', 'left_brow'), 'AU20': ('outer_lips', 'left_brow'),
    'AU23': ('outer_lips', 'left_brow'), 'AU25': ('inner_lips', 'left_brow'),
    'AU26': ('jaw', 'left_brow'), 'AU45': ('left_eye', 'outer_lips'),
}  # fmt: skip


@pytest.mark.parametrize('unit', AU_NAMES)
def test_each_unit_moves_its_region(person, unit):
    rest = ibug(person, state())
    side = np.ptp(rest, 0).max()
    moved = np.linalg.norm(ibug(person, state(**{unit: 1})) - rest, axis=1) / side * 100
    place, still = MOVES[unit]
    assert moved[list(PARTS[place])].max() > 0.8, unit
    assert moved[list(PARTS[still])].max() < 0.25 * moved[list(PARTS[place])].max(), unit
    half = np.linalg.norm(ibug(person, state(**{unit: 0.5})) - rest, axis=1) / side * 100
    assert 0 < half.max() < moved.max()


def test_directions_of_some_units(person):
    rest = ibug(person, state())
    by = lambda **units: ibug(person, state(**units)) - rest  # noqa: E731
    assert (by(AU01=1)[[21, 22], 1] < -1).all()  # inner brows rise
    assert (by(AU04=1)[[21, 22], 1] > 1).all()  # and are lowered
    smile = by(AU12=1)
    assert (smile[[48, 54], 1] < -3).all() and smile[48, 0] < -3 and smile[54, 0] > 3
    assert (by(AU15=1)[[48, 54], 1] > 3).all()
    assert by(AU26=1)[8, 1] > 10 and by(AU26=1)[57, 1] > 10 and abs(by(AU26=1)[51, 1]) < 5


def eye_opening(xy):
    ring = part(xy, 'left_eye')
    return np.linalg.norm(ring[[1, 2]] - ring[[5, 4]], axis=1).mean() / np.ptp(ring[:, 0])


def test_lids_close_whatever_else_acts(person):
    assert eye_opening(ibug(person, state())) > 0.15
    assert eye_opening(ibug(person, state(AU45=1))) < 1e-6
    assert eye_opening(ibug(person, state(AU45=1, AU05=1, AU06=1, gaze=(0, -15)))) < 1e-6
    wide = eye_opening(ibug(person, state(AU05=1)))
    assert wide > 1.15 * eye_opening(ibug(person, state()))
    assert eye_opening(ibug(person, state(gaze=(0, 18)))) < eye_opening(ibug(person, state()))


def test_signs_of_pose(person):
    def nose(turn):
        xy = ibug(person, state(turn=turn))
        eyes = part(xy, 'left_eye', 'right_eye').mean(0)
        return xy[30] - eyes

    rest = nose((0, 0, 0))
    assert nose((0, 20, 0))[0] < rest[0] - 10, 'R_y > 0 turns the nose to the left of the image'
    assert nose((20, 0, 0))[1] > rest[1] + 10, 'R_x > 0 looks down'
    tilted = ibug(person, state(turn=(0, 0, 20)))
    left, right = part(tilted, 'left_eye').mean(0), part(tilted, 'right_eye').mean(0)
    assert right[1] > left[1] + 10, 'R_z > 0 tilts clockwise'


def test_gaze_moves_the_pupils(person):
    pupil = lambda gaze: likeness.marks(person, state(gaze=gaze)).surface[0, 104]  # noqa: E731
    rest = pupil((0, 0))
    assert pupil((20, 0))[0] > rest[0] + 0.3, 'positive yaw: right of the image'
    assert pupil((0, 15))[1] < rest[1] - 0.2, 'positive pitch: down (y is up here)'


def test_contour_follows_the_silhouette(person):
    found = likeness.marks(person, state(turn=(0, 40, 0)))
    jaw = found.surface[0, 0:33:2]
    assert (found.contour[0, :6, 0] < jaw[:6, 0] - 0.3).all(), 'far cheek'
    np.testing.assert_allclose(
        found.contour[0, 12:], jaw[12:], atol=1.2
    )  # near side: the jaw's edge
    assert not found.facing[0, :6].all() and found.contour_facing[0, :4].all()


def test_units_do_not_add_up():
    errors = additive.transfer_errors(4, 2)
    assert errors['additive'] > 0.3 and errors['units'] > 0.04
    assert errors['additive'] < errors['driver']


def test_people_differ():
    a, b = (ibug(likeness.likeness(seed), state()) for seed in (1, 2))
    assert additive._error(a[None], b[None]) > 1.5
    shapes = [likeness.likeness(seed).who.shape for seed in (1, 2)]
    assert len(shapes[0]) >= 30 and shapes[0] != shapes[1]


def test_same_bytes_twice(baked):
    what = state(turn=(5, 20, 3), AU12=0.7, AU25=0.5)
    first, _ = picture(baked, what)
    again, _ = picture(head.bake(3), what)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.segmentation.tobytes() == again.segmentation.tobytes()


@pytest.mark.parametrize('units', [{}, {'AU06': 1, 'AU12': 1, 'AU25': 1}, {'AU26': 1, 'AU25': 1}])
def test_no_holes_in_the_face(baked, units):
    for turn in ((0, 0, 0), (0, -30, 0), (0, 30, 0)):
        frame, crop = picture(baked, state(turn=turn, **units), 128)
        xy = likeness.marks(baked.person, state(turn=turn, **units)).surface[0]
        xy = pose.window(pose.project(xy), crop, 128)[:, :2]
        inner = np.concatenate([xy[33:104]])
        low, high = np.floor(inner.min(0)).astype(int) + 6, np.ceil(inner.max(0)).astype(int) - 6
        face = frame.segmentation[low[1] : high[1], low[0] : high[0]]
        holes = face == BACKGROUND
        around = sum(np.roll(face == FACE, shift, axis) for shift in (-1, 1) for axis in (0, 1))
        assert not (holes & (around == 4)).any()


def test_landmarks_sit_on_what_is_seen(baked):
    frame, crop = picture(baked, state(), 128)
    found = likeness.marks(baked.person, state())
    seen, contour = render.visible(frame, found, 0, crop)
    assert seen[51:66].all() and seen[84:104].all() and contour[5:12].all()
    turned = state(turn=(0, 60, 0))
    frame, _ = picture(baked, turned, 128)
    seen, _ = render.visible(frame, likeness.marks(baked.person, turned), 0, crop)
    assert not seen[66:74].all(), 'the eye behind the nose is hidden'


def test_motion_is_smooth_and_its_own():
    clip = motion.motion(5, 16)
    assert clip.aus.shape == (16, 17) and clip.aus.min() >= 0 and clip.aus.max() <= 1
    assert (np.abs(np.diff(motion.motion(5, 100).pose, axis=0)) < np.deg2rad(6)).all()
    assert not np.array_equal(clip.pose, motion.motion(6, 16).pose)
    yaws = [np.abs(motion.motion(seed, 16).pose[:, 1]).max() for seed in range(40)]
    assert np.rad2deg(max(yaws)) > 30
