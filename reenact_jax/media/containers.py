"""Videos as FFmpeg opens them: the film and the sound in a file, and when each frame is shown."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import kinds, timeline
from reenact_jax.media.timeline import Timeline

MAX_PIXELS = 80_000_000  # in one frame: a header of 100 KB may promise gigabytes of pixels
MAX_SECONDS = 4 * 3600  # in a video
# No film: a cover, a still of a photo, thumbnails.
_NO_FILM = ('attached_pic', 'timed_thumbnails', 'still_image')
_PICTURES = ('mjpeg', 'png', 'bmp', 'gif', 'webp', 'tiff')  # codecs of covers that are not marked
_BARE = ('mpegvideo', 'h264', 'hevc', 'mjpeg')  # no container: what it says of times is a guess
_SWAPPED = ('h264', 'hevc')  # codecs whose frames AVI gives the times of others


def pyav():
    """Import PyAV when it is first needed.

    Raises:
      UserError: it is missing; the message names the extra.
    """
    try:
        import av
    except ImportError:
        raise UserError(
            'reading and writing videos needs PyAV: pip install "reenact_jax[video]"'
        ) from None
    return av


def address(path: epath.PathLike) -> str:
    """Name a local file for FFmpeg, which takes what precedes a colon for a protocol."""
    return f'file:{storage.absolute(storage.local(path))}'


def opened(path: epath.PathLike) -> Any:
    """Open a container as what its content is.

    Raises:
      UserError: the file cannot be read or is no video.
    """
    av = pyav()
    found = kinds.tell(path)
    if found is None or found.kind == 'still':
        raise UserError(
            f'{path}: not a readable video (its content is none of MP4, MOV, Matroska, WebM, AVI, '
            'MPEG, TS, FLV, WMV, Ogg, MXF, GIF, whatever its name says)'
        )
    return _open(av, path, found.name)


def _open(av, path, name: str) -> Any:
    try:
        return av.open(address(path), format=name, options={'protocol_whitelist': 'file'})
    except (av.FFmpegError, OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'{path}: not a readable video ({reason})') from None


def sounding(path: epath.PathLike) -> Any:
    """Open any file that has sound, also one without pictures.

    Raises:
      UserError: it cannot be read.
    """
    name = kinds.tell_sound(path)
    if name is None:
        raise UserError(f'{path}: no sound that can be read')
    return _open(pyav(), path, name)


def film(path: epath.PathLike, container: Any) -> Any:
    """Return the stream with the film: the default one, no cover or thumbnail.

    Raises:
      UserError: there is none.
    """
    streams = [s for s in container.streams.video if s.codec_context is not None]
    streams = [s for s in streams if not any(_is(s, name) for name in _NO_FILM)]
    if not streams:
        raise UserError(f'{path}: not a readable video (it has no video stream, or an unknown one)')
    return _preferred([s for s in streams if s.codec_context.name not in _PICTURES] or streams)


def sound(container: Any) -> Any:
    """Return the stream with the sound: the default one, else the first; None: there is none."""
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    return _preferred(streams) if streams else None


def _preferred(streams: list) -> Any:
    return next((stream for stream in streams if _is(stream, 'default')), streams[0])


def _is(stream, name: str) -> bool:
    return bool(getattr(type(stream.disposition), name, 0) & stream.disposition)


class Clock(NamedTuple):
    """The one clock of a file's picture and sound."""

    zero: Fraction  # on the container's clock, seconds
    film: Timeline  # seconds from zero
    ordered: bool = False  # frames have no times of their own, but those of the timeline in order

    def seconds(self, pts: int, base: Fraction) -> float:
        """Convert a time stamp of a stream to seconds from zero."""
        return float(pts * base - self.zero)


