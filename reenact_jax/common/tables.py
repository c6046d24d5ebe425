"""Tables and texts from outside: encodings, sizes, separators, names of columns, numbers.

Every reader of CSV goes through here, so that all refuse the same: pipes and devices, files of more
than a size, text that is neither UTF-8 nor UTF-16, damaged lines, columns with the same name, and
numbers that are not finite as float32.
"""

import codecs
import csv
import io
import math
from collections.abc import Iterator

import numpy as np
from etils import epath

from reenact_jax.common import regular, storage
from reenact_jax.common.errors import UserError

MAX_BYTES = 128_000_000
LARGEST = float(np.finfo(np.float32).max)
_UTF16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE


def text(path: epath.PathLike, most: int = MAX_BYTES) -> str:
    """Read a text file in UTF-8, or in UTF-16 with its mark, as spreadsheets write it.

    Args:
      path: the file.
      most: largest size, bytes.

    Raises:
      UserError: there is no such file, it is no regular file, too large, or in another encoding.
    """
    given = content(path, most)
    encoding = 'utf-16' if given.startswith(_UTF16) else 'utf-8-sig'
    try:
        found = given.decode(encoding)
    except UnicodeDecodeError as error:
        line = given.count(b'\n', 0, error.start) + 1
        raise UserError(
            f'{path}, line {line}: not {encoding.removesuffix("-sig").upper()} (perhaps Latin-1); '
            'save it as UTF-8'
        ) from None
    if '\0' in found:
        line = found.count('\n', 0, found.index('\0')) + 1
        raise UserError(f'{path}, line {line}: zero bytes; save it as UTF-8')
    return found


def rows(content: str, path: epath.PathLike, delimiter: str = ',') -> Iterator[tuple[int, list]]:
    """Yield (number of the line, cells) of the lines that are not empty.

    Raises:
      UserError: a line is damaged, or a cell has more than 131,072 characters.
    """
    content = content.replace('\r\n', '\n').replace('\r', '\n')
    lines = csv.reader(io.StringIO(content), skipinitialspace=True, delimiter=delimiter)
    while True:
        try:
            line = next(lines, None)
        except csv.Error as error:
            raise UserError(f'{path}, line {lines.line_num}: {error}') from None
        if line is None:
            return
        if line:
            yield lines.line_num, line


def header(cells: list[str], path: epath.PathLike) -> list[str]:
    """Return the names of columns, without spaces around them.

    Raises:
      UserError: a name stands twice.
    """
    names = [cell.strip() for cell in cells]
    twice = sorted({name for name in names if name and names.count(name) > 1})[:4] if (
        len(set(names)) < len(names)
    ) else []  # fmt: skip
    if twice:
        raise UserError(f'{path}: column {", ".join(twice)} twice; delete one of them')
    return names


def number(cell: object, where: str, largest: float = LARGEST) -> float:
    """Read a cell as a finite number; an empty one is NaN.

    Args:
      cell: text, or a number of JSON.
      where: file and line, for the message.
      largest: of the absolute value.

    Raises:
      UserError: it is no number, or not between -largest and largest.
    """
    if cell in ('', None):
        return math.nan
    try:
        value = float(cell)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        raise UserError(f'{where}: {str(cell)[:40]!r} is no number') from None
    if not abs(value) <= largest:
        raise UserError(
            f'{where}: {str(cell)[:40]!r}, expected a number up to {largest:g}, or an empty cell '
            'where it is unknown'
        )
    return value


def content(path: epath.PathLike, most: int = MAX_BYTES) -> bytes:
    """Read a whole file of at most `most` bytes.

    Raises:
      UserError: there is no such file, it is no regular file, or too large.
    """
    if storage.is_local(path):
        try:
            return regular.read(storage.path(path), most)
        except FileNotFoundError:
            raise UserError(f'{path}: no such file') from None
    if (storage.size(path) or 0) > most:
        raise UserError(f'{path}: more than {most:,} bytes')
    return storage.read(path)
