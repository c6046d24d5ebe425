"""Motion of keypoints: what joins, what is refused, relative motion by the demo's arithmetic."""

import json

import numpy as np
import pytest
from bundles import (
    GENERATORS,
    SIZE,
    TRANSFERS,
    drawing_model,
    first_order_model,
    keypoint_model,
    random_face,
)
from fakes import fake_shards
from scipy.spatial import ConvexHull
from test_compare import Brightness

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.evaluate import cases, figure, methods, pairs, preview, scoring
from reenact_jax.evaluate import command as evaluate
from reenact_jax.evaluate.scoring import Estimators
from reenact_jax.export import command as export
from reenact_jax.export import live, trained
from reenact_jax.geometry import keypoints
from reenact_jax.media import provenance, reading
from reenact_jax.reenact import command as reenact
from reenact_jax.reenact import drivers, keypoint_motion, starts
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.edits.unit_edits import Change
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.portraits import Portrait

COLOURS = np.array([[0.1, -0.2, 0.3], [0.3, 0.1, -0.1], [-0.2, 0.4, 0.2]], np.float32)


@pytest.fixture(scope='module')
def model():
    return live.assemble(keypoint_model(), keypoint_model())


def face(colour) -> dict:
    known = {name: value[0] for name, value in random_face(0, 1).items()}
    return known | {'image': np.broadcast_to(np.float32(colour), (SIZE, SIZE, 3))}


@pytest.fixture(scope='module')
def portrait():
    known = face([0.0, 0.2, 0.1])
    return Portrait(known.pop('image'), known)


def colours(model, portrait, **options):
    driving = [face(colour) for colour in COLOURS]
    made = list(Animation(model, portrait, Options(**options)).frames(driving))
    return np.stack([one.image[0, 0] for one in made]) / 127.5 - 1, made


def test_a_bundle_of_keypoints_says_so_and_animates(tmp_path):
    export.write(tmp_path / 'b', keypoint_model(), keypoint_model())
    loaded = bundle.load(tmp_path / 'b')
    assert (loaded.motion, loaded.driven_by, loaded.sees) == ('keypoints', ('image',), True)
    source, driving, first = random_face(0, 1), random_face(1, 3), random_face(2, 1)
    made = loaded.transfer(loaded.identify(source), driving, first)
    assert made.shape == (3, 3, 6) and loaded.render(loaded.encode(source), made).shape[0] == 3
    with pytest.raises(UserError, match='--transfer none: this bundle has colours'):
        bundle.load(tmp_path / 'b', 'none')
    with pytest.raises(UserError, match='needs image of the driving face'):
        loaded.transfer(loaded.identify(source), {'landmarks': driving['landmarks']}, first)


def test_bundles_without_the_name_of_a_motion_have_landmarks():
    made = live.assemble(drawing_model(), None)
    made.card.pop('motion')
    assert made.using(None).motion == 'landmarks' and not made.sees


def test_kinds_must_fit_and_are_named(tmp_path):
    pairs = {
        (drawing_model, keypoint_model): r'colours gives keypoints \[3, 6\], and drawing takes lan',
        (keypoint_model, TRANSFERS['ldnet']): r'ldnet gives landmarks, and colours takes keypoints',
    }
    for (generator, transfer), message in pairs.items():
        with pytest.raises(UserError, match=message):
            export.write(tmp_path / 'b', generator(), transfer())
    with pytest.raises(UserError, match='--transfer: colours is moved by keypoints'):
        live.assemble(keypoint_model(), None)
    assert not (tmp_path / 'b').exists()


def test_a_generator_of_keypoints_brings_its_transfer():
    generator = keypoint_model()
    assert export.own_transfer(generator) is generator
    assert export.own_transfer(GENERATORS['facegan']()) is None  # landmarks stay as they are


def test_relative_motion_is_the_demos(model, portrait):
    """kp_source + (kp_driving - kp_initial), J_driving J_initial^-1 J_source, of diagonal J."""
    got, made = colours(model, portrait)
    own = portrait.image[0, 0]
    places = own[:2] + COLOURS[:, :2] - COLOURS[0, :2]
    matrices = (2 + COLOURS[:, 2]) / (2 + COLOURS[0, 2]) * (2 + own[2]) - 2
    np.testing.assert_allclose(got[:, :2], places, atol=1 / 127)
    np.testing.assert_allclose(got[:, 2], matrices, atol=1 / 127)
    shown = (places + 1) / 2 * (SIZE - 1) + 0.5
    np.testing.assert_allclose([one.landmarks[0] for one in made], shown, atol=1e-3)


