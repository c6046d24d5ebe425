"""One owner of what is written: the second is refused by name, the first's work is untouched."""

import json
import os
import signal
import subprocess
import sys
import time

import fakes
import numpy as np
import pytest
import toy_config
from bundles import drawing_model, landmark_model
from PIL import Image

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.common.storage import ownership
from reenact_jax.data import shards
from reenact_jax.evaluate import progress
from reenact_jax.export import command as export
from reenact_jax.train import command as train
from reenact_jax.train import logs

OWNER = '.owner.partial'
CHILD = """
import sys, time
from reenact_jax.common import storage
with storage.owning(sys.argv[1], what='a test'):
    print('owned', flush=True)
    time.sleep(100)
"""


@pytest.fixture
def other(tmp_path):
    """A process that owns a folder."""
    process = subprocess.Popen(
        [sys.executable, '-c', CHILD, str(tmp_path / 'run')], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b'owned\n'
    yield process
    process.kill()
    process.wait()


def test_a_second_owner_is_refused_until_the_first_is_gone(other, tmp_path):
    folder = tmp_path / 'run'
    named = rf'run: a test is at work there: process {other.pid} on '
    with pytest.raises(UserError, match=named), storage.owning(folder):
        pass
    other.kill()  # nothing is cleaned up
    other.wait()
    assert (folder / OWNER).exists()
    with storage.owning(folder):
        assert json.loads((folder / OWNER).read_text())['process'] == os.getpid()
    assert not list(folder.iterdir())


def written(folder, **values):
    folder.mkdir()
    mine = {'what': 'a test', 'token': 'x', **ownership._self(), 'alive': time.time(), **values}
    (folder / OWNER).write_text(json.dumps(mine))


@pytest.mark.parametrize(
    'values',
    [{'machine': 'other', 'host': 'far', 'process': 1}, {'machine': None, 'process': None}],
)
def test_an_owner_elsewhere_lives_while_it_gives_signs(tmp_path, values):
    written(tmp_path / 'run', **values)
    with pytest.raises(UserError, match='is at work there'), storage.owning(tmp_path / 'run'):
        pass
    written(tmp_path / 'old', **values, alive=time.time() - 2 * ownership.GONE)
    with storage.owning(tmp_path / 'old'):
        pass


@pytest.mark.parametrize('content', ['', '{', '[]', '{}', 'null', '{"alive": "now"}'])
def test_a_file_that_says_nothing_is_nobodys(tmp_path, content):
    (tmp_path / OWNER).write_text(content)
    with storage.owning(tmp_path):
        pass


def test_a_number_that_was_given_again_is_another_process(tmp_path):
    written(tmp_path / 'run', began='0')
    with storage.owning(tmp_path / 'run'):
        pass


def test_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(ownership, 'RENEWED', 0.05)
    ownership._start_renewing.cache_clear()
    with storage.owning(tmp_path):
        first = json.loads((tmp_path / OWNER).read_text())['alive']
        for _ in range(100):
            time.sleep(0.05)
            if json.loads((tmp_path / OWNER).read_text())['alive'] > first:
                break
        else:
            pytest.fail('no sign of life')
    time.sleep(0.2)
    assert not (tmp_path / OWNER).exists()


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'set'
    fakes.fake_shards(folder, identities=4, tracks=6)
    return folder


def test_a_second_training_touches_nothing(data, other, tmp_path):
    workdir = tmp_path / 'run'
    before = {'config.json': '{"seed": 1', 'metrics.jsonl': '{"stage": "one"}\n'}
    for name, text in before.items():
        (workdir / name).write_text(text)
    arguments = [f'--config={toy_config.__file__}', f'--data={data}', f'--workdir={workdir}']
    with pytest.raises(UserError, match='run: a test is at work there'):
        train.main(arguments)
    assert {name: (workdir / name).read_text() for name in before} == before
    assert set(os.listdir(workdir)) == {*before, OWNER}


def everything(folder):
    """Names, times and contents below a folder, without the owner's file, which is renewed."""
    files = (path for path in folder.rglob('*') if path.is_file() and path.name != OWNER)
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.fixture(scope='module')
def small(data, tmp_path_factory):
    """A table of a sweep, a bundle, and footage."""
    folder = tmp_path_factory.mktemp('small')
    (folder / 'small_table.py').write_text(TABLE)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / 'nobody.png')
    export.write(folder / 'bundle', drawing_model(), landmark_model())
    return folder


