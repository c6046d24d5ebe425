"""The footage to be read: videos and stills from folders and globs, and who is in them."""

import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from reenact_jax.common import tables
from reenact_jax.common.errors import UserError
from reenact_jax.data_prep.gather import CONSENT
from reenact_jax.data_prep.parts import Part
from reenact_jax.media import kinds, reading


class Source(NamedTuple):
    """An input file, or a part of one, with its labels."""

    path: Path  # a video, a still, or a folder of stills
    key: str  # path below the input it was found in: unique in the set
    identity: str  # name of the person; files with the same name show the same person
    licence: str
    consent: str
    split: str = ''  # where a published list puts the person, see `dealing.deal`; '': nowhere
    tables: tuple[Path, ...] = ()  # files that tell the part
    part: Callable[[], Part] | None = None  # reads it; None: the whole file

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the file itself, for a video is one input, and the tables of its part."""
        return (self.path, *self.tables)


def is_video(path: Path) -> bool:
    """Tell by its content whether a file is a video."""
    found = kinds.tell(path)
    return found is not None and found.kind != 'still'


def find(inputs: Sequence[str]) -> list[tuple[Path, str]]:
    """List the videos and stills of the inputs with their keys, in natural order.

    Files are told by their content; hidden ones are left out. `unused` names the others.

    Args:
      inputs: folders (searched with their sub-folders), globs or files.

    Raises:
      UserError: an input has no videos or stills, or two files have one key.
    """
    paths: dict[str, Path] = {}
    for item in inputs:
        files = [(path, key) for path, key in _expand(item) if not _useless(path)]
        if not files:
            raise UserError(
                f'{item}: no videos or stills there; the usual ones are '
                f'{" ".join(kinds.VIDEO_SUFFIXES + kinds.STILL_SUFFIXES)}'
            )
        for path, key in files:
            if paths.get(key, path) != path:
                raise UserError(
                    f'{path} and {paths[key]} would both be {key!r} in the set; give the folder '
                    'above both as the input'
                )
            paths[key] = path
    return sorted(((p, key) for key, p in paths.items()), key=lambda item: reading.natural(item[1]))


def unused(inputs: Sequence[str]) -> dict[str, str]:
    """Return the files that are neither videos nor stills: key -> reason."""
    files = [pair for item in inputs for pair in _expand(item)]
    reasons = {key: _useless(path) for path, key in files}
    return {key: reason for key, reason in sorted(reasons.items()) if reason}


def _useless(path: Path) -> str | None:
    try:
        return None if kinds.tell(path) else 'neither a video nor a still by its content'
    except UserError as error:
        return str(error).removeprefix(f'{path}: ')


def label(
    files: Sequence[tuple[Path, str]],
    table: str | Path | None = None,
    licence: str = 'unknown',
    consent: str = 'unknown',
) -> list[Source]:
    """Label files with identity, licence and consent.

    The identity comes from the table; else it is the first sub-folder (`anna/take1.mp4` is anna);
    else the file's own name: one person a file.

    Args:
      files: paths with their keys, from `find`.
      table: CSV, or TSV by its suffix, with columns file (name or key), identity, and optionally
        licence (or licence_as_stated) and consent (yes, no, unknown, synthetic).
      licence: of the files for which the table gives none.
      consent: likewise.

    Raises:
      UserError: the table lacks a column or a value, or names none of the files; a consent is
        unknown.
    """
    rows = _read_table(Path(table)) if table else {}
    sources = []
    for path, key in files:
        row = rows.get(key) or rows.get(path.name) or {}
        parts = Path(key).parts
        name = parts[0] if len(parts) > 1 else Path(key).stem
        said = row.get('licence') or row.get('licence_as_stated') or licence
        source = Source(path, key, row.get('identity') or name, said, row.get('consent') or consent)
        if source.consent not in CONSENT:
            raise UserError(f'{key}: consent {source.consent!r} is not one of {", ".join(CONSENT)}')
        sources.append(source)
    unused = set(rows) - {key for _, key in files} - {path.name for path, _ in files}
    if rows and len(unused) == len(rows):
        raise UserError(f'{table}: names none of the input files (its column `file`)')
    return sources


def doubts(sources: Sequence[Source], table: str | Path | None) -> str | None:
    """Say what is odd about identities that come from the names of folders; None: nothing.

    Args:
      sources: from `label`.
      table: the labels; with them nothing is odd.
    """
    people = {source.identity for source in sources}
    if table or len(sources) < 2:
        return None
    if len(people) == 1 and all(len(Path(source.key).parts) > 1 for source in sources):
        return (
            f'all {len(sources)} files are taken to show one person, {people.pop()!r}, the name of '
            'the only sub-folder; give the folder whose sub-folders are people, --labels, or '
            "a set's --layout"
        )
    if len(people) == len(sources):
        return (
            f'each of the {len(sources)} files is taken to show another person; where that is not '
            "so, give a folder with a sub-folder a person, --labels, or a set's --layout"
        )
    return None


def _expand(item: str) -> list[tuple[Path, str]]:
    root = Path(item)
    if root.is_dir():
        files = [p for p in root.rglob('*') if p.is_file()]
        hidden = [p for p in files if any(part[0] == '.' for part in p.relative_to(root).parts)]
        return [(p, p.relative_to(root).as_posix()) for p in files if p not in hidden]
    paths = [root] if root.exists() else [Path(p) for p in glob.glob(item, recursive=True)]
    if not paths:
        raise UserError(f'{item}: no such file or folder, and no file fits it as a glob')
    return [(p, p.name) for p in paths if p.is_file()]


def _read_table(path: Path) -> dict[str, dict[str, str]]:
    if not path.exists():
        raise UserError(f'--labels {path}: no such file')
    delimiter = '\t' if path.suffix.lower() == '.tsv' else ','
    lines = tables.rows(tables.text(path), path, delimiter)
    header = tables.header(next(lines, (1, []))[1], path)
    for column in ('file', 'identity'):
        if column not in header:
            raise UserError(
                f'{path}: has no column {column!r}; found {header}'
                ' (separated by tabs in .tsv, by commas otherwise)'
            )
    rows: dict[str, dict[str, str]] = {}
    for number, cells in lines:
        row = dict(zip(header, cells, strict=False))
        if not row.get('file') or not row.get('identity'):
            raise UserError(f'{path}, line {number}: file or identity is empty')
        if row['file'] in rows:
            raise UserError(f'{path}, line {number}: {row["file"]!r} stands twice')
        rows[row['file']] = row
    return rows
