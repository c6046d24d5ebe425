"""Images on the device: ranges, sampling, warps, part crops and pastes, pixel shuffle.

Images are [*, h, w, c]; uint8 0..255 in shards, float32 in [-1, 1] inside the models. Sampling
positions and points are in pixels with (0, 0) the top left corner (tracks.py). Everything is
differentiable and runs inside one jit.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import exact
from reenact_jax.geometry import landmarks as lm


def to_float(image: UInt8[AnyArray, '*s h w c']) -> Float[AnyArray, '*s h w c']:
    """Convert 0..255 to [-1, 1]."""
    return jnp.asarray(image, jnp.float32) / 127.5 - 1


def to_uint8(image: Float[AnyArray, '*s h w c']) -> UInt8[AnyArray, '*s h w c']:
    """Convert [-1, 1] to 0..255: rounded, values outside clipped."""
    return jnp.clip(jnp.round((image + 1) * 127.5), 0, 255).astype(jnp.uint8)


def resize(image: Float[AnyArray, '*s h w c'], size: int) -> Float[AnyArray, '*s s2 s2 c']:
    """Resize to a square of side `size`: bilinear, antialiased when it shrinks."""
    shape = (*image.shape[:-3], size, size, image.shape[-1])
    return image if image.shape == shape else jax.image.resize(image, shape, 'bilinear')


def pixel_shuffle(
    features: Float[AnyArray, 'b h w c'], factor: int = 2
) -> Float[AnyArray, 'b H W C']:
    """Move channels to space (Shi et al. 2016): [b, h, w, C f^2] -> [b, h f, w f, C]."""
    b, h, w, c = features.shape
    grid = features.reshape(b, h, w, factor, factor, c // factor**2)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, -1)


def soften(x: Float[AnyArray, 'b h w c']) -> Float[AnyArray, 'b h w c']:
    """Average every pixel with its neighbours above and to the left; the border repeats.

    After `pixel_shuffle` this takes away a pattern of two pixels' width: each mean has one pixel of
    each of the four kinds (Sugawara et al. 2018).
    """
    for axis in (1, 2):
        first = jax.lax.slice_in_dim(x, 0, 1, axis=axis)
        before = jnp.concatenate([first, jax.lax.slice_in_dim(x, 0, -1, axis=axis)], axis)
        x = (x + before) / 2
    return x


def sample(
    image: Float[AnyArray, 'h w c'], position: Float[AnyArray, '*p 2'], fill: float | None = None
) -> Float[AnyArray, '*p c']:
    """Sample at positions (x, y) in pixels, bilinearly.

    Outside, the border pixel repeats; with `fill` the value fades to `fill` over one pixel.
    """
    h, w, _ = image.shape
    x, y = position[..., 0] - 0.5, position[..., 1] - 0.5  # index units: pixel 0's centre is 0
    x0, y0 = jnp.floor(x), jnp.floor(y)
    total = 0.0
    for i in (0, 1):
        for j in (0, 1):
            xi, yj = (x0 + i).astype(jnp.int32), (y0 + j).astype(jnp.int32)
            weight = (1 - jnp.abs(x - xi)) * (1 - jnp.abs(y - yj))
            value = image[jnp.clip(yj, 0, h - 1), jnp.clip(xi, 0, w - 1)]
            if fill is not None:
                inside = (xi >= 0) & (xi < w) & (yj >= 0) & (yj < h)
                value = jnp.where(inside[..., None], value, fill)
            total = total + weight[..., None] * value
    return total


def sample_cubic(
    image: Float[AnyArray, 'h w c'], position: Float[AnyArray, '*p 2']
) -> Float[AnyArray, '*p c']:
    """Sample at positions (x, y) in pixels by cubic convolution (Keys 1981, a = -0.5).

    On a pixel's centre the value is the pixel's own. Outside, the border pixel repeats. Values may
    leave the image's range by a little.
    """
    h, w, _ = image.shape
    x, y = position[..., 0] - 0.5, position[..., 1] - 0.5  # index units: pixel 0's centre is 0
    x0, y0 = jnp.floor(x), jnp.floor(y)
    across, down = _cubic(x - x0), _cubic(y - y0)
    column, row = x0.astype(jnp.int32), y0.astype(jnp.int32)
    total: Any = 0.0
    for j in range(4):
        at = jnp.clip(row + (j - 1), 0, h - 1)
        line = 0.0
        for i in range(4):
            line += across[i][..., None] * image[at, jnp.clip(column + (i - 1), 0, w - 1)]
        total += down[j][..., None] * line
    return total


def _cubic(t):
    """Weigh the four neighbours of a place, `t` in 0..1 behind the second; weights sum to 1."""
    a = -0.5
    near = [((a + 2) * x - (a + 3)) * x * x + 1 for x in (t, 1 - t)]
    far = [((a * x - 5 * a) * x + 8 * a) * x - 4 * a for x in (1 + t, 2 - t)]
    return far[0], near[0], near[1], far[1]


def pixel_grid(height: int, width: int) -> Float[np.ndarray, 'h w 2']:
    """Return the position (x, y) of every pixel's centre."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y], -1).astype(np.float32)


