"""FReeNet's networks: the perceptrons of its landmark converter and its image generator.

Layers are those of the official code, which the paper's supplement leaves out of print.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from reenact_jax.nets import initial
from reenact_jax.nets.blocks import Conv, Norm, TransposedConv
from reenact_jax.nets.mlp import Dense
from reenact_jax.nets.patch import INIT

CONV: dict[str, Any] = dict(kernel_init=INIT)
PARTS = 3  # parts of the transformer's residual blocks (section 3.2)
JOINS = ('every', 'parts')
FORMS = ('official', 'early')
STARTS = {'he': (initial.he, initial.lecun), 'xavier': (initial.xavier, initial.xavier)}
LINES = (8, 16, 16)  # features of the landmark encoder


class Perceptron(nn.Module):
    """Dense layers of these widths, leaky ReLU 0.2 between them; inputs are flattened and joined.

    Attributes:
      widths: outputs of each layer.
      start: weights at the start: `he`, and LeCun in the last layer (ours), or the official code's
        `xavier`.
    """

    widths: tuple[int, ...]
    start: str = 'he'

    @nn.compact
    def __call__(self, *inputs: Float[Array, 'b ...'], train: bool = True) -> Float[Array, 'b o']:
        """Map the rows of all inputs, joined, to as many numbers a row as the last width."""
        del train
        x = jnp.concatenate([x.reshape(x.shape[0], -1) for x in inputs], -1)
        inner, last = STARTS[self.start]
        for width in self.widths[:-1]:
            x = nn.leaky_relu(Dense(width, kernel_init=inner)(x), 0.2)
        return Dense(self.widths[-1], kernel_init=last)(x)


class Similarity(nn.Module):
    """D_S judges whether two landmark sets are of one person; each has a branch of its own."""

    branch: tuple[int, ...] = (512, 512, 64)
    joint: tuple[int, ...] = (128, 32, 1)
    start: str = 'he'

    @nn.compact
    def __call__(
        self, known: Float[Array, 'b n 2'], other: Float[Array, 'b n 2'], train: bool = True
    ) -> Float[Array, 'b 1']:
        """Return logits; `known` is a real set of the person, `other` the one to be judged."""
        codes = [Perceptron(self.branch, self.start)(x, train=train) for x in (known, other)]
        return Perceptron(self.joint, self.start)(*codes, train=train)


class GAG(nn.Module):
    """Geometry-aware generator phi (eq. 7): reference image and landmark image -> image.

    A residual block is conv, norm, ReLU, dropout, conv, norm beside a shortcut of conv and norm;
    nothing follows the sum.

    Attributes:
      width: features at the full side.
      blocks: residual blocks of the transformer.
      joins: blocks to whose input landmark features are joined: `every` one (17.36 million
        parameters, nearest to the paper's 17.3), or with `parts` the last of each of the
        transformer's three parts (the official code: 16.91 million).
      dropout: rate in the residual blocks.
      norm: `instance` is the official code's. It takes the mean and scale of every channel away,
        and so the colours of the image, before anything is made of them; what all pictures of a
        set share (RaFD's white wall and one light) is learnt nonetheless, other colours are not.
      form: `early` is what trained weights from before the comparison with the official code need:
        a ReLU behind the landmark encoder, and shortcuts padded by reflection instead of zeros.
    """

    width: int = 64
    blocks: int = 9
    joins: str = 'every'
    dropout: float = 0.5
    norm: str = 'instance'
    form: str = 'official'

    def setup(self):
        early = self.form == 'early'
        self.encoder = _Encoder(self.width, self.norm)
        self.landmarks = _LandmarkEncoder(self.norm, early)
        ends = [(i + 1) * self.blocks // PARTS - 1 for i in range(PARTS)]
        self.joined = range(self.blocks) if self.joins == 'every' else ends
        self.transformer = [
            _Residual(4 * self.width, self.dropout, self.norm, early) for _ in range(self.blocks)
        ]
        self.decoder = _Decoder(self.width, self.norm)

    def encode(self, image: Float[Array, 'b s s 3'], train: bool = True):
        """Encode the reference as features [b, s / 4, s / 4, 4 width]."""
        return self.encoder(image, train)

    def decode(
        self, x: Float[Array, 'b q q f'], lines: Float[Array, 'b q q c'], train: bool = True
    ) -> Float[Array, 'b s s 3']:
        """Draw the image in [-1, 1].

        Args:
          x: features of the reference, of `encode`.
          lines: the landmark image at a quarter of the side.
          train: whether this is training.
        """
        lines = self.landmarks(lines, train)
        for i, block in enumerate(self.transformer):
            x = block(jnp.concatenate([x, lines], -1) if i in self.joined else x, train)
        return self.decoder(x, train)

    def __call__(
        self, image: Float[Array, 'b s s 3'], lines: Float[Array, 'b q q c'], train: bool = True
    ) -> Float[Array, 'b s s 3']:
        """Encode the reference and draw the image in [-1, 1]."""
        return self.decode(self.encode(image, train), lines, train)


class _Encoder(nn.Module):
    width: int
    norm: str

    @nn.compact
    def __call__(self, x, train):
        x = _block(Conv(self.width, 7, reflect=True, **CONV), self.norm, x, train)
        for factor in (2, 4):
            x = _block(Conv(self.width * factor, 3, 2, 1, **CONV), self.norm, x, train)
        return x


class _LandmarkEncoder(nn.Module):
    norm: str
    early: bool

    @nn.compact
    def __call__(self, x, train):
        for width in LINES[:-1]:
            x = _block(Conv(width, **CONV), self.norm, x, train)
        x = Norm(self.norm)(Conv(LINES[-1], **CONV)(x, train), train)
        return nn.relu(x) if self.early else x


class _Decoder(nn.Module):
    width: int
    norm: str

    @nn.compact
    def __call__(self, x, train):
        for factor in (2, 1):
            x = _block(TransposedConv(self.width * factor, 3, **CONV), self.norm, x, train)
        return jnp.tanh(Conv(3, 7, reflect=True, **CONV)(x, train))


class _Residual(nn.Module):
    width: int
    dropout: float
    norm: str
    early: bool

    @nn.compact
    def __call__(self, x, train):
        y = _block(Conv(self.width, reflect=True, **CONV), self.norm, x, train)
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        y = Norm(self.norm)(Conv(self.width, reflect=True, **CONV)(y, train), train)
        shortcut = Conv(self.width, reflect=self.early, **CONV)(x, train)
        return y + Norm(self.norm)(shortcut, train)


def _block(conv: nn.Module, norm: str, x: Array, train: bool) -> Array:
    """Apply convolution, normalisation and ReLU."""
    return nn.relu(Norm(norm)(conv(x, train), train))
