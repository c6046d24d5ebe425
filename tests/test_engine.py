"""Shards as jobs give the bytes of one writer; Apache Beam does the same work, and loses no run."""

import argparse
import json
import os
import sys

import fakes
import pytest
from test_workers import Options, Source, extract

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data.shards import framing
from reenact_jax.data_prep import flags, gather, pieces, workers
from reenact_jax.data_prep.dealing import Dealing

RUNNER = '--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner'


def kept_files(folder, counts):
    """Write files of so many records; of three records, the last is of a second person."""
    kept = []
    for number, count in enumerate(counts):
        target = str(folder / f'{number}.tfrecord')
        with storage.writing(target) as file:
            for place in range(count):
                name = f'{number}#{place}'
                track = fakes.fake_track(number, identity=place // 2, size=16, track_id=name)
                file.write(framing.frame(tracks.encode(track)))
        people = {0: f'p{number}', 1: f'p{number}+1'} if count > 2 else {0: f'p{number}'}
        kept.append(pieces.Kept(target, f'{number}.mp4', count, people, 'CC0', 'yes'))
    return kept


def contents(folder):
    names = sorted(name for name in os.listdir(folder) if not name.startswith('.'))
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize('count', [1, 2, 3, 5])
def test_shards_take_records_in_turn(tmp_path, count):
    kept = kept_files(tmp_path, [3, 1, 2, 3, 1])
    names = sorted(name for one in kept for name in one.people.values())
    numbers = {name: number for number, name in enumerate(names)}
    pieces.write(str(tmp_path / 'set'), 'train', kept, numbers, count, {'a': 1})

    def every():
        for one in kept:
            for _, _, record in framing.scan(one.target):
                track = tracks.decode(record, one.key)
                name = one.people[track.identity]
                labels = dict(identity_name=name, licence='CC0', consent='yes')
                yield type(track)(**{**vars(track), **labels, 'identity': numbers[name]})

    shards.write(tmp_path / 'whole', 'train', every(), shards=count, parameters={'a': 1})
    assert contents(tmp_path / 'set') == contents(tmp_path / 'whole')
    part = shards.ShardSet(tmp_path / 'set', 'train')
    assert len(part) == 10 and part.people == 7


def test_a_lost_shard_ends_the_run(tmp_path):
    def run(function, jobs, progress):
        yield 0, workers.Lost('its process was ended by SIGKILL')

    with pytest.raises(
        UserError, match=r'split train: job 0: its process .* run the command again'
    ):
        pieces.write(str(tmp_path), 'train', kept_files(tmp_path, [1]), {'p0': 0}, 1, {}, run)
    assert 'face_tracks.json' not in os.listdir(tmp_path)


def test_without_beam(monkeypatch):
    monkeypatch.setitem(sys.modules, 'reenact_jax.data_prep.engine', None)
    with pytest.raises(UserError, match=r'--beam: needs Apache Beam: pip install -e "\.\[beam\]"'):
        flags.engine(argparse.Namespace(beam='', out='x'))
    assert flags.engine(argparse.Namespace(beam=None, out='x')) is None


@pytest.fixture
def engine():
    pytest.importorskip('apache_beam', reason='an engine needs the extra [beam]')
    from reenact_jax.data_prep import engine

    return engine


def sources(folder, endings):
    made = []
    for number, how in enumerate(endings):
        path = folder / f'{number}.mp4'
        path.write_text(how)
        made.append(Source(path, path.name))
    return made


def test_beam_makes_the_same_set(tmp_path, engine):
    given = sources(tmp_path, ['', 'segfault', '', 'kill', '', '', '', ''])
    options, found = Options(str(tmp_path)), {}
    for name in ('here', 'beam'):
        out = tmp_path / name
        run = engine.on_beam(RUNNER, f'{out}/.inputs') if name == 'beam' else None
        done = gather.prepare(
            given, str(out), extract, options, Dealing(count=2), detect=False, engine=run
        )
        found[name] = [(one.file, one.status, one.records, one.people) for one in done]
    assert found['here'] == found['beam']
    assert [status for _, status, *_ in found['beam']].count('crashed') == 2
    same = {'face_tracks.json', 'report.tsv'}
    here, there = contents(tmp_path / 'here'), contents(tmp_path / 'beam')
    assert here == there and same < set(there)
    left = [name for name in os.listdir(tmp_path / 'beam' / '.inputs') if 'beam' in name]
    assert not left


def test_beam_goes_on_where_it_stopped(tmp_path, engine):
    given, options = sources(tmp_path, ['', '', '']), Options(str(tmp_path))
    out = tmp_path / 'set'
    gather.prepare(given[:2], str(tmp_path / 'set'), extract, options, detect=False)
    run = engine.on_beam(RUNNER, f'{out}/.inputs')
    gather.prepare(given, str(out), extract, options, detect=False, engine=run)
    tried = (tmp_path / 'tried').read_text().split()
    assert sorted(tried) == ['0.mp4', '1.mp4', '2.mp4']


def test_what_a_job_refuses_is_the_users(tmp_path, engine):
    run = engine.on_beam(RUNNER, str(tmp_path))
    with pytest.raises(UserError, match=r'clip\.mp4: no'):
        list(run(_refusing, ['a', 'b'], lambda steps: None))
    assert not list(tmp_path.iterdir())


def _refusing(job, progress):
    if job == 'b':
        raise UserError('clip.mp4: no')


def test_jobs_that_somebody_changed_are_not_read(tmp_path, engine):
    ((name, digest),) = engine._written(str(tmp_path), ['a'])
    assert engine._read((name, digest)) == [(0, 'a')]
    with open(name, 'wb') as file:
        file.write(b'cos\nsystem\n(S"touch /tmp/hacked"\ntR.')
    with pytest.raises(ValueError, match='is not as it was written'):
        engine._read((name, digest))


def test_options_that_beam_does_not_know(tmp_path, engine):
    with pytest.raises(UserError, match='--beam: Beam knows no option --runer'):
        engine.on_beam('--runer=DirectRunner', str(tmp_path))
    assert json.dumps(engine.CHUNK)
