"""The way of a raw batch on the device to the networks, inside the jitted step.

It turns uint8 to float, scales to the working size, augments by colour and small affine maps, and
applies the crop rule (fixed a track, or eyes pinned in every frame).
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.data.tracks import UNKNOWN, Batch
from reenact_jax.geometry import exact
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry.images import affine_sample, pixel_grid, resize, to_float

# Photographs and paintings differ more in saturation than in light: some of them are grey.
SATURATION, CAST = 4.0, 0.5


@dataclasses.dataclass(frozen=True)
class Augment:
    """Strengths of the augmentation on the device (ours); 0 switches one off."""

    # Brightness and contrast by factors in 1 +- colour, saturation and cast by `SATURATION` and
    # `CAST` of that, a track at once.
    colour: float = 0.0
    affine: float = 0.0  # rotation (radians), log scale, shift (sides) up to this, a track at once


def prepare(
    batch: Batch,
    rng: Array,
    *,
    size: int,
    augment: Augment | None = None,
    stabilise: str = 'track',
    eyes: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
) -> Batch:
    """Prepare a raw batch for the models: float images at `size`, points in its pixels.

    Args:
      batch: as the loader made it; fields that are None stay None.
      rng: one key; the augmentation of a row is the same for all its frames.
      size: working side, pixels.
      augment: strengths; None for none.
      stabilise: 'track' keeps the crop fixed a track; 'frame' pins the midpoint of the eyes in
        every frame (FACEGAN, section 3: the crop rule), by a shift.
      eyes: point numbers of both eyes, needed for 'frame'.
    """
    stored = _stored_size(batch, size)
    matrix = _crop_matrix(batch, rng, stored, size, augment, stabilise, eyes)
    moved: dict[str, Array | None] = {}
    for name in ('landmarks', 'reference'):
        points = getattr(batch, name)
        moved[name] = None if points is None else lm.transform(points, lm.invert(matrix))
    moved['landmarks3d'] = _move_3d(batch.landmarks3d, matrix)
    still = stabilise == 'track' and not (augment and augment.affine)
    moved['image'] = _resample(batch.image, matrix, size, still)
    moved['segmentation'] = _resample_classes(batch.segmentation, matrix, size)
    moved['aus'] = _roll(batch.aus, matrix)
    if augment and augment.colour and (image := moved['image']) is not None:
        moved['image'] = _colour(image, jax.random.fold_in(rng, 1), augment.colour)
    return dataclasses.replace(batch, **moved)


def _stored_size(batch: Batch, size: int) -> int:
    for stored in (batch.image, batch.segmentation):
        if stored is not None:
            return stored.shape[2]
    return size  # a landmark stage: the points' unit does not matter to box-normalised networks


def _crop_matrix(batch, rng, stored, size, augment, stabilise, eyes) -> Float[Array, 'b k 2 3']:
    """Compute the affine map from the working crop's pixels to the stored crop's, a frame."""
    rows, frames = batch.landmarks.shape[:2]
    angle, log_scale, shift = jnp.zeros(rows), jnp.zeros(rows), jnp.zeros((rows, 2))
    if augment and augment.affine:
        draw = jax.random.uniform(rng, (rows, 4), minval=-1, maxval=1) * augment.affine
        angle, log_scale, shift = draw[:, 0], draw[:, 1], draw[:, 2:] * stored
    scale = jnp.exp(log_scale) * stored / size
    cos, sin = scale * jnp.cos(angle), scale * jnp.sin(angle)
    linear = jnp.stack([jnp.stack([cos, -sin], -1), jnp.stack([sin, cos], -1)], -2)
    linear = jnp.broadcast_to(linear[:, None], (rows, frames, 2, 2))
    centre = stored / 2 + jnp.broadcast_to(shift[:, None], (rows, frames, 2))
    if stabilise == 'frame':
        first, second = (batch.landmarks[:, :, list(eye)].mean(2) for eye in eyes)
        middle = (first + second) / 2
        centre = centre + middle - middle.mean(1, keepdims=True)
    half = jnp.full((2,), size / 2)
    shift = centre - exact.einsum('bkij,j->bki', linear, half)
    return jnp.concatenate([linear, shift[..., None]], -1)


def _resample(image, matrix, size: int, still: bool):
    if image is None:
        return None
    rows, frames, height, width, _ = image.shape
    flat = to_float(image).reshape(rows * frames, height, width, 3)
    if still:
        return resize(flat, size).reshape(rows, frames, size, size, 3)
    if height > size:  # antialias first: plain bilinear sampling would skip pixels
        flat, matrix = resize(flat, size), matrix * (size / height)
    out = affine_sample(flat, matrix.reshape(-1, 2, 3), (size, size))
    return out.reshape(rows, frames, size, size, 3)


def _resample_classes(segmentation, matrix, size: int):
    """Resample by the nearest neighbour: classes are not blended; outside is unknown."""
    if segmentation is None:
        return None
    rows, frames, height, width = segmentation.shape
    grid = jnp.asarray(pixel_grid(size, size).reshape(1, 1, -1, 2))
    position = lm.transform(jnp.broadcast_to(grid, (rows, frames, *grid.shape[2:])), matrix)
    index = jnp.floor(position).astype(jnp.int32)
    x, y = index[..., 0], index[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    at = jnp.clip(y, 0, height - 1) * width + jnp.clip(x, 0, width - 1)
    flat = jnp.take_along_axis(segmentation.reshape(rows, frames, -1), at, -1)
    return jnp.where(inside, flat, UNKNOWN).astype(jnp.uint8).reshape(rows, frames, size, size)


def _move_3d(points, matrix):
    if points is None:
        return None
    scale = jnp.sqrt((matrix[..., 0, :2] ** 2).sum(-1))  # working pixels -> stored pixels
    flat = lm.transform(points[..., :2], lm.invert(matrix))
    return jnp.concatenate([flat, points[..., 2:] / scale[..., None, None]], -1)


def _roll(aus, matrix):
    """Turn the head's roll with the crop.

    The crop turns the picture in its plane, R' = R_z(-angle) R; to first order in the angle and for
    small pitch and yaw that is R_z' = R_z - angle, which we use (the angle is an augmentation's).
    """
    if aus is None:
        return None
    angle = jnp.arctan2(matrix[..., 1, 0], matrix[..., 0, 0])
    return jnp.asarray(aus).at[..., 19].add(-angle)


def _colour(image: Float[Array, 'b k h w 3'], rng: Array, strength: float):
    """Change brightness, contrast, saturation and cast, by one draw a row."""
    draw = jax.random.uniform(rng, (len(image), 6), minval=-1, maxval=1) * strength
    draw = draw[:, None, None, None]
    bright, contrast, colourful, cast = draw[..., :1], draw[..., 1:2], draw[..., 2:3], draw[..., 3:]
    mean = image.mean((1, 2, 3, 4), keepdims=True)
    image = (image - mean) * (1 + contrast) + mean + bright
    grey = image.mean(-1, keepdims=True)
    image = (image - grey) * jax.nn.relu(1 + SATURATION * colourful) + grey
    return jnp.clip((image + 1) * (1 + CAST * cast) - 1, -1, 1)
