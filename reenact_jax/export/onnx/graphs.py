"""A function of a model as an ONNX graph, by jax2onnx, and that graph as onnxruntime runs it.

Inputs and outputs are the leaves of the function's arguments and results under the names that
`names` gives: `source_image`, `identity_0`, `driving_landmarks`. The weights are initializers.
"""

import contextlib
import inspect
import logging
import traceback
from collections.abc import Callable

import jax
import numpy as np

from reenact_jax.common.errors import UserError
from reenact_jax.export.onnx.rewrites import drop_unused, rewritten, sum_in_steps
from reenact_jax.export.programs import Call

OPSET = 21  # onnxruntime 1.20 and later
JAX2ONNX = '0.17.1'
RESULTS = {
    'identify': 'identity',
    'transfer': 'landmarks',
    'carry': 'landmarks',
    'encode': 'appearance',
    'encode_onto': 'appearance',
    'render': 'image',
    'layers': 'layers',
}


def packages():
    """Import jax2onnx, onnx and onnxruntime.

    Raises:
      UserError: one is missing; the message names the extra.
    """
    try:
        import jax2onnx  # pyright: ignore[reportMissingImports]
        import onnx
        import onnxruntime  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            f'writing ONNX needs {error.name}; in an environment of its own: pip install '
            f'"reenact_jax[onnx]", then pip install --no-deps jax2onnx=={JAX2ONNX}'
        ) from None
    return jax2onnx, onnx, onnxruntime


def names(name: str, tree) -> list[str]:
    """Name a tree's leaves, in order: `name` and the keys on the way, joined by _."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return ['_'.join([name, *(str(getattr(k, 'key', None) or k.idx) for k in p)]) for p, _ in paths]


def parameters(call: Call) -> dict:
    """Return the shapes of a call's arguments by the names of its parameters."""
    return dict(zip(list(inspect.signature(call.function).parameters)[1:], call.arguments))  # noqa: B905


def inputs(call: Call) -> dict[str, jax.ShapeDtypeStruct]:
    """Return a call's inputs in order: name -> shape."""
    keys = [key for name, tree in parameters(call).items() for key in names(name, tree)]
    return dict(zip(keys, jax.tree.leaves(call.arguments), strict=True))


def outputs(name: str, call: Call) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the outputs of the function `name` in order: name -> shape."""
    shapes = jax.eval_shape(call.function, call.variables, *call.arguments)
    return dict(zip(names(RESULTS[name], shapes), jax.tree.leaves(shapes), strict=True))


def convert(name: str, call: Call) -> bytes:
    """Convert the function `name` to an ONNX file.

    Raises:
      UserError: jax2onnx cannot convert it (the message names the primitive), or it is too large.
    """
    jax2onnx, onnx, _ = packages()
    given, results = inputs(call), outputs(name, call)
    tree = jax.tree.structure(call.arguments)

    def flat(*leaves):
        with rewritten():
            made = call.function(call.variables, *jax.tree.unflatten(tree, leaves))
        return jax.tree.leaves(made)

    try:
        with _quiet():
            proto = jax2onnx.to_onnx(
                flat, list(given.values()), model_name=name, opset=OPSET, input_names=list(given)
            )
    except Exception as error:  # it has no class of its own
        primitive = _primitive(error)
        raise UserError(
            f'{name}: jax2onnx cannot convert {primitive or "it"} ({_first_line(error)}); '
            'reenact_jax.export writes this model as StableHLO instead'
        ) from error
    sum_in_steps(onnx, proto.graph)
    # Identities: what is passed through has an input's name, and what is given twice has one.
    for output, new in zip(proto.graph.output, results, strict=True):
        proto.graph.node.append(onnx.helper.make_node('Identity', [output.name], [new]))
        output.name = new
    drop_unused(proto.graph)
    try:
        return proto.SerializeToString()
    except Exception as error:
        raise UserError(f'{name}: too large for an ONNX file ({_first_line(error)})') from error


def session(name: str, content: bytes) -> Callable[..., list[np.ndarray]]:
    """Open an ONNX file in onnxruntime, on the CPU.

    Returns:
      A function of {input name: array} that returns the outputs.

    Raises:
      UserError: onnxruntime does not take the file; the function raises it too, if a run fails.
    """
    *_, onnxruntime = packages()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4

    def refused(error):
        return UserError(f'{name}: onnxruntime does not run it ({_first_line(error)})')

    try:
        opened = onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # no common class
        raise refused(error) from error

    def run(arrays: dict) -> list[np.ndarray]:
        try:
            return opened.run(None, arrays)
        except Exception as error:
            raise refused(error) from error

    return run


@contextlib.contextmanager
def _quiet():
    """Silence the warnings of jax2onnx: a traceback for every framework that is not installed."""
    loggers = [logging.getLogger(name) for name in ('jax2onnx', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _primitive(error: Exception) -> str | None:
    """Return the primitive in whose conversion jax2onnx raised; its errors do not always say."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    primitives = [frame['primitive_name'] for frame in frames if 'primitive_name' in frame]
    return f'the primitive {primitives[-1]!r}' if primitives else None


def _first_line(error: Exception) -> str:
    """Return the type and the first line of an error."""
    return f'{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ""}'
