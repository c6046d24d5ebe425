"""Lists of pairs: what each kind promises, files that survive, files that are refused."""

import dataclasses
import os

import numpy as np
import pytest
from fakes import fake_shards, fake_track

from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data.tracks import AU_NAMES
from reenact_jax.evaluate import pairs, video_lists


@pytest.fixture(scope='module')
def part(tmp_path_factory):
    """Four people with three tracks of five frames each."""
    return fake_shards(tmp_path_factory.mktemp('pairs'), identities=4, tracks=3, frames=5)


def people(part, rows):
    return part.identity[rows[:, 0]], part.identity[rows[:, 2]]


def test_self_is_every_frame_but_the_first(part):
    rows = pairs.make(part, 'self', 99).rows
    assert len(rows) == 12 * 4
    np.testing.assert_array_equal(rows[:, :2] * [1, 0], rows[:, :2])
    np.testing.assert_array_equal(rows[:, 2:4], rows[:, 4:])
    assert (rows[:, 0] == rows[:, 2]).all() and (rows[:, 3] > 0).all()


@pytest.mark.parametrize('kind', ['cross', 'ldnet_cross', 'freenet'])
def test_cross_kinds_have_another_driver_and_no_truth(part, kind):
    rows = pairs.make(part, kind, 99).rows
    source, driver = people(part, rows)
    assert (source != driver).all() and (rows[:, 4:] == pairs.NONE).all()
    assert len(np.unique(source)) == 4


def test_self_and_cross_test_are_one_clip_of_a_hundred_frames(tmp_path):
    part = fake_shards(tmp_path, identities=3, tracks=2, frames=120)
    rows = pairs.make(part, 'ldnet_self', 99).rows
    assert (rows[:, 0] == rows[:, 2]).all() and (rows[:, 2:4] == rows[:, 4:]).all()
    assert np.unique(rows[:, 0], return_counts=True)[1].tolist() == [99] * 3
    for record in np.unique(rows[:, 0]):
        own = rows[rows[:, 0] == record]
        assert (own[:, 3] == own[0, 1] + np.arange(1, 100)).all()
    rows = pairs.make(part, 'ldnet_cross', 99)
    assert pairs.short_clips(part, rows) == ''
    for record in np.unique(rows.rows[:, 2]):
        own = rows.rows[rows.rows[:, 2] == record]
        assert len(own) == 100 and (np.diff(own[:, 3]) == 1).all()


def test_shorter_clips_are_said(part):
    for kind in ('ldnet_self', 'ldnet_cross'):
        said = pairs.short_clips(part, pairs.make(part, kind, 99))
        assert said == '4 of 4 clips are shorter than 100 frames: 5 to 5.'
    assert pairs.short_clips(part, pairs.make(part, 'cross', 99)) == ''


def stills(folder, people=3):
    """People with two cameras: angry, happy and neutral stills, the neutral one last."""
    tracks = []
    for person in range(people):
        for pose in (45, 90):
            track = fake_track(len(tracks), identity=person, frames=3)
            labels = dict(expression=np.array([1, 2, 0]), pose_id=np.full(3, pose))
            tracks.append(dataclasses.replace(track, **labels))
    parameters = {'expressions': ['neutral', 'angry', 'happy']}
    shards.write(folder, 'test', tracks, shards=1, parameters=parameters)
    return shards.ShardSet(folder, 'test')


def test_freenets_lists_take_all_people_and_neutral_references(tmp_path):
    part = stills(tmp_path)
    for kind in ('freenet', 'labelled'):
        rows = pairs.make(part, kind, most=1).rows
        assert (rows[:, 1] == 2).all()
        assert np.bincount(part.identity[rows[:, 0]]).tolist() == [100] * 3


def test_labelled_stills_give_a_ground_truth(tmp_path):
    part = stills(tmp_path)
    rows = pairs.make(part, 'labelled', 9).rows
    source, driver = people(part, rows)
    assert (source != driver).all() and (rows[:, 0] == rows[:, 4]).all()
    assert (rows[:, 5] != 2).all()
    driving, truth = (part.frame_starts[rows[:, i]] + rows[:, i + 1] for i in (2, 4))
    for label in (part.columns.expression, part.columns.pose_id):
        np.testing.assert_array_equal(label[driving], label[truth])


def test_a_face_at_rest_without_labels_has_the_least_units(part):
    units = np.where(part.columns.aus_valid, part.columns.aus, 0)[:, : len(AU_NAMES)].sum(1)
    start, stop = part.frame_starts[3:5]
    assert pairs.neutral_frame(part, 3) == units[start:stop].argmin()


