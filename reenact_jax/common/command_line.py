"""Commands with a config: wrong flags are refused by name before anything heavy is imported."""

import difflib
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence

from absl import flags
from ml_collections import config_flags

from reenact_jax.common import shipped
from reenact_jax.common.errors import UserError

# Names that other programs have for our fields.
CALLED_ELSEWHERE = {
    'lr': 'rate',
    'learning_rate': 'rate',
    'batch': 'batch_size',
    'bs': 'batch_size',
    'iterations': 'steps',
    'num_steps': 'steps',
    'image_size': 'size',
    'resolution': 'size',
    'data_dir': 'data',
    'dataset': 'data',
}

EXPECTED = {  # what Python and absl say of a wrong value: what was expected
    r'invalid literal for int\(\) with base 10: .*': 'expected a whole number',
    r'could not convert string to float: .*': 'expected a number',
    r"\('Non-boolean argument to boolean flag', .*\)": 'expected true or false',
}


def start(
    define: Callable[[flags.FlagValues], None],
    text: str | None,
    arguments: Sequence[str] | None,
    needed: Sequence[str],
) -> flags.FlagValues | None:
    """Begin a command: print its help where that is asked for, else read its flags.

    Args:
      define: defines the flags.
      text: what the command is, its module's docstring.
      arguments: without the program's name; None: those of this process.
      needed: names of flags that must be given.

    Returns:
      The flags; None if the help was printed, so that there is no more to do.

    Raises:
      UserError: a flag or a field is unknown, wrong or missing (see `parse`).
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if {'--help', '-h', '-help'} & set(arguments):
        print(usage(define, text))
        return None
    return parse(define, arguments, needed)


def parse(
    define: Callable[[flags.FlagValues], None], arguments: Sequence[str], needed: Sequence[str]
) -> flags.FlagValues:
    """Read the flags of a command.

    Args:
      define: defines them, `config` (see `define_config`) among them.
      arguments: without the program's name.
      needed: names of flags that must be given.

    Returns:
      The flags.

    Raises:
      UserError: a flag or a field is unknown (the message has a near name), wrong or missing.
    """
    values = flags.FlagValues()
    define(values)
    arguments = _with_file(arguments)
    try:
        rest = _read(values, arguments)
    except flags.Error as error:
        raise UserError(_in_words(str(error))) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(_field_error(define, arguments, error)) from None
    if rest:
        raise UserError(f'{rest[0]!r}: unexpected; options are --name=value, see --help')
    _fill_data(values)
    for name in needed:
        if values[name].value is None:
            raise UserError(f'--{name}: missing, see --help')
    return values


def define_config(values: flags.FlagValues) -> None:
    """Define the flag --config and with it --config.FIELD."""
    text = (
        'NAME[:PRESET] of a shipped config (`reenact-jax config --list`) or FILE.py[:PRESET]; '
        '--config.FIELD=VALUE changes a field of it'
    )
    config_flags.DEFINE_config_file('config', None, text, flag_values=values)


def define_data(values: flags.FlagValues) -> None:
    """Define the flag --data, which `parse` writes to the config's field of that name."""
    text = 'shard set to read, a folder; the same as --config.data'
    flags.DEFINE_string('data', None, text, flag_values=values)


def usage(define: Callable[[flags.FlagValues], None], text: str | None) -> str:
    """Return what --help prints: the command's docstring and its flags.

    Absl's own text adds modules and flags that only its authors need.
    """
    values = flags.FlagValues()
    define(values)
    lines = [str(text).rstrip(), '', 'options:']
    for flag in (flag for group in values.flags_by_module_dict().values() for flag in group):
        name = f'  --{"[no]" * flag.boolean}{flag.name}'
        default = '' if flag.value in (None, False) else f'; default {flag.value}'
        lines += textwrap.wrap(f'{name:<22}  {flag.help}{default}', 100, subsequent_indent=' ' * 24)
    return '\n'.join(lines)


def _fill_data(values: flags.FlagValues) -> None:
    if 'data' not in values or values.data is None or values.config is None:
        return
    if values.config.data not in (None, '', values.data):
        raise UserError(f'--data {values.data}: --config.data is {values.config.data}; give one')
    values.config.data = values.data


def _with_file(arguments: Sequence[str]) -> list[str]:
    """Put the path of a config file in place of a shipped config's name."""
    replaced = list(arguments)
    for i, text in enumerate(replaced):
        name, equals, value = text.lstrip('-').partition('=')
        if not text.startswith('-') or name != 'config' or (not equals and i + 1 == len(replaced)):
            continue
        file, colon, preset = (value if equals else replaced[i + 1]).partition(':')
        whole = shipped.find(file) + colon + preset
        replaced[i if equals else i + 1] = f'--config={whole}' if equals else whole
    return replaced


def _read(values: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """Set the flags and return the rest; config flags look for their fields in sys.argv."""
    before, sys.argv = sys.argv, ['reenact_jax', *arguments]
    try:
        return values(sys.argv)[1:]
    finally:
        sys.argv = before


def _in_words(text: str) -> str:
    for said, expected in EXPECTED.items():
        text = re.sub(said, expected, text)
    return text


def _field_error(define, arguments: Sequence[str], error: Exception) -> str:
    """Explain why the config took no override: the first unknown field, with a near name."""
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
                    near = _nearest(part, values.config)
                    return f'{name}: unknown; did you mean {near}? summary lists all fields'
                fields = fields[part]
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    return f'--config: {error}'


def _nearest(part: str, config) -> str:
    """Find the field, of the run or the system, that is most like an unknown one."""
    fields = {name: f'hparams.{name}' for name in config.get('hparams', {})}
    fields |= {name: name for name in config if name != 'hparams'}
    asked = CALLED_ELSEWHERE.get(part, part)
    near = difflib.get_close_matches(asked, fields, 1, cutoff=0.5)
    return fields[near[0]] if near else ' or '.join(sorted(fields.values()))


def say_device() -> None:
    """Say on standard error which devices the command runs on."""
    import jax  # a command refuses wrong flags before it takes the seconds of this import

    devices = jax.devices()
    kind, count = devices[0].device_kind, len(devices)
    amount = f'{os.cpu_count()} cores' if devices[0].platform == 'cpu' else f'{count} x {kind}'
    print(f'device: {devices[0].platform}, {amount}', file=sys.stderr)
