"""Estimators of the user's own, by name: embeddings of faces, features of images."""

import numpy as np
from jaxtyping import Float

from reenact_jax.common import outside
from reenact_jax.common.arrays import AnyArray
from reenact_jax.common.errors import UserError
from reenact_jax.evaluate.estimators.cards import Card


class Own:
    """A function of the user's own from images, and what else it takes, to a vector each."""

    def __init__(self, name: str, measures: str):
        """Import the function.

        Args:
          name: `my_package.measures:embed`.
          measures: 'identity', for a function of images [b, h, w, 3] in [-1, 1] and 68 points
            [b, 68, 2] in pixels, or 'features', for one of images alone; both return [b, n].

        Raises:
          UserError: there is no such function.
        """
        self._function, self._where = outside.named(name, f'--{measures}'), f'--{measures} {name}'
        self.card = Card(measures, name, outside.version(name), 'of its own', '')

    def __call__(
        self, image: Float[AnyArray, 'b h w 3'], *more: Float[AnyArray, 'b 68 2']
    ) -> Float[np.ndarray, 'b _']:
        """Call the function.

        Raises:
          UserError: it returned something else than a vector of finite numbers an image.
        """
        found = np.asarray(self._function(image, *more), np.float32)
        if found.ndim != 2 or len(found) != len(image) or not np.isfinite(found).all():
            raise UserError(
                f'{self._where}: returned {list(found.shape)} for {len(image)} images, expected '
                f'finite numbers [{len(image)}, n]'
            )
        return found
