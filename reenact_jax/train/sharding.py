"""Where arrays lie: one mesh of two axes over all devices of all processes.

Rows of the batch are split over both axes, `data` and `fsdp`. Parameters are replicated, or with
`fsdp` split along that axis: every leaf of at least `LARGE` numbers along the largest of its sides
that the axis divides. Along `data` they are replicated. The state is created where it will lie.

Devices of one slice (of TPUs; of GPUs: a host or what NVLink joins) follow one another, and an axis
`fsdp` lies within a slice: what is gathered for every layer passes quick links alone, and slices
send each other sums of gradients.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from reenact_jax.common.errors import UserError
from reenact_jax.train.step import State

DATA, FSDP = AXES = ('data', 'fsdp')
LARGE = 2**16  # size of a leaf from which splitting it pays for its gathering
MODES = ('replicated', 'fsdp')


def make_mesh(devices: Sequence | None = None, mode: str = 'replicated', shape: str = '') -> Mesh:
    """Make the mesh of devices.

    Args:
      devices: by default all devices of all processes.
      mode: 'replicated' or 'fsdp'.
      shape: DATAxFSDP, the lengths of its axes, such as 2x16; '': with 'fsdp' as many along `fsdp`
        as a slice has devices, otherwise one.

    Raises:
      UserError: the shape does not suit the devices, see `grid`.
    """
    devices = jax.devices() if devices is None else devices
    return Mesh(grid(devices, mode, shape), AXES, axis_types=(AxisType.Auto, AxisType.Auto))


def grid(devices: Sequence, mode: str, shape: str) -> np.ndarray:
    """Lay devices out as a mesh [data, fsdp]; arguments as of `make_mesh`.

    Raises:
      UserError: there are not so many devices, or `fsdp` would reach over slices, or is longer than
        one without being asked for.
    """
    devices = sorted(devices, key=slice_of)
    count = len(devices)
    within = count // len({slice_of(device) for device in devices})
    data, split = _lengths(shape) if shape else (0, within if mode == 'fsdp' else 1)
    if shape and data * split != count:
        raise UserError(f'config.mesh: {shape} is {data * split} devices; there are {count}')
    if within % split:
        raise UserError(
            f'config.mesh: {shape}: {split} along fsdp do not divide the {within} devices of '
            'a slice'
        )
    if split > 1 and mode != 'fsdp':
        raise UserError(f'config.mesh: {shape}: only config.sharding=fsdp splits along fsdp')
    laid_out = np.empty(count, object)
    laid_out[:] = devices
    return laid_out.reshape(-1, split)


def slice_of(device) -> int:
    """Return the number of a device's slice; 0 where devices have none."""
    return getattr(device, 'slice_index', None) or 0


def _lengths(shape: str) -> tuple[int, int]:
    match = re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', shape)
    if not match:
        raise UserError(f'config.mesh: expected DATAxFSDP, such as 2x16, found {shape!r}')
    return int(match[1]), int(match[2])


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding that puts the same whole on every device."""
    return NamedSharding(mesh, PartitionSpec())


def rows(mesh: Mesh, leading: int = 0) -> NamedSharding:
    """Return the sharding of rows after `leading` unsplit axes (1 for a stack of batches)."""
    return NamedSharding(mesh, PartitionSpec(*(None,) * leading, AXES))


def of_tree(tree: Any, mesh: Mesh, mode: str = 'replicated', large: int = LARGE) -> Any:
    """Return a sharding for every leaf (an array or its shape) of a state or of variables."""
    return jax.tree.map(lambda leaf: NamedSharding(mesh, _spec(leaf, mesh, mode, large)), tree)


def born(create: Callable, *args, mesh: Mesh, mode: str = 'replicated', large: int = LARGE):
    """Compute `create(*args)` where it will lie: no device holds more than its part."""
    shardings = of_tree(jax.eval_shape(create, *args), mesh, mode, large)
    return jax.jit(create, out_shardings=shardings)(*args)


def shapes(create: Callable, *args, mesh: Mesh, mode: str = 'replicated', large: int = LARGE):
    """Return the result of `born` as shapes with shardings: where to restore to."""
    leaves = jax.eval_shape(create, *args)
    return abstract(leaves, of_tree(leaves, mesh, mode, large))


def abstract(tree: Any, where: Any) -> Any:
    """Return arrays or shapes as shapes with shardings.

    Args:
      where: one sharding, or one for each leaf.
    """
    if isinstance(where, NamedSharding):
        where = jax.tree.map(lambda _: where, tree)
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        tree,
        where,
    )


def compile_step(
    step: Callable,
    state: State,
    mesh: Mesh,
    mode: str = 'replicated',
    *,
    stacked: bool = False,
    large: int = LARGE,
) -> jax.stages.Wrapped:
    """Compile a training step: the one jit.

    Args:
      step: (state, constants, batch) -> (state, metrics), from `train_step` or `scan_steps`.
      state: the state (or its shapes) that it will be called with; it is donated.
      mode: 'replicated' or 'fsdp'.
      stacked: whether batches have a leading axis of steps.
      large: as of `of_tree`.
    """
    shardings = of_tree(state, mesh, mode, large)
    whole = replicated(mesh)
    return jax.jit(
        step,
        in_shardings=(shardings, whole, rows(mesh, int(stacked))),
        out_shardings=(shardings, whole),
        donate_argnums=0,
    )


def gathering(mesh: Mesh, mode: str, large: int = LARGE) -> Callable:
    """Return the function that makes variables whole for a forward pass; for `train_step`.

    With `fsdp` every device gathers what is split before it computes with it, and gets its part of
    the summed gradients. Left to itself, XLA splits the matrix products instead and sends
    activations around. Optimiser state, averages and gradients stay split.
    """

    def one(leaf):
        place = NamedSharding(mesh, _spec(leaf, mesh, mode, large))
        return leaf if place.is_fully_replicated else _whole(leaf, place)

    return lambda tree: jax.tree.map(one, tree)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _whole(x: jax.Array, place: NamedSharding) -> jax.Array:
    """Return x on every device; its gradient lies as x does, in `place`."""
    return jax.lax.with_sharding_constraint(x, NamedSharding(place.mesh, PartitionSpec()))


def _whole_forward(x, place):
    return _whole(x, place), None


def _whole_backward(place, _, gradient):
    return (jax.lax.with_sharding_constraint(gradient, place),)


_whole.defvjp(_whole_forward, _whole_backward)


def to_devices(batch: Any, mesh: Mesh, *, stacked: bool = False) -> Any:
    """Make global arrays of this process's rows, NumPy arrays [rows / processes, ...]."""
    sharding = rows(mesh, int(stacked))
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def to_all(tree: Any, mesh: Mesh) -> Any:
    """Put the same host values on every device of every process."""
    whole = replicated(mesh)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(whole, np.asarray(x)), tree
    )


def _spec(leaf, mesh: Mesh, mode: str, large: int) -> PartitionSpec:
    """Choose the axis along which a leaf is split, if any."""
    shape, count = leaf.shape, mesh.shape[FSDP]
    if mode == 'replicated' or count == 1 or np.prod(shape, dtype=int) < large:
        return PartitionSpec()
    divisible = [axis for axis, side in enumerate(shape) if side % count == 0]
    if not divisible:
        return PartitionSpec()
    largest = max(divisible, key=lambda axis: shape[axis])
    return PartitionSpec(*(FSDP if axis == largest else None for axis in range(len(shape))))
