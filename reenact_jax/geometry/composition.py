"""The composition of layers (layers.py) with the picture that they move.

In steps, functions of their own: join, enlarge, move, blend. `compose_onto` is all of them; who
draws many frames compiles each step alone, because XLA, given all at once on a CPU, computes some
of them several times (20 ms of CPU time a 512 x 512 frame instead of 15.5).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import exact, images
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry.layers import Layers, Part, Reach, Region

LARGE = 256  # side of a region, pixels, from which parts are laid within a window
WINDOW = 0.375  # side of a window, in sides of the region, if all parts are smaller than that
EDGE = 0.04  # in sides of the crop: band at its border in which paint gives way to the picture


def compose(
    layers: Layers,
    source: Float[AnyArray, '#b s s 3'],
    warped: Float[AnyArray, 'b s s 3'] | None = None,
) -> Float[AnyArray, 'b s s 3']:
    """Compose the image at the size of the source's crop.

    Args:
      layers: of b frames.
      source: the crop that the model was given, [-1, 1]; 1 row or b.
      warped: what `images.warp` gives of source and flow, where that is known already and the
        flow's side is the source's.
    """
    layers, side = reached(layers), source.shape[1]
    window, region = jnp.array([0.0, 0.0, side], source.dtype), Region(0, 0, side, side)
    if warped is None or layers.flow.shape[1] != side:
        return compose_onto(layers, source, window, region, cubic=False)
    at = images.pixel_grid(side, side)[None] + layers.flow * (side / 2)
    shown = _shown(at, (side, side))
    return blend(warped, shown, join(layers)[0], layers, window, region)


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
      reach: where it may change; paint then ends softly at the crop's border. None: as far as the
        layers say.
      cubic: sampling of the picture; False: bilinear.

    Returns:
      The region [b, H, W, 3] in [-1, 1].
    """
    layers = reached(layers) if reach is None else layers
    enlarged = enlarge(join(layers), window, region)
    moves = None if reach is None else reach.moves
    warped, shown = move(picture, enlarged, window, region, moves, cubic)
    paints = None if reach is None else reach.paints
    return blend(warped, shown, enlarged, layers, window, region, paints)


def reached(layers: Layers) -> Layers:
    """Return layers whose flow ends where `layers.reach` does."""
    if layers.reach is None:
        return layers
    return layers._replace(flow=layers.flow * layers.reach, reach=None)


def join(layers: Layers) -> tuple[Float[AnyArray, 'b _ _ _'], ...]:
    """Join flow, mask and paint, those of one side in one array."""
    painted = jnp.concatenate([layers.mask, layers.paint], -1)
    if layers.flow.shape[1] != painted.shape[1]:
        return layers.flow, painted
    return (jnp.concatenate([layers.flow, painted], -1),)


def enlarge(
    joined: tuple[Float[AnyArray, 'b _ _ _'], ...], window: Float[AnyArray, '3'], region: Region
) -> Float[AnyArray, 'b H W 6']:
    """Enlarge what `join` gave to a region's pixels; beyond the crop its border goes on."""
    corner, size = _corner(window, region), (region.height, region.width)

    def one(layer):
        scale = layer.shape[1] / window[2]
        if min(size) >= LARGE:
            return _between(layer, scale, corner, size)
        frame = _frame(scale, corner, layer.shape[0])
        return images.upright_sample(layer, frame, size, border=True)

    return jnp.concatenate([one(layer) for layer in joined], -1)


