"""Files of a bucket: whole or not at all, several requests at once, lines that grow."""

import concurrent.futures
import pickle

import fakes
import gcs
import google_crc32c
import numpy as np
import pytest
from loading import assert_same

from reenact_jax.common import lines, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.batches import Loader, Reading, pieces
from reenact_jax.data.shards import ShardSet
from reenact_jax.train import board


@pytest.fixture(scope='module')
def server():
    with gcs.serving() as server:
        yield server


@pytest.fixture
def empty(server):
    """The server without objects, requests and delay."""
    server.objects.clear()
    server.requests.clear()
    yield server
    server.delay = 0.0


def test_files_come_and_go(empty):
    storage.write('gs://bucket/a/one', 'text')
    assert empty.requests['write'] == 1 and set(empty.requests) <= {'write', 'list'}
    storage.write_json('gs://bucket/a/b/two', {'x': 1})
    assert storage.read('gs://bucket/a/one') == b'text' and storage.size('gs://bucket/a/one') == 4
    assert storage.names('gs://bucket/a') == ['b', 'one']
    assert storage.files('gs://bucket/a') == ['b/two', 'one']
    assert storage.exists('gs://bucket/a/one') and not storage.is_dir('gs://bucket/a/one')
    assert storage.is_dir('gs://bucket/a/b') and storage.size('gs://bucket/zero') is None
    assert storage.file_digest('gs://bucket/a/one') == storage.digest(b'text')
    empty.put(('bucket', 'shown/'), b'')  # as a console makes a folder
    assert storage.names('gs://bucket/shown') == storage.files('gs://bucket/shown') == []
    del empty.objects['bucket', 'shown/']
    storage.move_tree('gs://bucket/a', 'gs://bucket/c')
    assert empty.names() == ['c/b/two', 'c/one']
    storage.remove('gs://bucket/c/one')
    storage.remove('gs://bucket/c/one')
    storage.remove_tree('gs://bucket/c')
    storage.remove_tree('gs://bucket/c')
    assert empty.names() == []
    for function in (storage.read, storage.names, storage.local):
        with pytest.raises(UserError, match='gs://bucket/none: no such'):
            function('gs://bucket/none')


def test_what_failed_halfway_leaves_nothing(empty):
    for context in (storage.writing, storage.drafting):
        with pytest.raises(RuntimeError), context('gs://bucket/half') as file:
            content = b'half'
            file.write(content) if context is storage.writing else file.write_bytes(content)
            raise RuntimeError
        assert empty.names() == []
        with context('gs://bucket/half') as file:
            file.write(content) if context is storage.writing else file.write_bytes(content)
        assert empty.objects.pop(('bucket', 'half'))[0] == content


def test_a_file_is_fetched_once_and_again_when_it_changed(empty):
    storage.write('gs://bucket/clip.mp4', b'first')
    here = storage.local('gs://bucket/clip.mp4')
    assert here.read_bytes() == b'first' and here.suffix == '.mp4'
    empty.requests.clear()
    assert storage.local('gs://bucket/clip.mp4') == here and not empty.requests['read']
    storage.write('gs://bucket/clip.mp4', b'second')
    assert storage.local('gs://bucket/clip.mp4').read_bytes() == b'second'


def test_reads_wait_side_by_side(empty):
    storage.write('gs://bucket/file', bytes(range(200)))
    reader = pickle.loads(pickle.dumps(storage.Reader('gs://bucket/file')))
    empty.delay, empty.most_flying = 0.1, 0
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: reader.read(at, 3), range(0, 80, 10)))
    assert found == [bytes(range(at, at + 3)) for at in range(0, 80, 10)]
    assert empty.most_flying >= 4
    empty.delay = 0.0
    assert reader.read(198, 10) == bytes([198, 199]) and reader.read(500, 10) == b''
    assert reader.read_several(10, 2, 3) == [bytes([10, 11]), bytes([12, 13, 14])]


def test_batches_of_a_bucket_are_those_of_a_folder(empty, tmp_path):
    local = fakes.fake_shards(tmp_path / 'set', identities=4, tracks=4)
    remote = fakes.fake_shards('gs://bucket/set', identities=4, tracks=4)
    reads = ('image', 'landmarks')
    like = dict(batch_size=4, reads=reads, reading=Reading(threads=4))
    near, far = Loader(local, **like), Loader(remote, **like)
    empty.requests.clear()
    for _ in range(2):
        a, b = next(near), next(far)
        for name in reads:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    far.close()
    near.close()
    # A listing may still be on its way from the opening: gcsfs asks both and hangs up on one.
    assert empty.requests['read'] >= 8 and set(empty.requests) <= {'read', 'list'}


def test_a_set_of_a_bucket_opens_with_a_few_requests(empty):
    fakes.fake_shards('gs://bucket/set', identities=4, tracks=8, size=16, count=20)
    empty.requests.clear()
    ShardSet('gs://bucket/set', 'train')
    # The index of the split is at hand: it was opened after writing.
    assert empty.requests['read'] == 1 and sum(empty.requests.values()) <= 10


