"""Landmark transfer against exact ground truth, beside rules that need no training.

Identity A with B's motion has an exact ground truth wherever both were made to perform it. A test
case is three frames: the truth (A, motion m), the driver (B, m), a source frame (A, another
motion), all drawn at random. Shapes are in units of their own box, and so is what a rule gives: the
shape is scored, not its place.

Rules, all ours, with the shapes of the source person A and of the driver B:
- `none`: the driver as it is.
- `additive, one source frame`: that frame + B - mean of B.
- `additive, both means`: mean of A + B - mean of B; takes many frames of A.
- `additive, both neutrals`: both at rest and frontal, which nobody has who has one portrait.
- `additive, both neutrals at that pose`: at rest, turned as B is now; takes 3D heads of both.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from reenact_jax.common.errors import UserError
from reenact_jax.evaluate import metrics
from reenact_jax.evaluate.papers.labelled import Labelled, as_face, boxed, in_chunks
from reenact_jax.export.trained import Trained

NONE = 'none'
ADD_TO_ONE = 'additive, one source frame'
ADD_TO_MEAN = 'additive, both means'


class Cases(NamedTuple):
    """Frame numbers of every test case."""

    truth: Int[np.ndarray, ' c']
    driver: Int[np.ndarray, ' c']
    source: Int[np.ndarray, ' c']


def draw_cases(frames: Labelled, count: int, seed: int = 0) -> Cases:
    """Draw `count` cases.

    Raises:
      UserError: no two people share a motion.
    """
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(frames.motion >= 0)
    if not len(known):
        raise UserError('the set has no motion labels (`pose_id`); make one: --crossed')
    truth = rng.choice(known, 4 * count)
    driver = alike(frames.motion, known, truth, rng)
    source = alike(frames.identity, known, truth, rng)
    keep = frames.identity[driver] != frames.identity[truth]
    keep &= frames.motion[source] != frames.motion[truth]
    if not keep.any():
        raise UserError('no motion is performed by two people of the set; make one: --crossed')
    return Cases(*(one[keep][:count] for one in (truth, driver, source)))


def alike(label, frames, given, rng) -> Int[np.ndarray, ' c']:
    """Draw a frame with the same label for every given frame.

    Args:
      label: label of every frame.
      frames: numbers of the frames to draw from.
      given: numbers of frames.
      rng: random generator.
    """
    order = frames[np.argsort(label[frames], kind='stable')]
    key = label[order]
    low = np.searchsorted(key, label[given])
    high = np.searchsorted(key, label[given], side='right')
    return order[low + (rng.random(len(given)) * (high - low)).astype(int)]


def rules(frames: Labelled, cases: Cases) -> dict[str, Float[np.ndarray, 'c n 2']]:
    """Return name of a rule -> its shapes."""
    truth, driver, source = cases
    shape, a, b = frames.shape, frames.identity[truth], frames.identity[driver]
    mean, frontal = _means(frames), _frontal(frames)
    moved = shape[driver]
    return {
        NONE: moved,
        ADD_TO_ONE: shape[source] + moved - mean[b],
        ADD_TO_MEAN: mean[a] + moved - mean[b],
        'additive, both neutrals': frontal[a] + moved - frontal[b],
        'additive, both neutrals at that pose': frames.neutral[truth]
        + moved
        - frames.neutral[driver],
    }


def _means(frames: Labelled) -> Float[np.ndarray, 'i n 2']:
    """Return the mean shape of each person, by number."""
    total = np.zeros((frames.identity.max() + 1, *frames.shape.shape[1:]))
    np.add.at(total, frames.identity, frames.shape)
    count = np.bincount(frames.identity)[:, None, None]
    return (total / np.maximum(count, 1)).astype(np.float32)


def _frontal(frames: Labelled) -> Float[np.ndarray, 'i n 2']:
    """Return the neutral shape of the frame in which each person looks straightest."""
    shapes = np.zeros((frames.identity.max() + 1, *frames.shape.shape[1:]), np.float32)
    order = np.argsort(-frames.turn, kind='stable')  # the straightest is written last
    shapes[frames.identity[order]] = frames.neutral[order]
    return shapes


def transferred(trained: Trained, frames: Labelled, cases: Cases) -> Float[np.ndarray, 'c n 2']:
    """Return the model's shapes, from one source frame each."""

    @jax.jit
    def run(source, driving):
        identity = trained.module.identify(*trained.model, source)
        return trained.module.transfer(*trained.model, identity, driving, driving)

    return in_chunks(run, as_face(frames, cases.source), as_face(frames, cases.driver))


def score(shapes, frames: Labelled, cases: Cases) -> dict[str, float]:
    """Return the mean point error, in % of the box's side, and identity leak (metrics.py)."""
    driver, truth = frames.shape[cases.driver], frames.shape[cases.truth]
    shapes = boxed(shapes)
    error = in_chunks(jax.jit(metrics.point_error), shapes, truth)
    leak = in_chunks(jax.jit(metrics.identity_leak), shapes, truth, driver)
    return {'point_error': float(error.mean()), 'identity_leak': float(leak.mean())}
