"""The files of a folder, by kind, and what a layout makes of them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reenact_jax.common import tables
from reenact_jax.common.errors import UserError
from reenact_jax.data_prep.footage import Source
from reenact_jax.data_prep.stills import Group
from reenact_jax.media import kinds


class Rights(NamedTuple):
    """Licence and consent of all files of a set."""

    licence: str = 'unknown'
    consent: str = 'unknown'


class Listing(NamedTuple):
    """The files below a folder, by suffix; hidden ones are left out."""

    folder: Path
    videos: list[Path]
    frames: list[Path]  # folders of stills
    tables: list[Path]  # other files


class Found(NamedTuple):
    """The inputs of a set, and its files that are not used, each with the reason."""

    sources: list[Source | Group]
    unused: dict[str, str]


def walk(folder: Path) -> Listing:
    """List a folder and its sub-folders, in natural order.

    Raises:
      UserError: it does not exist.
    """
    if not folder.is_dir():
        raise UserError(f'{folder}: no such folder')
    videos, frames, others = [], set(), []
    for path in folder.rglob('*'):
        if any(part[0] == '.' for part in path.relative_to(folder).parts):
            continue
        suffix = path.suffix.lower()
        if suffix in kinds.STILL_SUFFIXES:
            frames.add(path.parent)
        elif path.is_file():
            (videos if suffix in kinds.VIDEO_SUFFIXES else others).append(path)
    return Listing(folder, *(sorted(some, key=kinds.natural) for some in (videos, frames, others)))


def matches(pattern: str, paths: list[Path]) -> Iterator[tuple[Path, re.Match | None]]:
    """Search whole paths for a pattern, so that any folder of a set may be given."""
    compiled = re.compile(pattern)
    for path in paths:
        yield path, compiled.search(path.absolute().as_posix())


def words(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the line, words) of the lines of a text file that have any."""
    for number, line in enumerate(tables.text(path).splitlines(), 1):
        if cells := line.split():
            yield number, cells


def numbers(path: Path, line: int, cells: list[str]) -> list[float]:
    """Read the cells of a line as numbers.

    Raises:
      UserError: one of them is none.
    """
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        raise UserError(f'{path}, line {line}: expected numbers, found {" ".join(cells)}') from None


def below(path: Path, folder: Path) -> str:
    """Write a path as the report names it: below the folder of the set."""
    return path.relative_to(folder).as_posix()
