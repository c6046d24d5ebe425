"""Labelled landmarks of a split, as arrays: who, which motion, and the same face at rest."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import POSE, Face
from reenact_jax.geometry import landmarks as lm

CHUNK = 8192  # frames in one call on the device


class Labelled(NamedTuple):
    """Frames of a split; landmarks are in units of their own box, [-1, 1] (LD-Net's input)."""

    shape: Float[np.ndarray, 'f n 2']
    deep: Float[np.ndarray, 'f n 3']  # the same with depth, in the same unit; 0: unknown
    neutral: Float[np.ndarray, 'f n 2']  # the same person, neutral, at the same pose; its own box
    aus: Float[np.ndarray, 'f 20']  # action units as in tracks.py
    aus_valid: Float[np.ndarray, 'f 20']  # 1 where known
    turn: Float[np.ndarray, ' f']  # angle of the head's rotation, radians; infinite: unknown
    identity: Int[np.ndarray, ' f']
    motion: Int[np.ndarray, ' f']  # `pose_id`: the same pose and expression; -1 unknown


def read(part: ShardSet, points: str) -> Labelled:
    """Read all frames of a split.

    Args:
      part: split of a shard set.
      points: point set.

    Raises:
      UserError: the split has no tracks, or not the point set.
    """
    if not len(part):
        raise UserError(f'{part.directory}, split {part.split}: no tracks')
    part.require_points(points)
    names = (f'landmarks_{points}', f'reference_{points}', 'aus', 'aus_valid')
    rows: dict[str, list] = {name: [] for name in names}
    for record in tqdm(range(len(part)), unit='track', desc=f'reading {part.split}', disable=None):
        for name, value in part.fields(record, names).items():
            rows[name].append(value)
    deep, neutral, aus, known = (np.concatenate(rows[name], dtype=np.float32) for name in names)
    shape, deep = in_chunks(_boxed_deep, deep)
    turn = np.where(known[:, POSE].all(-1), np.linalg.norm(aus[:, POSE], axis=-1), np.inf)
    identity = np.repeat(part.identity, part.columns.frames)
    rest = boxed(neutral[..., :2])
    return Labelled(shape, deep, rest, aus, known, turn, identity, part.columns.pose_id)


def as_face(frames: Labelled, rows: Int[np.ndarray, ' r']) -> Face:
    """Return some of the frames as a system's functions take them."""
    return Face(
        landmarks=frames.shape[rows],
        landmarks3d=frames.deep[rows],
        aus=frames.aus[rows],
        aus_valid=frames.aus_valid[rows],
    )


@jax.jit
def _boxed(points):
    return lm.normalise(points, *lm.box(points))


@jax.jit
def _boxed_deep(points):
    """Put points with depth in units of their box; return them without depth, and with it."""
    centre, half = lm.box(points[..., :2])
    flat = lm.normalise(points[..., :2], centre, half)
    return flat, jnp.concatenate([flat, points[..., 2:] / half[..., None, None]], -1)


def boxed(points: Float[np.ndarray, 'f n 2']) -> Float[np.ndarray, 'f n 2']:
    """Put every landmark set in units of its own square bounding box."""
    return in_chunks(_boxed, points)


def in_chunks(function, *trees):
    """Call `function` on `CHUNK` rows at a time, the last ones padded: one compilation.

    Args:
      function: takes the trees' rows, returns a tree of arrays with as many rows.
      *trees: trees of arrays [f, ...].

    Returns:
      What `function` returns, a tree of arrays, its rows on the host.
    """
    chunks = []
    for start in range(0, len(jax.tree.leaves(trees)[0]), CHUNK):
        rows = jax.tree.map(lambda x, at=start: x[at : at + CHUNK], trees)
        count = len(jax.tree.leaves(rows)[0])
        more = CHUNK - count
        padded = jax.tree.map(lambda x, n=more: np.concatenate([x, np.repeat(x[-1:], n, 0)]), rows)
        chunks.append(jax.tree.map(lambda x, n=count: np.asarray(x)[:n], function(*padded)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)
