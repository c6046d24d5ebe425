"""FReeNet's ACE (table 3): converted landmarks against ground truth, in pixels at 256 x 256.

    reenact-jax prepare synthetic --out data/expressions --landmarks-only --crossed --own-poses \\
        --identities 100 --tracks 20 --val-identities 0 --test-identities 0 --cross-pairs 0 --seed 1
    reenact-jax evaluate ace --model out/ulc --data data/expressions --split train

A case is the truth (person A, an expression), the same face at rest, and a driver: another person B
with that expression by its label. Where the model keeps the portrait's pose (FReeNet's paper) the
face at rest is at the truth's pose and in its place, the driver at any pose. Where it takes the
driver's pose, the driver shares the label of the pose, the face at rest is of another frame of A,
and results are put into the truth's box. The people must not have been in the training.

Beside the models: `none`, the driver's own landmarks in the truth's box; `at rest`, the source as
it is; `additive`, the source + driver - driver at rest, in units of the boxes of those at rest; and
with --fit, the people of the training, `ridge regression` (ridge.py).
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import Face
from reenact_jax.evaluate import metrics
from reenact_jax.evaluate.papers import ridge
from reenact_jax.evaluate.papers.labelled import in_chunks
from reenact_jax.evaluate.papers.transfer_rules import alike
from reenact_jax.export.trained import Trained
from reenact_jax.geometry import landmarks as lm
from reenact_jax.systems.interface import member


class Frames(NamedTuple):
    """Labelled frames of a split; points in pixels of their crops."""

    points: Float[np.ndarray, 'f n 2']
    rest: Float[np.ndarray, 'f n 2']  # the same person, neutral, at the same pose and place
    identity: Int[np.ndarray, ' f']
    expression: Int[np.ndarray, ' f']
    pose: Int[np.ndarray, ' f']
    size: int  # side of the crops


class Cases(NamedTuple):
    """Frame numbers of every case; the reference is `rest` of its frame."""

    truth: Int[np.ndarray, ' c']
    driver: Int[np.ndarray, ' c']
    reference: Int[np.ndarray, ' c']


def measure(
    models: dict[str, Trained],
    part: ShardSet,
    count: int,
    seed: int = 0,
    learnt: ShardSet | None = None,
) -> dict:
    """Measure the models and the rules.

    Args:
      models: name -> model that converts landmarks.
      part: split of a shard set.
      count: how many cases are drawn.
      seed: random seed of the cases.
      learnt: split to which ridge regression is fitted; None: there is none.

    Returns:
      Name of a rule or model -> {'ace': mean, 'error': standard error of it}.

    Raises:
      UserError: a model does not convert, or not as the others do, or the data lack the labels.
    """
    kinds = {(model.points, getattr(model.hp, 'pose', 'driving')) for model in models.values()}
    if len(kinds) > 1:
        raise UserError('--model: of different point sets or poses; measure them one by one')
    ((points, pose),) = kinds
    frames = read(part, points)
    cases = draw_cases(frames, pose, count, seed)
    results = rules(frames, cases)
    if learnt is not None:
        results['ridge regression'] = regressed(read(learnt, points), frames, cases, pose, count)
    for name, model in models.items():
        results[name] = converted(model, frames, cases)
    return {name: score(shapes, frames, cases, pose, name) for name, shapes in results.items()}


def read(part: ShardSet, points: str) -> Frames:
    """Read all frames of a split.

    Raises:
      UserError: the split has no tracks, or not the point set.
    """
    if not len(part):
        raise UserError(f'{part.directory}, split {part.split}: no tracks')
    part.require_points(points)
    names = (f'landmarks_{points}', f'reference_{points}')
    rows: dict[str, list] = {name: [] for name in names}
    for record in tqdm(range(len(part)), unit='track', desc=f'reading {part.split}', disable=None):
        for name, value in part.fields(record, names).items():
            rows[name].append(value[..., :2])
    identity = np.repeat(part.identity, part.columns.frames)
    columns = part.columns
    shapes, neutral = (np.concatenate(rows[name]) for name in names)
    return Frames(
        shapes, neutral, identity, columns.expression, columns.pose_id, int(columns.size[0])
    )


def draw_cases(frames: Frames, pose: str, count: int, seed: int = 0) -> Cases:
    """Draw `count` cases.

    Args:
      frames: what `read` returned.
      pose: whose pose a result has: 'reference' or 'driving'.
      count: how many.
      seed: random seed.

    Raises:
      UserError: no two people share the labels.
    """
    rng = np.random.default_rng(seed)
    label = frames.expression
    if pose == 'driving':
        both = np.stack([frames.expression, frames.pose], 1)
        label = np.unique(both, axis=0, return_inverse=True)[1].ravel()
        label = np.where((both >= 0).all(1), label, -1)
    known = np.flatnonzero(label >= 0)
    need = 'expression and pose' if pose == 'driving' else 'expression'
    error = UserError(f'no two people of the set share a label of {need}; see the --help of ace')
    if not len(known):
        raise error
    truth = rng.choice(known, 4 * count)
    driver = alike(label, known, truth, rng)
    reference = truth if pose == 'reference' else alike(frames.identity, known, truth, rng)
    keep = frames.identity[driver] != frames.identity[truth]
    if not keep.any():
        raise error
    return Cases(*(one[keep][:count] for one in (truth, driver, reference)))


def rules(frames: Frames, cases: Cases) -> dict[str, Float[np.ndarray, 'c n 2']]:
    """Return the results of rules that need no training, in pixels."""
    driver, rest = frames.points[cases.driver], frames.rest[cases.reference]

    @jax.jit
    def additive(rest, driver, at_rest):
        box = lm.box(at_rest)
        motion = lm.normalise(driver, *box) - lm.normalise(at_rest, *box)
        rest_box = lm.box(rest)
        return lm.denormalise(lm.normalise(rest, *rest_box) + motion, *rest_box)

    same = in_chunks(jax.jit(metrics.same_box), driver, frames.points[cases.truth])
    added = in_chunks(additive, rest, driver, frames.rest[cases.driver])
    return {'none': same, 'at rest': rest, 'additive': added}


def regressed(
    learnt: Frames, frames: Frames, cases: Cases, pose: str, count: int
) -> Float[np.ndarray, 'c n 2']:
    """Return the results of ridge regression, in pixels.

    Args:
      learnt: frames to which it is fitted, with cases of the same kind.
      frames: what `read` returned.
      cases: of those frames.
      pose: whose pose a result has: 'reference' or 'driving'.
      count: how many cases it is fitted to.
    """
    drawn = draw_cases(learnt, pose, count)
    rest, driver, truth = _boxes(learnt, drawn, pose)
    convert = ridge.fit(rest, driver, truth, learnt.identity[drawn.truth])
    rest, driver, _ = _boxes(frames, cases, pose)
    made = np.float32(convert(rest, driver))
    back = jax.jit(lambda made, rest: lm.denormalise(made, *lm.box(rest)))
    return in_chunks(back, made, frames.rest[cases.reference])


def _boxes(frames: Frames, cases: Cases, pose: str) -> tuple:
    """Return reference, driver and truth in units of boxes: their own, the truth the reference's.

    Where the pose is the driver's, the truth is in units of its own box.
    """

    @jax.jit
    def inside(rest, driver, truth):
        box = lm.box(rest if pose == 'reference' else truth)
        own = (lm.normalise(one, *lm.box(one)) for one in (rest, driver))
        return *own, lm.normalise(truth, *box)

    rest, driver, truth = cases.reference, cases.driver, cases.truth
    return in_chunks(inside, frames.rest[rest], frames.points[driver], frames.points[truth])


def converted(model: Trained, frames: Frames, cases: Cases) -> Float[np.ndarray, 'c n 2']:
    """Return the model's landmarks, in pixels of the reference's crop.

    Raises:
      UserError: the model is driven by more than landmarks.
    """
    if more := set(member(model.module, 'DRIVEN_BY')) - {'landmarks'}:
        raise UserError(
            f'{model.system} needs {", ".join(sorted(more))}, which this test does not have'
        )

    @jax.jit
    def run(reference, driver):
        driving = Face(landmarks=driver)
        identity = model.module.identify(*model.model, Face(landmarks=reference))
        return model.module.transfer(*model.model, identity, driving, driving)

    return in_chunks(run, frames.rest[cases.reference], frames.points[cases.driver])


def score(shapes, frames: Frames, cases: Cases, pose: str, name: str) -> dict[str, float]:
    """Return the mean ACE and its standard error.

    Raises:
      UserError: a result is not finite.
    """
    truth = frames.points[cases.truth]
    if pose == 'driving':
        shapes = in_chunks(jax.jit(metrics.same_box), shapes, truth)
    values = in_chunks(jax.jit(lambda a, b: metrics.ace(a, b, frames.size)), shapes, truth)
    if not np.isfinite(values).all():
        raise UserError(f'{name}: some results are not finite')
    return {'ace': float(values.mean()), 'error': float(values.std() / np.sqrt(len(values)))}


def text(found: dict) -> str:
    """Write the results as a Markdown table."""
    lines = ['| rule or model | ACE, pixels at 256 x 256 |', '|---|---|']
    lines += [f'| {name} | {row["ace"]:.3f} +- {row["error"]:.3f} |' for name, row in found.items()]
    return '\n'.join([*lines, '', '+-: standard error over the cases.'])
