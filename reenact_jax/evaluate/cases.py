"""Cases: the frames that a list of pairs names, decoded, at a model's size."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import simplejpeg
from jaxtyping import Int

from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import Track, Unread
from reenact_jax.evaluate.pairs import NONE, neutral_frame, spread
from reenact_jax.geometry import images
from reenact_jax.reenact import portraits

ROWS = 8  # frames in one call of a model; more on several devices, a multiple of their number
# Kinds whose driver is the source's own person: landmarks are taken as they lie in the crop.
ABSOLUTE = 'self', 'ldnet_self'
AT_REST = 'freenet', 'labelled'  # kinds whose drivers are stills: motion starts at the neutral one
# Where results are scored whose ground truth has another driver: see `methods.driven`.
AT_TRUTH, AT_TRANSFER = PLACEMENTS = 'truth', 'transfer'


class Case(NamedTuple):
    """Pairs with one source frame and one driving track; faces as a bundle takes them, + image."""

    kind: str
    rows: Int[np.ndarray, 'g 6']  # rows of the list
    source: dict  # leading axis 1
    first: dict  # leading axis 1: where relative motion starts
    driving: dict  # leading axis g
    truth: dict | Unread  # leading axis g
    placement: str = AT_TRUTH  # one of `PLACEMENTS`


def read(
    part: ShardSet,
    kind: str,
    rows: Int[np.ndarray, 'g 6'],
    size: int,
    points: str,
    placement: str = AT_TRUTH,
) -> Case:
    """Read the faces of a group of pairs.

    Args:
      part: split of a shard set.
      kind: kind of the list.
      rows: rows of the list, from `Pairs.groups`.
      size: side of the images, pixels.
      points: point set.
      placement: where faces are scored, one of `PLACEMENTS`.

    Raises:
      UserError: the tracks have no images, or not the point set.
    """
    part.require_points(points)
    records = rows[0, [0, 2, 4]].tolist()
    tracks = {record: part.track(record) for record in set(records) - {NONE}}
    for record, track in tracks.items():
        if not all(track.image):
            raise UserError(f'{part.where(record)}: has no images, landmarks alone')

    def at(column: int, frames) -> dict:
        return face(tracks[records[column]], frames, size, points)

    source = at(0, rows[:1, 1])
    start = neutral_frame(part, records[1]) if kind in AT_REST else 0
    return Case(
        kind,
        rows,
        source,
        source if kind in ABSOLUTE else at(1, [start]),
        at(1, rows[:, 3]),
        at(2, rows[:, 5]) if records[2] != NONE else None,
        placement,
    )


def face(track: Track, frames, size: int, points: str) -> dict:
    """Return frames of a track: `portraits.faces_of`, and 'image' [f, size, size, 3] in [-1, 1]."""
    frames = [int(frame) for frame in frames]
    decoded = np.stack([simplejpeg.decode_jpeg(track.image[frame]) for frame in frames])
    image = np.asarray(images.resize(images.to_float(decoded), size))
    known = portraits.faces_of(track, size, points)
    return {'image': image} | {name: value[frames] for name, value in known.items()}


def source_and_truth(track: Track, size: int, points: str) -> tuple[dict, dict]:
    """Return a track's first frame, and its others."""
    return face(track, [0], size, points), face(track, range(1, track.frames), size, points)


def usable(part: ShardSet, most: int) -> list[int]:
    """Choose at most `most` records of at least two frames.

    Raises:
      UserError: there are none.
    """
    records = [r for r in spread(len(part), most) if part.columns.frames[r] > 1]
    if not records:
        raise UserError(f'{part.directory}, {part.split}: no track with two frames')
    return records


def in_rows(function: Callable, tree):
    """Call `function` on `ROWS` rows of arrays at a time, the last ones padded: one compilation.

    Args:
      function: takes and returns trees of arrays with the same number of rows.
      tree: arrays of any number of rows.
    """
    chunks, count = [], len(jax.tree.leaves(tree)[0])
    rows = -(-ROWS // jax.device_count()) * jax.device_count()
    for start in range(0, count, rows):
        here = min(rows, count - start)
        # Rows past the end repeat the last one.
        places = np.minimum(np.arange(start, start + rows), count - 1)
        padded = jax.tree.map(lambda array, at=places: np.asarray(array)[at], tree)
        chunks.append(jax.tree.map(lambda x, n=here: np.asarray(x)[:n], function(padded)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)
