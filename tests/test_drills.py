"""The fault drills in their short form, and how they keep their rounds."""

import json

import jax
import numpy as np
import pytest
from conftest import CACHE

from launch import fault_drill
from launch.drills import (
    flips,
    full,
    ground,
    handed,
    kill,
    nan,
    processes,
    settings,
    states,
)
from launch.drills.rounds import Rounds
from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import DataInfo
from reenact_jax.reenact import motion
from reenact_jax.train import config


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The drills' folder; its compiled programs are those of the other tests."""
    folder = tmp_path_factory.mktemp('drills')
    CACHE.mkdir(parents=True, exist_ok=True)
    (folder / 'programs').symlink_to(CACHE)
    return folder


def well(result, rounds):
    assert result['failures'] == [] and result['rounds'] == rounds, result
    return '; '.join(result['seen'])


def test_a_killed_run_ends_as_if_nothing_happened(folder):
    # By this seed the first blow falls into the second save and the second into the next one.
    result = kill.drill(folder, kills=2, chain=2, seed=136, quiet=True, kinds=('short',))
    assert 'before the first checkpoint' not in well(result, 2)


@pytest.mark.long
def test_a_process_that_lost_the_other_ends_and_says_why(folder):
    seen = well(processes.lost(folder, 1, seed=0, timeout=10, quiet=True), 1)
    assert seen == 'process 0 gone (SIGKILL), the other ended at once'


@pytest.mark.long
def test_two_processes_save_the_same_step_when_one_is_told_to_stop(folder):
    assert 'both saved' in well(processes.preempt(folder, 2, seed=0, quiet=True), 2)


@pytest.mark.long
def test_a_full_disk_spoils_nothing(folder):
    well(full.drill(folder, 2, failures=2, seed=0, quiet=True), 2)


def test_no_damage_goes_unnoticed(folder):
    seen = well(flips.drill(folder, flips=80, seed=0, quiet=True), 80)
    assert 'shards' in seen and 'refused by name, the older one taken' in seen
    assert 'bundle, jaxexport' in seen and 'motion, csv' in seen and 'motion, json' in seen


def test_damage_that_is_read_without_a_word_fails_the_drill(folder, tmp_path, monkeypatch):
    files, rng = handed.make(tmp_path), np.random.default_rng(0)
    whole = bundle.load(files.bundle)
    monkeypatch.setattr(bundle, 'load', lambda folder: whole)
    assert any(handed.of_bundle(files, rng)[1] for _ in range(20))
    first, read = next(iter(files.motions)), motion.read(next(iter(files.motions)))
    spoilt = read._replace(aus=read.aus * np.nan)
    monkeypatch.setattr(motion, 'read', lambda file: spoilt)
    assert handed.of_motion(files, rng)[1] and first.exists()


def test_nan_comes_to_every_player_of_every_system():
    players = set()
    for name, kind in ground.KINDS.items():
        file, _, preset = kind.config.partition(':')
        module, _, hp = config.resolve(settings.values_of(ground.ROOT / 'configs' / file, preset))
        table = module.stages(hp, DataInfo(4, 16)) if name != 'short' else ()
        assert not table or [stage.name for stage in table] == list(kind.stages)
        players |= {(name, stage.name, player) for stage in table for player in stage.players}
    assert players == set(nan.CASES) and len(players) == len(nan.CASES)


def test_every_preset_of_every_config_is_tried():
    found = settings.presets()
    files = {file.stem for file, _ in found}
    assert files == {'aan', 'facegan', 'fomm', 'freenet', 'ldnet_fdgan', 'marionette', 'pix2pix'}
    assert len(found) == len(set(found)) > 30


def test_nan_leaves_no_trace(folder):
    case = ('ldnet', 'ldnet_1', 'C')
    well(nan.drill(folder, limit=2, cases=(case,), quiet=True), 1)


@pytest.mark.parametrize('file', ['aan', 'ldnet_fdgan', 'fomm'])
def test_wrong_settings_are_refused_by_name(file):
    path = ground.ROOT / 'configs' / f'{file}.py'
    count, failures = settings.in_process(path, 'tiny')
    assert not failures and count > 400
    kinds = {case.kind for case in settings.cases(settings.values_of(path, 'tiny'))}
    assert kinds >= {'unknown name', 'NaN', 'infinity', 'too small', 'too large', 'wrong type'}


def test_a_wrong_command_leaves_nothing(tmp_path):
    path = ground.ROOT / 'configs' / 'aan.py'
    case = settings.Case('too small', 'config.hparams.rate', -1.0)
    assert settings.as_command(path, 'tiny', case, tmp_path / 'never') == []
    accepted = settings.Case('', 'config.hparams.rate', 0.5)
    assert settings.as_command(path, 'tiny', accepted, tmp_path / 'never') != []


def test_rounds_are_kept_and_other_settings_refused(tmp_path):
    first = Rounds(tmp_path / 'd', 4, {'seed': 1}, quiet=True)
    for number in first.left():
        first.note(number, 'odd' if number % 2 else 'even', ['bad'] if number == 1 else [])
        if number == 2:
            break
    with (tmp_path / 'd' / 'rounds.jsonl').open('a') as file:
        file.write('{"round": 3, "se')  # cut off by an interruption
    again = Rounds(tmp_path / 'd', 4, {'seed': 1}, quiet=True)
    assert list(again.left()) == [3]
    again.note(3, 'odd')
    result = again.result()
    assert result['seen'] == {'even': 2, 'odd': 2} and result['failures'] == ['round 1: bad']
    assert Rounds(tmp_path / 'd', 4, {'seed': 1}).result() == result
    with pytest.raises(UserError, match='holds rounds of other settings'):
        Rounds(tmp_path / 'd', 4, {'seed': 2})


def test_states_differ_by_bits():
    tree = {'a': np.float32([1, 0.0]), 'b': {'c': np.int32(3)}}
    assert states.differences(tree, jax.tree.map(np.copy, tree)) == []
    assert states.differences(tree, tree | {'a': np.float32([1, -0.0])}) == ["['a']"]
    assert states.differences(tree, {'a': tree['a']}) == ["['b']['c']"]
    assert states.differences(tree, tree | {'b': {'c': np.int64(3)}}) == ["['b']['c']"]


def test_the_command_counts_failures(tmp_path, monkeypatch, capsys):
    result = {'rounds': 2, 'of': 2, 'seen': {'this': 2}, 'failures': [], 'minutes': 0.1}
    monkeypatch.setattr(flips, 'drill', lambda *a, **k: result | {'failures': ['round 1: silent']})
    monkeypatch.setattr(nan, 'drill', lambda *a, **k: result)
    assert fault_drill.main(['nan', f'--workdir={tmp_path}']) == 0
    assert fault_drill.main(['nan', 'flips', f'--workdir={tmp_path}']) == 1
    assert '| flips | 2 | 2 this | 1 | 0.1 |' in capsys.readouterr().out
    assert '- flips, round 1: silent' in (tmp_path / 'drills.md').read_text()
    assert json.loads((tmp_path / 'drills.json').read_text())['nan']['failures'] == []
    with pytest.raises(UserError, match="'flip': no such drill; there are kill, "):
        fault_drill.main(['flip'])
    with pytest.raises(UserError, match='--kills 0: expected 1 or more'):
        fault_drill.main(['kill', '--kills', '0'])
