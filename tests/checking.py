"""Annotations checked at every call of the package: what conftest.py installs."""

from collections.abc import Callable

import beartype
import jax
import numpy as np

# Sizes may be symbols: a bundle is exported for any number of rows.
_SYMBOL = type(jax.export.symbolic_shape('b')[0])
# NumPy's numbers are numbers, and an int is a float.
_SETTINGS = beartype.BeartypeConf(
    hint_overrides=beartype.FrozenDict(
        {
            int: int | np.integer | _SYMBOL,
            float: float | int | np.floating | np.integer,
        }
    )
)
# What JAX fills a record with beside arrays, to carry something else in its form.
_NO_ARRAYS = (
    jax.ShapeDtypeStruct,
    jax.core.ShapedArray,
    jax.sharding.Sharding,
    jax.stages.ArgInfo,
)


def checked(function: Callable) -> Callable:
    """Make a function raise where its arguments or its result are not what it says."""
    strict = beartype.beartype(conf=_SETTINGS)(function)
    if function.__name__ != '__init__':
        return strict

    def init(*args, **kwargs):
        if not any(isinstance(one, _NO_ARRAYS) for one in (*args, *kwargs.values())):
            strict(*args, **kwargs)

    return init
