"""What only a chip can show. On CPUs all of it is skipped; launch/first_minutes_*.sh runs it.

JAX_PLATFORMS=cuda,cpu python -m pytest tests/test_chip.py        or tpu,cpu
"""

import math

import fakes
import jax
import pytest

from reenact_jax.bench import chips, parity, trial
from reenact_jax.configs import aan, ldnet_fdgan
from reenact_jax.train import config

pytestmark = pytest.mark.skipif(
    jax.default_backend() == 'cpu', reason='needs a TPU or a GPU, JAX_PLATFORMS=tpu,cpu or cuda,cpu'
)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    fakes.fake_shards(folder, identities=4, tracks=8, size=64)
    return folder


def values(data, made, **changes):
    """A config's plain values."""
    made.update({'data': str(data)} | changes)
    return config.to_json(made)


@pytest.mark.parametrize('preset', ['tiny', 'fdgan_tiny'])
def test_a_step_is_that_of_the_cpu(data, preset):
    given = values(data, ldnet_fdgan.get_config(preset))
    found = parity.compare(given, jax.devices()[0], jax.devices('cpu')[0])
    assert found['highest']['loss'] < 1e-3 and found['default']['loss'] < 0.1


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_steps_are_finite_and_their_memory_is_known(data, dtype):
    rows = 4 * jax.device_count()
    found = trial.run(values(data, aan.get_config('tiny'), dtype=dtype, batch_size=rows), 3, 60)
    assert all(math.isfinite(value) for value in found['losses'].values())
    assert not any(found['steps left out'].values())
    assert 0 < found['memory, in use at most'] < 2**40


def test_the_chip_is_in_the_list():
    """Else the step has no shortest time beside it: look its peak up and add it."""
    assert jax.devices()[0].device_kind in chips.PEAKS
