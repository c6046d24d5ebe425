"""Shards: round trips, damage found byte by byte, interrupted writing, TFDS, rebuilding."""

import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import fakes
import google_crc32c
import numpy as np
import pytest

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data.shards import command, manifest
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data.shards import index as shard_index


@pytest.fixture(scope='module')
def original(tmp_path_factory):
    """A set of 12 tracks in 2 shards; tests that change it copy it."""
    directory = tmp_path_factory.mktemp('set')
    fakes.fake_shards(directory, size=16)
    return directory


@pytest.fixture
def copy(original, tmp_path):
    return pathlib.Path(shutil.copytree(original, tmp_path / 'copy'))


@pytest.fixture
def earlier(copy):
    """The set as it was before splits had an index of their own."""
    content = manifest.read(copy)
    for split in content.pop('indices'):
        (copy / f'face_tracks-{split}.index').unlink()
    content['digest'] = manifest._digest(content)
    (copy / 'face_tracks.json').write_bytes(manifest._render(content))
    return copy


def read_all(directory) -> list[bytes]:
    part = shards.ShardSet(directory, 'train')
    columns = [part.columns.track_id.tobytes(), part.columns.aus.tobytes()]
    return [*columns, *(part[n] for n in range(len(part)))]


def test_tracks_come_back_and_columns_agree(original):
    part = shards.ShardSet(original, 'train')
    assert len(part) == 12 and part.people == part.identities == 3
    assert part.parameters == {'writer': 'fakes'} and shards.splits(original) == ('train',)
    for number in range(12):
        track = part.track(number)
        written = fakes.fake_track(int(track.track_id[5:]), identity=track.identity, size=16)
        np.testing.assert_array_equal(track.landmarks_106, written.landmarks_106)
        assert track.image == written.image
        frames = slice(*part.frame_starts[number : number + 2])
        np.testing.assert_array_equal(part.columns.expression[frames], track.expression)
        np.testing.assert_array_equal(part.columns.aus[frames], track.aus.astype(np.float16))
        np.testing.assert_array_equal(part.columns.aus_valid[frames], track.aus_valid)
        assert part.columns.track_id[number] == track.track_id
        assert part.columns.size[number] == 16 and part.identity[number] == track.identity
    assert sorted(part.columns.track_id) == [f'track{n:04d}' for n in range(12)]
    with pytest.raises(IndexError):
        part[12]


def test_a_pickled_set_reads(original):
    part = shards.ShardSet(original, 'train')
    first = part[0]
    assert pickle.loads(pickle.dumps(part))[0] == first


def test_files_without_pread_are_read_by_seeking(original, monkeypatch):
    expected = read_all(original)
    for module in (storage, storage.paths):
        monkeypatch.setattr(module, 'is_local', lambda name: False)
    monkeypatch.setattr(os, 'pread', None)
    assert read_all(original) == expected


def test_the_framing_is_tfrecords():
    """The masked CRC32C of RFC 3720's 32 zero bytes (0x8a9136aa), by TFRecord's mask."""
    framed = tfrecord.frame(bytes(32))
    assert framed[:8] == (32).to_bytes(8, 'little') and framed[12:44] == bytes(32)
    crc = 0x8A9136AA
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert framed[44:] == masked.to_bytes(4, 'little')


@pytest.mark.parametrize('pattern, damages', [
    ('*-of-00002', 300), ('*.npz', 150), ('*.index', 150), ('face_tracks.json', 150),
])  # fmt: skip
def test_every_flipped_bit_and_truncation_is_found(copy, request, pattern, damages):
    if pattern == '*.npz':  # which are read where there is no other index
        copy = request.getfixturevalue('earlier')
    whole = read_all(copy)
    rng = np.random.default_rng(7)
    for number in range(damages):
        file = rng.choice(sorted(copy.glob(pattern)))
        good = file.read_bytes()
        bad = bytearray(good)
        if number % 10 == 0:
            bad = bad[: rng.integers(len(bad))]
        else:
            bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        file.write_bytes(bad)
        with pytest.raises(UserError):
            read_all(copy)
        if number % 25 == 0 and pattern != 'face_tracks.json':
            assert any(str(file) in problem for problem in shards.verify(copy))
        file.write_bytes(good)
    assert read_all(copy) == whole and shards.verify(copy) == []


