"""Convolutions and matrix products of a traced program: their dtypes, FLOPs and places.

What a program asks for, before any compiler: the same for every device.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax.extend import source_info_util


class Product(NamedTuple):
    """One convolution or matrix product; in a loop it counts as often as it runs."""

    kind: str  # conv_general_dilated, dot_general
    dtype: str  # of its dearer operand
    flops: int
    source: str  # file:line (function) that asked for it


def products(program) -> Iterator[Product]:
    """List those of a traced program, loops included, and of branches the dearest.

    Args:
      program: a jaxpr, as `jax.jit(f).trace(...).jaxpr`.
    """
    yield from _of(getattr(program, 'jaxpr', program), 1)


def report(program, most: int = 10) -> dict:
    """Sum them up: the share of FLOPs in float32, and the dearest lines of code."""
    found = list(products(program))
    total, groups = max(sum(one.flops for one in found), 1), {}
    for one in found:
        groups.setdefault((one.kind, one.dtype, one.source), []).append(one.flops)
    dearest = sorted(groups.items(), key=lambda item: -sum(item[1]))[:most]
    return {
        'float32 share': sum(one.flops for one in found if one.dtype == 'float32') / total,
        'dearest': [
            dict(kind=kind, dtype=dtype, source=source, count=len(some), share=sum(some) / total)
            for (kind, dtype, source), some in dearest
        ],
    }


def _of(jaxpr, times: int) -> Iterator[Product]:
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in ('conv_general_dilated', 'dot_general'):
            left, right = (one.aval for one in equation.invars)
            dtype = max(str(left.dtype), str(right.dtype), key=lambda one: np.dtype(one).itemsize)
            source = _short(source_info_util.summarize(equation.source_info))
            yield Product(name, dtype, times * _flops(equation), source)
        inner = times * equation.params.get('length', 1) if name == 'scan' else times
        found = [list(_of(program, inner)) for program in _programs(equation)]
        if name == 'cond' and found:
            found = [max(found, key=lambda some: sum(one.flops for one in some))]
        yield from itertools.chain(*found)


def _short(source: str) -> str:
    """A place as `room/module.py:line (function)`, without the path to the package."""
    return source.rpartition('site-packages/')[2].rpartition('reenact_jax/')[2]


def _programs(equation) -> Iterator:
    for value in equation.params.values():
        for one in jax.tree.leaves(value, is_leaf=_is_program):
            if _is_program(one):
                yield getattr(one, 'jaxpr', one)


def _is_program(value) -> bool:
    return hasattr(value, 'eqns') or hasattr(getattr(value, 'jaxpr', None), 'eqns')


def _flops(equation) -> int:
    left, right = (one.aval for one in equation.invars)
    made = math.prod(equation.outvars[0].aval.shape)
    if equation.primitive.name == 'dot_general':
        (contracted, _), _ = equation.params['dimension_numbers']
        return 2 * made * math.prod(left.shape[axis] for axis in contracted)
    features = right.shape[equation.params['dimension_numbers'].rhs_spec[0]]
    return 2 * made * math.prod(right.shape) // features
