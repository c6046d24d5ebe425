"""From a run's config to batches: its settings of reading, and the processes that read."""

import dataclasses

import fakes
import jax
import numpy as np
import pytest
from loading import arrays, assert_same

from reenact_jax.data.batches import Reading
from reenact_jax.systems.interface import Stage
from reenact_jax.train import feed, sharding
from reenact_jax.train.config import Run

READS = ('image', 'landmarks', 'identity')
STAGE = Stage('one', {}, lambda *_: None, {}, steps=9, batch_size=8, reads=READS)


@pytest.fixture(scope='module')
def part(tmp_path_factory):
    return fakes.fake_shards(tmp_path_factory.mktemp('set'), size=32)


def opened(part, run, position=None):
    return feed.open_feed(part, STAGE, 0, run, sharding.make_mesh(jax.devices()[:1]), position)


def test_a_run_passes_its_settings_of_reading(part, monkeypatch):
    given = {}
    monkeypatch.setattr(feed, 'Loader', lambda part, **settings: given.update(settings))
    own = {'au_bound': 0.2, 'flip': True, 'threads': 3, 'workers': 5, 'requests': 7}
    own |= {'cache': '/cache', 'cache_gb': 2.0}
    opened(part, Run(**own, bad_record_budget=0.3, seed=4))
    assert given['reading'] == Reading(**own, damage_budget=0.3) and given['seed'] == 4
    assert {field.name for field in dataclasses.fields(Reading)} == {*own, 'damage_budget'}


def test_processes_give_the_batches_of_this_process(part):
    """Spawned, as on machines with accelerators; the position counts what was taken."""
    run = Run(flip=True, threads=1)
    alone, several = opened(part, run), opened(part, dataclasses.replace(run, workers=2))
    try:
        for _ in range(5):
            batch = alone.read()
            assert_same(several.read(), batch)
            assert np.ptp(arrays(batch)['image']) > 50
        assert several.state() == alone.state()
    finally:
        several.close()
        alone.close()
