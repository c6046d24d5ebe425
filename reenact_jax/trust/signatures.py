"""What a bundle's functions take and return, by its card; and the weights that they are given."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import safetensors

from reenact_jax.trust.cards import POINTS, moves_landmarks, transfers
from reenact_jax.trust.stablehlo import Refused

DTYPES = {'F32': np.float32, 'F16': np.float16, 'BF16': jnp.bfloat16, 'I32': np.int32}
_LAST = {'landmarks': 2, 'landmarks3d': 3}
MOTION = 1024, 64  # most points of a motion of another kind, and most values of each


def check(card: dict, functions: dict[str, jax.export.Exported]) -> None:
    """Check the functions of a bundle against its card.

    Raises:
      Refused: a function takes or returns something else.
    """
    count = POINTS[card['points']]
    takes = _arguments(card, functions, count)
    b = jax.export.symbolic_shape('b')[0]
    size = card['size']
    motion = _motion(card, functions['render'], count, 2)
    returns = {'render': _floats(b, size, size, 3), 'carry': motion}
    returns |= {f'transfer{end}': motion for end in transfers(card)}
    for name, function in functions.items():
        given, named = jax.tree.unflatten(function.in_tree, function.in_avals)
        _same(name, 'takes', (*_described(given[1:]), *named), _described(takes[name]))
        result = _described(jax.tree.unflatten(function.out_tree, function.out_avals))
        if name in returns:
            _same(name, 'returns', result, _described(returns[name]))
        elif name == 'layers':
            _check_layers(jax.tree.unflatten(function.out_tree, function.out_avals), size)
        elif not isinstance(result, tuple) or not all(isinstance(one, str) for one in result):
            raise Refused(f'{name}: returns {_brief(result)}, expected a tuple of arrays')
    if 'encode_onto' in functions:
        one, other = (functions[name].out_avals for name in ('encode', 'encode_onto'))
        _same('encode_onto', 'returns', _described(tuple(other)), _described(tuple(one)))


def check_weights(name: str, function: jax.export.Exported, weights: dict) -> None:
    """Check that a function is given the weights that it takes.

    Raises:
      Refused: a name, a shape or a type differs.
    """
    given, _ = jax.tree.unflatten(function.in_tree, function.in_avals)
    _same(name, 'takes as weights', _described(given[0]), _described(weights))


def expected_bytes(functions: list[jax.export.Exported]) -> int:
    """Return how many bytes the weights of functions have that share a file."""
    sizes: dict[str, int] = {}
    for function in functions:
        given, _ = jax.tree.unflatten(function.in_tree, function.in_avals)
        sizes |= {name: math.prod(x.shape) * x.dtype.itemsize for name, x in given[0].items()}
    return sum(sizes.values())


def arrays(content: bytes) -> dict[str, np.ndarray]:
    """Read a safetensors file; safetensors' own reader for NumPy knows no bfloat16.

    Raises:
      Refused: a weight is NaN or infinite.
      ValueError, KeyError, safetensors.SafetensorError: the file is none.
    """
    found = {
        name: np.frombuffer(entry['data'], DTYPES[entry['dtype']]).reshape(entry['shape'])
        for name, entry in safetensors.deserialize(content)
    }
    for name, array in found.items():
        for part in np.array_split(array.reshape(-1), max(1, math.ceil(array.size / 2**24))):
            if not np.isfinite(part.astype(np.float32)).all():
                raise Refused(f'{name[:200]!r} is not finite')
    return found


def _arguments(card: dict, functions: dict, count: int) -> dict[str, tuple]:
    """Return what each function takes after its weights."""
    size, b = card['size'], jax.export.symbolic_shape('b')[0]
    image = _floats(1, size, size, 3)
    plain = ('landmarks',)
    deep = card['generator'].get('takes_depth', False)
    source = {'image': image, **_face(1, count, (*plain, *(('landmarks3d',) if deep else ())))}
    points = _motion(card, functions['render'], count, 3 if deep else 2)
    drawn = (tuple(functions['encode'].out_avals), points)
    takes = {
        'encode': (source,),
        'encode_onto': (source, image),
        'render': drawn,
        'layers': drawn,
        'carry': ((_floats(1, count, 2),), _face(b, count, plain), _face(1, count, plain)),
    }
    for end, entry in transfers(card).items():
        fields = tuple(entry.get('driven_by', plain))
        identity = tuple(functions[f'identify{end}'].out_avals)
        first, rows = _face(1, count, fields, size), _face(b, count, fields, size)
        takes[f'identify{end}'] = (first | {'image': image},)
        takes[f'transfer{end}'] = (identity, rows, first)
    return takes


def _motion(card: dict, render: jax.export.Exported, count: int, last: int):
    """Return what `render` takes as motion: landmarks, or what it says if that is bounded."""
    b = jax.export.symbolic_shape('b')[0]
    if moves_landmarks(card):
        return _floats(b, count, last)
    given, _ = jax.tree.unflatten(render.in_tree, render.in_avals)
    shape = getattr(given[-1], 'shape', ())
    right = len(shape) == 3 and all(isinstance(n, int) for n in shape[1:])
    if not right or not all(0 < n <= most for n, most in zip(shape[1:], MOTION, strict=True)):
        raise Refused(f'render: takes {_brief(_described(given[-1]))} as {card["motion"]}')
    return _floats(b, *shape[1:])


def _face(rows, count: int, fields: tuple[str, ...], size: int = 0) -> dict:
    shapes = {name: (count, last) for name, last in _LAST.items()} | {'image': (size, size, 3)}
    return {name: _floats(rows, *shapes.get(name, (20,))) for name in fields}


def _floats(*shape) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _described(tree):
    """Return nested plain values with a text for each array: its type and shape."""
    return jax.tree.map(lambda x: f'{x.dtype}[{", ".join(map(str, x.shape))}]', tree)


def _same(name: str, verb: str, found, wanted) -> None:
    if found != wanted:
        raise Refused(f'{name}: {verb} {_brief(found)}, expected {_brief(wanted)}')


def _brief(value) -> str:
    text = str(value)
    return text if len(text) < 300 else f'{text[:300]}...'


def _check_layers(tree, size: int) -> None:
    """Check what `layers` returns, see geometry.layers.Layers."""
    found = _described(tree)
    whole = {'mask': f'float32[b, {size}, {size}, 1]', 'paint': f'float32[b, {size}, {size}, 3]'}
    right = isinstance(found, dict) and set(found) - {'reach'} == {'flow', 'mask', 'paint', 'parts'}
    right = right and ('reach' not in found or _is_reach(tree))
    right = right and whole.items() <= {n: x for n, x in found.items() if n != 'parts'}.items()
    right = right and isinstance(found['parts'], dict) and _is_square(tree['flow'], 2)
    right = right and all(map(_is_part, tree['parts'].values()))
    if not right:
        raise Refused(f'layers: returns {_brief(found)}')


def _is_reach(tree) -> bool:
    return _is_square(tree['reach'], 1) and tree['reach'].shape[1] == tree['flow'].shape[1]


def _is_part(part) -> bool:
    if not isinstance(part, dict) or set(part) != {'image', 'alpha', 'frame'}:
        return False
    shapes = _is_square(part['image'], 3) and _is_square(part['alpha'], 1)
    return shapes and _described(part['frame']) == 'float32[b, 2, 3]'


def _is_square(array, channels: int) -> bool:
    shape = getattr(array, 'shape', ())
    if len(shape) != 4 or str(shape[0]) != 'b' or shape[1] != shape[2] or shape[3] != channels:
        return False
    return isinstance(shape[1], int) and 0 < shape[1] <= 4096 and array.dtype == np.float32
