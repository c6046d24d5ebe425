"""Motion that is keypoints: where it starts, how it goes on, and what cannot act on it.

Relative motion is that of the first order motion model's demo (geometry/keypoints.py): the source's
keypoints and what changed in the driver's since its first frame. Ours: a `strength`, and that a
still driver's keypoints are taken as they are.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.bundle import LANDMARKS, Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.geometry import keypoints
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.regions import REGIONS

_NO_AREA = 1e-9  # of points on a line


class Start(NamedTuple):
    """Where relative motion starts."""

    source: Float[np.ndarray, '1 n 6']
    first: Float[np.ndarray, '1 n 6']  # the driver's
    scale: float  # of the differences of places


def check(bundle: Bundle, options: Options) -> None:
    """Refuse what acts on landmarks alone, where the bundle's motion is of another kind.

    Raises:
      UserError: names the option.
    """
    if bundle.motion == LANDMARKS:
        if options.adapt_scale:
            raise UserError(
                '--adapt-scale: is of keypoints; landmarks move in sizes of the head as they are'
            )
        return
    given = {
        '--edit': options.edits,
        '--au, --pose': options.units,
        '--region': not all(options.amount.takes(region) for region in REGIONS),
        '--smooth': options.smooth,
    }
    for flag, value in given.items():
        if value:
            refuse(bundle, flag)


def refuse(bundle: Bundle, flag: str) -> None:
    """Refuse a flag that is of landmarks for a bundle that they do not move.

    Raises:
      UserError: they do not.
    """
    if bundle.motion != LANDMARKS:
        raise UserError(
            f'{flag}: acts on landmarks, and {bundle.transfer_name} moves {bundle.motion}; '
            'leave it out, or take a bundle that landmarks drive'
        )


def start(
    bundle: Bundle, identity: tuple, source: dict, first: dict, rows: int, adapt_scale: bool
) -> Start:
    """Prepare relative motion.

    Args:
      bundle: the model.
      identity: what `bundle.identify(source)` returned.
      source: the source's face with a leading axis of 1, as a bundle takes it.
      first: the driver's face where motion starts, likewise.
      rows: how many faces the transfer is called with, so that it is compiled once.
      adapt_scale: scale differences by the sizes of the two faces (`scale`).
    """
    own, other = (taken(bundle, identity, source, one, rows) for one in (source, first))
    return Start(own, other, scale(own, other) if adapt_scale else 1.0)


def taken(bundle: Bundle, identity: tuple, source: dict, face: dict, rows: int):
    """Return the keypoints of one face as they are, [1, n, 6]."""
    several = {name: np.repeat(np.asarray(face[name]), rows, 0) for name in bundle.driven_by}
    return np.asarray(bundle.transfer(identity, several, source))[:1]


def scale(source: Float[np.ndarray, '1 n 6'], first: Float[np.ndarray, '1 n 6']) -> float:
    """Return the ratio of the faces' sizes: roots of the areas that their keypoints span."""
    areas = [hull_area(np.asarray(keypoints.places(one)[0])) for one in (source, first)]
    return float(np.sqrt(areas[0] / max(areas[1], _NO_AREA)))


def move(
    begun: Start, driving: Float[np.ndarray, 'b n 6'], strength: float = 1.0
) -> Float[np.ndarray, 'b n 6']:
    """Move the source's keypoints as the driver's have moved since the start.

    Args:
      begun: what `start` returned.
      driving: the driver's keypoints as they are.
      strength: share of the motion; 1 is all of it. Of other strengths the result is on the line
        from the source's keypoints through the whole motion's (ours).
    """
    whole = np.asarray(keypoints.moved(begun.source, begun.first, driving, begun.scale))
    if strength == 1:
        return np.asarray(whole, np.float32)
    return np.asarray(begun.source + strength * (whole - begun.source), np.float32)


def apart(face: Float[np.ndarray, 'n 2'], other: Float[np.ndarray, 'n 2']) -> float:
    """Rate how differently two faces look, by landmarks, as the demo's search for the best frame.

    Both are centred and put to an area of 1; the sum of squared distances is taken.
    """
    return float(np.square(np.subtract(*(_normalised(one) for one in (face, other)))).sum())


def _normalised(points) -> np.ndarray:
    centred = np.asarray(points, np.float64) - np.mean(points, 0, dtype=np.float64, keepdims=True)
    return centred / np.sqrt(max(hull_area(centred), _NO_AREA))


def hull_area(points: Float[np.ndarray, 'n 2']) -> float:
    """Return the area of the convex hull of points; of points on a line, 0."""
    ordered: list = sorted(np.asarray(points, np.float64).tolist())
    hull = []
    for half in (ordered, ordered[::-1]):  # below, then above (Andrew 1979)
        chain = []
        for point in half:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        hull += chain[:-1]
    return sum(_turn(hull[0], *pair) for pair in itertools.pairwise(hull)) / 2


def _turn(one, two, three) -> float:
    """Return twice the signed area of a triangle."""
    return (two[0] - one[0]) * (three[1] - one[1]) - (two[1] - one[1]) * (three[0] - one[0])
