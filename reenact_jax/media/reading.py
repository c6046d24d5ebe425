"""Videos, stills and folders of stills as RGB frames; broken ones are noticed, never skipped.

Decoders go on after an error and end early without a word, so `Reader` counts: frames given,
packets that did not decode, frames the decoder marked as damaged, and compares with what the
container promises (`Reader.fault`). Memory does not grow with the length of a video.
Videos need PyAV (extra `[video]`); Pillow reads stills.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image, ImageOps

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError

STILL_SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
VIDEO_SUFFIXES = ('.mp4', '.mov', '.m4v', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.gif')
STILL_FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'TIFF')  # Pillow opens some by running programs
MAX_PIXELS = 80_000_000  # in one frame: a header of 100 KB may promise gigabytes of pixels
MAX_SECONDS = 4 * 3600  # in a video
# Beginnings of containers. FFmpeg guesses by content, whatever the suffix, and would follow
# playlists and scripts to other files and addresses.
_BEGINNINGS = (
    (4, (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip', b'pnot')),  # MP4, MOV
    (0, (b'\x1aE\xdf\xa3', b'RIFF', b'GIF8', b'\0\0\1\xba', b'\0\0\1\xb3', b'G')),
)
_BROKEN = (OSError, SyntaxError, ValueError)  # what Pillow raises for broken files
FOLDER_RATE = Fraction(25)  # a folder of stills says nothing of its rate


class Probe(NamedTuple):
    """Headers of a file."""

    kind: str  # 'video', 'still' or 'folder' (of stills, in natural order)
    frames: int  # frames promised; for containers that do not count them: duration x rate
    counted: bool  # whether the container (or the folder) counts its frames
    rate: Fraction | None  # exact frames per second; None for a still
    width: int
    height: int
    duration: float  # seconds; 0 for a still


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


def kind(path: epath.PathLike) -> str:
    """Tell 'video', 'still' or 'folder', by suffix.

    Raises:
      UserError: the file is missing or none of these.
    """
    path = storage.path(path)
    if storage.is_dir(path):
        return 'folder'
    if not storage.exists(path):
        raise UserError(f'{path}: no such file or folder')
    if path.suffix.lower() in STILL_SUFFIXES:
        return 'still'
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return 'video'
    known = ' '.join(STILL_SUFFIXES + VIDEO_SUFFIXES)
    raise UserError(f'{path}: neither a still nor a video by its suffix; known: {known}')


def stills(folder: epath.PathLike) -> list[epath.Path]:
    """List the stills of a folder in natural order (frame2 before frame10).

    Raises:
      UserError: it has none.
    """
    every = [storage.path(folder) / name for name in storage.names(folder)]
    files = [path for path in every if path.suffix.lower() in STILL_SUFFIXES]
    if not files:
        raise UserError(f'{folder}: no stills in this folder ({" ".join(STILL_SUFFIXES)})')
    return sorted(files, key=natural)


def natural(path: epath.PathLike) -> tuple:
    """Make a sorting key in which numbers inside names count as numbers."""
    return tuple((int(s), '') if s.isdigit() else (-1, s) for s in re.split(r'(\d+)', str(path)))


def probe(path: epath.PathLike) -> Probe:
    """Read the headers of a video, still or folder of stills; no pixels are decoded.

    Raises:
      UserError: the file is missing, unreadable or its frames are larger than `MAX_PIXELS`.
    """
    category = kind(path)
    if category == 'video':
        with _open_video(path) as container:
            return _probe_video(path, container)
    files = [storage.path(path)] if category == 'still' else stills(path)
    with _open_still(files[0]) as image:
        try:
            # EXIF orientations 5 to 8 swap the sides; 0x0112 is the tag's number.
            swap = image.getexif().get(0x0112, 1) >= 5
        except _BROKEN as error:  # a PNG is decoded for it
            raise UserError(f'{path}: broken or truncated image ({error})') from None
        width, height = image.size[::-1] if swap else image.size
    rate = FOLDER_RATE if category == 'folder' else None
    duration = float(len(files) / rate) if rate else 0.0
    return Probe(category, len(files), True, rate, width, height, duration)


def read_still(path: epath.PathLike) -> UInt8[np.ndarray, 'h w 3']:
    """Read a still as RGB, upright by its EXIF orientation, transparency over white.

    Raises:
      UserError: it is missing, broken or larger than `MAX_PIXELS`.
    """
    with _open_still(path) as image:
        try:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith('I'):  # 16 bits a sample
                grey = np.clip(np.asarray(image, np.float32) / 257 + 0.5, 0, 255).astype(np.uint8)
                return np.repeat(grey[..., None], 3, -1)
            if image.has_transparency_data:
                white = Image.new('RGBA', image.size, 'white')
                image = Image.alpha_composite(white, image.convert('RGBA'))
            return np.array(image.convert('RGB'))
        except _BROKEN as error:
            raise UserError(f'{path}: broken or truncated image ({error})') from None


class Reader:
    """Frames of a video, still or folder, one after another; iterate once.

        reader = Reader('driver.mp4')
        for frame in reader:      # uint8 RGB [h, w, 3], upright
            ...
        fault = reader.fault()    # None, or what is broken

    Attributes:
      probe: the headers.
      given: frames read so far.
      errors: packets that did not decode and frames marked as damaged, so far.
    """

    def __init__(self, path: epath.PathLike):
        self.path = storage.path(path)
        self.probe = probe(path)
        self.given = self.errors = self._discarded = 0
        self._end = 0.0  # seconds at the end of the last frame
        self._over = False

    def __iter__(self) -> Iterator[UInt8[np.ndarray, 'h w 3']]:
        source = self._video() if self.probe.kind == 'video' else self._stills()
        for frame in source:
            self.given += 1
            yield frame
        self._over = True

    def fault(self) -> str | None:
        """Say what was wrong, once all frames have been read; None when the file is whole."""
        if not self._over:
            raise RuntimeError('fault() is known only after the last frame')
        if self.errors:
            return f'{self.errors} damaged packets or frames ({self.given} frames read)'
        expected = self.probe.frames - self._discarded
        if self.probe.counted and self.given < expected:
            return f'truncated: {self.given} of {expected} frames could be read'
        # Half a second: durations of containers that do not count frames are rounded or of the
        # sound track.
        if not self.probe.counted and self._end < self.probe.duration - 0.5:
            return f'truncated: ends at {self._end:.2f} s of {self.probe.duration:.2f} s'
        return None if self.given else 'no frames'

    def _stills(self) -> Iterator[np.ndarray]:
        files = [self.path] if self.probe.kind == 'still' else stills(self.path)
        for file in files:
            frame = read_still(file)
            if frame.shape[:2] != (self.probe.height, self.probe.width):
                raise UserError(
                    f'{file}: {frame.shape[1]} x {frame.shape[0]} pixels, but the first still of '
                    f'the folder has {self.probe.width} x {self.probe.height}'
                )
            yield frame

    def _video(self) -> Iterator[np.ndarray]:
        av = pyav()
        with _open_video(self.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = 'AUTO'
            rate: Any = self.probe.rate  # a video has one
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except StopIteration:
                    return
                except av.FFmpegError:  # the container itself breaks off
                    self.errors += 1
                    return
                self._discarded += packet.is_discard
                try:
                    decoded = packet.decode()
                except av.FFmpegError:
                    self.errors += 1
                    continue
                for frame in decoded:
                    self.errors += bool(frame.is_corrupt)
                    if frame.time is not None:
                        begin = (stream.start_time or 0) * (stream.time_base or 0)
                        self._end = float(frame.time - begin + 1 / rate)
                    yield upright(frame.to_ndarray(format='rgb24'), frame.rotation)


def upright(frame: UInt8[np.ndarray, 'h w 3'], degrees: int) -> UInt8[np.ndarray, '... 3']:
    """Turn a frame by its display matrix, counter-clockwise, to the nearest quarter turn."""
    turns = round(degrees / 90) % 4
    return np.ascontiguousarray(np.rot90(frame, turns)) if turns else frame


def _open_video(path):
    av = pyav()
    here = storage.local(path)
    with open(here, 'rb') as file:
        start = file.read(16)
    if not any(start[at:].startswith(known) for at, known in _BEGINNINGS):
        raise UserError(
            f'{path}: not a readable video (its content is none of MP4, MOV, Matroska, WebM, AVI, '
            'MPEG, GIF, whatever its name says)'
        )
    try:
        container = av.open(str(here), options={'protocol_whitelist': 'file'})
    except (av.FFmpegError, OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'{path}: not a readable video ({reason})') from None
    if not container.streams.video or container.streams.video[0].codec_context is None:
        container.close()
        raise UserError(f'{path}: not a readable video (it has no video stream, or an unknown one)')
    # What the codec's own header says may differ from the container's.
    container.streams.video[0].codec_context.options = {'max_pixels': str(MAX_PIXELS)}
    return container


def _probe_video(path, container) -> Probe:
    stream = container.streams.video[0]
    count, rate = stream.frames, stream.average_rate
    if not count and not (stream.duration or container.duration):
        count, seen = _counted(path)
        rate = seen or rate
    rate = rate or stream.guessed_rate or stream.base_rate
    if not rate or not stream.width:
        raise UserError(f'{path}: the video has no frame rate or no size; re-encode it')
    _check_pixels(path, stream.width, stream.height)
    if stream.duration:
        duration = float(stream.duration * stream.time_base)
    else:
        duration = (container.duration or 0) / 1_000_000
    duration = max(duration, float(count / rate))  # headers may contradict each other
    if duration > MAX_SECONDS:
        raise UserError(
            f'{path}: {duration / 3600:.1f} hours by its header, more than '
            f'{MAX_SECONDS / 3600:.0f}; cut it into pieces'
        )
    counted = count > 0
    # The display matrix is known with the first frame only.
    first = next(_first_frame(container, stream), None)
    turned = first is not None and round(first.rotation / 90) % 2
    width, height = (stream.width, stream.height)[:: -1 if turned else 1]
    frames = count if counted else round(duration * rate)
    return Probe('video', frames, counted, Fraction(rate), width, height, duration)


def _counted(path) -> tuple[int, Fraction | None]:
    """Count frames and their mean rate where headers know no length, as browsers record them."""
    with _open_video(path) as container:
        stream = container.streams.video[0]
        times = [p.pts for p in container.demux(stream) if p.size and p.pts is not None]
        span = (max(times) - min(times)) * (stream.time_base or 0) if times else 0
    if not span:
        return len(times), None
    return len(times), Fraction((len(times) - 1) / span).limit_denominator(1001)


def _first_frame(container, stream):
    try:
        yield from container.decode(stream)
    except pyav().FFmpegError:
        return


def _open_still(path) -> Image.Image:
    path = storage.path(path)
    if not storage.exists(path):
        raise UserError(f'{path}: no such file')
    try:
        image = Image.open(storage.local(path), formats=STILL_FORMATS)
    except Image.DecompressionBombError as error:
        raise UserError(f'{path}: too large ({error})') from None
    except _BROKEN as error:
        if path.suffix.lower() in VIDEO_SUFFIXES:
            raise UserError(f'{path}: a video; a picture is expected here') from None
        raise UserError(f'{path}: not a readable image ({error})') from None
    try:
        _check_pixels(path, *image.size)
    except UserError:
        image.close()
        raise
    return image


def _check_pixels(path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UserError(
            f'{path}: {width} x {height} pixels, more than {MAX_PIXELS:,}; make it smaller first'
        )
