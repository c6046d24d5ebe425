"""Points of faces in files: CSV, NPZ or NPY.

A CSV has a row a face and columns x0, y0, x1, y1, ... (and z0, ...) in pixels; others are labels,
such as `image`, the picture's file. An NPZ holds the same as arrays: `points` [faces, n, 2 or 3],
and a label as an array with a value a face. An NPY is the array of points alone.
"""

import io
import itertools
import re
import zipfile
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from reenact_jax.common import storage, tables
from reenact_jax.common.errors import UserError

ARRAYS = ('.npz', '.npy')
POINTS = 'points'
MOST = 1e6  # largest coordinate, pixels
COUNTS = (68, 106)
_COLUMN = re.compile(r'([xyz])0*(\d+)')


def lines(path: str) -> Iterator[tuple[int, list]]:
    """Yield (number of the line, cells); the first line names the columns.

    Raises:
      UserError: the file is none of the three kinds, or damaged.
    """
    if not path.lower().endswith(ARRAYS):
        yield from tables.rows(tables.text(path), path)
        return
    arrays = _arrays(path)
    points = arrays.pop(POINTS)
    axes = 'xyz'[: points.shape[2]]
    yield 1, [*arrays, *(f'{axis}{i}' for i in range(points.shape[1]) for axis in axes)]
    for number, face in enumerate(points):
        cells = face.ravel().tolist()
        labels = [array[number] for array in arrays.values()]
        yield number + 2, [*map(str, labels), *('' if c != c else c for c in cells)]


def columns(header: list[str], count: int, path: str) -> list[list[str]]:
    """Find the columns of `count` points: [x0, y0(, z0)], [x1, ...].

    Raises:
      UserError: one is missing.
    """
    found = {}
    for name in header:
        if match := _COLUMN.fullmatch(name.strip()):
            found[match[1], int(match[2])] = name
    axes = 'xyz' if ('z', 0) in found else 'xy'
    missing = [f'{a}{i}' for i in range(count) for a in axes if (a, i) not in found]
    if missing:
        more = ' ...' if len(missing) > 4 else ''
        raise UserError(f'{path}: no column {", ".join(missing[:4])}{more}')
    return [[found[axis, i] for axis in axes] for i in range(count)]


def one(path: str, source: str) -> Float[np.ndarray, 'n _']:
    """Read the points of one face.

    Args:
      path: the file.
      source: the picture's file; of several faces the one with this name as its `image` is meant.

    Raises:
      UserError: the file is damaged, has no such face, or several.
    """
    rows = lines(path)
    header = tables.header(next(rows, (1, []))[1], path)
    numbers = [int(m[2]) for name in header if (m := _COLUMN.fullmatch(name))]
    count = next((n for n in COUNTS if max(numbers, default=0) < n), COUNTS[-1])
    names = [name for point in columns(header, count, path) for name in point]
    places, labels = [header.index(name) for name in names], []
    found = []
    for number, cells in rows:
        where = f'{path}, line {number}'
        if len(cells) != len(header):
            raise UserError(f'{where}: {len(cells)} values, the header has {len(header)}')
        found.append([tables.number(cells[place], where, MOST) for place in places])
        labels.append(cells[header.index('image')] if 'image' in header else '')
    name = storage.path(source).name
    meant = [n for n, label in enumerate(labels) if storage.path(label or '.').name == name]
    chosen = meant if len(found) > 1 else list(range(len(found)))
    if len(chosen) != 1:
        raise UserError(
            f'{path}: {len(found)} faces, {len(meant)} with the image {name!r}; expected one face, '
            'or one of that image'
        )
    points = np.array(found[chosen[0]]).reshape(count, -1)
    if not np.isfinite(points).all():
        raise UserError(f'{path}: a point of the face is missing')
    return points


def _arrays(path: str) -> dict[str, np.ndarray]:
    """Read points [faces, n, 2 or 3] and labels [faces], never unpickling."""
    content = tables.content(path)
    try:
        if path.lower().endswith('.npy'):
            arrays = {POINTS: np.load(io.BytesIO(content), allow_pickle=False)}
        else:
            _check_size(path, content)
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: np.asarray(file[name]) for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise UserError(f'{path}: no arrays of NumPy ({error})') from None
    points = arrays.get(POINTS, np.zeros(0))
    points = points[None] if points.ndim == 2 else points
    if points.ndim != 3 or points.shape[2] not in (2, 3) or points.dtype.kind not in 'fiu':
        raise UserError(
            f'{path}: {POINTS} of {points.dtype} {list(points.shape)}, expected numbers '
            '[faces, n, 2 or 3]'
        )
    labels = {name: array for name, array in arrays.items() if name != POINTS}
    for name, array in labels.items():
        if array.shape != (len(points),):
            raise UserError(
                f'{path}: {name} of shape {list(array.shape)} beside {len(points)} faces'
            )
    return {POINTS: np.asarray(points, np.float64), **labels}


def _check_size(path: str, content: bytes) -> None:
    """Refuse an archive that unpacks to more than a file may have."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        total = sum(itertools.islice((entry.file_size for entry in archive.infolist()), 10_000))
    if total > tables.MAX_BYTES:
        raise UserError(f'{path}: unpacks to {total:,} bytes, more than {tables.MAX_BYTES:,}')
