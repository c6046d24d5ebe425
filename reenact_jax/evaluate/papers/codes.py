"""What a code keeps and what it forgets: LD-Net's table 1, and telling people apart.

Table 1 ("One-Shot Identity-Preserving Portrait Reenactment", section 4.2): the mean Euclidean
distance between the codes of two frames that share the identity, or the pose and expression, or
neither, after a PCA of the pooled test codes to 8 dimensions. It is not whitened (the paper does
not say). Only the ratio to the last row says something: the scale of a code is arbitrary.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from reenact_jax.common.errors import UserError

DIMENSIONS = 8  # dimensions after the PCA, section 4.2
PATTERNS = ('same identity', 'same pose and expression', 'both different')
Pairs = Int[np.ndarray, 'p 2']


def principal(codes: Float[np.ndarray, 'f c'], dimensions: int = DIMENSIONS) -> np.ndarray:
    """Project codes on their largest principal components, [f, dimensions], not whitened."""
    centred = codes.astype(np.float64) - codes.mean(0, dtype=np.float64)
    _, basis = np.linalg.eigh(centred.T @ centred)  # ascending
    return centred @ basis[:, ::-1][:, :dimensions]


def pattern_pairs(
    identity: Int[np.ndarray, ' f'], motion: Int[np.ndarray, ' f'], count: int, seed: int = 0
) -> dict[str, Pairs]:
    """Draw pairs of each pattern of table 1.

    Frames of unknown motion (-1) take part in no pair. Where no motion is known at all, every frame
    counts as a motion of its own, and the pattern of the same motion is left out.

    Args:
      identity: number of each frame's person.
      motion: number of each frame's motion; -1: unknown.
      count: pairs of each pattern.
      seed: random seed.

    Returns:
      Pattern -> `count` pairs of frame numbers, drawn with replacement.

    Raises:
      UserError: a pattern has no pair.
    """
    rng = np.random.default_rng(seed)
    sharing = (identity, motion), (motion, identity), (None, None)
    groups = dict(zip(PATTERNS, sharing, strict=True))
    known = np.flatnonzero(motion >= 0)
    if not len(known):
        motion = known = np.arange(len(motion))
        groups = {PATTERNS[0]: (identity, motion), PATTERNS[2]: (None, None)}
    drawn = {}
    for pattern, (group, other) in groups.items():
        pairs = _draw(known, group, count, rng)
        if group is None or other is None:
            keep = (identity[pairs[:, 0]] != identity[pairs[:, 1]]) & (
                motion[pairs[:, 0]] != motion[pairs[:, 1]]
            )
        else:
            keep = other[pairs[:, 0]] != other[pairs[:, 1]]
        if not keep.any():
            raise UserError(f'the set has no two frames with {pattern}; it needs both labels')
        # Too few of one pattern only repeats pairs.
        drawn[pattern] = np.resize(pairs[keep], (count, 2))
    return drawn


def _draw(frames, group, count: int, rng) -> Pairs:
    """Draw twice as many pairs as asked for: of any two frames, or of two frames of one group."""
    first = rng.choice(frames, 2 * count)
    if group is None:
        return np.stack([first, rng.choice(frames, 2 * count)], 1)
    order = frames[np.argsort(group[frames], kind='stable')]
    key = group[order]
    low = np.searchsorted(key, group[first])
    high = np.searchsorted(key, group[first], side='right')
    second = order[low + (rng.random(2 * count) * (high - low)).astype(int)]
    return np.stack([first, second], 1)


def mean_distances(codes: Float[np.ndarray, 'f c'], pairs: dict[str, Pairs]) -> dict[str, float]:
    """Return pattern -> mean Euclidean distance of its pairs, in the PCA of all codes."""
    small = principal(codes)
    return {
        name: float(np.linalg.norm(small[two[:, 0]] - small[two[:, 1]], axis=-1).mean())
        for name, two in pairs.items()
    }


def verification_auc(
    codes: Float[np.ndarray, 'f c'], identity: Int[np.ndarray, ' f'], most: int = 1_000_000,
    seed: int = 0,
) -> float:  # fmt: skip
    """Return the area under the ROC curve of "the same person" by Euclidean distance.

    It is 0.5 for chance and 1 for perfect: the probability that two frames of one person are nearer
    than two of different people.

    Args:
      codes: codes of frames.
      identity: number of each frame's person.
      most: how many pairs of either kind are drawn.
      seed: random seed.

    Raises:
      UserError: nobody has two frames, or one person has all.
    """
    rng = np.random.default_rng(seed)
    frames = np.arange(len(identity))
    same = _draw(frames, identity, most, rng)
    same = same[same[:, 0] != same[:, 1]][:most]
    other = _draw(frames, None, most, rng)
    other = other[identity[other[:, 0]] != identity[other[:, 1]]][:most]
    if not len(same) or not len(other):
        raise UserError('verification needs two people, and two frames of one of them')
    distance = [
        np.linalg.norm(codes[two[:, 0]] - codes[two[:, 1]], axis=-1) for two in (same, other)
    ]
    ranks = rankdata(np.concatenate(distance))[: len(same)]
    wins = ranks.sum() - len(same) * (len(same) + 1) / 2  # Mann and Whitney: same further apart
    return float(1 - wins / (len(same) * len(other)))
