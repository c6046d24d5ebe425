"""Commands with a config: flags read and refused by name before anything heavy is imported."""

import difflib
import os
import sys
from collections.abc import Callable, Sequence

from absl import flags
from ml_collections import config_flags

from reenact_jax.common.errors import UserError


def parse(
    define: Callable[[flags.FlagValues], None], arguments: Sequence[str], needed: Sequence[str]
) -> flags.FlagValues:
    """The flags of a command.

    Args:
      define: defines them, `config` (see `define_config`) among them.
      arguments: without the program's name.
      needed: names of flags that must be given.

    Raises UserError naming what is wrong, an unknown field with a near name.
    """
    values = flags.FlagValues()
    define(values)
    _check_file(arguments)
    try:
        rest = _read(values, arguments)
    except flags.Error as error:
        raise UserError(str(error)) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(_field_error(define, arguments, error)) from None
    if rest:
        raise UserError(f'{rest[0]!r}: unexpected; options are --name=value, see --help')
    for name in needed:
        if values[name].value is None:
            raise UserError(f'--{name}: missing, see --help')
    return values


def define_config(values: flags.FlagValues) -> None:
    """The flag --config and with it --config.FIELD."""
    config_flags.DEFINE_config_file(
        'config', None, 'config file, with a preset after a colon', flag_values=values
    )


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether the user asks what the command is."""
    return bool({'--help', '-h', '-help'} & set(arguments))


def usage(define: Callable[[flags.FlagValues], None], text: str) -> str:
    """What --help prints: the command's docstring and its flags."""
    values = flags.FlagValues()
    define(values)
    return f'{text}\n{values.get_help()}'


def _check_file(arguments: Sequence[str]) -> None:
    for text, after in zip(arguments, [*arguments[1:], ''], strict=True):
        name, equals, value = text.lstrip('-').partition('=')
        if text.startswith('-') and name == 'config':
            file = (value if equals else after).partition(':')[0]
            if not os.path.isfile(file):
                raise UserError(f'--config: {file}: no such file')


def _read(values: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """Sets the flags; what is left over. Config flags look for their fields in sys.argv."""
    before, sys.argv = sys.argv, ['reenact_jax', *arguments]
    try:
        return values(sys.argv)[1:]
    finally:
        sys.argv = before


def _field_error(define, arguments: Sequence[str], error: Exception) -> str:
    """What to say when the config took no override: the first unknown field, with a near name."""
    values = flags.FlagValues()
    define(values)
    overrides = [text for text in arguments if text.startswith(('--config.', '-config.'))]
    try:
        _read(values, [text for text in arguments if text not in overrides])
        for text in overrides:
            name = text.lstrip('-').partition('=')[0]
            fields = values.config
            for part in name.split('.')[1:]:
                if part not in fields:
                    near = difflib.get_close_matches(part, fields, 1) or sorted(fields)
                    return f'{name}: unknown field; did you mean {" or ".join(near)}?'
                fields = fields[part]
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    return f'--config: {error}'
