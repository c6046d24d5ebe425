"""Wrong settings: each field of each config, outside its declared range, is refused by its name.

In this process: each preset of each file in configs/, each field of the run and of the paper, with
an unknown name, NaN and infinity, one below and one above its range, another type, a word that is
not a choice. Each is given as text, as on the command line, and as a value, as in code. Then one of
each kind is given to a real command: refused within seconds, exit code 1, no workdir left behind.
"""

import dataclasses
import importlib
import math
import os
import pathlib
import subprocess
import sys
import time
import typing
from collections.abc import Iterator

from launch.drills import ground
from launch.drills.rounds import Rounds
from reenact_jax.common import command_line
from reenact_jax.common.errors import UserError
from reenact_jax.train import command as train
from reenact_jax.train import config
from reenact_jax.train.config import HPARAMS, SYSTEM, Run

SECONDS = 5.0  # processor time, so that the machine's other work is not counted
WRONG = {int: 'many', float: 'much', bool: 'perhaps', str: 5}
NOT_TEXT = 'number for a word'  # not given as text: there a number is a word like any other


class Case(typing.NamedTuple):
    """One wrong setting."""

    kind: str
    field: str  # as on the command line: config.hparams.width
    value: typing.Any


def presets() -> list[tuple[pathlib.Path, str]]:
    """List (file, preset) of every config."""
    files = sorted(p for p in (ground.ROOT / 'configs').glob('*.py') if p.stem != '__init__')
    modules = {f: '.'.join(f.relative_to(ground.ROOT).with_suffix('').parts) for f in files}
    return [
        (file, name)
        for file, module in modules.items()
        for name in importlib.import_module(module).PRESETS
    ]


def cases(values: dict) -> Iterator[Case]:
    """Make all wrong settings of a config.

    Args:
      values: a resolved config, `config.to_json`.
    """
    system = config.resolve(values)[0]
    for schema, prefix in ((Run, 'config'), (system.Hparams, f'config.{HPARAMS}')):
        yield Case('unknown name', f'{prefix}.no_such_field', 1)
        hints = typing.get_type_hints(schema)
        for field in dataclasses.fields(schema):
            yield Case('unknown name', f'{prefix}.{field.name}z', 1)
            kind, several = _kind(hints[field.name])
            for name, value in _wrong_values(kind, field.metadata):
                yield Case(name, f'{prefix}.{field.name}', (value,) if several else value)
            if several and kind is not str:  # as text, a word is a list of one
                yield Case('wrong type', f'{prefix}.{field.name}', 'wide')
                if field.metadata['least']:
                    yield Case('empty list', f'{prefix}.{field.name}', ())


def drill(folder: pathlib.Path, quiet: bool = False) -> dict:
    """Try each preset in this process, then one setting of each kind as a command.

    Args:
      folder: of the drills.
      quiet: no progress bar.

    Returns:
      The counts.
    """
    configs = presets()
    kinds = _one_a_kind(values_of(*configs[0]))
    rounds = Rounds(folder / 'config', len(configs) + len(kinds), {}, quiet)
    for number in rounds.left():
        if number < len(configs):
            file, preset = configs[number]
            count, failures = in_process(file, preset)
            seen = f'{file.name}:{preset}: {count} wrong settings refused by name, as text or value'
        else:
            case = kinds[number - len(configs)]
            failures = as_command(*configs[0], case, rounds.folder / 'never')
            seen = f'command, {case.kind}: refused'
        rounds.note(number, seen, failures)
    return rounds.result()


def _wrong_values(kind: type, metadata) -> Iterator[tuple[str, typing.Any]]:
    yield NOT_TEXT if kind is str else 'wrong type', WRONG[kind]
    if kind in (int, float):
        yield 'NaN', math.nan
        yield 'infinity', math.inf
        if kind is int:
            yield 'wrong type', 1.5
        step = 1 if kind is int else 1e-3
        low, high = metadata['low'], metadata['high']
        if low is not None:
            yield 'too small', low - step
        if high is not None:
            yield 'too large', high + max(step, abs(high) * 1e-3 if kind is float else step)
    if metadata['choices'] is not None:
        yield 'not a choice', 'none-of-these'


def in_process(file: pathlib.Path, preset: str) -> tuple[int, list[str]]:
    """Try all wrong settings of a preset; count those refused and list the others."""
    values, count, failures = values_of(file, preset), 0, []
    for case in cases(values):
        attempts = {'value': lambda case=case: _as_value(values, case)}
        if case.kind != NOT_TEXT:
            attempts['text'] = lambda case=case: _as_text(file, preset, case)
        for form, attempt in attempts.items():
            try:
                attempt()
            except UserError as error:
                if _named(case, str(error)):
                    count += 1
                else:
                    failures.append(f'{case} as {form}: the field is not named in {error}')
            except Exception as error:
                failures.append(f'{case} as {form}: {error!r}')
            else:
                failures.append(f'{case} as {form}: accepted')
    return count, failures


def _as_text(file: pathlib.Path, preset: str, case: Case | None) -> dict:
    arguments = [f'--config={file}:{preset}', '--workdir=W', '--config.data=D']
    arguments += [f'--{case.field}={case.value}'] if case else []
    flags = command_line.parse(train.define_flags, arguments, ('config', 'workdir'))
    return config.to_json(flags.config)


def _as_value(values: dict, case: Case) -> None:
    run = {name: value for name, value in values.items() if name not in (SYSTEM, HPARAMS)}
    hparams = dict(values[HPARAMS])
    parts = case.field.split('.')[1:]
    (hparams if len(parts) == 2 else run)[parts[-1]] = case.value
    config.build(values[SYSTEM], run, hparams)


def values_of(file: pathlib.Path, preset: str) -> dict:
    """Read a preset as plain values."""
    return _as_text(file, preset, None)


def _one_a_kind(values: dict) -> list[Case]:
    firsts: dict[str, Case] = {}
    for case in cases(values):
        if case.kind != NOT_TEXT:
            firsts.setdefault(case.kind, case)
    return list(firsts.values())


def as_command(file: pathlib.Path, preset: str, case: Case, workdir) -> list[str]:
    """Give a wrong setting to a real command; list in which ways it was not refused well."""
    command = [sys.executable, '-m', 'reenact_jax.train', f'--config={file}:{preset}']
    command += [f'--workdir={workdir}', '--config.data=D', f'--{case.field}={case.value}']
    before, begin = os.times(), time.monotonic()
    result = subprocess.run(command, cwd=ground.ROOT, capture_output=True, text=True)
    after = os.times()
    spent = sum(after[2:4]) - sum(before[2:4])
    failures = []
    refused = result.stderr.startswith('error: ') and _named(case, result.stderr)
    if result.returncode != 1 or not refused:
        failures.append(f'{case}: exit code {result.returncode}, said {result.stderr[-600:]}')
    if spent > SECONDS:
        wall = time.monotonic() - begin
        failures.append(f'{case}: {spent:.1f} s of processor time, {wall:.1f} s on the clock')
    if workdir.exists():
        failures.append(f'{case}: left {workdir}')
    return failures


def _named(case: Case, message: str) -> bool:
    return f'{case.field}:' in message or f'--{case.field}=' in message


def _kind(hint) -> tuple[type, bool]:
    """Return the type of a value, and whether the field holds several."""
    arguments = [kind for kind in typing.get_args(hint) if kind not in (type(None), ...)]
    if typing.get_origin(hint) is tuple:
        return arguments[0], True
    return (arguments[0] if arguments else hint), False
