"""Relative motion: the source's own landmarks and what changed in the driver, for any transfer T.

    l = l_source + (T(driving) - T(first))

in the head's frame (ours). Three parts, each exactly nothing for driving = first:
- *rotation*: the driver's turn since `first`, in the head's own axes: R_source R_first^T R_driving.
  A nod of a head that looks aside, or lies on its side, stays a nod. (R_driving R_first^T R_source,
  the camera's axes, makes a roll of the nod of a profile: the face tips over in the picture.)
- *scale and place*: those of the driver's rigid frame (frames.py) since `first`, in sizes of the
  source's. The place is the neck's, about which the head turns.
- *expression*: the difference of two transferred faces without their rotation, scale and place,
  scaled to the source's head. Lids and lips that close in it close in the source, however far
  they are open there, and do not cross.

T's result has no depth: it gets the driver's. A transfer that leaves the head where the source has
it (FReeNet's with the reference's pose), or that is driven by action units, gets the source's; the
latter is asked for the expression alone, with the source's own angles, and the rotation comes from
the driver's angles where these are known. Without depth the frames are those of the image.

All of it happens outside the bundle, on the host; bundles of any age are called as they are, with
the source as `first` (absolute placement).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.bundle import Bundle
from reenact_jax.data.tracks import POSE
from reenact_jax.geometry import frames, layouts, openings
from reenact_jax.geometry.layouts import Layout
from reenact_jax.reenact import regions
from reenact_jax.reenact.regions import Amount

_ASIDE = 10.0  # sides of a crop: how far aside a face is put to see whether T's result goes with it


class Head(NamedTuple):
    """A face in its rigid frame."""

    points: Float[np.ndarray, 'n 3']  # pixels
    rotation: Float[np.ndarray, '3 3']  # R
    pivot: Float[np.ndarray, ' 3']  # pixels
    size: float  # size of the rigid points, pixels

    def shape(self, points: Float[np.ndarray, '*s n 3']) -> Float[np.ndarray, '*s n 3']:
        """Express points in the head's axes and sizes, from its pivot."""
        return (points - self.pivot) @ self.rotation / self.size


class Start(NamedTuple):
    """Where relative motion starts: all that is the same for every driving frame."""

    source: Head
    first: Head  # the driver's
    driven: Head  # T(first)
    layout: Layout
    flat: bool
    by_units: bool  # action units drive T
    follows: bool  # T's result lies where the driver's face is
    angles: Float[np.ndarray, ' 3'] | None  # those of `first`, where angles turn the head


def start(bundle: Bundle, identity: tuple, source: dict, first: dict, rows: int = 1) -> Start:
    """Prepare relative motion.

    Args:
      bundle: the model.
      identity: what `bundle.identify(source)` returned.
      source: the source's face with a leading axis of 1, as a bundle takes it.
      first: the driver's face where motion starts, likewise. Where both have `landmarks3d`, heads
        turn in space.
      rows: how many faces the transfer is called with: as many as in `move`, so that it is
        compiled once.
    """
    layout = layouts.layout(bundle.points)
    one, other, flat = heads(*({k: v[0] for k, v in face.items()} for face in (source, first)))
    by_units = 'aus' in bundle.driven_by
    begun = Start(one, other, other, layout, flat, by_units, not by_units, None)
    if by_units and not flat and frames.angles_known(first)[0]:
        begun = begun._replace(angles=first['aus'][0, POSE])
    several = {name: np.repeat(np.asarray(value), rows, 0) for name, value in first.items()}
    driven = transferred(bundle, begun, identity, source, several)[0]
    if not by_units:
        aside = several | {'landmarks': several['landmarks'] + _ASIDE * bundle.size}
        gone = transferred(bundle, begun, identity, source, aside)[0] - driven
        begun = begun._replace(follows=bool(gone.mean() > _ASIDE * bundle.size / 2))
    like = other if begun.follows else one
    driven = _head(frames.deep(driven, like.points[:, 2]), like.rotation, layout, flat)
    return begun._replace(driven=driven)


def heads(source: dict, first: dict) -> tuple[Head, Head, bool]:
    """Put two faces (no leading axes) into rigid frames.

    Rotations are those of the measured angles where both faces have some, so that an error of one
    way of measuring is in both.

    Returns:
      The source's head, the driver's head, and whether depth is missing in one of them; if so, the
      second one has none.
    """
    own, driver = (frames.of_face(face) for face in (source, first))
    layout = layouts.of_count(len(own))
    flat = any(frames.is_flat(one, layout) for one in (own, driver))
    driver = driver * [1, 1, 0] if flat else driver
    if not flat and all(frames.angles_known(face) for face in (source, first)):
        turns = [
            frames.rotation(np.array(face['aus'], np.float64)[POSE]) for face in (source, first)
        ]
    else:
        turns = [frames.axes(points, layout, flat) for points in (own, driver)]
    one, other = (_head(*pair, layout, flat) for pair in zip((own, driver), turns, strict=True))
    return one, other, flat


