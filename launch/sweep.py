"""`python launch/sweep.py`: see reenact_jax/sweeps/command.py."""

from reenact_jax.common import errors
from reenact_jax.sweeps import command

if __name__ == '__main__':
    errors.command(command.main)
