"""The asked change: points with known quantities, slopes by hand, and what a whole table shows."""

import numpy as np
import pytest
import simplejpeg
from bundles import SIZE, drawing_model, landmark_model
from fakes import fake_track
from heads_of_points import face_points

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data.tracks import DRIVING, POSE, SOURCE, TRUTH
from reenact_jax.data_prep.heads import points as heads
from reenact_jax.evaluate import (
    arrivals,
    asked,
    baselines,
    columns,
    compare,
    estimators,
    pairs,
    scoring,
    tables,
)
from reenact_jax.evaluate.command import main
from reenact_jax.export import command as export
from reenact_jax.geometry import flows, images, layouts

LAYOUTS = tuple(layouts.LAYOUTS)
FRAMES = 20
DETECTED = 0.5, 3.0  # share of any change that `Lagging` shows, and how far its points are off


def face(mouth=0.2, width=0.5, eyes=0.1, brows=0.3, points='68', depth=False):
    """A face whose outer eye corners are 1 apart; everything else at the origin."""
    at = asked.POINTS[points]
    made = np.zeros((layouts.layout(points).count, 3))
    for (outer, inner), brow, side in zip(at.eyes, at.brows, (-1, 1), strict=True):
        made[[outer, inner]] = (-0.5, 0, 0), (-0.2, 0, 0)
        made[list(brow)] = (-0.35, -brows, 0)
        if side > 0:
            made[[inner, outer]] = (0.5, 0, 0), (0.2, 0, 0)
            made[list(brow)] = (0.35, -brows, 0)
    for upper, lower in at.lids:
        made[[upper, lower]] = (0, -eyes / 2, 0), (0, eyes / 2, 0)
    made[list(at.mouth)] = (0, 0.8, 0), (0, 0.8 + mouth, 0)
    made[list(at.width)] = (-width / 2, 0.9, 0), (width / 2, 0.9, 0)
    return np.float32(made if depth else made[:, :2])[None]


# --- tables of points ------------------------------------------------------------------------


@pytest.mark.parametrize('name', LAYOUTS)
def test_points_lie_in_the_parts_they_are_named_after(name):
    at, parts = asked.POINTS[name], layouts.layout(name).parts
    assert set(at.mouth) <= set(parts['inner_lips']) and set(at.width) <= set(parts['outer_lips'])
    for side, half in (('left', 0), ('right', 1)):
        ring, brow = parts[f'{side}_eye'], parts[f'{side}_brow']
        assert at.eyes[half] == (ring[0], ring[len(ring) // 2])  # a ring starts at a corner
        lids = {i for pair in at.lids for i in pair} & set(ring)
        assert len(lids) == 4 and not lids & set(at.eyes[half])
        assert set(at.brows[half]) <= set(brow) and len(at.brows[half]) >= 3
    assert {i for pair in at.lids for i in pair} <= set(parts['left_eye'] + parts['right_eye'])


@pytest.mark.parametrize('name', LAYOUTS)
def test_points_are_symmetric(name):
    at, flip = asked.POINTS[name], layouts.layout(name).flip
    assert tuple(flip[list(at.mouth)]) == at.mouth  # on the face's middle
    assert tuple(flip[list(at.width)]) == at.width[::-1]
    assert {tuple(flip[list(pair)]) for pair in at.lids} == set(at.lids)
    assert set(flip[list(at.brows[0])]) == set(at.brows[1])
    assert tuple(flip[list(at.eyes[0])]) == at.eyes[1][::-1]
    assert tuple(flip[list(at.unit)]) == at.unit[::-1]


def test_the_106_points_are_the_68s():
    """By the map of the synthetic heads; a brow has its other edge as well."""
    ibug = heads.IBUG
    small, large = asked.POINTS['68'], asked.POINTS['106']
    for name in ('mouth', 'width', 'lids', 'eyes'):
        np.testing.assert_array_equal(ibug[np.array(getattr(small, name))], getattr(large, name))
    for one, other in zip(small.brows, large.brows, strict=True):
        assert set(ibug[list(one)]) < set(other)


# --- quantities ------------------------------------------------------------------------------


@pytest.mark.parametrize('name', LAYOUTS)
@pytest.mark.parametrize('depth', [False, True])
def test_quantities_by_hand(name, depth):
    given = dict(mouth=0.17, width=0.61, eyes=0.09, brows=0.28)
    found = asked.quantities(face(**given, points=name, depth=depth), name)
    assert set(found) == set(given)
    for quantity, value in given.items():
        np.testing.assert_allclose(found[quantity], [value], rtol=1e-5)


@pytest.mark.parametrize('name', LAYOUTS)
def test_size_place_and_roll_change_nothing(name):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4, layouts.layout(name).count, 2))
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    moved = 13 * points @ turn.T + [50, -7]
    for quantity, value in asked.quantities(points, name).items():
        np.testing.assert_allclose(asked.quantities(moved, name)[quantity], value, rtol=1e-9)