def clock(path: epath.PathLike) -> Clock:
    """Read the times of all frames; nothing is decoded.

    Zero is where the first of picture and sound begins. Sound that begins less than a frame before
    the picture does not count: encoders put some before it.

    Raises:
      UserError: the file is no video, or is longer than `MAX_SECONDS`.
    """
    with opened(path) as container:
        stream, audio = film(path, container), sound(container)
        base = Fraction(stream.time_base)
        stamps, end, ordered = _stamps(container, stream)
        if len(stamps) > 1 and (stamps[-1] - stamps[0]) * base > MAX_SECONDS:
            raise UserError(_too_long(path, float((stamps[-1] - stamps[0]) * base)))
        first = stamps[0] * base if stamps else Fraction(0)
        rates = (stream.guessed_rate, stream.average_rate, stream.base_rate)
        if ordered and (not stamps or container.format.name in _BARE):
            rate = next((Fraction(rate) for rate in rates if rate), timeline.DEFAULT)
            return Clock(first, timeline.even(ordered, rate), True)
        times = [float(stamp * base - first) for stamp in stamps]
        last = None if end is None else float(end * base - first)
        frames = timeline.read(times, last, rates, float(base))
        heard = None if audio is None or audio.start_time is None else _begin(audio)
        zero = first if heard is None or first - heard < 1 / frames.mean else heard
    off = float(first - zero)
    moved = Timeline(frames.times + off, frames.end + off, frames.rate)
    return Clock(zero, moved, ordered > 0)


def _begin(stream) -> Fraction:
    return stream.start_time * Fraction(stream.time_base)


def _too_long(path, seconds: float) -> str:
    return (
        f'{path}: {seconds / 3600:.1f} hours by its header, more than '
        f'{MAX_SECONDS / 3600:.0f}; cut it into pieces'
    )


def _stamps(container, stream) -> tuple[list[int], int | None, int]:
    """Return the time stamps of the frames that are shown, in order, and where the last one ends.

    Where a container has decoding times alone (AVI), these in order are the times of showing; bare
    streams have none, and of Matroska those before nought are worked out. The last value is the
    number of such frames, 0 where frames have times.
    """
    shown, decoded, end = [], [], None
    for packet in packets(container, stream):
        if not packet.size or packet.is_discard:
            continue
        decoded.append(packet.dts if packet.dts is not None else packet.pts)
        shown.append(packet.pts)
        if packet.pts is not None and packet.duration:
            end = max(packet.pts + packet.duration, end or 0)
    name = container.format.name
    known = sorted({pts for pts in shown if pts is not None})
    if name.startswith('matroska') and len(known) > 1 and None in shown:
        # FFmpeg gives blocks before nought no time, or another's. They come first, evenly spaced.
        step, missing = round(float(np.median(np.diff(known)))), len(shown) - len(known)
        known = [known[0] - step * n for n in range(missing, 0, -1)] + known
        return known, end, len(shown)
    swapped = name == 'avi' and stream.codec_context.name in _SWAPPED
    if swapped or name in _BARE or any(pts is None for pts in shown):
        return sorted({dts for dts in decoded if dts is not None}), None, len(shown)
    return sorted(set(shown)), end, 0


def packets(container, stream) -> Iterator[Any]:
    """Give packets up to the end, or to where the container breaks off."""
    found = container.demux(stream)
    while True:
        try:
            yield next(found)
        except (StopIteration, pyav().FFmpegError):
            return


def check_header(path: epath.PathLike, container: Any, stream: Any) -> None:
    """Refuse what a header promises too much of.

    Raises:
      UserError: the frames are too large or last too long, or have no size.
    """
    if not stream.width or not stream.height:
        raise UserError(f'{path}: the video has no size; re-encode it')
    check_pixels(path, stream.width, stream.height)
    seconds = (container.duration or 0) / 1_000_000
    if stream.duration:
        seconds = max(seconds, float(stream.duration * stream.time_base))
    if stream.frames and stream.average_rate:
        seconds = max(seconds, float(stream.frames / stream.average_rate))
    if seconds > MAX_SECONDS:
        raise UserError(_too_long(path, seconds))
    # What the codec's own header says may differ from the container's.
    stream.codec_context.options = {'max_pixels': str(MAX_PIXELS)}


def check_pixels(path: epath.PathLike, width: int, height: int) -> None:
    """Refuse frames of more than `MAX_PIXELS`.

    Raises:
      UserError: they are.
    """
    if width * height > MAX_PIXELS:
        raise UserError(
            f'{path}: {width} x {height} pixels, more than {MAX_PIXELS:,}; make it smaller first'
        )
