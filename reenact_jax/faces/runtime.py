"""MediaPipe: imported when first needed, silent, closed in time."""

import contextlib
import os
import sys
import threading

from reenact_jax.common.errors import UserError

_QUIET = threading.RLock()  # descriptor 2 is the whole process's: one thread at a time turns it


def mediapipe():
    """Import MediaPipe when it is first needed.

    Raises:
      UserError: it is missing; the message names the extra.
    """
    try:
        with contextlib.nullcontext() if 'mediapipe' in sys.modules else quiet():
            import mediapipe
    except ImportError:
        raise UserError('finding faces needs MediaPipe: pip install "reenact_jax[video]"') from None
    return mediapipe


def close(tasks: dict) -> None:
    """Close MediaPipe's tasks; for `weakref.finalize`."""
    for task in tasks.values():
        # At the interpreter's end MediaPipe's threads are gone before any handler of ours runs; it
        # cannot close then, and its __del__ would print a traceback unless told that it has.
        with contextlib.suppress(RuntimeError):
            task.close()
        task._handle = None
    tasks.clear()


@contextlib.contextmanager
def quiet():
    """Silence what MediaPipe's C++ writes to file descriptor 2; Python's exceptions pass."""
    with _QUIET:
        kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(null)
