"""`python -m reenact_jax.shards`: see data/shards/command.py."""

from reenact_jax.common import errors
from reenact_jax.data.shards import command

if __name__ == '__main__':
    errors.command(command.main)
