"""More motion out of the same frames (ours): brows, lids and lips that move by themselves.

On synthetic people every expression comes with the deformation of its muscles, and a pose code may
read a raised brow from anything but the brow. On real people that fails: the brow's height is taken
for the person's. A gesture moves one group of parts of a single frame by a plain stretch and shift,
at random, which no identity explains.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from reenact_jax.geometry import exact, layouts
from reenact_jax.geometry import landmarks as lm

# Parts that move together -> (mean, standard deviation) of the logarithm of their stretch along the
# eyes and across, and of their shift across (positive: down), in units of half the box. The means
# lead from synthetic people to the clips and portraits that were looked at, where lids are 0 to
# 0.15 of the distance of the outer eye corners apart (synthetic: 0 to 0.11), lips to 0.39 (0.30)
# and brows 0.14 to 0.40 above the eyes (0.20 to 0.42).
GROUPS = {
    ('brow',): ((0.0, 0.03), (0.0, 0.1), (0.03, 0.04)),
    ('eye', 'pupil'): ((0.0, 0.02), (0.1, 0.25), (0.0, 0.005)),
    ('lips',): ((0.0, 0.06), (0.0, 0.03), (0.0, 0.005)),
}
SIDES = 0.3  # standard deviation of one side's own move, in that of the common one
SHUT = 0.1  # probability that lids close; how far is random


def gesture(
    points: Float[Array, 'b n 2'], strength: float, rng: jax.Array
) -> Float[Array, 'b n 2']:
    """Move groups of parts of every row at random.

    Args:
      points: in units of half a box.
      strength: of the moves, 1 as in `GROUPS`; 0 leaves the points alone.
      rng: the key of the random moves.

    Returns:
      The points in units of their own box.
    """
    if not strength:
        return points
    parts = layouts.of_count(points.shape[-2]).parts
    axis = _axis(points, parts)
    turned = exact.einsum('bij,bnj->bni', axis, points)
    for number, (kinds, spread) in enumerate(GROUPS.items()):
        sides = _sides(kinds, parts)
        draw = _draws(jax.random.fold_in(rng, number), len(points), len(sides))
        mean, deviation = np.array(spread, np.float32).T
        moves = strength * (mean[None, None] + deviation[None, None] * draw)  # [b, sides, 3]
        stretch = jnp.exp(moves[..., :2])
        if 'eye' in kinds:
            stretch = stretch.at[..., 1].multiply(_shut(rng, len(points))[:, None])
        for side, rows in enumerate(sides):
            middle = turned[:, rows].mean(1, keepdims=True)
            moved = (turned[:, rows] - middle) * stretch[:, side, None] + middle
            turned = turned.at[:, rows].set(moved.at[..., 1].add(moves[:, side, None, 2]))
    turned = exact.einsum('bij,bni->bnj', axis, turned)
    return lm.normalise(turned, *lm.box(turned))


def _draws(rng: jax.Array, rows: int, sides: int) -> Float[Array, 'b s 3']:
    """Draw normal numbers, nearly the same on both sides of the face."""
    common = jax.random.normal(rng, (rows, 1, 3))
    single = jax.random.normal(jax.random.fold_in(rng, 1), (rows, sides, 3))
    return common + SIDES * single if sides > 1 else common


def _shut(rng: jax.Array, rows: int) -> Float[Array, ' b']:
    """Draw what is left of the lids' opening, 0..1."""
    shuts, extent = jax.random.split(jax.random.fold_in(rng, len(GROUPS)))
    open_ = 1 - jax.random.uniform(extent, (rows,))
    return jnp.where(jax.random.bernoulli(shuts, SHUT, (rows,)), open_, 1.0)


def _sides(kinds, parts) -> list[np.ndarray]:
    """List the points that share a middle: an eye and its pupil, a brow, both lips."""
    sides: dict[str, list[int]] = {}
    for name, points in parts.items():
        if name.split('_')[-1] in kinds:
            side = name.split('_')[0] if name.startswith(('left', 'right')) else ''
            sides.setdefault(side, []).extend(points)
    return [np.array(rows) for rows in sides.values()]


def _axis(points: Float[Array, 'b n 2'], parts) -> Float[Array, 'b 2 2']:
    """Compute the unit vectors from the image's left eye to its right one, and across, as rows."""
    left, right = (points[:, np.array(parts[f'{s}_eye'])].mean(1) for s in ('left', 'right'))
    along = right - left
    along = along / jnp.maximum(jnp.sqrt((along**2).sum(-1, keepdims=True)), 1e-3)
    return jnp.stack([along, jnp.stack([-along[..., 1], along[..., 0]], -1)], 1)
