"""What photographs have: shares, worn things, cameras, rest and extremes; labels stay exact."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip('numba', reason='the extra [synthetic] is not installed')

from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import BACKGROUND, FACE, HAIR
from reenact_jax.data_prep import synthetic
from reenact_jax.data_prep.heads import (
    background,
    camera,
    clips,
    colours,
    expressions,
    head,
    light,
    likeness,
    motion,
    mouth,
    render,
    warp,
)
from reenact_jax.data_prep.heads.expressions import AU
from reenact_jax.data_prep.heads.identity import sample
from reenact_jax.data_prep.heads.looks import Teeth
from reenact_jax.data_prep.heads.sheets import state
from reenact_jax.data_prep.heads.variety import Variety, drawn

SHARES = [field.name for field in dataclasses.fields(Variety)]
NOTHING = Variety(**dict.fromkeys(SHARES, 0.0))
EVERYTHING = Variety(**dict.fromkeys(SHARES, 1.0))

# Each kind that a seed either has or not: what says so.
OF_PEOPLE = {
    'glasses': lambda who: bool(who.looks.glasses),
    'headwear': lambda who: bool(who.looks.headwear),
    'beards': lambda who: who.female or who.looks.beard.full > 0,
    'makeup': lambda who: not who.female or who.looks.makeup.lips > 0,
    'blemishes': lambda who: who.looks.blemishes > 0,
}
OF_CAMERAS = {
    'greyscale': lambda one: one.tone == 'grey',
    'sepia': lambda one: one.tone == 'sepia',
    'painted': lambda one: one.painted > 0,
    'defocus': lambda one: one.defocus >= 0.5,
    'motion_blur': lambda one: one.shake > 0,
    'sensor_noise': lambda one: one.noise > 0,
    'compression': lambda one: one.jpeg > 0 or one.video > 0,
    'colour_casts': lambda one: not np.array_equal(one.cast, np.ones(3)),
}


@pytest.mark.parametrize('kind', OF_PEOPLE)
def test_share_of_people(kind):
    has = OF_PEOPLE[kind]
    all_, none = Variety(**{kind: 1.0}), Variety(**{kind: 0.0})
    people = [sample(seed, none) for seed in range(12)]
    concerned = [who.seed for who in people if not has(who)]
    assert len(concerned) > 2
    assert all(has(sample(seed, all_)) for seed in concerned)


@pytest.mark.parametrize('kind', OF_CAMERAS)
def test_share_of_cameras(kind):
    has = OF_CAMERAS[kind]
    for seed in range(6):
        assert not has(camera.camera(seed, NOTHING))
        assert has(camera.camera(seed, dataclasses.replace(NOTHING, **{kind: 1.0})))


def test_a_larger_share_adds_to_those_who_have_it():
    few = {seed for seed in range(400) if drawn(seed, 0.2, 'glasses')}
    more = {seed for seed in range(400) if drawn(seed, 0.5, 'glasses')}
    assert few < more and 50 < len(few) < 110 and 160 < len(more) < 240
    assert few != {seed for seed in range(400) if drawn(seed, 0.2, 'headwear')}


def test_what_is_worn_moves_no_landmark():
    what = state(turn=(5, 20, 0), AU12=0.7, AU25=0.5)
    bare, worn = (likeness.likeness(3, variety) for variety in (NOTHING, EVERYTHING))
    assert worn.who.looks.glasses and worn.who.looks.headwear and not bare.who.looks.glasses
    a, b = likeness.marks(bare, what), likeness.marks(worn, what)
    np.testing.assert_array_equal(a.surface, b.surface)
    np.testing.assert_array_equal(a.contour, b.contour)


def _wearing(kind: str, value: str) -> Variety:
    """The shares with which a search finds a person who wears `value`."""
    return dataclasses.replace(NOTHING, **{kind: 1.0})


def _person(kind: str, value: str) -> int:
    variety = _wearing(kind, value)
    return next(s for s in range(99) if getattr(sample(s, variety).looks, kind) == value)


def _frame(seed: int, variety: Variety):
    baked = head.bake(seed, variety)
    found = likeness.marks(baked.person, state())
    crop = clips.crop_of(found)
    scene, back = light.scene(1, NOTHING), background.background(1, 64, NOTHING)
    frame = render.render(baked, state().frame(0), scene, back, crop, 64, 0)
    return frame, render.visible(frame, found, 0, crop)[0]


def test_glasses_are_seen_and_hide_no_eye():
    seed = _person('glasses', 'thick')
    bare, _ = _frame(seed, NOTHING)
    worn, seen = _frame(seed, _wearing('glasses', 'thick'))
    changed = np.abs(worn.image.astype(int) - bare.image).max(-1) > 12
    rows = np.flatnonzero(changed.any(1))
    assert 40 < changed.sum() < 1200 and rows.min() > 10 and rows.max() < 50
    assert seen[66:82].all(), 'the eyes are seen through the lenses'
    assert (worn.segmentation[changed] == FACE).mean() > 0.8


@pytest.mark.parametrize('kind', ['cap', 'knitted', 'scarf'])
def test_headwear_is_no_hair(kind):
    seed = _person('headwear', kind)
    bare, _ = _frame(seed, NOTHING)
    worn, seen = _frame(seed, _wearing('headwear', kind))
    top = (bare.segmentation != BACKGROUND) & (np.arange(64)[:, None] < 14)
    assert top.sum() > 20 and (worn.segmentation[top] == BACKGROUND).mean() > 0.5
    assert (worn.segmentation == HAIR).sum() <= (bare.segmentation == HAIR).sum()
    assert seen[51:104].mean() > 0.95


def test_teeth_meet_when_the_jaw_is_shut():
    from reenact_jax.data_prep.heads import anatomy

    m = anatomy.measures(sample(3))
    teeth = Teeth(white=0.5, gaps=0.2, crooked=0.2, length=1.0, width=1.0)
    _, upper, lower, tongue = mouth.parts(m, 9.0, teeth, 3)
    middle = lambda part: part.points[np.abs(part.points[:, 0]) < 1]  # noqa: E731
    assert middle(upper)[:, 1].min() < middle(lower)[:, 1].max(), 'the upper row covers the edge'
    assert middle(upper)[:, 2].min() > middle(lower)[:, 2].min()
    assert (upper.jaw == 0).all() and (lower.jaw == 1).all() and (tongue.jaw == 1).all()
    other = mouth.parts(m, 9.0, teeth._replace(gaps=1.0), 3)[1]
    assert other.colours.mean() < upper.colours.mean(), 'gaps are dark'


def test_bumps_are_ones_own_and_the_same_on_both_sides():
    shape = {**sample(3).shape, 'asymmetry_jaw': 0.0, 'asymmetry_eyes': 0.0}
    one = dataclasses.replace(sample(3), shape=shape)
    face = np.array([[3.2, -2.4, 7.5], [1.3, -4.2, 9.5], [5.0, -7.0, 2.5]])
    moved = warp.skew(one, face)
    np.testing.assert_allclose(warp.skew(one, face * [-1, 1, 1]), moved * [-1, 1, 1])
    assert 0.05 < np.linalg.norm(moved - face, axis=1).mean() < 1.2
    other = warp.skew(dataclasses.replace(one, seed=4), face)
    assert np.linalg.norm(other - moved, axis=1).max() > 0.1
    behind = np.array([[0.0, 2.0, -9.0], [0.0, -20.0, 0.0]])
    np.testing.assert_allclose(warp.skew(one, behind), behind, atol=1e-4)


def test_bumps_leave_no_crease_down_the_middle():
    across = np.array([[x, y, 9.0] for y in (-6.0, -1.0, 2.2, 4.0) for x in (-0.1, 0.0, 0.1)])
    for seed in range(6):
        moved = warp.skew(sample(seed), across).reshape(4, 3, 3)
        bend = moved[:, 0] - 2 * moved[:, 1] + moved[:, 2]
        assert np.abs(bend).max() < 0.02


def test_units_that_pull_on_the_same_skin_weaken_each_other():
    for a, b in (('AU04', 'AU09'), ('AU10', 'AU09'), ('AU10', 'AU12')):
        alone = expressions.effective(state(**{a: 1}).aus[0], np.ones(17))[AU[a]]
        both = expressions.effective(state(**{a: 1, b: 1}).aus[0], np.ones(17))[AU[a]]
        assert 0.5 * alone < both < 0.8 * alone


def test_light_skin_is_exposed_for_less():
    gains = [
        light.metered(colours.skin(dataclasses.replace(sample(3), skin=skin)))
        for skin in (0.0, 0.5, 1.0)
    ]
    assert 0.5 < gains[0] < 0.8 < gains[1] < 1 < gains[2] < 2


def test_from_rest_to_an_extreme_and_back():
    variety = dataclasses.replace(NOTHING, extremes=1.0)
    for seed in range(8):
        clip = motion.motion(seed, 16, variety)
        for t in (0, 15):
            np.testing.assert_allclose(clip.aus[t], 0, atol=1e-6)
            np.testing.assert_allclose(clip.pose[t], 0, atol=1e-6)
        assert clip.aus.max() > 0.45


def test_wide_turns_go_to_both_sides():
    variety = dataclasses.replace(NOTHING, wide_turns=1.0)
    for seed in range(5):
        yaw = np.rad2deg(motion.motion(seed, 100, variety).pose[:, 1])
        assert yaw.max() > 30 and yaw.min() < -30 and np.abs(yaw).max() < 60.5
        assert np.abs(np.diff(yaw)).max() < 8
    quiet = [motion.motion(seed, 100, NOTHING).pose[:, 1] for seed in range(12)]
    assert max(np.abs(np.rad2deg(yaw)).max() for yaw in quiet) < 45


def test_shut_eyes_and_parted_lips():
    shut = dataclasses.replace(NOTHING, shut_eyes=1.0)
    clip = motion.motion(5, 100, shut).aus[:, AU['AU45']]
    assert (clip > 0.99).sum() >= 14
    parted = dataclasses.replace(NOTHING, parted_lips=1.0)
    assert motion.motion(5, 100, parted).aus[:, AU['AU25']].min() > 0.19


@pytest.fixture
def ramp():
    y, x = np.mgrid[0:256, 0:256].astype(np.float32) / 256
    return np.stack([x, y, 0.5 + 0.4 * np.sin(80 * x) * np.sin(80 * y)], -1)


@pytest.mark.parametrize('kind', OF_CAMERAS)
def test_each_camera_changes_the_picture(kind, ramp):
    plain = camera.camera(4, NOTHING)._replace(defocus=0.0)
    other = camera.camera(4, dataclasses.replace(NOTHING, **{kind: 1.0}))
    base = camera.develop(ramp, plain, 0).astype(int)
    seen = [camera.develop(ramp, other, t).astype(int) for t in range(4)]
    change = max(np.abs(one - base).mean() for one in seen)
    assert 0.4 < change < 90
    np.testing.assert_array_equal(seen[0], camera.develop(ramp, other, 0))
    if kind in ('sensor_noise', 'motion_blur'):
        assert np.abs(seen[0] - seen[1]).max() > 0, 'every frame has its own'
    if kind == 'greyscale':
        assert np.ptp(seen[0], -1).max() == 0


def test_blur_and_codecs_keep_things_in_place(ramp):
    one = camera.camera(4, NOTHING)._replace(contrast=1.0, saturation=1.0)
    base = camera.develop(ramp, one._replace(defocus=0.0), 0).astype(float)
    for change in ({'defocus': 1.5, 'coarse': 2.0}, {'video': 20.0}, {'jpeg': 30}, {'shake': 6.0}):
        seen = camera.develop(ramp, one._replace(**change), 0).astype(float)
        shifted = np.abs(seen[:, 2:, 2] - base[:, :-2, 2])[8:-8, 8:-8].mean()
        still = np.abs(seen - base)[8:-8, 8:-8, 2].mean()
        assert still < 0.5 * shifted, change


def test_video_is_coded_in_blocks_of_few_waves(ramp):
    fine, coarse = (
        camera._quantised(ramp[..., 2] * 255, step) - ramp[..., 2] * 255 for step in (2.0, 40.0)
    )
    assert np.abs(fine).mean() < 1.5 < np.abs(coarse).mean()


def test_light_and_shadow_differ():
    plain = [light.scene(seed, NOTHING) for seed in range(8)]
    aside = [light.scene(seed, dataclasses.replace(NOTHING, side_light=1.0)) for seed in range(8)]
    assert all(abs(one.lamps[0, 0]) > 0.6 for one in aside)
    assert all(a.ambient.mean() < b.ambient.mean() for a, b in zip(aside, plain, strict=True))
    tinted = light.scene(1, dataclasses.replace(NOTHING, coloured_light=1.0)).lamps[:, 3:]
    grey = light.scene(1, NOTHING).lamps[:, 3:]
    spread = lambda rgb: (np.ptp(rgb, axis=1) / (rgb.mean(1) + 1e-9)).max()  # noqa: E731
    assert spread(tinted) > spread(grey)
    x, y = np.meshgrid(np.linspace(-9, 9, 30), np.linspace(-9, 9, 30))
    for seed in range(8):
        shade = light.scene(seed, dataclasses.replace(NOTHING, cast_shadows=1.0)).shade
        free = light.through(shade, x, y)
        assert shade.kind and free.min() < 0.6 and free.max() <= 1


def test_pictures_lie_behind_some():
    plain = background.background(3, 48, NOTHING)
    other = background.background(3, 48, dataclasses.replace(NOTHING, pictures=1.0))
    assert other.shape == (48, 48, 3) and np.isfinite(other).all()
    assert np.abs(other - plain).mean() > 0.01
    for name in background.PICTURES:
        assert background._stock(name).ndim == 3


@pytest.mark.parametrize('share', ['-0.1', '1.5', 'nan'])
def test_a_share_lies_between_0_and_1(share, tmp_path):
    with pytest.raises(UserError, match='glasses'):
        synthetic.main(['--out', str(tmp_path), '--glasses', share])


def test_every_share_is_a_flag_with_its_default(capsys):
    with pytest.raises(SystemExit):
        synthetic.main(['--help'])
    text = capsys.readouterr().out
    for field in dataclasses.fields(Variety):
        assert f'--{field.name.replace("_", "-")} SHARE' in text
        assert f'(default {field.default})' in ' '.join(text.split())
