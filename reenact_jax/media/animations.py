"""Animated GIF, WebP, PNG and AVIF: frames with their delays, transparency over white."""

import functools
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import containers, kinds, stills, timeline
from reenact_jax.media.timeline import Timeline

_LEAST, _INSTEAD = 0.0101, 0.1  # seconds: browsers show shorter delays than this as long as that
_TICK = 0.01  # GIF counts hundredths
_MOST_HEAD = 4_000_000  # bytes in which the header of an AVIF's track is looked for
_MATRICES = {  # EXIF's orientation -> signs of x' = a x + c y, y' = b x + d y
    1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
    5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0),
}  # fmt: skip


class Header(NamedTuple):
    """What is known before pixels are decoded."""

    frames: int
    width: int
    height: int


def header(path: epath.PathLike) -> Header:
    """Read the header.

    Raises:
      UserError: the file cannot be read or its frames are too large.
    """
    with stills.opened(path) as image:
        try:
            width, height = image.size
            size = (height, width) if _orientation(path, image) >= 5 else (width, height)
            return Header(getattr(image, 'n_frames', 1), *size)
        except stills.BROKEN as error:
            raise UserError(f'{path}: broken or truncated image ({error})') from None


def times(path: epath.PathLike) -> Timeline:
    """Read the times of all frames.

    Raises:
      UserError: as `header`, or it lasts too long.
    """
    file = storage.local(path)
    stat = file.stat()
    return _times(str(file), stat.length, stat.mtime)


@functools.lru_cache(4)
def _times(path: str, length: int, changed: float) -> Timeline:
    """Read the times; of a file of this length that was changed then."""
    del length, changed
    begins, at = [], 0.0
    for _, seconds in _decoded(path):
        begins.append(at)
        at += seconds
        if at > containers.MAX_SECONDS:
            raise UserError(f'{path}: it lasts {at / 3600:.1f} hours; cut it into pieces')
    return timeline.read(begins, at, (), _TICK)


def frames(path: epath.PathLike) -> Iterator[tuple[UInt8[np.ndarray, 'h w 3'], float]]:
    """Give frames, and the seconds at which they begin, up to the first that does not decode."""
    at = 0.0
    turn = None
    for image, length in _decoded(path):
        turn = _orientation(path, image) if turn is None else turn  # the first frame has it
        yield stills.turned(stills.seen(image), turn), at
        at += length


def _orientation(path, image: Image.Image) -> int:
    """Return EXIF's orientation, or what the matrix of an AVIF's track says, 1 to 8."""
    found = stills.orientation(image)
    return _matrix(path) if found == 1 and image.format == 'AVIF' else found


def _matrix(path) -> int:
    """Read the matrix of the first track header of a file of ISO's boxes, as an orientation."""
    head = kinds.begins(path, _MOST_HEAD)
    at = head.find(b'tkhd') + 4
    at += 52 if head[at : at + 1] == b'\1' else 40
    if at < 44 or len(head) < at + 20:
        return 1
    a, b, _, c, d = struct.unpack('>5i', head[at : at + 20])
    signs = [(value > 0) - (value < 0) for value in (a, b, c, d)]
    return next((turn for turn, matrix in _MATRICES.items() if signs == list(matrix)), 1)


def _decoded(path) -> Iterator:
    """Give pictures and their lengths, seconds."""
    with stills.opened(path, kinds.required(path)) as image:
        for number in range(header(path).frames):
            try:
                image.seek(number)
                image.load()
            except stills.BROKEN:
                return
            length = image.info.get('duration', 0) / 1000
            yield image, length if length >= _LEAST else _INSTEAD
