"""Settings name the field that is wrong; commands end in one line and exit code 1."""

import dataclasses
import math

import pytest

from reenact_jax.common import errors, settings
from reenact_jax.common.settings import setting


@dataclasses.dataclass(frozen=True)
class Example:
    weight: float = setting(2.0, low=0)
    steps: int = setting(10, low=1, high=100)
    form: str = setting('log', choices=('log', 'hinge'))
    batch: int | None = setting(None, low=2)
    names: tuple[str, ...] = setting((), doc='a subset')
    flip: bool = setting(True)
    sizes: tuple[int, ...] = setting((8,), low=1, least=1)


def test_defaults_and_conversions():
    assert settings.build(Example, {}) == Example(**settings.defaults(Example))
    made = settings.build(Example, {'weight': 3, 'names': ['a'], 'batch': 4})
    assert made.weight == 3.0 and isinstance(made.weight, float)
    assert made.names == ('a',) and made.batch == 4


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('wieght', 1.0, "did you mean 'weight'"),
        ('weight', -1.0, 'below'),
        ('weight', math.nan, 'finite'),
        ('weight', math.inf, 'finite'),
        ('weight', 'much', 'expected float'),
        ('steps', 101, 'above'),
        ('steps', 1.5, 'expected int'),
        ('steps', True, 'expected int'),
        ('form', 'square', "'hinge'"),
        ('batch', 1, 'below'),
        ('names', 'a', 'expected a list'),
        ('flip', 1, 'expected bool'),
        ('sizes', [], 'too few values'),
        ('sizes', [4, 0], 'below'),
    ],
)
def test_a_wrong_value_is_refused_with_its_fields_name(name, value, message):
    with pytest.raises(errors.UserError, match=message) as caught:
        settings.build(Example, {name: value}, where='config.hparams')
    assert str(caught.value).startswith(f'config.hparams.{name}:')


def test_command_reports_user_errors_and_lets_defects_through(capsys):
    def bad(arguments):
        raise errors.UserError('--data: no such directory')

    with pytest.raises(SystemExit) as stop:
        errors.command(bad, [])
    assert stop.value.code == 1
    assert capsys.readouterr().err == 'error: --data: no such directory\n'
    with pytest.raises(ZeroDivisionError):
        errors.command(lambda arguments: 1 / 0, [])
    with pytest.raises(SystemExit) as stop:
        errors.command(lambda arguments: None, [])
    assert stop.value.code == 0
