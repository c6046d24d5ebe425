"""Results of a program whose products round their operands, as accelerators do by default.

A TPU multiplies float32 as bfloat16, a GPU as TF32, unless a product states its precision. On any
machine, `rounded` does the same to a function: it rewrites its program.
"""

from collections.abc import Callable

import jax
from jax.extend import core
from jax.extend.core import primitives

from reenact_jax.geometry.exact import PRECISION

MANTISSAS = {'bfloat16': 7, 'tf32': 10}  # stored bits behind the binary point
_PRODUCTS = 'dot_general', 'conv_general_dilated'


def rounded(function: Callable, kind: str, all_products: bool = False) -> Callable:
    """Return the function with rounded operands in its matrix products and convolutions.

    Args:
      function: of arrays and trees of them.
      kind: one of `MANTISSAS`.
      all_products: also round where a product states its precision.

    Returns:
      A compiled function of the same arguments.
    """

    def called(*arguments):
        traced = jax.jit(function).trace(*arguments)
        program = _rewritten(traced.jaxpr, MANTISSAS[kind], all_products)
        leaves = core.jaxpr_as_fun(program)(*jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(traced.out_info), leaves)

    return jax.jit(called)


def _rewritten(program, bits: int, all_products: bool):
    """Rewrite a program and all programs within it."""
    if hasattr(program, 'consts'):
        return program.replace(jaxpr=_rewritten(program.jaxpr, bits, all_products))
    equations = []
    for equation in program.eqns:
        params = {
            name: jax.tree.map(
                lambda x: _rewritten(x, bits, all_products) if _is_program(x) else x,
                value,
                is_leaf=_is_program,
            )
            for name, value in equation.params.items()
        }
        equation = equation.replace(params=params)
        stated = equation.params.get('precision') == (PRECISION, PRECISION)
        if equation.primitive.name in _PRODUCTS and (all_products or not stated):
            operands = [_operand(x, bits, equation) for x in equation.invars]
            equations += [one for one, _ in operands]
            equation = equation.replace(invars=[x for _, x in operands])
        equations.append(equation)
    return program.replace(eqns=equations)


def _operand(x, bits: int, equation):
    """Return an equation that rounds x, and its result."""
    result = core.Var(x.aval)
    params = dict(exponent_bits=8, mantissa_bits=bits)
    reduce = primitives.reduce_precision_p
    return equation.replace(primitive=reduce, params=params, invars=[x], outvars=[result]), result


def _is_program(value) -> bool:
    return isinstance(value, (core.Jaxpr, core.ClosedJaxpr))
