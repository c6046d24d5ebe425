"""What a file is: told by its content, whatever its name says.

FFmpeg and Pillow would try every format they know, some of which follow references to other files
or run programs. So the format is chosen here and handed to them.
"""

import mmap
import re
import struct
from typing import NamedTuple

from etils import epath

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import whole

# Usual names, for lists and messages: a file is opened by its content.
STILL_SUFFIXES = (
    *('.jpg', '.jpeg', '.jfif', '.jpe', '.png', '.webp', '.avif', '.heic', '.heif'),
    *('.bmp', '.tif', '.tiff', '.jp2', '.ppm', '.pgm'),
)
VIDEO_SUFFIXES = (
    *('.mp4', '.mov', '.m4v', '.3gp', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.vob', '.ts'),
    *('.mts', '.m2ts', '.flv', '.wmv', '.ogv', '.mxf', '.nut', '.mjpeg', '.mjpg', '.gif', '.apng'),
)
HEIF = ('heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1')  # brands
_LOOK = 4096  # bytes at the beginning that are looked at


class Format(NamedTuple):
    """A format of media."""

    kind: str  # 'video', 'animation' or 'still'
    name: str  # FFmpeg's demuxer for a video, Pillow's format for the others
    shown: str  # its name in messages


_STILLS = (  # beginning, Pillow's format
    (b'\xff\xd8\xff', 'JPEG'),
    (b'BM', 'BMP'),
    (b'II*\0', 'TIFF'),
    (b'MM\0*', 'TIFF'),
    (b'II+\0', 'TIFF'),
    (b'MM\0+', 'TIFF'),
    (b'\0\0\0\x0cjP  \r\n\x87\n', 'JPEG2000'),
    (b'\xff\x4f\xff\x51', 'JPEG2000'),
    *((b'P%d' % n, 'PPM') for n in range(1, 7)),
)
_VIDEOS = (  # beginning, FFmpeg's demuxer, name
    (b'\x1aE\xdf\xa3', 'matroska', 'Matroska'),
    (b'\0\0\1\xba', 'mpeg', 'MPEG-PS'),
    (b'\0\0\1\xb3', 'mpegvideo', 'MPEG'),
    (b'FLV\1', 'flv', 'FLV'),
    (b'nut/multimedia container\0', 'nut', 'NUT'),
    (b'\x30\x26\xb2\x75\x8e\x66\xcf\x11', 'asf', 'ASF'),
    (b'OggS', 'ogg', 'Ogg'),
    (b'DKIF', 'ivf', 'IVF'),
    (b'YUV4MPEG2 ', 'yuv4mpegpipe', 'Y4M'),
    (b'\x06\x0e\x2b\x34\x02\x05\x01\x01', 'mxf', 'MXF'),
    *((b'\0\0\0\1' + first, 'h264', 'H.264') for first in (b'\x67', b'\x27', b'\x09')),
    (b'\0\0\0\1\x40\1', 'hevc', 'H.265'),
)
_SOUNDS = (  # beginning, FFmpeg's demuxer
    (b'ID3', 'mp3'),
    (b'fLaC', 'flac'),
    (b'caff', 'caf'),
    (b'FORM', 'aiff'),
    (b'#!AMR', 'amr'),
    (b'\x0b\x77', 'ac3'),
    (b'.snd', 'au'),
)
_BOXES = (b'moov', b'mdat', b'wide', b'free', b'skip', b'pnot', b'moof', b'styp', b'sidx')


def tell(path: epath.PathLike) -> Format | None:
    """Tell the format of a file by its content; None: no picture or video that can be read.

    Raises:
      UserError: there is no such file, or it may not be read.
    """
    begin = begins(path)
    found = _boxes(begin) or _riff(begin) or _png(begin) or _plain(begin)
    if found is not None and found.name == 'JPEG' and _goes_on(path, begin):
        return Format('video', 'mjpeg', 'Motion JPEG')
    return found


def _goes_on(path, begin: bytes) -> bool:
    """Tell whether another JPEG follows a JPEG at once: a bare stream of frames.

    Not so the further pictures of a photograph (MPO: depth, gain map), which its header names.
    """
    if b'MPF\0' in begin:
        return False
    with (
        open(storage.local(path), 'rb') as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        at = data.find(b'\xff\xd9\xff\xd8\xff')
        try:
            return at > 0 and whole.jpeg_end(data) == at + 2
        except struct.error:
            return False


def begins(path: epath.PathLike, most: int = _LOOK) -> bytes:
    """Read the beginning of a file.

    Raises:
      UserError: there is no such file, or it may not be read.
    """
    try:
        with open(storage.local(path), 'rb') as file:
            return file.read(most)
    except FileNotFoundError:
        raise UserError(f'{path}: no such file or folder') from None
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror})') from None


def tell_sound(path: epath.PathLike) -> str | None:
    """Name FFmpeg's demuxer of a file that may have sound; None: there is none.

    Raises:
      UserError: there is no such file, or it may not be read.
    """
    found = tell(path)
    if found is not None:
        return found.name if found.kind == 'video' else None
    head = begins(path)
    if head[:4] in (b'RIFF', b'RF64') and head[8:12] == b'WAVE':
        return 'wav'
    for beginning, name in _SOUNDS:
        if head.startswith(beginning):
            return name
    if head[:1] == b'\xff' and len(head) > 1 and head[1] & 0xE0 == 0xE0:  # a frame's sync word
        return 'aac' if head[1] & 0x06 == 0 else 'mp3'
    return None


