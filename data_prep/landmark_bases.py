"""The bases of MarioNETte's landmark transformer, fitted on the landmarks of a shard set.

    reenact-jax prepare bases --data data/heads --out bases.npz
    reenact-jax train --config marionette --data data/heads \\
        --config.hparams.bases=bases.npz --workdir out/marionette

Repeated fits of the 3D landmarks to their mean remove size, place and rotation (generalised
Procrustes analysis, starting at the frame with the straightest pose). Each person's mean is
subtracted, and principal components are computed of the rest, one group of face parts at a time.
Prints the share of the variance that each group's components explain. The landmarks of the set must
have depth (z).
"""

import functools
import json

import jax
import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from reenact_jax.common import data_flag, errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import POSE
from reenact_jax.evaluate.papers.labelled import in_chunks
from reenact_jax.geometry import layouts, rigid
from reenact_jax.systems import marionette

ROUNDS = 5  # of the alignment; the mean moves by less than 0.1 % in the last


def read(part: ShardSet, points: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Read the landmarks of a split.

    Args:
      part: the split.
      points: the point set.

    Returns:
      Landmarks [f, n, 3], people [f], and the number of the frame with the straightest pose.

    Raises:
      UserError: the set lacks the point set or depth.
    """
    part.require_points(points)
    name = f'landmarks_{points}'
    rows, turns = [], []
    for record in tqdm(range(len(part)), unit='track', desc=f'reading {part.split}', disable=None):
        track = part.fields(record, (name, 'aus', 'aus_valid'))
        rows.append(np.float32(track[name]))
        known = track['aus_valid'][:, POSE].all(-1)
        turns.append(np.where(known, np.linalg.norm(track['aus'][:, POSE], axis=-1), np.inf))
    landmarks = np.concatenate(rows)
    if not np.ptp(landmarks[..., 2]):
        raise UserError(
            f'{part.directory}: its landmarks have no depth, which these bases need; take tracks '
            'of data_prep.synthetic or data_prep.videos'
        )
    identity = np.repeat(part.identity, part.columns.frames)
    return landmarks, identity, int(np.argmin(np.concatenate(turns)))


def align(landmarks: Float[np.ndarray, 'f n 3'], first: int) -> Float[np.ndarray, 'f n 3']:
    """Align all shapes around 0; the points of their mean have a mean square distance of 1 to it.

    Args:
      landmarks: of all frames.
      first: number of the frame whose rotation all shapes get.
    """
    reference = _unit(landmarks[first])
    for _ in range(ROUNDS):
        shapes = in_chunks(functools.partial(_aligned, reference), landmarks)
        reference = _unit(shapes.mean(0))
    return in_chunks(functools.partial(_aligned, reference), landmarks)


@jax.jit
def _aligned(reference, rows):
    return rigid.remove(rows, rigid.fit(rows, reference))


def _unit(shape: Float[np.ndarray, 'n 3']) -> Float[np.ndarray, 'n 3']:
    around = shape - shape.mean(0)
    return np.float32(around / np.sqrt((around**2).sum(-1).mean()))


def fit(
    shapes: Float[np.ndarray, 'f n 3'],
    identity: Int[np.ndarray, ' f'],
    layout: layouts.Layout,
    components: int,
) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, int]], dict[str, float]]:
    """Compute the bases.

    Args:
      shapes: of `align`.
      identity: person of each frame.
      layout: of the point set.
      components: most of each group; a group of p points has 3 p.

    Returns:
      Arrays of the file, rows of the basis by group, share of the variance explained by group.
    """
    counts = np.bincount(identity)
    person = np.zeros((len(counts), *shapes.shape[1:]))
    np.add.at(person, identity, shapes)
    person = (person / np.maximum(counts, 1)[:, None, None]).astype(np.float32)
    rest = shapes - person[identity]
    bases, deviations, groups, explained, row = [], [], {}, {}, 0
    for group in marionette.GROUPS:
        points = list(marionette.group_points(layout, group))
        flat = rest[:, points].reshape(len(rest), -1).astype(np.float64)
        values, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
        kept = min(components, len(values))
        values, vectors = values[::-1], vectors.T[::-1]
        basis = np.zeros((kept, *shapes.shape[1:]))
        basis[:, points] = vectors[:kept].reshape(kept, -1, 3)
        bases.append(basis)
        deviations.append(np.sqrt(np.maximum(values[:kept], 0)))
        groups[group], row = (row, row + kept), row + kept
        explained[group] = float(values[:kept].sum() / values.sum())
    arrays = {
        'mean': shapes.mean(0),
        'person': person,
        'basis': np.concatenate(bases),
        'deviation': np.concatenate(deviations),
    }
    return {k: v.astype(np.float32) for k, v in arrays.items()}, groups, explained


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax prepare bases',
        description=__doc__,
    )
    data_flag.add(parser, 'shard set that the transformer is to be trained on')
    add = parser.add_argument
    add('--out', required=True, metavar='FILE.npz', help='file to write')
    add('--points', default='68', choices=tuple(layouts.LAYOUTS), help='point set; default 68')
    add('--split', default='train', metavar='NAME', help='split to read; default train')
    text = 'most components of each group of face parts; default 24'
    add('--components', type=int, default=24, metavar='N', help=text)
    args = data_flag.parse(parser, arguments)
    if args.components < 1:
        raise UserError('landmark_bases: --components of 1 or more')
    part = ShardSet(args.data, args.split)
    landmarks, identity, first = read(part, args.points)
    shapes = align(landmarks, first)
    bases = fit(shapes, identity, layouts.layout(args.points), args.components)
    arrays, groups, explained = bases
    storage.write(args.out, marionette.save(arrays, groups))
    summary = {'out': args.out, 'frames': len(shapes), 'people': part.people}
    print(json.dumps(summary | {'explained': {k: round(v, 4) for k, v in explained.items()}}))
    return 0


if __name__ == '__main__':
    errors.command(main)
