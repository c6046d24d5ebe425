"""Batches: partners, epochs, resuming, hosts, mirrors."""

import io
import json

import fakes
import numpy as np
import pytest
import simplejpeg
from absl import flags, logging
from loading import arrays, assert_same, loader, records
from PIL import Image

from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data.batches import Reading, examples
from reenact_jax.geometry.landmarks import LAYOUTS


@pytest.fixture(scope='module')
def part(tmp_path_factory):
    """3 people, 4 tracks each of 4 frames: 12 records."""
    return fakes.fake_shards(tmp_path_factory.mktemp('set'), size=32)


def test_a_batch_is_what_the_contract_says(part):
    batch = next(loader(part, reads=tracks.BATCH_FIELDS, frames=3, points='106'))
    shapes = {name: (value.shape, value.dtype.name) for name, value in arrays(batch).items()}
    assert shapes == {
        'image': ((4, 3, 32, 32, 3), 'uint8'),
        'landmarks': ((4, 3, 106, 2), 'float32'),
        'landmarks3d': ((4, 3, 106, 3), 'float32'),
        'visible': ((4, 3, 106), 'bool'),
        'reference': ((4, 3, 106, 2), 'float32'),
        'aus': ((4, 3, 20), 'float32'),
        'aus_valid': ((4, 3, 20), 'bool'),
        'gaze': ((4, 3, 2), 'float32'),
        'segmentation': ((4, 3, 32, 32), 'uint8'),
        'identity': ((4,), 'int32'),
        'expression': ((4, 3), 'int32'),
        'pose_id': ((4, 3), 'int32'),
    }
    assert not batch.aus[~batch.aus_valid].any() and batch.aus_valid.any()


def test_the_fields_of_a_row_are_of_the_same_frames(part):
    batch = next(loader(part, reads=tracks.BATCH_FIELDS))
    for row, record in enumerate(records(part, batch)):
        track = part.track(record)
        for k in range(2):
            points = batch.landmarks[row, k]
            (t,) = [t for t in range(4) if np.array_equal(track.landmarks_68[t, :, :2], points)]
            np.testing.assert_array_equal(batch.landmarks3d[row, k], track.landmarks_68[t])
            np.testing.assert_array_equal(batch.reference[row, k], track.reference_68[t, :, :2])
            np.testing.assert_array_equal(batch.visible[row, k], track.visible_68[t] == 1)
            decoded = simplejpeg.decode_jpeg(track.image[t])
            np.testing.assert_array_equal(batch.image[row, k], decoded)
            png = np.asarray(Image.open(io.BytesIO(track.segmentation[t])))
            np.testing.assert_array_equal(batch.segmentation[row, k], png)
            known = track.aus_valid[t] * track.aus[t]
            np.testing.assert_array_equal(batch.aus[row, k], known)
            gaze = track.gaze_valid[t] * track.gaze[t]
            np.testing.assert_array_equal(batch.gaze[row, k], gaze)
            assert batch.expression[row, k] == track.expression[t]
            assert batch.pose_id[row, k] == track.pose_id[t]
        assert batch.identity[row] == track.identity


def test_a_landmark_stage_decodes_no_image(tmp_path):
    part = fakes.fake_shards(tmp_path, tracks=1, image=(b'no jpeg',) * 4)
    light = loader(part)
    assert next(light).image is None and not light.damaged
    with pytest.raises(UserError, match='records in a row are damaged'):
        next(loader(part, reads=('image',)))


def test_every_record_is_a_base_once_an_epoch_and_partners_are_strangers(part):
    stream, orders = loader(part, batch_size=6), []
    for _ in range(3):  # epochs of 12 pairs: 4 batches of 3
        bases = []
        for _ in range(4):
            batch = next(stream)
            found = records(part, batch)
            bases += found[::2].tolist()
            assert (batch.identity[::2] != batch.identity[1::2]).all()
            np.testing.assert_array_equal(batch.identity, part.identity[found])
        assert sorted(bases) == list(range(12))
        orders.append(bases)
    assert orders[0] != orders[1] != orders[2]
    assert stream.epoch == 3


