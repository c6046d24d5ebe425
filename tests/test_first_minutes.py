"""The first minutes on a chip, rehearsed on CPUs."""

import json
import os
import pathlib
import subprocess
import sys
import time
import types

import fakes
import jax
import numpy as np
import pytest
import toy_config

from launch import first_minutes
from launch.minutes import parts
from reenact_jax.bench import chips, parity, trial
from reenact_jax.common.errors import UserError
from reenact_jax.train import config

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    """The toy's plain values."""
    folder = tmp_path_factory.mktemp('data')
    fakes.fake_shards(folder, identities=4, tracks=6)
    made = toy_config.get_config()
    made.data = str(folder)
    return config.to_json(made)


def test_two_devices_of_one_kind_agree(given):
    found = parity.compare(given, *jax.devices()[1:3])
    assert found == {name: {'loss': 0.0, 'change': 0.0} for name in parity.PRECISIONS}


def test_a_difference_is_measured():
    begin = types.SimpleNamespace(variables={'G': {'params': {'w': np.zeros(2)}}})

    def after(loss, *w):
        return {'loss/G': np.array([loss])}, {'G': {'params': {'w': np.array(w)}}}

    found = parity._distance(begin, after(1.5, 3.0, 5.0), after(1.0, 3.0, 4.0))
    assert found == pytest.approx({'loss': 0.5, 'change': 0.2})


def test_steps_are_measured(given, monkeypatch):
    kind = jax.devices()[0].device_kind
    monkeypatch.setattr(chips, 'PEAKS', {kind: 1e9})
    found = trial.run(given, 3, 60)
    assert found['steps'] == 3 and found['steps left out'] == {'C': 0, 'D': 0, 'G': 0}
    assert found['shortest step, ms'] == pytest.approx(found['FLOPs'] / 1e6)
    assert found['frames/s'] == pytest.approx(found['rows'] * 2 * 1e3 / found['step, ms'], rel=1e-6)
    assert found['memory, compiled']['total'] > 0 and 'loss/G' in found['losses']
    assert trial.run(given, 1000, 0.001)['steps'] < 1000, 'the seconds end it'
    json.dumps(found)


def test_parts_for_which_no_time_is_left_are_named(tmp_path):
    assert first_minutes.main(['--out', str(tmp_path), '--seconds', '0.001', '--tiny']) == 1
    found = json.loads((tmp_path / first_minutes.NAME).read_text())
    assert set(found) == {'tiny', *first_minutes.PARTS}
    assert found['export'] == {'ok': False, 'error': 'no time was left', 'seconds': 0.0}
    with pytest.raises(UserError, match='is not empty'):
        first_minutes.main(['--out', str(tmp_path), '--tiny'])


def test_a_part_that_hangs_is_ended_with_all_it_started(tmp_path, monkeypatch):
    pid = tmp_path / 'pid'
    script = f'sleep 100 & echo $! >{pid}; wait'
    (tmp_path / 'python').write_text(f'#!/bin/sh\n{script}\n')
    (tmp_path / 'python').chmod(0o755)
    (tmp_path / 'parts').mkdir()
    monkeypatch.setattr(sys, 'executable', str(tmp_path / 'python'))
    found = first_minutes._part(tmp_path, 'export', True, 3)
    assert found == {'ok': False, 'error': 'not done after 3 s'}
    child = pathlib.Path(f'/proc/{pid.read_text().strip()}/stat')
    end = time.monotonic() + 20
    while child.exists() and child.read_text().split()[2] != 'Z':
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_device_is_named(tmp_path):
    found = parts.device(tmp_path, tiny=True)
    assert found['ok'] and found['count'] == jax.device_count() and found['peak, FLOP/s']['float32']
    assert not parts.device(tmp_path, tiny=False)['ok'], 'a CPU is no chip'


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_whole_script_on_the_cpu(tmp_path):
    pytest.importorskip('numba')
    flags = [f for f in os.environ['XLA_FLAGS'].split() if 'device_count' not in f]
    environment = os.environ | {'XLA_FLAGS': ' '.join(flags), 'PYTHON': sys.executable}
    environment |= {'JAX_COMPILATION_CACHE_DIR': jax.config.jax_compilation_cache_dir}
    script = str(ROOT / 'launch' / 'first_minutes_gpu.sh')
    out = tmp_path / 'out'
    command = ['bash', script, '--tiny', '--out', str(out), '--seconds', '3000']
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    found = json.loads((out / first_minutes.NAME).read_text())
    assert done.returncode == 0, found
    assert all(found[name]['ok'] for name in first_minutes.PARTS)
    assert found['resume']['killed after step'] > 0 and found['animate']['bytes'] > 1000
