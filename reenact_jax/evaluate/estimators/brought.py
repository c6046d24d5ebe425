"""Networks that the user brings as ONNX files: ArcFace, VGGFace2, and Inception as in FID.

None is part of this project, and each has a licence of its own: the pretrained models of
InsightFace, for example, are for research that is not commercial. They run in onnxruntime on the
CPU. How images are cut and scaled is that of the networks' makers:

- ArcFace: 112 x 112, the eyes' middles, the nose's tip and the mouth's corners at InsightFace's
  places; RGB in [-1, 1].
- VGGFace2: 224 x 224 around the face's points with a margin of 0.3 of their box (its makers take a
  detector's box); BGR in 0..255 without the training set's mean.
- Inception: 299 x 299, resized bilinearly without antialiasing (as PyTorch's FID does); RGB in
  [-1, 1]. The file's output has to be the features of FID, 2048 numbers.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from reenact_jax.common import storage
from reenact_jax.common.arrays import AnyArray
from reenact_jax.common.errors import UserError
from reenact_jax.evaluate.estimators.cards import Card
from reenact_jax.geometry import images
from reenact_jax.geometry import landmarks as lm

# InsightFace's places of five points in a chip of 112, (0, 0) the middle of the first pixel.
_ARCFACE = np.array([
    [38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
    [70.7299, 92.2041],
], np.float32)  # fmt: skip
_VGGFACE2 = np.array(
    [131.0912, 103.8827, 91.4953], np.float32
)  # mean of its training set, R G B, 0..255
_MARGIN = 0.3


def _arcface(image: Float[AnyArray, 'b h w 3'], points: Float[AnyArray, 'b 68 2']) -> Array:
    five = [points[:, 36:42].mean(1), points[:, 42:48].mean(1)]
    five = jnp.stack([*five, points[:, 30], points[:, 48], points[:, 54]], 1)
    target = jnp.broadcast_to(_ARCFACE + 0.5, five.shape)
    return images.affine_sample(image, lm.similarity(target, five), (112, 112))


def _vggface2(image: Float[AnyArray, 'b h w 3'], points: Float[AnyArray, 'b 68 2']) -> Array:
    centre, half = lm.box(points)
    corners = np.array([[-1, -1], [1, -1], [-1, 1]], np.float32)
    corners = jnp.broadcast_to(corners[None], (len(points), 3, 2))
    square = lm.denormalise(corners, centre, half * (1 + _MARGIN))
    chip = images.affine_sample(image, lm.similarity((corners + 1) * 112, square), (224, 224))
    return ((chip + 1) * 127.5 - _VGGFACE2[None, None, None])[..., ::-1]


def _inception(image: Float[AnyArray, 'b h w 3']) -> Array:
    shape = (len(image), 299, 299, 3)
    return jax.image.resize(image, shape, 'bilinear', antialias=False)


class Kind(NamedTuple):
    """A kind of network: what is said of it, and how its input is made."""

    measures: str
    name: str
    side: int
    prepare: Callable[..., Array]


KINDS = {
    'arcface': Kind('identity', 'ArcFace', 112, _arcface),
    'vggface2': Kind('identity', 'VGGFace2', 224, _vggface2),
    'inception': Kind('features', 'Inception, as in FID', 299, _inception),
}


class Brought:
    """A network from an ONNX file, from images (and points) to a vector each."""

    def __init__(self, kind: str, path: str):
        """Open the network.

        Args:
          kind: one of `KINDS`.
          path: the file.

        Raises:
          UserError: onnxruntime is not installed, or the file is missing, or no such network.
        """
        spec = KINDS[kind]
        self._where = f'--{spec.measures} {kind}={path}'
        if storage.size(path) is None:
            raise UserError(f'{self._where}: no such file')
        self._session = _session(storage.read(path), self._where)
        wanted = f'3, {spec.side}, {spec.side}'
        given = self._session.get_inputs()
        if len(given) != 1 or list(given[0].shape[1:]) != [3, spec.side, spec.side]:
            shapes = ', '.join(str(list(one.shape)) for one in given)
            raise UserError(f'{self._where}: takes {shapes}, expected one input [batch, {wanted}]')
        self._input, self._single = given[0].name, given[0].shape[0] == 1
        digest = storage.file_digest(path)
        self.card = Card(spec.measures, spec.name, path, 'of the file', digest)
        self._prepare = jax.jit(spec.prepare)

    def __call__(
        self, image: Float[AnyArray, 'b h w 3'], *points: Float[AnyArray, 'b 68 2']
    ) -> Float[np.ndarray, 'b _']:
        """Compute the vectors of images in [-1, 1]; identities take 68 points, pixels of them.

        Raises:
          UserError: the network gives something else than a vector of finite numbers an image.
        """
        chips = np.asarray(self._prepare(image, *points), np.float32).transpose(0, 3, 1, 2)
        parts = np.split(chips, len(chips)) if self._single else [chips]
        rows = [self._session.run(None, {self._input: part})[0] for part in parts]
        found = np.concatenate(rows).reshape(len(chips), -1)
        if not np.isfinite(found).all():
            raise UserError(f'{self._where}: gave numbers that are not finite')
        return found


def _session(data: bytes, where: str) -> Any:
    """Open a graph in onnxruntime."""
    try:
        onnxruntime = importlib.import_module('onnxruntime')
    except ImportError:
        raise UserError(f'{where}: needs onnxruntime (pip install onnxruntime)') from None
    try:
        return onnxruntime.InferenceSession(data, providers=['CPUExecutionProvider'])
    except Exception as error:  # onnxruntime has a class of its own for each fault
        raise UserError(f'{where}: not an ONNX graph that onnxruntime takes ({error})') from None
