"""The animation itself: a bundle, a portrait and options; faces in, frames out."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax.bundle import LANDMARKS, Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import POSE_NAMES
from reenact_jax.geometry import keypoints, layouts
from reenact_jax.reenact import keypoint_motion, painting, relative, several
from reenact_jax.reenact.edits import head_pose, landmark_edits, unit_edits
from reenact_jax.reenact.options import DEFAULTS, Options
from reenact_jax.reenact.painting import Painter
from reenact_jax.reenact.pipeline import Ahead, serial
from reenact_jax.reenact.portraits import Portrait


def fitting(bundle: Bundle, units: Sequence[unit_edits.Change]) -> Bundle:
    """Return a bundle with the transfer that changes of action units need, if it has one.

    Args:
      bundle: a bundle whose transfer nobody has named.
      units: changes of action units and angles; angles alone go with any transfer.
    """
    asked = {unit_edits.NAMES[change.index] for change in units} - set(POSE_NAMES)
    return bundle.by_units() if asked else bundle


class ResultFrame(NamedTuple):
    """A frame of the result."""

    image: UInt8[np.ndarray, 'h w 3']
    landmarks: Float[np.ndarray, 'n 2']  # (or keypoints) as rendered, pixels of the source's crop
    held: bool  # whether the driver's face was not found and the motion before is kept


class Begun(NamedTuple):
    """Where motion starts."""

    identity: tuple  # what the bundle's transfer needs of the source
    start: relative.Start | keypoint_motion.Start | None  # None: motion is not relative


class Shots(NamedTuple):
    """Where a driver cuts."""

    numbers: list[int]  # of the shot of every frame that has been read
    starts: Mapping[int, dict[str, np.ndarray]]  # face where relative motion starts, where chosen


@dataclasses.dataclass(frozen=True, eq=False)
class Animation:
    """A portrait, the bundle that animates it, and the options.

    Attributes:
      bundle: a bundle that `bundle.load` returned.
      source: the portrait, at the bundle's size, with its point set.
      options: what is asked of the animation.
      others: more pictures of the same person (several.py).

    Raises:
      UserError: an option acts on what does not move the bundle.
    """

    bundle: Bundle
    source: Portrait
    options: Options = DEFAULTS
    others: Sequence[Portrait] = ()

    def __post_init__(self):
        keypoint_motion.check(self.bundle, self.options)
        units = [unit_edits.NAMES[change.index] for change in self.options.units]
        if set(units) - set(POSE_NAMES) and not self._by_units:
            raise UserError(
                f'--au: {self.bundle.transfer_name} is driven by '
                f'{", ".join(self.bundle.driven_by)}; action units need the transfer facegan, or '
                'change the landmarks themselves: --edit'
            )

    @functools.cached_property
    def painter(self) -> Painter:
        """What draws the frames.

        Raises:
          UserError: the options name a background, and the bundle cannot change it, or there are
            several sources; or the bundle is not moved by landmarks, and there are several.
        """
        options = self.options
        if self.others and options.background is not None:
            raise UserError('--background: is for one --source')
        if self.others:
            pictures = self.bundle, self.source, self.others
            return several.painter(*pictures, whole=not options.crop, most=options.max_side)
        return painting.painter(
            self.bundle,
            self.source,
            whole=not options.crop,
            background=options.background,
            most=options.max_side,
        )

    def frames(
        self,
        driving: Iterable[dict[str, np.ndarray] | None],
        start: dict[str, np.ndarray] | None = None,
        shots: Shots | None = None,
        ahead: Ahead = serial,
    ) -> Iterator[ResultFrame]:
        """Draw the source with the driver's motion, a frame for each of the driver's.

        Memory is constant: a few batches of driving frames at a time, the last one padded so that
        the bundle is compiled once. The source is encoded once.

        Args:
          driving: faces (`drivers.Frame`): landmarks in pixels of the driver's crop and what else
            the transfer takes; None where no face was found. Such frames keep the motion before; at
            the start they get that of the first face found.
          start: the driver's face where relative motion starts; None: its first one.
          shots: where the driver cuts; None: nowhere. Relative motion starts anew with each shot.
          ahead: what reads streams ahead: batches are drawn while those before are finished.

        Raises:
          UserError: no driving frame has a face, or a face lacks what the transfer takes.
        """
        for batch in ahead(self._drawn(driving, start, shots), 1):
            yield from self._finished(*batch)

    def _drawn(self, driving, start, shots) -> Iterator[tuple]:
        """Yield batches that the device draws, their points, and whether frames are held."""
        painter = self.painter
        for points, held in self.landmarks(driving, start, shots):
            points = self.edited(points)
            yield painter.draw(points, len(held)), points, held

    def landmarks(
        self,
        driving: Iterable[dict[str, np.ndarray] | None],
        start: dict[str, np.ndarray] | None = None,
        shots: Shots | None = None,
    ) -> Iterator[tuple[Float[np.ndarray, 'b n _'], Sequence[bool]]]:
        """Move the source's landmarks, or its keypoints, as the driver moves, without edits.

        Args:
          driving: as in `frames`.
          start: as in `frames`.
          shots: as in `frames`.

        Yields:
          The points, pixels of the source's crop, with or without depth, as many as a batch has
          (or a motion of another kind); and for the frames among them whether they are held.
        """
        begun, last, rows = self.begin(None), -1, self.options.batch
        for moving, held, shot in _batches(driving, rows, shots):
            if shot != last and self.options.is_relative:
                first = start if last < 0 else None
                first = shots.starts.get(shot, first) if shots else first
                begun = self.begin(_first(moving, first), begun)
            last = shot
            yield (
                self.moved(begun, {name: _padded(value, rows) for name, value in moving.items()}),
                held,
            )

    def begin(self, first: dict | None, before: Begun | None = None) -> Begun:
        """Prepare motion.

        Args:
          first: the driver's face where relative motion starts, with a leading axis of 1; None: the
            driver's motion is taken as it is.
          before: what this returned before, whose work on the source is not done again.
        """
        face = self.source.face()
        identity = self.bundle.identify(face) if before is None else before.identity
        if first is None:
            return Begun(identity, None)
        given = self.bundle, identity, face, first, self.options.batch
        if self._by_landmarks:
            return Begun(identity, relative.start(*given))
        return Begun(identity, keypoint_motion.start(*given, self.options.adapt_scale))

    def moved(self, begun: Begun, driving: dict) -> Float[np.ndarray, 'b n _']:
        """Move the source's landmarks, or its keypoints, as faces of the driver.

        Args:
          begun: what `begin` returned.
          driving: the driver's faces, as many as a batch has.
        """
        bundle, face, (identity, start) = self.bundle, self.source.face(), begun
        driving = self._changed(driving)
        if start is None:
            return np.asarray(bundle.transfer(identity, driving, face))
        if isinstance(start, keypoint_motion.Start):
            made = np.asarray(bundle.transfer(identity, driving, face))
            return keypoint_motion.move(start, made, self.options.strength)
        driven = relative.transferred(bundle, start, identity, face, driving)
        points = relative.move(start, driven, driving, self.options.amount)
        return np.array(points, np.float32)

    def own(self) -> Float[np.ndarray, 'n _']:
        """Return the source's own landmarks, or its motion of another kind."""
        if self._by_landmarks:
            return self.source.known['landmarks']
        face = self.source.face()
        rows, identity = self.options.batch, self.bundle.identify(face)
        return keypoint_motion.taken(self.bundle, identity, face, face, rows)[0]

    def lead(self, end: Float[np.ndarray, 'n _'] | None, steps: int) -> Iterator[ResultFrame]:
        """Draw even steps from the source's own landmarks to others (FReeNet, figure 10).

        Changes of units and edits grow from nothing along it. A single frame is the last one.

        Args:
          end: motion of the last frame, before edits, as `own` gives it; None where
            the source's own action units lead the way (FACEGAN, figure 6): its landmarks +
            T(changed units) - T(own units), so that the way starts at the landmarks themselves.
          steps: how many frames.
        """
        painter, rows = self.painter, self.options.batch
        share = np.linspace(0, 1, steps) if steps > 1 else np.ones(1)
        if self.options.units:
            points = self._by_own_units(share)
        else:
            points = landmark_edits.between(self.own(), end, np.array(share, np.float32))
        points = np.asarray(self.edited(points, share))
        for first in range(0, steps, rows):
            some = points[first : first + rows]
            padded = _padded(some, rows)
            yield from self._finished(painter.draw(padded, len(some)), padded, [False] * len(some))

    def _by_own_units(self, share: Float[np.ndarray, ' b']):
        """Return the source's landmarks with a share of the changes of its units."""
        bundle, face, known = self.bundle, self.source.face(), self.source.known
        copies = {name: np.repeat(value[None], len(share), 0) for name, value in known.items()}
        changed = self._changed(copies, share)
        points = changed['landmarks']  # turned, they are the source's already
        if self._by_units:
            identity, before = bundle.identify(face), {name: copies[name] for name in changed}
            points = points + np.asarray(bundle.transfer(identity, changed, face))
            points = points - np.asarray(bundle.transfer(identity, before, face))
        return points

    def _changed(self, face: dict, share: Any = 1.0) -> dict:
        """Change the units of faces: as numbers, or by turning where landmarks drive the bundle.

        Args:
          share: share of the way from the face's own values, [] or one per face.
        """
        units = self.options.units
        if not units:
            return face
        if self._by_units:
            return unit_edits.apply(face, units, share)
        return head_pose.apply(face, units, layouts.layout(self.bundle.points), share)

    def edited(self, points, share: Any = 1.0):
        """Apply the edits to landmarks, with or without depth."""
        if not self.options.edits:
            return points
        layout = layouts.layout(self.bundle.points)
        flat = landmark_edits.apply(points[..., :2], layout, dict(self.options.edits), share)
        return np.concatenate([flat, points[..., 2:]], -1)

    def _finished(self, drawn, points, held: Sequence[bool]) -> Iterator[ResultFrame]:
        """Fetch a batch from the device and finish its frames."""
        drawn, points = jax.device_get((drawn, points))
        if not self._by_landmarks:
            points = np.asarray(keypoints.in_pixels(points, self.bundle.size))
        for i, is_held in enumerate(held):
            yield ResultFrame(self.painter.finish(drawn[i]), points[i, :, :2], is_held)

    @property
    def _by_landmarks(self) -> bool:
        return self.bundle.motion == LANDMARKS

    @property
    def _by_units(self) -> bool:
        return 'aus' in self.bundle.driven_by


