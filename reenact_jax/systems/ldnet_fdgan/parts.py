"""Landmark errors by part of the face (ours): a lid counts as much as the jaw.

The papers' mean over 68 points hardly feels a lid: a blink moves four points by a few per cent of
the box. Here an error is measured in units of its part's own size, and *chords* (from lid to lid,
from lip to lip, from a brow to its eye) in units of what they vary by.
"""

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from reenact_jax.geometry import exact, layouts
from reenact_jax.geometry.layouts import Layout
from reenact_jax.systems import losses

_LEAST = 0.05  # units of half the box: a part is no smaller, so that pupils do not explode
_LEAST_CHORD = 0.01  # least deviation of a chord, units of half the box
_FACED = ('left_eye', 'right_eye', 'outer_lips', 'inner_lips')  # rings of two facing edges


def by_part(prediction: Float[Array, 'b n 2'], truth: Float[Array, '_ n 2']) -> Float[Array, '']:
    """Compute the mean over parts of their squared error, in units of the part's own size.

    A part's size is the root mean square distance of its points from their middle, over the batch.

    Args:
      prediction, truth: points in units of half a box; the point set follows from n.
    """
    losses.same_shape(prediction, truth)
    parts = layouts.of_count(truth.shape[-2]).parts.values()
    square = jnp.sum((prediction - truth) ** 2, -1)
    errors = []
    for part in parts:
        points = truth[:, np.array(part)]
        spread = jnp.sum((points - points.mean(1, keepdims=True)) ** 2, -1).mean()
        errors.append(square[:, np.array(part)].mean() / jnp.maximum(spread, _LEAST**2))
    return jnp.stack(errors).mean()


def by_chord(prediction: Float[Array, 'b n 2'], truth: Float[Array, '_ n 2']) -> Float[Array, '']:
    """Compute the mean over `chords` of their squared error, in units of their variance.

    1 is the error of a guess that gives every chord its mean over the batch. Groups of chords
    (lids, lips, brows) count the same, however many chords the layout gives them.
    """
    losses.same_shape(prediction, truth)
    means = []
    for rows in chords(layouts.of_count(truth.shape[-2])).values():
        error = exact.einsum('cn,bnd->bcd', rows, prediction - truth)
        real = exact.einsum('cn,bnd->bcd', rows, truth)
        spread = jnp.sum((real - real.mean(0, keepdims=True)) ** 2, -1).mean(0)
        spread = jnp.maximum(stop_gradient(spread), _LEAST_CHORD**2)
        means.append((jnp.sum(error**2, -1).mean(0) / spread).mean())
    return jnp.stack(means).mean()


def chords(layout: Layout) -> dict[str, Float[np.ndarray, 'c n']]:
    """Write differences of points as weights that sum to 0, a row each, by group.

    `lids` and `lips`: every point of one edge of a ring less the point that faces it; `width`: the
    lips' corners; `brows`: a brow's middle less the middle of its eye's corners.
    """
    groups: dict[str, list] = {'lids': [], 'lips': [], 'width': [], 'brows': []}

    def row(plus, minus):
        weights = np.zeros(layout.count, np.float32)
        weights[list(plus)] += 1 / len(plus)
        weights[list(minus)] -= 1 / len(minus)
        return weights

    for name in _FACED:
        ring = layout.parts[name]
        group, half = 'lids' if name.endswith('eye') else 'lips', len(ring) // 2
        groups[group] += [row([ring[i]], [ring[-i]]) for i in range(1, half)]
        if group == 'lips':
            groups['width'].append(row([ring[0]], [ring[half]]))
    for side in ('left', 'right'):
        eye = layout.parts[f'{side}_eye']
        corners = eye[0], eye[len(eye) // 2]
        groups['brows'].append(row(layout.parts[f'{side}_brow'], corners))
    return {group: np.stack(rows) for group, rows in groups.items()}
