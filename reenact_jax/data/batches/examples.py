"""Rows of a batch from K frames of a track: decoded in their place, mirrored or not."""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from reenact_jax.data.shards.framing import DamagedRecord
from reenact_jax.data.tracks import POINT_SETS, POSE, UNKNOWN, UNLABELLED
from reenact_jax.geometry.landmarks import LAYOUTS

# Field of `tracks.Batch` -> dtype, shape of a row, the fields of `tracks.Track` that make it.
# {} is the point set, n its number of points, s the side of the crop.
_FIELDS: dict[str, tuple[Any, tuple, tuple[str, ...]]] = {
    'image': (np.uint8, ('k', 's', 's', 3), ('image',)),
    'segmentation': (np.uint8, ('k', 's', 's'), ('segmentation',)),
    'landmarks': (np.float32, ('k', 'n', 2), ('landmarks_{}',)),
    'landmarks3d': (np.float32, ('k', 'n', 3), ('landmarks_{}',)),
    'visible': (np.bool_, ('k', 'n'), ('visible_{}',)),
    'reference': (np.float32, ('k', 'n', 2), ('reference_{}',)),
    'aus': (np.float32, ('k', 20), ('aus', 'aus_valid')),
    'aus_valid': (np.bool_, ('k', 20), ('aus_valid',)),
    'gaze': (np.float32, ('k', 2), ('gaze', 'gaze_valid')),
    'identity': (np.int32, (), ()),  # from the index
    'expression': (np.int32, ('k',), ('expression',)),
    'pose_id': (np.int32, ('k',), ('pose_id',)),
}
Rows = dict[str, np.ndarray]
# What simplejpeg and Pillow raise for images that cannot be decoded.
_UNDECODABLE = (ValueError, OSError, SyntaxError, Image.DecompressionBombError)


def allocate(rows: int, k: int, reads: Sequence[str], size: int, points: str = '68') -> Rows:
    """Allocate arrays for a batch; their contents are undefined.

    Args:
      rows: of the batch.
      k: frames a row.
      reads: fields of `tracks.Batch`.
      size: side of the crop, pixels.
      points: the point set.
    """
    sides = {'k': k, 'n': POINT_SETS[points], 's': size, 2: 2, 3: 3, 20: 20}
    shapes = {name: tuple(sides[side] for side in _FIELDS[name][1]) for name in reads}
    return {name: _empty((rows, *shapes[name]), _FIELDS[name][0]) for name in reads}


def sources(reads: Sequence[str], points: str = '68') -> tuple[str, ...]:
    """List the fields of `tracks.Track`, with a value a frame, that make the batch's `reads`."""
    return tuple(sorted({s.format(points) for name in reads for s in _FIELDS[name][2]}))


def fill(out: Rows, row: int, values: dict, points: str = '68') -> None:
    """Write the numbers of K frames of a track into a row, as in `tracks.Batch`.

    Unknown AUs and gaze are 0. `identity`, which is no field of frames, is left as it is.

    Args:
      out: the batch.
      row: where in it.
      values: the `sources` of its fields for these frames, as `Pieces.read` gives them.
      points: the point set.
    """
    for name, array in out.items():
        if name in (*_DECODERS, 'identity'):
            continue
        value = values[_FIELDS[name][2][0].format(points)]
        array[row] = value[..., :2] if name in ('landmarks', 'reference') else value
    if 'aus' in out:
        out['aus'][row][values['aus_valid'] == 0] = 0
    if 'gaze' in out:
        out['gaze'][row][values['gaze_valid'] == 0] = 0


def decode(out: Rows, row: int, values: dict) -> None:
    """Decode the images and segmentations of K frames of a track in their place in a row.

    An unknown segmentation is 255 everywhere.

    Args:
      out: the batch.
      row: where in it.
      values: the `sources` of its fields for these frames, as `Pieces.read` gives them.

    Raises:
      DamagedRecord: one cannot be decoded to the size of the row.
    """
    for name, decoder in _DECODERS.items():
        if name in out:
            for picture, data in zip(out[name][row], values[name], strict=True):
                try:
                    decoder(picture, data)
                except _UNDECODABLE as error:
                    raise DamagedRecord(f'no {name} of side {len(picture)} ({error})') from None


def mirror(rows: Rows, size: int, points: str = '68') -> None:
    """Turn rows, in place, into what their mirrored frames would have given.

    Images are turned over, points change places by the layout's `flip` and x becomes size - x,
    the head's R_y and R_z and the gaze's yaw change sign. The label of a pose becomes unknown:
    which label the mirrored pose has is not recorded. Expressions and AUs have no side.

    Args:
      rows: of a batch.
      size: side of the crop, pixels.
      points: the point set.
    """
    flip = LAYOUTS[points].flip
    for name, array in rows.items():
        if name in ('image', 'segmentation'):
            array[:] = array[:, :, :, ::-1].copy()
        elif name in ('landmarks', 'landmarks3d', 'reference'):
            array[:] = array[:, :, flip]
            array[..., 0] = size - array[..., 0]
        elif name == 'visible':
            array[:] = array[:, :, flip]
        elif name == 'aus':
            array[..., POSE] *= np.array([1, -1, -1], np.float32)
        elif name == 'gaze':
            array[..., 0] *= -1
        elif name == 'pose_id':
            array[:] = UNLABELLED


def _empty(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Allocate an array at an odd multiple of 16 bytes.

    Into pictures at multiples of 32, simplejpeg decodes 6 to 17 % more slowly (measured at 256 and
    at 64 pixels).
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + 32, np.uint8)
    begin = (16 - memory.ctypes.data) % 32
    return memory[begin : begin + size].view(dtype).reshape(shape)


def _decode_jpeg(image: np.ndarray, data: bytes) -> None:
    height, width, _ = simplejpeg.decode_jpeg(data, buffer=image).shape
    if (height, width) != image.shape[:2]:
        raise ValueError(f'{width}x{height} pixels')


def _decode_png(plane: np.ndarray, data: bytes) -> None:
    if not data:
        plane[:] = UNKNOWN
        return
    with Image.open(io.BytesIO(data), formats=['PNG']) as image:
        if image.size != plane.shape or image.mode != 'L':
            raise ValueError(f'{image.size[0]}x{image.size[1]} pixels, mode {image.mode}')
        plane[:] = np.asarray(image)


_DECODERS = {'image': _decode_jpeg, 'segmentation': _decode_png}
