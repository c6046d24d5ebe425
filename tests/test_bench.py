"""The benchmark: what it measures is there, adds up, and leaves nothing behind."""

import json
import subprocess
import sys
from fractions import Fraction

import fakes
import pytest
import toy_config
from bundles import drawing_model

from reenact_jax import faces
from reenact_jax.bench import command as bench
from reenact_jax.bench import device, host, memory, reenact
from reenact_jax.common.errors import UserError
from reenact_jax.configs import freenet, ldnet_fdgan
from reenact_jax.export import command as export
from reenact_jax.train import config, jobs


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bench')
    fakes.fake_shards(folder / 'data', size=32)
    out = folder / 'bench.json'
    arguments = [f'--config={toy_config.__file__}', f'--config.data={folder / "data"}']
    arguments += ["--config.stages=('two',)"]
    assert bench.main([*arguments, '--seconds=0.1', f'--out={out}']) == 0
    assert {item.name for item in folder.iterdir()} == {'data', 'bench.json'}
    return json.loads(out.read_text())


def test_a_stage_is_measured(report):
    assert 'one' not in report  # a stage that was not asked for
    found = report['two']
    assert found['compile, s, cold'] > 0
    assert found['step, frames/s, data at hand'] > 0
    assert 0 <= found['step, share of waiting for data'] < 1
    assert found['checkpoint, s the step waits'] <= found['checkpoint, s until it is complete']
    assert found['step, share of the peak'] == pytest.approx(
        found['step, GFLOP/s'] / report['peak, GFLOP/s']
    )
    assert report['machine']['devices'].endswith('(cpu)')


@pytest.mark.parametrize(
    'config_file, preset, names',
    [
        (
            freenet,
            'tiny',
            {
                'encode, ms a source',
                'render, ms a frame',
                'identify, ms a source',
                'transfer, ms a frame, 1 at once',
                'transfer, ms a frame, 256 at once',
            },
        ),
        (
            ldnet_fdgan,
            'tiny',
            {
                'identify, ms a source',
                'transfer, ms a frame, 1 at once',
                'transfer, ms a frame, 256 at once',
            },
        ),
        (ldnet_fdgan, 'fdgan_tiny', {'encode, ms a source', 'render, ms a frame'}),
    ],
)
def test_a_use_is_measured_by_its_kind(tmp_path, config_file, preset, names):
    fakes.fake_shards(tmp_path, size=32)
    values = config_file.get_config(preset)
    values.data, values.batch_size = str(tmp_path), 8
    found = dict(device.using(jobs.make_job(config.to_json(values)), 0.01))
    assert set(found) == names and all(value > 0 for value in found.values())


def test_decoding_counts_every_thread(tmp_path):
    class Job:
        shards = fakes.fake_shards(tmp_path, size=32)

        class run:
            threads = 2

    rate, work = host.decoding(Job, 0.1)
    assert rate > 100 and 0 < work < 2.5 / rate  # two threads: two seconds of CPU a second


def test_an_animation_end_to_end(tmp_path, capsys, monkeypatch):
    """Every part is timed on a real face, and the parts of the host are not for nothing."""
    pytest.importorskip('mediapipe')
    try:
        faces.find_model(download=False)
    except UserError as error:
        pytest.skip(str(error).splitlines()[0])
    export.write(tmp_path / 'bundle', drawing_model(), None)
    assert reenact.main(['--model', str(tmp_path / 'bundle')]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    parts = found['ms a frame']
    assert list(parts) == [
        'decode', 'detect', 'transfer', 'network', 'network and composing', 'paste', 'watermark',
        'encode video', 'one after another', 'whole', 'one frame at a time',
    ]  # fmt: skip
    assert all(value > 0 for value in parts.values()) and found['side'] == [512, 512]
    assert found['CPU ms a frame'].keys() == parts.keys()
    assert found['CPU ms a frame']['one after another'] > found['CPU ms a frame']['detect'] > 1
    assert found['frames/s']['whole'] == pytest.approx(1000 / parts['whole'])
    # Eight frames are drawn together: a frame waits for them, and cannot be faster than by itself.
    assert found['latency, ms']['in the stages'] > parts['whole']
    assert found['latency, ms']['by itself'] == parts['one frame at a time']
    # Two minutes, as short as they are here: a number each.
    monkeypatch.setattr(memory, 'RATE', Fraction(1, 5))
    assert memory.main(['--model', str(tmp_path / 'bundle'), '--minutes', '2']) == 0
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])['MiB']) == 2


def test_memory_that_grows_is_seen():
    """In a process of its own: here, what other tests freed may be taken."""
    code = """
import numpy as np
from reenact_jax.bench import memory
before = memory.resident()
kept = np.ones((50, 2**17))  # 50 MiB
assert 40 < memory.resident() - before < 100
"""
    subprocess.run([sys.executable, '-c', code], check=True)
