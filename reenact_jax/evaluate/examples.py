"""Pairs to look at: the best, the middle and the worst ones by a metric."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from reenact_jax.bundle import LANDMARKS, Bundle
from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate import cases, methods
from reenact_jax.evaluate.others import Other
from reenact_jax.evaluate.pairs import Pairs
from reenact_jax.evaluate.scoring import Scores
from reenact_jax.geometry import images, keypoints
from reenact_jax.media import writing
from reenact_jax.media.sheets import drawing

# Metrics that can order pairs: the first one that was measured does; -1: less is better.
ORDER = {'ssim': 1, 'csim': 1, 'ed_l2': -1, 'point_error': -1}
EACH = 3  # rows for the best, for the middle and for the worst


def sheet(
    model: Bundle,
    part: ShardSet,
    pairs: Pairs,
    scores: Scores,
    placement: str = cases.AT_TRUTH,
    theirs: Sequence[Other] = (),
) -> UInt8[np.ndarray, 'H W 3'] | None:
    """Draw source, driving, landmarks, result, those of others and ground truth of some pairs.

    Args:
      model: the model.
      part: split of a shard set.
      pairs: the list that was scored.
      scores: its scores.
      placement: where faces were scored, of `cases.PLACEMENTS`.
      theirs: results of other programs.

    Returns:
      The sheet; None if no metric orders the pairs.
    """
    method = f'{model.transfer_name} + {model.card["generator"]["system"]}'
    values = scores.values[method]
    name = next((n for n in ORDER if n in values and np.isfinite(values[n]).any()), None)
    if name is None:
        return None
    lines, captions, groups = [], [], pairs.groups()
    for label, pair in chosen(values[name] * ORDER[name]):
        rows = pairs.rows[pair : pair + 1]
        case = cases.read(part, pairs.kind, rows, model.size, model.points, placement)
        number = int(scores.case[pair])
        place = int(np.flatnonzero((groups[number] == rows).all(1))[0])
        count = len(groups[number])
        others = [one.frames(number, count, model.size)[place] for one in theirs]
        lines.append(_line(model, case, others))
        captions.append(f'{label} {name} {values[name][pair]:.3f}')
    names = [one.name for one in theirs]
    columns = ['source', 'driving', 'landmarks', 'result', *names, 'truth']
    return writing.contact_sheet(lines, captions, columns, cell=160)


def chosen(value: np.ndarray) -> list[tuple[str, int]]:
    """Choose the best, the middle and the worst pairs, every pair at most once.

    Args:
      value: one value per pair, more is better; NaN: not measured.

    Returns:
      (label, number of the pair).
    """
    order = np.argsort(-np.where(np.isfinite(value), value, np.nan))
    order = order[: int(np.isfinite(value).sum())]
    middle = max((len(order) - EACH) // 2, 0)
    parts = {'best': order[:EACH], 'median': order[middle : middle + EACH], 'worst': order[-EACH:]}
    seen: dict[int, str] = {}
    for label, rows in parts.items():
        for pair in rows:
            seen.setdefault(int(pair), label)
    return [(label, pair) for pair, label in seen.items()]


def _line(model: Bundle, case: cases.Case, others: list) -> list:
    """Draw a row of the sheet."""
    motion, points_of = methods.motion(model, case), model.points
    result = methods.rendered(model, case.source, motion)
    if model.motion != LANDMARKS:
        motion, points_of = np.asarray(keypoints.in_pixels(motion, model.size)), None
    shown = [case.source['image'], case.driving['image'], result]
    source, driving, result = (np.asarray(images.to_uint8(face[0])) for face in shown)
    truth = None if case.truth is None else np.asarray(images.to_uint8(case.truth['image'][0]))
    lines = drawing(motion[0], model.size, points_of)
    theirs = [np.asarray(images.to_uint8(one)) for one in others]
    return [source, driving, lines, result, *theirs, truth]
