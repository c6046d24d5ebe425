"""Errors that a user can act on, and the one way a command reports them.

A `UserError` names the file, field or flag, what was expected and what to do. `command` turns it
into one message on standard error and exit code 1; every other exception keeps its traceback,
because it is a defect of ours.
"""

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn


class UserError(Exception):
    """Bad input: a file, field or flag that the user can put right; its text says how.

    Examples:
      >>> try:
      ...     reenact_jax.load('out/nothing')
      ... except reenact_jax.UserError as error:
      ...     print(error)
      out/nothing: no bundle here (no card.json); make one with reenact-jax export
    """


class Parser(argparse.ArgumentParser):
    """A parser of flags that refuses by `UserError` and prints a docstring as it is."""

    def __init__(self, prog: str, description: str | None, **keywords):
        """Take the arguments of `argparse.ArgumentParser`."""
        keywords.setdefault('formatter_class', argparse.RawDescriptionHelpFormatter)
        super().__init__(prog=prog, description=description, **keywords)

    def error(self, message: str) -> NoReturn:
        """Raise UserError, where argparse ends the process with exit code 2."""
        raise UserError(f'{message}; see {self.prog} --help')


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as an error does, so that drafts are removed."""

    def end(number: int, _) -> NoReturn:
        sys.exit(128 + number)  # as shells have it

    both = signal.SIGTERM, signal.SIGHUP
    numbers = [number for number in both if signal.getsignal(number) == signal.SIG_DFL]  # no nohup
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def command(main: Callable[..., int | None], *args) -> None:
    """Run a command's `main`, print a `UserError` as `error: ...`, and exit (1 for an error).

    Without arguments, in `sys.argv` and here, the command shows its help.

    Args:
      main: takes the arguments of the command line, `sys.argv` by default; returns the exit code.
      *args: handed to `main`.
    """
    if not args and len(sys.argv) == 1:
        args = (['--help'],)
    try:
        with _ended_by_signals():
            code = main(*args)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        code = 130
    except BrokenPipeError:  # `... | head` closed the pipe: nothing to report
        code = 0
    sys.exit(code or 0)
