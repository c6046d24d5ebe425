"""VGG features for perceptual losses (Simonyan and Zisserman 2014), frozen, as plain functions.

Pretrained weights are a file that you bring: `.npz` or `.safetensors`, with torchvision's names
(`features.0.weight` [out, in, 3, 3], `features.0.bias`, ...; a classifier's are ignored). Where
torchvision can download them, this makes the file:

    from safetensors.torch import save_file
    from torchvision.models import vgg19
    state = vgg19(weights='IMAGENET1K_V1').state_dict()
    save_file({k: v for k, v in state.items() if k.startswith('features.')}, 'vgg19.safetensors')

Features without a file are `random`: He-initialised kernels from a fixed seed, of any width.
"""

import io
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import Array, Float

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError

BLOCKS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # convolutions between poolings
# relu1_1, relu2_1, .. relu5_1 (pix2pixHD); relu1_2, relu2_2, relu3_3, relu4_3 (Johnson et al.)
TAPS = {
    19: tuple(f'conv{i}_1' for i in range(1, 6)),
    16: ('conv1_2', 'conv2_2', 'conv3_3', 'conv4_3'),
}
LEAST_SIDE = 16  # four poolings leave one pixel
INPUTS = ('imagenet', 'plain')
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet's, 0..1


def names(depth: int) -> tuple[str, ...]:
    """List the convolutions in order up to the last tap: `conv1_1`, `conv1_2`, ..."""
    every = [f'conv{block}_{i + 1}' for block, n in enumerate(BLOCKS[depth], 1) for i in range(n)]
    return tuple(every[: every.index(TAPS[depth][-1]) + 1])


def features(
    weights: dict, image: Float[Array, 'b h w 3'], depth: int = 19, given: str = 'imagenet'
) -> list[Float[Array, 'b _ _ _']]:
    """Compute the maps after the ReLUs of `TAPS[depth]`, finest first.

    Args:
      weights: {'conv1_1': {'kernel' [3, 3, in, out], 'bias'}, ...} from `load` or `random`.
        With kernels of bfloat16 the sums are in bfloat16.
      image: [-1, 1]; sides of at least `LEAST_SIDE`.
      depth: 16 or 19.
      given: `imagenet` normalises the image as VGG was trained on; `plain` feeds it as it is, as
        the official codes of pix2pixHD and FReeNet do.

    Returns:
      The maps in float32.
    """
    if min(image.shape[1:3]) < LEAST_SIDE:
        raise ValueError(f'image {image.shape}: sides must be at least {LEAST_SIDE}')
    dtype = weights['conv1_1']['kernel'].dtype
    if given == 'imagenet':
        mean = jnp.asarray(_MEAN, image.dtype)[None, None, None]
        std = jnp.asarray(_STD, image.dtype)[None, None, None]
        image = ((image + 1) / 2 - mean) / std
    x, maps = image.astype(dtype), []
    for name in names(depth):
        if name.endswith('_1') and name != 'conv1_1':
            x = _pooled(x)
        x = jax.lax.conv_general_dilated(
            x, weights[name]['kernel'], (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )
        x = jax.nn.relu(x + weights[name]['bias'].astype(dtype)[None, None, None])
        if name in TAPS[depth]:
            maps.append(x.astype(jnp.float32))
    return maps


def _pooled(x: Float[Array, 'b h w c']) -> Float[Array, 'b _ _ c']:
    """Take the maximum of every 2 x 2 pixels, of four strided views.

    The gradient of reduce_window searches for the place of each maximum, which CPUs are slow at.
    Where pixels are equal they share the gradient, instead of the first one having all of it.
    """
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    rows = jnp.maximum(x[:, ::2], x[:, 1::2])
    return jnp.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def random(depth: int = 19, width: int = 16, seed: int = 0) -> dict:
    """Draw He-initialised kernels, with zero biases.

    Args:
      depth: 16 or 19.
      width: features in the first block (pretrained: 64).
      seed: random seed of the kernels.
    """
    draw, weights, inputs = np.random.default_rng(seed), {}, 3
    for name in names(depth):
        outputs = width * min(2 ** (int(name[4]) - 1), 8)
        kernel = draw.normal(0, np.sqrt(2 / (9 * inputs)), (3, 3, inputs, outputs))
        weights[name] = {'kernel': kernel.astype(np.float32), 'bias': np.zeros(outputs, np.float32)}
        inputs = outputs
    return weights


def load(path: str, depth: int = 19) -> dict:
    """Load pretrained weights from a file as this module's docstring describes it.

    Args:
      path: the file, .npz or .safetensors.
      depth: 16 or 19.

    Raises:
      UserError: the file is missing, unreadable or of another network.
    """
    advice = (
        f'make it from torchvision\'s vgg{depth} (docs/training.md, "Perceptual features"), '
        "or set config.hparams.features = 'random'"
    )
    if not path:
        raise UserError(f'hparams.vgg_weights: no file given for vgg{depth} features; {advice}')
    if storage.size(path) is None:
        raise UserError(f'hparams.vgg_weights: {path}: no such file; {advice}')
    arrays = _read(path, advice)
    weights, inputs = {}, 3
    for place, name in zip(_torch_places(depth), names(depth), strict=False):
        outputs = 64 * min(2 ** (int(name[4]) - 1), 8)
        kernel = _array(arrays, f'features.{place}.weight', (outputs, inputs, 3, 3), path, advice)
        bias = _array(arrays, f'features.{place}.bias', (outputs,), path, advice)
        weights[name] = {'kernel': kernel.transpose(2, 3, 1, 0), 'bias': bias}
        inputs = outputs
    return weights


def _torch_places(depth: int) -> list[int]:
    """Number the convolutions in torchvision's `features`: conv, ReLU, ..., pooling."""
    places, at = [], 0
    for count in BLOCKS[depth]:
        places += [at + 2 * i for i in range(count)]
        at += 2 * count + 1
    return places


def _read(path: str, advice: str) -> dict:
    try:
        if path.endswith('.npz'):
            with np.load(io.BytesIO(storage.read(path)), allow_pickle=False) as archive:
                return dict(archive)
        return safetensors.numpy.load(storage.read(path))
    except (
        ValueError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        safetensors.SafetensorError,
    ) as error:
        raise UserError(
            f'hparams.vgg_weights: {path}: not readable as .npz or .safetensors ({error}); {advice}'
        ) from None


def _array(arrays: dict, key: str, shape: tuple, path: str, advice: str) -> np.ndarray:
    if key not in arrays:
        raise UserError(f'hparams.vgg_weights: {path} has no {key!r}; {advice}')
    array = np.asarray(arrays[key], np.float32)
    if array.shape != shape:
        raise UserError(f'hparams.vgg_weights: {path}: {key} is {array.shape}, expected {shape}')
    return array
