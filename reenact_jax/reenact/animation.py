"""The animation itself: a loaded model, a portrait and faces or landmarks, frames out."""

import itertools
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax.bundle import Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import POSE_NAMES
from reenact_jax.geometry import layouts
from reenact_jax.reenact import painting, regions, relative
from reenact_jax.reenact.edits import head_pose, landmark_edits, unit_edits
from reenact_jax.reenact.edits.unit_edits import Change
from reenact_jax.reenact.painting import Painter
from reenact_jax.reenact.portraits import Portrait
from reenact_jax.reenact.regions import Amount

MOTIONS = ('relative', 'absolute')
BATCH = 8  # frames in one call of the model
NO_EDITS: Mapping[str, float] = types.MappingProxyType({})


class Changes(NamedTuple):
    """What is changed on the way from driver to image."""

    units: Sequence[Change] = ()  # of the driver's action units and angles, before the transfer
    strengths: Mapping[str, float] = NO_EDITS  # of edits (landmark_edits.py), after it
    background: UInt8[np.ndarray, 's s 3'] | None = None  # None: the source's own


class Made(NamedTuple):
    """A frame of the result."""

    image: UInt8[np.ndarray, 'h w 3']
    landmarks: Float[np.ndarray, 'n 2']  # as rendered, pixels of the source's crop
    held: bool  # the driver's face was not found: the motion before is kept


def animate(
    bundle: Bundle,
    source: Portrait,
    driving: Iterable[dict[str, np.ndarray] | None],
    *,
    motion: str = 'relative',
    batch: int = BATCH,
    changes: Changes = Changes(),
    reference: dict[str, np.ndarray] | None = None,
    painter: Painter | None = None,
    amount: Amount = Amount(),
) -> Iterator[Made]:
    """Frames of the source with the driver's motion, one for each of the driver's.

    Constant memory: `batch` driving frames at a time, the last batch padded so that the model is
    compiled once; the source is encoded once.

    Args:
      bundle: of `bundle.load`.
      source: the portrait, at the bundle's size, with its point set.
      driving: faces (`drivers.Frame`): landmarks in pixels of the driver's crop and what else the
        transfer takes; None where no face was found. Such frames keep the motion before; at the
        start they get that of the first face found.
      motion: 'relative' adds what changed in the driver since its first frame to the source's own
        face (relative.py): a driver that does not move leaves the source as it is; 'absolute' gives
        the source the driver's pose, expression and place in its crop (see landmarks.place).
      changes: units that are relative are added to the driver's.
      reference: the driver's face where relative motion starts; None: its first one.
      painter: draws the frames (painting.py); None: the square crop.
      amount: how much of a relative motion is taken, and in which regions of the face.

    Raises UserError when no driving frame has a face, or lacks what the transfer takes, and when
    the model cannot do the changes.
    """
    check(bundle, changes)
    if motion == 'absolute' and regions.check(amount) != Amount():
        raise UserError('strength and regions are of relative motion, not of absolute')
    face = source.face()
    identity = bundle.identify(face)
    painter = painter or _crops(bundle, source, changes)
    begun, pending = None, None
    for moving, held in _batches(driving, batch):
        if begun is None and motion != 'absolute':
            first = _first(moving, reference)
            begun = relative.start(bundle, identity, face, first, batch)
        more = batch - len(held)
        padded = {k: np.concatenate([v, np.repeat(v[-1:], more, 0)]) for k, v in moving.items()}
        padded = changed(bundle, padded, changes)
        if begun is None:
            points = np.asarray(bundle.transfer(identity, padded, face))
        else:
            made = relative.transferred(bundle, begun, identity, face, padded)
            points = np.array(relative.move(begun, made, padded, amount), np.float32)
        points = _edited(bundle, points, changes.strengths)
        made = painter.draw(points), points, held
        # The device works on this batch while the host finishes the one before.
        if pending is not None:
            yield from _frames(painter, *pending)
        pending = made
    if pending is None:
        raise UserError('no face found in any driving frame; is it the right file?')
    yield from _frames(painter, *pending)