def test_lsim_drives_by_the_nearest_units_of_another_person(part):
    rows = pairs.make(part, 'lsim', 20).rows
    assert len(rows) == 20 and (rows[:, 0] == rows[:, 4]).all()
    assert (rows[:, 1] != rows[:, 5]).all()
    units = np.where(part.columns.aus_valid, part.columns.aus, 0)[:, : len(AU_NAMES)]
    units, person = np.float32(units), np.repeat(part.identity, part.columns.frames)
    for row in rows:
        target, chosen = (part.frame_starts[row[i]] + row[i + 1] for i in (4, 2))
        far = np.square(units - units[target]).sum(1)
        far[person == person[target]] = np.inf
        assert far.argmin() == chosen


def test_a_list_is_the_seeds_and_survives_its_file(part, tmp_path):
    for kind in ('cross', 'self', 'lsim'):
        made = pairs.make(part, kind, 6, seed=3)
        pairs.write(tmp_path / 'list.csv', made, part)
        again = pairs.read(tmp_path / 'list.csv', part)
        assert (again.kind, again.seed) == (kind, 3)
        np.testing.assert_array_equal(again.rows, made.rows)
    other = pairs.make(part, 'cross', 6, seed=4)
    assert (other.rows != pairs.make(part, 'cross', 6, seed=3).rows).any()


def test_groups_are_runs_of_one_source_and_driver(part):
    groups = pairs.make(part, 'cross', 5).groups()
    assert [len(group) for group in groups] == [5] * 5
    assert all((group[:, [0, 1, 2]] == group[0, [0, 1, 2]]).all() for group in groups)


def test_what_a_list_needs_is_said(part, tmp_path):
    with pytest.raises(UserError, match='no such list and no such file; lists: self, cross'):
        pairs.make(part, 'mine', 3)
    with pytest.raises(UserError, match='no pairs with their truth'):
        pairs.make(part, 'gt_cross', 3)
    alone = fake_shards(tmp_path / 'alone', identities=1, tracks=2)
    with pytest.raises(UserError, match='one person'):
        pairs.make(alone, 'cross', 3)
    still = [fake_track(0, frames=1)]
    shards.write(tmp_path / 'still', 'test', still, shards=1, parameters={})
    with pytest.raises(UserError, match='no track with two frames'):
        pairs.make(shards.ShardSet(tmp_path / 'still', 'test'), 'self', 3)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda t: t.replace('# pairs', '# pears'), 'not a list of pairs'),
        (lambda t: t.replace('source,', 'sauce,', 1), 'line 2: expected the columns'),
        (lambda t: t.replace('track0000,0', 'track9999,0', 1), "line 3: .* no track 'track9999'"),
        (lambda t: t.replace('track0000,1', 'track0000,7', 1), "line 3: .* no frame '7'"),
        (lambda t: t.replace('track0000,1', 'track0000', 1), 'line 3: 5 cells'),
        (lambda t: '\n'.join(t.split('\n')[:2]) + '\n', 'an empty list'),
    ],
)
def test_files_that_are_refused(part, tmp_path, change, message):
    path = tmp_path / 'list.csv'
    pairs.write(path, pairs.make(part, 'self', 2), part)
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=message):
        pairs.read(path, part)


def test_lists_are_read_as_other_tables(part, tmp_path):
    path = tmp_path / 'list.csv'
    made = pairs.make(part, 'self', 2)
    pairs.write(path, made, part)
    text = path.read_text()
    for encoding in ('utf-16', 'utf-8-sig'):
        path.write_bytes(text.replace('\n', '\r\n').encode(encoding))
        np.testing.assert_array_equal(pairs.read(path, part).rows, made.rows)
    refused = {
        'line 3: not UTF-8': text.encode().replace(b'track', b'tr\xe4ck'),
        'line 2: expected the columns': text.replace('\n', '\n\n\na,b\n', 1).encode(),
        'column source twice': text.replace('source_frame', 'source', 1).encode(),
        'no frame': text.replace('0000,1,', f'0000,{"9" * 5000},').encode(),
        'field larger': text.replace('track0000', 'x' * 200_000).encode(),
    }
    for message, content in refused.items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            pairs.read(path, part)
    path.write_text(text.replace('seed 0', f'seed {"9" * 5000}'))
    assert pairs.read(path, part).seed == 0
    path.unlink()
    os.mkfifo(path)
    for read in (pairs.read, video_lists.read):
        with pytest.raises(UserError, match='a pipe or a device'):
            read(path, part)
