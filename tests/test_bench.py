"""The benchmark: what it measures is there, adds up, and leaves nothing behind."""

import json

import fakes
import pytest
import toy_config

from reenact_jax.bench import __main__ as bench
from reenact_jax.bench import host


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bench')
    fakes.fake_shards(folder / 'data', size=32)
    out = folder / 'bench.json'
    arguments = [f'--config={toy_config.__file__}', f'--config.data={folder / "data"}']
    assert bench.main([*arguments, '--seconds=0.1', f'--out={out}']) == 0
    assert {item.name for item in folder.iterdir()} == {'data', 'bench.json'}
    return json.loads(out.read_text())


def test_every_stage_is_measured(report):
    for stage in ('one', 'two'):
        found = report[stage]
        assert found['compile, s, cold'] > 0
        assert found['step, frames/s, data at hand'] > 0
        assert 0 <= found['step, share of waiting for data'] < 1
        assert found['checkpoint, s the step waits'] <= found['checkpoint, s until it is complete']
        assert found['step, share of the peak'] == pytest.approx(
            found['step, GFLOP/s'] / report['peak, GFLOP/s']
        )
    assert report['machine']['devices'].endswith('(cpu)')


def test_decoding_counts_every_thread(tmp_path):
    class Job:
        shards = fakes.fake_shards(tmp_path, size=32)

        class run:
            threads = 2

    rate, work = host.decoding(Job, 0.1)
    assert rate > 100 and 0 < work < 2.5 / rate  # two threads: two seconds of CPU a second
