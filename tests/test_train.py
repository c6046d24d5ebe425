"""The training command on the toy: hand-over, stop and exact resume, two processes."""

import json
import logging
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

import fakes
import jax
import numpy as np
import pytest
import toy_config
from test_step import changed, distance

from launch.drills import states
from reenact_jax.common.errors import UserError
from reenact_jax.train import command as train
from reenact_jax.train import profiles
from reenact_jax.train.checkpoints import digests
from reenact_jax.train.checkpoints.places import Place
from reenact_jax.train.checkpoints.store import load_networks
from reenact_jax.train.feed import Feed
from reenact_jax.train.signals import STOPPED

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'set'
    fakes.fake_shards(folder, identities=4, tracks=6)
    return folder


def arguments(data, workdir, *extra):
    return [
        f'--config={toy_config.__file__}',
        f'--config.data={data}',
        f'--workdir={workdir}',
        '--config.preview_every=0',
        *extra,
    ]


def raw(workdir, stage, step):
    """Everything a checkpoint holds of the state, as saved."""
    return states.saved(workdir, Place(['one', 'two'].index(stage), stage, step))


@pytest.fixture(scope='module')
def reference(data, tmp_path_factory):
    """A run from beginning to end."""
    workdir = tmp_path_factory.mktemp('reference')
    extra = ['--config.checkpoint_every=1', '--config.keep=9', '--config.preview_every=4']
    assert train.main(arguments(data, workdir, *extra)) == 0
    return workdir


def lines(workdir):
    return [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]


def test_a_run_writes_what_it_says(reference, data):
    assert [(line['stage'], line['step']) for line in lines(reference)] == [
        ('one', 2), ('one', 4), ('one', 6), ('two', 2), ('two', 4),
    ]  # fmt: skip
    for line in lines(reference):
        assert line['frames_per_second'] > 0 and 0 <= line['data_wait'] <= 1
        assert np.isfinite(line['loss/G']) and line['skipped/G'] == 0
    assert lines(reference)[2]['epoch'] == pytest.approx(6 * 4 / 24)
    events = b''.join(f.read_bytes() for f in (reference / 'tensorboard').iterdir())
    for tag in (b'one/loss/C', b'two/data_wait', b'one/preview', b'two/frames_per_second'):
        assert tag in events, tag
    config, variables, position = load_networks(reference)
    assert config['system'] == 'toy' and config['data'] == str(data) and sorted(variables) == [
        'C', 'D', 'E', 'G',
    ]  # fmt: skip
    assert position['stage'] == 'two' and position['step'] == 4 and position['finished']
    assert position['data'] | {'digest': ''} == {
        'identities': 4, 'examples': 24, 'points': '68', 'size': 64, 'digest': '',
    }  # fmt: skip
    assert len(position['data']['digest']) == 64


def test_a_stage_hands_its_averages_to_the_next(reference):
    one, two = raw(reference, 'one', 6), raw(reference, 'two', 4)
    assert not changed(one['ema.E'], two['variables.E']), 'E is frozen in stage two'
    assert changed(one['variables.E'], two['variables.E'])
    assert not changed(one['variables.C'], two['variables.C']), 'C is not trained in stage two'
    assert changed(one['ema.G'], two['variables.G'])
    count = two['opt']['D']['count']
    assert count == 4, 'optimisers are fresh'
    assert set(two['opt']) == {'G', 'D'} and 'ema.E' not in two


