"""`python -m reenact_jax`: the same as the program `reenact-jax`."""

from reenact_jax import commands

if __name__ == '__main__':
    commands.entry()
