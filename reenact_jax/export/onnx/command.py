"""Write trained models as ONNX files, checked against onnxruntime: for use without JAX.

    reenact-jax onnx --generator out/aan --transfer out/ldnet --out out/onnx

Needs the extra [onnx] and jax2onnx, in an environment of its own (pyproject.toml says why). The
folder holds the functions of a bundle, `identify`, `transfer`, `encode`, `render` and `carry` (the
driver's landmarks as they are), each with its weights, for any number b of driving frames, and
card.json: the model card, every file's inputs, outputs and SHA-256, and how far onnxruntime is
from JAX. Every file is run before the folder appears; one that is too far off is an error.
"""

import json
import os

import jax
import numpy as np

from reenact_jax import bundle
from reenact_jax.common import errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.export import model_card, precision, programs
from reenact_jax.export.onnx import graphs as onnx_graphs
from reenact_jax.export.programs import Call
from reenact_jax.export.trained import Trained

FORMAT = 'onnx-1'  # which bundle.load refuses
BATCHES = (1, 3)  # driving frames of the check
# For images in [-1, 1], for points in pixels, for anything else per unit of its largest value.
TOLERANCES = {'image': 1e-3, 'landmarks': 1e-2}
TOLERANCE = 1e-3
PACKAGES = ('jax', 'jaxlib', 'flax', 'numpy', 'jax2onnx', 'onnx', 'onnxruntime')


def write(directory: str | os.PathLike, generator: Trained, transfer: Trained | None) -> dict:
    """Convert and check both models and write the folder, which appears when it is complete.

    Args:
      directory: folder to write.
      generator: the image generator.
      transfer: the landmark transfer; None: the driver's landmarks as they are.

    Returns:
      The model card.

    Raises:
      UserError: packages are missing, the point sets differ, a function cannot be converted, or
        onnxruntime gives other results.
    """
    onnx_graphs.packages()
    calls = programs.calls(generator, transfer)
    graphs = {name: onnx_graphs.convert(name, call) for name, call in calls.items()}
    measured = measure(calls, graphs, generator.points, generator.size)
    contents = card(generator, transfer, calls, graphs, measured)
    files = {f'{name}.onnx': content for name, content in graphs.items()}
    files[bundle.CARD] = (json.dumps(contents, indent=1, allow_nan=False) + '\n').encode()
    export.write_folder(directory, files)
    return contents


def measure(
    calls: dict[str, Call], graphs: dict[str, bytes], points: str, size: int
) -> dict[str, dict[str, float]]:
    """Measure how far each function's outputs are apart in JAX and in onnxruntime, on noise.

    Args:
      calls: name -> function of the models.
      graphs: name -> content of its ONNX file.
      points: point set.
      size: side of the images, pixels.

    Returns:
      {function: {output: largest difference}}.

    Raises:
      UserError: a difference is above its tolerance.
    """
    functions = {name: jax.jit(call.function) for name, call in calls.items()}
    runs = {name: onnx_graphs.session(name, content) for name, content in graphs.items()}
    largest = {name: dict.fromkeys(onnx_graphs.outputs(name, calls[name]), 0.0) for name in calls}
    first = sorted(calls, key=lambda name: name not in ('identify', 'encode'))  # others take theirs
    for batch in BATCHES:
        source, driving = precision.noise(points, size, batch)
        values = {
            'source': source,
            'background': source['image'],
            'driving': driving,
            'first': {name: value[:1] for name, value in driving.items()},
            'landmarks': _motion(calls['render'], driving['landmarks3d']),
        }
        for name in first:
            inputs = values | {'identity': (source['landmarks'],)} if name == 'carry' else values
            args = _arguments(calls[name], inputs)
            with jax.default_matmul_precision('highest'):
                expected = functions[name](calls[name].variables, *args)
            if name in ('identify', 'encode'):
                values[onnx_graphs.RESULTS[name]] = expected
            given = zip(onnx_graphs.inputs(calls[name]), jax.tree.leaves(args), strict=True)
            outputs = runs[name]({key: np.asarray(value) for key, value in given})
            pairs = zip(largest[name], jax.tree.leaves(expected), outputs, strict=True)
            for output, x, y in pairs:
                gap = _difference(name, output, np.asarray(x), y)
                largest[name][output] = max(largest[name][output], gap)
    return largest


