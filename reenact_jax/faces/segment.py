"""Masks of heads by MediaPipe's ImageSegmenter, with a model file that the user names.

It needs the extra `[video]`. The official model that knows hair is selfie_multiclass (Apache-2.0,
16,371,837 bytes, sha256 c6748b1253a99067ef71f7e26ca71096cd449baefa8f101900ea23016507e0e0):
https://storage.googleapis.com/mediapipe-models/image_segmenter/selfie_multiclass_256x256/float32/1/selfie_multiclass_256x256.tflite
"""

import functools
import weakref
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import BACKGROUND, FACE, HAIR, UNKNOWN
from reenact_jax.faces import runtime

NAMES = {'background': BACKGROUND, 'face': FACE, 'hair': HAIR, 'unknown': UNKNOWN}
# selfie_multiclass: background, hair, skin of the body, skin of the face, clothes, other things
# worn. Ears and neck are skin of the body, so that counts as face; what is worn (glasses, hats)
# may lie on the face or not.
SELFIE = '0=background,1=hair,2=face,3=face,4=background,5=unknown'


class Segmenter:
    """A classifier of an image's pixels; `segmenter` makes one."""

    def __init__(self, model: str, classes: str):
        """Open the model.

        Args:
          model: a .tflite file.
          classes: the model's categories, as `table` takes them.

        Raises:
          UserError: the file is missing or no such model, or a class is unknown.
        """
        self._table = table(classes)
        if not Path(model).is_file():
            raise UserError(f'--segmenter {model}: no such file; see reenact_jax/faces/segment.py')
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.ImageSegmenterOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            output_category_mask=True,
            output_confidence_masks=False,
        )
        try:
            with runtime.quiet():
                task = vision.ImageSegmenter.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise UserError(f'--segmenter {model}: not an image segmenter: {error}') from None
        self._segment = task.segment
        self._finalise = weakref.finalize(self, runtime.close, {'task': task})

    def __call__(self, image: UInt8[np.ndarray, 'h w 3']) -> UInt8[np.ndarray, 'h w']:
        """Classify the pixels of an RGB image, by the classes of tracks.py."""
        mp = runtime.mediapipe()
        result = self._segment(mp.Image(mp.ImageFormat.SRGB, np.ascontiguousarray(image)))
        return self._table[np.asarray(result.category_mask.numpy_view()).reshape(image.shape[:2])]


@functools.lru_cache(1)
def segmenter(model: str, classes: str) -> Segmenter | None:
    """Return the process's one segmenter for these arguments; None without a model."""
    return Segmenter(model, classes) if model else None


def table(classes: str) -> UInt8[np.ndarray, ' 256']:
    """Read a table, category number -> class, from a text such as `SELFIE`.

    Categories that the text leaves out are unknown.

    Raises:
      UserError: the text has another form, or a name that is not in `NAMES`.
    """
    categories = np.full(256, UNKNOWN, np.uint8)
    for pair in classes.split(','):
        number, _, name = pair.strip().partition('=')
        if name not in NAMES or not number.isdecimal() or int(number) > 255:
            raise UserError(
                f'--segmenter-classes {classes}: {pair!r} is no category (0 to 255) = '
                f'{" | ".join(NAMES)}'
            )
        categories[int(number)] = NAMES[name]
    return categories
