"""Faces of which points alone are known: by a detector of the user's own, or from a file.

A detector is any function from a picture to points:

    def find(image):  # uint8 [h, w, 3], RGB
        return points  # [n, 2] or [n, 3], or several faces [f, n, 2 or 3]; None: there is no face

n is 68 (iBUG's) or 106 (geometry/layouts.py), x and y are pixels of the picture, z grows away from
the camera. Nothing else is known of such a face: no action units, no gaze, and its head's angles
only as far as points tell them.
"""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax.common import outside
from reenact_jax.common.errors import UserError
from reenact_jax.faces import windows
from reenact_jax.faces.detect import Detected, Detector
from reenact_jax.geometry import frames, layouts

# 68 points serve both sets of that number: where the jaw lies, on the surface or on the silhouette,
# is the detector's own.
SETS = {68: ('68', '68c'), 106: ('106',)}


class PointDetector:
    """A detector of the user's own, in the place of `Detector`; a context manager."""

    model = None  # no mesh, so no canonical face

    def __init__(self, name: str, flag: str = '--detector'):
        """Import the function.

        Args:
          name: `my_package.faces:find`.
          flag: what names it, for messages.

        Raises:
          UserError: there is no such function.
        """
        self._find = outside.named(name, flag)
        self._where = f'{flag} {name}'
        self.name = f'{name} {outside.version(name)}'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def detect(
        self,
        image: UInt8[np.ndarray, 'h w 3'],
        near: Sequence[Float[np.ndarray, ' 4']] = (),
        seconds: float | None = None,
        thorough: bool = False,
        turn: int = 0,
    ) -> list[Detected]:
        """Find faces in an image, largest first.

        Args:
          image: RGB.
          near: not used: every image is searched by itself.
          seconds: not used.
          thorough: not used.
          turn: quarter turns, counter-clockwise, that put the faces upright.

        Raises:
          UserError: the function returned something else than points.
        """
        del near, seconds, thorough
        part = windows.turned(image, turn)
        faces = [
            of_points(windows.turned_back(points, turn, (part.shape[1], part.shape[0])))
            for points in _checked(self._find(part), self._where)
        ]
        return sorted(faces, key=lambda face: -windows.area(face.box))

    def track(
        self, image: UInt8[np.ndarray, 'h w 3'], box: Float[np.ndarray, ' 4'], turn: int = 0
    ) -> None:
        """Find nothing: the function is given whole images."""
        del image, box, turn

    def is_certain(self, image: UInt8[np.ndarray, 'h w 3'], face: Detected) -> bool:
        """Take every face of the function as certain."""
        del image, face
        return True


AnyDetector = Detector | PointDetector


def of_points(points: Float[np.ndarray, 'n d']) -> Detected:
    """Make a face of its points.

    Args:
      points: 68 or 106, with depth or without, pixels of an image.
    """
    count = len(points)
    points = frames.deep(points, points[:, 2] if points.shape[1] == 3 else None)
    points = points.astype(np.float32)
    points[:, 2] -= points[:, 2].mean()
    known = SETS[count]
    sizes = {name: layout.count for name, layout in layouts.LAYOUTS.items()}
    aus = np.zeros(20, np.float32)
    left, right = frames.eyes(points, layouts.of_count(count))
    aus[-1] = np.arctan2(*(right - left)[1::-1])  # the roll, by which a search turns images
    return Detected(
        mesh=None,
        **{
            f'landmarks_{name}': points if name in known else np.zeros((size, 3), np.float32)
            for name, size in sizes.items()
        },
        aus=aus,
        aus_valid=np.zeros(20, bool),
        gaze=np.zeros(2, np.float32),
        blendshapes={},
        look=functools.partial(_all_seen, known, sizes),
        sets=known,
    )


def _all_seen(known, sizes: dict) -> dict:
    return {name: np.full(size, name in known) for name, size in sizes.items()}


def _checked(found, where: str) -> list[Float[np.ndarray, 'n 3']]:
    """Return the faces of a function's result, with depth."""
    if found is None:
        return []
    try:
        faces = np.asarray(found, np.float32)
    except (TypeError, ValueError):
        raise UserError(
            f'{where}: returned {type(found).__name__}, which is no array of points'
        ) from None
    if not faces.size:
        return []
    faces = faces[None] if faces.ndim == 2 else faces
    if faces.ndim != 3 or faces.shape[1] not in SETS or faces.shape[2] not in (2, 3):
        raise UserError(
            f'{where}: returned points of shape {list(np.shape(found))}, expected [n, 2], [n, 3] '
            f'or several faces of such points, n one of {", ".join(map(str, SETS))}'
        )
    if not np.isfinite(faces).all():
        raise UserError(f'{where}: returned points that are NaN or infinite')
    return [np.pad(face, ((0, 0), (0, 3 - face.shape[1]))) for face in faces]
