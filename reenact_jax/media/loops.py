"""Short results as animated WebP, which a README or a chat shows at once, without sound."""

from fractions import Fraction

import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import credentials
from reenact_jax.media.writing import XMP

MOST_FRAMES = 500  # all are in memory until the last one is there
QUALITY = 75  # WebP's, 0 to 100


class LoopWriter:
    """An animated WebP that plays again and again, marked as synthetic; used as `VideoWriter`."""

    def __init__(
        self, path: epath.PathLike, rate: Fraction, signed: bool = True, promised: int = 0
    ):
        """Take the settings of a loop; its file is written when the block ends.

        Args:
          path: ends in .webp.
          rate: frames/s.
          signed: whether to add content credentials, where that can be.
          promised: frames that will come, as far as that is known.

        Raises:
          UserError: more than `MOST_FRAMES` are promised.
        """
        self.path, self.rate, self.frames = storage.path(path), Fraction(rate), 0
        self._pictures, self._signed = [], signed
        self._check(promised)

    def _check(self, frames: int) -> None:
        if frames > MOST_FRAMES:
            raise UserError(
                f'{self.path}: more than {MOST_FRAMES} frames are too many for a loop; name it .mp4'
            )

    def __enter__(self):
        return self

    def write(self, frame: UInt8[np.ndarray, 'h w 3']) -> None:
        """Append a frame.

        Raises:
          UserError: it is one more than `MOST_FRAMES`.
        """
        self._check(self.frames + 1)
        self._pictures.append(Image.fromarray(frame))
        self.frames += 1

    def __exit__(self, kind, error, trace):
        if kind is not None:
            return
        if not self.frames:
            raise ValueError(f'{self.path}: no frames to write')
        # Whole milliseconds, the error of one carried on to the next.
        ends = [round(1000 * (i + 1) / self.rate) for i in range(self.frames)]
        lengths = [int(x) for x in np.diff([0, *ends])]
        first, *rest = self._pictures
        with storage.drafting(self.path) as draft:
            first.save(draft, 'WEBP', save_all=True, append_images=rest, duration=lengths,
                       loop=0, quality=QUALITY, method=6, xmp=XMP.encode())  # fmt: skip
            if self._signed:
                credentials.sign(draft)
