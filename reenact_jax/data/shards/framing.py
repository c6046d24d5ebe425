"""TFRecord framing: length, its masked CRC32C, record, its masked CRC32C (little endian).

Both checksums are checked on every read; a record that fails raises `DamagedRecord`.
"""

import struct
from collections.abc import Iterator

import google_crc32c

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError

_LENGTH = struct.Struct('<Q')
_CRC = struct.Struct('<I')
HEADER = _LENGTH.size + _CRC.size  # bytes of framing before a record
OVERHEAD = HEADER + _CRC.size  # bytes of framing a record


class DamagedRecord(UserError):
    """A record has other bytes than those that were written."""


def frame(record: bytes) -> bytes:
    """Frame a record as it stands in a TFRecord file: `OVERHEAD` bytes longer."""
    length = _LENGTH.pack(len(record))
    return b''.join((length, _masked_crc(length), record, _masked_crc(record)))


def pieces(framed_length: int) -> tuple[int, int, int]:
    """Return the lengths of header, record and footer of a framed record."""
    return HEADER, max(framed_length - OVERHEAD, 0), _CRC.size


def unframed_length(header: bytes) -> int:
    """Read the length of the record that a header announces.

    Raises:
      DamagedRecord: the header fails its checksum.
    """
    length = header[: _LENGTH.size]
    if len(header) < HEADER or header[_LENGTH.size :] != _masked_crc(length):
        raise DamagedRecord('damaged or cut off (checksum of the length)')
    return _LENGTH.unpack(length)[0]


def unframe(header: bytes, record: bytes, footer: bytes) -> bytes:
    """Return the record, if its header and footer agree with it.

    Raises:
      DamagedRecord: they do not.
    """
    if unframed_length(header) != len(record):
        raise DamagedRecord('damaged or cut off (not the length announced)')
    if footer != _masked_crc(record):
        raise DamagedRecord('damaged (checksum of the record)')
    return record


def scan(name) -> Iterator[tuple[int, int, bytes]]:
    """Read every record of a file, in order, without an index.

    Yields:
      Offset, framed length and record.

    Raises:
      UserError: there is no such file.
      DamagedRecord: at the first record that fails its checksums.
    """
    offset, number = 0, 0
    size = storage.size(name)
    if size is None:
        raise UserError(f'{name}: no such file')
    with storage.opened(name) as file:
        while offset < size:
            try:
                header = file.read(HEADER)
                length = unframed_length(header)
                record = unframe(header, file.read(length), file.read(_CRC.size))
            except DamagedRecord as error:
                raise DamagedRecord(f'{name}, record {number}: {error}') from None
            yield offset, length + OVERHEAD, record
            offset += length + OVERHEAD
            number += 1


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return _CRC.pack((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
