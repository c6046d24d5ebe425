"""Landmarks that look like those of a frontal face in a square crop."""

import numpy as np


def face_points(side: float) -> np.ndarray:
    """Draw 68 points [68, 2] of a face that fills a little over half of a crop.

    Args:
      side: of the crop, pixels.
    """
    t = np.linspace(0, 1, 17)
    jaw = np.stack([-np.cos(np.pi * t), np.sin(np.pi * t) * 1.15 - 0.1], -1)
    brow = np.stack([np.linspace(-0.75, -0.25, 5), -0.45 - 0.08 * np.sin(np.linspace(0, 3, 5))], -1)
    bridge = np.stack([np.zeros(4), np.linspace(-0.25, 0.15, 4)], -1)
    base = np.stack([np.linspace(-0.2, 0.2, 5), 0.25 + np.array([0, 0.03, 0.05, 0.03, 0])], -1)
    turn = np.linspace(0, 2 * np.pi, 7)[:6]
    eye = np.stack([-0.15 * np.cos(turn), -0.06 * np.sin(turn)], -1) + np.array([-0.45, -0.25])
    around = np.linspace(0, 2 * np.pi, 13)[:12]
    outer = np.stack([-0.35 * np.cos(around), -0.13 * np.sin(around)], -1) + np.array([0, 0.6])
    around = np.linspace(0, 2 * np.pi, 9)[:8]
    inner = np.stack([-0.25 * np.cos(around), -0.05 * np.sin(around)], -1) + np.array([0, 0.6])
    right_eye = (eye * [-1, 1])[[3, 2, 1, 0, 5, 4]]
    parts = [jaw, brow, brow[::-1] * [-1, 1], bridge, base, eye, right_eye, outer, inner]
    return np.float32((np.concatenate(parts) * 0.27 + [0.5, 0.52]) * side)
