"""The configs that come with the package, by name: `aan` for .../configs/aan.py."""

import difflib
import pathlib

from reenact_jax.common.errors import UserError

FOLDER = pathlib.Path(__file__).parent.parent / 'configs'
TABLES = FOLDER / 'ablations'


def names(folder: pathlib.Path = FOLDER) -> list[str]:
    """List the names of a folder's configs, or of its tables, sorted."""
    files = (path.stem for path in folder.glob('*.py'))
    return sorted(name for name in files if name not in ('__init__', 'tables'))


def find(text: str, folder: pathlib.Path = FOLDER, flag: str = '--config') -> str:
    """Find a config: `FILE.py` as it is given, or a shipped file by its name.

    Args:
      text: the path or the name.
      folder: where shipped files lie.
      flag: what the user gave it with, for the message.

    Returns:
      The path.

    Raises:
      UserError: there is neither; the message has the nearest name.
    """
    if pathlib.Path(text).is_file():
        return text
    known = names(folder)
    if text in known:
        return str(folder / f'{text}.py')
    near = difflib.get_close_matches(pathlib.Path(text).stem, known, 1)
    hint = f'did you mean {near[0]}?' if near else f'shipped are {", ".join(known)}'
    raise UserError(f'{flag}: {text}: no such file; {hint}')
