"""Videos, stills and folders of stills as RGB frames as they are seen, each with its time.

Decoders go on after an error and end early without a word, so `Reader` counts: packets that did not
decode, frames the decoder marked as damaged; it looks whether the file was cut short (whole.py),
and whether the pictures end before their packets do (`Reader.fault`). Memory does not grow with the
length of a video. Videos need PyAV (extra `[video]`); Pillow reads stills and animations.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from etils import epath
from jaxtyping import UInt8

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import animations, colours, containers, geometry, kinds, timeline, whole
from reenact_jax.media import stills as still_files
from reenact_jax.media.containers import pyav
from reenact_jax.media.kinds import STILL_SUFFIXES, VIDEO_SUFFIXES, kind, natural
from reenact_jax.media.stills import read as read_still

__all__ = [
    'FOLDER_RATE', 'STILL_SUFFIXES', 'VIDEO_SUFFIXES', 'Probe', 'Reader', 'TimedFrame', 'kind',
    'natural', 'probe', 'pyav', 'read_still', 'stills',
]  # fmt: skip
FOLDER_RATE = timeline.DEFAULT  # a folder of stills says nothing of its rate


class Probe(NamedTuple):
    """Headers of a file."""

    kind: str  # 'video', 'still' or 'folder' (of stills, in natural order)
    frames: int  # frames promised; for containers that do not count them: duration x rate
    counted: bool  # whether the container (or the folder) counts its frames
    rate: Fraction | None  # frames a second, the mean if they are not even; None for a still
    width: int  # as shown
    height: int
    duration: float  # seconds; 0 for a still


class TimedFrame(NamedTuple):
    """A frame and when it is on the screen, seconds on the file's clock."""

    image: UInt8[np.ndarray, 'h w 3']
    begin: float
    end: float


def stills(folder: epath.PathLike) -> list[epath.Path]:
    """List the stills of a folder in natural order (frame2 before frame10).

    Raises:
      UserError: it has none.
    """
    return kinds.sorted_out(folder)[0]


def probe(path: epath.PathLike) -> Probe:
    """Read the headers of a video, still or folder of stills; no frames but the first is decoded.

    Raises:
      UserError: the file is missing, unreadable or its frames are too large.
    """
    if storage.is_dir(storage.path(path)):
        files = stills(path)
        seconds = float(len(files) / FOLDER_RATE)
        return Probe('folder', len(files), True, FOLDER_RATE, *still_files.size(files[0]), seconds)
    found = kinds.required(path)
    if found.kind == 'still':
        return Probe('still', 1, True, None, *still_files.size(path), 0.0)
    if found.kind == 'animation':
        head, times = animations.header(path), animations.times(path)
        return Probe('video', head.frames, True, times.mean, head.width, head.height, times.end)
    with containers.opened(path) as container:
        return _probe_video(path, container)


def _probe_video(path, container) -> Probe:
    stream = containers.film(path, container)
    containers.check_header(path, container, stream)
    first = next(_first_frame(container, stream), None)
    layout = None if first is None else geometry.layout(first, stream)
    width, height = layout.shown if layout else (stream.width, stream.height)
    containers.check_pixels(path, width, height)
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    if stream.duration:
        seconds = float(stream.duration * stream.time_base)
    else:
        seconds = (container.duration or 0) / 1_000_000
    if not rate or not (stream.frames or seconds):  # as browsers record: nothing is known
        film = containers.clock(path).film
        return Probe('video', len(film.times), False, film.mean, width, height, film.end)
    frames = stream.frames or round(seconds * rate)
    seconds = max(seconds, float(stream.frames / rate))  # headers may contradict each other
    return Probe('video', frames, stream.frames > 0, Fraction(rate), width, height, seconds)


def _first_frame(container, stream) -> Iterator[Any]:
    try:
        yield from container.decode(stream)
    except pyav().FFmpegError:
        return


