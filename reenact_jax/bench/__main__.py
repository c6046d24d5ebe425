"""`python -m reenact_jax.bench`: see bench/command.py."""

from reenact_jax.bench import command
from reenact_jax.common import errors

if __name__ == '__main__':
    errors.command(command.main)
