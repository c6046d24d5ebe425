"""AAN's generator (its section "Methodology"): from a source and driving landmarks to an image."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.geometry import flows, folds, images, layouts, unseen
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry.composition import compose
from reenact_jax.geometry.layers import Layers, Part
from reenact_jax.geometry.layouts import INNER_MOUTH, local_points
from reenact_jax.nets.modulation import condition_of
from reenact_jax.systems.aan import palette
from reenact_jax.systems.aan.hparams import Hparams, part_side, parts_of

FIELD = 32  # side of the grid on which `facing` is spread
BORDER = 0.15  # band at a part's border in which its opacity falls to 0, in part sides (ours)


class Drawn(NamedTuple):
    """The generator's result for driving landmarks."""

    image: Float[Array, 'b h w 3']
    flow: Float[Array, 'b g g 2']  # normalised, of any side
    parts: dict[str, Float[Array, 'b s s 3']]  # what the local nets draw, by name
    layers: Layers | None  # what `image` is composed of, with `mask`


def encode(hp: Hparams, apply, image: Float[Array, 'b h w 3'], points: Float[Array, 'b n _']):
    """Compute what the source alone gives: Theta, F_a, S_s and the source's part crops.

    Args:
      points: landmarks, pixels of the image; with `occlusion` a third column is depth, 0: unknown.
    """
    side, places = image.shape[1], points
    points = points[..., :2]
    features, theta = apply('E_a', image)
    if condition_of(hp.modulation) == 'image':
        theta = [image] * len(hp.fusion)
    appearance = {
        'F_a': features,
        'theta': theta,
        'S_s': heatmaps(hp, points, side, side // hp.flow_stride),
        'image': image,
    }
    if hp.prior:
        appearance['points'] = points
    if hp.occlusion:
        appearance['facing'] = _facing(places)
    if hp.mouth_palette:
        appearance['palette'] = palette.of_source(image, points)
    if hp.local_net:
        crops = {part: crop(hp, image, points, part) for part in parts_of(hp)}
        appearance['parts'] = {part: jnp.concatenate(crops[part][:2], -1) for part in crops}
    return appearance


def draw(
    hp: Hparams, apply, appearance: dict, points: Float[Array, 'b n _'], grid: int | None = None
) -> Drawn:
    """Draw the source with driving landmarks; one source (leading axis 1) serves b frames.

    Args:
      appearance: the result of `encode`.
      points: as of `encode`.
      grid: side of the flow with `prior`; None: the image's.
    """
    source, frames = appearance['image'], points.shape[0]
    side, places = source.shape[1], points
    points = points[..., :2]

    def spread(x):
        return jnp.broadcast_to(x, (frames, *x.shape[1:]))

    s_d = heatmaps(hp, points, side, side // hp.flow_stride)
    flow = apply('FEN', spread(appearance['S_s']), s_d)
    if hp.prior:
        grid = grid or side
        openings = tuple(folds.of_layout(layouts.of_count(points.shape[1])).values())
        start = spread(appearance['points'])
        prior = flows.landmark_flow(start, points, side, grid, folds=openings)
        if hp.flow_bound:
            flow = hp.flow_bound * jnp.tanh(flow / hp.flow_bound)
        flow = prior + images.resize(flow, grid)
    features = spread(appearance['F_a'])
    features = images.warp(features, images.resize(flow, features.shape[1]))
    warped: Any = images.warp(spread(source), images.resize(flow, side)) if hp.mask else None
    shown = [_shown(appearance, places)] if hp.occlusion else []
    doubt = [_doubt(appearance, points, prior, *shown)] if hp.unseen else []
    parts, canvas = {}, None
    if hp.local_net:
        parts = _local(hp, apply, appearance, points, warped, *doubt)
        canvas = jnp.concatenate(
            [images.part_paste(p.image, p.frame, side) for p in parts.values()], -1
        )
    drawn = {name: part.image for name, part in parts.items()}
    if not hp.mask:
        return Drawn(apply('G_f', features, appearance['theta'], canvas), flow, drawn, None)
    seen = jnp.concatenate([warped, _there(flow, side), *shown, *doubt], -1)
    paint, mask = apply('G_f', features, appearance['theta'], canvas, seen)
    for share in doubt:
        mask = 1 - (1 - mask) * share
    layers = Layers(flow, mask, paint, parts if hp.part_masks else {})
    return Drawn(compose(layers, source, warped), flow, drawn, layers)


def _shown(appearance: dict, points: Float[Array, 'b n _']) -> Float[Array, 'b h w 2']:
    """Compute how squarely the source and the driver show every place (`flows.facing`)."""
    facing, side = _facing(points), appearance['image'].shape[1]
    # Of a driver without depth nothing is known, and the source's values alone would mislead.
    known = facing.min(1, keepdims=True) < 1
    values = jnp.stack([jnp.where(known, appearance['facing'], 1.0), facing], -1)
    return images.resize(flows.landmark_field(values, points[..., :2], side, FIELD), side)


def _doubt(appearance: dict, points, prior, shown=None) -> Float[Array, 'b h w 1']:
    """Compute where the source may not show what is asked for: 0..1 (unseen.py)."""
    side = appearance['image'].shape[1]
    doubt = images.resize(unseen.stretched(prior), side)
    if shown is not None:
        doubt = jnp.maximum(doubt, unseen.turned_away(shown[..., :1], shown[..., 1:]))
    pixels = jnp.asarray(images.pixel_grid(side, side).reshape(1, -1, 2))
    for name, fold in folds.of_layout(layouts.of_count(points.shape[1])).items():
        gap = _opened(appearance, pixels, points, fold, 1.0, name == 'mouth')
        doubt = jnp.maximum(doubt, gap.reshape(-1, side, side, 1))
    return doubt


def _opened(appearance: dict, pixels, points, fold, width, mouth: bool):
    """Call `unseen.opened` for b frames of one source or of b sources."""
    source = jnp.broadcast_to(appearance['points'], points.shape)
    width = jnp.broadcast_to(width, points.shape[:1])
    ends = unseen.PARTED if mouth else unseen.OPENED
    return unseen.opened(pixels, source, points, fold, width, ends)


def _local(
    hp: Hparams, apply, appearance: dict, points, warped, doubt: Any = None
) -> dict[str, Part]:
    """Draw the local regions; opaque without `part_masks`."""
    side, inputs, frames, gaps, doubts = appearance['image'].shape[1], {}, {}, {}, {}
    for name in parts_of(hp):  # not in the order of a dict, which is lost on the way
        source_crop = appearance['parts'][name]
        driving_crop, maps, frames[name] = crop(hp, warped, points, name, side)
        source_crop = jnp.broadcast_to(source_crop, (points.shape[0], *source_crop.shape[1:]))
        channels = [source_crop, maps, *([driving_crop] if hp.part_masks else [])]
        if hp.unseen:
            gaps[name] = _gap(hp, appearance, points, name, frames[name])
            doubts[name] = images.part_crop(doubt, frames[name], gaps[name].shape[1])
            channels += [gaps[name], doubts[name]]
        inputs[name] = jnp.concatenate(channels, -1)
    outputs = apply('G_local', inputs)
    if not hp.part_masks:
        opaque = jnp.ones((1, 1, 1, 1))
        return {name: Part(outputs[name], opaque, frames[name]) for name in frames}
    border, parts = _border(part_side(hp, side)), {}
    for name, frame in frames.items():
        image, alpha = outputs[name][..., :3], outputs[name][..., 3:]
        if hp.mouth_palette and name == INNER_MOUTH:
            start = _form(image.shape[1], points, frame) if hp.mouth_form else None
            image = palette.mixed(image, appearance['palette'], start)
        if hp.unseen:
            alpha = jnp.maximum(alpha * doubts[name], gaps[name])
        parts[name] = Part(image, alpha * border, frame)
    return parts


def _gap(hp: Hparams, appearance: dict, points, part: str, frame) -> Float[Array, 'b s s 1']:
    """Find what a part must paint, whatever its mask: an opened mouth or eye, in its frame."""
    size = part_side(hp, appearance['image'].shape[1])
    openings = folds.of_layout(layouts.of_count(points.shape[1]))
    if hp.inner_mouth:
        openings[INNER_MOUTH] = openings.pop('mouth')
    if part not in openings:
        return jnp.zeros((points.shape[0], size, size, 1))
    pixels = _places(size, frame)
    gap = _opened(
        appearance, pixels, points, openings[part], frame[:, 0, 0], part in ('mouth', INNER_MOUTH)
    )
    return gap.reshape(-1, size, size, 1)


def _form(size: int, points, frame) -> Float[Array, 'b s s 3']:
    """Call `palette.form` on the pixels of a part of `size`."""
    mouth = folds.of_layout(layouts.of_count(points.shape[1]))['mouth']
    return palette.form(_places(size, frame), points, mouth).reshape(-1, size, size, 3)


def _places(size: int, frame: Float[Array, 'b 2 3']) -> Float[Array, 'b p 2']:
    """Find the pixels of a part of `size`, row by row, in the crop."""
    pixels = jnp.asarray(images.pixel_grid(size, size).reshape(1, -1, 2))
    return lm.transform(jnp.broadcast_to(pixels, (frame.shape[0], *pixels.shape[1:])), frame)


def _border(size: int) -> Float[Array, '1 s s 1']:
    """Make the opacity of a part's border: 1 inside, 0 at the border."""
    place = (jnp.arange(size) + 0.5) / size
    ramp = jnp.clip(jnp.minimum(place, 1 - place) / BORDER, 0, 1)
    return (ramp[:, None] * ramp[None])[None, ..., None]


def _facing(points: Float[Array, 'b n _']) -> Float[Array, 'b n']:
    """Compute `flows.facing` of landmarks whose third column, where there is one, is depth."""
    jaw = layouts.of_count(points.shape[1]).parts['jaw']
    if points.shape[-1] == 2:
        return jnp.ones(points.shape[:2])
    return flows.facing(points, (jaw[0], jaw[-1]))


def _there(flow: Float[Array, 'b g g 2'], side: int) -> Float[Array, 'b h w 1']:
    """Return 1 where the flow leads to a place inside the source, 0 outside."""
    where = images.pixel_grid(side, side)[None] * (2 / side) - 1 + images.resize(flow, side)
    return (jnp.abs(where).max(-1, keepdims=True) <= 1).astype(flow.dtype)


def heatmaps(hp: Hparams, points: Float[Array, 'b n 2'], side: int, size: int):
    """Draw heatmaps of `size` for points in pixels of `side`; sigma is in pixels at 256."""
    return lm.heatmaps(points * (size / side), size, hp.sigma * size / 256)


def crop(
    hp: Hparams, image, points: Float[Array, 'b n 2'], part: str, side: int | None = None
) -> tuple[Any, Array, Array]:
    """Cut one part out: (crop or None without an image, its heatmaps, its frame)."""
    side = image.shape[1] if side is None else side
    size = part_side(hp, side)
    part_points = points[:, jnp.array(local_points(layouts.of_count(points.shape[1]), part))]
    frame = images.part_frame(part_points, size, hp.part_margin)
    inside = lm.transform(part_points, lm.invert(frame))
    maps = lm.heatmaps(inside, size, hp.sigma * side / 256)
    cut = None if image is None else images.part_crop(image, frame, size)
    return cut, maps, frame
