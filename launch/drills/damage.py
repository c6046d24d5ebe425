"""Damage to a file: a flipped bit, or an end that is cut off."""

import contextlib
import pathlib
from collections.abc import Iterator

import numpy as np


def do(file: pathlib.Path, rng: np.random.Generator) -> str:
    """Damage a file at a random place; return what was done."""
    content = bytearray(file.read_bytes())
    place = int(rng.integers(len(content)))
    if rng.random() < 0.5:
        content[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(content)
        return 'bit flipped'
    file.write_bytes(content[:place])
    return 'cut off'


@contextlib.contextmanager
def done(file: pathlib.Path, rng: np.random.Generator) -> Iterator[str]:
    """Damage a file as long as the context lasts."""
    content = file.read_bytes()
    try:
        yield do(file, rng)
    finally:
        file.write_bytes(content)