def test_strength_scales_the_way_from_the_source(model, portrait):
    half, _ = colours(model, portrait, strength=0.5)
    whole, _ = colours(model, portrait)
    np.testing.assert_allclose(half, (whole + portrait.image[0, 0]) / 2, atol=1 / 127)


def test_absolute_motion_and_a_still_are_the_drivers_own(model, portrait):
    got, _ = colours(model, portrait, motion='absolute')
    np.testing.assert_allclose(got, COLOURS, atol=1 / 127)
    start = starts.of_still(portrait, face(COLOURS[1]))
    (made,) = Animation(model, portrait).frames([face(COLOURS[1])], start)
    np.testing.assert_allclose(made.image[0, 0] / 127.5 - 1, COLOURS[1], atol=1 / 127)


def test_adapted_scale_is_of_the_areas_of_hulls():
    rng = np.random.default_rng(0)
    source, first, driving = rng.normal(size=(3, 1, 10, 6)).astype(np.float32)
    areas = [ConvexHull(one[0, :, :2]).volume for one in (source, first)]
    scale = np.sqrt(areas[0]) / np.sqrt(areas[1])
    assert keypoint_motion.scale(source, first) == pytest.approx(scale, rel=1e-6)
    made = keypoint_motion.move(keypoint_motion.Start(source, first, scale), driving)
    expected = (driving - first)[..., :2] * scale + source[..., :2]
    np.testing.assert_allclose(made[..., :2], expected, atol=1e-5)
    matrices = [one[..., 2:].reshape(1, 10, 2, 2) for one in (driving, first, source)]
    turned = matrices[0] @ np.linalg.inv(matrices[1]) @ matrices[2]
    np.testing.assert_allclose(made[..., 2:], turned.reshape(1, 10, 4), rtol=1e-3, atol=1e-4)


@pytest.fixture(scope='module')
def tracks(tmp_path_factory):
    target = tmp_path_factory.mktemp('shards')
    return fake_shards(target, identities=3, tracks=1, frames=5, size=SIZE, split='test')


def test_the_command_animates_tracks(tracks, tmp_path, capsys):
    export.write(tmp_path / 'b', keypoint_model(), keypoint_model())
    files = [str(tmp_path / name) for name in ('out.mp4', 'sheet.png')]
    source = ['--source', tracks.directory, '--source-track', 'track0000']
    driving = ['--driving', tracks.directory, '--driving-track', 'track0001']
    whole = ['--model', str(tmp_path / 'b'), *source, '--out', files[0], '--batch', '2']
    assert reenact.main([*whole, *driving, '--sheet', files[1], '--reference', 'best']) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary['frames'], summary['transfer']) == (5, 'colours')
    frames = np.stack(list(reading.Reader(files[0])))
    assert len(frames) == 5 and np.abs(np.diff(frames.astype(int), axis=0)).max() > 3
    with pytest.raises(UserError, match='--edit: acts on landmarks'):
        reenact.main([*whole, *driving, '--overwrite', '--edit', 'smile=1'])
    (tmp_path / 'm.csv').write_text('AU12\n1\n')
    with pytest.raises(UserError, match='motion without pictures'):
        reenact.main([*whole, '--overwrite', '--driving', str(tmp_path / 'm.csv')])


def test_a_still_leads_from_the_sources_own_keypoints(model, portrait):
    (end, _), *_ = Animation(model, portrait).landmarks([face(COLOURS[1])], portrait_face(portrait))
    made = list(Animation(model, portrait).lead(end[0], 3))
    shown = np.stack([one.image[0, 0] for one in made]) / 127.5 - 1
    own = portrait.image[0, 0]
    np.testing.assert_allclose(shown[[0, 2]], [own, COLOURS[1]], atol=1 / 127)
    np.testing.assert_allclose(shown[1], (own + COLOURS[1]) / 2, atol=1 / 127)


def portrait_face(portrait):
    return starts.of_still(portrait, face(COLOURS[1]))