def move(
    picture: Float[AnyArray, 'n h w 3'],
    enlarged: Float[AnyArray, 'b H W 6'],
    window: Float[AnyArray, '3'],
    region: Region,
    share: Float[AnyArray, 'b H W 1'] | None = None,
    cubic: bool = True,
) -> tuple[Float[AnyArray, 'b H W 3'], Float[AnyArray, 'b H W 1']]:
    """Warp a region of a picture, by a share of the flow, and tell (0..1) what lay in it."""
    flow = enlarged[..., :2] * (window[2] / 2)
    if share is not None:
        flow = flow * share
    corner = np.array([[[[region.left, region.top]]]])
    grid = images.pixel_grid(region.height, region.width)[None]
    return _sampled(picture, grid + corner + flow, cubic)


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
    mask, inside = enlarged[..., 2:3], 1.0
    if share is not None:
        # Beyond the picture's end there is nothing to keep but its last pixels: paint is better.
        inside = _inside(window, region) * jnp.maximum(share, 1 - shown)
    mask = 1 - inside * (1 - mask * shown)
    result = mask * warped + (1 - mask) * enlarged[..., 3:]
    inside = jnp.broadcast_to(inside, (*result.shape[:3], 1))
    scale, corner = layers.mask.shape[1] / window[2], _corner(window, region)
    frames = {name: _part_frame(part.frame, scale, corner) for name, part in layers.parts.items()}
    return _with_parts(result, layers.parts, frames, inside)


def _corner(window, region: Region) -> Float[AnyArray, '2']:
    """Find the region's corner in pixels of the picture from the crop's."""
    return jnp.array([region.left, region.top], window.dtype) - window[:2]


def _between(layer, scale, corner, size: tuple[int, int]) -> Float[AnyArray, 'b H W c']:
    """Sample a layer bilinearly on a region's pixels, by pairs of rows, then of columns.

    A product with weights, as `images.upright_sample`, takes all rows and columns for each.
    """

    def pairs(x, count: int, start):
        """Mix neighbouring entries of axis 1."""
        place = jnp.clip((jnp.arange(count) + 0.5 + start) * scale - 0.5, 0, x.shape[1] - 1)
        first = jnp.minimum(jnp.floor(place).astype(jnp.int32), x.shape[1] - 2)
        share = (place - first)[None, :, None, None]
        return jnp.take(x, first, 1) * (1 - share) + jnp.take(x, first + 1, 1) * share

    rows = pairs(layer, size[0], corner[1]).swapaxes(1, 2)
    return pairs(rows, size[1], corner[0]).swapaxes(1, 2)


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
    return warped, _shown(at, (picture.shape[1], picture.shape[2]))


def _shown(at, size: tuple[int, int]) -> Float[AnyArray, 'b H W 1']:
    """Tell (0..1) whether places lie in a picture of a size [h, w].

    1 up to the border pixel's centre, which has all of its value, 0 from one pixel further.
    """
    across = jnp.clip(jnp.minimum(at[..., 0], size[1] - at[..., 0]) + 0.5, 0, 1)
    down = jnp.clip(jnp.minimum(at[..., 1], size[0] - at[..., 1]) + 0.5, 0, 1)
    return (across * down)[..., None]


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
    linear = exact.einsum('bij,bjk->bik', back[..., :2], out[..., :2])
    return jnp.concatenate([linear, shift[:, 0, :, None]], -1)


def _with_parts(result, parts: dict[str, Part], frames: dict, inside) -> Float[AnyArray, 'b H W 3']:
    """Lay parts over a region; of a large one each within a window, where all are small enough."""
    size = result.shape[1:3]
    small = int(WINDOW * size[0]), int(WINDOW * size[1])

    def laid(result, window: tuple[int, int]):
        def one(frame):
            result, parts, frames, inside = frame
            for name, part in sorted(parts.items()):
                result = _laid(result, part, frames[name], inside, window)
            return result

        # One frame after another: windows of many at once are gathered and scattered (12.3 instead
        # of 13.9 ms for all of a 512 x 512 frame on two cores).
        each = jax.vmap(one) if window == size else functools.partial(jax.lax.map, one)
        return each((result, parts, frames, inside))

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
    frame = frame.at[:, 2].add(exact.einsum('ij,j->i', frame[:, :2], start.astype(frame.dtype)))
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
