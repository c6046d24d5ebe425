"""The turn of the head on its neck, and the projection to the image.

The model's axes are x right, y up, z to the camera, in centimetres; the project's (tracks.py) are
x right, y down, z away. The rotation R = R_x R_y R_z is the project's.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.data_prep.heads.compiled import compiled
from reenact_jax.data_prep.heads.surface import step

PIVOT = np.array([0.0, -9.0, -2.0])  # the upper neck
LEVELS = 17  # of the share of the rotation along the neck
DISTANCE = 78.0  # cm from the camera to the middle of the head
SCALE = 24.0  # pixels of the virtual camera a centimetre at that distance
CENTRE = np.array([640.0, 480.0])


class State(NamedTuple):
    """17 intensities, R_x R_y R_z, gaze (yaw, pitch), shift in cm: of one frame, or of t frames."""

    aus: Float[np.ndarray, '*t 17']
    pose: Float[np.ndarray, '*t 3']
    gaze: Float[np.ndarray, '*t 2']
    shift: Float[np.ndarray, '*t 3']

    def frame(self, t: int) -> 'State':
        """Select the t-th of several frames."""
        return State(*(field[t] for field in self))


@compiled
def _turn(x, y, z, out):
    """Write R_x R_y R_z of tracks.py into out[3, 3], in the model's axes (y and z flipped)."""
    cx, cy, cz, sx, sy, sz = np.cos(x), np.cos(y), np.cos(z), np.sin(x), np.sin(y), np.sin(z)
    out[0, 0], out[0, 1], out[0, 2] = cy * cz, cy * sz, -sy
    out[1, 0] = -(cx * sz + sx * sy * cz)
    out[1, 1], out[1, 2] = cx * cz - sx * sy * sz, -sx * cy
    out[2, 0] = -(sx * sz - cx * sy * cz)
    out[2, 1], out[2, 2] = sx * cz + cx * sy * sz, cx * cy


def rotation(angles) -> Float[np.ndarray, '3 3']:
    """Compute R_x R_y R_z of tracks.py, in the model's axes."""
    out = np.empty((3, 3))
    _turn(*(float(angle) for angle in angles), out)
    return out


def neck_share(points: Float[np.ndarray, 'n 3']) -> np.ndarray:
    """Compute the share of the head's rotation that neutral points take: 1 head, 0 shoulders."""
    behind = step(2, -6, points[:, 2])
    return step(-19.5, -11.0 + 2.5 * behind, points[:, 1]).astype(np.float32)


@compiled
def levels(angles, count=LEVELS):
    """Compute rotations by [t, 3] angles in `count` parts, from none to all: [t, count, 3, 3]."""
    out = np.empty((angles.shape[0], count, 3, 3))
    for i in range(angles.shape[0]):
        for k in range(count):
            f = k / (count - 1)
            _turn(f * angles[i, 0], f * angles[i, 1], f * angles[i, 2], out[i, k])
    return out


@compiled
def place(points, share, turns, pivot, shift, out):
    """Rotate points [n, 3] by their share of the turns [l, 3, 3] about `pivot`, then shift."""
    last = turns.shape[0] - 1
    for i in range(points.shape[0]):
        x, y, z = points[i, 0] - pivot[0], points[i, 1] - pivot[1], points[i, 2] - pivot[2]
        t = share[i] * last
        k = min(int(t), last - 1)
        f = t - k
        for d in range(3):
            a = turns[k, d, 0] * x + turns[k, d, 1] * y + turns[k, d, 2] * z
            b = turns[k + 1, d, 0] * x + turns[k + 1, d, 1] * y + turns[k + 1, d, 2] * z
            out[i, d] = a + f * (b - a) + pivot[d] + shift[d]


@compiled
def place_frames(points, share, turns, pivot, shift):
    """Place t frames as `place` does: points [t, n, 3], turns [t, l, 3, 3], shift [t, 3]."""
    for i in range(points.shape[0]):
        place(points[i], share, turns[i], pivot, shift[i], points[i])


def project(points: Float[np.ndarray, '... 3']) -> Float[np.ndarray, '... 3']:
    """Project by the virtual camera: x, y in pixels, y down; z in the same unit, away from it."""
    near = DISTANCE / (DISTANCE - points[..., 2])
    x = CENTRE[0] + SCALE * points[..., 0] * near
    y = CENTRE[1] - SCALE * points[..., 1] * near
    return np.stack([x, y, -SCALE * points[..., 2]], -1)


def window(points: Float[np.ndarray, '... 3'], crop, size: float) -> Float[np.ndarray, '... 3']:
    """Map virtual pixels to pixels of a crop (x0, y0, side) shown at `size`; z scaled alike."""
    x0, y0, side = crop[:3]
    return (points - np.array([x0, y0, 0.0])) * (size / side)


@compiled
def to_samples(points, distance, scale, cx, cy, x0, y0, zoom, out):
    """Map points [n, 3] to samples (x, y) of a crop and a depth that is affine on the screen."""
    for i in range(points.shape[0]):
        near = distance / (distance - points[i, 2])
        out[i, 0] = (cx + scale * points[i, 0] * near - x0) * zoom
        out[i, 1] = (cy - scale * points[i, 1] * near - y0) * zoom
        out[i, 2] = -near
