"""FD-GAN's extractor and translator, joined by a feature dictionary at each level.

Section 3.2 and supplement 6 describe them. A level's dictionary has n rows. Row i has a learned
write tag t_i, a learned read tag u_i and a value v_i, which is written from the source and read at
every place of the driving landmark image:

    v_i = sum_j softmax_j(t_i . p_j) x_j    (eq. 8: the softmax is over places j)
    y_j = sum_i softmax_i(u_i . q_j) v_i    (eq. 9: the softmax is over rows i)

Levels are numbered from the finest; level i works at the image's side / 2^(i + 1).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from reenact_jax.nets import initial
from reenact_jax.nets.blocks import Conv, ConvBlock, TransposedConv
from reenact_jax.nets.modulation import Modulation

KINDS = ('full', 'one', 'adain')


# Attention weights computed at a time, an image: 1 MB of float32, which stays in a core's cache
# (all of them at once take twice the time on a CPU) and spares an accelerator's memory.
BLOCK = 2**18


def attend(
    queries: Float[Array, '*q m t'], keys: Float[Array, '*r k t'], values: Float[Array, '*b k c']
) -> Float[Array, '*b m c']:
    """Average the values for every query, weighted by softmax(query . key) over the keys.

    This is attention without a scale; values may be longer than keys. Queries or keys of two axes
    serve all images of a batch.

    The weights, float32, would be the largest arrays of FD-GAN by far: at the finest level of
    256 x 256 pixels 512 x 16,384 an image, 268 MB for eight. They are computed for a block of
    queries at a time, and again for the gradient.
    """
    count = queries.shape[-2]
    size = max(min(BLOCK // keys.shape[-2], count), 1)
    blocks = -(-count // size)
    spare = [(0, 0)] * (queries.ndim - 2) + [(0, blocks * size - count), (0, 0)]
    queries = jnp.pad(queries, spare)
    queries = queries.reshape(*queries.shape[:-2], blocks, size, queries.shape[-1])

    @jax.checkpoint
    def one(queries):
        exact = dict(preferred_element_type=jnp.float32)
        weights = jax.nn.softmax(jnp.einsum('...mt,...kt->...mk', queries, keys, **exact), -1)
        return jnp.einsum('...mk,...kc->...mc', weights.astype(values.dtype), values)

    means = jnp.moveaxis(jax.lax.map(one, jnp.moveaxis(queries, -3, 0)), 0, -3)
    return means.reshape(*means.shape[:-3], blocks * size, -1)[..., :count, :]


class Writer(nn.Module):
    """The writer of a dictionary's values from features of the source (eq. 8)."""

    rows: int
    length: int
    tag: int
    kind: str = 'full'

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool = True) -> Float[Array, 'b n v']:
        """Write n = `rows` of v = `length`; unless `full`, one row, the mean of the values."""
        linear: dict[str, Any] = dict(kernel=1, kernel_init=initial.lecun)
        values = _places(Conv(self.length, **linear)(x, train))
        if self.kind != 'full':
            return values.mean(1, keepdims=True)
        keys = _places(Conv(self.tag, **linear)(x, train))
        return attend(_tags(self, 'write_tags'), keys, values)


class Reader(nn.Module):
    """The reader of a dictionary: adds what it says to features of the driving landmarks (eq. 9).

    Attributes:
      rows: of the dictionary.
      tag: length of a tag.
      kind: how it is read:
        `full`   as printed
        `one`    the dictionary has one row, which is read everywhere (FD-GAN-1 of table 3)
        `adain`  that row makes the parameters of an adaptive instance norm (AdaIN of table 3)
    """

    rows: int
    tag: int
    kind: str = 'full'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b h w c'], values: Float[Array, 'b n c'], train: bool = True
    ) -> Float[Array, 'b h w c']:
        if self.kind == 'adain':
            return Modulation('adain', 'instance')(x, values[:, 0], train)
        if self.kind == 'one':  # the softmax over one row is 1
            return x + values[:, :, None]
        keys = _places(Conv(self.tag, kernel=1, kernel_init=initial.lecun)(x, train))
        return x + attend(keys, _tags(self, 'read_tags'), values).reshape(x.shape)


