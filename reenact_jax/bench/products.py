"""Convolutions and matrix products of a traced program: their dtypes, FLOPs and places.

They are read from the program before any compiler sees it, and so are the same for every device.
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
    dtype: str  # of the operand whose numbers are wider
    flops: int
    source: str  # file:line (function) in the code


def products(program) -> Iterator[Product]:
    """List the products of a traced program, loops included; of branches, the dearest one's.

    Args:
      program: a jaxpr, as `jax.jit(f).trace(...).jaxpr`.
    """
    yield from _of(getattr(program, 'jaxpr', program), 1)


def report(program, most: int = 10) -> dict:
    """Sum up the products of a program.

    Args:
      program: see `products`.
      most: lines of code to list.

    Returns:
      The share of FLOPs in float32, and the lines of code with most FLOPs, each with its share.
    """
    everything = list(products(program))
    total, groups = max(sum(one.flops for one in everything), 1), {}
    for one in everything:
        groups.setdefault((one.kind, one.dtype, one.source), []).append(one.flops)
    dearest = sorted(groups.items(), key=lambda item: -sum(item[1]))[:most]
    return {
        'float32 share': sum(one.flops for one in everything if one.dtype == 'float32') / total,
        'dearest': [
            dict(kind=kind, dtype=dtype, source=source, count=len(flops), share=sum(flops) / total)
            for (kind, dtype, source), flops in dearest
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
        runs = times * equation.params.get('length', 1) if name == 'scan' else times
        inside = [list(_of(program, runs)) for program in _programs(equation)]
        if name == 'cond' and inside:
            inside = [max(inside, key=lambda branch: sum(one.flops for one in branch))]
        yield from itertools.chain(*inside)


def _short(source: str) -> str:
    """Shorten a place to `room/module.py:line (function)`, without the path to the package."""
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
    outputs = math.prod(equation.outvars[0].aval.shape)
    if equation.primitive.name == 'dot_general':
        (contracted, _), _ = equation.params['dimension_numbers']
        return 2 * outputs * math.prod(left.shape[axis] for axis in contracted)
    features = right.shape[equation.params['dimension_numbers'].rhs_spec[0]]
    return 2 * outputs * math.prod(right.shape) // features