def test_in_three_dimensions_a_turn_changes_nothing():
    """In two a turn to the side narrows the unit, and the mouth seems to open."""
    points = face(depth=True).astype(np.float64)
    points[..., 2] = np.random.default_rng(0).normal(0, 0.1, points.shape[:2])
    c, s = np.cos(0.6), np.sin(0.6)
    turned = points @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    straight, aside = (asked.quantities(one, '68') for one in (points, turned))
    for quantity, value in straight.items():
        np.testing.assert_allclose(aside[quantity], value, rtol=1e-9)
    flat = [asked.quantities(one[..., :2], '68')['mouth'][0] for one in (points, turned)]
    assert flat[1] > 1.05 * flat[0]


def test_a_blink_moves_the_eyes_alone():
    found = [asked.quantities(face(eyes=value), '68') for value in (0.1, 0.0)]
    for name in found[0]:
        moved = abs(found[0][name] - found[1][name])[0]
        assert moved == pytest.approx(0.1 if name == 'eyes' else 0, abs=1e-6)


def test_an_unknown_layout_is_named():
    with pytest.raises(UserError, match="'98' is not one of"):
        asked.quantities(np.zeros((1, 98, 2)), '98')


# --- slopes ----------------------------------------------------------------------------------


def test_slope_of_half_the_change_and_noise():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 1, 4000)
    slope, correlation = asked.slope(x, 0.5 * x - 2 + rng.normal(0, 0.5, 4000), 0.1)
    assert slope == pytest.approx(0.5, abs=0.03)
    assert correlation == pytest.approx(np.sqrt(0.5), abs=0.03)
    assert asked.slope(x, 7 - x, 0.1) == pytest.approx((-1, -1))


def test_what_does_not_move_has_slope_0_or_none():
    x = np.linspace(0, 1, 30)
    assert asked.slope(x, np.full(30, 0.4), 0.1) == pytest.approx((0, 0), abs=1e-6)
    assert np.isnan(asked.slope(x, x, x.std() + 1e-6)).all()  # asked for less than the floor
    assert np.isfinite(asked.slope(x, x, x.std() - 1e-6)).all()
    assert np.isnan(asked.slope(np.full(30, 0.4), x, 0.01)).all()


def test_frames_that_are_unknown_take_no_part():
    x, y = np.arange(10.0), 2 * np.arange(10.0)
    y[3], x[4] = np.nan, np.nan
    assert asked.slope(x, y, 0.1) == pytest.approx((2, 1))
    y[5] = np.nan  # fewer than `LEAST` are left
    assert asked.LEAST == 8 and np.isnan(asked.slope(x, y, 0.1)).all()


def test_sharpness_by_hand():
    """A lone bright pixel: the Laplacian is -4 there and 1 beside it."""
    image = np.zeros((1, 12, 12, 3))
    image[:, 5, 5] = 1
    points = np.array([[[4.0, 4], [7, 7]]])  # the box times 1.3 shows pixels 3 to 7
    inside = np.zeros(9)
    inside[:5] = -4, 1, 1, 1, 1
    np.testing.assert_allclose(asked.sharpness(image, points), [inside.var()])
    np.testing.assert_allclose(asked.sharpness(3 * image, points), [9 * inside.var()])
    assert asked.sharpness(image, points - 3)[0] == 0  # elsewhere it is flat
    assert np.isnan(asked.sharpness(image, points - 100)).all()


# --- a whole table ---------------------------------------------------------------------------


class Lagging:
    """Knows an image by its mean red, which a test track has as its opening of the mouth."""

    card = estimators.Card('everything', 'red', '1', 'none', '')

    def __call__(self, image):
        red = np.asarray(image, np.float64).mean((1, 2))[:, 0]
        share, off = DETECTED
        points = np.concatenate([face(mouth=share * (r + 1)) * 9 + off for r in red])
        aus = np.zeros((len(image), 20), np.float32)
        aus[:, POSE] = np.radians(20 * red)[:, None] * [0, 1, 0.01]
        return estimators.Faces(np.ones(len(red), bool), points, aus, np.ones_like(aus, bool))


