"""Systems by name, a file or folder each, all in the same order; interface.py says what one is."""

import difflib
import importlib
from types import ModuleType

from reenact_jax.common.errors import UserError
from reenact_jax.systems.interface import REQUIRED

# A module's path, imported when it is asked for.
SYSTEMS: dict[str, str | ModuleType] = {
    'ldnet': 'reenact_jax.systems.ldnet_fdgan.ldnet',
    'fdgan': 'reenact_jax.systems.ldnet_fdgan.fdgan',
    'aan': 'reenact_jax.systems.aan',
    'freenet': 'reenact_jax.systems.freenet',
    'facegan': 'reenact_jax.systems.facegan',
    'marionette': 'reenact_jax.systems.marionette',
    'pix2pix': 'reenact_jax.systems.pix2pix',
}


def find(name: str) -> ModuleType:
    """The system of that name, or the module at that path: `my_package.my_system`.

    Raises UserError for an unknown name, with the nearest one, for a module that is not there, and
    for one that is no system.
    """
    found = SYSTEMS.get(name)
    if found is None and '.' in name and all(map(str.isidentifier, name.split('.'))):
        return _outside(name)
    if found is None:
        near = difflib.get_close_matches(name, SYSTEMS, 1)
        hint = f'did you mean {near[0]}?' if near else f'there are {", ".join(SYSTEMS)}.'
        raise UserError(
            f'config.system: no system {name!r}; {hint} One of yours is named by its module, '
            'my_package.my_system'
        )
    return importlib.import_module(found) if isinstance(found, str) else found


def _outside(path: str) -> ModuleType:
    """A system that is not ours."""
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if not f'{path}.'.startswith(f'{error.name}.'):  # something that the module itself imports
            raise
        raise UserError(
            f'config.system: no module {path!r}; start the command in the folder that holds '
            f'{path.partition(".")[0]}, or name that folder in PYTHONPATH'
        ) from None
    if missing := [name for name in REQUIRED if not hasattr(module, name)]:
        raise UserError(
            f'config.system: {path} is no system: it lacks {", ".join(missing)}; '
            'docs/adding_a_system.md says what they are'
        )
    return module
