"""`python -m reenact_jax.export`: see export/command.py."""

from reenact_jax.common import errors
from reenact_jax.export import command

if __name__ == '__main__':
    errors.command(command.main)
