"""Short results as animated WebP or GIF, which a README or a chat shows at once, without sound."""

from fractions import Fraction
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import credentials, timeline
from reenact_jax.media.writing import COMMENT, XMP

SUFFIXES = ('.webp', '.gif')
MOST_FRAMES = 500  # all are in memory until the last one is there
QUALITY = 75  # WebP's, 0 to 100
_GIF_MOST = Fraction(50)  # frames a second: browsers slow down what is quicker


class LoopWriter:
    """An animation that plays again and again, marked as synthetic; used as `VideoWriter`."""

    def __init__(
        self,
        path: epath.PathLike,
        rate: Fraction,
        signed: bool = True,
        promised: int = 0,
        variable: bool = False,
    ):
        """Take the settings of a loop; its file is written when the block ends.

        Args:
          path: ends in .webp or .gif.
          rate: frames/s; of a GIF at most 50.
          signed: whether to add content credentials, where that can be.
          promised: frames that will come, as far as that is known.
          variable: whether frames keep their times.

        Raises:
          UserError: more than `MOST_FRAMES` are promised.
        """
        self.path, self._pictures, self._signed = storage.path(path), [], signed
        self._is_gif = self.path.suffix.lower() == '.gif'
        self.rate = min(Fraction(rate), _GIF_MOST) if self._is_gif else Fraction(rate)
        self._asked, self._variable = Fraction(rate), variable
        self._ticks, self._ends = timeline.Ticks(self.rate), []
        self.frames = 0
        self._check(promised)

    def _check(self, frames: int) -> None:
        if frames > MOST_FRAMES:
            raise UserError(
                f'{self.path}: more than {MOST_FRAMES} frames are too many for a loop; name it .mp4'
            )

    def __enter__(self):
        return self

    def write(
        self,
        frame: UInt8[np.ndarray, 'h w 3'],
        begin: float | None = None,
        end: float | None = None,
    ) -> None:
        """Append a frame; times as `VideoWriter.write` takes them.

        Raises:
          UserError: it is one more than `MOST_FRAMES`.
        """
        self._check(len(self._pictures) + 1)
        self.frames += 1
        if begin is None or end is None:
            end = self.frames / float(self._asked)
        if self._variable:
            self._ends.append(end)
        elif shown := self._ticks.upto(end):
            before = self._ticks.given - shown
            self._ends.append((before + shown) / float(self.rate))
        else:
            return  # shown for less than half a tick
        self._pictures.append(Image.fromarray(frame))

    def __exit__(self, kind, error, trace):
        if kind is not None:
            return
        if not self._pictures:
            raise ValueError(f'{self.path}: no frames to write')
        # Whole ticks of the format, the error of one carried on to the next.
        tick = 10 if self._is_gif else 1  # milliseconds
        ends = [tick * round(1000 * end / tick) for end in self._ends]
        lengths = [max(int(x), tick) for x in np.diff([0, *ends])]
        first, *rest = self._pictures
        common: dict[str, Any] = dict(save_all=True, append_images=rest, duration=lengths, loop=0)
        with storage.drafting(self.path) as draft:
            if self._is_gif:
                first.save(draft, 'GIF', comment=COMMENT, disposal=1, **common)
            else:
                first.save(draft, 'WEBP', quality=QUALITY, method=6, xmp=XMP.encode(), **common)
            if self._signed:
                credentials.sign(draft)
