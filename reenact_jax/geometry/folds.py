"""Openings of the face: which landmarks have no say on the other side of a lid or a lip.

A smooth interpolation between landmarks cannot shut an eye: where both lids lie on one line, the
place there comes from half way between the source's lids, the iris. Above an opening the lower
points therefore lose their weight, below it the upper ones; what was between then vanishes in the
line, as skin does. Ours.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import exact
from reenact_jax.geometry.layouts import Layout

FADE = 0.25  # in widths of an opening: band beside its corners in which both sides meet again
_FLOOR = 1e-5  # least squared length, in half sides of the image


class Fold(NamedTuple):
    """An opening by its points' numbers; upper and lower run from the left corner to the right."""

    corners: tuple[int, int]
    upper: tuple[int, ...]
    lower: tuple[int, ...]
    above: tuple[int, ...]  # all points that have no say below
    below: tuple[int, ...]  # all points that have no say above


def of_layout(layout: Layout) -> dict[str, Fold]:
    """Return the folds of a layout: `left_eye`, `right_eye` and `mouth`."""

    def sides(ring):
        half = len(ring) // 2
        return (ring[0], ring[half]), ring[1:half], ring[half + 1 :][::-1]

    eyes = {eye: sides(layout.parts[eye]) for eye in ('left_eye', 'right_eye')}
    corners, upper, lower = sides(layout.parts['inner_lips'])
    _, over, under = sides(layout.parts['outer_lips'])
    mouth = Fold(corners, upper, lower, upper + over, lower + under)
    return {name: Fold(*eye, *eye[1:]) for name, eye in eyes.items()} | {'mouth': mouth}


def kept(
    pixels: Float[AnyArray, 'p 2'],
    points: Float[AnyArray, 'b n 2'],
    folds: tuple[Fold, ...],
    width: float,
) -> Float[AnyArray, 'b p n']:
    """Compute the share of its weight that every point keeps at every pixel.

    Args:
      pixels: places in the image.
      points: landmarks of b faces, in the unit of the pixels.
      folds: openings across which points have no say.
      width: distance from an opening at which half is lost, in the unit of pixels and points.
    """
    lost, members = [], np.zeros((2 * len(folds), points.shape[1]), np.float32)
    for i, fold in enumerate(folds):
        lost += _beyond(pixels, points, fold, width)
        members[2 * i, list(fold.below)] = members[2 * i + 1, list(fold.above)] = 1
    return 1 - exact.einsum('bpf,fn->bpn', jnp.stack(lost, -1), members)


class Edges(NamedTuple):
    """An opening in b faces: its left corner, its axis to the right one, both edges."""

    left: Float[AnyArray, 'b 1 2']
    axis: Float[AnyArray, 'b 1 2']
    points: Any  # (upper, lower), each a pair as `place` gives

    def place(self, x: Float[AnyArray, '_ p 2']) -> tuple[AnyArray, AnyArray]:
        """Measure places along the axis (0 and 1 are the corners) and down from it: [b, p] each."""
        square = (self.axis**2).sum(-1) + _FLOOR
        off = x - self.left
        down = self.axis[..., 0] * off[..., 1] - self.axis[..., 1] * off[..., 0]
        return (off * self.axis).sum(-1) / square, down * jax.lax.rsqrt(square)

    def rows(self, along: Float[AnyArray, 'b p']) -> tuple[AnyArray, AnyArray]:
        """Measure how far down the upper and the lower edge are, at places along the axis."""
        upper, lower = (_line(along, *points) for points in self.points)
        return upper, lower


def edges_of(points: Float[AnyArray, 'b n 2'], fold: Fold) -> Edges:
    """Find the edges of an opening in b faces."""
    left, right = (points[:, corner, None] for corner in fold.corners)
    bare = Edges(left, right - left, ())
    rows = [bare.place(points[:, list(row)]) for row in (fold.upper, fold.lower)]
    return bare._replace(points=tuple(rows))


def _beyond(pixels, points, fold: Fold, width: float) -> tuple[AnyArray, AnyArray]:
    """Weigh how surely a pixel lies above an opening, and below it: 0..1, [b, p] each."""
    edges = edges_of(points, fold)
    along, down = edges.place(pixels[None])
    upper, lower = edges.rows(along)
    middle = (upper + lower) / 2  # where lids cross
    upper, lower = jnp.minimum(upper, middle), jnp.maximum(lower, middle)
    sure = jnp.clip(1 - jnp.maximum(-along, along - 1) / FADE, 0, 1)

    def share(distance):
        far = (jax.nn.relu(distance) / width) ** 2
        return sure * far / (1 + far)

    return share(upper - down), share(down - lower)


def _line(x, xs: Float[AnyArray, 'b k'], ys: Float[AnyArray, 'b k']) -> AnyArray:
    """Evaluate the polyline (0, 0), (xs, ys), (1, 0) at every x; xs ascend."""
    xs = jnp.pad(jnp.pad(xs, ((0, 0), (1, 0))), ((0, 0), (0, 1)), constant_values=1.0)
    ys = jnp.pad(ys, ((0, 0), (1, 1)))
    steps = jnp.maximum(jnp.diff(xs), 1e-3)
    value = jnp.zeros_like(x)
    for i in range(steps.shape[1]):
        fraction = jnp.clip((x - xs[:, i, None]) / steps[:, i, None], 0, 1)
        value = value + fraction * jnp.diff(ys)[:, i, None]
    return value