def warp(
    image: Float[AnyArray, 'b h w c'], flow: Float[AnyArray, 'b h w 2']
) -> Float[AnyArray, 'b h w c']:
    """Warp backward: out(p) = image(p + flow(p)), bilinear, border repeated.

    Args:
      image: any range.
      flow: in normalised units: (-1, -1) to (1, 1) are the image's corners, and 2 is its side.
    """
    h, w = image.shape[1:3]
    scale = np.array([[[[w / 2, h / 2]]]], np.float32)
    return jax.vmap(sample)(image, jnp.asarray(pixel_grid(h, w)[None]) + flow * scale)


def affine_sample(
    image: Float[AnyArray, 'b h w c'],
    matrix: Float[AnyArray, 'b 2 3'],
    size: tuple[int, int],
    fill: float | None = None,
) -> Float[AnyArray, 'b H W c']:
    """Sample out(p) = image(A p + t) at every pixel centre p of the output, bilinearly.

    Args:
      image: any range.
      matrix: (A | t), from pixels of the output to those of the image.
      size: (height, width) of the output.
      fill: value outside, as in `sample`; None: the border pixel repeats.
    """
    grid = jnp.asarray(pixel_grid(*size).reshape(1, -1, 2))
    position = lm.transform(jnp.broadcast_to(grid, (matrix.shape[0], *grid.shape[1:])), matrix)
    flat = jax.vmap(lambda i, p: sample(i, p, fill))(image, position)
    return flat.reshape(matrix.shape[0], *size, -1)


def part_frame(
    points: Float[AnyArray, 'b n 2'], size: int, margin: float
) -> Float[AnyArray, 'b 2 3']:
    """Frame a part: the similarity from its crop to the image, upright, centred on the points.

    The frame is upright because a part's own rotation belongs to the motion that a local net draws
    (ours).

    Args:
      points: the part's landmarks, pixels of the image.
      size: side of the crop, pixels.
      margin: the crop shows the points' square box times this.
    """
    centre, half = lm.box(points)
    scale = half * 2 * margin / size
    zero = jnp.zeros_like(scale)
    linear = jnp.stack([jnp.stack([scale, zero], -1), jnp.stack([zero, scale], -1)], -2)
    return jnp.concatenate([linear, (centre - (scale * size / 2)[..., None])[..., None]], -1)


def part_crop(
    image: Float[AnyArray, 'b h w c'], frame: Float[AnyArray, 'b 2 3'], size: int
) -> Float[AnyArray, 'b size size c']:
    """Cut out the part of the image that `part_frame` frames; the border pixel repeats outside."""
    return upright_sample(image, frame, (size, size), border=True)


def part_paste(
    part: Float[AnyArray, 'b s s c'], frame: Float[AnyArray, 'b 2 3'], size: int
) -> Float[AnyArray, 'b size size c']:
    """Put a part's crop where its frame lies in a size x size canvas; 0 elsewhere."""
    return upright_sample(part, lm.invert(frame), (size, size), border=False)


def upright_sample(
    image: Float[AnyArray, 'b h w c'],
    frame: Float[AnyArray, 'b 2 3'],
    size: tuple[int, int],
    border: bool,
) -> Float[AnyArray, 'b H W c']:
    """Sample as `affine_sample`, for a frame without rotation: two products with bilinear weights.

    Accelerators and CPUs alike are far quicker at matrix products, and at their gradient, than at
    gathers.

    Args:
      image: any range.
      frame: from pixels of the output to those of the image.
      size: (height, width) of the output.
      border: whether the border pixel repeats outside; else the value is 0 there.
    """
    rows = _weights(frame[:, 1, 1], frame[:, 1, 2], size[0], image.shape[1], border)
    columns = _weights(frame[:, 0, 0], frame[:, 0, 2], size[1], image.shape[2], border)
    return exact.einsum('bip,bpqc,bjq->bijc', rows, image, columns)


def _weights(
    scale: Float[AnyArray, ' b'],
    start: Float[AnyArray, ' b'],
    outputs: int,
    inputs: int,
    border: bool,
) -> Float[AnyArray, 'b outputs inputs']:
    """Compute the bilinear weight of every input pixel for every output pixel along one axis."""
    place = jnp.asarray(np.arange(outputs) + 0.5, scale.dtype)[None]
    at = place * scale[:, None] + start[:, None] - 0.5  # index units: pixel 0's centre is 0
    at = jnp.clip(at, 0, inputs - 1) if border else at
    index = jnp.asarray(np.arange(inputs), scale.dtype)[None, None]
    return jax.nn.relu(1 - jnp.abs(at[..., None] - index))


def flow_colours(
    flow: Float[AnyArray, 'b h w 2'], largest: float = 0.25
) -> Float[AnyArray, 'b h w 3']:
    """Colour a flow: direction as hue, length as saturation.

    Args:
      flow: in any unit.
      largest: length, in the flow's unit, from which a colour is fully saturated.
    """
    angle = jnp.arctan2(flow[..., 1], flow[..., 0])[..., None]
    length = jnp.clip(jnp.linalg.norm(flow, axis=-1, keepdims=True) / largest, 0, 1)
    phase = jnp.array([0.0, 2.0, 4.0])[None, None, None] * jnp.pi / 3
    return 1 - length * (1 - jnp.cos(angle - phase))