def speaking(number, frames=FRAMES, shift=(0, 0), nose=0, **changes):
    """A track whose mouth opens as its red grows, and does nothing else.

    shift: of all points, nose: of its tip to the right, pixels.
    """
    red = np.linspace(0, 1, frames)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    pictures = [picture.copy() for _ in red]
    for one, value in zip(pictures, red, strict=True):
        one[..., 0] = round(127.5 * (value + 1))
    jpeg = tuple(simplejpeg.encode_jpeg(p, 100, colorsubsampling='444') for p in pictures)
    points = np.concatenate([face(mouth=v, depth=True) * 8 + [SIZE / 2, SIZE / 3, 0] for v in red])
    points += [*shift, 0]
    points[:, 30, 0] += nose
    changes |= {'image': jpeg, 'landmarks_68': points.astype(np.float32)}
    return fake_track(number, frames=frames, size=SIZE, **changes)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    target = tmp_path_factory.mktemp('asked')
    people = [speaking(n, identity=n) for n in range(2)]
    shards.write(target, 'test', people, shards=1, parameters={})
    roles = (SOURCE, DRIVING, TRUTH)
    triple = [speaking(9 + r, identity=int(r == DRIVING), pair=0, role=r) for r in roles]
    triple[1] = speaking(10, identity=1, pair=0, role=DRIVING, nose=1)
    triple[2] = speaking(11, identity=0, pair=0, role=TRUTH, shift=(3, 2))
    shards.write(target, 'gt_cross', triple, shards=1, parameters={})
    return target


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    target = tmp_path_factory.mktemp('model') / 'bundle'
    export.write(target, drawing_model(), landmark_model())
    return target


def scored(model, data, kind, split, **options):
    part = shards.ShardSet(data, split)
    measure = scoring.Estimators(None, Lagging(), distance=False)
    chosen = pairs.make(part, kind, 9)
    return scoring.score(bundle.load(model), part, chosen, measure, **options)


def test_the_copy_does_not_move_and_the_driver_does(model, data):
    own, cross = scored(model, data, 'self', 'test'), scored(model, data, 'cross', 'test')
    copy = own.values[baselines.COPY]
    np.testing.assert_allclose(copy['slope_mouth'], 0, atol=1e-6)
    np.testing.assert_allclose(copy['slope_yaw'], 0, atol=1e-6)
    np.testing.assert_allclose(copy['sharpness'], 1, rtol=0.02)
    for name in ('width', 'eyes', 'brows', 'roll'):  # what does not move is left out
        assert np.isnan(copy[f'slope_{name}']).all(), name
    driver = cross.values["the driver's frame"]
    np.testing.assert_allclose(driver['slope_yaw'], 1, rtol=1e-6)
    assert len(copy['slope_mouth']) == 2 * (FRAMES - 1)  # the case's value for each of its pairs


def test_slopes_are_of_the_landmarks_that_a_method_gets(model, data, monkeypatch):
    """Of a method that shows the truth the estimator finds half the change."""
    truth = [scoring.cases.face(speaking(0), range(1, FRAMES), SIZE, '68')['image']]
    monkeypatch.setattr(scoring.methods, 'prior_warp', lambda *_: truth[0])
    found = scored(model, data, 'self', 'test').values['none + untrained prior']
    np.testing.assert_allclose(found['slope_mouth'], DETECTED[0], rtol=0.02)
    np.testing.assert_allclose(found['correlation_mouth'], 1, rtol=1e-3)
    np.testing.assert_allclose(found['slope_yaw'], 1, rtol=1e-3)


def test_depth_is_used_where_both_sides_know_it(data):
    part = shards.ShardSet(data, 'test')
    rows = pairs.make(part, 'self', 1).rows
    case = scoring.cases.read(part, 'self', rows, SIZE, '68')
    own = arrivals.Answer(case.driving['landmarks'], None, None)
    assert arrivals._requested(own, own, case).shape[-1] == 3
    moved = arrivals.Answer(case.driving['landmarks'] + 1, None, None)
    assert arrivals._requested(moved, own, case).shape[-1] == 2
    nothing = arrivals.Answer(None, None, None)
    assert arrivals._requested(nothing, moved, case).shape[-1] == 3  # self: the driver's own
    crossed = case._replace(kind='cross')
    assert arrivals._requested(nothing, moved, crossed) is not case.driving['landmarks3d']
    np.testing.assert_array_equal(arrivals._requested(nothing, moved, crossed), moved.requested)


