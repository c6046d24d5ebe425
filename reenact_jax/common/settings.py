"""Typed settings: a frozen dataclass is the schema; range and source of a number stand there once.

    @dataclasses.dataclass(frozen=True)
    class Hparams:
        lambda_rec: float = setting(50.0, low=0, doc='weight of the reconstruction, eq. 12')

`build(Hparams, {...})` makes an instance from plain values and refuses, naming the field: unknown
names, wrong types, NaN or infinity, numbers out of range, words outside `choices`.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from reenact_jax.common import outside
from reenact_jax.common.errors import UserError


def setting(
    default, *, low=None, high=None, choices=None, own=False, least=0, doc=''
) -> Any:  # as dataclasses.field, which says that it returns the field's type
    """Make a dataclass field with its range or choices, its meaning and its source.

    Args:
      default: the field's default.
      low: smallest allowed value; of a tuple, of each item.
      high: largest allowed value, likewise.
      choices: allowed values.
      own: whether a name in a module of the user's, `my_package.my_module:Name`, is allowed too.
      least: how many values a tuple must have.
      doc: the meaning, with the source in the paper.
    """
    metadata = {'low': low, 'high': high, 'choices': choices, 'own': own}
    metadata |= {'least': least, 'doc': doc}
    return dataclasses.field(default=default, metadata=metadata)


def own_parts(instance) -> dict[str, str]:
    """Return the fields of a settings dataclass that name a part of the user's: field -> name."""
    if not dataclasses.is_dataclass(instance):
        return {}
    fields = [field for field in dataclasses.fields(instance) if field.metadata.get('own')]
    values = {field.name: getattr(instance, field.name) for field in fields}
    return {name: value for name, value in values.items() if outside.is_name(value)}


def weight(default: float, doc: str) -> Any:
    """Make the setting of a loss term's weight: 0 and up; 0 leaves the term out."""
    return setting(default, low=0, high=1e6, doc=doc)


def rate(default: float, doc: str) -> Any:
    """Make the setting of a learning rate: 0 to 1."""
    return share(default, doc)


def share(default: float, doc: str) -> Any:
    """Make the setting of a share, a decay or a probability: 0 to 1."""
    return setting(default, low=0, high=1, doc=doc)


def width(default: int, doc: str) -> Any:
    """Make the setting of a layer's width: 1 and up."""
    return setting(default, low=1, high=2**16, doc=doc)


def widths(default: tuple[int, ...], doc: str) -> Any:
    """Make the setting of the widths of one layer or more: 1 and up each."""
    return setting(default, least=1, low=1, high=2**16, doc=doc)


def steps(default: int, doc: str, *, low: int = 0) -> Any:
    """Make the setting of a number of steps: `low` and up."""
    return setting(default, low=low, high=2**31 - 1, doc=doc)


def batch(default: int | None, doc: str) -> Any:
    """Make the setting of a number of rows in a batch, of pairs: 2 and up."""
    return setting(default, low=2, high=2**20, doc=doc)


def build(schema: type, values: Mapping, where: str = 'config'):
    """Make an instance of a settings dataclass from plain values; the rest takes its defaults.

    Args:
      schema: the dataclass.
      values: field name -> value.
      where: name of the whole, for the message.

    Returns:
      An instance of `schema`.

    Raises:
      UserError: a field is unknown or its value not allowed; the message names `where.field`.
    """
    fields = {field.name: field for field in dataclasses.fields(schema)}
    types_ = typing.get_type_hints(schema)
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f'; did you mean {near[0]!r}?' if near else f'; known: {", ".join(fields)}'
            raise UserError(f'{where}.{name}: unknown field{hint}')
    checked = {
        name: _check(f'{where}.{name}', value, types_[name], fields[name].metadata)
        for name, value in values.items()
    }
    return schema(**checked)


def defaults(schema: type) -> dict:
    """Return the defaults of a settings dataclass: field name -> default."""
    return {field.name: field.default for field in dataclasses.fields(schema)}


def _check(name: str, value, type_, metadata: Mapping):
    value = _typed(name, value, type_)
    if isinstance(value, tuple) and len(value) < (least := metadata.get('least', 0)):
        raise UserError(f'{name}: {value!r} has too few values, {least} or more are needed')
    for item in value if isinstance(value, tuple) else (value,):
        _in_range(name, item, metadata)
    return value


def _typed(name: str, value, type_):
    """Return `value` as `type_`: int may become float, a list a tuple; None only where declared."""
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        return _typed(name, value, next(arg for arg in args if arg is not type(None)))
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise UserError(f'{name}: expected a list, got {value!r}')
        return tuple(_typed(name, item, args[0]) for item in value)
    if type_ is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)):
        raise UserError(f'{name}: expected {type_.__name__}, got {value!r}')
    if type_ is float and not math.isfinite(value):
        raise UserError(f'{name}: expected a finite number, got {value!r}')
    return value


def _in_range(name: str, value, metadata: Mapping) -> None:
    low, high, choices = metadata.get('low'), metadata.get('high'), metadata.get('choices')
    if value is None:
        return
    if choices is not None and value not in choices:
        if metadata.get('own') and ':' in value:
            outside.named(value, name)
            return
        more = ', nor named as my_package.my_module:Name' if metadata.get('own') else ''
        raise UserError(f'{name}: {value!r} is not one of {", ".join(map(repr, choices))}{more}')
    if low is not None and value < low:
        raise UserError(f'{name}: {value!r} is below the smallest allowed value, {low}')
    if high is not None and value > high:
        raise UserError(f'{name}: {value!r} is above the largest allowed value, {high}')
