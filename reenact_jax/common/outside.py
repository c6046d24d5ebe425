"""Parts of the user's own, by name: `my_package.my_module`, `my_package.my_module:Name`."""

import importlib
import re
from types import ModuleType
from typing import Any

from reenact_jax.common.errors import UserError

_NAME = re.compile(r'[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*')


def is_name(text: str) -> bool:
    """Tell whether a text names something in a module: `my_package.my_module:Name`."""
    return _NAME.fullmatch(text) is not None


def module(path: str, where: str) -> ModuleType:
    """Import a module.

    Args:
      path: `my_package.my_module`.
      where: the field or flag that names it, for the message.

    Raises:
      UserError: the module is not there. What goes wrong inside of it keeps its traceback.
    """
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if not f'{path}.'.startswith(f'{error.name}.'):  # something that the module itself imports
            raise
        raise UserError(
            f'{where}: no module {path!r}; start the command in the folder that holds '
            f'{path.partition(".")[0]}, or name that folder in PYTHONPATH'
        ) from None


def named(text: str, where: str) -> Any:
    """Import what a text names, something that can be called.

    Args:
      text: `my_package.my_module:Name`.
      where: the field or flag that names it, for the message.

    Raises:
      UserError: the text is no such name, or there is no such module or nothing of that name in it.
    """
    if not is_name(text):
        raise UserError(f'{where}: {text!r}, expected a name such as my_package.my_module:Name')
    path, _, name = text.partition(':')
    found = getattr(module(path, where), name, None)
    if not callable(found):
        raise UserError(f'{where}: {path} has no {name!r} that can be called')
    return found


def version(text: str) -> str:
    """Return the version that the package of a name gives itself; '-' where it gives none."""
    package = module(text.partition(':')[0].partition('.')[0], text)
    return str(getattr(package, '__version__', '-'))
