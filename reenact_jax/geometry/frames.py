"""Frames of heads: place, size and rotation by points that neither jaw nor lids move.

The points are the corners of the eyes and the nose. A square box does for a network's input, but
its size follows the jaw and its centre the roll; a similarity of rigid points does neither. NumPy,
on the host: a frame takes microseconds, and a face that no rotation explains cannot become its
mirror image. Axes, depth and R = R_x R_y R_z as in tracks.py: a point p of the frontal head appears
at R p. Where there is no depth (all z alike, or all points in a plane), frames are those of the
image: roll, scale and place.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation

from reenact_jax.data.tracks import POSE
from reenact_jax.geometry.layouts import Layout

# Where a head turns, from the middle of its rigid points, in distances between the eyes and in the
# frontal head's axes: the upper neck of the synthetic heads (x 0, y 0.93 to 1.15, z 1.62 to 1.88).
# In five of six real clips it stays stiller than the face's middle does: 0.03 to 0.13 against 0.06
# to 0.22 distances between the eyes (root mean square).
PIVOT = np.array([0.0, 1.0, 1.7])
# Angle of the way from the eyes to the base of the nose against the frontal head's y axis: 23 to 29
# degrees with synthetic heads.
NOSE = np.deg2rad(25.0)
FLAT = 0.02  # relief below this share of the rigid points' width is no depth
_LEAST = 1e-9


class Fit(NamedTuple):
    """Similarities: points = centre + scale * turn (reference - its centre)."""

    turn: Float[np.ndarray, '*s 3 3']
    scale: Float[np.ndarray, '*s']
    centre: Float[np.ndarray, '*s 3']


def rigid(layout: Layout) -> Int[np.ndarray, ' r']:
    """Return the numbers of a layout's rigid points."""
    eyes = [corner for eye in _corners(layout) for corner in eye]
    return np.array([*eyes, *layout.parts['nose_bridge'], *layout.parts['nose_base']])


def deep(points: Float[np.ndarray, '*s n _'], depth=None) -> Float[np.ndarray, '*s n 3']:
    """Give points a third coordinate: `depth` [..., n], or 0."""
    points = np.asarray(points, np.float64)[..., :2]
    depth = np.zeros(points.shape[:-1]) if depth is None else np.asarray(depth, np.float64)
    return np.concatenate([points, depth[..., None]], -1)


def of_face(face: dict) -> Float[np.ndarray, '*s n 3']:
    """Return a face's landmarks with their depth, 0 where it is unknown."""
    space = face.get('landmarks3d')
    return deep(face['landmarks'], None if space is None else np.asarray(space)[..., 2])


def is_flat(points: Float[np.ndarray, 'n 3'], layout: Layout) -> bool:
    """Tell whether the rigid points lie in a plane, so that no rotation out of it can be found."""
    around = points[rigid(layout)]
    sizes = np.linalg.svd(around - around.mean(0), compute_uv=False)
    return bool(sizes[2] <= FLAT * sizes[0])


def fit(
    points: Float[np.ndarray, '*s r 3'], reference: Float[np.ndarray, 'r 3'], flat: bool = False
) -> Fit:
    """Fit the least-squares similarity from a reference to points (Horn 1987), no reflection.

    The scale is the ratio of the sizes, in which neither set counts as the exact one.

    Args:
      points: rigid points of faces.
      reference: the same points of the face that they are fitted to.
      flat: turns in the image alone; z is not looked at.
    """
    centre = points.mean(-2)
    moved, shape = points - centre[..., None, :], reference - reference.mean(0)
    if flat:
        moved, shape = moved * [1, 1, 0], shape * [1, 1, 0]
    product = np.einsum('...ri,rj->...ij', moved, shape)
    turn = _in_plane(product) if flat else _rotation(product)
    return Fit(turn, _size(moved) / max(_size(shape), _LEAST), centre)


def size(points: Float[np.ndarray, '*s n 3'], layout: Layout, flat: bool = False) -> np.ndarray:
    """Measure the root mean square distance of the rigid points from their middle, pixels."""
    around = points[..., rigid(layout), :]
    around = around - around.mean(-2, keepdims=True)
    return np.asarray(np.maximum(_size(around * [1, 1, 0] if flat else around), _LEAST))


