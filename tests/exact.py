"""Exact faces for tests of motion: landmarks of synthetic heads, without pictures."""

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
    """Frames of one pose, turn in degrees; units rise from 0 to a value (one frame has it)."""
    aus = np.zeros((frames, 17))
    for name, value in units.items():
        aus[:, AU_NAMES.index(name)] = np.linspace(0, value, frames) if frames > 1 else value
    still = np.zeros((frames, 3))
    return State(aus, still + np.deg2rad(turn), np.zeros((frames, 2)), still)


def performed(seed: int, frames: int = 8) -> State:
    """A motion with everything in it."""
    plain = Variety(extremes=0.0, wide_turns=0.0, shut_eyes=0.0, parted_lips=0.0)
    return motion.motion(seed, frames, plain)


def onto(moving: State, turn) -> State:
    """The same motion of a head that starts at `turn`, degrees, in the head's own axes."""
    turns = Rotation.from_euler('XYZ', moving.pose)
    own = Rotation.from_euler('XYZ', turn, degrees=True) * turns[0].inv() * turns
    return moving._replace(pose=own.as_euler('XYZ'))


def faces(seed: int, what: State, perspective: bool = False, size: int = SIZE) -> dict:
    """A person's faces, rows of arrays as a bundle takes them, in a crop of their own."""
    found = marks(likeness(seed), what).surface[:, points.IBUG]
    seen = pose.project(found) if perspective else found * [pose.SCALE, -pose.SCALE, -pose.SCALE]
    there = pose.window(seen, landmarks.crop_box(seen[..., :2]), size)
    there[..., 2] -= there[..., 2].mean(-1, keepdims=True)
    aus = np.concatenate([what.aus, what.pose], 1)
    return {
        'landmarks': np.float32(there[..., :2]),
        'landmarks3d': np.float32(there),
        'aus': np.float32(aus),
        'aus_valid': np.ones_like(aus, np.float32),
    }


def row(many: dict, number: int) -> dict:
    """One of several faces, with a leading axis of 1."""
    return {name: value[number : number + 1] for name, value in many.items()}


def turned(face: dict, turn) -> dict:
    """Faces turned as they are by degrees, about the middle of their points."""
    matrix = Rotation.from_euler('XYZ', turn, degrees=True).as_matrix()
    middle = face['landmarks3d'].mean(-2, keepdims=True)
    there = np.float32((face['landmarks3d'] - middle) @ matrix.T + middle)
    head = Rotation.from_matrix(matrix) * Rotation.from_euler('XYZ', face['aus'][:, 17:])
    aus = np.concatenate([face['aus'][:, :17], np.float32(head.as_euler('XYZ'))], 1)
    return {**face, 'landmarks': there[..., :2], 'landmarks3d': there, 'aus': aus}