def _plain(head: bytes) -> Format | None:
    if head.startswith((b'GIF87a', b'GIF89a')):
        return Format('animation', 'GIF', 'GIF')
    for beginning, name in _STILLS:
        if head.startswith(beginning) and (name != 'PPM' or head[2:3].isspace()):
            return Format('still', name, name)
    for beginning, name, shown in _VIDEOS:
        if head.startswith(beginning):
            return Format('video', name, shown)
    # Packets of 188 bytes, or of 192 with a time before each (cameras).
    for first, length in ((0, 188), (4, 192)):
        starts = [head[at : at + 1] for at in range(first, len(head), length)]
        if len(starts) >= 3 and all(begin == b'G' for begin in starts):
            return Format('video', 'mpegts', 'MPEG-TS')
    return None


def _boxes(head: bytes) -> Format | None:
    """Tell files of ISO's boxes: MP4, MOV, AVIF, HEIF."""
    if head[4:8] != b'ftyp':
        return Format('video', 'mov', 'MP4 or MOV') if head[4:8] in _BOXES else None
    (size,) = struct.unpack('>I', head[:4])
    brands = [head[at : at + 4].decode('latin1') for at in range(8, min(size, len(head)), 4)]
    if 'avis' in brands[:1]:
        return Format('animation', 'AVIF', 'AVIF')
    if 'avif' in brands:
        return Format('still', 'AVIF', 'AVIF')
    if brands[:1] and brands[0] in HEIF:
        return Format('still', 'HEIF', 'HEIC')
    return Format('video', 'mov', 'MP4 or MOV')


def _riff(head: bytes) -> Format | None:
    if head[:4] != b'RIFF':
        return None
    if head[8:12] == b'WEBP':
        moves = head[12:16] == b'VP8X' and len(head) > 20 and head[20] & 2
        return Format('animation' if moves else 'still', 'WEBP', 'WebP')
    return Format('video', 'avi', 'AVI') if head[8:11] == b'AVI' else None


def _png(head: bytes) -> Format | None:
    if not head.startswith(b'\x89PNG\r\n\x1a\n'):
        return None
    moves = b'acTL' in head.partition(b'IDAT')[0]
    return Format('animation' if moves else 'still', 'PNG', 'PNG')


def kind(path: epath.PathLike) -> str:
    """Tell 'video' (moving pictures of any sort), 'still' or 'folder'.

    Raises:
      UserError: there is no such file, or it is none of these.
    """
    if storage.is_dir(storage.path(path)):
        return 'folder'
    return 'still' if required(path).kind == 'still' else 'video'


def required(path: epath.PathLike) -> Format:
    """Tell the format of a file.

    Raises:
      UserError: it is neither a picture nor a video that can be read; the message says what to do.
    """
    found = tell(path)
    if found is None:
        what = 'video' if is_video_name(path) else 'image' if _is_still_name(path) else 'picture'
        what = what if what != 'picture' else 'picture or video'
        raise UserError(
            f'{path}: not a readable {what} (its content is none of JPEG, PNG, WebP, AVIF, HEIC, '
            'BMP, TIFF, GIF, MP4, MOV, Matroska, WebM, AVI, MPEG, TS, FLV, WMV, Ogg, MXF, whatever '
            'its name says)'
        )
    return found


def is_video_name(path: epath.PathLike) -> bool:
    """Tell by its suffix whether a file is meant to be a video."""
    return storage.path(path).suffix.lower() in VIDEO_SUFFIXES


def _is_still_name(path: epath.PathLike) -> bool:
    return storage.path(path).suffix.lower() in STILL_SUFFIXES


def natural(path: epath.PathLike) -> tuple:
    """Make a sorting key in which numbers inside names count as numbers."""
    return tuple((int(s), '') if s.isdigit() else (-1, s) for s in re.split(r'(\d+)', str(path)))


def sorted_out(folder: epath.PathLike) -> tuple[list[epath.Path], dict[str, str]]:
    """Find the stills of a folder.

    Returns:
      The stills in natural order (frame2 before frame10), hidden files left out; and the other
      files by name, each with the reason why it is no still.

    Raises:
      UserError: there is no still.
    """
    used, unused = [], {}
    for name in storage.names(folder):
        path = storage.path(folder) / name
        if name.startswith('.'):
            continue
        if storage.is_dir(path):
            unused[name] = 'a folder'
        elif reason := _no_still(path):
            unused[name] = reason
        else:
            used.append(path)
    if not used:
        more = '; '.join(f'{name}: {reason}' for name, reason in list(unused.items())[:3])
        raise UserError(
            f'{folder}: no stills in this folder ({" ".join(STILL_SUFFIXES)})'
            + (f': {more}' if more else '')
        )
    return sorted(used, key=lambda path: natural(path.name)), dict(sorted(unused.items()))


def _no_still(path: epath.Path) -> str | None:
    try:
        found = tell(path)
    except UserError as error:
        return str(error).removeprefix(f'{path}: ')
    if found is None:
        return 'no picture'
    return None if found.kind == 'still' else f'a video or animation ({found.shown}), not a still'
