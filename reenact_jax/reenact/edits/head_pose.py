"""The head's pose changed through its landmarks, for models that no angles drive.

Landmarks with depth are rotated from the face's own angles to the changed ones and seen from the
front again, without perspective (axes in tracks.py). Two frames of a synthetic person at rest that
differ by their pose have landmarks 4.2% of the distance between the eyes apart (per coordinate,
means taken away); after the rotation it is 1.1%.
"""

from collections.abc import Sequence

import numpy as np

from reenact_jax.data.tracks import POSE
from reenact_jax.geometry import frames
from reenact_jax.geometry.layouts import Layout
from reenact_jax.reenact.edits import unit_edits
from reenact_jax.reenact.edits.unit_edits import Change

PIVOT = 1.0  # how far it lies behind the landmarks' mean, in distances between the eyes (ours)


def apply(face: dict, changes: Sequence[Change], layout: Layout, amount=1.0) -> dict:
    """Change a face's angles and turn its landmarks with them.

    Args:
      face: arrays as in `tracks.Face`: landmarks [..., n, 2], landmarks3d, aus, aus_valid. Angles
        that are unknown count as 0.
      changes: changes of head angles; others move no landmark.
      layout: point set of the landmarks.
      amount: share of the way from the face's own angles, [] or [...].

    Returns:
      The face with changed landmarks, landmarks3d, aus and aus_valid.
    """
    changed = unit_edits.apply(face, changes, amount)
    angles = np.where(np.asarray(face['aus_valid']) > 0, face['aus'], 0)[..., POSE]
    turn = frames.rotation(changed['aus'][..., POSE]) @ np.swapaxes(frames.rotation(angles), -1, -2)
    points = np.asarray(face['landmarks3d'], np.float64)
    eyes = [points[..., list(layout.parts[name]), :].mean(-2) for name in ('left_eye', 'right_eye')]
    apart = np.linalg.norm(eyes[1] - eyes[0], axis=-1)
    pivot = points.mean(-2, keepdims=True)
    pivot[..., 0, 2] += PIVOT * apart
    turned = np.array((points - pivot) @ np.swapaxes(turn, -1, -2) + pivot, np.float32)
    return {**changed, 'landmarks': turned[..., :2], 'landmarks3d': turned}
