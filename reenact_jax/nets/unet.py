"""U-Nets (Ronneberger et al. 2015) and hourglasses: one class, features at every decoder level."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from reenact_jax.nets.blocks import ConvBlock, upsample


class UNet(nn.Module):
    """A U-Net: down by strided 4x4 convolutions, up by doubling pixels and a 3x3 convolution.

    The first convolution is not normalised, so that the finest skip keeps colours.

    Attributes:
      widths: features of each level from the finest, `len(widths) - 1` halvings, in encoder and
        decoder.
      norm: a kind of `blocks.Norm`.
      spectral: whether convolutions have spectral norm.
      join: `concat` the skip connections (U-Net) or `add` them (hourglass).
      stop: decoder levels finer than this are not built (0: all).
    """

    widths: tuple[int, ...]
    norm: str = 'batch'
    spectral: bool = False
    join: str = 'concat'
    stop: int = 0

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool = True) -> dict[int, Array]:
        """Return the decoder's features, {level: [b, h / 2^level, w / 2^level, widths[level]]}.

        Sides must be divisible by 2^(len(widths) - 1).
        """
        levels, factor = len(self.widths), 2 ** (len(self.widths) - 1)
        if x.shape[1] % factor or x.shape[2] % factor:
            raise ValueError(f'sides {x.shape[1:3]} are not divisible by {factor}')
        style: dict[str, Any] = dict(norm=self.norm, spectral=self.spectral)
        skips = [ConvBlock(self.widths[0], norm='none', spectral=self.spectral)(x, train)]
        for width in self.widths[1:]:
            skips.append(ConvBlock(width, 4, 2, 1, **style)(skips[-1], train))
        x, decoded = skips[-1], {levels - 1: skips[-1]}
        for level in reversed(range(self.stop, levels - 1)):
            x, skip = upsample(x), skips[level]
            if self.join == 'concat':
                x = jnp.concatenate([x, skip], -1)
            x = ConvBlock(self.widths[level], **style)(x, train)
            if self.join == 'add':
                x = x + skip
            decoded[level] = x
        return decoded
