"""Traits that no named factor gives a face: smooth bumps of its own, and its asymmetries.

The factors of identity.py move primitives, and faces made of the same primitives look related. Here
every person's skin, eyes, teeth and hair are pushed a little by bumps at places of the face.
"""

import numpy as np
from jaxtyping import Float

from reenact_jax.data_prep.heads.compiled import compiled
from reenact_jax.data_prep.heads.identity import Identity
from reenact_jax.data_prep.heads.surface import step

AMOUNT = 0.30  # standard deviation of a push, as a share of its bump's width
# abs(x), y, z and width of the bumps, centimetres
_PLACES = np.array(
    [
        (1.5, 2.2, 8.5, 1.9), (4.8, 1.8, 6.5, 1.9), (3.2, 0.0, 7.8, 2.2), (3.2, -2.4, 7.5, 1.9),
        (6.0, -1.5, 4.0, 2.4), (0.0, -0.5, 9.5, 1.8), (0.0, -3.6, 11.0, 1.6), (1.3, -4.2, 9.5, 1.5),
        (0.0, -6.0, 9.8, 1.7), (2.6, -6.9, 8.5, 1.8), (0.0, -8.0, 9.5, 1.7), (0.0, -10.8, 9.0, 2.2),
        (5.0, -7.0, 2.5, 2.8), (4.5, -5.0, 6.0, 2.2), (0.0, 5.5, 8.0, 3.2), (6.2, 3.0, 3.5, 3.0),
    ]
)  # fmt: skip
# Slanted brows and a bent mouth read as an expression: each goes up and down mostly as a whole.
_TOGETHER = ([0, 1], [8, 9, 10])


def skew(who: Identity, p: Float[np.ndarray, '... 3']) -> Float[np.ndarray, '... 3']:
    """Give points of the head the person's own bumps, the jaw to a side, one eye higher."""
    flat = np.ascontiguousarray(p, np.float64).reshape(-1, 3)
    moved = np.empty_like(flat)
    _push(flat, _PLACES, _pushes(who.seed), moved)
    moved = moved.reshape(np.shape(p))
    x, y, z = p[..., 0], p[..., 1], p[..., 2]
    face = step(0, 6, z) * step(-14, -11, y)
    jaw = 0.13 * who.asymmetry_jaw * np.exp(-(((y + 8.5) / 4.0) ** 2)) * face
    high = 0.020 * who.asymmetry_eyes * x * np.exp(-(((y - 0.5) / 4.0) ** 2)) * face
    mouth = 0.012 * who.asymmetry_jaw * x * np.exp(-(((y + 7) / 2.0) ** 2)) * face
    return moved + np.stack([jaw, high + mouth, np.zeros_like(z)], -1)


def _pushes(seed: int) -> Float[np.ndarray, '16 3']:
    """Outwards, up and forwards, centimetres; as much on both sides."""
    rng = np.random.default_rng([seed, 15])
    draws = np.clip(rng.normal(size=(len(_PLACES), 3)), -1.8, 1.8)
    for group in _TOGETHER:
        draws[group, 1] = 0.8 * draws[group[0], 1] + 0.3 * draws[group, 1]
    return AMOUNT * draws * _PLACES[:, 3:]


@compiled
def _push(points, places, pushes, out):
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        dx = dy = dz = 0.0
        for k in range(places.shape[0]):
            v, w = y - places[k, 1], z - places[k, 2]
            for side in (-1.0, 1.0):  # the sum of both is smooth across the middle
                u = x - side * places[k, 0]
                near = (u * u + v * v + w * w) / (places[k, 3] * places[k, 3])
                if near < 12:
                    weight = np.exp(-near) * (1.0 if places[k, 0] > 0 else 0.5)
                    dx += weight * (side if places[k, 0] > 0 else np.tanh(x)) * pushes[k, 0]
                    dy += weight * pushes[k, 1]
                    dz += weight * pushes[k, 2]
        out[i, 0] = x + dx
        out[i, 1] = y + dy
        out[i, 2] = z + dz
