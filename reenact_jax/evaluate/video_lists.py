"""Lists of videos as papers hand them out (VoxCeleb's): CSV files that name videos, not frames.

`source,driving` (more columns do no harm): the first frame of one video, driven by all of another.
One column `video`: the first frame of each, driven by its others (reconstruction). A name is that
of a track, or of the file that a track was cut from, with or without folder and ending; of several
tracks of one file the first is taken. Videos that the set lacks are counted and left out: part of
VoxCeleb's are gone.
"""

import sys

import numpy as np
from etils import epath

from reenact_jax.common import tables
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate.pairs import NONE, Pairs

CROSS, SELF = ('source', 'driving'), ('video',)


def is_list(path: epath.PathLike) -> bool:
    """Tell by its first line whether a file is such a list."""
    return _kind(_table(path)) is not None


def read(path: epath.PathLike, part: ShardSet) -> Pairs:
    """Read a list.

    Args:
      path: of the file.
      part: split of a shard set, made of those videos.

    Returns:
      Pairs of the kind `self` or `cross`.

    Raises:
      UserError: the file cannot be read (tables.py), a row is short, or the set has none of the
        videos.
    """
    table = _table(path)
    columns, places = _kind(table) or SELF, _tracks(part)
    head, rows, absent = tables.header(table[0][1] if table else [], path), [], 0
    if missing := [name for name in columns if name not in head]:
        raise UserError(f'{path}: has no column {missing[0]!r}')
    at = [head.index(name) for name in columns]
    for number, cells in table[1:]:
        if len(cells) <= max(at):
            raise UserError(f'{path}, line {number}: {len(cells)} cells, expected {len(head)}')
        found = [_find(cells[i].strip(), places) for i in at]
        records = [record for record in found if record is not None]
        if len(records) < len(at):
            absent += 1
        else:
            rows += _pairs(part, *records)
    if not rows:
        raise UserError(
            f'{path}: {part.directory}, split {part.split}, has none of its videos, such as '
            f'{table[1][1][at[0]] if len(table) > 1 else "(no rows)"}'
        )
    if absent:
        print(
            f'{path}: {absent} of {len(table) - 1} rows name videos that {part.directory}, split '
            f'{part.split}, does not have; left out',
            file=sys.stderr,
        )
    return Pairs('self' if columns == SELF else 'cross', 0, np.array(rows, np.int64))


def _pairs(part: ShardSet, source: int, driving: int | None = None) -> list[tuple]:
    """List the pairs of a row."""
    if driving is None:
        frames = range(1, int(part.columns.frames[source]))
        return [(source, 0, source, frame, source, frame) for frame in frames]
    frames = range(int(part.columns.frames[driving]))
    return [(source, 0, driving, frame, NONE, NONE) for frame in frames]


def _kind(table: list[tuple[int, list[str]]]) -> tuple[str, ...] | None:
    """Return the columns that a table is read by; None: it is no such list."""
    head = {name.strip() for name in table[0][1]} if table else set()
    return next((columns for columns in (CROSS, SELF) if head >= set(columns)), None)


def _table(path: epath.PathLike) -> list[tuple[int, list[str]]]:
    return list(tables.rows(tables.text(path), path))


def _tracks(part: ShardSet) -> dict[str, int]:
    """Map every name by which a track may be called to its record; the first track has a name."""
    places: dict[str, int] = {}
    names = [str(name) for name in part.columns.track_id]
    for forms in (lambda text: [text], _forms, lambda text: _forms(text.rpartition('#')[0])):
        for record, text in enumerate(names):
            for form in forms(text):
                places.setdefault(form, record)
    return places


def _find(name: str, places: dict[str, int]) -> int | None:
    return next((places[form] for form in [name, *_forms(name)] if form in places), None)


def _forms(text: str) -> list[str]:
    """Return a name without its folder, and without its ending too."""
    name = text.rpartition('/')[2]
    stem, _, ending = name.rpartition('.')
    return [form for form in (name, stem if ending.isalnum() else '') if form]
