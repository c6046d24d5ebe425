"""Scores of pairs: a value for every pair, method and metric; case by case, resumable."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Float
from tqdm import tqdm

from reenact_jax.bundle import Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate import (
    alignment,
    arrivals,
    asked,
    cases,
    estimators,
    measures,
    methods,
    metrics,
    progress,
    steadiness,
)
from reenact_jax.evaluate.alignment import Alignment
from reenact_jax.evaluate.cases import Case
from reenact_jax.evaluate.measures import FACE, REFERENCE
from reenact_jax.evaluate.others import Other
from reenact_jax.evaluate.pairs import Pairs

REAL = 'real'  # the name of the real images' features


class Estimators(NamedTuple):
    """What measures faces; None: nothing does, and what depends on it is not measured."""

    identity: estimators.Identity | estimators.Own | estimators.Brought | None = None
    attributes: estimators.Attributes | None = None
    features: estimators.Features | estimators.Own | estimators.Brought | None = None
    distance: bool = True  # keep features for the Frechet distance, by default those of identity

    def cards(self) -> list[estimators.Card]:
        """Return the cards of all estimators that there are."""
        return [one.card for one in self[:3] if one is not None]


class Scores(NamedTuple):
    """Method -> metric -> one value per pair, NaN where it could not be measured."""

    values: dict[str, dict[str, Float[np.ndarray, ' p']]]
    features: dict[str, Float[np.ndarray, 'p n']]  # method or `REAL` -> features of images
    case: Float[np.ndarray, ' p']  # number of each pair's case: pairs of a case are not independent
    alignment: Mapping[str, list[Alignment]] = {}  # other program -> where its cases lie

    def mean(self, method: str, metric: str) -> float | None:
        """Return the mean over all pairs; None if the method has no such metric."""
        values_of = self.values[method].get(metric)
        return None if values_of is None else float(np.nanmean(values_of))


def score(
    bundle: Bundle,
    part: ShardSet,
    pairs: Pairs,
    measure: Estimators = Estimators(),
    kept: epath.PathLike | None = None,
    stored: bool = False,
    placement: str = cases.AT_TRUTH,
    others: Sequence[Other] = (),
) -> Scores:
    """Score every method on every pair.

    Args:
      bundle: the model.
      part: split of a shard set.
      pairs: the list of pairs.
      measure: the estimators.
      kept: a file that keeps finished cases; after an interruption the same call resumes.
      stored: take the driver's pose and action units from the data, do not estimate them.
      placement: where faces are scored, of `cases.PLACEMENTS`.
      others: results of other programs for the list, scored beside ours.

    Raises:
      UserError: the data lack images or points, or a file of other results is damaged.
    """
    groups = pairs.groups()
    done = progress.done(kept)[: len(groups)] if kept else []
    ahead = groups[len(done) :]
    with progress.adding(kept) as add:
        for rows in tqdm(ahead, unit='case', desc=pairs.kind, initial=len(done), total=len(groups)):
            case = cases.read(part, pairs.kind, rows, bundle.size, bundle.points, placement)
            size, number = bundle.size, len(done)
            theirs = {one.name: one.frames(number, len(rows), size) for one in others}
            done.append(_case(bundle, case, measure, stored, theirs))
            add(done[-1])
    return _joined(done)


def _case(bundle: Bundle, case: Case, measure: Estimators, stored: bool, theirs: dict) -> dict:
    """Score a case: {'values': method -> metric -> values, 'features': method -> array, ...}."""
    reference = _references(case, measure, stored)
    values, features, answers = {}, {}, {}
    others = [(name, image, None) for name, image in theirs.items()]
    for method, image, points in itertools.chain(methods.results(bundle, case), others):
        found = values[method] = {}
        if case.truth is not None:
            found |= measures.of_images(image, case.truth['image'])
            found |= _repeated(case, steadiness.FLICKER, _flicker(image, case))
        if points is not None and case.kind == 'gt_cross':
            found |= measures.of_landmarks(points, case)
        faces = measure.attributes(image) if measure.attributes else None
        if faces is not None:
            compared = reference
            if f', {methods.RELATIVE} + ' in method:
                compared = reference | {'driving': reference['asked']}
            found |= measures.of_faces(faces, compared, case, image.shape[1])
            steady = reference['driving' if case.truth is None else 'truth']
            trembles = steadiness.jitter(faces, steady, case.rows[:, 3])
            found |= _repeated(case, steadiness.JITTER, trembles)
            shown = faces.points if method in theirs else points
            answers[method] = arrivals.answer(method, image, points, faces, case, shown)
        embedding = None
        if (identity := measure.identity) is not None:
            at = faces.points if faces else _own_points(points, case)
            embedding = cases.in_rows(lambda x, embed=identity: embed(*x), (image, at))
            csim = np.asarray(metrics.similarity(embedding, reference['source']))
            seen = found[FACE] * found[REFERENCE] if faces else np.ones(len(csim))
            found['csim'] = np.where(seen > 0, csim, np.nan)
        features[method] = _features(measure, image, embedding, faces)
    features[REAL] = reference['features']
    own = methods.stand_in(bundle)
    if answers:
        for method, found in arrivals.scores(answers, reference, case, bundle.points, own).items():
            values[method] |= found
    kept = {name: np.float32(array) for name, array in features.items() if array is not None}
    for found in values.values():
        found.update({name: np.float64(value) for name, value in found.items()})
    lies = {name: _alignment(image, case) for name, image in theirs.items()}
    return {'count': len(case.rows), 'values': values, 'features': kept, 'alignment': lies}


def _flicker(image, case: Case) -> float:
    truth: dict = case.truth
    driver = case.driving['landmarks']
    return steadiness.flicker(np.asarray(image), truth['image'], driver, case.rows[:, 3])


def _repeated(case: Case, name: str, value: float) -> dict[str, Float[np.ndarray, ' g']]:
    """Give every pair the value of its case, which counts in a mean as its pairs do."""
    return {name: np.full(len(case.rows), value)}


def _alignment(image, case: Case) -> list[int]:
    truth = None if case.truth is None else case.truth['image']
    return list(alignment.measure(image, truth, case.driving['image']))


def _references(case: Case, measure: Estimators, stored: bool) -> dict:
    """Return what results are compared with: 'source' embeddings, 'driving' and 'truth' faces.

    'asked' are the driving faces with the head's rotation that relative motion asks for.
    """
    references: dict = {}
    real = case.driving if case.truth is None else case.truth
    if measure.attributes:
        references['driving'] = driving = measure.attributes(case.driving['image'])
        if stored:
            known = case.driving['aus_valid'] > 0
            references['driving'] = driving._replace(aus=case.driving['aus'], known=known)
        references['truth'] = measure.attributes(real['image'])
        source_faces = measure.attributes(case.source['image'])
        references['seen'] = source_faces.found & driving.found & references['truth'].found
        if case.kind == 'cross':
            first = measure.attributes(case.first['image'])
            references['asked'] = measures.turned(driving, source_faces, first)
        sharp = case.source if case.truth is None else case.truth
        references['sharpness'] = asked.sharpness(sharp['image'], sharp['landmarks'])
    embedding = None
    if (identity := measure.identity) is not None:
        count = len(case.rows)
        points = source_faces.points if measure.attributes else _inner(case.source)
        source = identity(case.source['image'], points)
        references['source'] = np.repeat(np.asarray(source), count, 0)
        points = references['truth'].points if measure.attributes else _inner(real)
        embedding = cases.in_rows(lambda x: identity(*x), (real['image'], points))
    references['features'] = _features(measure, real['image'], embedding, references.get('truth'))
    return references


def _inner(face: dict):
    """Return the 68 points of a face, which the identity network needs."""
    if face['landmarks'].shape[1] != 68:
        raise UserError('identity without --attributes needs a model of 68 points')
    return face['landmarks']


def _own_points(points, case: Case):
    """Return a result's points; without any, the source's."""
    return points if points is not None else np.repeat(_inner(case.source), len(case.rows), 0)


def _features(measure: Estimators, image, embedding, faces):
    """Return features of images for the Frechet distance: of faces alone where embeddings serve."""
    if not measure.distance:
        return None
    if measure.features:
        return cases.in_rows(measure.features, image)
    if embedding is None:
        return None
    return embedding[faces.found] if faces else embedding


def _joined(done: list[dict]) -> Scores:
    """Join the cases."""
    first, counts = done[0], [case['count'] for case in done]
    values = {
        method: {
            name: np.concatenate([case['values'][method][name] for case in done]) for name in row
        }
        for method, row in first['values'].items()
    }
    features = {
        name: np.concatenate([case['features'][name] for case in done])
        for name in first['features']
    }
    lies = {
        name: [Alignment(*case['alignment'][name]) for case in done]
        for name in first.get('alignment', {})
    }
    return Scores(values, features, np.repeat(np.arange(len(done)), counts), lies)
