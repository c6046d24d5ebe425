"""Files of lines that grow. In a bucket, which cannot append, a file is several objects: parts.

The first part has the file's own name, `metrics.jsonl`, the others a number as well,
`metrics-00001.jsonl`. Each writer begins a part of its own and sends all of it again when it is
due, so that no part has two writers and what is sent stays small. Readers read all parts in order,
on this machine too: a folder that was copied from a bucket is read as it was there.
"""

import re
import time
from collections.abc import Callable

from etils import epath

from reenact_jax.common import storage

DUE_SECONDS = 30.0  # from one sending of a part to the next
PART_BYTES = 1_000_000  # a part of more is followed by a new one


def read(name: epath.PathLike) -> list[str]:
    """Read all whole lines in order, without their ends; leave out a last one that was cut off."""
    return [line for part in _parts(name) for line in _lines(part)]


def keep(name: epath.PathLike, wanted: Callable[[str], bool]) -> None:
    """Remove the lines that are not wanted, and a last one that was cut off.

    Args:
      name: the file.
      wanted: tells of a line, without its end, whether it stays.
    """
    parts = _parts(name)
    if storage.is_local(name):  # as one file, which can be appended to
        lines = dict.fromkeys(line for part in parts for line in _lines(part) if wanted(line))
        storage.write(name, ''.join(f'{line}\n' for line in lines))
        for part in parts:
            if _number(part, name):
                storage.remove(part)
        return
    for part in parts:
        before = _lines(part)
        after = [line for line in before if wanted(line)]
        if not after:
            storage.remove(part)
        elif after != before:
            storage.write(part, ''.join(f'{line}\n' for line in after))


class Appender:
    """An appender to a file of lines: they go out at once on this machine, in a bucket when due."""

    def __init__(self, name: epath.PathLike):
        """Begin to add lines.

        Args:
          name: the file, which need not exist; its folder must.
        """
        self._name, self._file = name, None
        if storage.is_local(name):
            self._file = storage.path(name).open('a')
        else:
            parts = _parts(name)
            self._number = 1 + _number(parts[-1], name) if parts else 0
            self._text, self._sent, self._at = '', '', time.monotonic()

    def add(self, line: str) -> None:
        """Add a line, given without its end."""
        if self._file is not None:
            self._file.write(line + '\n')
            self._file.flush()
            return
        self._text += line + '\n'
        if time.monotonic() - self._at > DUE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send what has not been sent."""
        if self._file is not None or self._text == self._sent:
            return
        storage.write(_part(self._name, self._number), self._text)
        self._sent, self._at = self._text, time.monotonic()
        if len(self._text) > PART_BYTES:
            self._number, self._text, self._sent = self._number + 1, '', ''

    def close(self) -> None:
        """Send the rest and close the file."""
        self.flush()
        if self._file is not None:
            self._file.close()


def _parts(name: epath.PathLike) -> list[str]:
    """List the parts that exist, in order."""
    file = storage.path(name)
    if not storage.is_dir(file.parent):
        return []
    pattern = re.compile(rf'{re.escape(file.stem)}(-\d{{5}})?{re.escape(file.suffix)}')
    matches = (part for part in storage.names(file.parent) if pattern.fullmatch(part))
    parts = [str(file.parent / part) for part in matches]
    return sorted(parts, key=lambda part: _number(part, name))


def _part(name: epath.PathLike, number: int) -> str:
    file = storage.path(name)
    return str(file.with_stem(f'{file.stem}-{number:05d}')) if number else str(file)


def _number(part: str, name: epath.PathLike) -> int:
    stem, base = storage.path(part).stem, storage.path(name).stem
    return int(stem.removeprefix(f'{base}-')) if stem != base else 0


def _lines(part: str) -> list[str]:
    return storage.read(part).decode(errors='replace').split('\n')[:-1]