def test_a_damaged_record_is_named(copy):
    part = shards.ShardSet(copy, 'train')
    shard, number = 1, 2
    record = 6 + number
    file = copy / 'face_tracks-train.tfrecord-00001-of-00002'
    data = bytearray(file.read_bytes())
    data[int(part.columns.offset[record]) + 100] ^= 4
    file.write_bytes(data)
    where = f'0000{shard}-of-00002, record {number}'
    with pytest.raises(shards.DamagedRecord, match=where):
        part[record]
    assert any(where in problem for problem in shards.verify(copy))
    part[record - 1], part[record + 1]


def test_errors_say_what_to_do(earlier):
    copy = earlier
    with pytest.raises(UserError, match='no such directory'):
        shards.ShardSet(copy / 'nowhere', 'train')
    with pytest.raises(UserError, match=r"no split 'test'; it has train"):
        shards.ShardSet(copy, 'test')
    index = copy / 'face_tracks-train.tfrecord-00000-of-00002.index.npz'
    index.unlink()
    with pytest.raises(UserError, match='rebuild-index'):
        shards.ShardSet(copy, 'train')
    (copy / 'face_tracks.json').unlink()
    with pytest.raises(UserError, match=f'shards {copy} --rebuild-index'):
        shards.ShardSet(copy, 'train')
    (copy / 'empty').mkdir()
    with pytest.raises(UserError, match='no shard set'):
        shards.ShardSet(copy / 'empty', 'train')


def test_an_edited_index_is_refused(copy):
    file = copy / 'face_tracks.json'
    content = json.loads(file.read_text())
    content['splits']['train']['parameters'] = {'writer': 'another'}
    file.write_text(json.dumps(content, indent=1, sort_keys=True) + '\n')
    with pytest.raises(UserError, match='damaged or edited'):
        shards.ShardSet(copy, 'train')


def test_rebuilding_gives_the_same_set(copy):
    names = sorted(p.name for p in copy.iterdir())
    before = {name: (copy / name).read_bytes() for name in names}
    (copy / 'face_tracks-train.tfrecord-00001-of-00002.index.npz').write_bytes(b'broken')
    (copy / 'features.json').unlink()
    shards.rebuild(copy)
    changed = [n for n in names if (copy / n).read_bytes() != before[n]]
    # The lost sidecar's own note of its parameters is gone; the set's is not.
    assert changed == ['face_tracks-train.tfrecord-00001-of-00002.index.npz', 'face_tracks.json']
    assert shards.ShardSet(copy, 'train').parameters == {'writer': 'fakes'}
    assert shards.verify(copy) == []


def test_the_index_of_a_split_says_what_the_sidecars_say(original, earlier):
    joined, apart = shards.ShardSet(original, 'train'), shards.ShardSet(earlier, 'train')
    for name, column in vars(apart.columns).items():
        np.testing.assert_array_equal(getattr(joined.columns, name), column, err_msg=name)
    for sidecar in earlier.glob('*.npz'):
        assert sidecar.exists()
    shards.join(earlier)
    files = {file.name: file.read_bytes() for file in pathlib.Path(original).iterdir()}
    assert {file.name: file.read_bytes() for file in earlier.iterdir()} == files
    assert apart.digest == joined.digest == shards.ShardSet(earlier, 'train').digest


def test_a_damaged_index_is_named_with_its_column(copy):
    file, part = copy / 'face_tracks-train.index', shards.ShardSet(copy, 'train')
    assert not part.columns.aus.flags.owndata  # mapped
    good = file.read_bytes()
    for column, message in {'identity': 'column identity', 'pieces': 'column pieces'}.items():
        at = good.index(getattr(part.columns, column).tobytes())
        file.write_bytes(good[:at] + bytes([good[at] ^ 8]) + good[at + 1 :])
        with pytest.raises(UserError, match=f'train.index: damaged .*{message}.*--join-index'):
            shards.ShardSet(copy, 'train')
        assert any(message in problem for problem in shards.verify(copy))
    file.unlink()
    assert any('train.index: missing' in problem for problem in shards.verify(copy))
    assert command.main([str(copy), '--join-index']) == 0 and file.read_bytes() == good


