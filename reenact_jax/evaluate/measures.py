"""Metrics of a case: names -> a value a pair, of its images, its landmarks and its found faces."""

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
FACE, REFERENCE = 'face', 'reference'  # 1 where the estimator found one in the result; in the truth


@jax.jit
def _by_name(image, truth) -> dict:
    return {name: getattr(metrics, name)(image, truth) for name in ('l1', 'mse', 'ssim')}


def of_images(image, truth) -> dict[str, Float[np.ndarray, ' b']]:
    """Compare images [b, h, w, 3] in [-1, 1] by L1, MSE and SSIM."""
    return cases.in_rows(lambda both: _by_name(*both), (image, truth))


def of_landmarks(points, case: Case) -> dict[str, Float[np.ndarray, ' g']]:
    """Compare requested landmarks with the truth's, where they lie; the leak is of shapes alone."""
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
      source, first: one face each; `first` is the driver's where the motion starts.
    """
    own, start, there = (frames.rotation(x.aus[:, POSE]) for x in (source, first, driving))
    asked = Rotation.from_matrix(own @ np.swapaxes(start, -1, -2) @ there).as_euler('XYZ')
    aus = np.concatenate([driving.aus[:, UNITS], np.float32(asked)], -1)
    return driving._replace(aus=aus)


def of_faces(
    made: Faces, reference: dict, case: Case, size: int
) -> dict[str, Float[np.ndarray, ' g']]:
    """Compare detected faces; NaN where none was found in the result or in what it follows.

    Args:
      reference: 'driving' and 'truth' faces; 'seen': where those and the source's were found.
      size: side of the images, pixels.
    """
    driving, truth = reference['driving'], reference['truth']
    known = made.known[:, UNITS] & driving.known[:, UNITS]
    pair = made.aus[:, UNITS], driving.aus[:, UNITS], known
    distance = np.asarray(metrics.expression_distance(*pair))
    found = {
        'psim': metrics.similarity(made.aus[:, POSE], driving.aus[:, POSE]),
        'prmse': metrics.prmse(made.aus[:, POSE], driving.aus[:, POSE]),
        'ed_l2': distance,
        'ed_mean': distance / np.maximum(known.sum(-1), 1),
        'aucon': metrics.au_agreement(*pair),
    }
    if case.truth is not None:
        found['akd'] = metrics.ace(made.points, truth.points, size)
    if case.kind == 'lsim':
        found['lsim'] = metrics.lsim(made.points, truth.points, size)
    both = made.found & reference['seen']
    found = {name: np.where(both, np.asarray(value), np.nan) for name, value in found.items()}
    seen = {FACE: made.found, REFERENCE: reference['seen']}
    return found | {name: np.array(value, np.float32) for name, value in seen.items()}
