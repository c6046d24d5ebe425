"""The official program's weights: their names, and what they say of the networks' sizes."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from reenact_jax.common.errors import UserError

# Ours -> where the official checkpoint keeps it.
PARTS = {'KP': 'kp_detector', 'M': 'generator', 'G': 'generator', 'D': 'discriminator'}
# Official tensors without a place in ours: fixed kernels, counters, what `u` gives.
_FIXED = re.compile(r'(^|\.)down\.weight$|num_batches_tracked$|\.weight_v$')
_LEAVES = {
    ('params', 'kernel'): 'weight',
    ('params', 'scale'): 'weight',
    ('params', 'bias'): 'bias',
    ('batch_stats', 'mean'): 'running_mean',
    ('batch_stats', 'var'): 'running_var',
    ('spectral', 'u'): 'weight_u',
}


def hparams(state: Mapping[str, Mapping[str, np.ndarray]]) -> dict:
    """Read the networks' sizes off their tensors.

    Args:
      state: part of the checkpoint -> name -> tensor.

    Returns:
      Fields of `Hparams`.

    Raises:
      UserError: a tensor is missing, or the networks are not of this kind.
    """
    kp, g = state['kp_detector'], state['generator']
    keypoints = _shape(kp, 'kp.weight')[0]
    if 'jacobian.weight' not in kp or _shape(kp, 'jacobian.weight')[0] != 4 * keypoints:
        raise UserError(
            f'kp_detector: expected jacobian.weight with {4 * keypoints} maps, a Jacobian for each '
            'of its keypoints; networks without, or with one for all, cannot be read'
        )
    for name in ('mask', 'occlusion'):
        _shape(g, f'dense_motion_network.{name}.weight')
    strides = _stride(kp, 'down.weight'), _stride(g, 'dense_motion_network.down.weight')
    if strides[0] != strides[1]:
        raise UserError(f'kp_detector and generator work at sides / {strides}: expected the same')
    values = {'keypoints': keypoints, 'stride': strides[0]}
    values |= _hourglass(kp, 'predictor', 3, _shape(kp, 'kp.weight')[1], 'kp')
    inputs, mask = 4 * (keypoints + 1), _shape(g, 'dense_motion_network.mask.weight')[1]
    values |= _hourglass(g, 'dense_motion_network.hourglass', inputs, mask, 'motion')
    downs, width = _count(g, 'down_blocks'), _shape(g, 'first.conv.weight')[0]
    most = [_shape(g, f'down_blocks.{i}.conv.weight')[0] for i in range(downs)]
    values |= {'width': width, 'downs': downs, 'most': max([width, *most])}
    values['blocks'] = _count(g, 'bottleneck', 'r')
    return values | (_judge(state['discriminator'], keypoints) if 'discriminator' in state else {})


def variables(
    template: Mapping, state: Mapping[str, Mapping[str, np.ndarray]], depths: Mapping[str, int]
) -> dict:
    """Fill the networks' variables with official tensors; every tensor has to be used.

    Args:
      template: shapes of all networks' variables.
      state: part of the checkpoint -> name -> tensor.
      depths: halvings of the hourglasses, {'KP': ..., 'M': ...}.

    Raises:
      UserError: a tensor is missing, of another shape, or without a place.
    """
    leaves, used = {}, {part: set() for part in state}
    shapes: dict[tuple, Any] = dict(traverse_util.flatten_dict(dict(template)))
    for path, leaf in shapes.items():
        part, name = PARTS[path[0]], official(path, depths)
        tensors = state[part]
        if path[-1] == 'kernel' and f'{name}_orig' in tensors:
            name += '_orig'
        if name not in tensors:
            raise UserError(f'{part}: has no {name}')
        value = np.asarray(tensors[name], np.float32)
        value = value.transpose(2, 3, 1, 0) if path[-1] == 'kernel' else value
        if value.shape != leaf.shape:
            raise UserError(f'{part}: {name} is {value.shape}, expected {leaf.shape}')
        leaves[path] = value
        used[part].add(name)
    for part, tensors in state.items():
        left = [name for name in tensors if name not in used[part] and not _FIXED.search(name)]
        if left:
            raise UserError(f'{part}: {left[0]} has no place in the networks; another version?')
    return traverse_util.unflatten_dict(leaves)


def official(path: tuple[str, ...], depths: Mapping[str, int]) -> str:
    """Name one of our leaves, (network, collection, modules ..., leaf), as the official code."""
    network, collection, *modules, leaf = path
    modules = [module for module in modules if not module.startswith('BatchNorm')]
    names = [_module(network, module, depths) for module in modules]
    if network == 'G' and modules[0].startswith('residual'):
        names[1] = f'{names[1][:-2]}{int(names[1][-1]) + 1}'
    if network == 'D':
        names = _of_judge(modules[0])
    if network == 'M':
        names.insert(0, 'dense_motion_network')
    return '.'.join([*names, _LEAVES[collection, leaf]])


def _module(network: str, module: str, depths: Mapping[str, int]) -> str:
    """Name a module as the official code."""
    if network == 'KP':
        own = {'hourglass': 'predictor', 'places': 'kp', 'jacobians': 'jacobian'}
        module = own.get(module, module)
    name, _, number = module.rpartition('_')
    if name in ('down', 'up') and network != 'G':
        if name == 'down':
            return f'encoder.down_blocks.{number}'
        return f'decoder.up_blocks.{depths[network] - 1 - int(number)}'
    of_generator = {'down': 'down_blocks.', 'up': 'up_blocks.', 'residual': 'bottleneck.r'}
    if network == 'G' and name in of_generator:
        return of_generator[name] + number
    return 'final' if (network, module) == ('G', 'last') else module


def _of_judge(module: str) -> list[str]:
    """Name a module of the discriminator, of which there is one scale."""
    if module == 'last':
        return ['discs.1.conv']
    kind, number = module.split('_')
    return [f'discs.1.down_blocks.{number}.{kind}']


def _judge(d: Mapping[str, np.ndarray], keypoints: int) -> dict:
    """Read the discriminator's sizes."""
    if others := sorted({name.split('.')[1] for name in d if name.startswith('discs.')} - {'1'}):
        raise UserError(f'discriminator: has scales {", ".join(others)} beside 1; one can be read')
    layers = _count(d, 'discs.1.down_blocks')
    spectral = 'discs.1.conv.weight_orig' in d
    kernel = '.conv.weight_orig' if spectral else '.conv.weight'
    shapes = [_shape(d, f'discs.1.down_blocks.{i}{kernel}') for i in range(layers)]
    if not layers or shapes[0][1] not in (3, 3 + keypoints):
        raise UserError('discriminator: expected layers from an image, or with its keypoints')
    return {
        'd_layers': layers,
        'd_width': shapes[0][0] // 2,
        'd_most': max(shape[0] for shape in shapes),
        'd_spectral': spectral,
        'd_keypoints': shapes[0][1] > 3,
    }


