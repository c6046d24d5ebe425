"""What both sides of a comparison share: a rule for weights and inputs, and the stored numbers.

NumPy alone, so that the scripts that run official code (PyTorch) and the tests (JAX) draw the same
numbers: a generator seeded by the name of what it fills. Big weights need not be stored.
"""

import math
import pathlib
import zlib

import numpy as np

SEED = 1128
FOLDER = pathlib.Path(__file__).parent


def numbers(name: str, *shape: int) -> np.ndarray:
    """Return standard normal numbers that follow from their name and shape."""
    draw = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    return draw.normal(size=shape).astype(np.float32)


def image(name: str, *shape: int) -> np.ndarray:
    """Return numbers in [-1, 1]."""
    return np.tanh(numbers(name, *shape))


def points(name: str, rows: int, side: float) -> np.ndarray:
    """Return 106 landmarks a row, [rows, 106, 2], within an image and some outside of it."""
    return side * (0.5 + 0.2 * numbers(name, rows, 106, 2))


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a tensor of an official network: `name` and `shape` as in its state_dict.

    Kernels keep the size of what passes through them; vectors are small, scales and variances of
    normalisations near 1, so that none of them can be forgotten unnoticed.
    """
    x = numbers(name, *shape)
    if len(shape) > 1:
        return x * math.sqrt(1.5 * shape[0] / math.prod(shape))
    if name.endswith('running_var'):
        return 1 + 0.3 * np.abs(x)
    return 0.1 * x + name.endswith('weight')


def save(name: str, **arrays) -> None:
    """Write the outputs of official code, as float32."""
    values = {key: np.asarray(value, np.float32) for key, value in arrays.items()}
    np.savez_compressed(FOLDER / f'{name}.npz', **values)
    print(name, sum(value.nbytes for value in values.values()), 'bytes,', *values)


def stored(name: str) -> dict[str, np.ndarray]:
    """Read what `save` wrote."""
    with np.load(FOLDER / f'{name}.npz', allow_pickle=False) as arrays:
        return dict(arrays)
