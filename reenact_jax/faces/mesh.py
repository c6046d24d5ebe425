"""MediaPipe's 478-point face mesh: which points are which landmarks, pose, outline, visibility.

A mesh is an array [478, 3] in pixels with z away from the camera (conventions: tracks.py). Vertices
0-467 are the skin, 468-472 the iris at the left of the image, 473-477 the other one, centre first.

A landmark is a vertex, or a point on the line between two: (a, b, t) = (1 - t) a + t b.
How the groups were chosen (left of the image; the right is its mirror image on the mesh):
- **jaw**: the mesh's border ("face oval") from the temple at eye height, vertex 127, to the chin,
  152, cut into equal lengths on the canonical face: 16 for the 106 points, every second for the 68.
  Against OpenFace's 68 points of a real clip of 498 frames the 17 lie 5% of the outer eye distance
  away on average, the other points 3%.
- **brows**: the mesh has an upper (70 63 105 66 107) and a lower row (46 53 52 65 55) of vertices
  along the brow. 106 points: the rows themselves, with one outer tip between 70 and 46. 68 points:
  midway between the rows.
- **nose**: bridge on the midline from the root, 168, to the tip, 4. 68 points, base: both wings'
  feet 98, the nostrils' middle 97, the septum 2. 106 points add the root's side 193, the wing's
  upper side 198 and its widest place 64.
- **eyes**: the lid rings; 68 points: corners and a third and two thirds of each lid; 106 points:
  corners and a quarter, half and three quarters by width; centre between the lids' middles; pupil.
- **lips**: outer and inner ring by width; the cupid's bow is 37, 0, 267.
"""

import functools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw

