"""A driver's sound for a result: packets as they are where MP4 takes them, else as AAC."""

from collections.abc import Iterator
from fractions import Fraction

from etils import epath

from reenact_jax.common import storage
from reenact_jax.media.reading import pyav

COPIED = ('aac', 'mp3', 'ac3', 'eac3', 'opus', 'flac', 'alac')  # codecs that MP4 holds


class Sound:
    """The first audio stream of a file, for one output container.

    `until(seconds)` gives the packets up to a time, in order, so that a video writer can mix them
    in as it goes and memory stays flat.
    """

    def __init__(self, path: epath.PathLike, container):
        """Add a stream to an output container.

        Args:
          path: the file with the sound.
          container: PyAV's, open, before its first packet.
        """
        self._input = pyav().open(str(storage.local(path)))
        self._source = self._input.streams.audio[0]
        self._copied = self._source.codec_context.name in COPIED
        if self._copied:
            self._stream = container.add_stream_from_template(self._source)
        else:
            self._stream = container.add_stream('aac', rate=self._source.codec_context.sample_rate)
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
            for packet in self._input.demux(self._source):
                if packet.dts is not None and packet.pts is not None:  # not the end's empty one
                    packet.stream = self._stream
                    yield packet
            return
        for frame in self._input.decode(self._source):
            yield from self._stream.encode(frame)
        yield from self._stream.encode(None)


def has_sound(path: epath.PathLike) -> bool:
    """Tell whether a file has an audio stream."""
    with pyav().open(str(storage.local(path))) as file:
        return bool(file.streams.audio)
