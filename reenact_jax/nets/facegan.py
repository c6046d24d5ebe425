"""FACEGAN's image networks: a U-Net with two heads, and an enhancer around it for twice the side.

The paper says "U-Net like", trained progressively as pix2pixHD; layers are ours.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from reenact_jax.geometry.images import soften
from reenact_jax.nets import initial
from reenact_jax.nets.blocks import Conv, ConvBlock, Norm, upsample
from reenact_jax.nets.msrunet import ResUNet
from reenact_jax.nets.unet import UNet

VARIANTS = ('unet', 'msrunet')  # nets/unet.py, nets/msrunet.py
DEEPEST = 8  # most width of a level, in widths of the first


class Generator(nn.Module):
    """G_r or G_b at half of the side: a U-Net of `downs` halvings with two heads.

    Attributes:
      second: channels of the second head: 3 logits of a segmentation (G_r) or one of a mask (G_b).
      width: features of the finest level, doubled level by level up to `DEEPEST` times.
      downs: number of halvings.
      norm: a kind of `blocks.Norm`.
      variant: one of `VARIANTS`.
    """

    second: int
    width: int = 64
    downs: int = 5
    norm: str = 'instance'
    variant: str = 'unet'

    def setup(self):
        widths = tuple(self.width * min(2**i, DEEPEST) for i in range(self.downs + 1))
        residual = self.variant == 'msrunet'
        self.unet = ResUNet(widths, self.norm) if residual else UNet(widths, self.norm)
        self.heads = _Heads(self.second)

    def __call__(self, x: Float[Array, 'b s s c'], train: bool = True) -> tuple[Array, Array]:
        """Draw the image in [-1, 1] [b, s, s, 3] and the second head's logits [b, s, s, second]."""
        return self.heads(self.features(x, train), train)

    def features(self, x: Float[Array, 'b s s c'], train: bool = True) -> Float[Array, 'b s s w']:
        """Return what the heads are given: the enhancer's second input."""
        features: Any = self.unet(x, train)
        return features if self.variant == 'msrunet' else features[0]


class Enhancer(nn.Module):
    """Enhancer around `Generator`: adds detail at the full side to its features at half of it."""

    second: int
    width: int = 32  # half of the generator's
    blocks: int = 3
    norm: str = 'instance'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b s s c'], coarse: Float[Array, 'b h h w'], train: bool = True
    ) -> tuple[Array, Array]:
        """Draw as `Generator`.

        Args:
          x: the input at the full side.
          coarse: `Generator.features` of x at half the side, of twice this width.
          train: whether this is training.
        """
        fine = ConvBlock(self.width, norm='none')(x, train)
        y = ConvBlock(2 * self.width, 4, 2, 1, self.norm)(fine, train) + coarse
        for _ in range(self.blocks):
            inner = ConvBlock(2 * self.width, norm=self.norm)(y, train)
            y = y + Norm(self.norm)(Conv(2 * self.width)(inner, train), train)
        # Doubled pixels alone show as blocks: a level of few features does not smooth them.
        y = jnp.concatenate([soften(upsample(y)), fine], -1)
        y = ConvBlock(self.width, norm=self.norm)(y, train)
        return _Heads(self.second)(y, train)


class _Heads(nn.Module):
    second: int

    @nn.compact
    def __call__(self, x: Float[Array, 'b s s w'], train: bool) -> tuple[Array, Array]:
        image = jnp.tanh(Conv(3, 7, kernel_init=initial.lecun)(x, train))
        return image, Conv(self.second, kernel_init=initial.lecun)(x, train)
