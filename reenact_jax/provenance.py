"""`python -m reenact_jax.provenance`: see media/provenance.py."""

from reenact_jax.common import errors
from reenact_jax.media import provenance

if __name__ == '__main__':
    errors.command(provenance.main)
