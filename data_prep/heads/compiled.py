"""The one way loops over pixels, vertices and strands are compiled."""

import functools

from numba import njit

# NumPy's divisions need no branch for zero, and sums may be reordered: both let loops be vectors.
compiled = functools.partial(njit, cache=True, fastmath=True, error_model='numpy')()
# For what runs once a pixel: passing arrays to a function costs more than such a function does.
inlined = functools.partial(njit, cache=True, fastmath=True, error_model='numpy', inline='always')()
