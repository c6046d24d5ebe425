"""Synthetic sets: labels, pairs, determinism, resumption, errors."""

import io
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip('numba', reason='the extra [synthetic] is not installed')

import simplejpeg
from PIL import Image

from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet, splits
from reenact_jax.data.tracks import DRIVING, POSE, SOURCE, TRUTH
from reenact_jax.data_prep import synthetic
from reenact_jax.data_prep.heads import plan

ROOT = pathlib.Path(__file__).parent.parent
TINY = plan.Request(
    identities=2, val_identities=0, test_identities=2, tracks=1, frames=2, size=64, cross_pairs=1,
    shards=2,
)  # fmt: skip


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    directory = tmp_path_factory.mktemp('tiny')
    synthetic.write(directory, TINY, workers=1, quiet=True)
    return directory


@pytest.fixture(scope='module')
def points(tmp_path_factory):
    directory = tmp_path_factory.mktemp('points')
    request = plan.Request(
        identities=4, val_identities=2, test_identities=2, tracks=3, frames=4, cross_pairs=2,
        landmarks_only=True, crossed=True,
    )  # fmt: skip
    synthetic.write(directory, request, workers=1, quiet=True)
    return directory


def read(directory, split):
    shards = ShardSet(directory, split)
    return [shards.track(i) for i in range(len(shards))]


def test_tracks_are_whole(tiny):
    assert splits(tiny) == ('gt_cross', 'test', 'train')
    for track in read(tiny, 'train'):
        image = simplejpeg.decode_jpeg(track.image[0])
        classes = np.array(Image.open(io.BytesIO(track.segmentation[0])))
        assert image.shape == (64, 64, 3) and classes.shape == (64, 64)
        assert set(np.unique(classes)) <= {0, 1, 2} and (classes == 1).mean() > 0.1
        inside = (track.landmarks_68[..., :2] > 0) & (track.landmarks_68[..., :2] < 64)
        assert inside.all()
        for name in ('68', '106', '68c'):
            z = getattr(track, f'landmarks_{name}')[..., 2]
            np.testing.assert_allclose(z.mean(-1), 0, atol=1e-4)
        assert 0.45 < np.ptp(track.landmarks_68[..., :2], axis=(0, 1)).max() / 64 < 0.6
        # z grows away from the camera: the tip of the nose is nearer than the ears.
        assert (track.landmarks_68[:, 30, 2] < track.landmarks_68[:, [0, 16], 2].min(-1)).all()


def test_labels_are_shared_exactly(points):
    tracks = read(points, 'train')
    assert len(tracks) == 12 and all(track.image == (b'',) * 4 for track in tracks)
    by_label = {}
    for track in tracks:
        for t in range(track.frames):
            by_label.setdefault(int(track.expression[t]), []).append((track.identity, track, t))
    assert len(by_label) == 12
    for rows in by_label.values():
        assert {identity for identity, _, _ in rows} == {0, 1, 2, 3}
        _, first, t = rows[0]
        for _, other, s in rows[1:]:
            np.testing.assert_array_equal(first.aus[t], other.aus[s])
            np.testing.assert_array_equal(first.gaze[t], other.gaze[s])
            assert first.pose_id[t] == other.pose_id[s]
            assert not np.allclose(first.landmarks_68[t], other.landmarks_68[s], atol=0.5)


def test_own_poses_leave_the_expression_shared(tmp_path):
    sizes = dict(val_identities=0, test_identities=0, cross_pairs=0)
    request = plan.Request(
        identities=2, tracks=1, frames=3, own_poses=True, landmarks_only=True, **sizes
    )
    synthetic.write(tmp_path, request, workers=1, quiet=True)
    one, other = read(tmp_path, 'train')
    np.testing.assert_array_equal(one.expression, other.expression)
    np.testing.assert_array_equal(one.aus[:, :17], other.aus[:, :17])
    assert np.abs(one.aus[:, POSE] - other.aus[:, POSE]).max() > 0.05
    assert (one.pose_id == -1).all() and (one.expression >= 0).all()
    # At rest the face has the pose and the place of its frame: the bridge of the nose stays.
    off = np.abs(one.reference_68 - one.landmarks_68)[:, 27:30, :2].max()
    assert off < 0.02 * one.size


def test_splits_have_their_own_people_and_motions(points):
    people, labels = set(), set()
    for split in ('train', 'val', 'test'):
        tracks = read(points, split)
        new = {track.identity for track in tracks}
        marks = {int(label) for track in tracks for label in track.expression}
        assert not people & new and not labels & marks
        people, labels = people | new, labels | marks
    assert people == set(range(8))


