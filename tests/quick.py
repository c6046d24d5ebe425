"""Steps compiled in half the time, for tests of what moves and not of how fast."""

import jax
import numpy as np

from reenact_jax.nets.initial import init_each

OPTIONS = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}


def jit(function):
    """`jax.jit` with a compiler that hardly tries."""
    return jax.jit(function, compiler_options=OPTIONS)


def change(before: dict, after: dict, collection: str | None = None) -> dict[str, float]:
    """Letter -> largest change of its variables, or of one collection; NumPy compiles nothing."""
    before, after = jax.device_get((before, after))

    def most(a, b):
        a, b = ((one[collection] if collection else one) for one in (a, b))
        sizes = jax.tree.map(lambda x, y: np.abs(x - y).max(initial=0), a, b)
        return float(max(jax.tree.leaves(sizes), default=0))

    return {letter: most(before[letter], after[letter]) for letter in before}


def fresh(net, *args) -> dict:
    """A network's variables, all from one draw: each draw takes a second to compile."""
    init = jax.jit(lambda key: init_each({'net': net}, key, {'net': args}))
    return init(jax.random.key(0))['net']
