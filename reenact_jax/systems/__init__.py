"""One file a system, every file in the same order; a system is such a module of pure functions."""

from types import ModuleType

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


def able(module: ModuleType, nets: dict, function: str) -> bool:
    """Whether a system, trained with these networks, has a function (`transfer`, `render`).

    A system whose networks depend on its settings names those of a function in `NEEDS`.
    """
    needed = getattr(module, 'NEEDS', {}).get(function, ())
    return hasattr(module, function) and all(letter in nets for letter in needed)
