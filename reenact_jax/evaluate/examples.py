"""Pairs to look at: the best, the middle and the worst ones by a metric."""

import numpy as np
from jaxtyping import UInt8

from reenact_jax.bundle import Bundle
from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate import cases, methods
from reenact_jax.evaluate.pairs import Pairs
from reenact_jax.evaluate.scoring import Scores
from reenact_jax.geometry import images
from reenact_jax.media import writing
from reenact_jax.media.sheets import drawing

# Metrics that order pairs, the first that was measured; -1: less is better.
ORDER = {'ssim': 1, 'csim': 1, 'ed_l2': -1, 'point_error': -1}
EACH = 3  # rows of the best, of the middle and of the worst


def sheet(
    model: Bundle,
    part: ShardSet,
    pairs: Pairs,
    scores: Scores,
    placement: str = cases.AT_TRUTH,
) -> UInt8[np.ndarray, 'H W 3'] | None:
    """Source, driving, landmarks, result and truth of some pairs; None: nothing orders them."""
    method = f'{model.transfer_name} + {model.card["generator"]["system"]}'
    found = scores.values[method]
    name = next((n for n in ORDER if n in found and np.isfinite(found[n]).any()), None)
    if name is None:
        return None
    lines, captions = [], []
    for label, pair in chosen(found[name] * ORDER[name]):
        rows = pairs.rows[pair : pair + 1]
        case = cases.read(part, pairs.kind, rows, model.size, model.points, placement)
        lines.append(_line(model, case))
        captions.append(f'{label} {name} {found[name][pair]:.3f}')
    columns = 'source', 'driving', 'landmarks', 'result', 'truth'
    return writing.contact_sheet(lines, captions, columns, cell=160)


def chosen(value: np.ndarray) -> list[tuple[str, int]]:
    """(what it is, pair) by a value of which more is better; every pair at most once."""
    order = np.argsort(-np.where(np.isfinite(value), value, np.nan))
    order = order[: int(np.isfinite(value).sum())]
    middle = max((len(order) - EACH) // 2, 0)
    parts = {'best': order[:EACH], 'median': order[middle : middle + EACH], 'worst': order[-EACH:]}
    seen: dict[int, str] = {}
    for label, rows in parts.items():
        for pair in rows:
            seen.setdefault(int(pair), label)
    return [(label, pair) for pair, label in seen.items()]


def _line(model: Bundle, case: cases.Case) -> list:
    points = methods.driven(model, case)[model.transfer_name]
    result = methods.rendered(model, case.source, points)
    shown = [case.source['image'], case.driving['image'], result]
    source, driving, result = (np.asarray(images.to_uint8(one[0])) for one in shown)
    truth = None if case.truth is None else np.asarray(images.to_uint8(case.truth['image'][0]))
    return [source, driving, drawing(points[0], model.size, model.points), result, truth]
