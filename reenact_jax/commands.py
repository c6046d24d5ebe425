"""All commands under one: `reenact-jax train ...`.

A command is the `main` of a module, which is imported when it is asked for.
"""

import difflib
import importlib
import os
import sys
from typing import NamedTuple

import reenact_jax
from reenact_jax.common import errors
from reenact_jax.common.errors import UserError


class Command(NamedTuple):
    """Where a command lives, and what it does in a line."""

    module: str
    does: str


PREPARE = {
    'videos': Command(
        'reenact_jax.data_prep.videos', 'videos and stills, faces found and followed'
    ),
    'stills': Command('reenact_jax.data_prep.stills', 'photographs with labels in their names'),
    'openface': Command('reenact_jax.data_prep.openface', "OpenFace's tables and their videos"),
    'synthetic': Command('reenact_jax.data_prep.synthetic', 'synthetic heads with exact labels'),
    'points': Command('reenact_jax.data_prep.points_csv', 'landmarks from tables, without images'),
    'mix': Command('reenact_jax.data_prep.mix', 'one set of several'),
    'bases': Command('reenact_jax.data_prep.landmark_bases', "MarioNETte's bases of landmarks"),
}
BENCH = {
    'steps': Command('reenact_jax.bench.command', 'the parts of a training step, data and use'),
    'reenact': Command('reenact_jax.bench.reenact', 'the stages of an animation'),
    'memory': Command('reenact_jax.bench.memory', 'memory over minutes of animation'),
}
COMMANDS: dict[str, Command | dict[str, Command]] = {
    'prepare': PREPARE,
    'inspect': Command('reenact_jax.data_prep.inspect', 'look into a set of shards'),
    'shards': Command('reenact_jax.data.shards.command', 'check a set, rebuild its indices'),
    'config': Command('reenact_jax.train.presets', 'list configs and presets; show one'),
    'summary': Command('reenact_jax.train.summary', 'networks, stages and settings of a config'),
    'train': Command('reenact_jax.train.command', 'train a system; the same command resumes'),
    'export': Command('reenact_jax.export.command', 'make a bundle of what was trained'),
    'onnx': Command('reenact_jax.export.onnx.command', 'a bundle as ONNX graphs'),
    'reenact': Command('reenact_jax.reenact.command', 'animate a portrait'),
    'app': Command('reenact_jax.app.command', 'the page in the browser'),
    'evaluate': Command('reenact_jax.evaluate.command', "the papers' measures, as tables"),
    'report': Command('reenact_jax.evaluate.report', 'a bundle beside simple baselines'),
    'sweep': Command('reenact_jax.sweeps.command', 'train and measure a table of ablations'),
    'compile-check': Command('reenact_jax.bench.compile_check', 'memory and traffic on TPU slices'),
    'bench': BENCH,
    'provenance': Command('reenact_jax.media.provenance', 'whether a file says it is synthetic'),
}


def main(arguments: list[str] | None = None) -> int | None:
    """Run the command that the arguments name. Returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ('-h', '--help', 'help'):
        print(_overview())
        return 0
    if arguments[0] == '--version':
        print(reenact_jax.__version__)
        return 0
    name, *rest = arguments
    found = _of(COMMANDS, name, 'reenact-jax')
    if isinstance(found, dict):
        if not rest or rest[0] in ('-h', '--help'):
            print(f'reenact-jax {name} ...\n\n' + _lines(found))
            return 0
        part, *rest = rest
        found = _of(found, part, f'reenact-jax {name}')
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    return importlib.import_module(found.module).main(rest or ['--help'])


def entry() -> None:
    """The program `reenact-jax`."""
    errors.command(main, sys.argv[1:])


def _of(table: dict, name: str, where: str):
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, 1)
    hint = f'did you mean {near[0]}?' if near else f'there are {", ".join(table)}'
    raise UserError(f'{where} {name}: no such command; {hint}')


def _overview() -> str:
    text = f'{reenact_jax.__doc__.splitlines()[0]}\n\n    reenact-jax COMMAND --help\n\n'
    return text + _lines(
        {
            name: one if isinstance(one, Command) else Command('', ' | '.join(one))
            for name, one in COMMANDS.items()
        }
    )


def _lines(table: dict[str, Command]) -> str:
    width = max(map(len, table))
    return '\n'.join(f'  {name:<{width}}  {one.does}' for name, one in table.items())
