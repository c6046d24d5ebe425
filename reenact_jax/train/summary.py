"""A config's networks, stages and settings, without data.

    reenact-jax summary --config aan:small --size 128

For every network it lists the parameters, the arithmetic of one call on one frame as XLA counts it
(GFLOP; a multiplication and an addition are two) and the shapes that it returns; for every stage
the players and the networks they move, the length, batch and learning rates; then the settings of
the system with their sources. Nothing is trained and no data is read: image size, number of
identities and of records are flags.
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

    network: str
    parameters: int
    gflop: float | None  # one call on one frame; None: no stage calls it
    inputs: str
    outputs: str


def networks(system, hp, data: DataInfo, size: int) -> list[Row]:
    """Measure all networks of a system on the arguments with which its stages call them first.

    The losses are traced on two rows of `size` pixels; nothing is computed.
    """
    nets = system.networks(hp, data)
    variables = jax.eval_shape(
        lambda key: system.init(hp, nets, key, example(data, size, 2)), jax.random.key(0)
    )
    calls = {}
    for stage in system.stages(hp, data):
        _record(stage, nets, variables, system.constants(hp, load=False), data, size, calls)
    return [
        _row(network, nets[network], variables[network], calls.get(network)) for network in nets
    ]


def example(data: DataInfo, size: int, frames: int) -> Batch:
    """Make two prepared rows of zeros: all that a stage may read."""
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
    """Add each network's first call in the stage to `calls`: shapes, and options by name."""

    def losses(variables, batch):
        def apply(network, *args, method=None, train=True, **kwargs):
            if method is None and network not in calls:
                shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), args)
                calls[network] = shapes, kwargs
            options = dict(method=method, train=False)
            return nets[network].apply(variables[network], *args, **options, **kwargs)

        return stage.losses(apply, constants, batch, jax.random.key(0))

    jax.eval_shape(losses, variables, example(data, size, stage.frames))


def _row(network: str, net, variables, call) -> Row:
    """Measure one network."""
    count = sum(leaf.size for leaf in jax.tree.leaves(variables.get('params', {})))
    if call is None:
        return Row(network, count, None, '', 'not called by any stage')
    args, kwargs = call

    def forward(variables, args):
        return net.apply(variables, *args, train=False, **kwargs)

    cost = jax.jit(forward).lower(variables, args).cost_analysis() or {}
    rows = jax.tree.leaves(args)[0].shape[0]
    outputs = jax.eval_shape(forward, variables, args)
    return Row(network, count, cost.get('flops', 0.0) / rows / 1e9, _shapes(args), _shapes(outputs))


def _shapes(tree) -> str:
    """Describe the shapes of all arrays without their leading (batch) axis, equal ones counted."""
    texts = ['x'.join(map(str, leaf.shape[1:])) or '1' for leaf in jax.tree.leaves(tree)]
    counted = [(text, len(list(same))) for text, same in itertools.groupby(texts)]
    return ', '.join(text if count == 1 else f'{count} x ({text})' for text, count in counted)


def stages(system, hp, data: DataInfo) -> list[str]:
    """Describe every stage in a few lines: who moves what, how long, at which rates."""
    lines = []
    for stage in system.stages(hp, data):
        lines.append(
            f'{stage.name}: {stage.steps:,} steps of {stage.batch_size} rows x {stage.frames} '
            f'frames, partners: {stage.neighbour}'
        )
        for player, networks in stage.players.items():
            first, last = (
                optimisers.learning_rate(stage.tx[player], step) for step in (0, stage.steps - 1)
            )
            rate = f'{first:.3g}' if abs(first - last) < 1e-12 else f'{first:.3g} to {last:.3g}'
            lines.append(f'  {player:<4} moves {", ".join(networks)}; learning rate {rate}')
    return lines


def settings(hp) -> list[str]:
    """Describe every setting of the system: value, default where it differs, meaning."""
    lines = []
    for field in dataclasses.fields(hp):
        value = getattr(hp, field.name)
        changed = '' if value == field.default else f' (default {field.default!r})'
        lines.append(f'{field.name} = {value!r}{changed}: {field.metadata.get("doc", "")}')
    return lines


def report(values, data: DataInfo, size: int) -> str:
    """Write the whole summary of a config as text.

    Raises:
      UserError: a field is bad.
    """
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
        lines.append(f'{row.network:<9}{row.parameters:>12,}{gflop:>10}   {arrow}')
    total = sum(row.parameters for row in rows)
    lines += [f'{"total":<9}{total:>12,}', '', *stages(system, hp, data), '', *settings(hp)]
    return '\n'.join(lines)


def define_flags(values: flags.FlagValues) -> None:
    """Define the command's flags."""
    command_line.define_config(values)
    flags.DEFINE_integer('size', 256, 'side of the images, pixels', 32, flag_values=values)
    flags.DEFINE_integer(
        'identities', 1000, 'number of identities in the training data', 2, flag_values=values
    )
    flags.DEFINE_integer(
        'examples', 50_000, 'number of records in the training data', 1, flag_values=values
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Returns:
      Its exit code.
    """
    values = command_line.start(define_flags, __doc__, arguments, ('config',))
    if values is None:
        return 0
    data = DataInfo(values.identities, values.examples, values.config.points)
    print(report(values.config, data, values.size))
    return 0
