"""What strangers made is checked before it is used: files, cards, programs and weights of a bundle.

It needs what a bundle needs: jax, numpy and safetensors.
"""

from reenact_jax.trust import cards, programs, signatures

__all__ = ['cards', 'programs', 'signatures']
