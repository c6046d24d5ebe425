"""The one way loops over pixels, vertices and strands are compiled."""

import inspect
from collections.abc import Callable

from numba import njit


def compiled(function: Callable, **how) -> Callable:
    """Compile a function; how: of numba's njit."""
    # NumPy's divisions need no branch for zero, and sums may be reordered: both let loops be
    # vectors. Unwrapped: annotations that the tests check are Python's, which numba cannot compile.
    plain = inspect.unwrap(function)
    return njit(plain, cache=True, fastmath=True, error_model='numpy', **how)


def inlined(function: Callable) -> Callable:
    """Compile what runs once a pixel: passing arrays to it would cost more than it does itself."""
    return compiled(function, inline='always')
