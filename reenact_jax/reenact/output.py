"""Where a result goes: its file, how it is marked, and its contact sheet."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import UInt8

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import loops, sheets, watermark, writing

VIDEOS = ('.mp4', '.webp')
STILLS = ('.png', '.jpg', '.jpeg')


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a result goes, and what goes with it.

    Attributes:
      path: .mp4, .webp for a short loop, .png or .jpg for a single frame or a strip.
      sheet: file of the contact sheet; None: no sheet.
      rows: how many frames the sheet shows.
      side_by_side: every frame shows source, driver and result; the driver has to bring the picture
        of every frame.
      save_motion: file of the driver's motion (motion.py), smoothed and with changed units if these
        are asked for; None: no such file.
      mark: whether the pixels carry the invisible mark (watermark.py).
      signed: whether content credentials (credentials.py) are added, to the sheet too.
    """

    path: str
    sheet: str | None = None
    rows: int = 6
    side_by_side: bool = False
    save_motion: str | None = None
    mark: bool = True
    signed: bool = True

    @property
    def is_video(self) -> bool:
        """Whether the result is a video.

        Raises:
          UserError: the suffix of its file is neither a video's nor a still's.
        """
        suffix = storage.path(self.path).suffix.lower()
        if suffix not in (*VIDEOS, *STILLS):
            raise UserError(
                f'--out {self.path}: name it .mp4, .webp for a short loop, .png or .jpg when the '
                'driver is a still'
            )
        return suffix in VIDEOS

    @contextlib.contextmanager
    def open(
        self, rate: Fraction, count: int, sound: str | None = None
    ) -> Iterator[Callable[[UInt8[np.ndarray, 'h w 3']], None]]:
        """Open a function that takes the frames in order.

        Args:
          rate: frames a second.
          count: how many frames there will be.
          sound: a file whose sound goes with an .mp4.
        """
        with self._writer(rate, count, sound) as write:
            yield lambda frame: write(watermark.embed(frame) if self.mark else frame)

    @contextlib.contextmanager
    def _writer(self, rate: Fraction, count: int, sound: str | None):
        if self.path.lower().endswith('.webp'):
            with loops.LoopWriter(self.path, rate, self.signed, count) as loop:
                yield loop.write
        elif self.is_video:
            with writing.VideoWriter(self.path, rate, sound=sound, signed=self.signed) as video:
                yield video.write
        else:
            yield lambda image: writing.write_still(self.path, image, signed=self.signed)

    def write_sheet(self, rows: Mapping[int, Sequence[UInt8[np.ndarray, '_ _ 3'] | None]]) -> None:
        """Write the contact sheet, if there is to be one.

        Args:
          rows: number of a frame -> the pictures of its row.
        """
        if self.sheet:
            picture = sheets.sheet(list(rows.values()), list(rows))
            writing.write_still(self.sheet, picture, signed=self.signed)
