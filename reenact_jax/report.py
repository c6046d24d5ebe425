"""`python -m reenact_jax.report`: see evaluate/report.py."""

from reenact_jax.common import errors
from reenact_jax.evaluate import report

if __name__ == '__main__':
    errors.command(report.main)
