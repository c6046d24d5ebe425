"""`python -m reenact_jax.to_onnx`: see export/onnx/command.py."""

from reenact_jax.common import errors
from reenact_jax.export.onnx import command

if __name__ == '__main__':
    errors.command(command.main)
