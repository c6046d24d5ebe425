"""`python -m launch.compile_check`: see reenact_jax/bench/compile_check.py."""

from reenact_jax.bench import compile_check
from reenact_jax.common import errors

if __name__ == '__main__':
    errors.command(compile_check.main)
