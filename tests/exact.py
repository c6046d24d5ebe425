"""Exact faces for tests of motion: landmarks of synthetic heads, without images."""

import numpy as np
from scipy.spatial.transform import Rotation

from reenact_jax.data.tracks import AU_NAMES
from reenact_jax.data_prep.heads import motion, points, pose
from reenact_jax.data_prep.heads.likeness import likeness, marks
from reenact_jax.data_prep.heads.pose import State
from reenact_jax.data_prep.heads.variety import Variety
from reenact_jax.geometry import landmarks

SIZE = 256


def state(frames: int = 5, turn=(0, 0, 0), **units) -> State:
    """Make frames of one pose.

    Args:
      frames: how many.
      turn: the head's rotation, degrees.
      **units: action units, which rise from 0 to a value (a single frame has the value).
    """
    aus = np.zeros((frames, 17))
    for name, value in units.items():
        aus[:, AU_NAMES.index(name)] = np.linspace(0, value, frames) if frames > 1 else value
    still = np.zeros((frames, 3))
    return State(aus, still + np.deg2rad(turn), np.zeros((frames, 2)), still)


def performed(seed: int, frames: int = 8) -> State:
    """Draw a motion of pose, gaze and action units, without extremes."""
    plain = Variety(extremes=0.0, wide_turns=0.0, shut_eyes=0.0, parted_lips=0.0)
    return motion.motion(seed, frames, plain)


def onto(moving: State, turn) -> State:
    """Give the same motion to a head that starts at `turn` (degrees), in the head's own axes."""
    turns = Rotation.from_euler('XYZ', moving.pose)
    relative = Rotation.from_euler('XYZ', turn, degrees=True) * turns[0].inv() * turns
    return moving._replace(pose=relative.as_euler('XYZ'))


def faces(seed: int, what: State, perspective: bool = False, size: int = SIZE) -> dict:
    """Make a person's faces in a crop of their own, as a bundle takes them.

    Args:
      seed: of the person.
      what: the motion.
      perspective: whether the camera is a perspective one; else orthographic.
      size: side of the crop, pixels.

    Returns:
      Arrays by name, with a row for each frame.
    """
    found = marks(likeness(seed), what).surface[:, points.IBUG]
    seen = pose.project(found) if perspective else found * [pose.SCALE, -pose.SCALE, -pose.SCALE]
    places = pose.window(seen, landmarks.crop_box(seen[..., :2]), size)
    places[..., 2] -= places[..., 2].mean(-1, keepdims=True)
    aus = np.concatenate([what.aus, what.pose], 1)
    return {
        'landmarks': np.float32(places[..., :2]),
        'landmarks3d': np.float32(places),
        'aus': np.float32(aus),
        'aus_valid': np.ones_like(aus, np.float32),
    }


def row(many: dict, number: int) -> dict:
    """Select one of several faces, with a leading axis of 1."""
    return {name: value[number : number + 1] for name, value in many.items()}


def turned(face: dict, turn) -> dict:
    """Turn faces as rigid bodies about the middle of their points, by `turn` in degrees."""
    matrix = Rotation.from_euler('XYZ', turn, degrees=True).as_matrix()
    middle = face['landmarks3d'].mean(-2, keepdims=True)
    places = np.float32((face['landmarks3d'] - middle) @ matrix.T + middle)
    head = Rotation.from_matrix(matrix) * Rotation.from_euler('XYZ', face['aus'][:, 17:])
    aus = np.concatenate([face['aus'][:, :17], np.float32(head.as_euler('XYZ'))], 1)
    return {**face, 'landmarks': places[..., :2], 'landmarks3d': places, 'aus': aus}
