"""The composition of layers (layers.py) with the picture that they move.

In steps, functions of their own: join, enlarge, move, blend (blending.py). `compose_onto` is all of
them; who draws many frames compiles each step alone, because XLA, given all at once on a CPU,
computes some of them several times.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.geometry import images
from reenact_jax.geometry.blending import blend, corner_of, frame_of
from reenact_jax.geometry.layers import Layers, Reach, Region

LARGE = 256  # side of a region, pixels, from which layers are enlarged by pairs of rows


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
    corner, size = corner_of(window, region), (region.height, region.width)

    def one(layer):
        scale = layer.shape[1] / window[2]
        if min(size) >= LARGE:
            return _between(layer, scale, corner, size)
        frame = frame_of(scale, corner, layer.shape[0])
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
