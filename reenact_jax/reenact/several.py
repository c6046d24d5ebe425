"""Several pictures of one person as a source: each frame is drawn from the one that fits its pose.

The first picture is the portrait: its face moves, and results show it. Of the others only the crop
of the face counts, which lies in the place of the first one's and fades at its border. They may be
of any size and from anywhere; the more their light and hair are alike, the better.

Which picture is nearest is told by the pose and the shape of the face that is asked for. Another
one is taken where it is clearly nearer (`CLEARLY`), and fades in over a few frames.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax import faces
from reenact_jax.bundle import Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.media import reading, timeline
from reenact_jax.reenact import keypoint_motion, painting, portraits, starts
from reenact_jax.reenact.painting import Painter
from reenact_jax.reenact.pasting import Canvas, Paster
from reenact_jax.reenact.portraits import Portrait

# How much nearer another picture has to be, as `starts.posed` rates it: 5 degrees of a turn.
CLEARLY = 1 / 3
FADE = 4  # frames in which two pictures are mixed
LOOKED, MOST = 48, 8  # pictures of a video or folder that are looked at, and those that are taken


class Choice:
    """Which picture the frames of a clip are drawn from."""

    def __init__(self):
        """Begin before the first frame."""
        self._now, self._before, self._left = -1, -1, 0

    def __call__(self, apart: Float[np.ndarray, ' k']) -> dict[int, float]:
        """Return the pictures of the next frame and their shares, which sum up to 1.

        Args:
          apart: how far each picture is from what is asked for.
        """
        nearest = int(np.argmin(apart))
        if self._now < 0:
            self._now = nearest
        elif not self._left and apart[self._now] - apart[nearest] > CLEARLY:
            self._now, self._before, self._left = nearest, self._now, FADE
        if not self._left:
            return {self._now: 1.0}
        share = self._left / (FADE + 1)
        self._left -= 1
        return {self._before: share, self._now: 1 - share}


class Several:
    """A painter of several pictures (`painting.Painter`)."""

    def __init__(self, painters: Sequence[Painter], known: Sequence[dict]):
        """Join the painters of all pictures.

        Args:
          painters: one for each picture.
          known: the faces in them, `portraits.known`, in the same order.
        """
        self._painters, self._known, self._choice = painters, known, Choice()

    def draw(self, points, count=None):
        points = np.asarray(points)
        shares = [self._choice(self._apart(row)) for row in points[:count]]
        drawn = {
            which: self._painters[which].draw(points, count)
            for which in sorted({which for share in shares for which in share})
        }
        return [
            {which: (weight, drawn[which][row]) for which, weight in share.items()}
            for row, share in enumerate(shares)
        ]

    def finish(self, drawn):
        finished = [
            (weight, self._painters[which].finish(one)) for which, (weight, one) in drawn.items()
        ]
        if len(finished) == 1:
            return finished[0][1]
        mixed = sum(weight * frame.astype(np.float32) for weight, frame in finished)
        return np.asarray(mixed).round().astype(np.uint8)

    def close_up(self, frame):
        return self._painters[0].close_up(frame)

    def _apart(self, points: Float[np.ndarray, 'n _']) -> Float[np.ndarray, ' k']:
        face = {'landmarks': points[:, :2]}
        face |= {'landmarks3d': points} if points.shape[1] == 3 else {}
        return np.array([starts.posed(face, known) for known in self._known])


def painter(
    bundle: Bundle,
    source: Portrait,
    others: Sequence[Portrait],
    *,
    whole: bool = False,
    most: int | None = None,
) -> Several:
    """Choose how the frames of several pictures are drawn.

    Args:
      bundle: the model.
      source: the first picture.
      others: the other ones.
      whole: as of `painting.painter`.
      most: as of `painting.painter`.

    Raises:
      UserError: the model is not moved by landmarks, which tell the pose.
    """
    keypoint_motion.refuse(bundle, 'several sources')
    all_of_them = [source, *(aligned(source, other) for other in others)]
    painters = [painting.painter(bundle, one, whole=whole, most=most) for one in all_of_them]
    return Several(painters, [one.known for one in all_of_them])


def aligned(first: Portrait, other: Portrait) -> Portrait:
    """Put the crop of another picture into the first one, in the place of its face."""
    if first.canvas is None:
        return other._replace(canvas=None)
    crop = other.shown(max(round(first.canvas.window[2]), 1))
    return other._replace(canvas=Canvas(Paster(first.canvas)(crop), first.canvas.window))


def from_file(
    path: str, size: int, points: str, detector: faces.AnyDetector, which: str | int | None = None
) -> list[Portrait]:
    """Take pictures of a person from a video or a folder of stills: those whose poses differ most.

    The first one that has a face is the portrait. Frames of a video without a face are left out.

    Args:
      path: the video or folder.
      size: side of the crop, pixels.
      points: point set.
      detector: what finds faces.
      which: of several faces in a picture, as of `portraits.from_file`.

    Raises:
      UserError: a still of the folder has no face, or no frame has one.
    """
    kind = reading.kind(path)
    found, fault = [], UserError(f'{path}: no frames')
    for where, picture in _pictures(path, kind):
        try:
            one = portraits.from_picture(picture, size, points, detector, which, where)
        except UserError as error:
            if kind == 'folder':
                raise
            fault = error
            continue
        found.append(_small(one) if found else one)
    if not found:
        raise fault
    return differing(found)


def differing(found: Sequence[Portrait]) -> list[Portrait]:
    """Choose at most `MOST` pictures, the first and then always the one that differs most."""
    chosen = [found[0]]
    apart = np.full(len(found), np.inf)
    while len(chosen) < MOST:
        last = chosen[-1].known
        apart = np.minimum(apart, [starts.posed(one.known, last) for one in found])
        if apart.max() <= CLEARLY:  # it would never be drawn from
            break
        chosen.append(found[int(np.argmax(apart))])
    return chosen


def _pictures(path: str, kind: str) -> Iterable[tuple[str, UInt8[np.ndarray, 'h w 3']]]:
    """Give at most `LOOKED` pictures, evenly spread, with what messages call them."""
    if kind == 'folder':
        files = reading.stills(path)
        for number in sorted(timeline.spread(range(len(files)), LOOKED)):
            yield str(files[number]), reading.read_still(files[number])
        return
    reader = reading.Reader(path)
    wanted = reader.timeline.spread(LOOKED)
    for number, picture in enumerate(reader):
        if number in wanted:
            yield f'{path}, frame {number}', picture


def _small(portrait: Portrait) -> Portrait:
    """Keep the crop of a picture alone."""
    assert portrait.canvas is not None
    side = max(round(portrait.canvas.window[2]), 1)
    return portrait._replace(canvas=Canvas(portrait.shown(side), (0, 0, side)))
