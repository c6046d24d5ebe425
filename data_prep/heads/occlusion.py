"""Share of the sky that each vertex sees, and the key light's shadows, by depth maps."""

import numpy as np

from reenact_jax.data_prep.heads import rasteriser
from reenact_jax.data_prep.heads.compiled import compiled

DIRECTIONS = 44
SPAN = 56.0  # cm across a depth map
_NO_LIDS = np.zeros((2, 0, 3), np.float32)
_NO_CHART = np.zeros((1, 2), np.float32)


def axes(direction) -> np.ndarray:
    """Return the rows right, up, towards the light."""
    w = np.asarray(direction, float) / np.linalg.norm(direction)
    u = np.cross([0.02, 1.0, 0.01], w)
    u /= np.linalg.norm(u)
    return np.stack([u, np.cross(w, u), w])


def depth_map(points, faces, direction, size: int, centre):
    """Map depth towards a light: the points in the map's samples [n, 3], the map [size, size]."""
    seen = (points - centre) @ axes(direction).T.astype(np.float32)
    screen = np.empty(seen.shape, np.float32)
    screen[:, 0] = size / 2 + seen[:, 0] * (size / SPAN)
    screen[:, 1] = size / 2 - seen[:, 1] * (size / SPAN)
    screen[:, 2] = -seen[:, 2]
    depth = np.empty((size, size), np.float32)
    shown = np.empty((size, size), np.int32)
    u, v = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    rasteriser.clear(depth, shown)
    rasteriser.triangles(screen, faces, 0, True, _NO_LIDS, _NO_CHART, depth, shown, u, v)
    return screen, depth


@compiled
def lit(screen, depth, bias, soft, reach, out):
    """Compute the share of light at points [n, 3]: compare (2 reach + 1)^2 samples around each."""
    h, w = depth.shape
    for i in range(screen.shape[0]):
        x, y = int(screen[i, 0]), int(screen[i, 1])
        total, count = 0.0, 0
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                qx, qy = min(w - 1, max(0, x + dx)), min(h - 1, max(0, y + dy))
                behind = screen[i, 2] - depth[qy, qx] - bias
                total += 1 - min(1.0, max(0.0, behind / soft))
                count += 1
        out[i] = total / count


@compiled
def soften(grid):
    """Blur a value on the skin's grid [r, c] in place: the maps are coarser than the columns."""
    rows, cols = grid.shape
    line = np.empty(max(rows, cols), np.float32)
    for i in range(rows):
        for _ in range(5):
            line[:cols] = grid[i]
            for j in range(1, cols - 1):
                grid[i, j] = 0.25 * (line[j - 1] + line[j + 1]) + 0.5 * line[j]
    for j in range(cols):
        for _ in range(2):
            line[:rows] = grid[:, j]
            for i in range(1, rows - 1):
                grid[i, j] = 0.25 * (line[i - 1] + line[i + 1]) + 0.5 * line[i]


def sky(points, faces, twins, skin: int, rows: int, cols: int, slit: int) -> np.ndarray:
    """Compute the ambient visibility [n] of every vertex of the neutral head, 0..1."""
    normals = np.zeros_like(points)
    rasteriser.normals(points, faces, twins, normals)
    k = np.arange(DIRECTIONS) + 0.5
    up = 1 - 1.75 * k / DIRECTIONS
    turn = np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - up * up)
    total = np.zeros(len(points))
    weight = np.full(len(points), 1e-6)
    share = np.empty(len(points), np.float32)
    centre = np.array([0, -6.0, 0], np.float32)
    for d in np.stack([flat * np.cos(turn), up, flat * np.sin(turn)], -1):
        screen, depth = depth_map(points, faces, d, 176, centre)
        lit(screen, depth, 0.40, 0.5, 1, share)
        w = np.clip(normals @ d.astype(np.float32), 0, 1) * (0.7 + 0.3 * d[1])
        total += w * share
        weight += w
    out = np.clip(total / weight * 1.05, 0.05, 1).astype(np.float32)
    grid = out[:skin].reshape(rows, cols)
    grid[slit + 1 : slit + 5] = grid[slit]
    soften(grid)  # the noise of few directions
    return out
