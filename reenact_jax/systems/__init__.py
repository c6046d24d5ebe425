"""One file a paper, every file in the same order; a system is such a module of pure functions."""

from reenact_jax.systems import aan, ldnet_fdgan

SYSTEMS = {'ldnet_fdgan': ldnet_fdgan, 'aan': aan}