def _hourglass(tensors, path: str, inputs: int, outputs: int, name: str) -> dict:
    """Read an hourglass's sizes; its last map has `width` + `inputs` features."""
    depth = _count(tensors, f'{path}.encoder.down_blocks')
    shapes = [_shape(tensors, f'{path}.encoder.down_blocks.{i}.conv.weight') for i in range(depth)]
    width = outputs - inputs
    if width < 1 or not depth:
        raise UserError(f'{path}: expected an hourglass on {inputs} channels')
    most = max([width, *(shape[0] for shape in shapes)])
    return {f'{name}_width': width, f'{name}_depth': depth, f'{name}_most': most}


def _stride(tensors, name: str) -> int:
    """Read the stride off the side of the blurring kernel, 2 round(2 (stride - 1)) + 1."""
    return 1 if name not in tensors else (_shape(tensors, name)[2] - 1) // 4 + 1


def _count(tensors, path: str, prefix: str = '') -> int:
    """Count the numbered modules below a path."""
    found = re.compile(rf'^{re.escape(path)}\.{prefix}(\d+)\.')
    return len({match[1] for name in tensors if (match := found.match(name))})


def _shape(tensors, name: str) -> tuple[int, ...]:
    if name not in tensors:
        raise UserError(f'expected a tensor {name}; is it a checkpoint of the first order model?')
    return tensors[name].shape
