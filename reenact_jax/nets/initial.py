"""Initial weights, all from one random draw.

XLA on a CPU takes about a second to compile each threefry draw, and a system has a hundred: half a
minute and more before the first step of the smallest one. So the initialisers below take their
numbers from one normal vector that `init_each` draws for all networks. A module whose `init` is
called elsewhere draws a parameter at a time, as usual.
"""

import contextlib
import contextvars
import itertools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_source = contextvars.ContextVar('source of normal numbers', default=None)


def draw(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Float[Array, '...']:
    """Draw standard normal numbers; the initialisers have no other source."""
    take = _source.get()
    return jax.random.normal(key, shape, dtype) if take is None else take(shape).astype(dtype)


def normal(std: float):
    """Make an initialiser: normal with this standard deviation."""
    return lambda key, shape, dtype=jnp.float32: std * draw(key, shape, dtype)


def _fan_in(gain: float):
    def initialise(key, shape, dtype=jnp.float32):
        return math.sqrt(gain / math.prod(shape[:-1])) * draw(key, shape, dtype)

    return initialise


he = _fan_in(2.0)  # before a ReLU or GELU (He et al. 2015)
lecun = _fan_in(1.0)  # before a linear output
# The same for 4x4 kernels of transposed convolutions: of 16 taps a result has 4.
doubled, doubled_lecun = _fan_in(8.0), _fan_in(4.0)


def xavier(key, shape, dtype=jnp.float32):
    """Initialise a dense layer: normal, variance 2 / (inputs + outputs)."""
    return math.sqrt(2 / (shape[0] + shape[1])) * draw(key, shape, dtype)


def shuffled(key, shape, dtype=jnp.float32):
    """Initialise a convolution before pixel shuffle so that four pixels start alike.

    Otherwise a grid shows for long. Aitken et al. 2017 (ICNR), with `he` and a factor of 2.
    """
    return jnp.tile(he(key, (*shape[:-1], shape[-1] // 4), dtype), 4)


def init_each(nets: dict, rng: Array, arguments: dict[str, tuple]) -> dict:
    """Initialise networks, all from one random draw.

    Args:
      nets: linen modules by the paper's names.
      rng: one key.
      arguments: name -> example arguments, which give shapes alone.

    Returns:
      Name -> variables.
    """

    def init():
        return {name: nets[name].init(rng, *args) for name, args in arguments.items()}

    sizes = []

    def count(shape):
        sizes.append(math.prod(shape))
        return jnp.zeros(shape)

    with _taking(count):
        jax.eval_shape(init)
    numbers, used = jax.random.normal(rng, (sum(sizes),)), itertools.accumulate(sizes)

    def serve(shape):
        last = next(used)
        return numbers[last - math.prod(shape) : last].reshape(shape)

    with _taking(serve):
        return init()


@contextlib.contextmanager
def _taking(take):
    token = _source.set(take)
    try:
        yield
    finally:
        _source.reset(token)