class Extractor(nn.Module):
    """FD-GAN's Ext: (image, its landmark image) -> a dictionary a level."""

    widths: tuple[int, ...]  # features and row length by level
    rows: tuple[int, ...]
    tag: int = 32
    kind: str = 'full'
    norm: str = 'instance'

    @nn.compact
    def __call__(
        self, image: Float[Array, 'b s s 3'], lines: Float[Array, 'b s s l'], train: bool = True
    ) -> list[Float[Array, 'b _ _']]:
        skips = Down(self.widths, self.norm)(jnp.concatenate([image, lines], -1), train)
        x: Any = 0
        written = []
        for width, rows, skip in reversed(list(zip(self.widths, self.rows, skips, strict=True))):
            if written:
                x = _widen(self, x, width, train)
            x = x + skip
            written.append(Writer(rows, width, self.tag, self.kind)(x, train))
        # libtpu 0.0.42 dies (in SpaceToBatchConverter) where it may look across the dictionary.
        return jax.lax.optimization_barrier(written[::-1])


class Translator(nn.Module):
    """FD-GAN's Tra: (driving landmark image, the source's dictionaries) -> image in [-1, 1]."""

    widths: tuple[int, ...]
    rows: tuple[int, ...]
    tag: int = 32
    kind: str = 'full'
    norm: str = 'instance'

    @nn.compact
    def __call__(
        self,
        lines: Float[Array, 'b s s l'],
        written: list[Float[Array, 'b _ _']],
        train: bool = True,
    ) -> Float[Array, 'b s s 3']:
        skips = Down(self.widths, self.norm)(lines, train)
        levels = list(zip(self.widths, self.rows, skips, written, strict=True))[::-1]
        x: Any = 0
        for i, (width, rows, skip, values) in enumerate(levels):
            if i:
                x = _widen(self, x, width, train)
            x = Reader(rows, self.tag, self.kind)(x + skip, values, train)
        x = ConvBlock(self.widths[0], norm=self.norm)(x, train)
        return jnp.tanh(TransposedConv(3, kernel_init=initial.doubled_lecun)(x, train))


class Down(nn.Module):
    """A U-Net's way down: a level is a 4x4 convolution with stride 2 and a 3x3 one.

    The very first convolution is not normalised, so that it keeps colours (ours).
    """

    widths: tuple[int, ...]
    norm: str = 'instance'

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b s s c'], train: bool = True
    ) -> list[Float[Array, 'b _ _ _']]:
        """Return features by level: [b, s / 2^(i + 1), s / 2^(i + 1), widths[i]]."""
        levels = []
        for i, width in enumerate(self.widths):
            x = ConvBlock(width, 4, 2, 1, norm=self.norm if i else 'none')(x, train)
            x = ConvBlock(width, norm=self.norm)(x, train)
            levels.append(x)
        return levels


class Patches(nn.Module):
    """Discriminator or classifier: `Down`, then one linear layer a place (supplement 6)."""

    outputs: int
    widths: tuple[int, ...]
    norm: str = 'instance'

    @nn.compact
    def __call__(
        self, image: Float[Array, 'b s s 3'], train: bool = True
    ) -> Float[Array, 'b h w o']:
        """Return logits of overlapping patches."""
        x = Down(self.widths, self.norm)(image, train)[-1]
        return Conv(self.outputs, kernel=1, kernel_init=initial.lecun)(x, train)


def _widen(net: nn.Module, x: Array, width: int, train: bool) -> Array:
    """Finish an up level behind its dictionary: 3x3, then 4x4 transposed with stride 2."""
    x = ConvBlock(x.shape[-1], norm=net.norm)(x, train)
    return nn.relu(TransposedConv(width)(x, train))


def _tags(net: nn.Module, name: str) -> Float[Array, 'n t']:
    """Declare learned tags, one a row, the same for all images."""
    # With this deviation t . p has unit variance at the start (ours).
    return net.param(name, initial.normal(net.tag**-0.5), (net.rows, net.tag))


def _places(x: Float[Array, 'b h w c']) -> Float[Array, 'b hw c']:
    return x.reshape(x.shape[0], -1, x.shape[-1])
