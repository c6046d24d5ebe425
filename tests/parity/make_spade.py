"""Outputs of SPADE's official code, and of PyTorch where it stands for a paper's formula.

python make_spade.py CHECKOUT
"""

import types

import official
import torch
from official import filled, first, last
from rule import image, numbers, save

official.code('.')
official.stand_in('models.networks.sync_batchnorm', SynchronizedBatchNorm2d=None)
official.stand_in('torchvision')
for name in ('models', 'models.networks'):  # without the packages' own imports
    official.stand_in(name, __path__=[f'{official.sys.path[0]}/{name.replace(".", "/")}'])

from models.networks.architecture import SPADEResnetBlock  # noqa: E402
from models.networks.normalization import SPADE  # noqa: E402

SIZES = {'same': 16, 'larger': 32, 'odd': 23}


def layer() -> dict:
    """One SPADE layer for condition maps of several sizes, and the residual block with two."""
    net = filled(SPADE('spadeinstance3x3', 6, 3))
    features = first(numbers('features', 2, 16, 16, 6))
    maps = {name: first(image(name, 2, side, side, 3)) for name, side in SIZES.items()}
    options = types.SimpleNamespace(norm_G='spadeinstance3x3', semantic_nc=3)
    block = filled(SPADEResnetBlock(6, 6, options), 'block.')
    outputs = {name: last(net(features, one)) for name, one in maps.items()}
    return outputs | {'block': last(block(features, maps['larger']))}


def spectral() -> dict:
    """Three steps of spectral norm in training, and one call in use."""
    net = filled(torch.nn.Conv2d(3, 5, 3, padding=1))
    net = torch.nn.utils.spectral_norm(net)
    net.weight_u.copy_(torch.nn.functional.normalize(torch.from_numpy(numbers('u', 5)), dim=0))
    given = first(image('given', 1, 8, 8, 3))
    net.train()
    for _ in range(3):
        trained = net(given)
    u = net.weight_u.clone()
    return {'trained': last(trained), 'used': last(net.eval()(given)), 'u': u}


def adain() -> dict:
    """Huang and Belongie 2017, eq. 8, with scale and shift from a linear layer."""
    net = filled(torch.nn.Linear(4, 12), 'adain.')
    code, features = (
        torch.from_numpy(numbers('code', 2, 4)),
        first(numbers('features', 2, 16, 16, 6)),
    )
    scale, shift = net(code).chunk(2, 1)
    plain = torch.nn.functional.instance_norm(features)
    return {'adain': last(plain * (1 + scale[..., None, None]) + shift[..., None, None])}


if __name__ == '__main__':
    with torch.no_grad():
        save('spade', **layer(), **spectral(), **adain())
