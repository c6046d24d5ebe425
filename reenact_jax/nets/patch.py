"""PatchGAN and its multi-scale form, as published with pix2pix and pix2pixHD."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from reenact_jax.nets import initial
from reenact_jax.nets.blocks import Conv, Norm

INIT = initial.normal(0.02)  # both papers' weight initialisation


class PatchGAN(nn.Module):
    """Logits of overlapping patches: 70 x 70 with three layers (Isola et al. 2017, section 6.1.2).

    The convolutions are 4x4 with bias: `layers` with stride 2, one with stride 1, one to a single
    channel; leaky ReLU 0.2. All but the first and the last are normalised.

    Attributes:
      width: features of the first layer, doubled layer by layer up to 8 times.
      layers: convolutions with stride 2.
      padding: 1 in pix2pix, 2 in pix2pixHD.
      norm: a kind of `blocks.Norm`.
      affine: normalise with learned scale and shift (pix2pix's batch norm), and no bias before it.

    A condition is joined to the image's channels. The first layer does that as a sum of two
    convolutions: a condition with fewer rows (real and fake images have the same) is convolved
    once for all images, and no gradient to it is computed.
    """

    width: int = 64
    layers: int = 3
    padding: int = 2
    norm: str = 'instance'
    affine: bool = False

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'b h w c'],
        condition: Float[Array, 'a h w k'] | None = None,
        train: bool = True,
        features: bool = False,
    ) -> Float[Array, 'b H W 1'] | list[Array]:
        """Return the logits; with `features` a list: the other layers' maps, then the logits."""
        conv: dict[str, Any] = dict(kernel=4, padding=self.padding, kernel_init=INIT)
        maps = []
        for i in range(self.layers + 1):
            width, stride = self.width * min(2**i, 8), 2 if i < self.layers else 1
            bias = i == 0 or not self.affine
            y = Conv(width, stride=stride, use_bias=bias, **conv)(x, train)
            if i == 0 and condition is not None:
                beside = Conv(width, stride=stride, use_bias=False, **conv)(condition, train)
                y = y + jnp.repeat(beside, len(y) // len(beside), 0)
            x = y
            x = x if i == 0 else Norm(self.norm, self.affine)(x, train)
            x = nn.leaky_relu(x, 0.2)
            maps.append(x)
        logits = Conv(1, **conv)(x, train)
        return [*maps, logits] if features else logits


class MultiScale(nn.Module):
    """PatchGANs with weights of their own on an image pyramid (Wang et al. 2018, section 3.2).

    Scales are halved by average pooling: window 3, stride 2, padding 1, border not counted.
    """

    scales: int = 2
    width: int = 64
    layers: int = 3
    padding: int = 2
    norm: str = 'instance'

    @nn.compact
    def __call__(
        self,
        image: Float[Array, 'b h w c'],
        condition: Float[Array, 'a h w k'] | None = None,
        train: bool = True,
        features: bool = False,
    ) -> list[Float[Array, 'b _ _ 1']] | list[list[Array]]:
        """Return logits a scale, the finest first; with `features` each is a `PatchGAN` list.

        Image row i has the condition's row i // (b / a).
        """
        logits = []
        for scale in range(self.scales):
            if scale:
                image = halve(image)
                condition = None if condition is None else halve(condition)
            patch = PatchGAN(self.width, self.layers, self.padding, self.norm)
            logits.append(patch(image, condition, train, features))
        return logits


def halve(x: Float[Array, 'b h w c']) -> Float[Array, 'b H W c']:
    """Halve by average pooling 3, stride 2, padding 1 that does not count the border.

    It is written as sums of slices: XLA's reduce_window and its gradient are slow on CPUs.
    """
    return _halve_axis(_halve_axis(x, 1), 2)


def _halve_axis(x: Array, axis: int) -> Array:
    outputs = (x.shape[axis] + 1) // 2
    border = [(int(i == axis),) * 2 for i in range(x.ndim)]
    padded = jnp.pad(x, border)
    ends = [start + 2 * outputs - 1 for start in range(3)]
    slices = [
        jax.lax.slice_in_dim(padded, start, min(end, padded.shape[axis]), 2, axis)
        for start, end in enumerate(ends)
    ]
    inside = np.arange(outputs)[:, None] * 2 + np.arange(-1, 2)  # the window's places
    count = ((inside >= 0) & (inside < x.shape[axis])).sum(1)
    shape = [outputs if i == axis else 1 for i in range(x.ndim)]
    return sum(slices) / jnp.asarray(count.reshape(shape), x.dtype)