def pivot(
    points: Float[np.ndarray, 'n 3'], head: Float[np.ndarray, '3 3'], layout: Layout, flat: bool
) -> Float[np.ndarray, ' 3']:
    """Find the point about which a head turns (`PIVOT`); without depth the rigid points' middle."""
    middle = points[rigid(layout)].mean(0)
    if flat:
        return middle
    left, right = eyes(points, layout)
    return middle + np.linalg.norm(right - left) * head @ PIVOT


def axes(points: Float[np.ndarray, 'n 3'], layout: Layout, flat: bool) -> np.ndarray:
    """Find a head's rotation R [3, 3] by its eyes and nose alone, within some 5 degrees."""
    left, right = eyes(points, layout)
    x = _unit((right - left) * ([1, 1, 0] if flat else 1))
    if flat:
        return np.array([[x[0], -x[1], 0], [x[1], x[0], 0], [0, 0, 1]])
    nose = points[list(layout.parts['nose_base'])].mean(0) - (left + right) / 2
    down = _unit(nose - x * (nose @ x))
    forward = np.cross(x, down)  # right-handed: away from the camera for a frontal head
    rolled = np.stack([x, down, forward], 1)
    return rolled @ Rotation.from_euler('x', NOSE).as_matrix()


def rotation(angles: Float[np.ndarray, '*s 3']) -> Float[np.ndarray, '*s 3 3']:
    """Multiply R_x R_y R_z of angles in radians."""
    matrices = Rotation.from_euler('XYZ', np.reshape(angles, (-1, 3))).as_matrix()
    return matrices.reshape(*np.shape(angles), 3)


def eyes(points: Float[np.ndarray, 'n d'], layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Return the middles of the left and the right eye, between their corners."""
    left, right = (points[list(corners)].mean(0) for corners in _corners(layout))
    return left, right


def angles_known(face: dict) -> Bool[np.ndarray, '*s']:
    """Tell whether all three angles of faces were measured."""
    if face.get('aus') is None or face.get('aus_valid') is None:
        return np.zeros(np.shape(face['landmarks'])[:-2], bool)
    return np.asarray((np.asarray(face['aus_valid'])[..., POSE] > 0).all(-1))


def share(turn: Float[np.ndarray, '*s 3 3'], amount: float) -> Float[np.ndarray, '*s 3 3']:
    """Scale the angles of rotations by `amount`; their axes stay."""
    if amount == 1:
        return turn
    vectors = Rotation.from_matrix(turn.reshape(-1, 3, 3)).as_rotvec()
    return Rotation.from_rotvec(amount * vectors).as_matrix().reshape(turn.shape)


def degrees(turn: Float[np.ndarray, '*s 3 3']) -> Float[np.ndarray, '*s']:
    """Measure the angle of a rotation about its axis, 0 to 180 degrees."""
    vectors = Rotation.from_matrix(turn.reshape(-1, 3, 3)).as_rotvec()
    return np.rad2deg(np.linalg.norm(vectors, axis=-1)).reshape(turn.shape[:-2])


def _corners(layout: Layout) -> list[tuple[int, int]]:
    """Return both eyes' corners, the left eye first: a ring's first point and its middle one."""
    eyes = (layout.parts[name] for name in ('left_eye', 'right_eye'))
    return [(eye[0], eye[len(eye) // 2]) for eye in eyes]


def _rotation(product: Float[np.ndarray, '*s 3 3']) -> Float[np.ndarray, '*s 3 3']:
    """Find the rotation that fits best (Kabsch), by singular values."""
    u, _, v = np.linalg.svd(product)
    sign = np.where(np.linalg.det(u @ v) < 0, -1.0, 1.0)
    u[..., 2] *= sign[..., None]
    return u @ v


def _in_plane(product: Float[np.ndarray, '*s 3 3']) -> Float[np.ndarray, '*s 3 3']:
    across = product[..., 1, 0] - product[..., 0, 1]
    angles = np.arctan2(across, product[..., 0, 0] + product[..., 1, 1])
    nothing = np.zeros_like(angles)
    return rotation(np.stack([nothing, nothing, angles], -1))


def _size(around) -> np.ndarray:
    return np.asarray(np.sqrt(np.square(around).sum(-1).mean(-1)))


def _unit(vector: Float[np.ndarray, ' 3']) -> Float[np.ndarray, ' 3']:
    return vector / max(float(np.linalg.norm(vector)), _LEAST)
