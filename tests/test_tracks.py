"""The record: what is written comes back, whatever is not right is refused."""

import dataclasses

import fakes
import numpy as np
import pytest

from reenact_jax import tracks
from reenact_jax.errors import UserError


def test_a_track_comes_back_as_it_was():
    track = fakes.fake_track(3, identity=2)
    back = tracks.decode(tracks.encode(track))
    for field in dataclasses.fields(track):
        one, other = getattr(track, field.name), getattr(back, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(other, one, err_msg=field.name)
            assert other.dtype == one.dtype, field.name
        else:
            assert other == one, field.name


def test_the_same_track_is_the_same_bytes():
    assert tracks.encode(fakes.fake_track(3)) == tracks.encode(fakes.fake_track(3))


def test_only_reads_the_fields_asked_for():
    record = tracks.encode(fakes.fake_track(frames=4))
    track = tracks.decode(record, only=frozenset({'aus'}))
    assert track.aus.shape == (4, 20)
    assert track.image == () and track.landmarks_68.shape == (0, 68, 3)
    assert track.identity_name == 'person 0'  # fields of the whole track are always there


def test_read_takes_the_frames_asked_for():
    track = fakes.fake_track(frames=4, identity=5)
    values = tracks.read(tracks.encode(track), ('image', 'aus', 'identity'), [2, 0, 2])
    assert values['image'] == [track.image[2], track.image[0], track.image[2]]
    np.testing.assert_array_equal(values['aus'], track.aus[[2, 0, 2]])
    assert values['identity'] == 5 and set(values) == {'image', 'aus', 'identity'}


@pytest.mark.parametrize('changes, message', [
    ({'aus': np.full((4, 20), np.nan, np.float32)}, 'aus holds NaN'),
    ({'gaze': np.zeros((3, 2), np.float32)}, r'gaze has shape \(3, 2\)'),
    ({'segmentation': (b'',)}, 'segmentation has 1 frames'),
])  # fmt: skip
def test_encode_names_the_wrong_field(changes, message):
    with pytest.raises(UserError, match=message):
        tracks.encode(fakes.fake_track(**changes))


@pytest.mark.parametrize('read', [tracks.decode, lambda r, w: tracks.read(r, ('aus',), [0], w)])
def test_other_bytes_are_refused(read):
    record = tracks.encode(fakes.fake_track())
    with pytest.raises(UserError, match=r'a\.tfrecord, record 3'):
        read(b'\xff' + record, 'a.tfrecord, record 3')
    other = tracks.tf_example_pb2.Example.FromString(record)
    other.features.feature['version'].int64_list.value[0] = 99
    with pytest.raises(UserError, match='version'):
        read(other.SerializeToString(), 'x')
    short = tracks.tf_example_pb2.Example.FromString(record)
    del short.features.feature['aus'].float_list.value[-1]
    with pytest.raises(UserError, match='aus: 79 numbers'):
        read(short.SerializeToString(), 'x')