def test_every_stranger_can_be_a_partner(part):
    stream, met = loader(part, batch_size=12), set()
    for _ in range(150):
        found = records(part, next(stream)).reshape(-1, 2).tolist()
        met |= {tuple(pair) for pair in found}
    identity = part.identity
    assert met == {(a, b) for a in range(12) for b in range(12) if identity[a] != identity[b]}


def test_frames_of_a_track_differ_while_there_are_enough(tmp_path, part):
    for frames, different in ((2, 2), (4, 4), (6, 4)):
        for row in next(loader(part, frames=frames)).landmarks:
            assert len({frame.tobytes() for frame in row}) == different
    stills = fakes.fake_shards(tmp_path, tracks=1, frames=1, size=16)
    for row in next(loader(stills, frames=3)).landmarks:
        assert len({frame.tobytes() for frame in row}) == 1


def test_the_seed_decides(part):
    assert_same(next(loader(part, seed=5)), next(loader(part, seed=5)))
    one, other = next(loader(part, seed=5)), next(loader(part, seed=6))
    assert not np.array_equal(one.landmarks, other.landmarks)


def test_resuming_is_exact(part):
    stream = loader(part, frames=2, reading=Reading(threads=2, flip=True))
    for _ in range(5):
        next(stream)
    state = json.loads(json.dumps(stream.state()))
    expected = [next(stream) for _ in range(5)]
    resumed = loader(part, frames=2, reading=Reading(threads=1, flip=True))
    next(resumed)  # a position of its own, to be given up
    resumed.restore(state)
    for batch in expected:
        assert_same(next(resumed), batch)
    assert resumed.state() == stream.state()


def test_restore_refuses_what_is_no_position(part):
    with pytest.raises(UserError, match='data position'):
        loader(part).restore({'step': 3})


def test_resuming_on_other_data_is_said(part, monkeypatch):
    log = []
    monkeypatch.setattr(logging, 'warning', lambda text, *values: log.append(text % values))
    loader(part, seed=2).restore(loader(part, seed=2).state())
    assert not log
    loader(part, seed=3).restore(loader(part, seed=2).state())
    assert len(log) == 1 and 'seed is 3, was 2' in log[0]


@pytest.mark.long
def test_processes_read_the_same_as_threads(part):
    """Processes: three seconds to start on an idle machine, more on a busy one."""
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    plain, workers = loader(part), loader(part, reading=Reading(threads=1, workers=2))
    for _ in range(4):
        assert_same(next(plain), next(workers))
    resumed = loader(part, reading=Reading(threads=1, workers=1))
    resumed.restore(workers.state())
    assert_same(next(resumed), next(plain))
    workers.close()
    resumed.close()


def test_hosts_give_the_batch_of_one_host_row_for_row(part):
    def together(hosts):
        return [next(host) for host in hosts]

    def joined(shares):
        parts = [arrays(share) for share in shares]
        return tracks.Batch(**{n: np.concatenate([p[n] for p in parts]) for n in parts[0]})

    one = loader(part, batch_size=8)
    four = [loader(part, batch_size=8, host=h, hosts=4) for h in range(4)]
    for _ in range(4):
        assert_same(joined(together(four)), next(one))
    states = [host.state() for host in four]
    assert all(state == one.state() for state in states)
    two = [loader(part, batch_size=8, host=h, hosts=2) for h in range(2)]
    for host in two:
        host.restore(states[3])
    for _ in range(4):
        shares = together(two)
        assert all(len(share.identity) == 4 for share in shares)
        assert_same(joined(shares), next(one))


@pytest.mark.parametrize('changes, message', [
    ({'batch_size': 6, 'devices': 2}, 'multiple of 4'),
    ({'batch_size': 5}, 'multiple of 2'),
    ({'batch_size': 8, 'hosts': 2, 'devices': 3, 'host': 0}, 'batch_size 8|equally many devices'),
    ({'host': 2, 'hosts': 2}, 'host 2 of 2'),
    ({'reads': ('pictures',)}, 'pictures'),
    ({'frames': 0}, 'frames 0'),
    ({'neighbour': 'friend'}, 'friend'),
    ({'points': '69'}, '69'),
    ({'seed': -1}, 'seed -1'),
])  # fmt: skip
def test_what_cannot_work_is_refused_at_the_start(part, changes, message):
    with pytest.raises(UserError, match=message):
        loader(part, **changes)


