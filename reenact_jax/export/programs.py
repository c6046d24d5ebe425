"""From networks to the files of a bundle: compiled functions over flat, named weights.

A function of a system, for example `render(hp, nets, variables, appearance, landmarks)`, becomes
`render(weights, appearance, landmarks)`. `weights` is {'network/collection/module/parameter':
array} and holds only what the function reads, so that no discriminator leaves the workdir. What
systems pass on (identity, appearance) becomes a flat tuple of arrays.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jax.extend.core import Literal

from reenact_jax.common.arrays import AnyArray
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import Face
from reenact_jax.export.trained import Trained
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts
from reenact_jax.geometry.layers import as_tree
from reenact_jax.nets.blocks import folded
from reenact_jax.systems.interface import LANDMARKS, Motion, member

PLATFORMS = ('cpu', 'cuda', 'tpu')


class Call(NamedTuple):
    """A function of a model, `function(variables, *arguments)`, before it is exported."""

    function: Callable
    variables: dict
    arguments: tuple  # shapes of all arguments but the variables; b is symbolic


class Function(NamedTuple):
    """An exported function: its program and the names of the weights that it reads."""

    program: bytes
    names: tuple[str, ...]


def flatten(variables: dict) -> dict[str, AnyArray]:
    """Flatten nested dicts to {'network/collection/module/parameter': array}.

    Raises:
      ValueError: two leaves get the same name (a key contains a slash).
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    names = [_name(path) for path, _ in leaves]
    if len(set(names)) < len(names):
        raise ValueError('two parameters have the same name')
    return {name: leaf for name, (_, leaf) in zip(names, leaves, strict=True)}


def restore(flat: dict, like: dict) -> dict:
    """Undo `flatten`.

    Args:
      flat: name -> array; what is missing becomes zeros.
      like: nested dicts of the wanted structure and shapes.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(like)
    values = [flat.get(_name(path), jnp.zeros(leaf.shape, leaf.dtype)) for path, leaf in leaves]
    return jax.tree.unflatten(tree, values)


def weights_file(flat: Mapping[str, AnyArray], dtype: str = 'float32') -> bytes:
    """Write the arrays as a safetensors file, floats in `dtype`."""
    return safetensors.numpy.save(stored(flat, dtype))


def transfer_functions(part: Trained, size: int, dtype: str = 'float32') -> dict[str, Function]:
    """Export `identify` and `transfer` of a landmark transfer, for a source image of `size`."""
    return _exported(transfer_calls(part, size), dtype)


def generator_functions(part: Trained, dtype: str = 'float32') -> dict[str, Function]:
    """Export `encode` and `render` of an image generator, and what else it has."""
    return _exported(generator_calls(part), dtype)


def carry_functions(points: str, size: int) -> dict[str, Function]:
    """Export `carry`: the driver's landmarks without a transfer."""
    return _exported(carry_calls(points, size), 'float32')


def calls(generator: Trained, transfer: Trained | None) -> dict[str, Call]:
    """Return every function of a bundle by name.

    Raises:
      UserError: as `check_fit`.
    """
    check_fit(generator, transfer)
    functions = generator_calls(generator)
    if motion_of(generator) == LANDMARKS:
        functions = carry_calls(generator.points, generator.size) | functions
    if transfer is not None:
        functions |= transfer_calls(transfer, generator.size)
    return functions


def transfer_calls(part: Trained, size: int) -> dict[str, Call]:
    """Return `identify` and `transfer` of a landmark transfer, for a source image of `size`."""
    part = divided(part)
    source, driving, first = _faces(part.points, size, member(part.module, 'DRIVEN_BY'))

    def raw(variables, source):
        return part.module.identify(part.hp, part.nets, variables, Face(**source))

    def identify(variables, source):
        return _leaves(raw(variables, source))

    structure = jax.tree.structure(jax.eval_shape(raw, part.variables, source))

    def transfer(variables, identity, driving, first):
        identity = jax.tree.unflatten(structure, identity)
        faces = Face(**driving), Face(**first)
        return part.module.transfer(part.hp, part.nets, variables, identity, *faces)

    identity = jax.eval_shape(identify, part.variables, source)
    return {
        'identify': Call(identify, part.variables, (source,)),
        'transfer': Call(transfer, part.variables, (identity, driving, first)),
    }


