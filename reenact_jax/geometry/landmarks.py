"""Landmarks: box normalisation, placement, similarity fits, heatmaps, rasters (layouts.py: points).

Points are x, y in pixels of the crop, (0, 0) the top left corner (conventions: tracks.py).
Functions take NumPy or JAX arrays of any leading shape and are differentiable in the points.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import exact, layouts
from reenact_jax.geometry.layouts import LAYOUTS as LAYOUTS
from reenact_jax.geometry.layouts import Layout

# The crop of a track (ours): its side in units of the median frame's landmark box, so that a face
# has one size in a portrait and in a lively clip; at least the box of all frames with a border; and
# how far its centre is raised, in units of its side, so that hair fits as well as the neck.
CROP_SCALE = 1.9
CROP_BORDER = 1.15
CROP_RAISE = 0.1

CHANNELS = ('one', 'parts')  # kinds of landmark images, see `landmark_image`


def box(
    points: Float[AnyArray, '*s n 2'],
) -> tuple[Float[AnyArray, '*s 2'], Float[AnyArray, '*s']]:
    """Find the square bounding box of all points: its centre, and half of its side (>= 1e-3)."""
    low, high = points.min(-2), points.max(-2)
    return (low + high) / 2, jnp.maximum((high - low).max(-1) / 2, 1e-3)


def eye_middle(points: Float[AnyArray, '*s n 2']) -> Float[AnyArray, '*s 1 2']:
    """Find the point between the eyes: the mean of their corners, which lids do not move."""
    parts = layouts.of_count(points.shape[-2]).parts
    eyes = parts['left_eye'], parts['right_eye']
    corners = [eye[i] for eye in eyes for i in (0, len(eye) // 2)]
    return points[..., np.array(corners), :].mean(-2, keepdims=True)


def normalise(
    points: Float[AnyArray, '*s n 2'], centre: Float[AnyArray, '*s 2'], half: Float[AnyArray, '*s']
) -> Float[AnyArray, '*s n 2']:
    """Express points in units of a box, which spans [-1, 1] (LD-Net's input).

    Args:
      points: pixels.
      centre: the box's centre, pixels.
      half: half of the box's side, pixels.
    """
    return (points - centre[..., None, :]) / half[..., None, None]


def denormalise(
    points: Float[AnyArray, '*s n 2'], centre: Float[AnyArray, '*s 2'], half: Float[AnyArray, '*s']
) -> Float[AnyArray, '*s n 2']:
    """Express points of [-1, 1] in pixels: the inverse of `normalise`."""
    return points * half[..., None, None] + centre[..., None, :]


def place(source_box, driving_box, first_box):
    """Place the box of a transferred face in the source's crop (ours; LD-Net's paper is silent).

    The source's box moves by the driver's motion since its first frame, in units of box size:
    centre = c_source + (c_driving - c_first) * s_source / s_first, s = s_source * s_driving /
    s_first. With the source's own box as `first_box` this is absolute placement (the driver's box);
    with the driver's box as `first_box` the source's box stays (a still driver).

    Args:
      source_box: the source's, as (centre [*s, 2], half [*s]) of `box`.
      driving_box: of the driving frame.
      first_box: of the driver's first frame.

    Returns:
      Such a box.
    """
    scale = source_box[1] / first_box[1]
    centre = source_box[0] + (driving_box[0] - first_box[0]) * scale[..., None]
    return centre, driving_box[1] * scale


def carry(
    driving: Float[AnyArray, '*s n 2'], source_box, first: Float[AnyArray, '... n 2']
) -> Float[AnyArray, '*s n 2']:
    """Put the raw driver landmarks where the source's face is (`place`), without a transfer.

    Args:
      driving: the driver's landmarks.
      source_box: the source's, of `box`.
      first: landmarks of the driver's first frame.
    """
    driving_box = box(driving)
    placed = place(source_box, driving_box, box(first))
    return denormalise(normalise(driving, *driving_box), *placed)


def crop_box(points: Float[np.ndarray, 't n _']) -> tuple[float, float, float]:
    """Choose the fixed square crop of a track by its points.

    NumPy, for the host: video and synthetic tracks are framed alike.

    Args:
      points: rows of 2 or 3 numbers, of which the first two count; pixels.

    Returns:
      x0, y0 and side, pixels.
    """
    points = np.asarray(points, np.float64)[..., :2]
    low, high = points.min(-2), points.max(-2)  # [t, 2]
    frame = float(np.median((high - low).max(-1)))
    low, high = low.min(0), high.max(0)
    side = max(frame * CROP_SCALE, float((high - low).max()) * CROP_BORDER)
    x, y = (low + high) / 2
    return float(x - side / 2), float(y - side * (0.5 + CROP_RAISE)), side


def similarity(
    source: Float[AnyArray, '*s n 2'], target: Float[AnyArray, '*s n 2']
) -> Float[AnyArray, '*s 2 3']:
    """Fit the least-squares similarity [a -b; b a | t], target ~ A source + t, no reflection.

    Closed form in complex numbers: z -> m z + t. Coincident source points give m = 0.
    """
    mean_s, mean_t = source.mean(-2, keepdims=True), target.mean(-2, keepdims=True)
    s, t = source - mean_s, target - mean_t
    square = jnp.maximum((s**2).sum((-1, -2)), 1e-12)
    a = (s * t).sum((-1, -2)) / square
    b = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(-1) / square
    linear = jnp.stack([jnp.stack([a, -b], -1), jnp.stack([b, a], -1)], -2)
    shift = mean_t[..., 0, :] - exact.einsum('...ij,...j->...i', linear, mean_s[..., 0, :])
    return jnp.concatenate([linear, shift[..., None]], -1)


def transform(
    points: Float[AnyArray, '*s n 2'], matrix: Float[AnyArray, '*s 2 3']
) -> Float[AnyArray, '*s n 2']:
    """Move points by the affine map x -> A x + t."""
    moved = exact.einsum('...ij,...nj->...ni', matrix[..., :2], points)
    return moved + matrix[..., None, :, 2]


def invert(matrix: Float[AnyArray, '*s 2 3']) -> Float[AnyArray, '*s 2 3']:
    """Invert an affine map."""
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    determinant = a * d - b * c
    rows = jnp.stack([jnp.stack([d, -b], -1), jnp.stack([-c, a], -1)], -2)
    linear = rows / determinant[..., None, None]
    shift = -exact.einsum('...ij,...j->...i', linear, matrix[..., 2])
    return jnp.concatenate([linear, shift[..., None]], -1)


def _centres(size: int) -> Float[np.ndarray, ' size']:
    """Return the pixel centres along one side."""
    return np.arange(size, dtype=np.float32) + 0.5


def _lead(array, rank: int):
    """Add axes of length 1 in front, up to `rank`: we never promote ranks silently."""
    return jnp.asarray(array).reshape((1,) * (rank - array.ndim) + array.shape)


def heatmaps(
    points: Float[AnyArray, '*s n 2'], size: int, sigma: float
) -> Float[AnyArray, '*s h w n']:
    """Draw one Gaussian a point, peak 1: AAN's S, of variance 3 at 256 pixels ("Implementation").

    Args:
      points: pixels of a size x size image; points outside give the tail that reaches in.
      size: side of the maps, pixels.
      sigma: standard deviation, pixels.
    """
    # exp(-(x^2 + y^2)) as a product of two vectors: n * (h + w) exponentials, not n * h * w.
    grid = _lead(_centres(size), points.ndim)
    across = jnp.exp(-((grid - points[..., 0, None]) ** 2) / (2 * sigma**2))  # [*s, n, w]
    down = jnp.exp(-((grid - points[..., 1, None]) ** 2) / (2 * sigma**2))  # [*s, n, h]
    return exact.einsum('...nh,...nw->...hwn', down, across)


def raster(
    points: Float[AnyArray, '*s n 2'], layout: Layout, size: int, width: float = 1.5
) -> Float[AnyArray, '*s h w']:
    """Draw the layout's polylines as soft lines, 0..1: a landmark image.

    Args:
      points: pixels of a size x size image.
      layout: of the points.
      size: the image's side, pixels.
      width: standard deviation of the line's Gaussian profile, pixels.
    """
    grid = np.stack(np.meshgrid(_centres(size), _centres(size)), -1).reshape(-1, 2)  # [hw, 2]
    grid = _lead(grid, points.ndim)

    def line(image, edge):
        a, b = points[..., edge[0], :], points[..., edge[1], :]  # [*s, 2]
        along = b - a
        square = jnp.maximum((along**2).sum(-1), 1e-6)
        offset = grid - a[..., None, :]
        where = exact.einsum('...pd,...d->...p', offset, along) / square[..., None]
        nearest = jnp.clip(where, 0, 1)[..., None] * along[..., None, :]
        distance = ((offset - nearest) ** 2).sum(-1)
        return jnp.maximum(image, jnp.exp(-distance / (2 * width**2))), None

    blank = jnp.zeros((*points.shape[:-2], size * size), points.dtype)
    image, _ = jax.lax.scan(line, blank, jnp.asarray(layout.edges))
    return image.reshape(*points.shape[:-2], size, size)


def landmark_image(
    points: Float[AnyArray, '*s n 2'],
    layout: Layout,
    size: int,
    width: float,
    channels: str = 'one',
) -> Float[AnyArray, '*s h w c']:
    """Draw landmarks for a network, 0..1: what the papers call a landmark image.

    Args:
      points: pixels of a size x size image.
      layout: of the points.
      size: the image's side, pixels.
      width: as in `raster`.
      channels: `one` for all lines, or `parts`: one a part of the face, in the layout's order.
    """
    if channels == 'one':
        return raster(points, layout, size, width)[..., None]
    inside = [np.isin(layout.edges, part).all(1) for part in layout.parts.values()]
    parts = [layout._replace(edges=layout.edges[edges]) for edges in inside]
    return jnp.stack([raster(points, part, size, width) for part in parts], -1)


def image_channels(layout: Layout, channels: str) -> int:
    """Count the channels of `landmark_image`."""
    return 1 if channels == 'one' else len(layout.parts)