# The jaw of the 106 points: the border from each temple to beside the chin, then the chin.
_OVAL_LEFT = (127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
_OVAL_RIGHT = (356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152)
# Positions along the lists above that cut the canonical border into 16 equal lengths.
_OVAL_AT = (0, 0.65, 1.3, 1.95, 2.56, 3.15, 3.71, 4.27, 4.84, 5.44, 6.05, 6.69, 7.43, 8.29, 9.18)
_OVAL_AT = (*_OVAL_AT, 10.14)


def _along(chain) -> list:
    points = []
    for at in _OVAL_AT:
        first = int(at)
        points.append((chain[first], chain[first + 1], at - first))
    return points


_JAW = [*_along(_OVAL_LEFT), 152, *reversed(_along(_OVAL_RIGHT))]
_BRIDGE = [168, (6, 197, 0.5), 195, 4]
_BASE = [98, 97, 2, 326, 327]
_OUTER_LIPS = [61, (40, 39, 0.5), 37, 0, 267, (270, 269, 0.5), 291]
_OUTER_LIPS += [(321, 405, 0.5), 314, 17, 84, (91, 181, 0.5)]
_INNER_LIPS = [78, 82, 13, 312, 308, 317, 14, 87]

_POINTS = {
    '68': [
        *_JAW[::2],
        *((70, 46, 0.5), (63, 53, 0.5), (105, 52, 0.5), (66, 65, 0.5), (107, 55, 0.5)),
        *((336, 285, 0.5), (296, 295, 0.5), (334, 282, 0.5), (293, 283, 0.5), (300, 276, 0.5)),
        *_BRIDGE,
        *_BASE,
        *(33, 160, 158, 133, 153, 144),
        *(362, 385, 387, 263, 373, 380),
        *_OUTER_LIPS,
        *_INNER_LIPS,
    ],
    '106': [
        *_JAW,
        *((70, 46, 0.5), 63, 105, 66, 107, 55, 65, 52, 53),
        *(336, 296, 334, 293, (300, 276, 0.5), 283, 282, 295, 285),
        *_BRIDGE,
        *(193, 198, 64),
        *_BASE,
        *(294, 420, 417),
        *(33, 160, 159, 157, 133, 154, 145, 144, (159, 145, 0.5)),
        *(362, 384, 386, 387, 263, 373, 374, 381, (386, 374, 0.5)),
        *_OUTER_LIPS,
        *_INNER_LIPS,
        *(468, 473),
    ],
}


def _weights(points: list) -> Float[np.ndarray, 'n 478']:
    rows = np.zeros((len(points), 478), np.float32)
    for row, point in zip(rows, points, strict=True):
        a, b, t = point if isinstance(point, tuple) else (point, point, 0.0)
        row[a] += 1 - t
        row[b] += t
    return rows


WEIGHTS = {name: _weights(points) for name, points in _POINTS.items()}  # landmarks = W mesh


class Canonical(NamedTuple):
    """The frontal face that ships inside MediaPipe's model file, in our axes, centimetres."""

    vertices: Float[np.ndarray, '468 3']  # x right, y down, z away from the camera
    triangles: Int[np.ndarray, 'f 3']
    rigid: Float[np.ndarray, ' 468']  # weights of the vertices for the pose, sum 1
    rows: Float[np.ndarray, '17 k 468']  # per jaw point, a line over the face: see `contour`


@functools.cache
def canonical(model: Path) -> Canonical:
    """Read the canonical face from a Face Landmarker `.task` file (a ZIP archive)."""
    data = zipfile.ZipFile(model).read('geometry_pipeline_metadata_landmarks.binarypb')
    rigid = np.zeros(468)
    for number, value in _protobuf(data):
        if number == 1:  # the mesh: 3 = vertex buffer (x y z u v), 4 = index buffer
            fields = list(_protobuf(value))
        elif number == 2:  # a vertex of the rigid fit: 1 = its number, 2 = its weight
            entry = dict(_protobuf(value))
            rigid[entry[1]] = np.frombuffer(entry[2], '<f4')[0]
    buffer = b''.join(value for number, value in fields if number == 3)
    # MediaPipe's y points up and its z towards the camera.
    axes = np.array([1, -1, -1], np.float32)
    vertices = np.frombuffer(buffer, '<f4').reshape(-1, 5)[:, :3] * axes
    indices = [value for number, value in fields if number == 4]
    triangles = np.array(indices, np.int32).reshape(-1, 3)
    return Canonical(vertices, triangles, rigid / rigid.sum(), _rows(vertices, triangles))


def _protobuf(data: bytes) -> Iterator[tuple[int, Any]]:
    """Read (field number, value) of a serialised message of varints, bytes and 4-byte numbers."""

    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 128:
                return value, at

    at = 0
    while at < len(data):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
        else:
            length, at = varint(at) if key & 7 == 2 else (4, at)
            value, at = data[at : at + length], at + length
        yield key >> 3, value


def _rows(vertices, triangles, samples: int = 24) -> Float[np.ndarray, '17 k 468']:
    """Sample the surface from each of the 17 jaw points 70% of the way to the nose tip.

    In the frontal view the face is a height field: a sample is found in the triangle that covers
    it, the one nearest to the camera where two do.
    """
    weights = WEIGHTS['68'][:17, :468]
    jaw, tip = weights @ vertices, vertices[4]
    rows = np.zeros((17, samples, 468), np.float32)
    rows[:, 0] = weights
    for i in range(17):
        for k in range(1, samples):
            at = jaw[i] + (tip - jaw[i]) * 0.7 * k / (samples - 1)
            covers, depth = _covering(at[None, :2], vertices, triangles, 1e-6)
            best = triangles[[np.where(covers[0], depth[0], np.inf).argmin()]]
            u, v = (coordinate.item() for coordinate in _barycentric(at[None, :2], vertices, best))
            rows[i, k, best[0]] = 1 - u - v, u, v
    return rows


def _barycentric(points, vertices, triangles) -> tuple[np.ndarray, np.ndarray]:
    """Compute barycentric coordinates u, v [n, f] of 2D points: (1 - u - v) a + u b + v c.

    Both are affine in the point, hence two matrix products. A flat triangle gives -1.
    """
    a, b, c = (vertices[triangles[:, i], :2].astype(np.float64) for i in range(3))
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    flat = np.abs(area) < 1e-9
    area[flat] = 1
    u = np.stack([ac[:, 1], -ac[:, 0], a[:, 1] * ac[:, 0] - a[:, 0] * ac[:, 1]]) / area
    v = np.stack([-ab[:, 1], ab[:, 0], a[:, 0] * ab[:, 1] - a[:, 1] * ab[:, 0]]) / area
    u[:, flat], v[:, flat] = [[0], [0], [-1]], [[0], [0], [-1]]
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], -1)
    return homogeneous @ u, homogeneous @ v


def _covering(points, mesh, triangles, slack: float = 0.0):
    """Find which triangles cover each 2D point [n, f], and their depth there [n, f]."""
    u, v = _barycentric(points, mesh, triangles)
    a, b, c = (mesh[triangles[:, i], 2] for i in range(3))
    covers = (u >= -slack) & (v >= -slack) & (u + v <= 1 + slack)
    return covers, a + u * (b - a) + v * (c - a)