def test_the_angles_asked_for_can_be_the_datas(model, data):
    """Stored angles of these tracks are noise, which no result follows."""
    found = scored(model, data, 'self', 'test', stored=True).values[baselines.COPY]
    np.testing.assert_allclose(np.nan_to_num(found['slope_roll']), 0, atol=1e-6)
    assert np.isfinite(found['slope_roll']).any()
    cross = scored(model, data, 'cross', 'test', stored=True).values["the driver's frame"]
    assert not np.isclose(cross['slope_yaw'], 1).any()


def test_without_an_estimator_there_are_no_such_columns(model, data):
    part = shards.ShardSet(data, 'test')
    scores = scoring.score(bundle.load(model), part, pairs.make(part, 'self', 9))
    assert not {name for found in scores.values.values() for name in found} & set(
        columns.ASKED | columns.CORRELATIONS
    )
    assert tables.arriving(scores) == ''


def test_a_face_is_moved_into_the_truths_box_or_left(model, data):
    """The truth lies 3 pixels to the right and 2 below of where `none` puts the same face."""
    boxed, left = (
        scored(model, data, 'gt_cross', 'gt_cross', placement=one)
        for one in scoring.cases.PLACEMENTS
    )
    here, there = (one.values['none + landmark warp'] for one in (boxed, left))
    side = np.ptp(face(mouth=0)[0], axis=0).max() * 8
    np.testing.assert_allclose(here['point_error'][0], 100 / 68 / side, rtol=1e-4)  # the nose's
    apart = (67 * np.hypot(3, 2) + np.hypot(3 - 1, 2)) / 68
    np.testing.assert_allclose(there['point_error'][0], 100 * apart / side, rtol=1e-4)
    np.testing.assert_allclose(here['identity_leak'], 1, atol=1e-3)  # the driver's nose, all of it
    np.testing.assert_allclose(there['identity_leak'], 1, atol=1e-3)
    np.testing.assert_allclose(there['slope_mouth'], here['slope_mouth'], atol=0.05)


def test_command_tells_slopes_and_placement(model, data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare.estimators, 'Attributes', lambda *_, **__: _Open())
    arguments = ['--model', str(model), '--data', str(data), '--pairs', 'gt_cross']
    arguments += ['--identity=none', '--features=none', '--out', str(tmp_path / 'out')]
    assert main([*arguments, '--placement', 'transfer']) == 0
    said = capsys.readouterr().out
    assert '## Asked change' in said and 'Faces lie where the transfer puts them' in said
    line = next(one for one in said.splitlines() if one.startswith('| method | mouth opening'))
    assert 'yaw' in line and line.endswith('| sharpness |') and 'correlation' not in line
    row = compare.storage.read_json(tmp_path / 'out' / 'table.json')
    assert row['placement'] == 'transfer'
    assert row['methods']['none + landmark warp']['correlation_mouth']['count'] == FRAMES
    head = (tmp_path / 'out' / 'scores.csv').read_text().splitlines()[0].split(',')
    assert {'slope_mouth', 'correlation_yaw', 'sharpness'} <= set(head)


class _Open(Lagging):
    def __enter__(self):
        return self

    def __exit__(self, *trace):
        pass


# --- the untrained prior ---------------------------------------------------------------------


def test_the_flow_brings_landmarks_to_their_places():
    """An image whose colours are its coordinates shows at every point where it came from."""
    size = 256
    image = images.pixel_grid(size, size)
    rng = np.random.default_rng(0)
    at = np.round(face_points(size)).astype(int)
    driving = np.float32(at + 0.5)  # at pixels' centres
    source = np.float32(driving + rng.normal(0, 1, driving.shape))
    still, moved = baselines.prior_warp(image, source, np.stack([source, driving]))
    np.testing.assert_allclose(still, image, atol=1e-4)
    np.testing.assert_allclose(moved[at[:, 1], at[:, 0]], source, atol=0.2)


def test_the_flow_of_a_similarity_is_that_similarity():
    rng = np.random.default_rng(0)
    driving = rng.uniform(20, 40, (1, 9, 2)).astype(np.float32)
    linear = np.float32([[1.1, -0.2], [0.2, 1.1]])
    source = driving @ linear.T + np.float32([-5, 2])
    flow = np.asarray(flows.landmark_flow(source, driving, 64, 16)) * 32
    place = images.pixel_grid(16, 16) * 4
    np.testing.assert_allclose(flow[0], place @ linear.T + np.float32([-5, 2]) - place, atol=0.02)
