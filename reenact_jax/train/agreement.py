"""What the processes of a run must agree on before its first step.

Each of them prepares alone: it reads the config, opens the data, looks into the workdir. Then all
tell each other what they found. If one has failed, all end at once with its reason; if two differ,
all end with what differs, instead of training together on different numbers.
"""

import functools
import importlib.metadata
import json
import os
import socket
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

import reenact_jax
from reenact_jax.common import storage
from reenact_jax.common.errors import UserError

T = TypeVar('T')
LIBRARIES = 'jax', 'jaxlib', 'flax', 'optax', 'numpy'
_MOST = 3  # differences that a message names
_LONGEST = 60  # characters of a value in a message


def reach(prepare: Callable[[], T], facts: Callable[[T], dict] = lambda _: {}) -> T:
    """Prepare on every process, and compare what all of them found.

    Args:
      prepare: this process's own part; it must not wait for others.
      facts: what must be the same everywhere, by name, of what `prepare` gives; plain values.

    Returns: What `prepare` gave.

    Raises:
      UserError: on all processes, with the reason of the first one that failed, or with what
        differs between the first one and another.
    """
    if jax.process_count() == 1:
        return prepare()
    failure, result, found = None, None, {}
    try:
        result = prepare()
        found = facts(result)
    except Exception as error:
        failure = error
    mine = {'host': socket.gethostname(), 'facts': found}
    if failure is not None:
        mine['failure'] = str(failure) or type(failure).__name__
    everyone = _exchange(mine)
    if failure is not None:
        raise failure
    _raise_failures(everyone)
    _raise_differences(everyone)
    return result  # pyright: ignore[reportReturnType]


@functools.cache
def code() -> dict[str, str]:
    """Versions of the libraries, and a digest of this package's source files."""
    folder = storage.path(os.path.dirname(reenact_jax.__file__))
    files = [name for name in storage.files(folder) if name.endswith('.py')]
    text = ''.join(name + storage.file_digest(folder / name) for name in files)
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {'reenact_jax': storage.digest(text.encode())[:16]} | versions


def _exchange(mine: dict) -> list[dict]:
    """Give every process what each of them says, in their order."""
    text = np.frombuffer(json.dumps(mine, default=str).encode(), np.uint8)
    lengths = multihost_utils.process_allgather(np.array(text.size)).reshape(-1)
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: text.size] = text
    rows = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(lengths), -1)
    return [json.loads(row[:n].tobytes()) for row, n in zip(rows, lengths, strict=True)]


def _raise_failures(everyone: list[dict]) -> None:
    for process, one in enumerate(everyone):
        if 'failure' in one:
            raise UserError(f'{_name(process, everyone)} failed: {one["failure"]}')


def _raise_differences(everyone: list[dict]) -> None:
    first = _flat(everyone[0]['facts'])
    for process, one in enumerate(everyone):
        other = _flat(one['facts'])
        names = [name for name in sorted(first | other) if first.get(name) != other.get(name)]
        if names:
            told = [f'{name}: {_short(first, name)} and {_short(other, name)}' for name in names]
            more = f'; and {len(told) - _MOST} more' if len(told) > _MOST else ''
            raise UserError(
                f'the processes of this run differ; {_name(0, everyone)} and '
                f'{_name(process, everyone)}: {"; ".join(told[:_MOST])}{more}; '
                'start all of them with the same config, data and code'
            )


def _name(process: int, everyone: list[dict]) -> str:
    return f'process {process} of {len(everyone)} ({everyone[process]["host"]})'


def _short(values: dict, name: str) -> str:
    text = repr(values.get(name))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + '...'


def _flat(values: dict, prefix: str = '') -> dict:
    """Nested dicts as one, names joined by dots."""
    flat = {}
    for name, value in values.items():
        inner = value if isinstance(value, dict) else None
        flat |= _flat(inner, f'{prefix}{name}.') if inner else {prefix + name: value}
    return flat