def _first(moving: dict, start: dict | None) -> dict:
    """Return the face where relative motion starts, with a leading axis of 1."""
    if start is None:
        return {name: value[:1] for name, value in moving.items()}
    return {name: np.array(start[name], np.float32)[None] for name in moving if name in start}


def _padded(rows, count: int):
    """Repeat the last row until there are as many rows as a batch has."""
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), 0)])


def _batches(driving, batch: int, shots: Shots | None):
    """Yield (faces as arrays [k, ...], held [k], shot) of at most `batch` frames, gaps filled."""
    part: list[tuple[Any, bool]] = []
    last = 0
    for face, held, shot in _filled(driving, shots):
        if part and shot != last:
            yield *_stacked(part), last
            part = []
        part.append((face, held))
        last = shot
        if len(part) == batch:
            yield *_stacked(part), last
            part = []
    if part:
        yield *_stacked(part), last


def _stacked(part: Sequence[tuple[dict, bool]]):
    faces, held = zip(*part, strict=True)
    return {k: np.stack([face[k] for face in faces]).astype(np.float32) for k in faces[0]}, held


def _filled(driving, shots: Shots | None):
    """Yield (face, held, its shot): None becomes the last face, or at the start the first one."""
    last, waiting, shot = None, 0, 0
    for number, face in enumerate(driving):
        if face is None and last is None:
            waiting += 1
            continue
        if face is not None and shots is not None:
            shot = shots.numbers[number]
        for _ in range(waiting):
            yield face, True, shot
        waiting = 0
        held = face is None
        last = last if held else face
        yield last, held, shot
    if last is None:
        raise UserError('no face found in any driving frame; is it the right file?')