def test_data_that_cannot_work_is_refused_at_the_start(tmp_path):
    alone = fakes.fake_shards(tmp_path / 'a', identities=1, size=16)
    for neighbour in ('other_identity', 'same_expression'):
        with pytest.raises(UserError, match='two people or more'):
            loader(alone, neighbour=neighbour)
    assert next(loader(alone, neighbour='unused')).identity.tolist() == [0] * 4
    items = [fakes.fake_track(n, identity=n, size=16 * (n + 1)) for n in range(2)]
    shards.write(tmp_path / 'b', 'train', items)
    with pytest.raises(UserError, match=r'sizes \[16, 32\]'):
        loader(shards.ShardSet(tmp_path / 'b', 'train'))


@pytest.mark.parametrize('points', tracks.POINT_SETS)
@pytest.mark.parametrize('neighbour', ['other_identity', 'same_expression'])
def test_a_flipped_batch_is_the_batch_of_flipped_images(part, points, neighbour):
    asked = {'reads': tracks.BATCH_FIELDS, 'points': points, 'neighbour': neighbour}
    plain = loader(part, **asked)
    stream = loader(part, **asked, reading=Reading(flip=True, threads=1))
    coins = set()
    for _ in range(8):
        before, after = next(plain), next(stream)
        for pair in range(2):
            rows = slice(2 * pair, 2 * pair + 2)
            flipped = not np.array_equal(before.image[rows], after.image[rows])
            coins.add(flipped)
            for row in range(2 * pair, 2 * pair + 2):  # both rows, or neither
                check_row(before, after, row, points, flipped)
    assert coins == {True, False}


def check_row(before, after, row, points, flipped):
    size = before.image.shape[-2]
    one, other = ({n: v[row] for n, v in arrays(b).items()} for b in (before, after))
    if not flipped:
        for name in one:
            np.testing.assert_array_equal(other[name], one[name], err_msg=name)
        return
    np.testing.assert_array_equal(other['image'], one['image'][:, :, ::-1])
    np.testing.assert_array_equal(other['segmentation'], one['segmentation'][:, :, ::-1])
    flip = LAYOUTS[points].flip
    for name in ('landmarks', 'landmarks3d', 'reference'):
        np.testing.assert_array_equal(other[name][..., 0], size - one[name][:, flip, 0])
        np.testing.assert_array_equal(other[name][..., 1:], one[name][:, flip, 1:])
    np.testing.assert_array_equal(other['visible'], one['visible'][:, flip])
    sign = np.ones(20, np.float32)
    sign[18:] = -1
    np.testing.assert_array_equal(other['aus'], one['aus'] * sign)
    np.testing.assert_array_equal(other['gaze'], one['gaze'] * np.float32([-1, 1]))
    assert (other['pose_id'] == -1).all()
    for name in ('identity', 'expression', 'aus_valid'):
        np.testing.assert_array_equal(other[name], one[name])


def test_the_mirrored_pose_is_that_of_the_mirrored_head():
    """R(mirrored AUs) = M R M, M the reflection of x, for R = R_x R_y R_z of the conventions."""

    def rotation(x, y, z):
        cx, cy, cz, sx, sy, sz = *np.cos([x, y, z]), *np.sin([x, y, z])
        r_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        r_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        r_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        return r_x @ r_y @ r_z

    aus = np.zeros((1, 1, 20), np.float32)
    aus[0, 0, tracks.POSE] = 0.3, -0.5, 0.2
    mirror = np.diag([-1, 1, 1])
    expected = mirror @ rotation(*aus[0, 0, tracks.POSE].astype(float)) @ mirror
    examples.mirror({'aus': aus}, 16)
    np.testing.assert_allclose(rotation(*aus[0, 0, tracks.POSE].astype(float)), expected)


def test_waiting_is_measured_and_closing_can_be_undone(part):
    stream = loader(part)
    next(stream)
    assert stream.waited > 0
    stream.close()
    second = next(stream)
    other = loader(part)
    next(other)
    assert_same(second, next(other))
