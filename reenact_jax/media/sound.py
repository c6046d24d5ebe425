"""A sound for a result: packets as they are where the container takes them, else encoded anew."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from etils import epath

from reenact_jax.common.errors import UserError
from reenact_jax.media import containers, kinds

# Container -> (codecs that it holds, codec of what it does not).
_MP4 = ('aac', 'mp3', 'ac3', 'eac3', 'opus', 'flac', 'alac')
CODECS = {'mp4': (_MP4, 'aac'), 'mov': (('aac', 'mp3', 'ac3', 'eac3', 'alac'), 'aac'),
          'webm': (('opus', 'vorbis'), 'libopus')}  # fmt: skip
_OPUS_RATE = 48_000


class Track(NamedTuple):
    """A sound: a file, and where its clock is nought."""

    path: str
    zero: Fraction | None = None  # seconds on the file's clock; None: where the sound begins


class Sound:
    """The default audio stream of a file, for one output container.

    `until(seconds)` gives the packets up to a time, in order, so that a video writer can mix them
    in as it goes and memory stays flat.
    """

    def __init__(self, track: Track, container: Any, name: str = 'mp4'):
        """Add a stream to an output container.

        Args:
          track: the sound.
          container: PyAV's, open, before its first packet.
          name: key of `CODECS`.
        """
        kept, codec = CODECS[name]
        self._input = containers.sounding(track.path)
        self._source = containers.sound(self._input)
        if self._source is None:
            self._input.close()
            raise UserError(f'{track.path}: it has no sound')
        begin = (self._source.start_time or 0) * Fraction(self._source.time_base)
        self._zero = begin if track.zero is None else track.zero
        self._copied = self._source.codec_context.name in kept
        if self._copied:
            self._stream = container.add_stream_from_template(self._source)
        else:
            rate = _OPUS_RATE if codec == 'libopus' else self._source.codec_context.sample_rate
            layout = 'mono' if self._source.codec_context.channels == 1 else 'stereo'
            self._stream = container.add_stream(codec, rate=rate, layout=layout)
        self._packets, self._next = self._made(), None

    def until(self, seconds: Fraction | float) -> Iterator:
        """Give the packets that begin before a time and have not been given."""
        while True:
            packet = self._next if self._next is not None else next(self._packets, None)
            self._next = packet
            if packet is None or packet.pts * packet.time_base >= seconds:
                return
            self._next = None
            yield packet

    def close(self) -> None:
        """Close the file."""
        self._input.close()

    def _made(self) -> Iterator:
        if self._copied:
            off = round(self._zero / Fraction(self._source.time_base))
            for packet in containers.packets(self._input, self._source):
                if packet.dts is not None and packet.pts is not None:  # not the end's empty one
                    packet.pts, packet.dts = packet.pts - off, packet.dts - off
                    packet.stream = self._stream
                    yield packet
            return
        for frame in self._decoded():
            if frame.pts is not None and frame.time_base:
                frame.pts -= round(self._zero / Fraction(frame.time_base))
            yield from self._stream.encode(frame)
        yield from self._stream.encode(None)

    def _decoded(self) -> Iterator:
        """Decode up to the end; what does not decode is left out."""
        for packet in containers.packets(self._input, self._source):
            try:
                yield from packet.decode()
            except containers.pyav().FFmpegError:
                continue


def has_sound(path: epath.PathLike) -> bool:
    """Tell whether a file has an audio stream.

    Raises:
      UserError: the file cannot be read.
    """
    if kinds.tell_sound(path) is None:
        return False
    with containers.sounding(path) as file:
        return containers.sound(file) is not None


def check(path: epath.PathLike) -> None:
    """Refuse a file without sound.

    Raises:
      UserError: it is missing, cannot be read or has none.
    """
    if not has_sound(path):
        raise UserError(f'--sound {path}: it has no sound')
