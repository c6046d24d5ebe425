"""Official weights in our networks by a map of names, and the comparison of outputs."""

import jax
import numpy as np
from flax import traverse_util
from rule import weight

from reenact_jax.nets import vgg

TOLERANCE = 1e-5  # of the largest official number


def torch_shape(path: tuple[str, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that PyTorch has of a leaf of ours."""
    if path[-1] != 'kernel':
        return shape
    if len(shape) == 2:
        return shape[::-1]
    h, w, inputs, outputs = shape
    transposed = path[-2].startswith('TransposedConv')
    return (inputs, outputs, h, w) if transposed else (outputs, inputs, h, w)


def ours(path: tuple[str, ...], value: np.ndarray) -> np.ndarray:
    """Return a tensor of PyTorch in our order of axes."""
    if path[-1] != 'kernel':
        return value
    if value.ndim == 2:
        return value.T
    if path[-2].startswith('TransposedConv'):  # ours is the same sum, taps from the other end
        return value.transpose(2, 3, 0, 1)[::-1, ::-1]
    return value.transpose(2, 3, 1, 0)


def loaded(template: dict, names: dict[str, str], prefix: str = '') -> dict:
    """Fill a network's variables with the official weights of the rule.

    Args:
      template: of `jax.eval_shape`; every leaf must have an official name.
      names: path of a module ('encoder/Conv_0') -> name in the official state_dict ('model1.1').
      prefix: of the seed, where official networks share names.
    """
    leaves = {}
    for path, leaf in traverse_util.flatten_dict(template).items():
        kind = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias'}[path[-1]]
        name = prefix + names['/'.join(path[1:-1])] + '.' + kind
        leaves[path] = ours(path, weight(name, torch_shape(path, leaf.shape)))
    return traverse_util.unflatten_dict(leaves)


def shapes(net, *arguments, **options) -> dict:
    """Return a network's variables, shapes alone."""
    key = jax.random.key(0)
    return jax.eval_shape(lambda: net.init({'params': key, 'dropout': key}, *arguments, **options))


def dense(path: str, official: str, layers: int) -> dict[str, str]:
    """Map a `Perceptron`: Sequential of linear layers and activations in turn."""
    return {f'{path}Dense_{i}': f'{official}.{2 * i}' for i in range(layers)}


def vgg_weights(depth: int) -> dict:
    """Return VGG's weights of the rule: torchvision's Sequential, by convolution's name."""
    kernels, inputs, place = {}, 3, 0
    for name in vgg.names(depth):
        place += name.endswith('_1') and name != 'conv1_1'  # behind a pooling
        outputs = 64 * min(2 ** (int(name[4]) - 1), 8)
        kernel = weight(f'features.{place}.weight', (outputs, inputs, 3, 3))
        bias = weight(f'features.{place}.bias', (outputs,))
        kernels[name] = {'kernel': kernel.transpose(2, 3, 1, 0), 'bias': bias}
        inputs, place = outputs, place + 2
    return kernels


def same(found, official, tolerance: float = TOLERANCE) -> None:
    """Assert that all numbers agree within a share of the largest official one."""
    found, official = np.asarray(found), np.asarray(official)
    assert found.shape == official.shape
    off = np.abs(found - official).max() / np.abs(official).max()
    assert off <= tolerance, f'off by {off:.2g} of the largest number'