def generator_calls(part: Trained) -> dict[str, Call]:
    """Return the functions of an image generator by name.

    They are `encode` and `render`; `encode_onto`, with another background, if the system says
    `TAKES_BACKGROUND`; `layers` if it has them.
    """
    part = divided(part)
    source, driving, _ = _faces(part.points, part.size)
    points, motion = driving['landmarks'], member(part.module, 'motion')(part.hp)
    if motion.shape is not None:
        points = jax.ShapeDtypeStruct((points.shape[0], *motion.shape), jnp.float32)
    elif member(part.module, 'takes_depth')(part.hp):
        _, deep, first = _faces(part.points, part.size, ('landmarks3d',))
        source, points = source | first, deep['landmarks3d']

    def raw(variables, source):
        return part.module.encode(part.hp, part.nets, variables, Face(**source))

    def encode(variables, source):
        return _leaves(raw(variables, source))

    structure = jax.tree.structure(jax.eval_shape(raw, part.variables, source))

    def render(variables, appearance, landmarks):
        appearance = jax.tree.unflatten(structure, appearance)
        return part.module.render(part.hp, part.nets, variables, appearance, landmarks)

    appearance = jax.eval_shape(encode, part.variables, source)
    functions = {
        'encode': Call(encode, part.variables, (source,)),
        'render': Call(render, part.variables, (appearance, points)),
    }
    if member(part.module, 'layers') is not None:

        def layers(variables, appearance, landmarks):
            appearance = jax.tree.unflatten(structure, appearance)
            made = part.module.layers(part.hp, part.nets, variables, appearance, landmarks)
            return None if made is None else as_tree(made)

        call = Call(layers, part.variables, (appearance, points))
        if jax.eval_shape(layers, *call[1:2], *call.arguments) is not None:
            functions['layers'] = call
    if member(part.module, 'TAKES_BACKGROUND'):

        def encode_onto(variables, source, background):
            face = Face(**source)
            return _leaves(part.module.encode(part.hp, part.nets, variables, face, background))

        functions['encode_onto'] = Call(encode_onto, part.variables, (source, source['image']))
    return functions


def divided(part: Trained) -> Trained:
    """Divide the kernels that have spectral norm (`blocks.folded`)."""
    variables = {network: folded(one) for network, one in part.variables.items()}
    return part._replace(variables=variables)


def kept(part: Trained, names: Iterable[str]) -> dict[str, AnyArray]:
    """Return the weights that a bundle keeps of a model, flat.

    They are those that its functions read, and the vectors of spectral norm, which a training takes
    that starts with the bundle.

    Args:
      part: the model.
      names: of the weights that its functions read.
    """
    read = sorted(names)
    flat, networks = flatten(divided(part).variables), {name.split('/')[0] for name in read}
    vectors = {
        name: vector
        for name, vector in flatten(part.variables).items()
        if name.split('/')[1] == 'spectral' and name.split('/')[0] in networks
    }
    return {name: flat[name] for name in read} | vectors


def carry_calls(points: str, size: int) -> dict[str, Call]:
    """Return `carry`, which moves the driver's landmarks to the source's (the identity)."""
    source, driving, first = _faces(points, size)

    def carry(variables, identity, driving, first):
        del variables
        return lm.carry(driving['landmarks'], lm.box(identity[0]), first['landmarks'])

    return {'carry': Call(carry, {}, ((source['landmarks'],), driving, first))}


def stored(flat: Mapping[str, AnyArray], dtype: str) -> dict[str, np.ndarray]:
    """Convert weights to the type in which they are stored: floats in `dtype`.

    Raises:
      UserError: a value is too large for it.
    """
    with np.errstate(over='ignore'):  # reported below, by name
        arrays = {n: np.asarray(x).astype(_stored_dtype(x, dtype)) for n, x in flat.items()}
    for name, array in arrays.items():
        if not np.isfinite(array.astype(np.float32)).all():
            raise UserError(f'--dtype {dtype}: {name} does not fit; take bfloat16 or float32')
    return arrays


