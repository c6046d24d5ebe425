"""The identity of a face: embeddings by dlib's network, in JAX on the device."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.evaluate.estimators.cards import Card
from reenact_jax.nets import dlib_resnet


class Identity:
    """dlib's ResNet-29 (nets/dlib_resnet.py) on aligned chips."""

    def __init__(self, path: str | None = None):
        """Load the network.

        Args:
          path: file of the weights; None: that of the package `face_recognition_models`.

        Raises:
          UserError: there is none.
        """
        self.weights = jax.device_put(dlib_resnet.load(path))
        self.card = Card(
            'identity', "dlib's ResNet-29, ported to JAX", 'face_recognition_models 0.3.0',
            'CC0-1.0', dlib_resnet.SHA256,
        )  # fmt: skip
        self._embed = jax.jit(embed)

    def __call__(
        self, image: Float[AnyArray, 'b h w 3'], points: Float[AnyArray, 'b 68 2']
    ) -> Float[AnyArray, 'b 128']:
        """Embed the faces of images.

        Args:
          image: in [-1, 1].
          points: the face's 68 points, pixels of the image.
        """
        return self._embed(self.weights, image, points)


def embed(
    weights: dict, image: Float[AnyArray, 'b h w 3'], points: Float[AnyArray, 'b 68 2']
) -> Float[AnyArray, 'b 128']:
    """Embed faces as `Identity` does, without state; `weights` come from `dlib_resnet.load`."""
    return dlib_resnet.embed(weights, dlib_resnet.chips(image, points))


def loss(
    weights: dict,
    made: Float[AnyArray, 'b h w 3'],
    made_points: Float[AnyArray, 'b 68 2'],
    source: Float[AnyArray, 'b h w 3'],
    source_points: Float[AnyArray, 'b 68 2'],
) -> Float[AnyArray, '']:
    """Return 1 - the mean cosine of embeddings: a loss that keeps the source's identity.

    No gradient goes to the source.

    Args:
      weights: those of `dlib_resnet.load`.
      made: results in [-1, 1].
      made_points: their 68 points, pixels.
      source: images of the source in [-1, 1].
      source_points: their 68 points, pixels.
    """
    a = embed(weights, made, made_points)
    b = jax.lax.stop_gradient(embed(weights, source, source_points))
    size = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    return 1 - ((a * b).sum(-1) / jnp.maximum(size, 1e-12)).mean()
