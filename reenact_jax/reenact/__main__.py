"""`python -m reenact_jax.reenact`: see reenact/command.py."""

import sys

from reenact_jax.common import errors
from reenact_jax.reenact import command

if __name__ == '__main__':
    errors.command(command.main, sys.argv[1:])
