"""Programs of strangers: read and checked in a process of its own, which may crash or be ended.

XLA's reader of programs is native code that a damaged file can crash, and jax's own part of the
format can be made to take forever. So another process reads them first, in bounded time and memory.
What has passed is remembered by its digest, and what this machine exported is checked when it is
written: such programs are not checked again.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
import resource
import subprocess
import sys
import time
from typing import Any

import jax
import jaxlib
from jax import core as jax_core

from reenact_jax.common.errors import UserError
from reenact_jax.trust import stablehlo
from reenact_jax.trust.stablehlo import Refused

RULES = 1  # grows with every change of the rules: what passed older ones is checked again
SECONDS = 3  # of CPU that reading and checking one program may take
PATIENCE = 90  # seconds until the process is given up, on a machine that is busy with other work
MEMORY = 900_000_000  # bytes that the process may use
REMEMBERED = '~/.cache/reenact_jax/checked'
_CHILD = 'from reenact_jax.trust import programs; programs.child()'


def check(programs: dict[str, bytes]) -> None:
    """Check programs before jax reads them.

    Args:
      programs: name for messages -> serialised `jax.export.Exported`.

    Raises:
      Refused: a program is not allowed; the text begins with its name.
    """
    new = {name: content for name, content in programs.items() if not _known(content)}
    if not new:
        return
    answer = _asked(new)
    if answer:
        raise Refused(answer)
    for content in new.values():
        remember(content)


def examine(content: bytes) -> None:
    """Check one program in this process, which a hostile one could end.

    Raises:
      Refused: it is not allowed.
    """
    exported = jax.export.deserialize(bytearray(content))
    _check_call(exported)
    module = stablehlo.read(exported.mlir_module_serialized)  # lives as long as its parts are used
    main: Any = stablehlo.check(module)
    kind = main.attributes['function_type'].value
    kept = [exported.in_avals[n] for n in exported.module_kept_var_idx]
    given = [_shape(one) for one in kind.inputs]
    if len(exported.platforms) > 1:
        kept.insert(0, jax_core.ShapedArray((), 'int32'))
    for found, wanted in ((given, kept), ([_shape(x) for x in kind.results], exported.out_avals)):
        if found != [_aval(one) for one in wanted]:
            raise Refused('its function does not have the arguments and results that it names')


def remember(content: bytes) -> None:
    """Remember that a program has passed; where the folder cannot be written, it is not."""
    with contextlib.suppress(OSError):
        os.makedirs(_remembered(), exist_ok=True)
        with open(os.path.join(_remembered(), _key(content)), 'w'):
            pass


def child() -> None:
    """Check the programs on standard input and print what is wrong: the process of its own."""
    lengths = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    wrong = None
    for name, length in lengths:
        used = math.ceil(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + SECONDS, resource.RLIM_INFINITY))
        print(json.dumps(f'{name}: reading it takes too long, or ends the process'), flush=True)
        try:
            examine(sys.stdin.buffer.read(length))
        except BaseException as error:  # whatever it is, the program is not one of ours
            wrong = f'{name}: {error if isinstance(error, Refused) else _short(error)}'
            break
    print(json.dumps(wrong), flush=True)
    os._exit(0)


def _asked(programs: dict[str, bytes]) -> str | None:
    """Ask another process what is wrong; None: nothing."""
    head = json.dumps([[name, len(content)] for name, content in programs.items()]).encode()
    path = os.pathsep.join(os.path.abspath(one) for one in sys.path if one)
    # -P: not a module of the current folder, which may be the stranger's.
    environment = os.environ | {'PYTHONPATH': path, 'JAX_PLATFORMS': 'cpu'}
    try:
        run = subprocess.run(
            [sys.executable, '-P', '-c', _CHILD], input=head + b'\n' + b''.join(programs.values()),
            capture_output=True, timeout=PATIENCE, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f'{", ".join(programs)}: reading them takes more than {PATIENCE} seconds'
    lines = run.stdout.splitlines()
    if not lines:
        said = run.stderr.decode(errors='replace')[-500:]
        raise UserError(f'the process that checks programs did not start: {said}')
    return json.loads(lines[-1])


def _check_call(exported: jax.export.Exported) -> None:
    """Check what is around the program.

    Raises:
      Refused: something is not as in a bundle's function.
    """
    unusual = {
        'effects': exported.ordered_effects or exported.unordered_effects,
        'several devices': exported.nr_devices != 1,
        'checks that are switched off': exported.disabled_safety_checks,
        'shardings': any((*exported.in_shardings_hlo, *exported.out_shardings_hlo)),
    }
    if found := [name for name, wrong in unusual.items() if wrong]:
        raise Refused(f'a program with {", ".join(found)}')
    kept = list(exported.module_kept_var_idx)
    if kept != sorted(set(kept)) or (kept and kept[-1] >= len(exported.in_avals)):
        raise Refused('the list of its arguments is wrong')


def _shape(kind) -> tuple:
    return tuple(None if n < 0 else n for n in kind.shape), str(kind.element_type)


def _aval(aval) -> tuple:
    """Return shape and type as `_shape` does."""
    name = aval.dtype.name
    for long, short in {'bfloat': 'bf', 'float': 'f', 'uint': 'ui', 'int': 'i'}.items():
        if name.startswith(long):
            name = short + name.removeprefix(long)
            break
    shape = tuple(n if isinstance(n, int) else None for n in aval.shape)
    return shape, {'bool': 'i1'}.get(name, name)


def _short(error: BaseException) -> str:
    return f'not a readable program ({type(error).__name__}: {str(error)[:200]})'


@functools.cache
def _remembered() -> str:
    return os.path.expanduser(REMEMBERED)


def _known(content: bytes) -> bool:
    return os.path.isfile(os.path.join(_remembered(), _key(content)))


def _key(content: bytes) -> str:
    version = f'{RULES} {jax.__version__} {jaxlib.__version__} '.encode()
    return hashlib.sha256(version + content).hexdigest()
