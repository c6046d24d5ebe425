"""Deferred z-buffer: which triangle each sample shows, and where in it.

Screen points are (x, y) in samples, y down, with z away from the camera in any monotone unit; here
minus the inverse depth, which is affine on the screen, so that planes stay planes. Compiled without
fast mathematics, in a fixed order: the same bytes for the same input.
"""

import numpy as np

from reenact_jax.data_prep.heads.compiled import compiled

EMPTY = np.float32(1e30)


@compiled
def clear(depth, shown):
    """Empty the buffers depth [h, w] and shown [h, w]."""
    depth[:] = EMPTY
    shown[:] = -1


@compiled
def triangles(points, faces, first, both, lids, chart, depth, shown, u, v):
    """Draw triangles into the buffers.

    Args:
      points: [n, 3] screen points.
      faces: [f, 3]; the first corner of a front face to the third go anticlockwise on the screen.
      first: number added to the face's index in `shown`.
      both: draw back faces too.
      lids: [2, m, 3] rows (x, lower, upper) of each eye's opening, evenly spaced in x: skin there
        is not drawn. Empty (m = 0) for parts without an opening.
      chart: [n, 2] place of each vertex in the plane of the openings (abs(x) of the right eye).
      depth, shown, u, v: [h, w] buffers; u and v weigh the second and third corner.
    """
    h, w = depth.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        x0, y0 = points[a, 0], points[a, 1]
        x1, y1 = points[b, 0] - x0, points[b, 1] - y0
        x2, y2 = points[c, 0] - x0, points[c, 1] - y0
        area = x1 * y2 - x2 * y1
        if area == 0 or (area > 0 and not both):
            continue
        left = max(0, int(np.ceil(x0 + min(0.0, x1, x2) - 0.5)))
        right = min(w - 1, int(np.floor(x0 + max(0.0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(y0 + min(0.0, y1, y2) - 0.5)))
        bottom = min(h - 1, int(np.floor(y0 + max(0.0, y1, y2) - 0.5)))
        if left > right or top > bottom:
            continue
        z0 = points[a, 2]
        z1, z2 = points[b, 2] - z0, points[c, 2] - z0
        for y in range(top, bottom + 1):
            py = y + 0.5 - y0
            for x in range(left, right + 1):
                px = x + 0.5 - x0
                s = (px * y2 - x2 * py) / area
                r = (x1 * py - px * y1) / area
                if s < 0 or r < 0 or s + r > 1:
                    continue
                z = z0 + s * z1 + r * z2
                if z >= depth[y, x]:
                    continue
                if lids.shape[1] > 0 and _open(lids, chart, a, b, c, s, r):
                    continue
                depth[y, x] = z
                shown[y, x] = first + t
                u[y, x] = s
                v[y, x] = r


@compiled
def _open(lids, chart, a, b, c, s, r):
    """Tell whether the point of a skin triangle lies in the opening between the lids."""
    cx = chart[a, 0] + s * (chart[b, 0] - chart[a, 0]) + r * (chart[c, 0] - chart[a, 0])
    side = 1 if cx > 0 else 0
    table = lids[side]
    n = table.shape[0]
    place = (cx - table[0, 0]) / (table[n - 1, 0] - table[0, 0]) * (n - 1)
    if place <= 0 or place >= n - 1:
        return False
    i = int(place)
    f = place - i
    cy = chart[a, 1] + s * (chart[b, 1] - chart[a, 1]) + r * (chart[c, 1] - chart[a, 1])
    low = table[i, 1] + f * (table[i + 1, 1] - table[i, 1])
    if cy <= low:
        return False
    return cy < table[i, 2] + f * (table[i + 1, 2] - table[i, 2])


@compiled
def normals(points, faces, twins, out):
    """Compute unit normals [n, 3] of a mesh; pairs of vertices in `twins` [m, 2] share theirs."""
    out[:] = 0
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ux, uy, uz = (points[b, 0] - points[a, 0], points[b, 1] - points[a, 1],
                      points[b, 2] - points[a, 2])  # fmt: skip
        vx, vy, vz = (points[c, 0] - points[a, 0], points[c, 1] - points[a, 1],
                      points[c, 2] - points[a, 2])  # fmt: skip
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            out[i, 0] += nx
            out[i, 1] += ny
            out[i, 2] += nz
    for k in range(twins.shape[0]):
        i, j = twins[k, 0], twins[k, 1]
        for d in range(3):
            total = out[i, d] + out[j, d]
            out[i, d] = total
            out[j, d] = total
    for i in range(points.shape[0]):
        norm = np.sqrt(out[i, 0] ** 2 + out[i, 1] ** 2 + out[i, 2] ** 2) + 1e-12
        for d in range(3):
            out[i, d] /= norm
