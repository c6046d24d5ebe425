"""Layers: a generator's result as what moves, what is painted, and where.

A generator that knows where its pixels come from gives, beside its image, a flow into the source,
a mask between warped source and paint, the paint, and parts (mouth, eyes) in frames of their own.
All are smooth or small, so that they can be enlarged, while the source is warped at the resolution
it has: so a network of 64 x 64 pixels draws at 512 what a warp can reach (ours).
"""

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray


class Part(NamedTuple):
    """A local region, painted in a square frame of its own."""

    image: Float[AnyArray, 'b p p 3']  # [-1, 1]
    alpha: Float[AnyArray, 'b p p 1']  # 0..1; 0 at its border
    frame: Float[AnyArray, 'b 2 3']  # from its pixels to those of the crop, as `images.part_frame`


class Layers(NamedTuple):
    """The layers of an image; s is the model's side, the flow may have another one."""

    flow: Float[AnyArray, 'b g g 2']  # backward, normalised, as `images.warp` takes it
    mask: Float[AnyArray, 'b s s 1']  # 0..1; 1: the warped source
    paint: Float[AnyArray, 'b s s 3']  # [-1, 1]
    parts: dict[str, Part]  # laid over the rest, in the order of their names
    # Share of the flow, at its side, in the image that `render` gives; None: all of it. A picture
    # of more than the crop has a wider one of its own, `Reach`.
    reach: Float[AnyArray, 'b g g 1'] | None = None


class Region(NamedTuple):
    """A rectangle of whole pixels of a picture; static."""

    top: int
    left: int
    height: int
    width: int


class Reach(NamedTuple):
    """Shares of the change at every pixel: where both are 0 the picture stays, bit for bit."""

    moves: Float[AnyArray, 'b H W 1']  # share of the flow
    paints: Float[AnyArray, 'b H W 1']  # share of paint and parts


def as_tree(layers: Layers) -> dict:
    """Turn layers into plain dicts of arrays, which a bundle's functions give."""
    tree = layers._asdict() | {'parts': {n: part._asdict() for n, part in layers.parts.items()}}
    return {name: layer for name, layer in tree.items() if layer is not None}


def of_tree(tree: Mapping) -> Layers:
    """Turn plain dicts into layers: the inverse of `as_tree`."""
    parts = {name: Part(**part) for name, part in tree['parts'].items()}
    return Layers(**{**tree, 'parts': parts})
