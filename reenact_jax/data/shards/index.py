"""The sidecar of a shard: where its records and their pieces lie, and what pairing needs to know.

It is one .npz of plain arrays (no pickle) beside the shard: columns with a value a record, columns
with a value a frame, the frames of all records one after another, and one with a row a piece. The
pieces of a record, which batches read one by one, are those of `tracks.PER_FRAME`, field by field:
an encoded image a frame, a field of numbers whole. Each has its place and its own CRC32C.
"""

import dataclasses
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import google_crc32c
import numpy as np
from jaxtyping import Bool, Float16, Int, UInt32

from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import FIELDS, PER_FRAME, spans

INDEX_VERSION = 2
# What NumPy and zipfile raise for damaged files; the last two for a flipped method or flag.
_DAMAGE = (
    ValueError,
    KeyError,
    TypeError,
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
)
_RECORD_NUMBERS = {
    'offset': np.int64,
    'length': np.int64,
    'identity': np.int64,
    'frames': np.int32,
    'size': np.int32,
    'pair': np.int32,
    'role': np.int32,
}
_FRAME_NUMBERS = {
    'expression': np.int32,
    'pose_id': np.int32,
    'aus': np.float16,
    'aus_valid': np.bool_,
}
# The fields of `tracks.Track` from which an index is made.
INDEXED = ('track_id', 'identity', 'size', 'pair', 'role', *_FRAME_NUMBERS)


@dataclasses.dataclass(frozen=True)
class Columns:
    """The index columns of r records with f frames in all; units as in `tracks.FIELDS`."""

    track_id: np.ndarray  # [r] str
    offset: Int[np.ndarray, ' r']  # of the framed record in its shard, bytes
    length: Int[np.ndarray, ' r']  # of the framed record, bytes
    identity: Int[np.ndarray, ' r']
    frames: Int[np.ndarray, ' r']  # T of the track
    size: Int[np.ndarray, ' r']  # side of its crop, pixels
    pair: Int[np.ndarray, ' r']
    role: Int[np.ndarray, ' r']
    expression: Int[np.ndarray, ' f']
    pose_id: Int[np.ndarray, ' f']
    aus: Float16[np.ndarray, 'f 20']
    aus_valid: Bool[np.ndarray, 'f 20']
    pieces: UInt32[np.ndarray, 'p 3']  # begin in the record, length, CRC32C

    def piece_starts(self) -> Int[np.ndarray, ' _']:
        """Return where each record's pieces begin, [r + 1]; the last number counts them all."""
        return np.concatenate([[0], np.cumsum(piece_count(self.frames))])


def piece_count(frames, before: str | None = None):
    """Count the pieces of a record.

    Args:
      frames: T of the record; a number or an array.
      before: count only the fields before this one of `tracks.PER_FRAME`; None: all.
    """
    names = PER_FRAME if before is None else PER_FRAME[: PER_FRAME.index(before)]
    images = sum(FIELDS[name].kind == 'bytes' for name in names)
    return np.asarray(frames, np.int64) * images + len(names) - images


def _pieces(record: bytes, frames: int) -> UInt32[np.ndarray, 'p 3']:
    places = spans(record, PER_FRAME, frames)
    rows = [(at, end - at, google_crc32c.value(record[at:end])) for at, end in places]
    return np.array(rows, np.uint32).reshape(-1, 3)


class Collector:
    """A collector of the columns of a shard, a track at a time."""

    def __init__(self):
        self._rows: dict[str, list] = {field.name: [] for field in dataclasses.fields(Columns)}

    def add(self, fields: Mapping[str, Any], record: bytes, offset: int, length: int) -> None:
        """Add a track.

        Args:
          fields: the track's `INDEXED` fields.
          record: the serialised track.
          offset: where the framed record begins in its shard, bytes.
          length: of the framed record, bytes.
        """
        frames = len(fields['expression'])
        self._rows['offset'].append(offset)
        self._rows['length'].append(length)
        self._rows['frames'].append(frames)
        self._rows['pieces'].append(_pieces(record, frames))
        for name in INDEXED:
            self._rows[name].append(fields[name])

    def columns(self) -> Columns:
        """Return the columns of the tracks added so far."""
        values: dict[str, np.ndarray] = {'track_id': np.array(self._rows['track_id'], np.str_)}
        for name, dtype in _RECORD_NUMBERS.items():
            values[name] = np.array(self._rows[name], dtype)
        for name, dtype in _FRAME_NUMBERS.items():
            empty = np.zeros((0, 20) if name.startswith('aus') else (0,), dtype)
            parts = [np.asarray(row, dtype) for row in self._rows[name]]
            values[name] = np.concatenate([empty, *parts])
        pieces = np.concatenate([np.zeros((0, 3), np.uint32), *self._rows['pieces']])
        return Columns(**values, pieces=pieces)


def to_bytes(columns: Columns, summary: dict) -> bytes:
    """Encode a sidecar: the columns and a summary of plain values (file, digest, parameters)."""
    file = io.BytesIO()
    text = json.dumps({'version': INDEX_VERSION, **summary}, sort_keys=True)
    np.savez(file, summary=np.array(text), **vars(columns))
    return file.getvalue()


def from_bytes(content: bytes, where: str) -> tuple[Columns, dict]:
    """Decode a sidecar: its columns and its summary.

    Args:
      content: the file's bytes.
      where: its name, for the message.

    Raises:
      UserError: it is damaged or of another version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            summary = json.loads(arrays['summary'].item())
            version = summary['version']
            _check_version(version, where)
            names = [field.name for field in dataclasses.fields(Columns)]
            columns = Columns(**{name: arrays[name] for name in names})
        lengths = {len(getattr(columns, name)) for name in ('track_id', *_RECORD_NUMBERS)}
        frames = {len(getattr(columns, name)) for name in _FRAME_NUMBERS}
        consistent = len(lengths) == 1 and frames == {int(columns.frames.sum())}
        consistent &= columns.pieces.shape == (columns.piece_starts()[-1], 3)
        if consistent:
            return columns, summary
    except _DAMAGE:
        pass
    raise UserError(f'{where}: damaged index; rebuild it: {rebuild_command(where)}')


def _check_version(version: int, where: str) -> None:
    if version != INDEX_VERSION:
        raise UserError(
            f'{where}: index version {version}, expected {INDEX_VERSION}; '
            f'rebuild it: {rebuild_command(where)}'
        )


def concatenate(parts: list[Columns]) -> Columns:
    """Join the columns of several shards, one after another."""
    names = [field.name for field in dataclasses.fields(Columns)]
    return Columns(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def rebuild_command(where: str) -> str:
    """Return the command that rebuilds the indices of the set, for error messages."""
    directory = where.rpartition('/')[0] or '.'
    return f'reenact-jax shards {directory} --rebuild-index'