def _motion(render: Call, points: np.ndarray) -> np.ndarray:
    """Return landmarks, or noise of another kind of motion, as `render` takes it."""
    shape = onnx_graphs.parameters(render)['landmarks'].shape[1:]
    if shape[0] == points.shape[1]:
        return points
    return np.random.default_rng(0).normal(size=(len(points), *shape)).astype(np.float32)


def _arguments(call: Call, values: dict) -> tuple:
    """Pick a call's arguments: of faces the fields that it takes, with depth if it takes depth."""
    arguments = []
    for name, shapes in onnx_graphs.parameters(call).items():
        value = values[name]
        if isinstance(shapes, dict):
            value = {key: value[key] for key in shapes}
        elif name == 'landmarks':
            value = value[..., : shapes.shape[-1]]
        arguments.append(value)
    return tuple(arguments)


def _difference(name: str, output: str, expected: np.ndarray, actual: np.ndarray) -> float:
    """Return the largest difference of an output.

    Raises:
      UserError: it is above the tolerance or NaN, or the shapes differ.
    """
    if actual.shape != expected.shape:
        raise UserError(f'{name}: onnxruntime gives {output} {actual.shape}, JAX {expected.shape}')
    gap = float(np.abs(actual - expected).max(initial=0))
    most = TOLERANCES.get(output, TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0))))
    if not gap <= most:
        raise UserError(
            f'{name}: {output} of onnxruntime is {gap:.3g} from that of JAX, more than {most:.3g}; '
            'nothing was written'
        )
    return gap


def card(
    generator: Trained,
    transfer: Trained | None,
    calls: dict[str, Call],
    graphs: dict[str, bytes],
    measured: dict[str, dict[str, float]],
) -> dict:
    """Return the model card as plain values.

    Args:
      generator: the image generator.
      transfer: the landmark transfer; None: the driver's landmarks as they are.
      calls: name -> function.
      graphs: name -> content of its file.
      measured: what `measure` returned.
    """
    functions = {}
    for name, call in calls.items():
        results = onnx_graphs.outputs(name, call)
        functions[name] = {
            'file': f'{name}.onnx',
            'inputs': {key: _shape(value) for key, value in onnx_graphs.inputs(call).items()},
            'outputs': {
                key: {'shape': _shape(value), 'largest_difference': measured[name][key]}
                for key, value in results.items()
            },
        }
    return {
        'format': FORMAT,
        **model_card.facts(generator, [transfer] if transfer else []),
        'opset': onnx_graphs.OPSET,
        'functions': functions,
        'checked': {'runtime': 'onnxruntime, CPU', 'batches': list(BATCHES), 'inputs': 'noise'}
        | {'tolerances': TOLERANCES | {'other, of its largest value': TOLERANCE}},
        'versions': model_card.versions(PACKAGES),
        'files': {f'{name}.onnx': storage.digest(graphs[name]) for name in sorted(graphs)},
    }


def _shape(value: jax.ShapeDtypeStruct) -> list:
    return [side if isinstance(side, int) else str(side) for side in value.shape]


def main(arguments: list[str] | None = None) -> int:
    """Run `reenact-jax onnx`; return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax onnx',
        description=__doc__,
    )
    export.add_workdirs(parser)
    parser.add_argument('--out', required=True, metavar='FOLDER', help='folder to write')
    parser.add_argument('--overwrite', action='store_true', help='replace a folder that is there')
    args = parser.parse_args(arguments)
    onnx_graphs.packages()
    export.check_target(args.out, args.overwrite)
    generator, transfer = export.read_workdirs(args)
    contents = write(args.out, generator, transfer)
    summary = {'out': args.out, 'generator': generator.system, 'size': contents['size']}
    summary |= {'transfer': transfer.system if transfer else bundle.NO_TRANSFER}
    summary |= {'points': contents['points'], 'files': len(contents['files']) + 1}
    largest = {name: entry['outputs'] for name, entry in contents['functions'].items()}
    largest = {n: max(o['largest_difference'] for o in row.values()) for n, row in largest.items()}
    print(json.dumps(summary | {'largest_difference': largest}))
    return 0
