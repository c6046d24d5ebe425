"""Adam and RMSprop take PyTorch's steps, for gradients of 1e-2 to 1e-7."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rule import numbers, stored

from reenact_jax.systems import optimisers

SIZES = 10.0 ** -np.arange(2, 8)


@pytest.mark.parametrize(
    'name, make',
    [
        ('adam', lambda: optimisers.adam(1e-3, 12, b1=0.5)),
        ('adam99', lambda: optimisers.adam(1e-3, 12, b1=0.99)),
        ('rmsprop', lambda: optimisers.rmsprop(1e-3, 12)),
    ],
)
def test_steps_are_pytorchs(name, make):
    official, tx, at = stored('optimisers')[name], make(), jnp.zeros(len(SIZES))
    state, update = tx.init(at), jax.jit(tx.update)
    for step, wanted in enumerate(official):
        gradient = (numbers(f'gradient {step}', len(SIZES)) * SIZES).astype(np.float32)
        change, state = update(jnp.asarray(gradient), state, at)
        at = at + change
        # Each weight by itself: the steps of small gradients are the ones that were lost.
        np.testing.assert_allclose(at, wanted, rtol=2e-4, atol=1e-8)
