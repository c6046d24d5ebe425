"""Systems by name, a file or folder each, all in the same order; interface.py defines a system."""

import difflib
import importlib
from types import ModuleType

from reenact_jax.common import outside
from reenact_jax.common.errors import UserError
from reenact_jax.systems.interface import REQUIRED

# A module's path; the module is imported when it is asked for.
SYSTEMS: dict[str, str | ModuleType] = {
    'ldnet': 'reenact_jax.systems.ldnet_fdgan.ldnet',
    'fdgan': 'reenact_jax.systems.ldnet_fdgan.fdgan',
    'aan': 'reenact_jax.systems.aan',
    'freenet': 'reenact_jax.systems.freenet',
    'facegan': 'reenact_jax.systems.facegan',
    'marionette': 'reenact_jax.systems.marionette',
    'pix2pix': 'reenact_jax.systems.pix2pix',
    'fomm': 'reenact_jax.systems.fomm',
}


def find(name: str) -> ModuleType:
    """Find a system by its name, or by the path of its module: `my_package.my_system`.

    Returns:
      The system's module.

    Raises:
      UserError: the name is unknown (the message has the nearest one), the module is not there, or
        it is no system.
    """
    entry = SYSTEMS.get(name)
    if entry is None and '.' in name and all(map(str.isidentifier, name.split('.'))):
        return _outside(name)
    if entry is None:
        nearest = difflib.get_close_matches(name, SYSTEMS, 1)
        hint = f'did you mean {nearest[0]}?' if nearest else f'there are {", ".join(SYSTEMS)}.'
        raise UserError(
            f'config.system: no system {name!r}; {hint} One of yours is named by its module, '
            'my_package.my_system'
        )
    return importlib.import_module(entry) if isinstance(entry, str) else entry


def _outside(path: str) -> ModuleType:
    """Import a system that is not ours."""
    module = outside.module(path, 'config.system')
    if missing := [name for name in REQUIRED if not hasattr(module, name)]:
        raise UserError(
            f'config.system: {path} is no system: it lacks {", ".join(missing)}; '
            'docs/adding_a_system.md says what they are'
        )
    return module
