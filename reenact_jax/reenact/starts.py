"""Where relative motion starts, and how a driver's frame differs from the source.

Motion is added to the source's own face, so that a start with shut eyes tears the source's open as
soon as the driver looks up, and a start in another pose turns the head too far.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from reenact_jax.geometry import frames, layouts, openings
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry.layouts import Layout
from reenact_jax.reenact import keypoint_motion, relative
from reenact_jax.reenact.portraits import Portrait

# From here a turn of the driver takes a portrait visibly further than the driver goes: at 15
# degrees a face shows one cheek clearly more than the other.
FAR = 15.0  # degrees
# In widths of an eye. Of 12 real clips, the median frame has lids 0.2 to 0.35 apart, blinks reach
# 0.03 to 0.08.
SHUT = 0.15
# In distances between the eyes. Closed lips of real portraits and clips are 0.004 to 0.04 apart;
# speech and laughter reach 0.25 to 0.5.
OPEN = 0.1
# Root mean square difference of landmarks in their own boxes that weighs as much as one of the
# differences above: it tells frames apart that have no depth (ours, a guess).
_SHAPE = 0.25


class Look(NamedTuple):
    """How far a face's eyes and mouth are open."""

    eyes: float  # gap between the lids of the eye that is open less, in widths of that eye
    mouth: float  # gap between the lips, in distances between the eyes


def look(face: dict) -> Look:
    """Measure eyes and mouth of a face of `portraits.known`, without leading axes."""
    points, layout = _points(face)
    eyes = []
    for name in openings.EYES:
        ring = layout.parts[name]
        wide = np.linalg.norm(points[ring[0]] - points[ring[len(ring) // 2]])
        eyes.append(_apart(points, openings.pairs(layout, name)) / max(float(wide), 1e-6))
    left, right = frames.eyes(points, layout)
    between = max(float(np.linalg.norm(right - left)), 1e-6)
    return Look(min(eyes), _apart(points, openings.pairs(layout, openings.LIPS)) / between)


def turned(face: dict, source: dict) -> float:
    """Measure the angle between two heads, degrees."""
    one, other, _ = relative.heads(source, face)
    return float(frames.degrees(other.rotation @ one.rotation.T))


def distance(face: dict, source: dict) -> float:
    """Rate how badly relative motion starts at a face: 0 for the source itself.

    Of faces that are seen by their image landmarks alone count (`keypoint_motion.apart`).
    """
    if 'image' in face:
        return keypoint_motion.apart(face['landmarks'], source['landmarks'])
    here, there = look(face), look(source)
    apart = posed(face, source) + abs(here.eyes - there.eyes) / SHUT
    return float(apart + abs(here.mouth - there.mouth) / OPEN)


def posed(face: dict, source: dict) -> float:
    """Rate how far two faces differ in pose and shape: 1 for a turn of `FAR` degrees."""
    shapes = (_shape(one['landmarks']) for one in (face, source))
    apart = np.sqrt(np.square(np.subtract(*shapes)).mean()) / _SHAPE
    return float(apart + turned(face, source) / FAR)


def fault(face: dict, source: dict, poses: bool = True) -> str | None:
    """Say why relative motion should not start at a face; None where nothing is wrong.

    Args:
      face: the driver's, `portraits.known`.
      source: the source's.
      poses: whether the head's pose is taken.
    """
    here, there, faults = look(face), look(source), []
    if poses and (angle := turned(face, source)) > FAR:
        faults.append(f"its head is turned {angle:.0f} degrees from the portrait's")
    if here.eyes < SHUT <= there.eyes:
        faults.append('its eyes are shut')
    if here.mouth > OPEN >= there.mouth:
        faults.append('its mouth is open')
    return ' and '.join(faults) or None


def first(faces: Iterator[dict | None]) -> tuple[dict | None, Iterator[dict | None]]:
    """Return the first face that there is (None: there is none), and all of them again."""
    gaps = []
    for face in faces:
        if face is not None:
            return face, itertools.chain(gaps, [face], faces)
        gaps.append(face)
    return None, iter(gaps)


def onto(source: dict, face: dict) -> dict:
    """Put the source's face where another face is, and as large: the start for a still driver.

    A still has no motion of its own. What is taken from it is how it differs from the source: its
    pose and its expression, not its place.

    Args:
      source: the source's face, `portraits.known`.
      face: the still driver's.
    """
    own, there, flat = relative.heads(source, face)
    layout = layouts.of_count(len(own.points))
    at, scale = frames.rigid(layout), there.size / own.size
    middle = own.points[at].mean(0)
    around = (own.points - middle) * scale
    placement = frames.fit(there.points[at], around[at], flat)
    # Its neck where the driver's is once the head is turned as the driver's.
    neck = (own.pivot - middle) * scale
    moved = around + placement.centre + placement.turn @ neck - neck
    moved[..., 2] -= moved[..., 2].mean()
    result = source | {'landmarks': np.float32(moved[..., :2])}
    if 'landmarks3d' in source:
        result['landmarks3d'] = np.float32(moved)
    return result


def of_still(portrait: Portrait, face: dict) -> dict:
    """Return where relative motion starts for a still driver.

    It is the source's face, where the driver's is (`onto`). A driver that is seen by its image
    starts at the source's image: its keypoints are taken as they are.
    """
    if 'image' in face:
        return {**portrait.known, 'image': portrait.image}
    return onto(portrait.known, face)


def _points(face: dict) -> tuple[np.ndarray, Layout]:
    """Return a face's points and their layout."""
    points = frames.of_face(face)
    return points, layouts.of_count(points.shape[-2])


def _apart(points, pairs: openings.Pairs) -> float:
    """Return the mean distance between the two sides of an opening."""
    return float(np.linalg.norm(points[pairs.lower] - points[pairs.upper], axis=-1).mean())


def _shape(points) -> np.ndarray:
    """Return points in units of their own box."""
    return np.asarray(lm.normalise(points, *lm.box(points)))
