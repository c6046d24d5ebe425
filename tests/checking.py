"""A check of annotations at every call of the package, which conftest.py installs."""

import functools
import pathlib
from collections.abc import Callable

import beartype
import jax
import numpy as np
from etils import epath

# Sizes may be symbols: a bundle is exported for any number of rows.
_SYMBOL = type(jax.export.symbolic_shape('b')[0])
# NumPy's numbers are numbers, and an int is a float.
# NumPy's arrays are accepted in place of JAX's, and any path in place of etils'.
_SETTINGS = beartype.BeartypeConf(
    hint_overrides=beartype.FrozenDict(
        {
            jax.Array: jax.Array | np.ndarray,
            epath.Path: epath.Path | pathlib.PurePath | str,
            int: int | np.integer | _SYMBOL,
            float: float | int | np.floating | np.integer,
        }
    )
)
# JAX fills a record with these in place of arrays, to carry something else in its form.
_NO_ARRAYS = (
    type(None),
    jax.ShapeDtypeStruct,
    jax.core.ShapedArray,
    jax.sharding.Sharding,
    jax.stages.ArgInfo,
)


# Tests call these with stand-ins, or with values that they must refuse.
_UNCHECKED = (
    'find',
    'from_file',
    'decoding',
    'Feed.read',
    'Model.animate',
    'run',
    'stage1',
    'gesture',
    'Model.portrait',
    'Feed.take',
    '_renamed',
    'resolve',
)


def checked(function: Callable) -> Callable:
    """Make a function raise if its arguments or its result do not fit its annotations."""
    if function.__qualname__ in _UNCHECKED:
        return function
    fills = function.__name__ == '__init__'

    @functools.cache
    def strict() -> Callable:
        """Build the check at the first call: a test calls few of the package's functions."""
        return beartype.beartype(conf=_SETTINGS)(function)

    def call(*args, **kwargs):
        if fills and any(isinstance(value, _NO_ARRAYS) for value in (*args, *kwargs.values())):
            return None
        return strict()(*args, **kwargs)

    return call
