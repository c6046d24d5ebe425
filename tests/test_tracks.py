"""The record: what is written comes back, whatever is not right is refused."""

import contextlib
import dataclasses

import fakes
import numpy as np
import pytest

from reenact_jax.common.errors import UserError
from reenact_jax.data import tracks


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
    fields = tracks.read_fields(record, ('aus', 'identity_name'))
    assert fields.keys() == {'aus', 'identity_name'}
    assert fields['aus'].shape == (4, 20) and fields['identity_name'] == 'person 0'


def test_spans_say_where_the_fields_lie():
    labels = np.array([3, -1, 200, 5_000_000_000])  # numbers of 1, 10, 2 and 5 bytes
    track = fakes.fake_track(frames=4, identity=5, expression=labels)
    record = tracks.encode(track)
    names = [name for name, field in tracks.FIELDS.items() if field.shape[:1] == ('T',)]
    pieces = [record[slice(*span)] for span in tracks.spans(record, names, 4)]
    for name in names:
        expected = getattr(track, name)
        if tracks.FIELDS[name].kind == 'bytes':
            assert pieces[:4] == list(expected)
            del pieces[:4]
        else:
            value = tracks.numbers(pieces.pop(0), name, 4)
            np.testing.assert_array_equal(value, expected, err_msg=name)
            assert value.dtype in (np.float32, np.int64, np.int8)
    assert pieces == []


def test_whatever_is_cut_or_wrong_is_no_track():
    """Every byte of a small record cut off or changed: an error that names it, or the values."""
    record = tracks.encode(fakes.fake_track(frames=1, size=16))
    names = ('aus_valid', 'pose_id', 'aus', 'image')
    for at in range(len(record)):
        with pytest.raises(UserError, match='record 3'):
            tracks.spans(record[:at], names, 1, 'a.tfrecord, record 3')
        changed = record[:at] + bytes([record[at] ^ 0x82]) + record[at + 1 :]
        with contextlib.suppress(UserError):
            assert len(tracks.spans(changed, names, 1)) == 4


@pytest.mark.parametrize('changes, message', [
    ({'aus': np.full((4, 20), np.nan, np.float32)}, 'aus holds NaN'),
    ({'gaze': np.zeros((3, 2), np.float32)}, r'gaze has shape \(3, 2\)'),
    ({'segmentation': (b'',)}, 'segmentation has 1 frames'),
])  # fmt: skip
def test_encode_names_the_wrong_field(changes, message, unchecked):
    with pytest.raises(UserError, match=message):
        tracks.encode(fakes.fake_track(**changes))


@pytest.mark.parametrize('read', [tracks.decode, lambda r, w: tracks.spans(r, ('aus',), 4, w)])
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


@pytest.mark.parametrize('name, message', [
    ('image', 'image: 4 frames, not 5'),
    ('gaze_valid', 'gaze_valid: 4 numbers'),
    ('landmarks_68', 'landmarks_68: 816 numbers'),
])  # fmt: skip
def test_another_number_of_frames_is_refused(name, message):
    record = tracks.encode(fakes.fake_track(frames=4))
    with pytest.raises(UserError, match=message):
        tracks.spans(record, (name,), 5)


def test_few_large_numbers_are_not_many_small_ones():
    """200 takes two bytes: two of them are as long as the four numbers expected."""
    example = tracks.tf_example_pb2.Example.FromString(tracks.encode(fakes.fake_track(frames=4)))
    example.features.feature['gaze_valid'].int64_list.value[:] = [200, 200]
    with pytest.raises(UserError, match='gaze_valid: 2 numbers'):
        tracks.spans(example.SerializeToString(), ('gaze_valid',), 4)
