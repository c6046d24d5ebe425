"""Where a head lies around its landmarks, and how a change fades out beyond it.

A head is an ellipse around the middle of the eyes, measured in distances from there to the mouth,
which is 6.8 cm of an adult's. The jaw of a turned head leaves it, so what lies close to the jaw can
count as the head too. All of this module is ours.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts


class Extent(NamedTuple):
    """How far a change reaches."""

    width: float  # radii in which all of it is there
    height: float
    fade: float  # least width of the band around them in which it ends, in radii
    stretch: float = 0.0  # least width of that band in lengths of the head's way
    jaw: float | None = None  # what is as close to the jaw counts too; None: the ellipse alone


BARE = Extent(0.85, 1.3, fade=0.15, jaw=0.03)  # the face without ears and hair
FACE = Extent(1.05, 1.6, fade=0.15, stretch=1.6, jaw=0.15)  # all landmarks, ears, some hair
WIDE = 0.43  # distance from eyes to mouth over that between the ends of the jaw, at the ears


def near(
    points: Float[AnyArray, 'b n 2'],
    places: Float[AnyArray, '1 h w 2'],
    extent: Extent,
    way: Float[AnyArray, ' b'] | None = None,
) -> Float[AnyArray, 'b h w 1']:
    """Return 1 on the heads, 0 far from them and a cubic between.

    Args:
      points: landmarks.
      places: where the answer is asked for, in the same pixels.
      extent: how far it reaches.
      way: how far the head has moved, pixels; None: not at all.
    """
    (beyond, width), band = _beyond(points, places, extent), extent.fade
    if way is not None:
        band = jnp.maximum(band, extent.stretch * way[:, None, None] / width)
    return (1 - smooth(beyond / band))[..., None]


def moving(
    source: Float[AnyArray, 'b n 2'],
    driving: Float[AnyArray, 'b n 2'],
    places: Float[AnyArray, '1 h w 2'],
    extent: Extent,
) -> Float[AnyArray, 'b h w 1']:
    """Return 1 where the head was and where it goes, 0 far from both."""
    eyes = lm.eye_middle(driving)[:, 0] - lm.eye_middle(source)[:, 0]
    way = jnp.sqrt((eyes**2).sum(-1) + 1e-12)  # its gradient stays finite where nothing moves
    return jnp.maximum(near(source, places, extent, way), near(driving, places, extent, way))


def within(
    source: Float[AnyArray, 'b n 2'],
    driving: Float[AnyArray, 'b n 2'],
    places: Float[AnyArray, '1 h w 2'],
    side: float,
) -> Float[AnyArray, 'b h w 1']:
    """Return the share of a change in an image whose border stays: 1 on the face, 0 at the border.

    It ends a little beyond the face (`FACE`) and, as in a warp whose corners are held, the sooner
    the nearer the border is to the driving face.

    Args:
      side: the image's, pixels.
    """
    beyond, width = _beyond(driving, places, BARE)
    head = (jnp.maximum(beyond, 0) * width)[..., None]
    border = jnp.minimum(places, side - places).min(-1, keepdims=True)
    return moving(source, driving, places, FACE) * border / (border + head)


def smooth(t):
    """Return 0 below 0, 1 above 1 and a cubic between."""
    t = t.clip(0, 1)
    return t * t * (3 - 2 * t)


def unit(points: Float[AnyArray, 'b n 2']) -> Float[AnyArray, ' b']:
    """Return the distance from the eyes to the mouth, seen squarely, in the points' units."""
    parts = layouts.of_count(points.shape[1]).parts
    length = jnp.sqrt((_down(points) ** 2).sum(-1) + 1e-12)
    # Looking up or down brings eyes and mouth nearer to each other, not the ends of the jaw.
    wide = points[:, parts['jaw'][-1]] - points[:, parts['jaw'][0]]
    return jnp.maximum(jnp.maximum(length, WIDE * jnp.sqrt((wide**2).sum(-1) + 1e-12)), 1e-3)


def _beyond(points, places, extent: Extent):
    """Return how far outside places are, in radii (across), and a radius, pixels."""
    (x, y), length = _axes(points, places), unit(points)[:, None, None]
    width = extent.width * length
    radius = jnp.sqrt((x / width) ** 2 + (y / (extent.height * length)) ** 2 + 1e-9)
    beyond = radius - 1
    if extent.jaw is not None:
        beyond = jnp.minimum(beyond, (_from_jaw(points, places) - extent.jaw * length) / width)
    return beyond, width


def _down(points):
    lips = layouts.of_count(points.shape[1]).parts['outer_lips']
    mouth = (points[:, lips[0]] + points[:, lips[len(lips) // 2]]) / 2
    return mouth - lm.eye_middle(points)[:, 0]


def _axes(points, places):
    """Return places across and along the head from the middle of its eyes, pixels."""
    down = _down(points)
    down = down / jnp.sqrt((down**2).sum(-1, keepdims=True) + 1e-12)
    down, off = down[:, None, None], places - lm.eye_middle(points)[:, :, None]
    y = off[..., 0] * down[..., 0] + off[..., 1] * down[..., 1]
    x = off[..., 0] * down[..., 1] - off[..., 1] * down[..., 0]
    return x, y


def _from_jaw(points, places):
    """Return the distance of places from the jaw's nearest landmark, pixels."""
    off = (
        places[:, None]
        - points[:, np.array(layouts.of_count(points.shape[1]).parts['jaw'])][:, :, None, None]
    )
    return jnp.sqrt((off**2).sum(-1).min(1) + 1e-12)
