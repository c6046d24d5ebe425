"""Generators of pix2pix (Isola et al. 2017) and pix2pixHD (Wang et al. 2018), as in their code."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from reenact_jax.nets.blocks import Conv, Norm, TransposedConv
from reenact_jax.nets.patch import INIT

CONV: dict[str, Any] = dict(kernel_init=INIT)


class UNetGenerator(nn.Module):
    """pix2pix's U-Net: 4x4 convolutions with stride 2 down to one pixel and back, skips joined.

    The number of levels is log2 of the side (8 at 256). The first three levels of the way back have
    dropout 0.5, in training alone (the paper keeps it in use, as its noise).

    Attributes:
      width: features of the first level, doubled level by level up to 8 times.
      norm: a kind of `blocks.Norm`.
      outputs: channels of the image.
    """

    width: int = 64
    norm: str = 'batch'
    outputs: int = 3

    @nn.compact
    def __call__(self, x: Float[Array, 'b s s c'], train: bool = True) -> Float[Array, 'b s s o']:
        """Draw the image, [-1, 1]."""
        depth = x.shape[1].bit_length() - 1
        if x.shape[1:3] != (2**depth, 2**depth):
            raise ValueError(f'sides {x.shape[1:3]}: expected a square with a power of 2 as side')
        widths = [self.width * min(2**i, 8) for i in range(depth)]
        skips = []
        for i, width in enumerate(widths):
            x = nn.leaky_relu(x, 0.2) if i else x
            x = Conv(width, 4, 2, 1, use_bias=False, **CONV)(x, train)
            if 0 < i < depth - 1:
                x = Norm(self.norm, affine=True)(x, train)
            skips.append(x)
        for i in reversed(range(1, depth)):
            x = TransposedConv(widths[i - 1], use_bias=False, **CONV)(nn.relu(x), train)
            x = Norm(self.norm, affine=True)(x, train)
            if i >= depth - 3:
                x = nn.Dropout(0.5, deterministic=not train)(x)
            x = jnp.concatenate([skips[i - 1], x], -1)
        return jnp.tanh(TransposedConv(self.outputs, **CONV)(nn.relu(x), train))


class GlobalGenerator(nn.Module):
    """pix2pixHD's G1: `downs` halvings, `blocks` residual blocks at the coarsest, the way back.

    182,443,267 parameters as published, for an input of 3 channels.
    """

    width: int = 64
    downs: int = 4
    blocks: int = 9
    norm: str = 'instance'

    def setup(self):
        self.trunk = _Trunk(self.width, self.downs, self.blocks, self.norm)
        self.last = Conv(3, 7, reflect=True, **CONV)

    def __call__(self, x: Float[Array, 'b s s c'], train: bool = True) -> Float[Array, 'b s s 3']:
        """Draw the image, [-1, 1]."""
        return jnp.tanh(self.last(self.trunk(x, train), train))

    def features(self, x: Float[Array, 'b s s c'], train: bool = True) -> Float[Array, 'b s s w']:
        """Return what the last convolution would be given: the local enhancer's second input."""
        return self.trunk(x, train)


class LocalEnhancer(nn.Module):
    """pix2pixHD's G2: G1's features at half the side joined (by a sum) with its own."""

    width: int = 32  # half of G1's
    blocks: int = 3
    norm: str = 'instance'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b s s c'], coarse: Float[Array, '_ _ _ _'], train: bool = True
    ) -> Float[Array, 'b s s 3']:
        """Draw the image, [-1, 1].

        Args:
          x: the input at the full side.
          coarse: `GlobalGenerator.features` of x at half the side.
          train: whether this is training.
        """
        norm = Norm(self.norm)
        x = nn.relu(norm(Conv(self.width, 7, reflect=True, **CONV)(x, train), train))
        x = nn.relu(norm(Conv(2 * self.width, 3, 2, 1, **CONV)(x, train), train)) + coarse
        for _ in range(self.blocks):
            x = _Residual(norm=self.norm)(x, train)
        x = nn.relu(norm(TransposedConv(self.width, 3, **CONV)(x, train), train))
        return jnp.tanh(Conv(3, 7, reflect=True, **CONV)(x, train))


class _Trunk(nn.Module):
    width: int
    downs: int
    blocks: int
    norm: str

    @nn.compact
    def __call__(self, x, train):
        widths = [self.width * 2**i for i in range(self.downs + 1)]
        x = nn.relu(Norm(self.norm)(Conv(widths[0], 7, reflect=True, **CONV)(x, train), train))
        for width in widths[1:]:
            x = nn.relu(Norm(self.norm)(Conv(width, 3, 2, 1, **CONV)(x, train), train))
        for _ in range(self.blocks):
            x = _Residual(norm=self.norm)(x, train)
        for width in widths[-2::-1]:
            x = nn.relu(Norm(self.norm)(TransposedConv(width, 3, **CONV)(x, train), train))
        return x


class _Residual(nn.Module):
    norm: str

    @nn.compact
    def __call__(self, x, train):
        y = Conv(x.shape[-1], reflect=True, **CONV)(x, train)
        y = nn.relu(Norm(self.norm)(y, train))
        return x + Norm(self.norm)(Conv(x.shape[-1], reflect=True, **CONV)(y, train), train)
