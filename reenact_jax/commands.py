"""All commands as one program: `reenact-jax train ...`.

A command is the `main` of a module, which is imported when the command is called.
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
    """The module of a command, and a line on what it does."""

    module: str
    does: str
    bare: bool = False  # whether it does something without arguments; else it shows its help


PREPARE = {
    'videos': Command(
        'reenact_jax.data_prep.videos', 'videos and stills: faces found and followed'
    ),
    'stills': Command('reenact_jax.data_prep.stills', 'labelled stills: RaFD, Multi-PIE, CelebV'),
    'openface': Command('reenact_jax.data_prep.openface', "videos with OpenFace's tables of them"),
    'synthetic': Command('reenact_jax.data_prep.synthetic', 'synthetic people; needs no footage'),
    'points': Command(
        'reenact_jax.data_prep.points_csv', 'tables of landmarks, with their pictures or without'
    ),
    'mix': Command('reenact_jax.data_prep.mix', 'several shard sets, as one'),
    'bases': Command(
        'reenact_jax.data_prep.landmark_bases', "no set: the bases of MarioNETte's transformer"
    ),
}
BENCH = {
    'steps': Command('reenact_jax.bench.command', 'the training step, the data and the networks'),
    'reenact': Command('reenact_jax.bench.reenact', 'every part of an animation'),
    'memory': Command('reenact_jax.bench.memory', 'memory over minutes of animation'),
    'marks': Command('reenact_jax.bench.marks', 'what the invisible mark survives'),
    'rounding': Command('reenact_jax.bench.transfers', "points moved by an accelerator's rounding"),
}
COMMANDS: dict[str, Command | dict[str, Command]] = {
    'reenact': Command(
        'reenact_jax.reenact.command', 'animate a portrait with a video, or edit it', bare=True
    ),
    'app': Command('reenact_jax.app.command', 'the same on a page in the browser', bare=True),
    'provenance': Command(
        'reenact_jax.media.provenance', 'tell whether a file is marked as synthetic'
    ),
    'prepare': PREPARE,
    'inspect': Command('reenact_jax.data_prep.inspect', 'show what a shard set holds'),
    'shards': Command('reenact_jax.data.shards.command', 'check a shard set, rebuild its indices'),
    'config': Command('reenact_jax.train.presets', 'list configs and presets, or show one'),
    'summary': Command('reenact_jax.train.summary', 'networks, stages and settings of a config'),
    'train': Command('reenact_jax.train.command', 'train a system; the same command resumes'),
    'export': Command(
        'reenact_jax.export.command', 'make a bundle of trained runs, to animate with'
    ),
    'import-weights': Command(
        'reenact_jax.export.import_weights', "a bundle or a run of an official program's weights"
    ),
    'onnx': Command('reenact_jax.export.onnx.command', 'write trained runs as ONNX graphs'),
    'compare': Command('reenact_jax.runs.command', 'runs side by side: curves, pictures, settings'),
    'report': Command('reenact_jax.evaluate.report', 'scores, pictures and videos of a bundle'),
    'evaluate': Command(
        'reenact_jax.evaluate.command', "score pairs of frames; the papers' measures"
    ),
    'sweep': Command('reenact_jax.sweeps.command', "train and measure all rows of a paper's table"),
    'bench': BENCH,
    'compile-check': Command('reenact_jax.bench.compile_check', 'what a step needs of TPU slices'),
}
GROUPS = {  # heading: its commands, in the order in which they are used
    'use a model': ('reenact', 'app', 'provenance'),
    'make data': ('prepare', 'inspect', 'shards'),
    'train a model': ('config', 'summary', 'train', 'compare', 'import-weights', 'export', 'onnx'),
    'measure': ('report', 'evaluate', 'sweep', 'bench', 'compile-check'),
}
ABOUT = {  # what the commands do that have parts
    'prepare': 'make a shard set of',
    'bench': 'speed and memory on this machine:',
}


def main(arguments: list[str] | None = None) -> int | None:
    """Run the command that the arguments name; return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ('-h', '--help', 'help'):
        print(_overview())
        return 0
    if arguments[0] == '--version':
        print(reenact_jax.__version__)
        return 0
    name, *rest = arguments
    target = _of(COMMANDS, name, 'reenact-jax')
    if isinstance(target, dict):
        if not rest or rest[0] in ('-h', '--help'):
            print(f'usage: reenact-jax {name} PART --help\n\n{ABOUT[name]}\n{_lines(target)}')
            return 0
        part, *rest = rest
        target = _of(target, part, f'reenact-jax {name}')
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    return importlib.import_module(target.module).main(rest or ([] if target.bare else ['--help']))


def entry() -> None:
    """Run the program `reenact-jax`."""
    errors.command(main, sys.argv[1:])


def _of(table: dict, name: str, where: str):
    """Look up a command by name; if there is none, suggest one."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, 1)
    hint = f'did you mean {near[0]}?' if near else f'there are {", ".join(table)}'
    raise UserError(f'{where} {name}: no such command; {hint}')


def _overview() -> str:
    """List all commands by heading."""
    about = str(reenact_jax.__doc__).split('\n', 1)[0]
    parts = [f'{about}\n\nusage: reenact-jax COMMAND --help']
    for heading, names in GROUPS.items():
        parts.append(f'{heading}\n' + _lines({name: COMMANDS[name] for name in names}))
    return '\n\n'.join(parts)


def _lines(table: dict[str, Command | dict[str, Command]]) -> str:
    return '\n'.join(f'  {name:<15}{_does(name, entry)}' for name, entry in table.items())


def _does(name: str, entry: Command | dict[str, Command]) -> str:
    return entry.does if isinstance(entry, Command) else f'{ABOUT[name]} {" | ".join(entry)}'
