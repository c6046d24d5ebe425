"""`python -m reenact_jax.evaluate`: see evaluate/command.py."""

from reenact_jax.common import errors
from reenact_jax.evaluate import command

if __name__ == '__main__':
    errors.command(command.main)
