"""Equal stand-ins, during a conversion, for what jax2onnx or onnxruntime do not take."""

import contextlib
import functools
import string
from collections.abc import Callable, Iterator
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from reenact_jax.geometry import exact
from reenact_jax.nets import narrow

_RESIZE = jax.image.resize  # JAX's own


@contextlib.contextmanager
def rewritten():
    """Replace functions of JAX by their stand-ins.

    jax.image.resize becomes products with matrices: jax2onnx 0.17.1 converts neither symbolic
    shapes nor the smoothing of downsampling. jnp.einsum is written without `...`: onnxruntime 1.32
    infers a wrong shape where operands differ in rank, and folds it into constants. One that sums
    nothing becomes a multiplication, which jax2onnx writes wrongly as a product. Convolutions to
    few channels stay whole, since jax2onnx knows no choice by platform.
    """
    with (
        mock.patch.object(jax.image, 'resize', resize),
        mock.patch.object(jnp, 'einsum', spelled(jnp.einsum)),
        mock.patch.object(exact, 'einsum', spelled(exact.einsum)),
        mock.patch.object(narrow, 'convolution', narrow.whole),
    ):
        yield


def resize(image: jax.Array, shape: tuple, method: str) -> jax.Array:
    """Resize as jax.image.resize does, one axis at a time."""
    letters = string.ascii_lowercase[: image.ndim]
    for letter, old, new in zip(letters, image.shape, shape, strict=True):
        if old != new:
            matrix = _resize_matrix(old, new, method)
            image = jnp.einsum(
                f'z{letter},{letters}->{letters.replace(letter, "z")}', matrix, image
            )
    return image


@functools.cache
def _resize_matrix(old: int, new: int, method: str) -> np.ndarray:
    """Return the matrix that resizes one axis."""
    with jax.ensure_compile_time_eval():
        return np.asarray(_RESIZE(jnp.eye(old), (new, old), method))


def spelled(einsum: Callable) -> Callable:
    """Wrap an einsum so that `...` is written out, and one that sums nothing multiplies."""

    def written(equation: str, *operands, **options):
        if '...' in equation:
            left, right = equation.split('->')
            terms = left.split(',')
            deep = [
                x.ndim - len(t.replace('...', '')) for t, x in zip(terms, operands, strict=True)
            ]
            spare = [c for c in string.ascii_letters if c not in equation][: max(deep)]
            terms = [
                term.replace('...', ''.join(spare[len(spare) - n :]))
                for term, n in zip(terms, deep, strict=True)
            ]
            equation = f'{",".join(terms)}->{right.replace("...", "".join(spare))}'
        terms, right = equation.split('->')
        if set(terms) - {','} == set(right):
            return _multiplied(terms.split(','), right, operands)
        return einsum(equation, *operands, **options)

    return written


def _multiplied(terms: list[str], right: str, operands) -> jax.Array:
    """Multiply operands that are named by letters, each an axis of the result."""
    result = jnp.ones((), operands[0].dtype)
    for term, x in zip(terms, operands, strict=True):
        ordered = jnp.transpose(x, [term.index(letter) for letter in right if letter in term])
        result = result * jnp.expand_dims(
            ordered, [k for k, letter in enumerate(right) if letter not in term]
        )
    return result


def sum_in_steps(onnx, graph) -> None:
    """Turn sums over several axes into sums over one axis after another, in place.

    onnxruntime adds number by number in float32: over a layer of a 256 x 256 network that loses
    three digits more than JAX does (measured: 2e-4 of a norm's output instead of 6e-7).
    """
    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes, used = [], set()
    for node in graph.node:
        axes = known.get(node.input[1]) if len(node.input) > 1 else None
        if node.op_type not in ('ReduceSum', 'ReduceSumSquare') or axes is None or len(axes) < 2:
            nodes.append(node)
            continue
        nodes += _steps(onnx, node, axes)
        used |= set(axes.tolist())
    del graph.node[:]
    graph.node.extend(nodes)
    for axis in sorted(used):
        value = onnx.numpy_helper.from_array(np.array([axis]), _axis_name(axis))
        graph.initializer.append(value)


def _steps(onnx, node, axes: np.ndarray) -> list:
    """Return the nodes that sum over one axis after another."""
    make, (x, whole), (y,) = onnx.helper.make_node, node.input, node.output
    nodes = []
    if node.op_type == 'ReduceSumSquare':
        nodes.append(make('Mul', [x, x], [f'{y}_square']))
    for axis in sorted(axes.tolist(), reverse=True):
        x = nodes[-1].output[0] if nodes else x
        nodes.append(make('ReduceSum', [x, _axis_name(axis)], [f'{y}_over_{axis}'], keepdims=1))
    keep = all(one.i for one in node.attribute if one.name == 'keepdims')  # as it is by default
    last = [nodes[-1].output[0]]
    return [*nodes, make('Identity', last, [y]) if keep else make('Squeeze', [*last, whole], [y])]


def _axis_name(axis: int) -> str:
    return f'reenact_jax_axis_{axis}'


def drop_unused(graph) -> None:
    """Remove the initializers that nothing reads, in loops too: onnxruntime warns of each."""
    graphs = list(_graphs(graph))
    used = {name for one in graphs for node in one.node for name in node.input}
    used |= {value.name for one in graphs for value in one.output}
    for one in graphs:
        for at in reversed(range(len(one.initializer))):
            if one.initializer[at].name not in used:
                del one.initializer[at]


def _graphs(graph) -> Iterator:
    """Yield a graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField('g'):
                yield from _graphs(attribute.g)
