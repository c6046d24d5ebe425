"""A function of a bundle as compiled: looked at once more when the number of rows is known."""

import math

import jax
from jaxlib.mlir import ir

from reenact_jax.common.errors import UserError
from reenact_jax.trust.stablehlo import BYTES, WORK

ROOM = 2 * BYTES  # bytes that any program may use, beside BYTES for each row


class Bounded:
    """A function, compiled for the shapes that it is called with if their cost allows it."""

    def __init__(self, name: str, exported: jax.export.Exported):
        """Take a checked program.

        Args:
          name: for messages.
          exported: the program.
        """
        self._name, self._function = name, jax.jit(exported.call)
        self._compiled: dict[tuple, jax.stages.Compiled] = {}

    def __call__(self, *args):
        """Call the function.

        Raises:
          UserError: it cannot be compiled, or would need too much memory or work.
        """
        key = tuple((x.shape, str(x.dtype)) for x in jax.tree.leaves(args))
        if key not in self._compiled:
            self._compiled[key] = self._compile(args)
        return self._compiled[key](*args)

    def _compile(self, args: tuple) -> jax.stages.Compiled:
        try:
            compiled = self._function.lower(*args).compile()
        except (jax.errors.JaxRuntimeError, ir.MLIRError, ValueError, TypeError) as error:
            text = str(error).strip().split('\n')[0][:300]
            raise UserError(f'{self._name}: this program cannot be compiled ({text})') from None
        rows = max((x.shape[0] for x in jax.tree.leaves(args[1:]) if x.shape), default=1)
        memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
        used = getattr(memory, 'temp_size_in_bytes', 0) + getattr(
            memory, 'output_size_in_bytes', 0
        )  # fmt: skip
        work = (cost or {}).get('flops', 0)
        if used > ROOM + rows * BYTES or not (math.isfinite(work) and work <= rows * WORK):
            raise UserError(
                f'{self._name}: needs {used:,} bytes and {work:.2g} operations for {rows} rows, '
                'more than a program of a bundle may'
            )
        return compiled
