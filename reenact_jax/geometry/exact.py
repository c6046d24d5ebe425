"""Products that stay float32 on every device.

By default a TPU multiplies float32 in bfloat16, and a GPU in TF32: with 8 and 11 bits of a number
left, a point of 256 pixels moves by up to half a pixel. So whatever multiplies coordinates, codes
of landmarks or weights that hold positions states its precision, by `einsum` or `PRECISION`.
Images do not: their convolutions may be as fast as the device makes them.
"""

import functools

import jax
import jax.numpy as jnp

PRECISION = jax.lax.Precision.HIGHEST

# A partial has no line of its own: a program's products name the lines that call it.
einsum = functools.partial(jnp.einsum, precision=PRECISION)
