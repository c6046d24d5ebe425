"""Named changes of a face's action units and head angles (FACEGAN: selective editing, figure 6).

A change sets a value; with a leading + it adds to the face's own value (`+-0.2` lowers it). Units
are named by number, 12 is AU12, and run from 0 to 1. Angles are in degrees, with axes as in
tracks.py.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import AU_NAMES, POSE_NAMES

ANGLES = {'pitch': 'R_x', 'yaw': 'R_y', 'roll': 'R_z'}
NAMES = AU_NAMES + POSE_NAMES  # names of the 20 numbers
_MEANINGS = {
    1: 'inner brows up', 2: 'outer brows up', 4: 'brows down', 5: 'upper lids up', 6: 'cheeks up',
    7: 'lids tight', 9: 'nose wrinkled', 10: 'upper lip up', 12: 'smile', 14: 'dimples',
    15: 'corners of the mouth down', 17: 'chin up', 20: 'lips stretched', 23: 'lips tight',
    25: 'lips apart', 26: 'jaw down', 45: 'eyes shut',
}  # fmt: skip


class Change(NamedTuple):
    """A change of one of the 20 numbers."""

    index: int
    value: float
    relative: bool  # whether the value is added to the face's own


def parse(units: Iterable[str], angles: Mapping[str, str | None] | None = None) -> list[Change]:
    """Read changes.

    Args:
      units: texts such as '12=0.8' and '45=+0.3'.
      angles: angle -> degrees as a text, such as {'yaw': '15'}; None: no change.

    Raises:
      UserError: a text has another form, a unit is unknown or given twice, or a value is out
        of range.
    """
    changes: dict[int, Change] = {}
    for text in units:
        name, sign, value = text.partition('=')
        index = unit(name, f'--au {text}')
        if index in changes:
            raise UserError(f'--au {text}: {NAMES[index]} was given already')
        change = _change(index, value if sign else '', f'--au {text}')
        if not change.relative and not 0 <= change.value <= 1:
            raise UserError(f'--au {text}: a unit runs from 0 to 1; +{value} adds to its own value')
        changes[index] = change
    for angle, value in (angles or {}).items():
        if value is None:
            continue
        index = NAMES.index(ANGLES[angle])
        change = _change(index, value, f'--pose-{angle} {value}')
        if abs(change.value) > 90:
            raise UserError(f'--pose-{angle} {value}: degrees from -90 to 90')
        changes[index] = change._replace(value=float(np.deg2rad(change.value)))
    return list(changes.values())


def unit(name: str, where: str) -> int:
    """Return the place of a unit among the 20 numbers.

    Args:
      name: '12' or 'AU12'.
      where: what an error message starts with.

    Raises:
      UserError: there is no such unit.
    """
    number = re.fullmatch(r'(?:AU)?0*(\d+)', name.strip(), re.IGNORECASE)
    known = {int(unit_name[2:]): i for i, unit_name in enumerate(AU_NAMES)}
    if not number or int(number[1]) not in known:
        raise UserError(f'{where}: no such action unit; there are {", ".join(map(str, known))}')
    return known[int(number[1])]


def apply(face: dict, changes: Iterable[Change], amount=1.0) -> dict:
    """Change a face's `aus`; what is changed counts as known.

    Args:
      face: arrays as in `tracks.Face`, with `aus` [..., 20] and `aus_valid`.
      changes: applied one after the other.
      amount: share of the way from the face's own values, [] or as `aus` without its last axis.
    """
    aus, valid = np.array(face['aus'], np.float32), np.array(face['aus_valid'], np.float32)
    aus = np.where(valid > 0, aus, 0)
    for index, value, relative in changes:
        before = aus[..., index]
        end = before + value if relative else value
        if index < len(AU_NAMES):
            end = np.clip(end, 0, 1)
        aus[..., index] = before + np.asarray(amount) * (end - before)
        valid[..., index] = 1
    return {**face, 'aus': aus, 'aus_valid': valid}


def meaning(name: str) -> str:
    """Say what a unit does, by its name, such as 'AU12'."""
    return _MEANINGS[int(name.removeprefix('AU'))]


def describe() -> str:
    """Return one line per unit, for --help."""
    return '\n'.join(f'  {number:<4}{text}' for number, text in _MEANINGS.items())


def _change(index: int, text: str, where: str) -> Change:
    """Read the value of a change; `where` starts an error message."""
    relative = text.startswith('+')
    number = text.removeprefix('+')
    if not re.fullmatch(r'-?(\d+\.?\d*|\.\d+)', number):
        raise UserError(f'{where}: expected a number, or + and a number to add')
    return Change(index, float(number), relative)
