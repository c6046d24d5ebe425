"""Layers: a generator's result as what moves, what is painted, and where; and their composition.

A generator that knows where its pixels come from gives, beside its image, a flow into the source,
a mask between warped source and paint, the paint, and parts (mouth, eyes) in frames of their own.
All are smooth or small, so that they can be enlarged, while the source is warped at the resolution
it has: so a network of 64 x 64 pixels draws at 512 what a warp can reach (ours).
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import images
from reenact_jax.geometry import landmarks as lm

LARGE = 256  # side of a region, pixels, from which parts are laid within a window
WINDOW = 0.375  # side of a window, in sides of the region, if all parts are smaller than that
EDGE = 0.04  # in sides of the crop: band at its border in which paint gives way to the picture


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


def compose(layers: Layers, source: Float[AnyArray, '#b s s 3']) -> Float[AnyArray, 'b s s 3']:
    """Compose the image at the size of the source's crop.

    Args:
      layers: of b frames.
      source: the crop that the model was given, [-1, 1]; 1 row or b.
    """
    side = source.shape[1]
    window = jnp.array([0.0, 0.0, side], source.dtype)
    return compose_onto(layers, source, window, Region(0, 0, side, side), cubic=False)


def compose_onto(
    layers: Layers,
    picture: Float[AnyArray, 'n h w 3'],
    window: Float[AnyArray, '3'],
    region: Region,
    reach: Reach | None = None,
    cubic: bool = True,
) -> Float[AnyArray, 'b H W 3']:
    """Compose a region of a picture with the layers in their place, at the picture's own pixels.

    Args:
      layers: of b frames.
      picture: what the source's crop was cut from, [-1, 1]; 1 row or b.
      window: x0, y0 and side of the crop in the picture, pixels; may reach outside.
      region: what is drawn. Beyond the crop the flow of the crop's border goes on.
      reach: where it may change; paint then ends softly at the crop's border. None: everywhere.
      cubic: sampling of the picture; False: bilinear.

    Returns:
      The region [b, H, W, 3] in [-1, 1].
    """
    size = region.height, region.width
    corner = jnp.array([region.left, region.top], window.dtype) - window[:2]

    def enlarged(layer):
        frame = _frame(layer.shape[1] / window[2], corner, layer.shape[0])
        return images.upright_sample(layer, frame, size, border=True)

    flow, mask = enlarged(layers.flow) * (window[2] / 2), enlarged(layers.mask)
    inside = 1.0
    if reach is not None:
        flow = flow * reach.moves
    at = images.pixel_grid(*size)[None] + np.array([[[[region.left, region.top]]]]) + flow
    warped, there = _sampled(picture, at, cubic)
    if reach is not None:
        # Beyond the picture's end there is nothing to keep but its last pixels: paint is better.
        inside = _inside(window, region) * jnp.maximum(reach.paints, 1 - there)
    mask = 1 - inside * (1 - mask * there)
    result = mask * warped + (1 - mask) * enlarged(layers.paint)
    inside = jnp.broadcast_to(inside, (*result.shape[:3], 1))
    frames = {
        name: _part_frame(part.frame, layers.mask.shape[1] / window[2], corner)
        for name, part in layers.parts.items()
    }
    return _with_parts(result, layers.parts, frames, inside)


def as_tree(layers: Layers) -> dict:
    """Turn layers into plain dicts of arrays, which a bundle's functions give."""
    return layers._asdict() | {'parts': {n: part._asdict() for n, part in layers.parts.items()}}


def of_tree(tree: Mapping) -> Layers:
    """Turn plain dicts into layers: the inverse of `as_tree`."""
    parts = {name: Part(**part) for name, part in tree['parts'].items()}
    return Layers(**{**tree, 'parts': parts})


def _frame(scale, corner, rows: int) -> Float[AnyArray, 'b 2 3']:
    """Map a region's pixels to those of a layer."""
    scale, zero = jnp.asarray(scale), jnp.zeros(())
    first = jnp.stack([scale, zero, scale * corner[0]])
    frame = jnp.stack([first, jnp.stack([zero, scale, scale * corner[1]])])
    return jnp.broadcast_to(frame[None], (rows, 2, 3))


