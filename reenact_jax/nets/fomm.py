"""Networks of the first order motion model (Siarohin et al. 2019), as in its code."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from reenact_jax.nets.blocks import Conv, Norm, upsample

LEAST_SIDE = 7  # the kernel of the keypoint detector's last layers, without padding


class Block(nn.Module):
    """Convolution, batch norm with scale and shift, ReLU."""

    features: int
    kernel: int = 3

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool = True) -> Float[Array, 'b h w f']:
        y = Conv(self.features, self.kernel, name='conv')(x, train)
        return nn.relu(Norm('batch', affine=True, name='norm')(y, train))


class Residual(nn.Module):
    """Twice batch norm, ReLU and convolution, added to the input."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool = True) -> Float[Array, 'b h w c']:
        y = x
        for i in range(2):
            y = nn.relu(Norm('batch', affine=True, name=f'norm_{i}')(y, train))
            y = Conv(self.features, name=f'conv_{i}')(y, train)
        return x + y


class Hourglass(nn.Module):
    """A U-Net whose last map also has the input: `width` + the input's channels.

    Attributes:
      width: features at full size, doubled at every halving.
      depth: halvings.
      most: bound of the features.
    """

    width: int
    depth: int
    most: int

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool = True) -> Float[Array, 'b h w f']:
        skips = []
        for i in range(self.depth):
            skips.append(x)
            width = min(self.most, self.width * 2 ** (i + 1))
            x = halved(Block(width, name=f'down_{i}')(x, train))
        for i in reversed(range(self.depth)):
            width = min(self.most, self.width * 2**i)
            x = Block(width, name=f'up_{i}')(upsample(x), train)
            x = jnp.concatenate([x, skips[i]], -1)
        return x


class KeypointDetector(nn.Module):
    """Logits of the keypoints' places, and maps of their Jacobians, which start as the identity."""

    width: int
    depth: int
    most: int
    keypoints: int

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b h w 3'], train: bool = True
    ) -> tuple[Float[Array, 'b H W n'], Float[Array, 'b H W m']]:
        """Return [b, h - 6, w - 6, n] and, four numbers a keypoint, [b, h - 6, w - 6, 4 n]."""
        x = Hourglass(self.width, self.depth, self.most, name='hourglass')(x, train)
        logits = Conv(self.keypoints, 7, padding=0, name='places')(x, train)
        start: dict[str, Any] = dict(kernel_init=nn.initializers.zeros, bias_init=_identities)
        matrices = Conv(4 * self.keypoints, 7, padding=0, name='jacobians', **start)(x, train)
        return logits, matrices


def _identities(key, shape, dtype=jnp.float32) -> Array:
    """Start a bias at identity matrices of four numbers each."""
    del key
    return jnp.tile(jnp.array([1.0, 0.0, 0.0, 1.0], dtype), shape[0] // 4)


class DenseMotion(nn.Module):
    """Logits of which keypoint's motion a place follows (the first: none), and of its visibility.

    Its input are heatmaps and deformed sources, `generator.motion`.
    """

    width: int
    depth: int
    most: int
    keypoints: int

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b h w c'], train: bool = True
    ) -> tuple[Float[Array, 'b h w m'], Float[Array, 'b h w 1']]:
        """Return [b, h, w, n + 1] and [b, h, w, 1]."""
        x = Hourglass(self.width, self.depth, self.most, name='hourglass')(x, train)
        return Conv(self.keypoints + 1, 7, name='mask')(x, train), Conv(1, 7, name='occlusion')(
            x, train
        )


class Generator(nn.Module):
    """`encode`: an image to features at a coarse size; `decode`: warped features to an image.

    Attributes:
      width: features at full size, doubled at every halving.
      downs: halvings.
      most: bound of the features.
      blocks: residual blocks at the coarse size.
    """

    width: int
    downs: int
    most: int
    blocks: int

    def setup(self):
        widths = [min(self.most, self.width * 2**i) for i in range(self.downs + 1)]
        self.first = Block(self.width, 7)
        self.down = [Block(width) for width in widths[1:]]
        self.residual = [Residual(widths[-1]) for _ in range(self.blocks)]
        self.up = [Block(width) for width in widths[-2::-1]]
        self.last = Conv(3, 7)

    def __call__(self, x: Float[Array, 'b h w 3'], train: bool = True) -> Float[Array, 'b h w 3']:
        """Draw the image itself: nothing is warped."""
        return self.decode(self.encode(x, train), train)

    def encode(self, x: Float[Array, 'b h w 3'], train: bool = True) -> Float[Array, 'b H W c']:
        """Compute features of an image in [0, 1]."""
        x = self.first(x, train)
        for block in self.down:
            x = halved(block(x, train))
        return x

    def decode(self, x: Float[Array, 'b H W c'], train: bool = True) -> Float[Array, 'b h w 3']:
        """Draw the image of features, in [0, 1]."""
        for block in self.residual:
            x = block(x, train)
        for block in self.up:
            x = block(upsample(x), train)
        return jax.nn.sigmoid(self.last(x, train))


class Discriminator(nn.Module):
    """Logits of patches, from 4x4 convolutions without padding, each but the last one pooled.

    Attributes:
      width: half of the first layer's features, doubled layer by layer.
      layers: number of these convolutions.
      most: bound of the features.
      spectral: whether all convolutions have spectral norm.
    """

    width: int
    layers: int
    most: int
    spectral: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b h w c'], train: bool = True
    ) -> list[Float[Array, 'b _ _ _']]:
        """Return the maps of the layers and the logits."""
        maps = []
        for i in range(self.layers):
            width = min(self.most, self.width * 2 ** (i + 1))
            conv = Conv(width, 4, padding=0, spectral=self.spectral, name=f'conv_{i}')
            x = conv(x, train)
            if i:
                x = Norm('instance', affine=True, name=f'norm_{i}')(x, train)
            x = nn.leaky_relu(x, 0.2)
            x = halved(x) if i < self.layers - 1 else x
            maps.append(x)
        return [*maps, Conv(1, 1, spectral=self.spectral, name='last')(x, train)]


def left(side: int, layers: int) -> int:
    """Return the side of the discriminator's logits."""
    for i in range(layers):
        side = (side - 3) // (2 if i < layers - 1 else 1)
    return side


def halved(x: Float[Array, 'b h w c']) -> Float[Array, 'b H W c']:
    """Average every 2 x 2 pixels; an odd last row or column does not count."""
    b, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c)
    return x.mean((2, 4))
