"""The report's numbers against the same frames scored by hand."""

import json

import numpy as np
import pytest
import simplejpeg
from bundles import SIZE, drawing_model, landmark_model
from fakes import fake_track

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data.tracks import DRIVING, SOURCE, TRUTH
from reenact_jax.evaluate import baselines, cases, command, methods, metrics, pairs, report, scoring
from reenact_jax.evaluate.papers import references
from reenact_jax.export import command as export
from reenact_jax.geometry import landmarks
from reenact_jax.media import reading

FRAMES = 5


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    target = tmp_path_factory.mktemp('report') / 'bundle'
    export.write(target, drawing_model(), landmark_model())
    return target


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Three held-out people and two pairs; crops of the model's own size."""
    target = tmp_path_factory.mktemp('shards')
    common = dict(frames=FRAMES, size=SIZE)
    people = [fake_track(n, identity=n, **common) for n in range(3)]
    roles = [(pair, role) for pair in (0, 1) for role in (SOURCE, DRIVING, TRUTH)]
    pairs = [
        fake_track(10 + n, identity=int(role == DRIVING), pair=pair, role=role, **common)
        for n, (pair, role) in enumerate(roles)
    ]
    for split, tracks in (('test', people), ('gt_cross', pairs)):
        shards.write(target, split, tracks, shards=1, parameters={})
    return target


def pixels(track, frame):
    return simplejpeg.decode_jpeg(track.image[frame]).astype(np.float32) / 127.5 - 1


def scores_of(model, data, kind, most=99):
    part = shards.ShardSet(data, kind if kind == 'gt_cross' else 'test')
    chosen = pairs.make(part, kind, most)
    return scoring.score(bundle.load(model), part, chosen), part


def test_self_reenactment_scores_every_frame_but_the_source(model, data):
    scores, part = scores_of(model, data, 'self')
    assert len(scores.case) == 3 * (FRAMES - 1) and scores.case.max() == 2
    by_hand = [
        np.abs(pixels(track, 0) - pixels(track, t)).mean()
        for track in map(part.track, range(3))
        for t in range(1, FRAMES)
    ]
    np.testing.assert_allclose(scores.values[baselines.COPY]['l1'], by_hand, rtol=5e-5)
    # The driver is the source's own track: as it is, its landmarks stay where they are.
    track = part.track(1)
    points = np.float32(track.landmarks_68[..., :2])
    face = {'image': pixels(track, 0)[None], 'landmarks': points[:1]}
    carried = bundle.load(model, 'none')
    made = carried.render(carried.encode(face), points[2:3])
    expected = np.abs(np.clip(made[0], -1, 1) - pixels(track, 2)).mean()
    found = scores.values['none + drawing']['l1'][FRAMES - 1 + 1]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_gt_cross_of_the_drivers_landmarks_leaks_all(model, data):
    scores, part = scores_of(model, data, 'gt_cross')
    assert len(scores.case) == 2 * FRAMES
    plain = scores.values['none + drawing']
    np.testing.assert_allclose(plain['identity_leak'], 1, atol=1e-3)
    driver, truth = (np.float32(part.track(r).landmarks_68[..., :2]) for r in (1, 2))
    expected = metrics.point_error(metrics.same_box(driver, truth), truth)
    np.testing.assert_allclose(plain['point_error'][:FRAMES], expected, rtol=1e-3)
    other = scores.values['ldnet + drawing']
    assert (np.abs(other['identity_leak'] - 1) > 0.01).all()
    assert scores.mean(baselines.COPY, 'point_error') is None


def test_additive_motion_by_hand(model, data):
    part = shards.ShardSet(data, 'gt_cross')
    rows = pairs.make(part, 'gt_cross', 1).rows
    case = cases.read(part, 'gt_cross', rows, SIZE, '68')
    found = methods.driven(bundle.load(model), case)[methods.ADDITIVE]
    source, driver, truth = (np.float32(part.track(r).landmarks_68[..., :2]) for r in range(3))
    ratio = landmarks.box(source[0])[1] / landmarks.box(driver[0])[1]
    moved = source[0] + (driver[2] - driver[0]) * ratio
    expected = metrics.same_box(moved[None], truth[2:3])[0]
    np.testing.assert_allclose(found[2], expected, rtol=1e-4, atol=1e-3)


def test_references_change_nothing_but_the_reference(model, data):
    """The drawing's tint is the reference's: black makes it darker by a known amount."""
    loaded, part = bundle.load(model, 'none'), shards.ShardSet(data, 'test')
    found = references.measure(loaded, part, most=2)
    assert tuple(found) == references.KINDS
    errors = []
    for track in (part.track(0), part.track(2)):
        points = np.float32(track.landmarks_68[1:, :, :2])
        black = np.full((1, SIZE, SIZE, 3), -1, np.float32)
        made = loaded.render(loaded.encode({'image': black, 'landmarks': points[:1]}), points)
        truth = np.stack([pixels(track, t) for t in range(1, FRAMES)])
        errors.append(np.abs(np.clip(made, -1, 1) - truth).mean())
    assert found['black']['l1'] == pytest.approx(np.mean(errors), rel=1e-4)
    assert len({round(row['l1'], 6) for row in found.values()}) == 4
    arguments = ['references', '--model', str(model), '--data', str(data)]
    assert command.main([*arguments, '--most', '2']) == 0


def test_only_some_tracks_are_scored_when_asked(model, data):
    scores, _ = scores_of(model, data, 'self', most=2)
    assert len(scores.case) == 2 * (FRAMES - 1)


def test_command_writes_tables_videos_and_sheets(model, data, tmp_path, capsys, monkeypatch):
    def no_detector(*_):
        raise UserError('finding faces needs MediaPipe')

    monkeypatch.setattr(report.faces, 'Detector', no_detector)
    arguments = ('--model', model, '--data', data, '--out', tmp_path / 'out')
    assert report.main([str(one) for one in arguments]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    written = (tmp_path / 'out' / 'report.md').read_text()
    number = summary['cross_ssim']['ldnet + drawing']
    assert f'{number:.4f}' in written
    assert 'no photograph: finding faces needs MediaPipe' in written
    assert written.count('| copy of the source |') == 2
    assert written.count('| none + untrained prior |') == 2
    assert written.count('| ldnet + untrained prior |') == 2
    assert reading.probe(tmp_path / 'out' / 'synthetic.mp4').frames == FRAMES
    assert (tmp_path / 'out' / 'synthetic.png').exists()


def test_data_without_exact_truth(model, tmp_path, monkeypatch):
    def no_detector(*_):
        raise UserError('finding faces needs MediaPipe')

    monkeypatch.setattr(report.faces, 'Detector', no_detector)
    people = [fake_track(n, identity=n, frames=2, size=SIZE) for n in range(2)]
    shards.write(tmp_path / 'data', 'test', people, shards=1, parameters={})
    arguments = ('--model', model, '--data', tmp_path / 'data', '--out', tmp_path / 'out')
    assert report.main([str(one) for one in arguments]) == 0
    written = (tmp_path / 'out' / 'report.md').read_text()
    assert 'no split `gt_cross`' in written
    assert written.count('| copy of the source |') == 1


def test_driver_of_the_pictures(data, tmp_path):
    part = shards.ShardSet(data, 'test')
    assert report.driving_track(None, part).identity == 1
    shards.write(tmp_path, 'train', [fake_track(7)], shards=1, parameters={})
    alone = shards.ShardSet(tmp_path, 'train')
    assert report.driving_track(str(tmp_path), part).track_id == 'track0007'
    with pytest.raises(UserError, match='one person; give a driver'):
        report.driving_track(None, alone)
