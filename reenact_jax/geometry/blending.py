"""The last step of a composition: paint and parts over what moved (composition.py)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import exact, images
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry.layers import Layers, Part, Region

WINDOW = 0.375  # side of the window in which a part is laid, in sides of the region
EDGE = 0.04  # in sides of the crop: band at its border in which paint gives way to the picture


def blend(
    warped: Float[AnyArray, 'b H W 3'],
    shown: Float[AnyArray, 'b H W 1'],
    enlarged: Float[AnyArray, 'b H W 6'],
    layers: Layers,
    window: Float[AnyArray, '3'],
    region: Region,
    share: Float[AnyArray, 'b H W 1'] | None = None,
) -> Float[AnyArray, 'b H W 3']:
    """Blend paint, then the parts of `layers`, into what `move` gave.

    Args:
      enlarged: what `enlarge` gave.
      share: of paint and parts, which then end softly at the crop's border.
    """
    inside = _painted(shown, window, region, share)
    result = _under_parts(warped, shown, enlarged, inside)
    for name, frame in _part_frames(layers, window, region).items():
        result = jax.vmap(_laid)(result, layers.parts[name], frame, inside)
    return result


def blend_bytes(
    warped: Float[AnyArray, 'b H W 3'],
    shown: Float[AnyArray, 'b H W 1'],
    enlarged: Float[AnyArray, 'b H W 6'],
    layers: Layers,
    window: Float[AnyArray, '3'],
    region: Region,
    share: Float[AnyArray, 'b H W 1'],
) -> UInt8[AnyArray, 'b H W 3']:
    """Blend as `blend`, up to a level, in less than half of the time on a CPU; without a gradient.

    A part is laid within a window, if all are small enough, and over bytes. One frame comes after
    another, since windows of many at once are gathered and scattered; by loops, one of which has no
    rounds, since a condition copies what it is given.
    """
    inside = _painted(shown, window, region, share)
    result = images.to_uint8(_under_parts(warped, shown, enlarged, inside))
    frames, parts = _part_frames(layers, window, region), layers.parts
    if not parts:
        return result
    count, whole = result.shape[0], (region.height, region.width)
    small = int(WINDOW * whole[0]), int(WINDOW * whole[1])
    # In pixels of the region, with one more at either end.
    sides = [parts[name].alpha.shape[1] / frames[name][:, 0, 0].min() + 2 for name in frames]
    fits = jnp.max(jnp.stack(sides)) < min(small)

    def lay(size: tuple[int, int]):
        def one(k, result):
            for name, frame in frames.items():
                part = jax.tree.map(lambda x: x[k], parts[name])
                result = _laid_in(size, result, k, part, frame[k], inside)
            return result

        return one

    result = jax.lax.fori_loop(0, jnp.where(fits, count, 0), lay(small), result)
    return jax.lax.fori_loop(0, jnp.where(fits, 0, count), lay(whole), result)


def corner_of(window, region: Region) -> Float[AnyArray, '2']:
    """Find the region's corner in pixels of the picture from the crop's."""
    return jnp.array([region.left, region.top], window.dtype) - window[:2]


def frame_of(scale, corner, rows: int) -> Float[AnyArray, 'b 2 3']:
    """Map a region's pixels to those of a layer."""
    scale, zero = jnp.asarray(scale), jnp.zeros(())
    first = jnp.stack([scale, zero, scale * corner[0]])
    frame = jnp.stack([first, jnp.stack([zero, scale, scale * corner[1]])])
    return jnp.broadcast_to(frame[None], (rows, 2, 3))


def _painted(shown, window, region: Region, share) -> Float[AnyArray, 'b H W 1']:
    """Weigh where paint and parts may be: everywhere, or by their share inside the crop."""
    if share is None:
        return jnp.ones_like(shown)
    # Beyond the picture's end there is nothing to keep but its last pixels: paint is better.
    return _inside(window, region) * jnp.maximum(share, 1 - shown)


def _under_parts(warped, shown, enlarged, inside) -> Float[AnyArray, 'b H W 3']:
    """Blend what moved and what is painted."""
    mask = 1 - inside * (1 - enlarged[..., 2:3] * shown)
    return mask * warped + (1 - mask) * enlarged[..., 3:]


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


def _part_frames(layers: Layers, window, region: Region) -> dict[str, Float[AnyArray, 'b 2 3']]:
    """Map the region's pixels to those of every part, in the order in which they are laid."""
    scale, corner = layers.mask.shape[1] / window[2], corner_of(window, region)
    return {n: _part_frame(part.frame, scale, corner) for n, part in sorted(layers.parts.items())}


def _part_frame(frame: Float[AnyArray, 'b 2 3'], scale, corner) -> Float[AnyArray, 'b 2 3']:
    """Map the region's pixels to those of a part."""
    out = frame_of(scale, corner, frame.shape[0])  # region -> crop
    back = lm.invert(frame)  # crop -> part
    shift = lm.transform(out[:, None, :, 2], back)
    linear = exact.einsum('bij,bjk->bik', back[..., :2], out[..., :2])
    return jnp.concatenate([linear, shift[:, 0, :, None]], -1)


def _laid_in(
    size: tuple[int, int], result, k, part: Part, frame: Float[AnyArray, '2 3'], inside
) -> UInt8[AnyArray, 'b H W 3']:
    """Lay a part over frame k of a region, within a window of a size [h, w] that holds it all."""
    scale = jnp.stack([frame[0, 0], frame[1, 1]])
    start = jnp.floor(-frame[:, 2] / scale).astype(jnp.int32) - 1
    start = jnp.clip(start, 0, np.array([result.shape[2] - size[1], result.shape[1] - size[0]]))
    frame = frame.at[:, 2].add(exact.einsum('ij,j->i', frame[:, :2], start.astype(frame.dtype)))
    place = k, start[1], start[0], 0
    under = jax.lax.dynamic_slice(result, place, (1, *size, 3))
    share = jax.lax.dynamic_slice(inside, place, (1, *size, 1))
    laid = _laid(images.to_float(under)[0], part, frame, share[0])
    return jax.lax.dynamic_update_slice(result, images.to_uint8(laid)[None], place)


def _laid(under, part: Part, frame: Float[AnyArray, '2 3'], inside) -> Float[AnyArray, 'h w 3']:
    """Lay a part over an image; alpha is 0 outside of its frame."""
    size, frame = under.shape[:2], frame[None]
    alpha = inside * images.upright_sample(part.alpha[None], frame, size, border=False)[0]
    image = images.upright_sample(part.image[None], frame, size, border=True)[0]
    return under + alpha * (image - under)
