"""Multi-layer perceptrons over landmarks and codes, and the identity table (LD-Net's networks)."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from reenact_jax.geometry.exact import PRECISION
from reenact_jax.nets import initial

Dense = functools.partial(nn.Dense, precision=PRECISION)  # of coordinates and codes


class MLP(nn.Module):
    """Dense layers with GELU between them; several inputs are flattened and joined.

    LD-Net, supplement 6: 10 hidden layers of 512. Activation and initialisation are ours: GELU
    and He (flax's default LeCun initialisation trains ten times slower at this depth), LeCun for
    the last, linear layer. There are no normalisation and no residuals.
    """

    outputs: int
    width: int = 512
    layers: int = 10

    @nn.compact
    def __call__(self, *inputs: Float[Array, 'b ...'], train: bool = True) -> Float[Array, 'b o']:
        """Map the rows of all inputs, joined, to `outputs` numbers a row."""
        del train
        x = jnp.concatenate([x.reshape(x.shape[0], -1) for x in inputs], -1)
        for _ in range(self.layers):
            x = nn.gelu(Dense(self.width, kernel_init=initial.he)(x))
        return Dense(self.outputs, kernel_init=initial.lecun)(x)


class IdentityTable(nn.Module):
    """LD-Net's N_I: one linear layer from the one-hot identity, kept as a table of its weights.

    It also keeps the running mean shape of every identity (collection `shapes`: the mean of all
    landmarks seen in training, and their number), which the mean-shape swap needs.
    """

    identities: int
    features: int
    points: int

    def setup(self):
        # A linear layer's start: all people nearly alike. Codes that start far apart stay where
        # they are, and no encoder can guess a new person's.
        self.table = self.param('table', initial.lecun, (self.identities, self.features))
        shape = (self.identities, self.points, 2)
        self.mean = self.variable('shapes', 'mean', jnp.zeros, shape)
        self.seen = self.variable('shapes', 'seen', jnp.zeros, (self.identities,))

    def __call__(self, identity: Int[Array, ' b'], train: bool = True) -> Float[Array, 'b f']:
        """Look up codes of identity numbers, 0 <= i < identities."""
        del train
        return self.table[identity]

    def mean_shapes(
        self,
        identity: Int[Array, ' b'],
        other: Int[Array, ' b'],
        landmarks: Float[Array, 'b n 2'],
        train: bool = True,
    ) -> tuple[Float[Array, 'b n 2'], Float[Array, 'b n 2'], Float[Array, ' b']]:
        """Return running mean shapes of two identities, and the frames behind the rarer one.

        Args:
          identity: numbers of the first.
          other: numbers of the second.
          landmarks: of `identity`, normalised to their boxes; counted in first in training.
          train: whether this is training.
        """
        if train:
            landmarks = jax.lax.stop_gradient(landmarks)
            seen = self.seen.value.at[identity].add(1.0)
            off = jnp.zeros_like(self.mean.value)
            off = off.at[identity].add(landmarks - self.mean.value[identity])
            self.mean.value += off / jnp.maximum(seen, 1.0)[:, None, None]
            self.seen.value = seen
        mean, seen = self.mean.value, self.seen.value
        return mean[identity], mean[other], jnp.minimum(seen[identity], seen[other])