def lead(
    bundle: Bundle,
    source: Portrait,
    end: Float[np.ndarray, 'n 2'] | None,
    steps: int,
    *,
    batch: int = BATCH,
    changes: Changes = Changes(),
    painter: Painter | None = None,
) -> Iterator[Made]:
    """`steps` frames from the source's own landmarks to others, even steps (FReeNet, figure 10).

    A single one is the last.

    Args:
      end: landmarks of the last frame, before edits, pixels of the source's crop; None where the
        source's own action units lead the way (FACEGAN, figure 6): its landmarks + T(changed units)
        - T(own units), so that the way starts at the landmarks themselves.
      changes: units and edits grow from nothing along the way.
      painter: as of `animate`.

    Raises UserError when the model cannot do the changes.
    """
    check(bundle, changes)
    face, amount = source.face(), np.linspace(0, 1, steps) if steps > 1 else np.ones(1)
    painter = painter or _crops(bundle, source, changes)
    if changes.units:
        several = {name: np.repeat(value[None], steps, 0) for name, value in source.known.items()}
        driving = changed(bundle, several, changes, amount)
        # Its own landmarks, turned, are the source's already.
        points = driving['landmarks']
        if _by_units(bundle):
            identity, own = bundle.identify(face), points
            before = {name: several[name] for name in driving}
            points = own + np.asarray(bundle.transfer(identity, driving, face))
            points = points - np.asarray(bundle.transfer(identity, before, face))
    else:
        points = landmark_edits.between(
            source.known['landmarks'], end, np.array(amount, np.float32)
        )
    points = np.asarray(_edited(bundle, points, changes.strengths, amount))
    for start in range(0, steps, batch):
        some = points[start : start + batch]
        padded = np.concatenate([some, np.repeat(some[-1:], batch - len(some), 0)])
        yield from _frames(painter, painter.draw(padded), padded, [False] * len(some))


def check(bundle: Bundle, changes: Changes) -> None:
    """Raises UserError when action units are to be changed and do not drive the model."""
    faces = [one for one in changes.units if unit_edits.NAMES[one.index] not in POSE_NAMES]
    if faces and not _by_units(bundle):
        raise UserError(
            f'--au: {bundle.transfer_name} is driven by {", ".join(bundle.driven_by)}; action '
            'units need the transfer facegan, or change the landmarks themselves: --edit'
        )


def changed(bundle: Bundle, face: dict, changes: Changes, amount: Any = 1.0) -> dict:
    """A face, or faces, with changed units: as numbers, or turned where landmarks drive the model.

    amount: share of the way from the face's own values, [] or one a face.
    """
    if not changes.units:
        return face
    if _by_units(bundle):
        return unit_edits.apply(face, changes.units, amount)
    return head_pose.apply(face, changes.units, layouts.layout(bundle.points), amount)


def _by_units(bundle: Bundle) -> bool:
    return 'aus' in bundle.driven_by


def _first(moving: dict, reference: dict | None) -> dict:
    if reference is None:
        return {name: value[:1] for name, value in moving.items()}
    return {
        name: np.array(reference[name], np.float32)[None] for name in moving if name in reference
    }


def _crops(bundle: Bundle, source: Portrait, changes: Changes) -> Painter:
    return painting.painter(bundle, source, background=changes.background)


def _edited(bundle: Bundle, points, strengths, amount: Any = 1.0):
    if not strengths:
        return points
    layout = layouts.layout(bundle.points)
    flat = landmark_edits.apply(points[..., :2], layout, dict(strengths), amount)
    return np.concatenate([flat, points[..., 2:]], -1)


def _batches(driving, batch: int):
    """(faces, arrays [k, ...]; held [k]) of at most `batch` frames, gaps filled."""
    filled = _filled(driving)
    while part := list(itertools.islice(filled, batch)):
        found, held = zip(*part, strict=True)
        yield {k: np.stack([one[k] for one in found]).astype(np.float32) for k in found[0]}, held


def _filled(driving):
    """(face, held): None replaced by the last, at the start by the first that is there."""
    last, waiting = None, 0
    for face in driving:
        if face is None and last is None:
            waiting += 1
            continue
        for _ in range(waiting):
            yield face, True
        waiting = 0
        held = face is None
        last = last if held else face
        yield last, held


def _frames(painter: Painter, made, points, held) -> Iterator[Made]:
    made, points = jax.device_get((made, points))
    for i, one in enumerate(held):
        yield Made(painter.finish(made[i]), points[i, :, :2], one)
