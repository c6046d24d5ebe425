"""Moving backgrounds: the frames of a video behind the head, as long as the result goes on."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from reenact_jax.media import reading
from reenact_jax.reenact import portraits

_TICK = 0.001  # seconds: times of files are rounded


class Scenes(NamedTuple):
    """A video as a background; every iteration begins at its first frame."""

    path: str
    size: int  # side of the frames that are given, pixels
    rate: Fraction  # frames a second of the result

    def __iter__(self) -> Iterator[UInt8[np.ndarray, 's s 3']]:
        """Yield the frame that is shown at each frame of the result; the last one stays."""
        number, shown = 0, None
        for image, _, end in reading.Reader(self.path).frames():
            shown = portraits.middle(image, self.size)
            while float(number / self.rate) < end - _TICK:
                yield shown
                number += 1
        while shown is not None:
            yield shown


def read(path: str, size: int, rate: Fraction) -> Scenes | UInt8[np.ndarray, 's s 3']:
    """Open a picture or a video as a background.

    Args:
      path: the file.
      size: side of the model's crop, pixels.
      rate: frames a second of the result.

    Raises:
      UserError: the file is neither.
    """
    if reading.kind(path) == 'video':
        return Scenes(path, size, rate)
    return portraits.scene(path, size)
