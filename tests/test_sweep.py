"""Tables of papers: every file holds together; a sweep trains once, measures, goes on."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import jax
import pytest
from fakes import fake_track
from PIL import Image

from reenact_jax.common.errors import UserError
from reenact_jax.configs.ablations import tables
from reenact_jax.data import shards
from reenact_jax.data.tracks import DRIVING, SOURCE, TRUTH, DataInfo
from reenact_jax.sweeps import collecting, data, plan, text, training
from reenact_jax.sweeps import command as sweep
from reenact_jax.train import config
from reenact_jax.train.checkpoints import digests
from reenact_jax.train.checkpoints.places import places

ROOT = pathlib.Path(__file__).parent.parent
FILES = sorted((ROOT / 'configs' / 'ablations').glob('*_table*.py'))
INFO = DataInfo(identities=4, examples=40)


def test_the_papers_tables_are_there():
    numbers = {'aan': 3, 'ldnet': 2, 'fdgan': 4, 'freenet': 3, 'facegan': 2}
    wanted = {f'{paper}_table{n}' for paper, last in numbers.items() for n in range(1, last + 1)}
    assert {file.stem for file in FILES} == wanted - {'fdgan_table1', 'fdgan_table2'}


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize('size', tables.SIZES)
def test_every_model_of_every_table_is_a_config(file, size):
    table = plan.load(f'{file}:{size}')
    for name, model in table.models.items():
        preset = name if size == 'paper' else f'{name}_{size}'
        made = tables.build(table.models, preset).to_dict()
        module, _, hparams = config.resolve(made | {'data': 'x'})
        assert made['system'] == model.system and module.stages(hparams, INFO)
        used = {model for row in table.rows for model in (row.generator, row.transfer)}
        assert name in used
    shown = {metric for metrics in table.measures.values() for metric in metrics}
    assert all(text.heading(metric) for metric in shown)
    for row in table.rows:
        assert set(row.paper) <= set(table.measures)
        for kind, numbers in row.paper.items():
            known = {*table.measures[kind], text.FID}
            assert set(numbers) <= known, 'a number of the paper that no column shows'


TABLE = """'''A small table.'''
from reenact_jax.configs.ablations import tables
MODELS = {'gag': tables.freenet(ulc_epochs=0, lambda_tp=0.0), 'ulc': tables.ulc(lambda_d=0.0)}
MEASURES = {'gt_cross': ('l1', 'point_error', 'frechet'), 'ace': ('ace',)}
def sweep(add):
    add('Someone', paper={'gt_cross': dict(l1=0.5, fid=7)})
    add('GAG', 'gag', paper={'gt_cross': dict(l1=0.25)})
    add('GAG + ULC', 'gag', transfer='ulc', paper={'ace': dict(ace=0.9)})
def get_config(preset='gag'):
    return tables.build(MODELS, preset)
