"""Scores as tables: means with intervals, failures counted; as Markdown, plain values or CSV."""

import csv
import io
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate import others
from reenact_jax.evaluate.cases import AT_TRANSFER, AT_TRUTH
from reenact_jax.evaluate.columns import ASKED, COLUMNS, MAIN, STEADY, Column
from reenact_jax.evaluate.estimators import Card, table
from reenact_jax.evaluate.measures import FACE, REFERENCE
from reenact_jax.evaluate.metrics import frechet
from reenact_jax.evaluate.pairs import COLUMNS as LIST_COLUMNS
from reenact_jax.evaluate.pairs import NONE, Pairs
from reenact_jax.evaluate.scoring import REAL, Scores

RESAMPLES = 2000
NAME = 'table.md'
_PLACED = {
    AT_TRUTH: '',
    AT_TRANSFER: '\nFaces lie where the transfer puts them, not moved to where the truth has its.',
}
_ARRIVING = """## Asked change

How much of the requested change the result shows: slope of what is found in it on what its
landmarks ask for (1: all of it, 0: nothing moves), over the tracks where that moves at all.
Sharpness: variance of the Laplacian in the face's box, over the ground truth's, or the source's
where there is none."""

_STEADY = """## Steadiness

Flicker: mean change between neighbouring frames while the driver rests, over that of the truth.
Jitter: second differences of the landmarks found, over those of the truth, or of the driver where
there is none. Neighbouring frames are those that the set stores one after the other."""


class Mean(NamedTuple):
    """A mean over pairs and its 95% bootstrap interval."""

    mean: float
    low: float
    high: float
    count: int  # how many pairs
    with_failures: float | None  # with failures as the worst; None: it needs no face


def summary(scores: Scores, seed: int = 0) -> dict[str, dict[str, Mean]]:
    """Return the means: method -> metric -> mean.

    The interval is the percentile bootstrap's over cases, since frames of one track are not
    independent. If the estimator finds no face in a pair's source, driving or true frame, the pair
    is left out of every method's means that need one.
    """
    means: dict = {}
    for method, values in scores.values.items():
        means[method] = {}
        for name, column in COLUMNS.items():
            if name in values and np.isfinite(values[name]).any():
                mean, low, high = bootstrap(values[name], scores.case, seed)
                count = int(np.isfinite(values[name]).sum())
                filled = None
                if column.worst is not None and REFERENCE in values:
                    all_pairs = np.where(values[FACE] > 0, values[name], column.worst)
                    filled = float(np.nanmean(all_pairs[values[REFERENCE] > 0]))
                means[method][name] = Mean(mean, low, high, count, filled)
    return means


def bootstrap(
    values: Float[np.ndarray, ' p'], case: Int[np.ndarray, ' p'], seed: int = 0
) -> tuple[float, float, float]:
    """Return the mean of the finite values and its 95% interval when whole cases are drawn again.

    Args:
      values: one per pair; NaN: not measured.
      case: number of each pair's case.
      seed: random seed of the resampling.
    """
    known = np.isfinite(values)
    _, number = np.unique(case[known], return_inverse=True)
    sums, counts = np.bincount(number, values[known]), np.bincount(number)
    rng = np.random.default_rng(seed)
    weight = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES)
    low, high = np.quantile(weight @ sums / (weight @ counts), [0.025, 0.975])
    return float(values[known].mean()), float(low), float(high)


def rates(scores: Scores) -> dict[str, float]:
    """Return method -> share of results without a face, among pairs whose references have one."""
    shares = {}
    for method, values in scores.values.items():
        if FACE in values and (values[REFERENCE] > 0).any():
            shares[method] = float(1 - values[FACE][values[REFERENCE] > 0].mean())
    return shares


def distances(scores: Scores) -> dict[str, float]:
    """Return method -> Frechet distance of its images' features to those of the real ones."""
    if REAL not in scores.features:
        return {}
    real = scores.features[REAL]
    return {name: frechet(x, real) for name, x in scores.features.items() if name != REAL}


def plain(scores: Scores) -> str:
    """Write the means alone as Markdown: a row per method, a column per metric that any has."""
    names = [name for name in MAIN if any(name in v for v in scores.values.values())]
    lines = [_row(['method', *(COLUMNS[name].heading for name in names)]), _rule(len(names))]
    for method in scores.values:
        means = [(scores.mean(method, name), COLUMNS[name].decimals) for name in names]
        lines.append(_row([method, *('' if m is None else f'{m:.{d}f}' for m, d in means)]))
    return '\n'.join(lines)