@pytest.mark.parametrize('set_name', ['tiny', 'points'])
def test_truth_of_cross_pairs(set_name, request):
    tracks = read(request.getfixturevalue(set_name), 'gt_cross')
    for pair in {track.pair for track in tracks}:
        role = {track.role: track for track in tracks if track.pair == pair}
        source, driving, truth = role[SOURCE], role[DRIVING], role[TRUTH]
        assert truth.identity == source.identity != driving.identity
        np.testing.assert_array_equal(truth.crop, source.crop)
        np.testing.assert_array_equal(truth.aus, driving.aus)
        np.testing.assert_array_equal(truth.expression, driving.expression)
        # A's reference at B's pose: A's own shape, up to the pose: the same lengths in space.
        lengths = [_lengths(track.reference_68) / track.crop[2] for track in (source, truth)]
        scale = [track.crop[2] for track in (source, truth)]
        np.testing.assert_allclose(lengths[0][0] * scale[0], lengths[1][0] * scale[1], rtol=0.06)
        assert np.abs(_lengths(truth.reference_68)[0] - _lengths(driving.reference_68)[0]).max() > 1


def _lengths(points):
    """Distances in space between a few rigid points (eye corners, bridge, nose base) [t, 4]."""
    ends = np.array([(36, 45), (27, 33), (39, 33), (42, 33)])
    return np.linalg.norm(points[:, ends[:, 0]] - points[:, ends[:, 1]], axis=-1)


def test_same_bytes_twice_and_resumption(tiny, tmp_path):
    synthetic.write(tmp_path, TINY, workers=1, quiet=True)
    files = sorted(path.name for path in tiny.iterdir() if 'tfrecord' in path.name)
    before = {name: (tmp_path / name).read_bytes() for name in files}
    for name in files:
        assert before[name] == (tiny / name).read_bytes(), name
    assert synthetic.write(tmp_path, TINY, workers=1, quiet=True) == dict.fromkeys(
        ('train', 'test', 'gt_cross'), 0
    )
    (tmp_path / files[-1]).unlink()  # a sidecar: that shard is not known to be complete
    damaged = next(name for name in files if 'test' in name and name.endswith('-00001-of-00002'))
    (tmp_path / damaged).write_bytes(before[damaged][:-1])
    assert synthetic.write(tmp_path, TINY, workers=1, quiet=True)['test'] == 1
    assert (tmp_path / damaged).read_bytes() == before[damaged]


def test_another_seed_is_written_again(points, tmp_path):
    request = plan.Request(
        identities=2, val_identities=0, test_identities=0, tracks=1, frames=2, cross_pairs=0,
        landmarks_only=True,
    )  # fmt: skip
    synthetic.write(tmp_path, request, workers=1, quiet=True)
    other = plan.Request(**{**vars(request), 'seed': 1})
    written = synthetic.write(tmp_path, other, workers=1, quiet=True)
    assert written['train'] == 2


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--frames', '101'], 'frames'),
        (['--identities', '1'], 'identities'),
        (['--test-identities', '0'], '--test-identities'),
        (['--val-identities', '1'], '--val-identities'),
        (['--workers', '-1'], '--workers'),
    ],
)
def test_bad_flags_are_named(flags, message, tmp_path):
    with pytest.raises(UserError, match=message):
        synthetic.main(['--out', str(tmp_path), *flags])


@pytest.mark.skipif(not pathlib.Path('/proc/self/task').exists(), reason='needs /proc')
def test_workers_end_when_their_parent_is_killed(tmp_path):
    """A killed command leaves no process that goes on writing."""
    command = [sys.executable, '-m', 'data_prep.synthetic', '--out', str(tmp_path / 'set')]
    command += ['--landmarks-only', '--identities', '64', '--tracks', '500', '--workers', '2']
    with subprocess.Popen([*command, '--quiet'], cwd=ROOT) as parent:
        children = _until(lambda: _descendants(parent.pid))
        parent.kill()
    assert len(children) == 3
    assert _until(lambda: not any(map(_alive, children)))


def _descendants(pid: int) -> list[int]:
    """The two workers, once both are there (the spawn method's tracker is the first child)."""
    children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text()
    found = [int(one) for one in children.split()]
    return found if len(found) == 3 else []


def _alive(pid: int) -> bool:
    try:
        return bool(pathlib.Path(f'/proc/{pid}/cmdline').read_bytes())  # a zombie has none
    except FileNotFoundError:
        return False


def _until(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return found
