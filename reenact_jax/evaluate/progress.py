"""Scores of finished cases, a line each, so that an interrupted evaluation resumes."""

import base64
import contextlib
import json
from collections.abc import Callable, Iterator

import numpy as np
from etils import epath

from reenact_jax.common import lines, storage
from reenact_jax.common.errors import UserError


def begin(path: epath.PathLike, what: dict) -> None:
    """Create the file, whose first line says what is measured, or check that it says the same.

    Args:
      path: the file.
      what: plain values that name the evaluation.

    Raises:
      UserError: the file belongs to another evaluation.
    """
    stored = lines.read(path)
    if not stored:
        lines.keep(path, lambda line: False)
        storage.write(path, json.dumps(what) + '\n')
        return
    try:
        old = json.loads(stored[0])
    except ValueError:
        raise UserError(f'{path}: not the progress of an evaluation; name another --out') from None
    differ = [name for name in what if old.get(name) != what[name]]
    if differ:
        raise UserError(
            f'{path}: an unfinished evaluation with other {", ".join(differ)}; delete the file, or '
            'name another --out'
        )


@contextlib.contextmanager
def adding(path: epath.PathLike | None) -> Iterator[Callable[[dict], None]]:
    """Yield a function that adds a finished case; without a file it does nothing."""
    if not path:
        yield lambda case: None
        return
    with contextlib.closing(lines.Appender(path)) as file:
        yield lambda case: file.add(_line(case))


def _line(case: dict) -> str:
    """Write a case as JSON: numbers as they are, features as base64."""
    values = {
        method: {name: np.float64(array).tolist() for name, array in row.items()}
        for method, row in case['values'].items()
    }
    features = {
        name: [*array.shape, base64.b64encode(np.float32(array).tobytes()).decode()]
        for name, array in case['features'].items()
    }
    return json.dumps(case | {'values': values, 'features': features})


def done(path: epath.PathLike) -> list[dict]:
    """Read the finished cases; a damaged line and all behind it are dropped from the file."""
    lines.keep(path, lambda line: True)
    head, *stored = lines.read(path)
    found = []
    for line in stored:
        try:
            found.append(_case(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            break
    if len(found) < len(stored):
        print(f'{path}: line {len(found) + 2} is damaged; measured again from there')
        whole = {head, *stored[: len(found)]}
        lines.keep(path, whole.__contains__)
    return found


def end(path: epath.PathLike) -> None:
    """Remove the file: everything is measured."""
    lines.keep(path, lambda line: False)
    storage.remove(path)


def _case(line: dict) -> dict:
    """Undo `_line`."""
    values = {
        method: {name: np.array(value) for name, value in row.items()}
        for method, row in line['values'].items()
    }
    features = {
        name: np.frombuffer(base64.b64decode(data), np.float32).reshape(rows, columns)
        for name, (rows, columns, data) in line['features'].items()
    }
    return line | {'values': values, 'features': features}
