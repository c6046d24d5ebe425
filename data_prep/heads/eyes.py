"""Lids, their edges in every frame, and the eyeballs.

The skin over the eye is modelled closed; the opening is cut out of it, sample by sample, between
two curves in the chart plane (x, y of the neutral head). Lids therefore close exactly, follow the
gaze, and leave no holes.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.data_prep.heads.anatomy import Measures
from reenact_jax.data_prep.heads.expressions import AU

SAMPLES = 49  # of a lid's edge


class Opening(NamedTuple):
    """The state of both lids in a frame: share of the rest opening, raise of the lower lid."""

    upper: np.ndarray  # [*t]
    lower: np.ndarray


def opening(aus: Float[np.ndarray, '*t 17'], strengths, pitch) -> Opening:
    """Open the lids for 17 intensities and the gaze's pitch (radians, positive down).

    The upper lid follows the eye down and up; AU45 multiplies, so that 1 closes whatever else acts.
    """
    get = lambda name: aus[..., AU[name]] * strengths[AU[name]]  # noqa: E731
    squint = 0.62 * get('AU07') + 0.42 * get('AU06') + 0.18 * get('AU09') + 0.10 * get('AU12')
    narrow = 0.26 * get('AU07') + 0.14 * get('AU06') + 0.16 * get('AU09') + 0.10 * get('AU04')
    share = 1 + 0.42 * get('AU05') - narrow - np.clip(1.15 * pitch, -0.25, 0.55)
    shut = np.clip(aus[..., AU['AU45']], 0, 1)
    lower = np.clip(squint - 0.5 * pitch + 0.35 * shut, -0.4, 0.95)
    return Opening(np.clip(share, 0.12, 1.6) * (1 - shut), lower)


def edges(m: Measures, state: Opening, q: np.ndarray):
    """Compute heights (lower, upper) [*t, n] of the lid edges at q [n], 0 inner corner, 1 outer."""
    q = np.clip(q, 0, 1)
    line = m.eye_tilt * (2 * q - 1) * m.eye_half + m.eye[1] - 0.10 * (1 - q) ** 4
    rise = np.sin(np.pi * q**0.84) ** 0.80
    dip = np.sin(np.pi * q**1.22) ** 0.90
    low = line - m.eye_down * dip * (1 - np.asarray(state.lower)[..., None])
    high = line + m.eye_up * rise
    return low, low + (high - low) * np.asarray(state.upper)[..., None]


def chart_x(m: Measures, q):
    """Compute abs(x) at q."""
    return m.eye[0] + (2 * np.asarray(q) - 1) * m.eye_half


def table(m: Measures, state: Opening) -> Float[np.ndarray, '2 s 3']:
    """List rows (x, lower, upper) of the left (x < 0) and the right opening, x ascending."""
    q = np.linspace(0, 1, SAMPLES)
    low, high = edges(m, state, q)
    high = np.maximum(high, low)
    x = chart_x(m, q)
    right = np.stack([x, low, high], -1)
    left = np.stack([-x[::-1], low[::-1], high[::-1]], -1)
    return np.stack([left, right]).astype(np.float32)


def ball(rings: int = 22, around: int = 36):
    """Make a unit cap towards +z: points [n, 3] and triangles [f, 3]."""
    a, b = np.meshgrid(
        np.linspace(0.02, 1.45, rings), np.linspace(0, 2 * np.pi, around, False), indexing='ij'
    )
    points = np.stack([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)], -1)
    return points.reshape(-1, 3), rolled(rings, around)


def rolled(rings: int, around: int) -> np.ndarray:
    """List the triangles of a grid closed around its second axis."""
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(around), indexing='ij')
    a, b = (i * around + j).ravel(), (i * around + (j + 1) % around).ravel()
    c, d = a + around, b + around
    return np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)]).astype(np.int32)


def gaze_direction(gaze) -> np.ndarray:
    """Turn the head's (yaw, pitch) into unit vectors [*t, 3]: x right, y up, z to the camera."""
    yaw, pitch = gaze[..., 0], gaze[..., 1]
    flat = np.cos(pitch)
    return np.stack([np.sin(yaw) * flat, -np.sin(pitch), np.cos(yaw) * flat], -1)
