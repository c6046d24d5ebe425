"""What a config builds, without data: networks, stages, settings.

    reenact-jax summary --config aan:small --size 128

For every network its parameters, the arithmetic of one call on one frame as XLA counts it (GFLOP;
a multiplication and an addition are two) and the shapes it returns; for every stage its players and
the networks they move, its length, batch and learning rates; then the settings of the system with
their sources. Nothing is trained and no data is read: image size, number of people and of records
are flags.
"""

import dataclasses
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from absl import flags

from reenact_jax.common import command_line
from reenact_jax.data.tracks import Batch, DataInfo
from reenact_jax.geometry.layouts import layout
from reenact_jax.systems import optimisers
from reenact_jax.train import config


class Row(NamedTuple):
    """One network."""

    letter: str
    parameters: int
    gflop: float | None  # one call on one frame; None: no stage calls it
    inputs: str
    outputs: str


def networks(system, hp, data: DataInfo, size: int) -> list[Row]:
    """All networks of a system, measured on the arguments its stages call them with first.

    The losses are traced on two rows of `size` pixels, nothing is computed.
    """
    nets = system.networks(hp, data)
    variables = jax.eval_shape(
        lambda key: system.init(hp, nets, key, example(data, size, 2)), jax.random.key(0)
    )
    calls = {}
    for stage in system.stages(hp, data):
        _record(stage, nets, variables, system.constants(hp, load=False), data, size, calls)
    return [_row(letter, nets[letter], variables[letter], calls.get(letter)) for letter in nets]


def example(data: DataInfo, size: int, frames: int) -> Batch:
    """Two prepared rows of zeros: all that a stage may read."""
    points = layout(data.points).count
    return Batch(
        image=jnp.zeros((2, frames, size, size, 3)),
        landmarks=jnp.zeros((2, frames, points, 2)),
        landmarks3d=jnp.zeros((2, frames, points, 3)),
        reference=jnp.zeros((2, frames, points, 2)),
        aus=jnp.zeros((2, frames, 20)),
        aus_valid=jnp.ones((2, frames, 20), bool),
        segmentation=jnp.zeros((2, frames, size, size), jnp.uint8),
        identity=jnp.zeros(2, jnp.int32),
    )


def _record(stage, nets, variables, constants, data, size, calls: dict) -> None:
    """Adds each network's first call in the stage to `calls`: shapes, and options by name."""

    def losses(variables, batch):
        def apply(letter, *args, method=None, train=True, **kwargs):
            if method is None and letter not in calls:
                shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), args)
                calls[letter] = shapes, kwargs
            options = dict(method=method, train=False)
            return nets[letter].apply(variables[letter], *args, **options, **kwargs)

        return stage.losses(apply, constants, batch, jax.random.key(0))

    jax.eval_shape(losses, variables, example(data, size, stage.frames))


def _row(letter: str, net, variables, call) -> Row:
    count = sum(leaf.size for leaf in jax.tree.leaves(variables.get('params', {})))
    if call is None:
        return Row(letter, count, None, '', 'not called by any stage')
    args, kwargs = call

    def forward(variables, args):
        return net.apply(variables, *args, train=False, **kwargs)

    cost = jax.jit(forward).lower(variables, args).cost_analysis() or {}
    rows = jax.tree.leaves(args)[0].shape[0]
    outputs = jax.eval_shape(forward, variables, args)
    return Row(letter, count, cost.get('flops', 0.0) / rows / 1e9, _shapes(args), _shapes(outputs))


def _shapes(tree) -> str:
    """The shapes of all arrays without their leading (batch) axis, equal ones counted."""
    texts = ['x'.join(map(str, leaf.shape[1:])) or '1' for leaf in jax.tree.leaves(tree)]
    counted = [(text, len(list(same))) for text, same in itertools.groupby(texts)]
    return ', '.join(text if count == 1 else f'{count} x ({text})' for text, count in counted)


def stages(system, hp, data: DataInfo) -> list[str]:
    """A few lines for every stage: who moves what, how long, at which rates."""
    lines = []
    for stage in system.stages(hp, data):
        lines.append(
            f'{stage.name}: {stage.steps:,} steps of {stage.batch_size} rows x {stage.frames} '
            f'frames, partners: {stage.neighbour}'
        )
        for player, letters in stage.players.items():
            first, last = (
                optimisers.learning_rate(stage.tx[player], at) for at in (0, stage.steps - 1)
            )
            rate = f'{first:.3g}' if abs(first - last) < 1e-12 else f'{first:.3g} to {last:.3g}'
            lines.append(f'  {player:<4} moves {", ".join(letters)}; learning rate {rate}')
    return lines


def settings(hp) -> list[str]:
    """One line a setting of the system: its value, its default where it differs, its meaning."""
    lines = []
    for field in dataclasses.fields(hp):
        value = getattr(hp, field.name)
        changed = '' if value == field.default else f' (default {field.default!r})'
        lines.append(f'{field.name} = {value!r}{changed}: {field.metadata.get("doc", "")}')
    return lines


def report(values, data: DataInfo, size: int) -> str:
    """The whole summary of a config as text. Raises UserError for a bad field."""
    values = values.copy_and_resolve_references()
    values.data = values.data or '(none)'  # not needed here, but a run has it
    system, _, hp = config.resolve(values)
    lines = [
        f'{values.system}: {size} x {size} pixels, {data.points} points, '
        f'{data.identities} identities',
        '',
        f'{"network":<9}{"parameters":>12}{"GFLOP":>10}   takes -> gives, a frame',
    ]
    rows = networks(system, hp, data, size)
    for row in rows:
        gflop = '' if row.gflop is None else f'{row.gflop:.4g}'
        arrow = f'{row.inputs} -> {row.outputs}' if row.inputs else row.outputs
        lines.append(f'{row.letter:<9}{row.parameters:>12,}{gflop:>10}   {arrow}')
    total = sum(row.parameters for row in rows)
    lines += [f'{"total":<9}{total:>12,}', '', *stages(system, hp, data), '', *settings(hp)]
    return '\n'.join(lines)


def define_flags(values: flags.FlagValues) -> None:
    """The command's flags."""
    command_line.define_config(values)
    flags.DEFINE_integer('size', 256, 'side of the images', 32, flag_values=values)
    flags.DEFINE_integer('identities', 1000, 'people in the training data', 2, flag_values=values)
    flags.DEFINE_integer('examples', 50_000, 'records in the training data', 1, flag_values=values)


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    values = command_line.start(define_flags, __doc__, arguments, ('config',))
    if values is None:
        return 0
    data = DataInfo(values.identities, values.examples, values.config.points)
    print(report(values.config, data, values.size))
    return 0
