"""Files that were cut short: their own structure promises more bytes than there are.

Decoders end early without a word. Containers that count neither frames nor bytes (a recording that
was never closed) promise nothing, and nothing is missing from them: of a stream of packets
(MPEG-PS, MPEG-TS, FLV) that ends between two pictures nobody can tell that there were more.
"""

import mmap
import os
import re
import struct
from collections.abc import Callable

from etils import epath

_MARK = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')  # of a JPEG: what ends a scan
_TAIL = 1 << 20  # bytes at the end of an MPEG program stream that are searched for its last packet


def cut_short(path: epath.PathLike, name: str) -> str | None:
    """Say what is missing at the end of a file; None where nothing is.

    Args:
      path: a local file.
      name: of its format, as kinds.py has it.
    """
    check = _CHECKS.get(name)
    if check is None or not os.path.getsize(path):
        return None
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return check(data)
        except (struct.error, IndexError):
            return 'it ends within its structure'


def _missing(expected: int, data) -> str | None:
    lack = expected - len(data)
    return f'{lack:,} bytes are missing at its end' if lack > 0 else None


def _boxes(data) -> str | None:
    """ISO's boxes (MP4, MOV): a size, a name; 1: a longer size follows, 0: up to the end."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack('>I4s', data[at : at + 8])
        if not name.isalnum() and not name.strip(b' ').isalnum():
            return None  # rubbish after the last box
        if size == 1:
            (size,) = struct.unpack('>Q', data[at + 8 : at + 16])
        if size == 0:
            return None
        if size < 8:
            return None
        at += size
    return _missing(at, data)


def _matroska(data) -> str | None:
    """EBML: the header, then a segment of a stated or an unknown size."""
    at = 0
    for _ in range(2):
        number, at = _vint(data, at, keep=True)
        size, at = _vint(data, at, keep=False)
        if size is None:
            return None
        if number == 0x18538067:  # Segment
            return _missing(at + size, data)
        at += size
    return None


def _vint(data, at: int, keep: bool) -> tuple[int | None, int]:
    """Read EBML's number of variable length; all bits set: unknown."""
    first = data[at]
    length = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + length], 'big')
    if not keep:
        value &= (1 << (7 * length)) - 1
        if value == (1 << (7 * length)) - 1:
            return None, at + length
    return value, at + length


def _riff(data) -> str | None:
    """AVI and WebP: one or more chunks RIFF of a stated size."""
    at = 0
    while data[at : at + 4] == b'RIFF':
        (size,) = struct.unpack('<I', data[at + 4 : at + 8])
        if size in (0, 0xFFFFFFFF):  # a stream, which states no length
            return None
        at += 8 + size
        if at >= len(data):
            break
        at += size % 2
    return _missing(at, data)


def _gif(data) -> str | None:
    """Blocks up to the trailer."""
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 128 else 0)
    while True:
        mark = data[at]
        if mark == 0x3B:
            return None
        if mark == 0x21:
            at += 2
        elif mark == 0x2C:
            packed = data[at + 9]
            at += 11 + (3 << (packed & 7) + 1 if packed & 128 else 0)
        else:
            return 'it ends within its structure'
        while data[at]:
            at += 1 + data[at]
        at += 1


def _jpeg(data) -> str | None:
    """Progressive JPEG: scan after scan, each for some coefficients and down to some bit of them.

    A file that was cut and then closed lacks the last scans, and is decoded to a blurred picture.
    What ends within a scan is the decoder's to say.
    """
    at, rest = 2, {}  # (component, coefficient) -> bits that have not come
    while at + 4 <= len(data):
        mark, (length,) = data[at + 1], struct.unpack('>H', data[at + 2 : at + 4])
        body = data[at + 4 : at + 2 + length]
        at += 2 + length
        if mark == 0xC2:
            parts = [body[6 + 3 * n] for n in range(body[5])]
            rest = {(part, k): 16 for part in parts for k in range(64)}
        elif 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            return None  # not progressive
        elif mark == 0xDA:
            first, last, bits = body[-3:]
            for n in range(body[0]):
                rest |= {(body[1 + 2 * n], k): bits & 15 for k in range(first, last + 1)}
            found = _MARK.search(data, at)
            if found is None:
                return None
            at = found.start()
        while at + 1 < len(data) and data[at : at + 2] == b'\xff\xff':
            at += 1
        if data[at : at + 2] == b'\xff\xd9':
            break
    return 'its last scans are missing' if any(rest.values()) else None


def jpeg_end(data) -> int | None:
    """Return where the first JPEG of a file ends; None where it does not."""
    at = 2
    while at + 4 <= len(data):
        mark, (length,) = data[at + 1], struct.unpack('>H', data[at + 2 : at + 4])
        at += 2 + length
        if mark == 0xDA:
            found = _MARK.search(data, at)
            at = len(data) if found is None else found.start()
        if data[at : at + 2] == b'\xff\xd9':
            return at + 2
    return None


def _motion_jpeg(data) -> str | None:
    return None if data[-4:].rstrip(b'\0').endswith(b'\xff\xd9') else 'its last picture has no end'


