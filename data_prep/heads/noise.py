"""Smooth noise in space, the same on every machine: lattice values by an integer hash."""

import numpy as np

from reenact_jax.data_prep.heads.compiled import compiled


@compiled
def _hash(x, y, z, seed):
    h = (x * 374761393 + y * 668265263 + z * 1274126177 + seed * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2654435761) & 0xFFFFFFFF
    return (h ^ (h >> 15)) / 4294967296.0 * 2.0 - 1.0


@compiled
def lattice(points, size, seed):
    """Compute value noise in about [-1, 1] at points [n, 3], smooth over `size` (same unit)."""
    out = np.empty(points.shape[0], np.float32)
    for i in range(points.shape[0]):
        x, y, z = points[i, 0] / size, points[i, 1] / size, points[i, 2] / size
        ix, iy, iz = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        fx, fy, fz = x - ix, y - iy, z - iz
        fx, fy, fz = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy), fz * fz * (3 - 2 * fz)
        total = 0.0
        for dz in range(2):
            for dy in range(2):
                for dx in range(2):
                    w = (fx if dx else 1 - fx) * (fy if dy else 1 - fy) * (fz if dz else 1 - fz)
                    total += w * _hash(ix + dx, iy + dy, iz + dz, seed)
        out[i] = total
    return out


@compiled
def spots(points, size, share, seed):
    """Place round spots 0..1 of random place and size in a `share` of the cells of side `size`."""
    out = np.zeros(points.shape[0], np.float32)
    for i in range(points.shape[0]):
        x, y, z = points[i, 0] / size, points[i, 1] / size, points[i, 2] / size
        ix, iy, iz = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        best = 0.0
        for dz in range(-1, 2):
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    jx, jy, jz = ix + dx, iy + dy, iz + dz
                    if 0.5 + 0.5 * _hash(jx, jy, jz, seed) > share:
                        continue
                    px = jx + 0.5 + 0.4 * _hash(jx, jy, jz, seed + 1) - x
                    py = jy + 0.5 + 0.4 * _hash(jx, jy, jz, seed + 2) - y
                    pz = jz + 0.5 + 0.4 * _hash(jx, jy, jz, seed + 3) - z
                    radius = 0.22 + 0.14 * _hash(jx, jy, jz, seed + 4)
                    d = 1 - np.sqrt(px * px + py * py + pz * pz) / radius
                    best = max(best, min(1.0, max(0.0, 2.5 * d)))
        out[i] = best
    return out