def transferred(
    bundle: Bundle, begun: Start, identity: tuple, source: dict, driving: dict
) -> Float[np.ndarray, 'b n 2']:
    """Call T with driving faces, placed where they are; with units, on the source's head.

    With depth, units are asked for the expression alone: the angles are the source's.

    Args:
      bundle: the model.
      begun: what `start` returned.
      identity: what `bundle.identify(source)` returned.
      source: the source's face with a leading axis of 1.
      driving: faces, b rows.
    """
    if begun.by_units and all(driving.get(name) is not None for name in bundle.driven_by):
        rows = len(driving['aus'])
        still = {name: np.repeat(source[name], rows, 0) for name in bundle.driven_by}
        still |= {name: np.array(driving[name], np.float32) for name in ('aus', 'aus_valid')}
        if not begun.flat:
            for name in ('aus', 'aus_valid'):
                still[name][:, POSE] = source[name][:, POSE]
        driving = still
    return np.asarray(bundle.transfer(identity, driving, source), np.float64)


def move(
    begun: Start,
    driven: Float[np.ndarray, 'b n 2'],
    driving: dict,
    amount: Amount = Amount(),
) -> Float[np.ndarray, 'b n 3']:
    """Move the source's landmarks as the driver has moved since the start, in pixels of its crop.

    Args:
      begun: what `start` returned.
      driven: what `transferred` returned for the driving faces.
      driving: faces, b rows.
      amount: how much of the motion is taken, and where.
    """
    points = frames.of_face(driving) * ([1, 1, 0] if begun.flat else 1)
    at, source, first = frames.rigid(begun.layout), begun.source, begun.first
    moved = frames.fit(points[:, at], first.points[at], begun.flat)
    change = _expression(begun, driven, points, amount)
    whole = source.points + source.size * change @ source.rotation.T
    around = whole - source.pivot
    shift = np.zeros((len(points), 1, 3))
    if amount.takes(regions.POSE):
        turn = frames.share(_turn(begun, moved.turn, driving), amount.strength)
        turn = source.rotation @ turn @ source.rotation.T
        around = np.einsum('bij,bnj->bni', turn, around)
        around = around * moved.scale[:, None, None] ** amount.strength
        off = first.pivot - first.points[at].mean(0)
        pivots = moved.centre + moved.scale[:, None] * (moved.turn @ off)
        shift[:, 0] = (pivots - first.pivot) * (amount.strength * source.size / first.size)
    result = source.pivot + shift + around
    result[..., 2] += source.points[:, 2].mean() - result[..., 2].mean(-1, keepdims=True)
    return result


def _expression(
    begun: Start, driven: Float[np.ndarray, 'b n 2'], points, amount: Amount
) -> Float[np.ndarray, 'b n 3']:
    """Return the change of expression in the head's axes, in sizes of the source's head."""
    start, at = begun.driven, frames.rigid(begun.layout)
    if begun.follows:
        lifted = frames.deep(driven, points[..., 2])
        found = frames.fit(lifted[:, at], start.points[at], begun.flat)
        around = lifted - found.centre[:, None]
        around = around @ found.turn / found.scale[:, None, None]
        change = (around + start.points[at].mean(0) - start.points) @ start.rotation / start.size
    else:
        lifted = frames.deep(driven) - start.points * [1, 1, 0]
        change = lifted @ start.rotation / begun.source.size
    change = change * (amount.strength * regions.weights(begun.layout, amount))
    own, driver = begun.source.shape(begun.source.points), start.shape(start.points)
    return openings.fitted(change, own, driver, begun.layout)


def _turn(begun: Start, seen: Float[np.ndarray, 'b 3 3'], driving: dict):
    """Return the rotation since the start in the head's own axes, [b, 3, 3]."""
    if begun.by_units and begun.flat:  # T itself turns the face
        return np.broadcast_to(np.eye(3), seen.shape)
    turn = begun.first.rotation.T @ seen @ begun.first.rotation
    if begun.angles is None:
        return turn
    known = frames.angles_known(driving)
    before = frames.rotation(begun.angles)
    measured = before.T @ frames.rotation(np.asarray(driving['aus'], np.float64)[:, POSE])
    return np.where(known[:, None, None], measured, turn)


def _head(points, rotation, layout: Layout, flat: bool) -> Head:
    """Put points into their rigid frame."""
    pivot = frames.pivot(points, rotation, layout, flat)
    return Head(points, rotation, pivot, float(frames.size(points, layout, flat)))
