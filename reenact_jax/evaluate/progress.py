"""Scores of finished cases, a line each, so that an interrupted evaluation goes on."""

import base64
import json

import numpy as np
from etils import epath

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError


def begin(path: epath.PathLike, what: dict) -> None:
    """Makes the file, whose first line says what is measured, or checks that it is the same.

    Raises UserError when the file belongs to another evaluation.
    """
    if not storage.path(path).exists():
        storage.write(path, json.dumps(what) + '\n')
        return
    head = storage.read(path).decode().partition('\n')[0]
    try:
        old = json.loads(head)
    except ValueError:
        raise UserError(f'{path}: not the progress of an evaluation; name another --out') from None
    differ = [name for name in what if old.get(name) != what[name]]
    if differ:
        raise UserError(
            f'{path}: an unfinished evaluation with other {", ".join(differ)}; delete the file, or '
            'name another --out'
        )


def add(path: epath.PathLike, case: dict) -> None:
    """Adds a case: numbers as they are, features as base64."""
    values = {
        method: {name: np.float64(array).tolist() for name, array in found.items()}
        for method, found in case['values'].items()
    }
    features = {
        name: [*array.shape, base64.b64encode(np.float32(array).tobytes()).decode()]
        for name, array in case['features'].items()
    }
    with open(path, 'a') as file:
        file.write(json.dumps(case | {'values': values, 'features': features}) + '\n')


def done(path: epath.PathLike) -> list[dict]:
    """The finished cases; a last line that was cut off is dropped from the file."""
    head, *lines = storage.read(path).decode().split('\n')[:-1]
    storage.write(path, '\n'.join([head, *lines, '']))
    return [_case(json.loads(line)) for line in lines]


def _case(line: dict) -> dict:
    values = {
        method: {name: np.array(value) for name, value in found.items()}
        for method, found in line['values'].items()
    }
    features = {
        name: np.frombuffer(base64.b64decode(data), np.float32).reshape(rows, columns)
        for name, (rows, columns, data) in line['features'].items()
    }
    return line | {'values': values, 'features': features}
