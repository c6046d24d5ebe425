"""Errors a user can act on, and the one way a command reports them.

A `UserError` names the file, field or flag, what was expected and what to do. `command` turns it
into one message on standard error and exit code 1; every other exception keeps its traceback,
because it is a defect of ours.
"""

import sys
from collections.abc import Callable


class UserError(Exception):
    """Bad input: a file, field or flag that the user can put right."""


def command(main: Callable[..., int | None], *args) -> None:
    """Run a command's `main`, print a `UserError` as `error: ...`, and exit (1 for an error)."""
    try:
        code = main(*args)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        code = 1
    except BrokenPipeError:  # `... | head` closed the pipe: nothing to report
        code = 0
    sys.exit(code or 0)
