"""The part of a video in which one person is labelled: from when to when, and where the face is."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from reenact_jax.faces.detect import Detected
from reenact_jax.faces.windows import area
from reenact_jax.media.reading import Reader, TimedFrame


class Part(NamedTuple):
    """A stretch of a video and the boxes of one face in it. `WHOLE` is everything."""

    begin: float = 0.0  # seconds on the file's clock
    end: float = math.inf
    # (seconds, x0, y0, x1, y1) in order of time; between two of them the box moves evenly.
    boxes: tuple[tuple[float, float, float, float, float], ...] = ()
    # Width and height of the picture in which the boxes are measured; width 0: as high, so wide.
    size: tuple[float, float] = (0.0, 0.0)
    rate: Fraction | None = None  # frames a second of a folder of stills; None: `FOLDER_RATE`

    def frames(self, reader: Reader) -> Iterator[tuple[int, TimedFrame]]:
        """Yield the frames of the part with their numbers in the file; those before are decoded."""
        for number, frame in enumerate(reader.frames()):
            if frame.begin >= self.end:
                return
            if frame.begin >= self.begin:
                yield number, frame

    def fault(self, reader: Reader, count: int) -> str | None:
        """Say what was wrong, once the frames of the part have been read; None: nothing.

        Args:
          reader: what they were read from.
          count: how many there were.
        """
        if math.isinf(self.end):
            return reader.fault()
        if reader.errors:
            return f'{reader.errors} damaged packets or frames ({reader.given} frames read)'
        if not count:
            span = f'{self.begin:.2f} to {self.end:.2f} s'
            return f'no frames from {span}; the video ends at {reader.timeline.end:.2f} s'
        return None

    def chosen(
        self, faces: Sequence[Detected], time: float, width: int, height: int
    ) -> list[Detected]:
        """Choose the face that is labelled: the largest whose middle lies in the box.

        Args:
          faces: those of a frame.
          time: seconds at which it is shown.
          width: of the frame, pixels.
          height: likewise.

        Returns:
          That face or nothing; without boxes all faces.
        """
        if not self.boxes:
            return list(faces)
        times, *sides = np.array(self.boxes, np.float64).T
        scale_y = height / self.size[1]
        scale_x = width / self.size[0] if self.size[0] else scale_y
        x0, y0, x1, y1 = (float(np.interp(time, times, side)) for side in sides)

        def inside(face: Detected) -> bool:
            x, y = ((face.box[:2] + face.box[2:]) / 2).tolist()
            return x0 * scale_x <= x <= x1 * scale_x and y0 * scale_y <= y <= y1 * scale_y

        within = [face for face in faces if inside(face)]
        return [max(within, key=lambda face: area(face.box))] if within else []


WHOLE = Part()
