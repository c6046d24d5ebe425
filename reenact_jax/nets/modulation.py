"""Modulated normalisation behind one call: AAN, SPADE, AdaIN.

All normalise a feature map and denormalise it with gamma and beta made from a condition:

    (F - mu_c) / sigma_c * gamma_{c,h,w} + beta_{c,h,w}

They differ in where gamma and beta come from. (The formula is lost in the text of the AAN paper,
its equations 2-4; this is SPADE's form, which it extends.) `modulation` also finds blocks of the
user's own.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from reenact_jax.common import outside
from reenact_jax.common.errors import UserError
from reenact_jax.nets import initial
from reenact_jax.nets.blocks import Conv, Head, Norm

RESIZES = ('nearest', 'bilinear')
CONDITIONS = ('theta', 'image')  # what an own block may take in AAN
START = 0.1  # size of gamma - 1 and beta at the start, relative to a unit convolution (ours)


class Modulation(nn.Module):
    """Normalisation that a condition modulates.

    Attributes:
      kind: where gamma and beta come from:
        `aan`    condition = (gamma, beta), each [b, h, w, c], predicted elsewhere by one network
        `spade`  condition = a map [b, H, W, k], resized to x; gamma and beta by this layer's own
                 convolutions (Park et al. 2019: `hidden` 128, `resize` nearest)
        `adain`  condition = a vector [b, k]; gamma and beta a channel by a linear layer (Huang
                 and Belongie 2017)
      statistics: `batch` or `instance`: over what mu_c and sigma_c go (`blocks.Norm`). AdaIN is
        defined with `instance`.
      hidden: features of SPADE's first convolution.
      spectral: whether SPADE's convolutions have spectral norm.
      resize: of SPADE's map, one of `RESIZES`.
    """

    kind: str = 'aan'
    statistics: str = 'batch'
    hidden: int = 128
    spectral: bool = False
    resize: str = 'nearest'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b h w c'], condition, train: bool = True
    ) -> Float[Array, 'b h w c']:
        gamma, beta = getattr(self, '_' + self.kind)(x, condition, train)
        return Norm(self.statistics)(x, train) * gamma + beta

    def _aan(self, x, condition, train):
        del train
        gamma, beta = condition
        if gamma.shape[1:] != x.shape[1:] or beta.shape[1:] != x.shape[1:]:
            raise ValueError(f'gamma {gamma.shape}, beta {beta.shape} do not fit {x.shape}')
        return gamma, beta

    def _spade(self, x, condition, train):
        shape = (*condition.shape[:1], *x.shape[1:3], condition.shape[-1])
        if self.resize == 'bilinear':
            small = jax.image.resize(condition, shape, 'bilinear')
        else:
            small = nearest(condition, *x.shape[1:3])
        shared = nn.relu(Conv(self.hidden, spectral=self.spectral)(small, train))
        return pair(Head(2 * x.shape[-1], START, self.spectral)(shared, train))

    def _adain(self, x, condition, train):
        del train
        return pair(nn.Dense(2 * x.shape[-1], kernel_init=initial.lecun)(condition)[:, None, None])


def modulation(kind: str, statistics: str, hidden: int, spectral: bool, resize: str) -> nn.Module:
    """Make a `Modulation`, or a block of the user's own in its place.

    An own block is a linen module, called as `Modulation` is: with a feature map, the condition and
    `train`. It gets `statistics` and `spectral` if it has fields of these names.

    Args:
      kind: a kind of `Modulation`, or a name such as `my_package.blocks:Mine`.
      statistics, hidden, spectral, resize: as of `Modulation`.
    """
    if not outside.is_name(kind):
        return Modulation(kind, statistics, hidden, spectral, resize)
    block = outside.named(kind, 'modulation')
    given: dict[str, Any] = {'statistics': statistics, 'spectral': spectral}
    fields = {field.name for field in dataclasses.fields(block)}
    return block(**{name: value for name, value in given.items() if name in fields})


def condition_of(kind: str) -> str:
    """Say what condition a kind of modulation takes in AAN: 'theta' or 'image'.

    `theta` is (gamma, beta) of the feature map's shape, which one network predicts from the source;
    `image` is the source itself. An own block says which it takes by its attribute CONDITION.

    Raises:
      UserError: an own block says something else.
    """
    if not outside.is_name(kind):
        return 'image' if kind == 'spade' else 'theta'
    asked = getattr(outside.named(kind, 'modulation'), 'CONDITION', 'theta')
    if asked not in CONDITIONS:
        raise UserError(f'{kind}: CONDITION {asked!r}, expected one of {", ".join(CONDITIONS)}')
    return asked


def nearest(x: Float[Array, 'b h w c'], height: int, width: int) -> Float[Array, 'b H W c']:
    """Take the pixel at the upper left of each place, as PyTorch's `nearest` does."""
    rows = np.arange(height) * x.shape[1] // height
    columns = np.arange(width) * x.shape[2] // width
    return x[:, rows][:, :, columns]


def pair(raw: Float[Array, 'b h w _']) -> tuple[Array, Array]:
    """Split a layer's output into (gamma, beta), gamma around 1 and beta around 0."""
    gamma, beta = jnp.split(raw, 2, -1)
    return 1 + gamma, beta
