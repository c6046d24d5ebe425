"""Metrics of a case, one value per pair: of its images, its landmarks and its detected faces."""

import jax
import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from reenact_jax.data.tracks import AU_NAMES, POSE
from reenact_jax.evaluate import cases, metrics
from reenact_jax.evaluate.cases import Case
from reenact_jax.evaluate.estimators import Faces
from reenact_jax.geometry import frames

UNITS = slice(0, len(AU_NAMES))
# 1 where the estimator found a face in the result; in the references.
FACE, REFERENCE = 'face', 'reference'


@jax.jit
def _by_name(image, truth) -> dict:
    return {name: getattr(metrics, name)(image, truth) for name in ('l1', 'mse', 'ssim')}


def of_images(image, truth) -> dict[str, Float[np.ndarray, ' b']]:
    """Compare images [b, h, w, 3] in [-1, 1] by L1, MSE and SSIM."""
    return cases.in_rows(lambda both: _by_name(*both), (image, truth))


def of_landmarks(points, case: Case) -> dict[str, Float[np.ndarray, ' g']]:
    """Compare requested landmarks with the ground truth in place; the leak is of shapes alone."""
    truth = case.truth['landmarks']
    inside = metrics.same_box(points, truth)
    driver = metrics.same_box(case.driving['landmarks'], truth)
    return {
        'point_error': np.asarray(metrics.point_error(points, truth)),
        'identity_leak': np.asarray(metrics.identity_leak(inside, truth, driver)),
    }


def turned(driving: Faces, source: Faces, first: Faces) -> Faces:
    """Give driving faces the rotation R_source R_first^T R_driving, which relative motion asks for.

    Args:
      driving: faces of the driver.
      source: the source's face, one row.
      first: the driver's face where the motion starts, one row.
    """
    own, start, there = (frames.rotation(x.aus[:, POSE]) for x in (source, first, driving))
    asked = Rotation.from_matrix(own @ np.swapaxes(start, -1, -2) @ there).as_euler('XYZ')
    aus = np.concatenate([driving.aus[:, UNITS], np.float32(asked)], -1)
    return driving._replace(aus=aus)


def of_faces(
    made: Faces, reference: dict, case: Case, size: int
) -> dict[str, Float[np.ndarray, ' g']]:
    """Compare detected faces; NaN where none was found in the result or in a reference.

    Args:
      made: faces of the results.
      reference: 'driving' and 'truth' faces; 'seen': where those and the source's were found.
      case: the case that the results belong to.
      size: side of the images, pixels.
    """
    driving, truth = reference['driving'], reference['truth']
    known = made.known[:, UNITS] & driving.known[:, UNITS]
    pair = made.aus[:, UNITS], driving.aus[:, UNITS], known
    distance = np.asarray(metrics.expression_distance(*pair))
    heads = made.aus[:, POSE], driving.aus[:, POSE]
    # Of points alone neither angles nor units are known, and zeros would be alike.
    angles = (made.known[:, POSE] & driving.known[:, POSE]).all(-1)
    of_angles = {'psim': metrics.similarity(*heads), 'prmse': metrics.prmse(*heads)}
    of_units = {
        'ed_l2': distance,
        'ed_mean': distance / np.maximum(known.sum(-1), 1),
        'aucon': metrics.au_agreement(*pair),
    }
    values = {name: np.where(angles, value, np.nan) for name, value in of_angles.items()}
    values |= {n: np.where(known.any(-1), value, np.nan) for n, value in of_units.items()}
    if case.truth is not None:
        values['akd'] = np.asarray(metrics.ace(made.points, truth.points, size))
    if case.kind == 'lsim':
        values['lsim'] = np.asarray(metrics.lsim(made.points, truth.points, size))
    measured = made.found & reference['seen']
    values = {name: np.where(measured, value, np.nan) for name, value in values.items()}
    seen = {FACE: made.found, REFERENCE: reference['seen']}
    return values | {name: np.array(value, np.float32) for name, value in seen.items()}
