"""Eyes and mouths that open and close: gaps between lids and lips in a head's own axes.

Gaps are along the head's y, in the unit of the points. NumPy; names and rules are ours.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.geometry.layouts import Layout

EYES, LIPS = ('left_eye', 'right_eye'), 'inner_lips'
# A driver's eye or mouth closes the source's when its own gap is gone. A gap below this share of
# the source's counts as that wide, so that a squint of noise does not shut a wide eye.
LEAST = 0.5


class Pairs(NamedTuple):
    """Points that meet: upper [k] and lower [k]."""

    upper: np.ndarray
    lower: np.ndarray


def pairs(layout: Layout, part: str) -> Pairs:
    """Pair the points of a ring: left corner, upper points, right corner, lower points back."""
    ring = np.array(layout.parts[part])
    half = len(ring) // 2
    return Pairs(ring[1:half], ring[half + 1 :][::-1])


def gap(points: Float[np.ndarray, '*s n d'], which: Pairs) -> Float[np.ndarray, '*s k']:
    """Measure how far apart pairs are; negative where they cross."""
    return points[..., which.lower, 1] - points[..., which.upper, 1]


def fitted(
    change: Float[np.ndarray, 'b n 3'],
    own: Float[np.ndarray, 'n 3'],
    driver: Float[np.ndarray, 'n 3'],
    layout: Layout,
) -> Float[np.ndarray, 'b n 3']:
    """Fit a change of expression to the source: its eyes and mouth close as far as the driver's.

    Opening is added as it is. Closing counts as a share of the driver's gap and is taken off the
    source's: so a blink shuts wide eyes, and parted lips that meet do not push closed ones past
    each other. A mouth narrower than the driver's widens and narrows by the same share of its
    width: a wide grin would tear it.

    Args:
      change: how the driver's landmarks moved, in the head's axes.
      own: the source's face from which the change starts, in the same axes and unit.
      driver: the driver's face from which it starts, likewise.
      layout: of the points.
    """
    change = change.copy()
    for eye in EYES:
        lids = pairs(layout, eye)
        change[:, lids.upper, 1] -= _spared(change, own, driver, lids)
    lips = pairs(layout, LIPS)
    spared = _spared(change, own, driver, lips)
    change[:, lips.lower, 1] += spared
    at, weight = _lower_face(own, layout)
    change[:, at, 1] += spared.mean(-1, keepdims=True) * weight
    change[:, layout.mouth, 0] *= min(_width(own, layout) / _width(driver, layout), 1)
    return change


def _width(points: Float[np.ndarray, 'n d'], layout: Layout) -> float:
    """Measure the mouth from corner to corner."""
    ring = layout.parts['outer_lips']
    return max(float(np.linalg.norm(points[ring[0]] - points[ring[len(ring) // 2]])), 1e-9)


def _spared(change, own, driver, which: Pairs) -> Float[np.ndarray, 'b k']:
    """Measure how much less the source closes than the driver does; negative: more."""
    closing = np.maximum(-gap(change, which), 0)
    there = np.maximum(gap(own, which), 0)
    whole = np.maximum(np.maximum(gap(driver, which), LEAST * there), 1e-9)
    return closing - there * np.minimum(closing / whole, 1)


def _lower_face(own, layout: Layout) -> tuple[np.ndarray, Float[np.ndarray, ' k']]:
    """Find the points that go with the lower lip, and how much: not its corners, not the ears."""
    ring, jaw = np.array(layout.parts['outer_lips']), np.array(layout.parts['jaw'])
    lower, corners = ring[len(ring) // 2 + 1 :], own[ring[[0, len(ring) // 2]]]
    middle, half = corners.mean(0), max(float(np.ptp(corners[:, 0])) / 2, 1e-9)
    arch = np.clip(1 - ((own[lower, 0] - middle[0]) / half) ** 2, 0, 1)
    below = own[jaw, 1] - middle[1]
    depth = np.clip(below / max(float(below.max()), 1e-9), 0, 1) ** 2
    return np.concatenate([lower, jaw]), np.concatenate([arch, depth])
