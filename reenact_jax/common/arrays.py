"""The type of arrays in functions for the host and the device: NumPy's, JAX's, traced ones."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array

# An argument, or a result of the same kind as the arguments. The static checker does not ask which
# kind it is: the tests do.
if TYPE_CHECKING:
    AnyArray = Array | Any
else:
    AnyArray = Array | np.ndarray
