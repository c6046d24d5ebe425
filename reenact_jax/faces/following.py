"""How faces are followed through a film: the one way for drivers and for footage.

`Finder` looks for faces, thoroughly at first and again after a cut or a loss. `Follower` keeps to
one person among those who are tracked: while that person is not seen, nobody else stands in.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax.faces import detect, turning, windows
from reenact_jax.faces import mesh as facemesh
from reenact_jax.faces.detect import Detected
from reenact_jax.faces.points import AnyDetector
from reenact_jax.faces.tracking import CutFinder, Tracker

AGAIN, SELDOM = 0.5, 4.0  # seconds between thorough searches: after a loss, else
WHOLE = 0.5  # seconds between searches of whole frames, where a face is found by its last place
GAP = 0.5  # seconds after which a track without its face ends
# Differences of shape (`shape`, centimetres). Of ten clips, 9 in 10 pairs of frames of one person
# differ by less than 0.23, half of the pairs of two people by more than 0.28.
ALIKE, LIKELY, OTHER = 0.20, 0.27, 0.33
_REACH, _SPEED = 0.75, 1.5  # sides of a face that a head moves unseen: at once, and in a second
_STAYS = 0.5  # overlap of boxes from which a face goes on where colours say that there is a cut
_FLIP = 60.0  # degrees of roll from one frame to the next that have to be confirmed


class Finder:
    """A search for the faces of a film, frame after frame."""

    def __init__(self, detector: AnyDetector, cut: float = 0.75):
        """Begin before the first frame.

        Args:
          detector: what finds faces.
          cut: share of colours that frames of one shot have in common, 0 to 1.
        """
        self.detector, self._is_cut = detector, CutFinder(cut)
        self._cut, self._thorough, self._searched = False, -np.inf, -np.inf

    def watch(self, image: UInt8[np.ndarray, 'h w 3']) -> None:
        """Look for a cut; to be called for every frame, searched or not."""
        self._cut |= self._is_cut(image)

    def search(
        self,
        image: UInt8[np.ndarray, 'h w 3'],
        time: float,
        near: Sequence[Float[np.ndarray, ' 4']] = (),
        lost: bool = False,
        turn: int = 0,
    ) -> tuple[list[Detected], bool]:
        """Find the faces of a frame.

        Args:
          image: RGB.
          time: seconds at which it is shown.
          near: boxes of the faces before.
          lost: whether somebody is looked for.
          turn: quarter turns that put the face that is followed upright.

        Returns:
          The faces, largest first, and whether there was a cut since the last search.
        """
        cut, self._cut, self._searched = self._cut, False, time
        if time - self._thorough >= (AGAIN if lost or cut else SELDOM):
            self._thorough = time
            return self.at_any_roll(image, () if cut else near), cut
        more: dict[str, Any] = {'turn': turn} if turn else {}
        return self.detector.detect(image, near=() if cut else near, **more), cut

    def track(
        self, image: UInt8[np.ndarray, 'h w 3'], time: float, last: Detected
    ) -> Detected | None:
        """Find a face where it was, between searches of whole frames; None: search."""
        if self._cut or time - self._searched >= WHOLE:
            return None
        return self.detector.track(image, last.box, detect.quarter(last))

    def at_any_roll(self, image, near=()) -> list[Detected]:
        """Search thoroughly, also for heads that are not upright."""

        def search(turn: int) -> list[Detected]:
            return self.detector.detect(image, near=near, thorough=turn == 0, turn=turn)

        return turning.find(self.detector, image, search)


class FollowedFace(NamedTuple):
    """The face of a frame that is followed; None: it is not seen."""

    face: Detected | None
    shot: int  # number of the shot: grows where the film cuts


class Follower:
    """A follower of one person through a film.

    Attributes:
      lost: [from, to] of the times without the person, seconds; the last may be open: to None.
      cuts: times of cuts.
      switches: times from which somebody else is followed, who took the person's place in a cut.
      certain: whether any of the faces was surely a human's.
    """

    def __init__(
        self, detector: AnyDetector, which: str | int | None = None, where: str = 'driver'
    ):
        """Begin before the first frame.

        Args:
          detector: what finds faces.
          which: as `choose` takes it, of the faces first seen; None: the largest.
          where: what messages call the film.
        """
        self._finder, self._which, self._where = Finder(detector), which, where
        self._tracker = Tracker(gap=GAP, kept=False)
        self._number, self._shot = -1, 0
        self._me: int | None = None  # number of the track
        self._others: set[int] = set()  # tracks seen beside it
        self._last: Detected | None = None
        self._seen = 0.0  # seconds at which it was last seen
        self._shape: Any = None  # of the person who is followed
        self._first: Any = None  # of the one who was before any switch
        self.lost: list[list[float | None]] = []
        self.cuts: list[float] = []
        self.switches: list[float] = []
        self.certain, self._asked = False, -np.inf

    def __call__(self, image: UInt8[np.ndarray, 'h w 3'], time: float) -> FollowedFace:
        """Find the person in the next frame.

        Args:
          image: RGB.
          time: seconds at which it is shown.

        Raises:
          UserError: the first faces that are seen lack the one that was asked for.
        """
        self._number += 1
        self._finder.watch(image)
        faces, cut = self._search(image, time)
        cut = cut and self._last is not None and not self._stays(faces)
        self._tracker.update(self._number, faces, time, cut)
        if cut:
            self.cuts.append(time)
            self._shot, self._me, self._others = self._shot + 1, None, set()
        seen = self._tracker.seen(self._number)
        face = self._choose(seen, time)
        self._note(face, time)
        if face is not None:
            self._others |= seen.keys() - {self._me}
            self._last, self._seen = face, time
            self._learn(face)
            if not self.certain and time - self._asked >= AGAIN:
                self.certain, self._asked = self._finder.detector.is_certain(image, face), time
        return FollowedFace(face, self._shot)

    def report(self) -> dict[str, Any]:
        """Say where the person was lost, and where the film cuts or another one is followed.

        'certain' says whether it is a person at all: an animal or a drawing is not; None: no face.
        """
        lost = [[_round(value) for value in pair] for pair in self.lost]
        cuts, switches = ([_round(t) for t in times] for times in (self.cuts, self.switches))
        certain = None if self._last is None else self.certain
        return {'lost': lost, 'cuts': cuts, 'switches': switches, 'certain': certain}

    @property
    def _is_lost(self) -> bool:
        return bool(self.lost) and self.lost[-1][1] is None

    def _search(self, image, time: float) -> tuple[list[Detected], bool]:
        last = self._last
        if (tracked := self._tracked(image, time)) is not None:
            return [tracked], False
        near = [] if last is None else [last.box]
        near += [box for box in self._tracker.boxes() if not near or _apart(box, near[0])]
        lost = last is None or self._is_lost
        turn = 0 if last is None else detect.quarter(last)
        faces, cut = self._finder.search(image, time, near, lost, turn)
        if last is None or cut or time - self._seen > GAP:
            return faces, cut
        flipped = [f for f in faces if not _apart(f.box, last.box) and _turned(f, last) > _FLIP]
        if flipped:  # of a head that turns too far its points are often those of another pose
            again = self._finder.at_any_roll(image, near)
            faces = [f for f in faces if all(f is not other for other in flipped)]
            faces += [f for f in again if not _apart(f.box, last.box) and _turned(f, last) <= _FLIP]
        return faces, cut

    def _tracked(self, image, time: float) -> Detected | None:
        """Return the person's face where it was, if it was seen there in the last frame, alone."""
        last = self._last
        if last is None or self._is_lost or len(self._tracker.boxes()) != 1:
            return None
        face = self._finder.track(image, time, last)
        if face is None or _turned(face, last) > _FLIP or not self._stays([face]):
            return None
        return face

    def _stays(self, faces: Sequence[Detected]) -> bool:
        """Tell whether the face goes on in its place: a flash, no cut."""
        last: Any = self._last
        return any(
            windows.overlap(face.box, last.box) >= _STAYS and self._unlike(face) < LIKELY
            for face in faces
        )

    def _choose(self, seen: dict[int, Detected], time: float) -> Detected | None:
        """Return the person's face of those in a frame, by the numbers of their tracks."""
        if not seen:
            return None
        if self._me in seen:
            # After a gap somebody else may stand in the same place.
            other = self._is_lost and self._unlike(seen[self._me]) > OTHER
            return None if other else seen[self._me]
        if self._last is None:
            faces = list(seen.values())
            which = 'largest' if self._which is None else self._which
            chosen = detect.choose(faces, which, self._where)
            self._me = next(track for track, face in seen.items() if face is chosen)
            return chosen
        strangers = {track: face for track, face in seen.items() if track not in self._others}
        if self._shot and self._me is None:
            return self._after_cut(strangers, time)
        fit = [(track, face) for track, face in strangers.items() if self._fits(face, seen, time)]
        if not fit:
            return None
        self._me, face = min(fit, key=lambda item: self._unlike(item[1]))
        return face

    def _after_cut(self, faces: dict[int, Detected], time: float) -> Detected | None:
        """Choose whom to follow in a new shot: one who was followed before, else the largest."""

        def unlike(face: Detected) -> float:
            return min(self._unlike(face, shape) for shape in (self._first, self._shape))

        track, face = min(faces.items(), key=lambda item: unlike(item[1]))
        if unlike(face) > LIKELY:
            track, face = max(faces.items(), key=lambda item: windows.area(item[1].box))
            self.switches.append(time)
        if self.switches:  # somebody else, or the first one again: learnt anew
            self._shape = None
        self._me = track
        return face

    def _fits(self, face: Detected, seen: dict[int, Detected], time: float) -> bool:
        """Tell whether a face can be that of the person who was lost, by place and shape."""
        last: Any = self._last
        unlike = self._unlike(face)
        side = max(last.box[2:] - last.box[:2])
        moved = np.hypot(*((face.box[:2] + face.box[2:] - last.box[:2] - last.box[2:]) / 2)) / side
        within = moved <= _REACH + _SPEED * (time - self._seen)
        if not within:
            return unlike < ALIKE and len(seen) == 1
        return unlike < (OTHER if len(seen) == 1 else LIKELY)

    def _unlike(self, face: Detected, other: Any = None) -> float:
        """Measure how far a face differs in shape, from the person's; 0 where that is unknown."""
        own, other = shape(face, self._finder.detector), self._shape if other is None else other
        if own is None or other is None:
            return 0.0
        return float(np.sqrt(np.square(own - other).sum(-1).mean()))

    def _learn(self, face: Detected) -> None:
        own = shape(face, self._finder.detector)
        if own is not None:
            self._shape = own if self._shape is None else 0.95 * self._shape + 0.05 * own
            self._first = self._first if self.switches else self._shape

    def _note(self, face: Detected | None, time: float) -> None:
        if face is None and not self._is_lost:
            self.lost.append([time, None])
        elif face is not None and self._is_lost:
            self.lost[-1][1] = time


def shape(face: Detected, detector: AnyDetector) -> Float[np.ndarray, 'n 2'] | None:
    """Return the face's shape in the canonical pose: points that expressions spare, weighted.

    None where the detector has no canonical face.
    """
    model = getattr(detector, 'model', None)
    if model is None or face.mesh is None:
        return None
    canonical, mesh = facemesh.canonical(model), face.mesh[:468]
    scale, turn, shift = facemesh.similarity(mesh, canonical.vertices, canonical.rigid)
    points = scale * mesh @ turn.T + shift
    weights = np.sqrt(canonical.rigid * len(points))
    at = weights > 0
    return (points[at, :2] * weights[at, None]) * np.sqrt(at.sum() / len(points))


def _apart(box, other) -> bool:
    return windows.overlap(box, other) < 0.3


def _turned(face: Detected, other: Detected) -> float:
    return abs(turning.difference(detect.roll(face), detect.roll(other)))


def _round(time: float | None) -> float | None:
    return None if time is None else round(time, 3)
