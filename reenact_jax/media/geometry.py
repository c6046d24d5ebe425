"""How a video's frames lie on the screen: turned, mirrored, with pixels that are not square."""

import struct
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8


class Layout(NamedTuple):
    """How stored pixels become shown ones."""

    stored: tuple[int, int]  # width and height, once pixels are square
    turn: tuple[tuple[int, int], tuple[int, int]]  # shown (x, y) = stored (x, y) times this

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as shown."""
        width, height = self.stored
        return (height, width) if self.turn[0][0] == 0 else (width, height)

    def apply(self, image: UInt8[np.ndarray, 'h w 3']) -> UInt8[np.ndarray, 'H W 3']:
        """Turn and mirror a frame."""
        (a, b), (c, d) = self.turn
        if a == 0:
            image = image.swapaxes(0, 1)
            a, d = c, b
        image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
        return np.ascontiguousarray(image)


def layout(frame: Any, stream: Any) -> Layout:
    """Read how a frame is shown, from its display matrix and its sample aspect ratio.

    Args:
      frame: PyAV's, the first of the stream.
      stream: the one that it comes from.
    """
    width, height = frame.width, frame.height
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if aspect and aspect > 1:
        width = round(width * aspect)
    elif aspect:
        height = round(height / aspect)
    data = frame.side_data.get('DISPLAYMATRIX')
    return Layout((max(width, 1), max(height, 1)), nearest(bytes(data) if data else b''))


def nearest(matrix: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the quarter turn, mirrored or not, that is nearest to a display matrix.

    Args:
      matrix: nine numbers of 32 bits, of which [x y 1] times them is the place on the screen; empty
        for none.
    """
    if len(matrix) < 36:
        return (1, 0), (0, 1)
    a, b, _, c, d, *_ = struct.unpack('=9i', matrix[:36])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (1 if a >= 0 else -1, 0), (0, 1 if d >= 0 else -1)
    return (0, 1 if b >= 0 else -1), (1 if c >= 0 else -1, 0)
