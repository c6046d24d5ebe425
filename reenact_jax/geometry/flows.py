"""Flows from landmarks alone, by moving least squares, and which landmarks are turned away.

The flow (Schaefer et al. 2006) is ours as a prior of AAN's.

A flow is backward and normalised, as `images.warp` takes it: where in the source to look, 2 being
the image's side.
"""

import jax.numpy as jnp
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import exact
from reenact_jax.geometry.folds import Fold, kept
from reenact_jax.geometry.images import pixel_grid

SHARPNESS = 2.0  # a: how fast a landmark's weight falls with distance; 2 follows lids and lips
EPSILON = 1 / 512  # distance, in sides, within which a landmark's weight is flat
_FLOOR = 1e-5  # least spread of weighted points, in half sides squared: coincident ones stay finite


def landmark_flow(
    source: Float[AnyArray, 'b n 2'],
    driving: Float[AnyArray, 'b n 2'],
    size: float,
    grid: int,
    sharpness: float = SHARPNESS,
    epsilon: float = EPSILON,
    folds: tuple[Fold, ...] = (),
) -> Float[AnyArray, 'b grid grid 2']:
    """Interpolate the motion of landmarks over an image by similarity moving least squares.

    Weights of the driving points d_i at a pixel p are w_i = (|p - d_i|^2 + epsilon^2)^-sharpness,
    normalised. With u_i = s_i - d_i, weighted means p* and u*, and complex numbers,

        n = sum w conj(d_i - p*) (u_i - u*) / sum w |d_i - p*|^2,    flow(p) = u* + n (p - p*).

    The best similarity of all points is taken off before and added again: exact arithmetic gives
    the same, float32 is then exact for similarities, and 0 for source = driving. Differentiable,
    also where points coincide.

    Args:
      source: the source's landmarks, pixels of an image of side `size`; they may lie outside it.
      driving: the driving landmarks, likewise.
      size: the image's side, pixels.
      grid: side of the flow.
      sharpness: exponent of the weights.
      epsilon: of the weights, in sides of the image.
      folds: openings across which points have no say (folds.py).

    Returns:
      The normalised flow [b, grid, grid, 2].
    """
    s, d = (2 / size * x - 1 for x in (source, driving))
    spin, shift = _similarity(d, s - d)
    rest = s - d - _apply(spin, d) - shift
    pixels = jnp.asarray(pixel_grid(grid, grid).reshape(-1, 2) * (2 / grid) - 1)
    weights = _weights(pixels, d, sharpness, 2 * epsilon)
    if folds:
        weights = weights * kept(pixels, d, folds, epsilon)
    local = _least_squares(weights, pixels, d, rest)
    flow = _apply(spin, pixels[None]) + shift + local
    return flow.reshape(-1, grid, grid, 2)


def landmark_field(
    values: Float[AnyArray, 'b n c'],
    points: Float[AnyArray, 'b n 2'],
    size: float,
    grid: int,
    sharpness: float = SHARPNESS,
    epsilon: float = EPSILON,
) -> Float[AnyArray, 'b grid grid c']:
    """Spread values of landmarks over an image with the weights of `landmark_flow`.

    Args:
      values: c numbers a landmark.
      points: where the values stand, pixels of an image of side `size`.
      size: the image's side, pixels.
      grid: side of the field.
      sharpness: exponent of the weights.
      epsilon: of the weights, in sides of the image.
    """
    pixels = jnp.asarray(pixel_grid(grid, grid).reshape(-1, 2) * (2 / grid) - 1)
    weights = _weights(pixels, 2 / size * points - 1, sharpness, 2 * epsilon)
    field = _averaged(weights, values)
    return field.reshape(-1, grid, grid, values.shape[-1])


def facing(points: Float[AnyArray, 'b n 3'], ears: tuple[int, int]) -> Float[AnyArray, 'b n']:
    """Measure how squarely the camera sees the head's surface at every landmark, -1..1.

    The surface is taken as a ball's around the middle between the ears: 1 looks into the camera, 0
    is the outline, below 0 the surface is turned away (ours). Where no depth is known, so that it
    is 0 at all points, the result is 1 everywhere.

    Args:
      points: x, y and z (away from the camera), any unit.
      ears: numbers of the two ends of the jaw.
    """
    middle = points[:, jnp.array(ears)].mean(1, keepdims=True)
    away = points - middle
    square = (away**2).sum(-1)
    # The floor is the head's own: a point in its middle has no direction.
    length = jnp.sqrt(square + 1e-4 * square.mean(1, keepdims=True) + 1e-12)
    known = jnp.abs(points[..., 2]).max(1, keepdims=True) > 0
    return jnp.where(known, -away[..., 2] / length, 1.0)


def _weights(pixels, points, sharpness: float, epsilon: float) -> Float[AnyArray, 'b p n']:
    """Compute the weight of every point at every pixel, 0..1; they are not normalised."""
    across = pixels[None, :, None, 0] - points[:, None, :, 0]
    down = pixels[None, :, None, 1] - points[:, None, :, 1]
    # In units of epsilon, so that powers of small distances do not leave float32's range.
    square = (across**2 + down**2) / epsilon**2 + 1
    return 1 / (square * square if sharpness == 2 else square**sharpness)


def _averaged(weights, values: Float[AnyArray, 'b n c']) -> Float[AnyArray, 'b p c']:
    """Average values of points at every pixel; the product gives the weights' sum as well."""
    wide = jnp.concatenate([values, jnp.ones_like(values[..., :1])], -1)
    sums = exact.einsum('bpn,bnc->bpc', weights, wide)
    return sums[..., :-1] / sums[..., -1:]


def _least_squares(weights, pixels, d, u) -> Float[AnyArray, 'b p 2']:
    """Compute u* + n (p - p*) at every pixel: all sums over points are one matrix product."""
    inner, outer, square = _products(d, u)
    moments = jnp.stack([d[..., 0], d[..., 1], u[..., 0], u[..., 1], inner, outer, square], -1)
    sums = _averaged(weights, moments)
    p_star, u_star = sums[..., :2], sums[..., 2:4]
    inner, outer, square = _products(p_star, u_star)
    spread = jnp.maximum(sums[..., 6] - square, 0) + _FLOOR
    n = jnp.stack([sums[..., 4] - inner, sums[..., 5] - outer], -1) / spread[..., None]
    return u_star + _times(n, pixels[None] - p_star)


def _similarity(d, u) -> tuple[Float[AnyArray, 'b 1 2'], Float[AnyArray, 'b 1 2']]:
    """Fit (m, t) of the best u ~ m d + t in complex numbers; all points count alike."""
    p, v = d.mean(1, keepdims=True), u.mean(1, keepdims=True)
    inner, outer, square = (x.mean(1) for x in _products(d - p, u - v))
    m = jnp.stack([inner, outer], -1) / jnp.maximum(square, _FLOOR)[:, None]
    return m[:, None], v - _times(m[:, None], p)


def _apply(spin, points):
    return _times(jnp.broadcast_to(spin, (spin.shape[0], *points.shape[1:])), points)


def _products(d, u):
    """Compute real and imaginary part of conj(d) u, and |d|^2, of complex numbers as pairs."""
    inner = d[..., 0] * u[..., 0] + d[..., 1] * u[..., 1]
    outer = d[..., 0] * u[..., 1] - d[..., 1] * u[..., 0]
    return inner, outer, d[..., 0] ** 2 + d[..., 1] ** 2


def _times(a, b):
    """Multiply complex numbers as pairs."""
    real = a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1]
    return jnp.stack([real, a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]], -1)