"""


@pytest.fixture(scope='module')
def heads(tmp_path_factory):
    """Random pictures of people, with the splits that tables are measured on."""
    folder = tmp_path_factory.mktemp('heads')
    people = {'train': 4, 'test': 2}
    for split, count in people.items():
        tracks = [fake_track(n, identity=n, frames=2, size=32) for n in range(count)]
        shards.write(folder, split, tracks, shards=1, parameters={})
    roles = enumerate((SOURCE, DRIVING, TRUTH))
    pair = [fake_track(9 + n, identity=n % 2, frames=2, size=32, pair=0, role=r) for n, r in roles]
    shards.write(folder, 'gt_cross', pair, shards=1, parameters={})
    return folder


def test_a_sweep_trains_measures_and_goes_on(heads, tmp_path, capsys, monkeypatch):
    file, workdir = tmp_path / 'small_table.py', tmp_path / 'w'
    file.write_text(TABLE)
    arguments = [f'{file}:tiny', '--workdir', str(workdir), '--most', '1', '--cases=50']
    arguments += ['--identity=none', '--attributes=none', '--features=none', '--seeds', '3']
    arguments += ['--data', f'heads={heads}']
    behind = ['--', '--config.hparams.gag_steps=1', '--config.batch_size=8']
    assert sweep.main([*arguments, '--print', *behind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].endswith(f'--only gag --seeds 3 {shlex.join(behind)}')
    assert not workdir.exists()
    assert sweep.main([*arguments, '--only', 'ulc', *behind]) == 0
    assert len(list((workdir / 'models').iterdir())) == 1
    assert not (workdir / 'small_table_tiny').exists()
    capsys.readouterr()
    assert sweep.main([*arguments, '--collect', *behind]) == 0
    missing = 'gag, seed 3: no checkpoint yet'
    printed = capsys.readouterr().out
    assert f'missing: {missing}' in printed and json.loads(printed.splitlines()[-1])['missing'] == [
        missing
    ]
    written = (workdir / 'small_table_tiny' / 'table.md').read_text()
    assert '| GAG + ULC | 0.9 | not trained yet |' in written and f'- {missing}' in written
    assert len(list((workdir / 'models').iterdir())) == 1, 'nothing was trained'
    assert sweep.main([*arguments, *behind]) == 0
    assert len(list((workdir / 'models').iterdir())) == 2
    written = (workdir / 'small_table_tiny' / 'table.md').read_text()
    found = json.loads((workdir / 'small_table_tiny' / 'table.json').read_text())
    mean, low, high = (found['gt_cross']['GAG']['3']['l1'][k] for k in ('mean', 'low', 'high'))
    row = next(line for line in written.splitlines() if line.startswith('| GAG |'))
    assert f'| 0.25 | {mean:.4f} ({low:.4f} to {high:.4f}) |' in row
    assert '| Someone | 0.5 | not run |' in written and '| 7 | not run |' in written
    assert found['gt_cross']['GAG'] != found['gt_cross']['GAG + ULC']
    assert '| copy of the source |' in written and 'not FID' in written
    assert f'| GAG + ULC | 0.9 | {found["ace"]["GAG + ULC"]["3"]["ace"]:.3f} |' in written
    assert '| additive |  | ' in written and 'digest' in written
    # Nothing is trained or measured again, and a signal's exit code comes through.
    capsys.readouterr()
    assert sweep.main([*arguments, *behind]) == 0
    said = capsys.readouterr()
    assert 'case' not in said.err and 'compiling' not in said.out
    assert 'evaluations' not in said.out
    # Another program's pictures fill in its row, and are no row without training.
    black = workdir / 'theirs' / 'gt_cross' / '0000'
    black.mkdir(parents=True)
    for n in range(2):
        Image.new('RGB', (32, 32)).save(black / f'{n}.png')
    assert sweep.main([*arguments, '--results', f'Someone={black.parent.parent}', *behind]) == 0
    filled = (workdir / 'small_table_tiny' / 'table.md').read_text()
    measured = json.loads((workdir / 'small_table_tiny' / 'table.json').read_text())['gt_cross']
    assert f'| Someone | 0.5 | {measured["Someone"]["0"]["l1"]["mean"]:.4f} (' in filled
    assert filled.count('| Someone |') == 2, 'in the tables of gt_cross and of ace'
    # Without one of the models the other's row stays; where a job ran changes nothing.
    table = plan.load(f'{file}:tiny')
    sets = {'heads': str(heads), 'expressions': str(workdir / 'data' / 'expressions_tiny')}
    gag, ulc = training.plan(table, sets, [3], [*behind[1:], '--distributed'], workdir)
    assert gag.workdir.is_dir() and collecting.standing(gag) == ''
    (newest, *_) = places(ulc.workdir)
    (newest.inside(ulc.workdir) / digests.NAME).unlink()
    assert sweep.main([*arguments, '--collect', *behind]) == 0
    again = (workdir / 'small_table_tiny' / 'table.md').read_text().splitlines()
    assert row in again and '| GAG + ULC | 0.9 | not trained yet |' in again
    monkeypatch.setattr(training.train, 'main', lambda arguments: 42)
    assert sweep.main([*arguments, *behind]) == 42


def test_minutes_are_those_of_steps(tmp_path):
    one = training.Training('m', 0, tmp_path, [])
    assert training.minutes(one) == 0
    times = [0, 60, 120, 180, 9000, 9060]  # stopped for hours after the fourth line
    line = {'stage': 'a', 'stage_number': 0, 'step': 1}
    lines = [json.dumps(line | {'time': time}) for time in times]
    (tmp_path / 'metrics.jsonl').write_text('\n'.join(lines) + '\n')
    assert training.minutes(one) == 4


def test_seeds_become_a_deviation():
    found = {'row': {0: {'l1': {'mean': 0.25}}, 1: {'l1': {'mean': 0.75}}, 2: {}}}
    assert text._ours(found, 'row', 'l1') == '0.5000 +- 0.3536'
    assert text._ours(found, 'row', 'ssim') == ''


def test_flags_of_other_systems_are_left_out():
    assert training._applies('--config.hparams.vgg_weights=x', {}, 'aan')
    assert not training._applies('--config.hparams.vgg_weights=x', {}, 'ldnet')
    assert training._applies('--config.batch_size=8', {}, 'ldnet')


@pytest.mark.parametrize(
    ('table', 'flags', 'message'),
    [
        ('nowhere.py', [], r'table: nowhere.py: no such file; shipped are aan_table1, '),
        ('configs/ablations/aan_table3.py:huge', [], "no size 'huge'; there are cpu, tiny"),
        ('configs/aan.py', [], 'has no MODELS, MEASURES, sweep'),
        ('configs/ablations/aan_table3.py', [], 'needs your data: --data heads=SHARDS --data pe'),
        ('configs/ablations/aan_table3.py', ['--data', 'x'], '--data x: expected KIND=SHARDS'),
        ('configs/ablations/aan_table3.py', ['--only', 'x'], '--only x: the models are no_local'),
        ('aan_table2', ['--results', 'AAN=x'], 'ROW of another program: X2face, NeuralHead-FF, '),
        ('aan_table3', ['--only', 'full', '--collect'], '--only trains and --collect measures'),
        ('aan_table3', ['--print-as', 'jobset'], 'needs your data: --data heads=SHARDS --data pe'),
        ('freenet_table2', ['--print-as=xpk'], 'freenet_table2 trains nothing'),
    ],
)
def test_what_is_refused(table, flags, message, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=message):
        sweep.main([table, '--workdir', str(tmp_path / 'w'), *flags])
    assert not (tmp_path / 'w').exists()


def test_rows_of_models_that_are_not_there(tmp_path):
    (tmp_path / 't.py').write_text(TABLE.replace("'GAG', 'gag'", "'GAG', 'gig'"))
    with pytest.raises(UserError, match="row 'GAG': no model 'gig'"):
        plan.load(f'{tmp_path}/t.py')


def test_speed_needs_no_training(tmp_path):
    arguments = [f'{ROOT}/configs/ablations/freenet_table2.py:tiny', '--workdir', str(tmp_path)]
    assert sweep.main(arguments) == 0
    written = (tmp_path / 'freenet_table2_tiny' / 'table.md').read_text()
    assert '| Xu et al. |  | not run | 16.7 | not run | 73 | not run |' in written
    assert re.search(r'\| Pix2Pix \|  \|  \| 16.7 \| \d', written)
    assert not (tmp_path / 'models').exists() and not (tmp_path / 'data').exists()


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    """One folder for all tables, so that they share their models."""
    return tmp_path_factory.mktemp('sweeps')


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_every_table_runs(file, shared):
    """As a command on one device: four would want more rows than the smallest size has."""
    flags = [f for f in os.environ['XLA_FLAGS'].split() if 'device_count' not in f]
    environment = os.environ | {'XLA_FLAGS': ' '.join(flags), 'PYTHONPATH': str(ROOT)}
    environment |= {'JAX_COMPILATION_CACHE_DIR': jax.config.jax_compilation_cache_dir}
    command = [sys.executable, str(ROOT / 'launch' / 'sweep.py'), f'{file}:tiny']
    command += ['--workdir', str(shared), '--most', '2', '--cases=50']
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    table = plan.load(f'{file}:tiny')
    written = (shared / table.name / 'table.md').read_text()
    assert all(row.name in written for row in table.rows)


def test_requests_are_possible():
    for size, requests in data.REQUESTS.items():
        assert set(requests) == set(data.KINDS), size
        for request in requests.values():
            from reenact_jax.data_prep.heads.plan import Request, splits

            assert splits(Request(**request))


def test_bases_are_fitted_before_the_training_that_needs_them(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(training.landmark_bases, 'main', lambda words: calls.append(words))
    monkeypatch.setattr(training.train, 'main', lambda words: calls.append(words) or 0)
    arguments = [f'{training.BASES}{tmp_path}/bases.npz', '--config.data=points']
    one = training.Training('marionette', 0, tmp_path, arguments)
    assert training.run(one) == 0
    assert calls == [['--data=points', f'--out={tmp_path}/bases.npz'], arguments]
    (tmp_path / 'bases.npz').write_bytes(b'there')
    training.run(one)
    assert calls[2:] == [arguments]
