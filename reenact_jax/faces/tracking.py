"""Tracking: detections of one face over time, the end of a track, the stretches for records."""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from reenact_jax.faces.detect import Detected
from reenact_jax.faces.windows import overlap


class Sighting(NamedTuple):
    """A face in a frame."""

    frame: int  # number in the file
    face: Detected
    time: float = 0.0  # seconds


class Stretch(NamedTuple):
    """A part of a face's track that becomes one record."""

    track: int  # number in the file, by its first frame
    part: int  # number in the track
    sightings: list[Sighting]

    @property
    def name(self) -> str:
        return f'{self.track}.{self.part}'


@dataclasses.dataclass
class _Open:
    track: int
    last: Sighting
    part: int = 0
    sightings: list[Sighting] = dataclasses.field(default_factory=list)

    def add(self, sighting: Sighting, kept: bool) -> None:
        self.last = sighting
        if kept:
            self.sightings.append(sighting)


class Tracker:
    """A tracker that joins detections of successive frames greedily by the overlap of their boxes.

    A face continues a track if its box overlaps the last one by `overlap` or more, or, after
    a quick move, if its centre is less than half a box away and its size within a factor of 1.5. A
    cut ends all tracks; a track also ends if it has no face for more than `gap` seconds.
    """

    def __init__(
        self, longest: float = math.inf, gap: float = 0.5, overlap: float = 0.3, kept: bool = True
    ):
        """Start without tracks.

        Args:
          longest: seconds from first to last in a stretch.
          gap: most seconds without the face.
          overlap: least overlap of boxes, 0 to 1.
          kept: whether sightings are kept for stretches.
        """
        self._longest, self._gap, self._overlap, self._kept = longest, gap, overlap, kept
        self._open: list[_Open] = []
        self.tracks = 0

    def boxes(self) -> list[Float[np.ndarray, ' 4']]:
        """List the boxes where the faces of the open tracks were last seen."""
        return [item.last.face.box for item in self._open]

    def update(
        self, frame: int, faces: Sequence[Detected], time: float, cut: bool = False
    ) -> list[Stretch]:
        """Take the faces of a frame.

        Args:
          frame: its number in the file.
          faces: the detections.
          time: seconds at which it is shown.
          cut: whether there was a cut since the last frame.

        Returns:
          The stretches that ended.
        """
        ended = self.finish() if cut else []
        lost = [o for o in self._open if time - o.last.time > self._gap + 1e-6]
        ended += [self._close(item) for item in lost]
        pairs = [
            (likeness, i, j)
            for i, item in enumerate(self._open)
            for j, face in enumerate(faces)
            if (likeness := self._likeness(item.last.face.box, face.box)) > 0
        ]
        tracks_left, faces_left = set(range(len(self._open))), set(range(len(faces)))
        for _, i, j in sorted(pairs, reverse=True):
            if i in tracks_left and j in faces_left:
                tracks_left.remove(i)
                faces_left.remove(j)
                self._open[i].add(Sighting(frame, faces[j], time), self._kept)
        for j in sorted(faces_left):
            sighting = Sighting(frame, faces[j], time)
            self._open.append(_Open(self.tracks, sighting))
            self._open[-1].add(sighting, self._kept)
            self.tracks += 1
        for item in self._open:
            if item.sightings and time - item.sightings[0].time >= self._longest - 1e-6:
                ended.append(Stretch(item.track, item.part, item.sightings))
                item.part, item.sightings = item.part + 1, []
        return [stretch for stretch in ended if stretch.sightings]

    def seen(self, frame: int) -> dict[int, Detected]:
        """Return the faces of the frame that was taken last, by the numbers of their tracks."""
        return {o.track: o.last.face for o in self._open if o.last.frame == frame}

    def finish(self) -> list[Stretch]:
        """End all tracks and return their stretches."""
        ended = [self._close(item) for item in list(self._open)]
        return [stretch for stretch in ended if stretch.sightings]

    def _close(self, item: _Open) -> Stretch:
        self._open.remove(item)
        return Stretch(item.track, item.part, item.sightings)

    def _likeness(self, a, b) -> float:
        shared = overlap(a, b)
        if shared >= self._overlap:
            return 1 + shared
        size_a, size_b = max(a[2:] - a[:2]), max(b[2:] - b[:2])
        distance = np.hypot(*((a[:2] + a[2:] - b[:2] - b[2:]) / 2)) / max(size_a, size_b)
        alike = distance < 0.5 and 2 / 3 < size_a / size_b < 3 / 2
        return 1 - distance if alike else 0.0


class CutFinder:
    """A finder of cuts by colour: the histograms (8 levels a channel) of successive frames differ.

    Within a shot successive frames of 26 development clips share 0.84 of their colours or more; a
    cut between two random clips leaves 0.26 (median).
    """

    def __init__(self, least: float = 0.75):
        """Start before the first frame.

        Args:
          least: share of colours that frames of one shot have in common, 0 to 1.
        """
        self._least, self._last = least, None

    def __call__(self, image: UInt8[np.ndarray, 'h w 3']) -> bool:
        """Tell whether this frame begins a new shot."""
        small = Image.fromarray(image).resize((48, 48), Image.Resampling.BOX, reducing_gap=2)
        levels = np.asarray(small).astype(np.int32) // 32
        colour = levels[..., 0] * 64 + levels[..., 1] * 8 + levels[..., 2]
        histogram = np.bincount(colour.ravel(), minlength=512) / colour.size
        last, self._last = self._last, histogram
        return last is not None and float(np.minimum(last, histogram).sum()) < self._least


def sample(sightings: Sequence[Sighting], frames: int) -> list[Sighting]:
    """Choose at most `frames` of the sightings, evenly spread."""
    count = min(frames, len(sightings))
    return [sightings[i] for i in np.linspace(0, len(sightings) - 1, count).round().astype(int)]
