"""Steps compiled in half the time, for tests of which networks move and not of speed."""

import jax
import numpy as np

from reenact_jax.nets.initial import init_each

OPTIONS = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}


def jit(function):
    """Return `jax.jit` of a function, compiled with few optimisations."""
    return jax.jit(function, compiler_options=OPTIONS)


def change(before: dict, after: dict, collection: str | None = None) -> dict[str, float]:
    """Measure the largest change of each network's variables; NumPy compiles nothing.

    Args:
      before: network -> variables.
      after: the same later.
      collection: of the variables; None: all.
    """
    before, after = jax.device_get((before, after))

    def most(a, b):
        a, b = ((one[collection] if collection else one) for one in (a, b))
        sizes = jax.tree.map(lambda x, y: np.abs(x - y).max(initial=0), a, b)
        return float(max(jax.tree.leaves(sizes), default=0))

    return {network: most(before[network], after[network]) for network in before}


def fresh(net, *args) -> dict:
    """Initialise a network, all from one draw: each draw takes a second to compile."""
    init = jax.jit(lambda key: init_each({'net': net}, key, {'net': args}))
    return init(jax.random.key(0))['net']
