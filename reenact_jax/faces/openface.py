"""OpenFace's FeatureExtraction tables: points, head pose and action units of a video's frames.

Axes and signs are those of tracks.py already: x right, y down, z away from the camera,
R = R_x R_y R_z in radians (OpenFace's documentation; measured against MediaPipe on one clip, see
docs/data.md). Intensities `_r` are 0..5 and become 0..1. Points are iBUG's, the jaw on the
silhouette (point set 68c). Names of columns may have spaces around them; the columns' order does
not matter.
"""

import math
from typing import NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Bool, Float, Int

from reenact_jax.common import tables
from reenact_jax.common.errors import UserError
from reenact_jax.data import tracks

POINTS = 68
MOST_FRAMES = 2**31 - 1
MOST = 1e9  # largest value: pixels, millimetres, radians
ANGLES = ('pose_Rx', 'pose_Ry', 'pose_Rz')
INTENSITIES = tuple(f'{name}_r' for name in tracks.AU_NAMES)
_PLACES = tuple(f'{axis}_{i}' for i in range(POINTS) for axis in 'xy')
_SPACE = tuple(f'{axis}_{i}' for i in range(POINTS) for axis in 'XYZ')


class Table(NamedTuple):
    """Rows of a table, in the order of its file."""

    face: Int[np.ndarray, ' t']  # number of the face, where several were followed
    frame: Int[np.ndarray, ' t']  # of the video, from 0
    seconds: Float[np.ndarray, ' t']  # NaN: the file does not say
    confidence: Float[np.ndarray, ' t']
    success: Bool[np.ndarray, ' t']
    aus: Float[np.ndarray, 't 20']  # as in tracks.py
    points: Float[np.ndarray, 't 68 3'] | None  # pixels of the video, z in the same unit, mean 0


def read(path: epath.PathLike) -> Table:
    """Read a table that FeatureExtraction wrote.

    Depth is taken from the 3D points (-3Dfp), in pixels by the ratio of both point sets' spread;
    where they are not in the file it is 0. Where there are no 2D points either, `points` is None.

    Raises:
      UserError: columns are missing, or a value is no number; the message names them or its line.
    """
    values = _columns(path)
    count = len(values['frame'])

    def take(names, *shape):
        return np.stack([values[name] for name in names], -1).reshape(count, *shape)

    intensities = np.clip(take(INTENSITIES, 17) / 5, 0, 1)
    points = None
    if all(name in values for name in _PLACES):
        points = np.zeros((count, POINTS, 3))
        points[..., :2] = take(_PLACES, POINTS, 2)
        if all(name in values for name in _SPACE):
            points[..., 2] = _depth(points[..., :2], take(_SPACE, POINTS, 3))
    return Table(
        face=values.get('face_id', np.zeros(count)).astype(int),
        frame=values['frame'].astype(int) - 1,  # OpenFace counts from 1
        seconds=values.get('timestamp', np.full(count, np.nan)),
        confidence=values['confidence'],
        success=values['success'] > 0,
        aus=np.array(np.concatenate([intensities, take(ANGLES, 3)], -1), np.float32),
        points=None if points is None else np.array(points, np.float32),
    )


def _columns(path) -> dict[str, Float[np.ndarray, ' t']]:
    """Read the columns, name -> values, and check that those which every table needs are there."""
    lines = tables.rows(tables.text(str(path)), path)
    header = tables.header(next(lines, (1, []))[1], path)
    wanted = ('frame', 'confidence', 'success', *ANGLES, *INTENSITIES)
    if missing := [name for name in wanted if name not in header]:
        some = ', '.join(missing[:4]) + (' ...' if len(missing) > 4 else '')
        raise UserError(
            f'{path}: no column {some}; expected a table of OpenFace: FeatureExtraction with -aus '
            '-pose -2Dfp'
        )
    rows = []
    for number, line in lines:
        where = f'{path}, line {number}'
        if len(line) != len(header):
            raise UserError(f'{where}: {len(line)} values, the header has {len(header)}')
        rows.append([_number(cell, name, where) for name, cell in zip(header, line, strict=True)])
    if not rows:
        raise UserError(f'{path}: no rows')
    return dict(zip(header, np.array(rows).T, strict=True))


def _number(cell: str, name: str, where: str) -> float:
    """Read a cell, which may not be empty; faces and frames are whole numbers."""
    value = tables.number(cell, where, MOST_FRAMES if name in ('frame', 'face_id') else MOST)
    if math.isnan(value):
        raise UserError(f'{where}: column {name} is empty')
    return value


def _depth(flat: Float[np.ndarray, 't 68 2'], space: Float[np.ndarray, 't 68 3']):
    """Convert z to pixels: millimetres times the ratio of the spreads in the image plane."""
    spread = [
        np.linalg.norm(p - p.mean(1, keepdims=True), axis=(1, 2)) for p in (flat, space[..., :2])
    ]
    ratio = spread[0] / np.maximum(spread[1], 1e-6)
    return (space[..., 2] - space[..., 2].mean(1, keepdims=True)) * ratio[:, None]
