"""`python -m reenact_jax.train`: the command in train/command.py."""

import os

from reenact_jax.common import errors
from reenact_jax.train import command

if __name__ == '__main__':
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    errors.command(command.main)