class Reader:
    """Frames of a video, still or folder, one after another; iterate once.

        reader = Reader('driver.mp4')
        for frame in reader:      # uint8 RGB [h, w, 3], as it is seen
            ...
        fault = reader.fault()    # None, or what is broken

    `frames` gives their times, too.

    Attributes:
      probe: the headers, with the frames that there are.
      timeline: the times of the frames, seconds from where picture or sound begins.
      zero: that place on the clock of the container, seconds.
      unused: files of a folder that are no stills, each with the reason.
      given: frames read so far.
      errors: packets that did not decode and frames marked as damaged, so far.
    """

    def __init__(self, path: epath.PathLike, rate: Fraction | None = None):
        """Read the headers and the times of all frames.

        Args:
          path: the file or folder.
          rate: frames a second of a folder of stills; None: `FOLDER_RATE`.
        """
        self.path, self.unused = storage.path(path), {}
        self.probe = probe(path)
        self._promised = self.probe.frames if self.probe.counted else 0
        self.zero, self._ordered, self._files = Fraction(0), False, [self.path]
        self._format = None if self.probe.kind == 'folder' else kinds.required(path)
        self.timeline = self._times(rate or FOLDER_RATE)
        self.given = self.errors = 0
        self._end, self._over = 0.0, False

    def _times(self, rate: Fraction) -> timeline.Timeline:
        if self.probe.kind == 'still':
            return timeline.even(1, rate)
        if self.probe.kind == 'folder':
            self._files, self.unused = kinds.sorted_out(self.path)
            times = timeline.even(len(self._files), rate)
        elif self._format and self._format.kind == 'animation':
            times = animations.times(self.path)
        else:
            self.zero, times, self._ordered = containers.clock(self.path)
        counted = dict(frames=len(times.times), rate=times.mean, duration=times.end)
        self.probe = self.probe._replace(**counted)
        return times

    def __iter__(self) -> Iterator[UInt8[np.ndarray, 'h w 3']]:
        for shown in self.frames():
            yield shown.image

    def frames(self) -> Iterator[TimedFrame]:
        """Give the frames with their times, in order."""
        for image, begin, end in timeline.ends(self._frames(), self.timeline.end):
            self.given += 1
            self._end = end
            yield TimedFrame(image, begin, end)
        self._over = True

    def _frames(self) -> Iterator[tuple[np.ndarray, float]]:
        if self.probe.kind != 'video':
            return self._stills()
        if self._format and self._format.kind == 'animation':
            return animations.frames(self.path)
        return self._video()

    def fault(self) -> str | None:
        """Say what was wrong, once all frames have been read; None when the file is whole."""
        if not self._over:
            raise RuntimeError('fault() is known only after the last frame')
        if self.errors:
            return f'{self.errors} damaged packets or frames ({self.given} frames read)'
        cut = None
        if self._format and self.probe.kind == 'video':
            cut = whole.cut_short(storage.local(self.path), self._format.name)
        if cut and self.given < self._promised:
            return f'truncated: {self.given} of {self._promised} frames could be read'
        if cut:
            return f'truncated: {cut} ({self.given} frames read)'
        if not self.given:
            return 'no frames'
        late = self.timeline.end - self._end
        if late > 1.5 / float(self.timeline.mean):
            return f'pictures end at {self._end:.2f} s of {self.timeline.end:.2f} s'
        return None

    def _stills(self) -> Iterator[tuple[np.ndarray, float]]:
        for file, begin in zip(self._files, self.timeline.times, strict=True):
            frame = read_still(file)
            if frame.shape[:2] != (self.probe.height, self.probe.width):
                raise UserError(
                    f'{file}: {frame.shape[1]} x {frame.shape[0]} pixels, but the first still of '
                    f'the folder has {self.probe.width} x {self.probe.height}'
                )
            yield frame, float(begin)

    def _video(self) -> Iterator[tuple[np.ndarray, float]]:
        with containers.opened(self.path) as container:
            stream = containers.film(self.path, container)
            containers.check_header(self.path, container, stream)
            stream.thread_type = 'AUTO'
            convert, layout = colours.Converter(), None
            for number, frame in enumerate(self._decoded(container, stream)):
                self.errors += bool(frame.is_corrupt)
                layout = layout or geometry.layout(frame, stream)
                yield layout.apply(convert(frame, *layout.stored)), self._begin(frame, number)

    def _begin(self, frame, number: int) -> float:
        """Return when a frame begins, on the grid if frames are even."""
        times, rate = self.timeline.times, self.timeline.rate
        if self._ordered or frame.pts is None or not len(times):
            return float(times[min(number, len(times) - 1)]) if len(times) else 0.0
        time = float(frame.pts * frame.time_base - self.zero)
        if rate:
            time = float(times[0]) + round((time - float(times[0])) * rate) / float(rate)
        return time

    def _decoded(self, container, stream) -> Iterator[Any]:
        """Decode packet after packet, counting those that fail."""
        av = pyav()
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:  # the container itself breaks off
                self.errors += 1
                return
            try:
                yield from packet.decode()
            except av.FFmpegError:
                self.errors += 1
