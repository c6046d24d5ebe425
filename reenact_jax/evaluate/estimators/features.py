"""Features of whole images for the Frechet distance, by a network that is named."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from reenact_jax.common import storage
from reenact_jax.common.arrays import AnyArray
from reenact_jax.common.errors import UserError
from reenact_jax.evaluate.estimators.cards import Card
from reenact_jax.nets import vgg


class Features:
    """Means over the image of VGG19's relu5_1 (512 numbers), or of untrained features.

    They are not Inception's: distances of these are not FID, and are never called so.
    """

    def __init__(self, name: str):
        """Load the network.

        Args:
          name: `vgg19=FILE` (see nets/vgg.py), or `random`.

        Raises:
          UserError: the name is another one, or the file is missing.
        """
        kind, _, path = name.partition('=')
        if kind == 'vgg19' and path:
            self.weights, digest, side = vgg.load(path, 19), storage.file_digest(path), 224
            self.card = Card('features', 'VGG19 relu5_1, means', path, 'of the file', digest)
        elif name == 'random':
            self.weights, side = vgg.random(19, 8), 64
            self.card = Card('features', 'VGG19 with random weights, width 8', 'seed 0', '-', '')
        else:
            raise UserError(f'--features {name}: expected vgg19=FILE, random or none')

        @jax.jit
        def features(weights, image):
            image = jax.image.resize(image, (len(image), side, side, 3), 'bilinear')
            return vgg.features(weights, image, 19)[-1].mean((1, 2))

        self._features = features

    def __call__(self, image: Float[AnyArray, 'b h w 3']) -> Float[AnyArray, 'b n']:
        """Compute the features of images in [-1, 1]."""
        return self._features(self.weights, jnp.asarray(image))