def similarity(
    source: Float[np.ndarray, 'n 3'],
    target: Float[np.ndarray, 'n 3'],
    weights: Float[np.ndarray, ' n'],
) -> tuple[float, Float[np.ndarray, '3 3'], Float[np.ndarray, ' 3']]:
    """Fit target ~ s R source + t by weighted least squares (Umeyama, PAMI 1991).

    Args:
      source: points.
      target: as many points.
      weights: of the points; they sum to 1.

    Returns:
      Scale s, rotation R and shift t.
    """
    mean_x, mean_y = weights @ source, weights @ target
    x, y = source - mean_x, target - mean_y
    u, singular, vt = np.linalg.svd((weights[:, None] * y).T @ x)
    sign = np.array([1, 1, np.linalg.det(u @ vt)])
    matrix = (u * sign) @ vt
    scale = float((singular * sign).sum() / (weights @ (x**2).sum(-1)))
    return scale, matrix, mean_y - scale * matrix @ mean_x


def rotation(mesh: Float[np.ndarray, '478 3'], face: Canonical) -> Float[np.ndarray, '3 3']:
    """Find R from the canonical face to the mesh, by the vertices that expressions spare.

    MediaPipe's own 4x4 matrix is the same fit after a perspective unprojection with a guessed
    camera: it changes by up to 10 degrees as the same picture moves over the canvas, this one by 1.
    On a clip of 498 frames R_x, R_y, R_z correlate with OpenFace's by .85, .98, .99, with the same
    signs and slopes of 1.1, 1.25, 0.94; its R_x is 8 degrees smaller (another zero).
    """
    return similarity(face.vertices, mesh[:468], face.rigid)[1]


def angles(matrix: Float[np.ndarray, '*s 3 3']) -> Float[np.ndarray, '*s 3']:
    """Split R = R_x R_y R_z into its angles R_x, R_y, R_z, radians."""
    x = np.arctan2(-matrix[..., 1, 2], matrix[..., 2, 2])
    y = np.arcsin(np.clip(matrix[..., 0, 2], -1, 1))
    z = np.arctan2(-matrix[..., 0, 1], matrix[..., 0, 0])
    return np.stack([x, y, z], -1)


def contour(
    mesh: Float[np.ndarray, '478 3'], face: Canonical, matrix: Float[np.ndarray, '3 3']
) -> Float[np.ndarray, '68 3']:
    """Find the 68 points with the jaw on the silhouette.

    Each jaw point slides along its row over the cheek to the outermost place as projected
    (landmark marching: Zhu et al., CVPR 2015); where the border itself is seen it stays.

    Args:
      mesh: pixels.
      face: of `canonical`.
      matrix: the head's rotation, of `rotation`.
    """
    points = WEIGHTS['68'] @ mesh
    rows = face.rows @ mesh[:468]  # [17, k, 3]
    frontal = face.rows[:, 0] @ face.vertices - face.vertices[4]
    outward = frontal[:, :2] @ matrix[:2, :2].T
    outward /= np.linalg.norm(outward, axis=-1, keepdims=True)
    outermost = np.einsum('nkd,nd->nk', rows[..., :2], outward).argmax(-1)
    points[:17] = rows[np.arange(17), outermost]
    return points


def visible(
    points: Float[np.ndarray, 'n 3'], mesh: Float[np.ndarray, '478 3'], face: Canonical
) -> Bool[np.ndarray, ' n']:
    """Tell whether no part of the face lies in front of a point.

    In front means nearer by more than 3% of the mesh's extent, and not only at the point but also
    3% further out from the face's middle, so that the border of a frontal face counts as seen.

    Args:
      points: pixels, depth from the same origin as the mesh's.
      mesh: pixels.
      face: of `canonical`.
    """
    margin = 0.03 * np.ptp(mesh[:, :2], axis=0).max()
    outward = points[:, :2] - mesh[:, :2].mean(0)
    length = np.linalg.norm(outward, axis=-1, keepdims=True)
    further = points[:, :2] + margin * outward / np.maximum(length, 1e-6)
    hidden = np.ones(len(points), bool)
    for places in (points[:, :2], further):
        covers, depth = _covering(places, mesh, face.triangles)
        hidden &= (covers & (depth < points[:, 2:] - margin)).any(-1)
    return ~hidden


def silhouette(
    mesh: Float[np.ndarray, '478 3'], face: Canonical, size: tuple[int, int]
) -> UInt8[np.ndarray, 'h w']:
    """Draw 1 where the projected mesh covers a pixel of an image (width, height), else 0."""
    image = Image.new('L', size)
    draw = ImageDraw.Draw(image)
    # Pillow's integer coordinates are pixel centres, ours are corners.
    for triangle in mesh[face.triangles, :2] - 0.5:
        draw.polygon([tuple(point) for point in triangle.tolist()], fill=1)
    return np.array(image)
