"""A residual U-Net in the manner of FSGAN's multi-scale one, in FACEGAN's place for it.

FSGAN (Nirkin et al., ICCV 2019) is the nearest public kin of FACEGAN's reenactor. From its code, by
description and not tested against it: 3x3 convolutions, of which the first of a level has stride 2,
two residual blocks a level, bilinear doubling, skips that are added. Its norm is batch norm; here
it is FACEGAN's own setting.
"""

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from reenact_jax.nets.blocks import Conv, ConvBlock, Norm

FLAT = 2  # residual blocks of a level


class ResUNet(nn.Module):
    """A U-Net with residual blocks.

    Attributes:
      widths: features of each level from the finest, `len(widths) - 1` halvings.
      norm: a kind of `blocks.Norm`.
    """

    widths: tuple[int, ...]
    norm: str = 'layer'

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool = True) -> Float[Array, 'b h w f']:
        """Return the finest level's features; sides are divisible by 2^(len(widths) - 1)."""
        x = ConvBlock(self.widths[0], norm=self.norm)(x, train)
        skips = []
        for width in self.widths[1:]:
            skips.append(x)
            x = ConvBlock(width, 3, 2, 1, self.norm)(x, train)
            x = self._flat(ConvBlock(width, norm=self.norm)(x, train), train)
        for width, skip in zip(reversed(self.widths[:-1]), reversed(skips), strict=True):
            shape = (len(x), *skip.shape[1:3], x.shape[-1])
            x = jax.image.resize(x, shape, 'bilinear')
            x = ConvBlock(width, norm=self.norm)(x, train) + skip
            x = self._flat(x, train)
        return x

    def _flat(self, x: Array, train: bool) -> Array:
        """Apply the residual blocks of a level."""
        for _ in range(FLAT):
            inner = ConvBlock(x.shape[-1], norm=self.norm)(x, train)
            x = x + Norm(self.norm)(Conv(x.shape[-1])(inner, train), train)
        return x
