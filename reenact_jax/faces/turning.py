"""Faces that are not upright: which of the four quarter turns of an image shows them as they are.

The landmarker gives upright points for a head that stands on its top, too. What it finds in the
four turned images says which are right: points that are in their place turn with the image.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from reenact_jax.faces import windows
from reenact_jax.faces.detect import Detected, roll
from reenact_jax.faces.points import AnyDetector

UPRIGHT = 40.0  # degrees of roll up to which a face that is certain is taken as it is found
_ALIKE = 25.0  # degrees within which two turned images agree
_SAME = 0.3  # overlap of the boxes of one face


def find(
    detector: AnyDetector,
    image: UInt8[np.ndarray, 'h w 3'],
    search: Callable[[int], list[Detected]],
) -> list[Detected]:
    """Find faces at any roll, largest first.

    Args:
      detector: what `search` uses; it says which faces are certain.
      image: RGB.
      search: finds faces in the image after so many quarter turns.
    """
    found = search(0)
    if found and all(abs(roll(face)) <= UPRIGHT and detector.is_certain(image, face)
                     for face in found):  # fmt: skip
        return found
    groups: list[list[tuple[int, Detected]]] = []
    for turn in range(4):
        for face in found if turn == 0 else search(turn):
            group = next((g for g in groups if _is_same(g[0][1], face)), None)
            if group is None:
                groups.append([(turn, face)])
            else:
                group.append((turn, face))
    faces = [(group[0][0], _agreed(group)) for group in groups]
    # Textures look like faces now and then: four searches must not find four times as many.
    sure = [face for turn, face in faces if turn == 0 or detector.is_certain(image, face)]
    chosen = sure or [face for _, face in faces]
    return sorted(chosen, key=lambda face: -windows.area(face.box))


def _is_same(one: Detected, other: Detected) -> bool:
    return windows.overlap(one.box, other.box) >= _SAME


def _agreed(group: Sequence[tuple[int, Detected]]) -> Detected:
    """Choose the face on which most turns agree; then those that agree best; then the least roll.

    Of those that agree, it is the one that was found most upright.
    """
    best, least = group[0][1], (0, np.inf, np.inf)
    for _, face in group:
        apart = [abs(difference(roll(face), roll(other))) for _, other in group]
        near = [angle for angle in apart if angle <= _ALIKE]
        rank = -len(near), sum(near), abs(roll(face))
        if rank < least:
            best, least = face, rank
    alike = [(t, f) for t, f in group if abs(difference(roll(f), roll(best))) <= _ALIKE]
    return min(alike, key=lambda item: abs(difference(roll(item[1]), 90 * item[0])))[1]


def difference(one: float, other: float) -> float:
    """Return one angle less another, degrees, from -180 to 180."""
    return (one - other + 180) % 360 - 180
