"""Scores of the requested change: what each method of a case was asked for, and what came of it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.data.tracks import POSE
from reenact_jax.evaluate.asked import FLOORS, quantities, sharpness, slope
from reenact_jax.evaluate.baselines import COPY
from reenact_jax.evaluate.cases import ABSOLUTE, Case
from reenact_jax.evaluate.estimators import Faces

SHARPNESS = 'sharpness'
_ANGLES = {'yaw': 1, 'roll': 2}  # numbers of the pose R_x, R_y, R_z
_FOUND = '68c'  # the layout of the points that the estimator finds


class Answer(NamedTuple):
    """What a method was asked for in a case and what came of it: the input of `scores`."""

    requested: Float[np.ndarray, 'g n d'] | None  # landmarks; None: the method takes none
    faces: Faces  # those found in its images
    sharpness: Float[np.ndarray, ' g']


def answer(
    method: str, image, points, faces: Faces, case: Case, shown: Float[np.ndarray, 'g n d'] | None
) -> Answer:
    """Note down a method's result; its images' sharpness is that of the face they show.

    Args:
      method: its name.
      image: its images.
      points: the landmarks that it was given, if any.
      faces: those found in its images.
      case: the case.
      shown: where the faces of its images are; None: where the source's or the driver's are.
    """
    known = (case.source if method == COPY else case.driving)['landmarks']
    at = np.asarray(known if shown is None else shown)
    at = np.broadcast_to(at, (len(image), *at.shape[1:]))
    return Answer(points, faces, sharpness(image, at))


def scores(
    answers: dict[str, Answer], reference: dict, case: Case, points_of: str, own: str
) -> dict[str, dict[str, Float[np.ndarray, ' g']]]:
    """Score the methods of a case: method -> name -> the case's value, repeated for its pairs.

    So a case counts in a mean as its pairs do, and the bootstrap draws it as a whole. Frames whose
    references or result show no face take no part in slopes.

    Args:
      answers: method -> its answer.
      reference: 'driving' faces, whose angles are asked for; 'seen': where all references have
        faces; 'sharpness' of the ground truth, or of the source where there is none.
      case: the case.
      points_of: layout of the requested landmarks.
      own: the method whose landmarks stand in for those of a method without any, in
        cross-reenactment.

    Returns:
      'slope_' and 'correlation_' + quantity, NaN where it is left out; 'sharpness', a ratio to the
      reference's, the median over frames.
    """
    angles = _angles(reference['driving'])
    values_of = {}
    for method, given in answers.items():
        known = given.faces.found & reference['seen']
        x = _requested(given, answers[own], case)
        y = given.faces.points if x.shape[-1] == 2 else given.faces.points3d
        if y is None:
            x, y = x[..., :2], given.faces.points
        asked = quantities(x, points_of) | angles
        shown = quantities(y, _FOUND) | _angles(given.faces)
        values_of[method] = {}
        for name, floor in FLOORS.items():
            pair = slope(np.where(known, asked[name], np.nan), shown[name], floor)
            values_of[method] |= {f'slope_{name}': pair[0], f'correlation_{name}': pair[1]}
        values_of[method][SHARPNESS] = _ratio(given.sharpness, reference['sharpness'])
    count = len(case.rows)
    return {
        method: {name: np.full(count, value) for name, value in values.items()}
        for method, values in values_of.items()
    }


def _ratio(one: Float[np.ndarray, ' g'], other: Float[np.ndarray, '#g']) -> float:
    """Return the median of one / other where both are known and the other is not flat; else NaN."""
    known = np.isfinite(one) & (np.broadcast_to(other, one.shape) > 1e-9)
    return float(np.median((one / np.maximum(other, 1e-9))[known])) if known.any() else np.nan


def _requested(given: Answer, own: Answer, case: Case) -> Float[np.ndarray, 'g n d']:
    """Return the requested landmarks, with depth where they are the driver's and it is known."""
    points = given.requested
    if points is None:
        points = case.driving['landmarks'] if case.kind in ABSOLUTE else own.requested
    points, driver = np.asarray(points), case.driving
    same = points.shape == driver['landmarks'].shape and 'landmarks3d' in driver
    if same and np.allclose(points, driver['landmarks'], atol=1e-3):
        return driver['landmarks3d']
    return points


def _angles(faces: Faces) -> dict[str, Float[np.ndarray, ' b']]:
    """Return yaw and roll in degrees, NaN where unknown."""
    pose = np.where(faces.known[:, POSE] > 0, np.degrees(faces.aus[:, POSE]), np.nan)
    return {name: pose[:, i] for name, i in _ANGLES.items()}