def _stored_dtype(array, dtype: str):
    return jnp.dtype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array.dtype


def _exported(calls: dict[str, Call], dtype: str) -> dict[str, Function]:
    return {name: _export(*call, dtype) for name, call in calls.items()}


def _export(function: Callable, variables: dict, args: tuple, dtype: str) -> Function:
    """Export a function over flat weights, only those that it reads; it computes in float32."""
    known = {n: jax.ShapeDtypeStruct(x.shape, x.dtype) for n, x in flatten(variables).items()}

    def flat_function(flat, *args):
        flat = {name: value.astype(known[name].dtype) for name, value in flat.items()}
        return function(restore(flat, variables), *args)

    names = _read(lambda flat, *args: function(restore(flat, variables), *args), known, args)
    flat = {n: jax.ShapeDtypeStruct(known[n].shape, _stored_dtype(known[n], dtype)) for n in names}
    exported = jax.export.export(jax.jit(flat_function), platforms=PLATFORMS)(flat, *args)
    return Function(bytes(exported.serialize()), names)


def _read(function: Callable, flat: dict, args: tuple) -> tuple[str, ...]:
    """Return the names of the weights that a function uses."""
    names = sorted(flat)  # the order in which a dict's leaves become arguments
    program = jax.jit(function).trace(flat, *args).jaxpr.jaxpr
    read = {x for step in program.eqns for x in step.invars if not isinstance(x, Literal)}
    read |= {x for x in program.outvars if not isinstance(x, Literal)}
    return tuple(name for name, x in zip(names, program.invars) if x in read)  # noqa: B905


def _faces(points: str, size: int, fields=('landmarks',)) -> tuple[dict, dict, dict]:
    """Return shapes of source, driving (b rows) and first, a bundle's arguments, as plain dicts.

    The source has its image and the `fields`; the others have the fields.
    """
    count = layouts.layout(points).count
    (b,) = jax.export.symbolic_shape('b')
    last = {'landmarks': (count, 2), 'landmarks3d': (count, 3), 'image': (size, size, 3)}
    last |= dict.fromkeys(('aus', 'aus_valid'), (20,))

    def floats(*shape):
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    one, several = ({name: floats(n, *last[name]) for name in fields} for n in (1, b))
    return {'image': floats(1, size, size, 3), **one}, several, one


def _leaves(tree) -> tuple:
    return tuple(jax.tree.leaves(tree))


def _name(path) -> str:
    return '/'.join(str(key.key) for key in path)


def motion_of(part: Trained) -> Motion:
    """Return the kind of a model's motion."""
    return member(part.module, 'motion')(part.hp)


def check_fit(generator: Trained, transfer: Trained | None) -> None:
    """Check that the generator takes what the transfer gives.

    Raises:
      UserError: the kinds of motion or the point sets differ, or there is no transfer and the
        generator takes no landmarks.
    """
    taken = motion_of(generator)
    if transfer is None:
        if taken != LANDMARKS:
            raise UserError(
                f"--transfer: {generator.system} is moved by {taken.kind}, which a driver's face "
                f'does not have; give a run whose transfer makes {taken.kind}'
            )
        return
    if (given := motion_of(transfer)) != taken:
        raise UserError(
            f'--transfer: {transfer.system} gives {_said(given)}, and {generator.system} takes '
            f'{_said(taken)}; join two of one kind'
        )
    if generator.points != transfer.points:
        raise UserError(
            f'--transfer was trained with points {transfer.points!r}, --generator with '
            f'{generator.points!r}; train one of them with the point set of the other'
        )


def _said(motion: Motion) -> str:
    """Name a kind of motion, and its size if the kind does not say it."""
    return motion.kind if motion.shape is None else f'{motion.kind} {list(motion.shape)}'