def start(data, workdir, *extra):
    """The command in a process of its own."""
    command = [sys.executable, '-m', 'reenact_jax.train', *arguments(data, workdir, *extra)]
    cache = {'JAX_COMPILATION_CACHE_DIR': jax.config.jax_compilation_cache_dir}
    cache['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
    environment = os.environ | cache | {'JAX_PLATFORMS': 'cpu'}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_for(process, file, seconds=150):
    end = time.monotonic() + seconds
    while not file.exists():
        assert process.poll() is None, process.communicate()[0].decode()
        assert time.monotonic() < end, f'no {file} after {seconds} s'
        time.sleep(0.005)


def test_stopped_then_finished_equals_one_run(reference, data, tmp_path, capsys):
    extra = ['--config.checkpoint_every=1', '--config.keep=2', '--config.preview_every=4']
    process = start(data, tmp_path, *extra)
    wait_for(process, tmp_path / 'checkpoints' / '1-two' / '000000001' / digests.NAME)
    process.terminate()
    said = process.communicate(timeout=100)[0].decode()
    assert process.returncode == STOPPED == 42, said
    assert 'of stage two; the same command' in said

    assert train.main(arguments(data, tmp_path, *extra)) == 0
    assert 'resuming stage two after step' in capsys.readouterr().out
    for stage, step in (('one', 6), ('two', 4)):
        assert not changed(raw(reference, stage, step), raw(tmp_path, stage, step))
    steps = [(line['stage'], line['step']) for line in lines(tmp_path)]
    assert steps == sorted(set(steps)) and steps[-1] == ('two', 4)
    again = train.main(arguments(data, tmp_path, *extra))
    assert again == 0 and 'nothing was left to do' in capsys.readouterr().out


def test_a_profile_is_of_the_steps_that_were_asked_for(reference, data, tmp_path, monkeypatch):
    """Of two steps behind the first, across the start of a stage; the run's numbers stay."""
    told = []
    monkeypatch.setattr(jax.profiler, 'start_trace', lambda folder: told.append(folder))
    monkeypatch.setattr(jax.profiler, 'stop_trace', lambda: told.append('stop'))
    profile = profiles.Profile(tmp_path / 'alone', 3)
    for steps, count in ((2, 1), (2, 1), (1, 2), (5, 2)):
        profile.call(steps, np.zeros(()))
        assert len(told) == count
    profiles.Profile(tmp_path / 'none', 0).call(1, None)
    profiles.Profile(tmp_path / 'second', 3, write=False).call(1, None)
    assert len(told) == 2
    monkeypatch.undo()

    extra = ['--config.checkpoint_every=1', '--config.keep=2', '--profile=2']
    assert train.main(arguments(data, tmp_path / 'run', *extra)) == 0
    traces = list((tmp_path / 'run' / 'profile').rglob('*.xplane.pb'))
    assert len(traces) == 1 and traces[0].stat().st_size > 1000
    assert not changed(raw(reference, 'two', 4), raw(tmp_path / 'run', 'two', 4))


@pytest.mark.parametrize('mesh', [[], ['--config.sharding=fsdp', '--config.mesh=2x2']])
def test_two_processes_give_what_one_gives(mesh, reference, data, tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    extra = ["--config.stages=('one',)", '--config.checkpoint_every=3', '--num_processes=2']
    extra += [f'--coordinator=127.0.0.1:{port}', *mesh]
    flags, os.environ['XLA_FLAGS'] = (
        os.environ['XLA_FLAGS'], '--xla_force_host_platform_device_count=2',
    )  # fmt: skip
    try:
        both = [start(data, tmp_path, *extra, f'--process_id={i}') for i in range(2)]
    finally:
        os.environ['XLA_FLAGS'] = flags
    said = [process.communicate(timeout=200)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    alone, together = (raw(folder, 'one', 6) for folder in (reference, tmp_path))
    for item, part in alone.items():
        if item != 'opt':  # moments; what they did is in the networks
            assert distance(part, together[item]) < 1e-5, item
    assert len(lines(tmp_path)) == 3, 'only the first process logs'
    for one, two in zip(lines(reference), lines(tmp_path), strict=False):
        assert one['step'] == two['step'] and one['loss/G'] == pytest.approx(two['loss/G'], 1e-5)


def test_nan_beyond_the_limit_ends_the_run(data, tmp_path):
    bad = ['--config.hparams.poison=D', '--config.hparams.poison_below=64', '--config.scan=2']
    bad += ['--config.nan_limit=3', "--config.stages=('one',)"]
    with pytest.raises(UserError) as error:
        train.main(arguments(data, tmp_path, *bad))
    text = str(error.value)
    assert 'stage one, step 4: player D' in text and 'config.nan_limit = 3' in text
    assert 'last good checkpoint: one, step 2' in text
    assert lines(tmp_path)[0]['loss/G'] is None, 'no step was applied'
    kept = raw(tmp_path, 'one', 2)
    assert kept['counters']['skipped'] == {'G': 0, 'D': 2, 'C': 0}


@pytest.mark.parametrize(
    'extra,words',
    [
        (['--config.seed=5'], r'another config: config\.seed: 0 before, 5 now'),
        (['--config.hparams.width=8'], r'config\.hparams\.width: 16 before, 8 now'),
        (['--config.batch_size=12'], r'config\.batch_size: stage one has 12 rows .* 4 device'),
        (['--config.accumulate=2'], r'config\.batch_size: stage one has 8 rows .* accumulate 2'),
        (["--config.stages=('no',)"], r'config\.stages: no stage'),
    ],
)
def test_a_workdir_keeps_to_its_config(reference, data, extra, words):
    before = (reference / 'config.json').read_bytes()
    with pytest.raises(UserError, match=words):
        train.main(arguments(data, reference, *extra))
    assert (reference / 'config.json').read_bytes() == before


def test_other_data_other_systems_and_other_folders_are_refused(reference, data, tmp_path):
    other = tmp_path / 'other'
    fakes.fake_shards(other, identities=4, tracks=5)
    with pytest.raises(UserError, match=r'config\.data: .* is not the data .*examples, digest'):
        train.main(arguments(other, reference))
    with pytest.raises(UserError, match=r'config\.data: .*nowhere: no such directory'):
        train.main(arguments(tmp_path / 'nowhere', tmp_path / 'w'))
    with pytest.raises(UserError, match=r'--workdir .*: holds files but no run'):
        train.main(arguments(data, other))
    (tmp_path / 'w').mkdir()
    values = json.loads((reference / 'config.json').read_text()) | {'system': 'aan'}
    (tmp_path / 'w' / 'config.json').write_text(json.dumps(values))
    with pytest.raises(UserError, match="a run of system 'aan', not 'toy'"):
        train.main(arguments(data, tmp_path / 'w'))


def test_a_moved_data_set_is_recognised(reference, data, tmp_path, capsys):
    moved, workdir = tmp_path / 'moved', tmp_path / 'w'
    shutil.copytree(data, moved)
    shutil.copytree(reference, workdir)
    assert train.main(arguments(moved, workdir)) == 0
    assert 'nothing was left to do' in capsys.readouterr().out


class Rows:
    """A loader of one number a row that meets a damaged record in each batch."""

    def __init__(self):
        self.damaged, self.asked = {}, []

    def __next__(self):
        number = len(self.damaged)
        self.damaged[number] = 'file, record'
        return np.full(8, number, np.int32)

    def check_budget(self, total):
        self.asked.append(total)


def test_batches_are_stacked_in_order_and_damage_is_counted():
    from reenact_jax.train import sharding

    loader = Rows()
    feed = Feed(loader, sharding.make_mesh())
    assert np.asarray(feed.take())[0] == 0
    np.testing.assert_array_equal(np.asarray(feed.take(3))[:, 0], [1, 2, 3])
    feed.check_budget()
    assert loader.asked == [4] and feed.waited > 0


def test_notes_are_plain_lines_and_warnings_say_where_they_are_from():
    def line(level: int) -> str:
        record = logging.LogRecord('r', level, 'aan.py', 7, 'features: %s', ('random',), None)
        return train._Plain().format(record)

    assert line(logging.INFO) == 'features: random'
    assert re.fullmatch(r'W\d{4} .* aan\.py:7\] features: random', line(logging.WARNING))