def _sampled(picture, at, cubic: bool):
    """Sample a picture at places, and tell (0..1) whether there was a picture."""
    sample, picture = images.sample_cubic if cubic else images.sample, jnp.asarray(picture)
    single = picture.shape[0] == 1
    warped = jax.vmap(sample, (None if single else 0, 0))(picture[0] if single else picture, at)
    height, width = picture.shape[1:3]
    # 1 up to the border pixel's centre, which has all of its value, 0 from single pixel further.
    across = jnp.clip(jnp.minimum(at[..., 0], width - at[..., 0]) + 0.5, 0, 1)
    down = jnp.clip(jnp.minimum(at[..., 1], height - at[..., 1]) + 0.5, 0, 1)
    return warped, (across * down)[..., None]


def _inside(window, region: Region) -> Float[AnyArray, '1 H W 1']:
    """Weigh pixels: 1 inside the crop, falling to 0 at its border within `EDGE` of its side."""

    def ramp(first: int, count: int, start):
        place = (np.arange(first, first + count) + 0.5 - start) / window[2]
        return jnp.clip(jnp.minimum(place, 1 - place) / EDGE, 0, 1)

    down, across = (
        ramp(region.top, region.height, window[1]),
        ramp(region.left, region.width, window[0]),
    )
    return (down[:, None] * across[None])[None, ..., None]


def _part_frame(frame: Float[AnyArray, 'b 2 3'], scale, corner) -> Float[AnyArray, 'b 2 3']:
    """Map the region's pixels to those of a part."""
    out = _frame(scale, corner, frame.shape[0])  # region -> crop
    back = lm.invert(frame)  # crop -> part
    shift = lm.transform(out[:, None, :, 2], back)
    linear = jnp.einsum('bij,bjk->bik', back[..., :2], out[..., :2])
    return jnp.concatenate([linear, shift[:, 0, :, None]], -1)


def _with_parts(result, parts: dict[str, Part], frames: dict, inside) -> Float[AnyArray, 'b H W 3']:
    """Lay parts over a region; of a large one each within a window, where all are small enough."""
    size = result.shape[1:3]
    small = int(WINDOW * size[0]), int(WINDOW * size[1])

    def laid(result, window: tuple[int, int]):
        draw = jax.vmap(functools.partial(_laid, window=window))
        for name, part in sorted(parts.items()):
            result = draw(result, part, frames[name], inside)
        return result

    def pixels(name: str):
        """Measure a part's side in pixels of the region, with one more at either end."""
        return parts[name].alpha.shape[1] / frames[name][:, 0, 0].min() + 2

    if not parts or min(size) < LARGE:
        return laid(result, size)
    fits = jnp.max(jnp.stack([pixels(name) for name in parts])) < min(small)
    return jax.lax.cond(fits, lambda x: laid(x, small), lambda x: laid(x, size), result)


def _laid(result, part: Part, frame: Float[AnyArray, '2 3'], inside, window: tuple[int, int]):
    """Blend a part into one region, within a window [h, w] that holds all of its frame."""
    if window == result.shape[:2]:
        return _blended(result, part, frame, inside)
    scale = jnp.stack([frame[0, 0], frame[1, 1]])
    start = jnp.floor(-frame[:, 2] / scale).astype(jnp.int32) - 1
    most = np.array([result.shape[1] - window[1], result.shape[0] - window[0]])
    start = jnp.clip(start, 0, most)
    frame = frame.at[:, 2].add(frame[:, :2] @ start.astype(frame.dtype))
    place = start[1], start[0], 0
    under = jax.lax.dynamic_slice(result, place, (*window, 3))
    share = jax.lax.dynamic_slice(inside, place, (*window, 1))
    return jax.lax.dynamic_update_slice(result, _blended(under, part, frame, share), place)


def _blended(under, part: Part, frame: Float[AnyArray, '2 3'], inside):
    """Lay a part over an image; alpha is 0 outside of its frame."""
    size, frame = under.shape[:2], frame[None]
    alpha = inside * images.upright_sample(part.alpha[None], frame, size, border=False)[0]
    image = images.upright_sample(part.image[None], frame, size, border=True)[0]
    return under + alpha * (image - under)