TABLE = """'''A small table.'''
from reenact_jax.configs.ablations import tables
MODELS = {'gag': tables.freenet(ulc_epochs=0, lambda_tp=0.0)}
MEASURES = {'gt_cross': ('l1',)}
def sweep(add):
    add('GAG', 'gag', paper={'gt_cross': dict(l1=0.25)})
def get_config(preset='gag'):
    return tables.build(MODELS, preset)
"""
COMMANDS = {  # command line; the folder in {out} that it owns
    'train': ('train --config={toy} --data={data} --workdir={out}', '.'),
    'sweep': (
        'sweep {small}/small_table.py:tiny --workdir {out} --data heads={data}',
        'small_table_tiny',
    ),
    'grid': ('sweep --config {toy} --data {data} --workdir {out} --grid hparams.rate=1,2', '.'),
    'prepare': ('prepare videos {small}/nobody.png --out {out}', '.inputs'),
    'evaluate': (
        'evaluate --model {small}/bundle --data {data} --pairs self --split train --stored '
        '--identity none --attributes none --features none --out {out}',
        '.',
    ),
}


@pytest.mark.long
@pytest.mark.parametrize('name', COMMANDS)
def test_of_two_real_processes_the_second_touches_nothing(data, small, tmp_path, name):
    text, owned = COMMANDS[name]
    out = tmp_path / 'out'
    places = dict(toy=toy_config.__file__, data=data, small=small, out=out)
    command = [sys.executable, '-m', 'reenact_jax', *text.format(**places).split()]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while not (out / owned / OWNER).exists():
            assert first.poll() is None, first.stderr.read().decode()
            time.sleep(0.005)
        first.send_signal(signal.SIGSTOP)  # at work, as far as others can tell
        before = everything(out)
        second = subprocess.run(command, capture_output=True, text=True)
        assert second.returncode == 1
        assert f'is at work there: process {first.pid} on ' in second.stderr
        assert everything(out) == before
    finally:
        first.kill()
        first.wait()


def test_a_second_writer_of_a_shard_touches_nothing(data):
    count = 1
    with shards.ShardWriter(data, 'other', 0, count):
        second, named = (
            shards.ShardWriter(data, 'other', 0, count),
            'the writer of a shard is at work',
        )
        with pytest.raises(UserError, match=named), second:
            pass
        with shards.ShardWriter(data, 'third', 0, count):  # another shard has another owner
            pass
    assert not [name for name in os.listdir(data) if 'owner' in name]
    assert shards.complete(data, 'other', 0, count)


LINES = [
    {'stage': 'one', 'stage_number': 0, 'step': step, 'time': 0.0, 'loss/G': 1.0}
    for step in (1, 2, 3)
]
DAMAGED = ['{"stage": "one", "st', '[]', '7', '{}', '{"stage_number": "0", "step": 1}', '\x00\x00']


@pytest.mark.parametrize('damaged', DAMAGED)
def test_damaged_lines_of_metrics_are_removed_and_named(tmp_path, damaged, caplog):
    whole = [json.dumps(line) for line in LINES]
    text = ''.join(f'{line}\n' for line in [whole[0], damaged, *whole[1:]])
    (tmp_path / 'metrics.jsonl').write_text(text)
    assert logs.read(tmp_path) == LINES
    logs.Logs(tmp_path, True, (0, 2)).close()
    assert (tmp_path / 'metrics.jsonl').read_text().splitlines() == whole[:2]
    assert 'damaged lines are removed: 2' in caplog.text


@pytest.mark.parametrize('content', ['{"seed": 1', '[]', '{"hparams": 3}', ''])
def test_a_damaged_config_is_named(data, tmp_path, content):
    (tmp_path / 'config.json').write_text(content)
    arguments = [f'--config={toy_config.__file__}', f'--data={data}', f'--workdir={tmp_path}']
    with pytest.raises(UserError, match=r'config\.json: not '):
        train.main(arguments)


def test_a_damaged_line_of_an_evaluation_is_measured_again(tmp_path, capsys):
    file = tmp_path / 'progress.jsonl'
    progress.begin(file, {'size': 3})
    case = {'values': {'ours': {'l1': 0.5}}, 'features': {}}
    with progress.adding(file) as add:
        for _ in range(3):
            add(case)
    head, *rest = file.read_text().splitlines()
    file.write_text('\n'.join([head, rest[0], '{"values": 3}', rest[2]]) + '\n')
    assert len(progress.done(file)) == 1
    assert 'line 3 is damaged' in capsys.readouterr().out
    assert len(progress.done(file)) == 1