def test_shards_have_as_many_digits_as_their_number_needs(copy):
    assert manifest.shard_file('train', 7, 99_999).endswith('-00007-of-99999')
    assert manifest.shard_file('train', 7, 100_000).endswith('-000007-of-100000')
    (copy / manifest.shard_file('test', 99_999, 100_000)).touch()
    assert manifest.found_shards(copy) == {'train': {2}, 'test': {100_000}}


def test_rebuilding_refuses_a_damaged_shard_and_leaves_the_set(copy):
    file = copy / 'face_tracks-train.tfrecord-00001-of-00002'
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match=r'00001-of-00002, record 5: damaged'):
        shards.rebuild(copy)
    assert len(shards.ShardSet(copy, 'train')) == 12  # the good records can still be read
    file.unlink()
    with pytest.raises(UserError, match='00001-of-00002'):
        shards.rebuild(copy)


def test_the_command_reports_damage(copy):
    command = [sys.executable, '-m', 'reenact_jax.shards', str(copy)]
    good = subprocess.run(command, capture_output=True, text=True)
    assert good.returncode == 0 and 'train: 12 tracks, 48 frames, 3 people' in good.stdout
    file = copy / 'face_tracks-train.tfrecord-00000-of-00002'
    file.write_bytes(file.read_bytes()[:-1])
    bad = subprocess.run(command, capture_output=True, text=True)
    assert bad.returncode == 1 and file.name in bad.stdout


def test_an_interrupted_shard_does_not_look_complete(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        shards.ShardWriter(tmp_path, 'train', 0, 2, {'seed': 1}) as writer,
    ):
        writer.add(fakes.fake_track(size=16))
        # Dot files until it is whole: the shard, and whose it is.
        assert [p.name[0] for p in tmp_path.iterdir()] == ['.', '.']
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path):
    script = (
        'import os, sys; sys.path.insert(0, sys.argv[1]); import fakes; '
        'from reenact_jax.data import shards\n'
        'with shards.ShardWriter(sys.argv[2], "train", 0, 1) as writer:\n'
        '    writer.add(fakes.fake_track(size=16)); os._exit(9)\n'
    )
    tests = str(pathlib.Path(__file__).parent)
    subprocess.run([sys.executable, '-c', script, tests, str(tmp_path)], timeout=100)
    assert [p.name.endswith('.partial') for p in tmp_path.iterdir()] == [True, True]
    assert storage.names(tmp_path) == [] and not shards.complete(tmp_path, 'train', 0, 1)
    with pytest.raises(UserError, match='not complete'):
        shards.finish(tmp_path, 'train', shards=1)
    with shards.ShardWriter(tmp_path, 'train', 0, 1) as writer:
        writer.add(fakes.fake_track(size=16))
    shards.finish(tmp_path, 'train', shards=1)
    assert not list(tmp_path.glob('.*')) and len(shards.ShardSet(tmp_path, 'train')) == 1


def test_parallel_writers_resume(tmp_path):
    def write(number, parameters):
        with shards.ShardWriter(tmp_path, 'train', number, 2, parameters) as writer:
            writer.add(fakes.fake_track(number, identity=number, size=16))

    write(1, {'seed': 1})
    assert shards.complete(tmp_path, 'train', 1, 2, {'seed': 1})
    assert not shards.complete(tmp_path, 'train', 1, 2, {'seed': 2})
    assert not shards.complete(tmp_path, 'train', 0, 2, {'seed': 1})
    with pytest.raises(UserError, match='00000-of-00002: shard not complete'):
        shards.finish(tmp_path, 'train', shards=2)
    write(0, {'seed': 1})
    shards.finish(tmp_path, 'train', shards=2, parameters={'seed': 1})
    assert len(shards.ShardSet(tmp_path, 'train')) == 2
    file = tmp_path / 'face_tracks-train.tfrecord-00001-of-00002'
    data = bytearray(file.read_bytes())
    data[50] ^= 1
    file.write_bytes(data)
    assert not shards.complete(tmp_path, 'train', 1, 2, {'seed': 1})


def test_a_shard_being_rewritten_is_not_vouched_for_by_its_old_index(copy):
    with (
        pytest.raises(RuntimeError),
        shards.ShardWriter(copy, 'train', 0, 2, {'writer': 'fakes'}),
    ):
        raise RuntimeError
    assert not shards.complete(copy, 'train', 0, 2, {})
    with pytest.raises(UserError, match=r'train.index: missing; .* --join-index'):
        shards.ShardSet(copy, 'train')