@pytest.mark.parametrize('kind', ['self', 'cross'])
def test_evaluation_scores_it_as_an_answer_to_the_drivers_landmarks(model, tracks, kind):
    measure = Estimators(None, Brightness())
    scores = scoring.score(model, tracks, pairs.make(tracks, kind, 2), measure)
    own, asked = 'colours + colours', 'none + landmark warp'
    assert {own, asked} <= set(scores.values)
    assert ('colours, relative + colours' in scores.values) == (kind == 'cross')
    case = cases.read(tracks, kind, pairs.make(tracks, kind, 2).groups()[0], SIZE, '68')
    source, driving, first = (
        np.asarray(face['image']).mean((1, 2)) for face in (case.source, case.driving, case.first)
    )
    # As AAN's paper has it: in self-reenactment since the source, else the driver's own.
    moved = methods.motion(model, case)
    np.testing.assert_allclose(moved[:, 0, :2], driving[:, :2], atol=1e-4)
    since = methods.motion(model, case, since_first=True)
    np.testing.assert_allclose(since[:, 0, :2], (source + driving - first)[:, :2], atol=1e-4)
    drawn = figure.drawn(model, case, 'relative').mean((1, 2))
    wanted = since if kind == 'cross' else moved
    np.testing.assert_allclose(drawn[:, :2], np.clip(wanted[:, 0, :2], -1, 1), atol=1e-4)
    found = scores.values[own]['slope_mouth'], scores.values[asked]['slope_mouth']
    np.testing.assert_allclose(*found)  # the estimator finds the same, and the same is asked for


def test_hull_of_a_line_has_no_area():
    assert keypoint_motion.hull_area(np.arange(8.0).reshape(4, 2)) == 0


def test_best_frame_is_the_demos():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 68, 2))
    normal = [x - x.mean(0) for x in (one, other)]
    normal = [x / np.sqrt(ConvexHull(x).volume) for x in normal]
    expected = (np.abs(normal[0] - normal[1]) ** 2).sum()
    assert keypoint_motion.apart(one, other) == pytest.approx(expected)
    seen = {'image': np.zeros(()), 'landmarks': one}
    assert starts.distance(seen, {'landmarks': other}) == pytest.approx(expected)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'edits': {'smile': 1.0}}, '--edit: acts on landmarks, and colours moves keypoints'),
        ({'units': [Change(8, 1.0, False)]}, '--au, --pose: acts on landmarks'),
        ({'regions': ('mouth',)}, '--region: acts on landmarks'),
        ({'smooth': True}, '--smooth: acts on landmarks'),
    ],
)
def test_what_acts_on_landmarks_is_refused(model, portrait, options, message):
    with pytest.raises(UserError, match=message):
        Animation(model, portrait, Options(**options))


def test_what_acts_on_keypoints_is_refused_for_landmarks(portrait):
    with pytest.raises(UserError, match='--adapt-scale: is of keypoints'):
        Animation(live.assemble(drawing_model(), None), portrait, Options(adapt_scale=True))


def test_a_file_of_motion_has_no_images(portrait):
    with pytest.raises(UserError, match='motion without pictures'):
        drivers.from_motion('m.csv', portrait, SIZE, '68', ('image',))


def test_inverse_undoes():
    matrix = np.eye(2) + 0.2 * np.random.default_rng(0).normal(size=(4, 3, 2, 2))
    found = keypoints.product(keypoints.inverse(matrix), matrix)
    np.testing.assert_allclose(found, np.broadcast_to(np.eye(2), found.shape), atol=1e-4)


def test_what_it_computes_on_its_way_is_drawn(tracks, tmp_path, monkeypatch, capsys):
    model = first_order_model()
    monkeypatch.setattr(trained, 'read', lambda workdir: model)
    given = ['--model', 'w', '--data', tracks.directory, '--split', tracks.split]
    out = tmp_path / 'inside.png'
    assert evaluate.main(['preview', *given, '--out', str(out), '--most', '2']) == 0
    made = reading.read_still(out)
    assert made.shape[0] > 2 * preview.CELL and made.shape[1] > 6 * preview.CELL
    assert provenance.inspect(str(out)).metadata
    cell = made[-preview.CELL // 2, preview.CELL // 2 :: preview.CELL]
    assert np.ptp(cell.astype(int)) > 10  # source, driver, flow and occlusion differ
    monkeypatch.setattr(trained, 'read', lambda workdir: GENERATORS['aan']())
    with pytest.raises(UserError, match='aan is not driven by images alone'):
        evaluate.main(['preview', *given, '--out', str(out)])
    with pytest.raises(UserError, match=r'expected a \.png or \.jpg'):
        evaluate.main(['preview', *given, '--out', 'x.tif'])