def test_only_what_is_taken_is_fetched_with_many_requests_at_once(empty, monkeypatch):
    part = fakes.fake_shards('gs://bucket/set', identities=4, tracks=4, frames=8, size=16)
    monkeypatch.setattr(pieces, '_GAP', 0)
    reader = pieces.Pieces(part, ('image', 'landmarks_68'), requests=8)
    empty.requests.clear()
    empty.most_flying, empty.delay = 0, 0.05
    held = reader.fetch((record, [5, 0]) for record in range(16))
    empty.delay = 0.0
    assert empty.requests['read'] == 3 * 16 and 6 <= empty.most_flying <= 8
    for record in range(16):
        values, track = reader.read(record, [5, 0], held), part.track(record)
        assert values['image'] == [track.image[5], track.image[0]]
        np.testing.assert_array_equal(values['landmarks_68'], track.landmarks_68[[5, 0]])
    rows = [row for record in range(16) for row in reader._rows(record, [5, 0])]
    assert len(held) == len(rows) and sum(map(len, held.values())) == sum(n for _, n, _ in rows)


def test_neighbours_come_with_one_request(monkeypatch):
    monkeypatch.setattr(pieces, '_GAP', 2)
    near, far = [(0, 10, 1), (10, 5, 2), (17, 5, 3)], (25, 5, 4)
    assert pieces._joined([*near, far]) == [near, [far]] and pieces._joined([]) == []


def test_a_cache_spares_requests_and_keeps_its_size(empty, tmp_path):
    part = fakes.fake_shards('gs://bucket/set', identities=4, tracks=4, frames=2, size=16)
    reading = Reading(threads=1, requests=8, cache=str(tmp_path / 'cache'))
    like = dict(batch_size=16, reads=('image', 'landmarks', 'segmentation'))

    def epochs(reading):
        loader = Loader(part, **like, reading=reading)
        found = [next(loader) for _ in range(4)]
        loader.close()
        return found

    plain, first = epochs(Reading(threads=1)), epochs(reading)
    empty.requests.clear()
    again = epochs(reading)
    for one, two, three in zip(plain, first, again, strict=True):
        assert_same(one, two)
        assert_same(one, three)
    assert not empty.requests['read']
    kept = [file for file in (tmp_path / 'cache').rglob('*') if file.is_file()]
    for file in kept:  # a machine that failed while it wrote
        file.write_bytes(file.read_bytes()[:-1])
    assert_same(epochs(reading)[0], plain[0])
    assert empty.requests['read']


def test_a_cache_deletes_what_was_used_longest_ago(tmp_path):
    def size():
        return sum(file.stat().st_size for file in tmp_path.rglob('*') if file.is_file())

    cache = pickle.loads(pickle.dumps(storage.Cache(tmp_path, 64_000)))
    pieces = {f'key {n}': bytes([n]) * 1000 for n in range(100)}
    crcs = {key: google_crc32c.value(piece) for key, piece in pieces.items()}
    for n, (key, piece) in enumerate(pieces.items()):
        cache.put(key, piece)
        if n >= 10:
            assert cache.get('key 3', crcs['key 3']) == pieces['key 3']
        assert size() <= 64_000 * (1 + 1 / 32)
    found = [key for key, piece in pieces.items() if cache.get(key, crcs[key]) == piece]
    assert 'key 3' in found and 'key 99' in found and 'key 4' not in found
    assert 50 <= len(found) <= 64 and cache.get('key 99', 1) is None


def test_lines_of_a_bucket_are_parts(empty, tmp_path, monkeypatch):
    name = 'gs://bucket/run/log.jsonl'
    first = lines.Appender(name)
    first.add('a')
    assert empty.names() == []  # not due
    first.flush()
    first.flush()
    assert lines.read(name) == ['a'] and empty.requests['write'] == 1
    first.add('b')  # never sent: killed
    second = lines.Appender(name)
    monkeypatch.setattr(lines, 'DUE_SECONDS', -1.0)
    monkeypatch.setattr(lines, 'PART_BYTES', 3)
    for text in 'cde':
        second.add(text)
    second.close()
    assert empty.names() == [f'run/log{n}.jsonl' for n in ('-00001', '-00002', '')]
    assert lines.read(name) == ['a', 'c', 'd', 'e']
    for part in empty.names():  # a copy of the folder is read as it is, and goes on as one file
        (tmp_path / part.split('/')[1]).write_bytes(empty.objects['bucket', part][0])
    copy = tmp_path / 'log.jsonl'
    assert lines.read(copy) == ['a', 'c', 'd', 'e']
    for place in (name, copy):
        lines.keep(place, lambda line: line != 'd')
        assert lines.read(place) == ['a', 'c', 'e']
    assert [file.name for file in tmp_path.iterdir()] == ['log.jsonl']
    lines.keep(name, lambda line: False)
    assert empty.names() == []


def test_a_line_that_was_cut_off_is_no_line(tmp_path):
    file = tmp_path / 'log.jsonl'
    file.write_text('one\ntwo\nthr')
    assert lines.read(file) == ['one', 'two']
    lines.keep(file, lambda line: True)
    appender = lines.Appender(file)
    appender.add('three')
    assert file.read_text() == 'one\ntwo\nthree\n'  # at once
    appender.close()


def test_events_are_sent_when_they_are_due(empty, monkeypatch):
    monkeypatch.setattr(board, 'FILE_BYTES', 0)
    events = board.Board('gs://bucket/tensorboard')
    events.scalar('one', 1.0, 1)
    assert empty.names() == []
    events.flush()
    events.scalar('two', 2.0, 2)
    events.close()
    found = [empty.objects['bucket', name][0] for name in empty.names()]
    assert b'one' in found[0] and b'two' not in found[0] and b'two' in found[1]


def test_names_of_the_same_file(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path / 'file')
    assert storage.same(tmp_path / 'link') == storage.same(f'{tmp_path}/./file')
    assert storage.same('gs://bucket/a') == 'gs://bucket/a'
