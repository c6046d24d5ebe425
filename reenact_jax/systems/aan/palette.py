"""The colours that the inside of a mouth is mixed of, taken from the source (ours).

A small network that has seen few mouths open paints their mean, whose hue (an orange) no mouth has.
What lies between lips is dark, tongue or teeth: the network says how much of each, and the source's
own lips and skin give the colours, so that a grey photograph stays grey. With `form` it starts from
where these lie in most mouths: teeth hang from the upper lip, as long in a wide mouth as in a
narrow one, the tongue lies on the lower one, and between them it is dark.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from reenact_jax.geometry import folds, images, layouts
from reenact_jax.geometry.folds import Fold

CAVITY, TONGUE = 0.12, 0.7  # brightness, in those of the lips
TEETH = 1.15  # brightness, in that of the skin
WARMTH = 0.25  # share of the skin's hue in the teeth's
CONTRAST = 5.0  # from a network's outputs in -1..1 to logits
# Of `form`; lengths are in widths of the mouth.
TOOTH = 0.1  # length of the upper teeth in the middle of a mouth; 0 at its corners
TONGUE_HIGH = 0.35  # height of the tongue, in gaps
EDGE = 0.03  # over which one gives way to the next
SURE = 3.0  # logit of what lies there
MOVED = 2.0  # takes the place of CONTRAST: a few minutes of training may shift these, not undo them


def of_source(
    image: Float[Array, 'b h w 3'], points: Float[Array, 'b n 2']
) -> Float[Array, 'b 3 3']:
    """Take the colours of cavity, tongue and teeth from a source.

    Args:
      image: [-1, 1].
      points: its landmarks, pixels.

    Returns:
      Three colours [b, 3, RGB] in [-1, 1].
    """
    parts = layouts.of_count(points.shape[1]).parts
    outer, inner = (np.array(parts[name]) for name in ('outer_lips', 'inner_lips'))
    # Half way from the inner ring to the outer one, both of which start at the left corner; the
    # corners themselves are dark.
    numbers = np.delete(np.arange(len(inner)), [0, len(inner) // 2])
    across, inner = outer[numbers * len(outer) // len(inner)], inner[numbers]
    lips = _mean(image, (points[:, inner] + points[:, across]) / 2)
    skin = _mean(image, points[:, np.array(parts['nose_bridge'])])
    grey = skin.mean(-1, keepdims=True)
    teeth = jnp.minimum(TEETH * (WARMTH * skin + (1 - WARMTH) * grey), 0.95)
    return 2 * jnp.stack([CAVITY * lips, TONGUE * lips, teeth], 1) - 1


def form(
    pixels: Float[Array, 'b p 2'], points: Float[Array, 'b n 2'], fold: Fold
) -> Float[Array, 'b p 3']:
    """Compute logits of cavity, tongue and teeth between the lips.

    Args:
      pixels: places, in the unit of the points.
      points: driving landmarks.
      fold: the mouth.
    """
    edges = folds.edges_of(points, fold)
    along, down = edges.place(pixels)
    upper, lower = edges.rows(along)
    width = jnp.sqrt((edges.axis**2).sum(-1) + 1e-12)
    arch = jnp.clip(4 * along * (1 - along), 0, 1)
    teeth = jnp.tanh((TOOTH * arch - (down - upper) / width) / EDGE)
    tongue = jnp.tanh((TONGUE_HIGH * (lower - upper) - (lower - down)) / width / EDGE)
    # Where the mouth is hardly open, teeth lie before the tongue.
    tongue = jnp.minimum(tongue, -teeth)
    return SURE * jnp.stack([jnp.zeros_like(teeth), tongue, teeth], -1)


def mixed(
    shares: Float[Array, 'b s s 3'],
    colours: Float[Array, '#b 3 3'],
    start: Float[Array, 'b s s 3'] | None = None,
) -> Float[Array, 'b s s 3']:
    """Mix colours by a network's outputs, -1..1 for each of them, from the logits of `form`."""
    logits = CONTRAST * shares if start is None else MOVED * shares + start
    weights = jax.nn.softmax(logits, -1)
    return (weights[..., None] * colours[:, None, None]).sum(-2)


def _mean(image, places: Float[Array, 'b k 2']) -> Float[Array, 'b 3']:
    """Average the image, as 0..1, over places."""
    return (jax.vmap(images.sample)(image, places).mean(1) + 1) / 2
