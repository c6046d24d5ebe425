"""Animated GIF, WebP, PNG and AVIF: frames with their delays, transparency over white."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from etils import epath
from jaxtyping import UInt8

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import containers, kinds, stills, timeline
from reenact_jax.media.timeline import Timeline

_LEAST, _INSTEAD = 0.0101, 0.1  # seconds: browsers show shorter delays than this as long as that
_TICK = 0.01  # GIF counts hundredths


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
            return Header(getattr(image, 'n_frames', 1), *stills.shown_size(image))
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
        turn = stills.orientation(image) if turn is None else turn  # the first frame has it
        yield stills.turned(stills.seen(image), turn), at
        at += length


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