def test_what_cannot_be_a_set_is_refused(tmp_path):
    track = fakes.fake_track(size=16)
    with pytest.raises(UserError, match="'track0000' occurs more than once"):
        shards.write(tmp_path / 'a', 'train', [track, track], shards=2)
    shards.write(tmp_path / 'b', 'train', [track])
    with pytest.raises(UserError, match='another count'):
        shards.write(tmp_path / 'b', 'train', [track], shards=2)
    with pytest.raises(UserError, match='split'):
        shards.write(tmp_path / 'c', 'Train-1', [track])
    with pytest.raises(UserError, match='plain values'):
        shards.write(tmp_path / 'c', 'train', [track], parameters={'x': object()})
    with pytest.raises(UserError, match='no frames'):
        shards.write(tmp_path / 'c', 'train', [fakes.fake_track(frames=0)])
    assert not storage.path(tmp_path / 'c').exists() or storage.names(tmp_path / 'c') == []


def test_splits_share_a_set(copy):
    fakes.fake_shards(copy, identities=2, tracks=1, size=16, split='gt_cross', count=1)
    assert shards.splits(copy) == ('gt_cross', 'train')
    assert len(shards.ShardSet(copy, 'train')) == 12
    assert len(shards.ShardSet(copy, 'gt_cross')) == 2
    assert shards.verify(copy) == []


def test_tensorflow_datasets_opens_the_set(copy):
    import tensorflow_datasets as tfds

    fakes.fake_shards(copy, identities=2, tracks=1, size=16, split='gt_cross', count=3)
    builder = tfds.builder_from_directory(str(copy))
    assert builder.info.name == 'face_tracks'
    assert {s: i.num_examples for s, i in builder.info.splits.items()} == {
        'train': 12, 'gt_cross': 2,
    }  # fmt: skip
    assert builder.info.splits['gt_cross'].shard_lengths == [1, 1, 0]
    assert [pathlib.Path(str(f)).exists() for f in builder.info.splits['train'].filepaths] == [
        True, True,
    ]  # fmt: skip
    part = shards.ShardSet(copy, 'train')
    example, track = builder.info.features.deserialize_example_np(part[3]), part.track(3)
    np.testing.assert_array_equal(example['landmarks_106'], track.landmarks_106)
    np.testing.assert_array_equal(example['visible_68'], track.visible_68)
    assert example['identity'] == track.identity
    assert example['track_id'].decode() == track.track_id
    assert list(example['segmentation']) == list(track.segmentation)
    assert np.asarray(example['image'][0]).shape == (16, 16, 3)
    assert 'tensorflow' not in sys.modules


def test_an_unfinished_file_has_no_name(tmp_path):
    storage.write(tmp_path / 'a', 'one')
    with pytest.raises(ValueError), storage.writing(tmp_path / 'a') as file:
        file.write(b'two')
        raise ValueError
    assert storage.read(tmp_path / 'a') == b'one' and storage.names(tmp_path) == ['a']
    storage.write_json(tmp_path / 'b.json', {'x': 1})
    assert storage.read_json(tmp_path / 'b.json') == {'x': 1}
    with pytest.raises(UserError, match='not a JSON file'):
        storage.read_json(tmp_path / 'a')
    assert storage.file_digest(tmp_path / 'a') == storage.digest(b'one')


def test_an_index_of_another_version_is_refused_and_made_anew(tmp_path, monkeypatch):
    """Version 1 had no table of pieces."""
    with monkeypatch.context() as old:
        old.setattr(shard_index, 'INDEX_VERSION', 1)
        written = fakes.fake_shards(tmp_path, size=16)
        (tmp_path / 'face_tracks.json').unlink()
    with pytest.raises(UserError, match='index version 1, expected 2; rebuild it'):
        shards.finish(tmp_path, 'train', shards=2)
    shards.rebuild(tmp_path)
    part = shards.ShardSet(tmp_path, 'train')
    at, length, crc = part.pieces(2)[0].tolist()  # the first field's first piece
    image = part.track(2).image[0]
    assert part.part(2)(at, length) == image and crc == google_crc32c.value(image)
    assert len(written) == len(part)
