"""`python -m reenact_jax.app`: see app/command.py."""

import sys

from reenact_jax.app import command
from reenact_jax.common import errors

if __name__ == '__main__':
    errors.command(command.main, sys.argv[1:])
