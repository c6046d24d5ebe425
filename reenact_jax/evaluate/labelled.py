"""Labelled landmarks of a split, as arrays: who, which motion, and the same face at rest."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from reenact_jax import landmarks as lm
from reenact_jax.errors import UserError
from reenact_jax.shards import ShardSet
from reenact_jax.tracks import POSE

CHUNK = 8192  # frames in one call on the device


class Labelled(NamedTuple):
    """Frames of a split; landmarks in units of their own box, [-1, 1] (LD-Net's input)."""

    shape: Float[np.ndarray, 'f n 2']
    deep: Float[np.ndarray, 'f n 3']  # the same with depth, in the same unit; 0: unknown
    neutral: Float[np.ndarray, 'f n 2']  # the same person, neutral, at the same pose; its own box
    turn: Float[np.ndarray, ' f']  # angle of the head's rotation, radians; infinite: unknown
    identity: Int[np.ndarray, ' f']
    motion: Int[np.ndarray, ' f']  # `pose_id`: the same pose and expression; -1 unknown


def read(part: ShardSet, points: str) -> Labelled:
    """All frames of a split. Raises UserError when it has none, or not the point set `points`."""
    if not len(part):
        raise UserError(f'{part.directory}, split {part.split}: no tracks')
    part.require_points(points)
    names = (f'landmarks_{points}', f'reference_{points}', 'aus', 'aus_valid')
    rows: dict[str, list] = {name: [] for name in names}
    for record in tqdm(range(len(part)), unit='track', desc=f'reading {part.split}', disable=None):
        track = part.track(record, frozenset(names))
        for name in names:
            value = getattr(track, name)
            rows[name].append(value if name.endswith(points) else value[:, POSE])
    deep, neutral, angles, known = (np.concatenate(rows[name]) for name in names)
    shape, deep = in_chunks(_boxed_deep, np.float32(deep))
    turn = np.where(known.all(-1), np.linalg.norm(angles, axis=-1), np.inf)
    identity = np.repeat(part.identity, part.columns.frames)
    return Labelled(shape, deep, boxed(neutral[..., :2]), turn, identity, part.columns.pose_id)


@jax.jit
def _boxed(points):
    return lm.normalise(points, *lm.box(points))


@jax.jit
def _boxed_deep(points):
    """Points with depth in units of their box: without depth, and with it."""
    centre, half = lm.box(points[..., :2])
    flat = lm.normalise(points[..., :2], centre, half)
    return flat, jnp.concatenate([flat, points[..., 2:] / half[..., None, None]], -1)


def boxed(points: Float[np.ndarray, 'f n 2']) -> Float[np.ndarray, 'f n 2']:
    """Every landmark set in units of its own square bounding box."""
    return in_chunks(_boxed, points)


def in_chunks(function, *arrays: np.ndarray):
    """`function` over `CHUNK` rows at a time, the last ones padded: one compilation.

    Returns what `function` does, a tree of arrays, its rows on the host.
    """
    made = []
    for start in range(0, len(arrays[0]), CHUNK):
        rows = [array[start : start + CHUNK] for array in arrays]
        count = len(rows[0])
        padded = [np.concatenate([r, np.repeat(r[-1:], CHUNK - count, 0)]) for r in rows]
        made.append(jax.tree.map(lambda x, n=count: np.asarray(x)[:n], function(*padded)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *made)
