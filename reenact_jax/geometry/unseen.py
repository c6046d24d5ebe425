"""Places of a driven face that the source cannot show, by landmarks alone: a network paints there.

Everything else is better warped: a small network that may repaint all of a portrait blurs what it
knows. Shares are 0 where the source shows a place and 1 where it cannot. All rules are ours.
"""

import jax.numpy as jnp
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import folds
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry.folds import Fold

# Shares rise from 0 at the first number of each to 1 at the second.
OPENED = 0.75, 0.25  # an eye: the source's gap over the driver's, heads being equally large
PARTED = 0.95, 0.6  # and a mouth, whose teeth would grow with it
STRETCHED = 1.0, 2.5  # log2 of how many times larger than in the source a place is drawn
AWAY = 0.4, 0.1  # how squarely the source shows a place (flows.facing)
TURNED = 0.1, 0.3  # and how much more squarely the driver does


def opened(
    pixels: Float[AnyArray, '#b p 2'],
    source: Float[AnyArray, 'b n 2'],
    driving: Float[AnyArray, 'b n 2'],
    fold: Fold,
    width: Float[AnyArray, ' b'],
    ends: tuple[float, float] = OPENED,
) -> Float[AnyArray, 'b p']:
    """Compute the share between a driver's lids or lips that the source's gap does not show.

    Args:
      pixels: places in the driver's frame, in the unit of the points.
      source: the source's landmarks.
      driving: the driver's landmarks.
      fold: the opening.
      width: distance from the lids over which the share rises, for example a drawn pixel.
      ends: gaps of the source, over the driver's, at which the share is 0 and 1.
    """
    driver_edges, source_edges = (folds.edges_of(x, fold) for x in (driving, source))
    along, down = driver_edges.place(pixels)
    upper, lower = driver_edges.rows(along)
    above, below = source_edges.rows(along)
    larger = lm.box(driving)[1] / jnp.maximum(lm.box(source)[1], 1e-6)
    gap = jnp.maximum(lower - upper, 1e-6)
    shown = jnp.maximum(below - above, 0) * larger[:, None] / gap
    inside = jnp.minimum(down - upper, lower - down) / width[:, None]
    inside = jnp.where((along > 0) & (along < 1), jnp.clip(inside, 0, 1), 0)
    return inside * _ramp(shown, ends)


def stretched(flow: Float[AnyArray, 'b g g 2']) -> Float[AnyArray, 'b g g 1']:
    """Grade, 0..1, how much a backward, normalised flow enlarges; 1 where it turns a place over."""
    place = flow * (flow.shape[1] / 2)
    across, down = (jnp.asarray(jnp.gradient(place, axis=axis)) for axis in (2, 1))
    det = (1 + across[..., 0]) * (1 + down[..., 1]) - across[..., 1] * down[..., 0]
    return _ramp(-jnp.log2(jnp.maximum(det, 2.0**-8)), STRETCHED)[..., None]


def turned_away(
    source: Float[AnyArray, '*s'], driving: Float[AnyArray, '*s']
) -> Float[AnyArray, '*s']:
    """Compute the share of a place that the driver shows more squarely than the source.

    Args:
      source: how squarely the source shows it (`flows.facing`), -1..1.
      driving: how squarely the driver does.
    """
    return _ramp(source, AWAY) * _ramp(driving - source, TURNED)


def _ramp(x, ends: tuple[float, float]):
    """Rise from 0 at the first end to 1 at the second, by a cubic."""
    t = jnp.clip((x - ends[0]) / (ends[1] - ends[0]), 0, 1)
    return t * t * (3 - 2 * t)
