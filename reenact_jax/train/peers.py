"""The other processes of a run: what happens when one of them is gone."""

import contextlib
import os
import sys
from collections.abc import Iterator

import jax
from jax.errors import JaxRuntimeError

# In errors of collectives and of the coordination service; none is in one about missing memory.
_SIGNS = ('gloo', 'nccl', 'connection', 'socket', 'unavailable', 'heartbeat', 'barrier', 'deadline')


def is_loss(error: RuntimeError) -> bool:
    """Tell whether an error of the runtime says that another process cannot be reached."""
    return any(sign in str(error).lower() for sign in _SIGNS)


@contextlib.contextmanager
def leaving_with_them() -> Iterator[None]:
    """End this process, with a message and exit code 1, when another one is lost in the block.

    It ends at once, without the handlers of an exit: those would wait for the lost one, until the
    heartbeat's timeout. The checkpoint under way, if any, stays incomplete, and the next start
    sweeps it away.
    """
    try:
        yield
    except JaxRuntimeError as error:
        if jax.process_count() == 1 or not is_loss(error):
            raise
        reason = str(error).strip().splitlines()[0]
        print(
            f'error: process {jax.process_index()} of {jax.process_count()}: another process of '
            f'this run ended or cannot be reached ({reason}); look for the first error in the '
            'logs of the others, then start all of them again: the same command resumes',
            file=sys.stderr,
        )
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
