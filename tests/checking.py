"""Annotations checked at every call of the package: what conftest.py installs."""

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
# NumPy's arrays serve where JAX's are asked for, and any path where etils' is.
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
# What JAX fills a record with beside arrays, to carry something else in its form.
_NO_ARRAYS = (
    type(None),
    jax.ShapeDtypeStruct,
    jax.core.ShapedArray,
    jax.sharding.Sharding,
    jax.stages.ArgInfo,
)


# Tests hand these stand-ins or what they must refuse.
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
    """Make a function raise where its arguments or its result are not what it says."""
    if function.__qualname__ in _UNCHECKED:
        return function
    fills = function.__name__ == '__init__'

    @functools.cache
    def strict() -> Callable:
        """Built at the first call: a test calls few of the package's functions."""
        return beartype.beartype(conf=_SETTINGS)(function)

    def call(*args, **kwargs):
        if fills and any(isinstance(one, _NO_ARRAYS) for one in (*args, *kwargs.values())):
            return None
        return strict()(*args, **kwargs)

    return call
