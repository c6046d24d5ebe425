"""Flows that landmarks ask for, in closed form: no network, nothing trained."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax import images


def landmark_flow(
    source: Float[Array, 'b n 2'], driving: Float[Array, 'b n 2'], size: int, grid: int
) -> Float[Array, 'b grid grid 2']:
    """Extend the landmarks' motion to every pixel: moving least squares, similarity form.

    Schaefer et al. 2006, section 2.2, of displacements u = s - d, so that equal landmarks give
    exactly 0: w_i = (|p - d_i|^2 + eps^2)^-2 normalised, u* = sum w u, p* = sum w d, and in complex
    numbers n = sum w conj(d - p*) (u - u*) / sum w |d - p*|^2; flow(p) = u* + n (p - p*).

    Args:
      source: landmarks s, pixels of a picture of side `size`.
      driving: landmarks d that the result shall have.
      size: side of the picture, pixels; eps is size / 256 (ours).
      grid: side of the flow.

    Returns:
      Backward flow as `images.warp` takes it: 2 is the picture's side.
    """
    p = jnp.asarray(images.pixel_grid(grid, grid).reshape(1, 1, -1, 2)) * (size / grid)
    d, u = driving[:, :, None], (source - driving)[:, :, None]  # [b, n, 1, 2]
    square = ((p - d) ** 2).sum(-1, keepdims=True) + (size / 256) ** 2
    # In units of the nearest point's distance: the weight itself would overflow half precision.
    w = (square.min(1, keepdims=True) / square) ** 2
    w = w / w.sum(1, keepdims=True)
    u_star, p_star = (w * u).sum(1, keepdims=True), (w * d).sum(1, keepdims=True)
    d, u, r = d - p_star, u - u_star, (p - p_star)[:, 0]
    spread = jnp.maximum((w * d**2).sum((1, -1)), 1e-12)
    real = (w * d * u).sum((1, -1)) / spread
    imaginary = (w[..., 0] * (d[..., 0] * u[..., 1] - d[..., 1] * u[..., 0])).sum(1) / spread
    x = real * r[..., 0] - imaginary * r[..., 1]
    y = real * r[..., 1] + imaginary * r[..., 0]
    flow = u_star[:, 0] + jnp.stack([x, y], -1)
    return flow.reshape(-1, grid, grid, 2) * (2 / size)
