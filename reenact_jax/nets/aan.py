"""The four sub-nets of AAN's generator (its section "Methodology"); widths and insides are ours."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from reenact_jax.geometry.images import pixel_shuffle, resize, soften
from reenact_jax.nets.blocks import Conv, Head
from reenact_jax.nets.initial import shuffled
from reenact_jax.nets.modulation import START, modulation, pair
from reenact_jax.nets.unet import UNet

UPSCALES = 'shuffle', 'shuffle_soft', 'resize'
# Logits of masks at the start, and the gain of their heads: most of the source is to be trusted,
# little of a part painted over.
SHARE, PART_SHARE, LOW = 2.0, -1.0, 0.1


class Extractor(nn.Module):
    """E_a(I_s): one U-Net that predicts every pair (gamma_i, beta_i) and F_a.

    Attributes:
      widths: of the U-Net, from the finest level.
      fusion: widths of the fusion blocks from the coarsest; the pair of block i comes from the
        decoder's level of that block's size, F_a from the coarsest of these levels.
      adaptive: predict Theta (off for the SPADE ablation, which predicts it layer by layer).
      norm: a kind of `blocks.Norm`.
      spectral: whether convolutions have spectral norm.
    """

    widths: tuple[int, ...]
    fusion: tuple[int, ...]
    adaptive: bool = True
    norm: str = 'batch'
    spectral: bool = True

    @nn.compact
    def __call__(self, image: Float[Array, 'b h w 3'], train: bool = True) -> tuple[Array, list]:
        """Return F_a [b, h', w', fusion[0]] and Theta: a (gamma, beta) of each block's shape."""
        coarsest = len(self.fusion) - 1
        stop = 0 if self.adaptive else coarsest
        levels = UNet(self.widths, self.norm, self.spectral, stop=stop)(image, train)
        features = Conv(self.fusion[0], spectral=self.spectral)(levels[coarsest], train)
        theta = []
        for i, width in enumerate(self.fusion if self.adaptive else ()):
            head = Head(2 * width, START, self.spectral)
            theta.append(pair(head(levels[coarsest - i], train)))
        return features, theta


class FlowNet(nn.Module):
    """FEN(S_s, S_d): an hourglass from both heatmaps to the flow, 0 at the start."""

    widths: tuple[int, ...]
    norm: str = 'batch'
    spectral: bool = True

    @nn.compact
    def __call__(
        self, source: Float[Array, 'b h w n'], driving: Float[Array, 'b h w n'], train: bool = True
    ) -> Float[Array, 'b h w 2']:
        """Estimate the backward flow, normalised: where in the source to look (`images.warp`)."""
        x = jnp.concatenate([source, driving], -1)
        levels = UNet(self.widths, self.norm, self.spectral, join='add')(x, train)
        return Head(2, 0.0, self.spectral)(levels[0], train)


class LocalNets(nn.Module):
    """G_eyel, G_eyer, G_nose, G_mouth (and others by name): independent U-Nets.

    Attributes:
      widths: of each U-Net, from the finest level.
      norm: a kind of `blocks.Norm`.
      spectral: whether convolutions have spectral norm.
      masks: give an opacity beside each image (ours).
    """

    widths: tuple[int, ...]
    norm: str = 'batch'
    spectral: bool = True
    masks: bool = False

    @nn.compact
    def __call__(
        self, inputs: dict[str, Float[Array, 'b s s _']], train: bool = True
    ) -> dict[str, Float[Array, 'b s s _']]:
        """Reenact each part: its source crop and both heatmaps, joined -> an image in [-1, 1].

        With `masks` there is a fourth channel, the part's opacity, 0..1.
        """
        parts = {}
        for name, x in sorted(inputs.items()):
            levels = UNet(self.widths, self.norm, self.spectral, name=name)(x, train)
            head = Head(3, spectral=self.spectral, name=f'{name}_image')
            parts[name] = jnp.tanh(head(levels[0], train))
            if self.masks:
                head = Head(1, LOW, self.spectral, name=f'{name}_mask')
                alpha = nn.sigmoid(PART_SHARE + head(levels[0], train))
                parts[name] = jnp.concatenate([parts[name], alpha], -1)
        return parts


class Fusion(nn.Module):
    """G_f: fusion blocks with adaptive normalisation, residual layers, tanh.

    A block joins the local regions to its input; convolution, `Modulation` and ReLU follow. Between
    blocks a convolution and pixel shuffle double the size.

    Attributes:
      widths: of the blocks, from the coarsest.
      residuals: number of residual layers.
      modulation: a kind of `Modulation`, or the name of an own block (`modulation`).
      statistics: those of `Modulation`.
      upscale: one of `UPSCALES`.
      spectral: whether convolutions have spectral norm.
      mask: give the share of the warped source beside the image (ours).
      spade_map: `resize` of SPADE's `Modulation`.
      spade_hidden: `hidden` of it.
    """

    widths: tuple[int, ...]
    residuals: int = 2
    modulation: str = 'aan'
    statistics: str = 'batch'
    upscale: str = 'shuffle'
    spectral: bool = True
    mask: bool = False
    spade_map: str = 'nearest'
    spade_hidden: int = 128

    @nn.compact
    def __call__(
        self,
        features: Float[Array, 'b h w c'],
        theta: list,
        canvas: Float[Array, 'b H W p'] | None,
        warped: Float[Array, 'b H W q'] | None = None,
        train: bool = True,
    ) -> Float[Array, 'b H W 3'] | tuple[Float[Array, 'b H W 3'], Float[Array, 'b H W 1']]:
        """Draw the image, [-1, 1]; with `mask` return the mask, 0..1, beside it.

        Args:
          features: the warped F_a.
          theta: a condition of `Modulation` a block.
          canvas: the local regions at their places in the image; None without local nets.
          warped: the warped source, and what else tells where it can be trusted; with `mask` alone.
          train: whether this is training.
        """
        x = features
        for i, (width, condition) in enumerate(zip(self.widths, theta, strict=True)):
            if i:
                x = self._doubled(x, width, train)
            if canvas is not None:
                x = jnp.concatenate([x, resize(canvas, x.shape[1])], -1)
            x = Conv(width, spectral=self.spectral)(x, train)
            modulated = modulation(
                self.modulation, self.statistics, self.spade_hidden, self.spectral, self.spade_map
            )
            x = nn.relu(modulated(x, condition, train))
        if self.mask:
            if warped is None:
                raise ValueError('with `mask` the warped source has to be given')
            seen = jnp.concatenate([x, warped], -1)
            x = x + nn.relu(Conv(self.widths[-1], spectral=self.spectral, name='seen')(seen, train))
        for _ in range(self.residuals):
            y = nn.relu(Conv(self.widths[-1], spectral=self.spectral)(x, train))
            x = x + Conv(self.widths[-1], spectral=self.spectral)(y, train)
        image = jnp.tanh(Head(3, spectral=self.spectral)(x, train))
        if not self.mask:
            return image
        return image, nn.sigmoid(SHARE + Head(1, LOW, self.spectral, name='mask')(x, train))

    def _doubled(self, x: Array, width: int, train: bool) -> Array:
        if self.upscale == 'resize':
            return Conv(width, spectral=self.spectral)(resize(x, 2 * x.shape[1]), train)
        wide = Conv(4 * width, spectral=self.spectral, kernel_init=shuffled)
        x = pixel_shuffle(wide(x, train))
        return soften(x) if self.upscale == 'shuffle_soft' else x
