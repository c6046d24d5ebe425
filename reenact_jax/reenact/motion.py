"""Files of motion, which drive without a video: CSV, JSON, or a table of OpenFace.

There is one row per frame: `timestamp` in seconds, AU01 ... AU45 from 0 to 1, R_x, R_y, R_z in
radians (axes in tracks.py), x_0, y_0, z_0, x_1 ... in sides of the driver's square crop (z from 0
at their mean). An empty cell (null) is unknown. Above the columns a CSV has the line

    # reenact_jax motion, version 1, points 68

which names the point set. JSON has the same as {"format": "reenact_jax motion", "version": 1,
"points": "68", "columns": [...], "rows": [[...], ...]}. Units or landmarks may be left out. A file
without that line is read as one of version 1 without landmarks.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Bool, Float

from reenact_jax.common import storage, tables
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import AU_NAMES, POSE_NAMES
from reenact_jax.faces import openface
from reenact_jax.geometry import contours, layouts
from reenact_jax.geometry import landmarks as lm
from reenact_jax.media import reading, timeline
from reenact_jax.media.timeline import Timeline

SUFFIXES = ('.csv', '.json')
UNITS = AU_NAMES + POSE_NAMES
FORMAT, VERSION = 'reenact_jax motion', 1  # grows when an older reader could not read the file
MAX_BYTES = 128_000_000  # largest size of a file
_TICK = 0.0011  # seconds to which OpenFace rounds, and a little
RATES = 0.1, 1000  # lowest and highest, frames a second


class Motion(NamedTuple):
    """Frames of a motion; where no face was found, no unit is known and landmarks are NaN."""

    aus: Float[np.ndarray, 't 20']
    valid: Bool[np.ndarray, 't 20']
    rate: Fraction  # frames a second; the mean where they are not even
    points: str | None = None  # point set of the landmarks
    landmarks: Float[np.ndarray, 't n 3'] | None = None  # in sides of the crop
    times: Float[np.ndarray, ' t'] | None = None  # seconds from nought; None: by the rate

    @property
    def timeline(self) -> Timeline:
        """The times of the frames."""
        if self.times is None:
            return timeline.even(len(self.aus), self.rate)
        return timeline.read(self.times, None, (self.rate,), _TICK)


def read(path: epath.PathLike) -> Motion:
    """Read a file of motion of any of the three kinds.

    Raises:
      UserError: the file is no motion; the message names the file and the line or column.
    """
    text = tables.text(str(path), MAX_BYTES)
    if str(path).lower().endswith('.json'):
        points, names, rows = _json(text, path)
    else:
        points, names, rows = _csv(text, path)
        if openface.ANGLES[0] in names:
            return _openface(path)
    places = _places(points, path)
    table = _columns(names, rows, {'timestamp', *UNITS, *places}, path)
    count = len(next(iter(table.values()), ()))
    if not count or not table.keys() - {'timestamp'}:
        raise UserError(
            f'{path}: no motion; expected columns timestamp, {UNITS[0]} ... {UNITS[-1]}, landmarks '
            'x_0, y_0, z_0 ..., and a row a frame, or a table of OpenFace'
        )
    nothing = np.full(count, np.nan)
    units = np.stack([table.get(name, nothing) for name in UNITS], 1)
    valid, stamps = np.isfinite(units), table.get('timestamp', nothing)
    motion = Motion(np.array(np.where(valid, units, 0), np.float32), valid, _rate(stamps, path))
    motion = motion._replace(times=_times(stamps, path))
    if not table.keys() & set(places):
        return motion
    if missing := [name for name in places if name not in table]:
        raise UserError(f'{path}: no column {missing[0]} of the landmarks of point set {points}')
    landmarks = np.float32(np.stack([table[name] for name in places], 1)).reshape(count, -1, 3)
    return motion._replace(points=points, landmarks=landmarks)


def landmarks_of(motion: Motion, points: str) -> Float[np.ndarray, 't n 3'] | None:
    """Return a motion's landmarks as another point set; None: they do not tell them.

    Those of 68c, such as OpenFace's, tell those of 68 (geometry/contours.py).
    """
    if motion.landmarks is None or motion.points == points:
        return motion.landmarks
    if (motion.points, points) == ('68c', '68'):
        return contours.on_surface(motion.landmarks)
    return None


def write(path: epath.PathLike, motion: Motion) -> None:
    """Write a motion to a file.

    Args:
      path: its suffix chooses the format: .json for JSON, any other for CSV.
      motion: what to write.
    """
    names = ('timestamp', *UNITS, *_places(motion.points, path))
    times = (
        np.arange(len(motion.aus)) / float(motion.rate) if motion.times is None else motion.times
    )
    times = np.asarray(times, np.float64).round(9)
    columns = [times[:, None], np.where(motion.valid, motion.aus, np.nan)]
    if motion.landmarks is not None:
        columns.append(motion.landmarks.reshape(len(times), -1))
    rows = [
        [None if math.isnan(value) else round(float(value), 9 if n == 0 else 6)
         for n, value in enumerate(row)]
        for row in np.concatenate(columns, 1)
    ]  # fmt: skip
    if str(path).lower().endswith('.json'):
        content = {'format': FORMAT, 'version': VERSION, 'points': motion.points}
        content |= {'columns': names, 'rows': rows}
        storage.write(str(path), json.dumps(content) + '\n')
        return
    file = io.StringIO()
    suffix = f', points {motion.points}' if motion.points else ''
    file.write(f'# {FORMAT}, version {VERSION}{suffix}\n')
    csv.writer(file, lineterminator='\n').writerows([names, *rows])
    storage.write(str(path), file.getvalue())


def _csv(text: str, path) -> tuple[str | None, list[str], Iterable[list]]:
    """Return the point set, the columns and the rows of a CSV."""
    text, points = text.replace('\r\n', '\n').replace('\r', '\n'), None
    head, _, rest = text.partition('\n')
    if header := re.match(rf'# {FORMAT}, version (\d{{1,9}})(.*)', head):
        _check_version(int(header[1]), path)
        point_set = re.search(r', points (\w+)', header[2])
        points, text = point_set and point_set[1], rest
    rows = (cells for _, cells in tables.rows(text, path))
    return points, tables.header(next(rows, []), path), rows


def _json(text: str, path) -> tuple[str | None, list[str], Iterable[list]]:
    """Return the point set, the columns and the rows of a JSON file."""
    try:
        content = json.loads(text)
        if content.get('format', FORMAT) != FORMAT:
            raise ValueError(f'its format is {content["format"]!r}')
        _check_version(content.get('version', VERSION), path)
        rows, points = [list(row) for row in content['rows']], content.get('points')
        names = tables.header([str(name) for name in content['columns']], path)
        return None if points is None else str(points), names, rows
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f'{path}: not a motion: {error!r}') from None


def _columns(names: list[str], rows: Iterable[list], wanted: set[str], path) -> dict:
    """Return {name: numbers [t]} of the columns that are wanted."""
    places = [(place, name) for place, name in enumerate(names) if name in wanted]
    values = []
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise UserError(f'{path}, row {number}: {len(row)} values for {len(names)} columns')
        where = f'{path}, row {number}'
        values.append(np.array([tables.number(row[place], where) for place, _ in places]))
    if not places or not values:
        return {}
    return dict(zip([name for _, name in places], np.stack(values, 1), strict=True))


def _check_version(version, path) -> None:
    if version != VERSION:
        raise UserError(
            f'{path}: a motion of version {version!r}, this program reads version {VERSION}; '
            'use a newer one'
        )


def _places(points: str | None, path) -> list[str]:
    """Name the columns of the landmarks.

    Raises:
      UserError: the point set does not exist.
    """
    if points is None:
        return []
    if points not in layouts.LAYOUTS:
        raise UserError(f'{path}: no point set {points!r}; there are {", ".join(layouts.LAYOUTS)}')
    return [f'{axis}_{i}' for i in range(layouts.layout(points).count) for axis in 'xyz']


def _openface(path) -> Motion:
    """Read a table of OpenFace; of several faces the first one."""
    table = openface.read(path)
    first = table.face == table.face[0]
    valid = np.repeat(table.success[first, None], table.aus.shape[1], 1)
    stamps = table.seconds[first]
    motion = Motion(table.aus[first], valid, _rate(stamps, path), times=_times(stamps, path))
    if table.points is None or not valid.any():
        return motion
    # One square for all frames, around the first face, as a driver's video is cropped.
    places = table.points[first]
    x0, y0, side = lm.crop_box(places[valid[:, 0]][:1])
    places = (places - np.array([x0, y0, 0], np.float32)) / np.array(side, np.float32)
    places[~valid[:, 0]] = np.nan
    return motion._replace(points='68c', landmarks=places)


def _times(stamps: Float[np.ndarray, ' t'], path) -> Float[np.ndarray, ' t'] | None:
    """Return the times of the rows, the first where it stands; None where there are none.

    Raises:
      UserError: a row is not later than the one before.
    """
    if not np.isfinite(stamps).all() or len(stamps) < 2:
        return None
    if (wrong := np.flatnonzero(np.diff(stamps) <= 0)).size:
        raise UserError(f'{path}, row {wrong[0] + 2}: its timestamp is not after the one before')
    return np.asarray(stamps, np.float64) - min(float(stamps[0]), 0.0)


def _rate(times: Float[np.ndarray, ' t'], path) -> Fraction:
    """Return the frames a second: of one frame or without times, those of a folder of stills."""
    length = float(times[-1] - times[0])
    if math.isnan(length) or len(times) == 1:
        return reading.FOLDER_RATE
    rate = (len(times) - 1) / length if length else math.inf
    if not RATES[0] <= rate <= RATES[1]:
        raise UserError(
            f'{path}: {rate:.4g} frames a second by its timestamps, which are seconds; expected '
            f'{RATES[0]} to {RATES[1]}'
        )
    return Fraction(rate).limit_denominator(1001)
