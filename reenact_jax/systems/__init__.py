"""One file a system, every file in the same order; a system is such a module of pure functions."""

from reenact_jax.systems import aan, facegan, freenet, marionette, pix2pix
from reenact_jax.systems.ldnet_fdgan import fdgan, ldnet

SYSTEMS = {
    'ldnet': ldnet,
    'fdgan': fdgan,
    'aan': aan,
    'freenet': freenet,
    'facegan': facegan,
    'marionette': marionette,
    'pix2pix': pix2pix,
}
