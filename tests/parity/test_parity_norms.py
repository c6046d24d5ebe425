"""SPADE's layer and block against the official code; spectral norm and AdaIN against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compare import same
from rule import image, numbers, stored, weight

from reenact_jax.nets.blocks import Conv
from reenact_jax.nets.modulation import Modulation

SIZES = {'same': 16, 'larger': 32, 'odd': 23}


def kernel(name, *shape):
    return weight(f'{name}.weight', shape).transpose(2, 3, 1, 0)


def spade(prefix=''):
    """Variables of `Modulation`: gamma and beta are one convolution, its gain 1."""
    pair = ('mlp_gamma', 'mlp_beta')
    shared = f'{prefix}mlp_shared.0'
    return {
        'Conv_0': {
            'kernel': kernel(shared, 128, 3, 3, 3),
            'bias': weight(f'{shared}.bias', (128,)),
        },
        'Head_0': {
            'gain': np.ones(12, np.float32),
            'Conv_0': {
                'kernel': np.concatenate([kernel(prefix + one, 6, 128, 3, 3) for one in pair], -1),
                'bias': np.concatenate([weight(f'{prefix}{one}.bias', (6,)) for one in pair]),
            },
        },
    }


def modulated(x, condition, prefix=''):
    layer = Modulation('spade', 'instance')
    return layer.apply({'params': spade(prefix)}, x, condition)


@pytest.mark.parametrize('name', SIZES)
def test_spade_layer_for_maps_of_any_size(name):
    x = jnp.asarray(numbers('features', 2, 16, 16, 6))
    condition = jnp.asarray(image(name, 2, SIZES[name], SIZES[name], 3))
    same(jax.jit(modulated)(x, condition), stored('spade')[name])


def test_spade_block():
    """Its layers in the order of the code's residual block; the block itself is not in use here."""
    x = y = jnp.asarray(numbers('features', 2, 16, 16, 6))
    condition = jnp.asarray(image('larger', 2, 32, 32, 3))
    for i in range(2):
        y = jax.nn.leaky_relu(modulated(y, condition, f'block.norm_{i}.'), 0.2)
        name = f'block.conv_{i}'
        params = {'kernel': kernel(name, 6, 6, 3, 3), 'bias': weight(f'{name}.bias', (6,))}
        y = Conv(6).apply({'params': params}, y)
    same(x + y, stored('spade')['block'])


def test_spectral_norm():
    """In use ours takes one more step than PyTorch, which keeps the last step's singular value."""
    official, given = stored('spade'), jnp.asarray(image('given', 1, 8, 8, 3))
    u = numbers('u', 5)
    matrix = weight('weight', (5, 3, 3, 3)).transpose(2, 3, 1, 0)
    params = {'kernel': matrix, 'bias': weight('bias', (5,))}
    variables = {'params': params, 'spectral': {'u': jnp.asarray(u / np.linalg.norm(u))}}
    conv = Conv(5, spectral=True)
    for _ in range(3):
        before = variables
        trained, moved = conv.apply(variables, given, mutable=['spectral'])
        variables = variables | moved
    same(trained, official['trained'])
    same(variables['spectral']['u'], official['u'])
    same(conv.apply(before, given, train=False), official['used'])


def test_adain():
    x, code = jnp.asarray(numbers('features', 2, 16, 16, 6)), jnp.asarray(numbers('code', 2, 4))
    dense = {'kernel': weight('adain.weight', (12, 4)).T, 'bias': weight('adain.bias', (12,))}
    layer = Modulation('adain', 'instance')
    same(layer.apply({'params': {'Dense_0': dense}}, x, code), stored('spade')['adain'])