def document(scores: Scores, what: dict, cards: list[Card]) -> str:
    """Write the table, and what it is a table of: model, data, pairs, estimators."""
    features = next((c.name for c in reversed(cards) if c.measures in ('features', 'identity')), '')
    transfer = what['transfer']['system'] if what['transfer'] else 'none'
    parts = [
        f"""# Evaluation

{what['model']}: {what['generator']['system']} with transfer {transfer}, {what['size']} pixels.
Data {what['data']} (digest {what['digest']}), split {what['split']}; {what['count']} pairs of
{what['pairs']}, seed {what['seed']}. Means over pairs with 95% bootstrap intervals over tracks.
The driver's pose and action units are {what['driver']}.{_PLACED[what['placement']]}
{what.get('short', '')}""".rstrip(),
        markdown(scores, features),
        arriving(scores),
        steady(scores),
        others.section(what.get('results', {}), dict(scores.alignment)),
        table(cards) if cards else 'No estimator of faces.',
    ]
    return '\n\n'.join(part for part in parts if part) + '\n'


def values(scores: Scores) -> dict:
    """Return everything as plain values."""
    means, failed, far = summary(scores), rates(scores), distances(scores)
    return {
        method: {name: mean._asdict() for name, mean in row.items()}
        | ({'no_face': failed[method]} if method in failed else {})
        | ({'frechet': far[method]} if np.isfinite(far.get(method, np.nan)) else {})
        for method, row in means.items()
    }


def markdown(scores: Scores, features: str) -> str:
    """Write means with intervals as Markdown, and beside them what failures do to them.

    Args:
      scores: what to write.
      features: name of the features that the Frechet distance is measured with.
    """
    means, failed, far = summary(scores), rates(scores), distances(scores)
    names = [name for name in MAIN if any(name in row for row in means.values())]
    titles = [COLUMNS[name].heading for name in names]
    more = ([f'Frechet distance, {features} (less)'] if far else []) + (
        ['no face found'] if failed else []
    )
    lines = [_row(['method', *titles, *more]), _rule(len(titles + more))]
    for method, row in means.items():
        cells = [_interval(row.get(name), COLUMNS[name].decimals) for name in names]
        cells += [f'{far[method]:.4f}'] if far else []
        cells += [f'{100 * failed[method]:.1f}%'] if failed else []
        lines.append(_row([method, *cells]))
    if any(failed.values()):
        lines += ['', *_with_failures(means, names)]
    return '\n'.join(lines)


def arriving(scores: Scores) -> str:
    """Write the requested change as a table of its own, Markdown; '' where nothing was measured."""
    return _section(scores, ASKED, _ARRIVING)


def steady(scores: Scores) -> str:
    """Write flicker and jitter as a table of its own, Markdown; '' where neither was measured."""
    return _section(scores, STEADY, _STEADY)


def _section(scores: Scores, columns: dict[str, Column], text: str) -> str:
    means = summary(scores)
    names = [name for name in columns if any(name in row for row in means.values())]
    if not names:
        return ''
    lines = [_row(['method', *(columns[name].heading for name in names)]), _rule(len(names))]
    for method, row in means.items():
        cells = [_interval(row.get(name), columns[name].decimals) for name in names]
        lines.append(_row([method, *cells]))
    return '\n'.join([text, '', *lines])


def _with_failures(means_of: dict, names: list[str]) -> list[str]:
    """Return lines of the means with failures counted as the worst there is."""
    names = [name for name in names if COLUMNS[name].worst is not None]
    worst = ', '.join(f'{COLUMNS[n].heading.split(" (")[0]} {COLUMNS[n].worst:.3g}' for n in names)
    lines = [
        f'The same means with results that show no face counted as the worst there is ({worst}):',
        '',
        _row(['method', *(COLUMNS[name].heading for name in names)]),
        _rule(len(names)),
    ]
    for method, row in means_of.items():
        means = [(row.get(name), COLUMNS[name].decimals) for name in names]
        lines.append(
            _row([method, *('' if m is None else f'{m.with_failures:.{d}f}' for m, d in means)])
        )
    return lines


def rows(scores: Scores, pairs: Pairs, part: ShardSet) -> str:
    """Write a CSV: a row for each pair and method, empty where nothing could be measured."""
    text, names = io.StringIO(), part.columns.track_id
    measured = {name for values in scores.values.values() for name in values}
    metrics = [name for name in (*COLUMNS, FACE, REFERENCE) if name in measured]
    lines = csv.writer(text, lineterminator='\n')
    lines.writerow(['pair', *LIST_COLUMNS, 'method', *metrics])
    for number, row in enumerate(pairs.rows.tolist()):
        truth = [names[row[4]], row[5]] if row[4] != NONE else ['', '']
        where = [number, names[row[0]], row[1], names[row[2]], row[3], *truth]
        for method, values in scores.values.items():
            lines.writerow([*where, method, *(_number(values, name, number) for name in metrics)])
    return text.getvalue()


def _number(values: dict, name: str, pair: int) -> str:
    value = values[name][pair] if name in values else np.nan
    return f'{value:.6g}' if np.isfinite(value) else ''


def _interval(mean: Mean | None, decimals: int) -> str:
    if mean is None:
        return ''
    return f'{mean.mean:.{decimals}f} ({mean.low:.{decimals}f} to {mean.high:.{decimals}f})'


def _row(cells: list[str]) -> str:
    return '| ' + ' | '.join(cells) + ' |'


def _rule(columns: int) -> str:
    return '|---' * (columns + 1) + '|'
