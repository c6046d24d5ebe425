"""Settings of all tests: four CPU devices, a quick compiler, one compilation cache, checks."""

import os
import pathlib
import sys

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Most of the tests' time is compilation: with few optimisations it takes two thirds of the time.
os.environ['XLA_FLAGS'] = (
    os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=4'
    ' --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true'
).strip()

import jax
import jaxtyping
import numpy as np
import pytest

CACHE = pathlib.Path(__file__).parent.parent / '.cache' / 'jax-tests'
jax.config.update('jax_compilation_cache_dir', str(CACHE))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
jax.config.update('jax_numpy_rank_promotion', 'raise')
sys.path.insert(0, str(pathlib.Path(__file__).parent))  # `import fakes`, `import toy`
# Every function of the package checks its annotations; JAXTYPING_DISABLE=1: none does.
if not jaxtyping.config.jaxtyping_disable:
    jaxtyping.Array = jax.Array | np.ndarray  # NumPy's are accepted in place of JAX's
    jaxtyping.install_import_hook('reenact_jax', 'checking.checked')


@pytest.fixture(scope='session', autouse=True)
def signer():
    """Hide the user's own certificate, so that it does not sign what tests write."""
    from reenact_jax.media import certificates

    with pytest.MonkeyPatch.context() as patch:
        for variable in (certificates.CERTIFICATE, certificates.KEY):
            patch.delenv(variable, raising=False)
        yield


@pytest.fixture
def unchecked():
    """Switch checks of annotations off: the test gives values that the package has to refuse."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update('jaxtyping_disable', True)
    yield
    jaxtyping.config.update('jaxtyping_disable', before)


@pytest.fixture
def development_data() -> pathlib.Path:
    """Find real clips and portraits beside the checkout; without them the test is skipped."""
    folder = pathlib.Path(__file__).parent.parent.parent / 'shared' / 'data'
    if not folder.is_dir():
        pytest.skip('needs the development data beside the checkout')
    return folder