def _png(data) -> str | None:
    at = 8
    while data[at + 4 : at + 8] != b'IEND':
        at += 12 + struct.unpack('>I', data[at : at + 4])[0]
    return _missing(at + 12, data)


def _flv(data) -> str | None:
    """Tags: each states the size of its body, and the whole tag's behind it."""
    (at,) = struct.unpack('>I', data[5:9])
    at += 4
    while at + 11 <= len(data):
        at += 15 + int.from_bytes(data[at + 1 : at + 4], 'big')
    return _missing(at, data)


def _ivf(data) -> str | None:
    """Frames of a stated size behind the header."""
    (at,) = struct.unpack('<H', data[6:8])
    while at + 12 <= len(data):
        at += 12 + struct.unpack('<I', data[at : at + 4])[0]
    return _missing(at, data)


def _mxf(data) -> str | None:
    """Keys of 16 bytes, lengths by ASN.1's basic rules, values."""
    at = 0
    while at + 17 <= len(data):
        if data[at : at + 4] != b'\x06\x0e\x2b\x34':
            return None  # rubbish after the last key
        first = data[at + 16]
        long = first & 127 if first & 128 else 0
        length = int.from_bytes(data[at + 17 : at + 17 + long], 'big') if long else first
        at += 17 + long + length
    return _missing(at, data)


def _program_stream(data) -> str | None:
    """MPEG-PS: the last packet states its length, and the last picture is as high as others."""
    tail = data[max(len(data) - _TAIL, 0) :]
    missing = _last_packet(tail)
    return missing or _last_picture(_video(tail))


def _last_packet(tail: bytes) -> str | None:
    at = tail.rfind(b'\0\0\1')
    while at >= 0:
        code = tail[at + 3] if at + 3 < len(tail) else 0
        if code == 0xB9:
            return None
        if code == 0xBA:
            return 'it ends within a packet' if len(tail) - at < 12 else None
        if code >= 0xBB and _is_packet(tail, at):
            if at + 6 > len(tail):
                return 'it ends within a packet'
            (length,) = struct.unpack('>H', tail[at + 4 : at + 6])
            if length:
                return _missing(at + 6 + length, tail)
        at = tail.rfind(b'\0\0\1', 0, at)
    return None


def _video(tail: bytes) -> bytes:
    """Join the video of the packets of a program stream."""
    at, parts = tail.find(b'\0\0\1\xba'), []
    while at >= 0 and at + 14 <= len(tail) and tail[at : at + 3] == b'\0\0\1':
        code = tail[at + 3]
        if code == 0xBA:
            at += 14 + (tail[at + 13] & 7) if tail[at + 4] >> 6 == 1 else 12
            continue
        body = tail[at + 6 : at + 6 + struct.unpack('>H', tail[at + 4 : at + 6])[0]]
        if 0xE0 <= code < 0xF0 and body:
            parts.append(body[_header(body) :])
        at += 6 + len(body)
    return b''.join(parts)


def _header(body: bytes) -> int:
    """Return the length of a packet's own header; of MPEG-2, else of MPEG-1."""
    if body[0] >> 6 == 2:
        return 3 + body[2]
    at = len(body) - len(body.lstrip(b'\xff'))
    at += 2 if body[at] >> 6 == 1 else 0
    return at + {2: 5, 3: 10}.get(body[at] >> 4, 1)


def _last_picture(video: bytes) -> str | None:
    """MPEG-1 and 2: whether the last picture has slices down to where those before it have."""
    bottoms = []
    for part in video.split(b'\0\0\1\0')[1:]:  # pictures
        slices = [code[0] for code in part.split(b'\0\0\1')[1:] if code[:1] and code[0] < 0xB0]
        bottoms.append(max(slices, default=0))
    *before, last = bottoms[-8:] or [0]
    if len(before) >= 2 and len(set(before)) == 1 and last < before[0]:
        return f'its last picture ends in row {last} of {before[0]}'
    return None


def _is_packet(tail: bytes, at: int) -> bool:
    """Tell a packet from what looks like one within it: what precedes it ends where it begins."""
    before = tail.rfind(b'\0\0\1\xba', 0, at)
    if before < 0:
        return False
    mpeg2 = tail[before + 4] >> 6 == 1
    place = before + (14 + (tail[before + 13] & 7) if mpeg2 else 12)
    while place < at and place + 6 <= len(tail):
        place += 6 + struct.unpack('>H', tail[place + 4 : place + 6])[0]
    return place == at


def _transport_stream(data) -> str | None:
    length = 188 if data[0] == 0x47 else 192
    rest = len(data) % length
    return f'its last packet has {rest} of {length} bytes' if rest else None


_CHECKS: dict[str, Callable] = {
    'mov': _boxes,
    'matroska': _matroska,
    'avi': _riff,
    'WEBP': _riff,
    'GIF': _gif,
    'PNG': _png,
    'JPEG': _jpeg,
    'mjpeg': _motion_jpeg,
    'mpeg': _program_stream,
    'mpegvideo': lambda data: _last_picture(data[max(len(data) - _TAIL, 0) :]),
    'mpegts': _transport_stream,
    'flv': _flv,
    'ivf': _ivf,
    'mxf': _mxf,
}
