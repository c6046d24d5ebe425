"""Motion as action units and head angles, in files: CSV, JSON, or a table of OpenFace.

A row a frame: `timestamp` in seconds, AU01 ... AU45 from 0 to 1, R_x, R_y, R_z in radians (axes in
tracks.py);
an empty cell (null) is unknown. JSON has the same as {"columns": [...], "rows": [[...], ...]}.
"""

import csv
import io
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from reenact_jax import media, openface, storage
from reenact_jax.errors import UserError
from reenact_jax.tracks import AU_NAMES, POSE_NAMES

SUFFIXES = ('.csv', '.json')
COLUMNS = ('timestamp', *AU_NAMES, *POSE_NAMES)


class Motion(NamedTuple):
    """Frames of a motion."""

    aus: Float[np.ndarray, 't 20']
    valid: Bool[np.ndarray, 't 20']  # no row at all is known where a face was not found
    rate: Fraction  # frames a second


def read(path: str | Path) -> Motion:
    """Any of the three kinds. Raises UserError naming the file, and the line or column."""
    text = storage.read(str(path)).decode('utf-8-sig', 'replace')
    if str(path).lower().endswith('.json'):
        names, rows = _json(text, path)
    else:
        lines = list(csv.reader(io.StringIO(text), skipinitialspace=True))
        names = [name.strip() for name in lines[0]] if lines else []
        if openface.ANGLES[0] in names:
            return _openface(path)
        rows = lines[1:]
    missing = [name for name in COLUMNS[1:] if name not in names]
    if len(missing) == len(COLUMNS) - 1 or not rows:
        raise UserError(
            f'{path}: no motion; expected columns {COLUMNS[0]}, {COLUMNS[1]} ... {COLUMNS[-1]} and '
            'a row a frame, or a table of OpenFace'
        )
    values = np.full((len(rows), len(COLUMNS)), np.nan)
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise UserError(f'{path}, row {number + 1}: {len(row)} values for {len(names)} columns')
        for name, value in zip(names, row, strict=True):
            if name in COLUMNS:
                values[number, COLUMNS.index(name)] = _number(value, f'{path}, row {number + 1}')
    aus, valid = values[:, 1:], np.isfinite(values[:, 1:])
    return Motion(np.float32(np.where(valid, aus, 0)), valid, _rate(values[:, 0]))


def write(path: str | Path, motion: Motion) -> None:
    """As CSV or JSON, by the suffix."""
    times = [round(float(i / motion.rate), 9) for i in range(len(motion.aus))]
    rows = [
        [time, *(round(float(a), 6) if v else None for a, v in zip(aus, valid, strict=True))]
        for time, aus, valid in zip(times, motion.aus, motion.valid, strict=True)
    ]
    if str(path).lower().endswith('.json'):
        storage.write(str(path), json.dumps({'columns': COLUMNS, 'rows': rows}) + '\n')
        return
    file = io.StringIO()
    csv.writer(file, lineterminator='\n').writerows([COLUMNS, *rows])
    storage.write(str(path), file.getvalue())


def _json(text: str, path) -> tuple[list, list]:
    try:
        content = json.loads(text)
        return list(content['columns']), [list(row) for row in content['rows']]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path}: not a motion: {error!r}') from None


def _openface(path) -> Motion:
    table = openface.read(path)
    first = table.face == table.face[0]
    valid = np.repeat(table.success[first, None], table.aus.shape[1], 1)
    return Motion(table.aus[first], valid, _rate(table.seconds[first]))


def _number(value, where: str) -> float:
    if value in ('', None):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f'{where}: {value!r} is no number') from None


def _rate(times: Float[np.ndarray, ' t']) -> Fraction:
    """Frames a second of times; without them as a folder of stills."""
    length = float(times[-1] - times[0])
    if not length > 0:  # NaN too
        return media.FOLDER_RATE
    return Fraction((len(times) - 1) / length).limit_denominator(1001)
