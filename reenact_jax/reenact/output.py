"""Where a result goes: its file, how it is marked, and its contact sheet."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import UInt8

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import loops, sheets, watermark, writing
from reenact_jax.media import sound as sounds
from reenact_jax.media.sound import Track
from reenact_jax.reenact.pipeline import Ahead, serial

VIDEOS = ('.mp4', '.mov', '.webm', *loops.SUFFIXES)
STILLS = ('.png', '.jpg', '.jpeg')
NO_SOUND = 'none'
Shown = tuple[UInt8[np.ndarray, 'h w 3'], float, float]  # a frame, its begin and end in seconds
Write = Callable[[UInt8[np.ndarray, 'h w 3'], float, float], None]


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a result goes, and what goes with it.

    Attributes:
      path: .mp4, .mov or .webm; .webp or .gif for a short loop; .png or .jpg for a single frame or
        a strip.
      sheet: file of the contact sheet; None: no sheet.
      rows: how many frames the sheet shows, evenly spread in time.
      side_by_side: every frame shows source, driver and result; the driver has to bring the picture
        of every frame.
      save_motion: file of the driver's motion (motion.py), smoothed and with changed units if these
        are asked for; None: no such file.
      mark: whether the pixels carry the invisible mark (watermark.py), those of the sheet too.
      signed: whether content credentials (credentials.py) are added, to the sheet too.
      rate: frames a second of a video, exact; None: the driver's frames, with their times.
      sound: a file whose sound goes with a video; 'none': no sound; None: the driver's.
    """

    path: str
    sheet: str | None = None
    rows: int = 6
    side_by_side: bool = False
    save_motion: str | None = None
    mark: bool = True
    signed: bool = True
    rate: Fraction | None = None
    sound: str | None = None

    @property
    def is_video(self) -> bool:
        """Whether the result is a video.

        Raises:
          UserError: the suffix of its file is neither a video's nor a still's.
        """
        suffix = storage.path(self.path).suffix.lower()
        if suffix not in (*VIDEOS, *STILLS):
            raise UserError(
                f'--out {self.path}: name it .mp4 (.mov, .webm), .webp or .gif for a short loop, '
                '.png or .jpg when the driver is a still'
            )
        return suffix in VIDEOS

    def save(
        self,
        frames: Iterable[Shown],
        rate: Fraction,
        count: int,
        sound: Track | None = None,
        variable: bool = False,
        ahead: Ahead = serial,
    ) -> None:
        """Mark the frames and write them; if one cannot be made, there is no file.

        Args:
          frames: in order.
          rate: frames a second; the mean where frames are not even.
          count: how many frames there will be.
          sound: what goes with a video, as far as nothing else is asked for.
          variable: whether the frames are not even, and keep their times.
          ahead: what reads streams ahead: frames are made while those before are encoded.
        """
        if self.sound:
            sound = None if self.sound == NO_SOUND else Track(self.sound)
        variable = variable and self.rate is None
        count = count if self.rate is None else round(count * self.rate / rate)
        with self._writer(self.rate or rate, count, sound, variable) as write:
            for frame, begin, end in ahead(self._marked(frames)):
                write(frame, begin, end)

    def _marked(self, frames: Iterable[Shown]) -> Iterator[Shown]:
        for frame, begin, end in frames:
            yield watermark.embed(frame) if self.mark else frame, begin, end

    @contextlib.contextmanager
    def _writer(
        self, rate: Fraction, count: int, sound: Track | None, variable: bool
    ) -> Iterator[Write]:
        if self.path.lower().endswith(loops.SUFFIXES):
            with loops.LoopWriter(self.path, rate, self.signed, count, variable) as loop:
                yield loop.write
        elif self.is_video:
            settings: dict = dict(sound=sound, signed=self.signed, variable=variable)
            with writing.VideoWriter(self.path, rate, **settings) as video:
                yield video.write
        else:
            yield lambda image, *_: writing.write_still(self.path, image, signed=self.signed)

    def check(self, overwrite: bool = True) -> None:
        """Try everything that is written, before work begins.

        Args:
          overwrite: whether files that are there are replaced.

        Raises:
          UserError: a suffix is wrong, a file is there or cannot be written, or the file of the
            sound has none.
        """
        is_video = self.is_video
        named = {'--out': self.path, '--sheet': self.sheet, '--save-motion': self.save_motion}
        for flag, name in named.items():
            if name and not overwrite and storage.exists(storage.path(name)):
                raise UserError(f'{flag} {name}: is there already; --overwrite replaces it')
            if name:
                storage.try_out(name, flag)
        if self.sound not in (None, NO_SOUND):
            if not is_video or self.path.lower().endswith(loops.SUFFIXES):
                raise UserError(f'--sound: {self.path} takes no sound; name it .mp4, .mov or .webm')
            sounds.check(self.sound)

    def write_sheet(
        self, rows: Mapping[float, Sequence[UInt8[np.ndarray, '_ _ 3'] | None]]
    ) -> None:
        """Write the contact sheet, if there is to be one.

        Args:
          rows: time of a frame, seconds -> the pictures of its row.
        """
        if self.sheet:
            picture = sheets.sheet(list(rows.values()), list(rows))
            picture = watermark.embed(picture) if self.mark else picture
            writing.write_still(self.sheet, picture, signed=self.signed)
