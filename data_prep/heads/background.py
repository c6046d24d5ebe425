"""Backgrounds out of focus: walls, rooms, lights at night, foliage, clutter, pictures."""

import functools

import numpy as np
from jaxtyping import Float

from reenact_jax.data_prep.heads.surface import step
from reenact_jax.data_prep.heads.variety import Variety, drawn

# In scikit-image's package itself, and without people.
PICTURES = ('brick', 'chelsea', 'coffee', 'grass', 'gravel', 'hubble_deep_field', 'rocket')


def background(
    seed: int, size: int, variety: Variety = Variety()
) -> Float[np.ndarray, 'size size 3']:
    """Draw linear colours behind the head, out of focus, for one track."""
    rng = np.random.default_rng([seed, 4])
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    kind = rng.choice(5, p=[0.25, 0.3, 0.15, 0.15, 0.15])
    image = (_wall, _room, _lights, _leaves, _clutter)[kind](x, y, rng)
    blur = rng.uniform(0.004, 0.03) * (0.6 if kind in (1, 4) else 1.0)
    pictures = drawn(seed, variety.pictures, 'pictures')
    if pictures is not None:
        image, blur = _picture(size, pictures), pictures.uniform(0.0, 0.02)
    image = _soften(image.astype(np.float32), blur * size) if blur * size > 0.5 else image
    grain = 1 + 0.015 * rng.normal(size=(1, 1, 3))
    return np.clip(image * grain * np.exp(0.2 * rng.normal()), 0.003, 1.5).astype(np.float32)


def _picture(size: int, rng):
    """Cut a random window out of a picture of scikit-image without people; turn and tint it."""
    image = _stock(str(rng.choice(PICTURES)))
    h, w = image.shape[:2]
    side = rng.uniform(0.35, 1.0) * min(h, w)
    left, top = rng.uniform(0, w - side), rng.uniform(0, h - side)
    at = (np.arange(size) + 0.5) / size * side
    rows = np.clip(np.floor(top + at).astype(int), 0, h - 1)
    columns = np.clip(np.floor(left + at).astype(int), 0, w - 1)
    image = image[rows][:, columns]
    if rng.random() < 0.5:
        image = image[:, ::-1]
    grey = image.mean(-1, keepdims=True)
    image = grey + rng.uniform(0.3, 1.1) * (image - grey)
    return np.clip(image * _tone(rng, 0.5, 1.1, 0.15), 0, 1.2)


@functools.lru_cache
def _stock(name: str) -> np.ndarray:
    """Load one of scikit-image's pictures in linear colours."""
    from skimage import data  # not needed where no background is drawn

    image = np.asarray(getattr(data, name)(), np.float32) / 255
    image = np.stack([image] * 3, -1) if image.ndim == 2 else image[..., :3]
    return image**2.2


def _clutter(x, y, rng):
    """Draw overlapping things of all sizes: boxes, discs and stripes, brighter and darker."""
    image = _wall(x, y, rng)
    for _ in range(rng.integers(15, 60)):
        cx, cy, turn = rng.random(), rng.random(), rng.uniform(0, 3.15)
        w, h = rng.uniform(0.01, 0.2, 2)
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        inside = (
            np.hypot(u / w, v / h) < 1 if rng.random() < 0.4 else (np.abs(u) < w) & (np.abs(v) < h)
        )
        shade = 1 + rng.uniform(-0.5, 0.5) * (v / h)
        if rng.random() < 0.2:
            shade = shade * np.where(np.mod(u / w * rng.integers(2, 6), 1) < 0.5, 1.0, 0.5)
        colour = _tone(rng, 0.02, 0.8, 0.4)
        image = np.where(inside[..., None], colour * np.clip(shade, 0.2, 2)[..., None], image)
    return image


def _tone(rng, low=0.05, high=0.6, colourful=0.35):
    value = rng.uniform(low, high)
    tint = np.exp(colourful * rng.normal(size=3) * np.array([1, 0.5, 1]))
    return np.clip(value * tint / tint.mean(), 0.01, 1.0)


def _ramp(t, a, b):
    return a + (b - a) * t[..., None]


def _wall(x, y, rng):
    """Draw a lit wall with a soft gradient and perhaps a corner."""
    a, b = _tone(rng, 0.15, 0.7, 0.2), _tone(rng, 0.08, 0.45, 0.2)
    angle = rng.uniform(0, 6.28)
    t = np.clip(0.5 + 0.8 * ((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)), 0, 1)
    image = _ramp(t, a, b)
    if rng.random() < 0.5:
        edge = rng.uniform(0.1, 0.9) + 0.1 * rng.normal() * (y - 0.5)
        image = image * (1 - 0.3 * step(-0.01, 0.01, x - edge))[..., None]
    return image


def _room(x, y, rng):
    """Draw a wall with a window, a shelf or pictures, and furniture below."""
    image = _wall(x, y, rng)
    if rng.random() < 0.6:
        cx, w = (
            rng.choice([rng.uniform(-0.05, 0.25), rng.uniform(0.75, 1.05)]),
            rng.uniform(0.1, 0.25),
        )
        pane = (np.abs(x - cx) < w) & (y < rng.uniform(0.45, 0.8)) & (y > 0.03)
        bars = (np.abs(np.mod(x - cx, w) - w / 2) < 0.012) | (np.abs(np.mod(y, 0.3) - 0.15) < 0.01)
        image = np.where((pane & ~bars)[..., None], _tone(rng, 0.7, 1.2, 0.12), image)
    for _ in range(rng.integers(3, 12)):
        cx, cy = rng.random(2)
        w, h = rng.uniform(0.02, 0.14), rng.uniform(0.03, 0.16)
        box = (np.abs(x - cx) < w) & (np.abs(y - cy) < h)
        image = np.where(box[..., None], _tone(rng, 0.04, 0.5, 0.45), image)
    floor = rng.uniform(0.7, 1.1)
    return image * (1 - 0.4 * step(floor - 0.02, floor + 0.02, y))[..., None]


def _lights(x, y, rng):
    """Draw darkness with discs of light."""
    image = _ramp(y, _tone(rng, 0.02, 0.12), _tone(rng, 0.01, 0.08))
    for _ in range(rng.integers(14, 40)):
        cx, cy, r = rng.random(), rng.random() * 0.9, rng.uniform(0.015, 0.06)
        d = np.hypot(x - cx, y - cy)
        disc = step(r, r * 0.9, d) * (0.8 + 0.2 * (d / r))
        image = image + disc[..., None] * _tone(rng, 0.05, 0.5, 0.6)
    return image


def _leaves(x, y, rng):
    """Draw greenery or stone: blotches at several scales under a brighter sky."""
    sky, green = (
        _tone(rng, 0.6, 1.0, 0.1),
        _tone(rng, 0.08, 0.25, 0.15) * np.array([0.9, 1.15, 0.6]),
    )
    image = _ramp(step(0.0, rng.uniform(0.2, 0.6), y), sky, green)
    for _ in range(80):
        cx, cy, r = rng.random(), rng.uniform(0.05, 1.1), rng.uniform(0.02, 0.10)
        blob = np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / r**2))
        image = image * (1 + blob * rng.uniform(-0.5, 0.7))[..., None]
    return image


def _soften(image, sigma: float):
    """Blur with three boxes along each axis: close to a Gaussian of `sigma` samples."""
    radius = max(1, round(sigma))
    for axis in (0, 1):
        for _ in range(3):
            pad = [(0, 0)] * 3
            pad[axis] = (radius + 1, radius)
            total = np.cumsum(np.pad(image, pad, mode='edge'), axis)
            n = image.shape[axis]
            high = np.take(total, np.arange(2 * radius + 1, 2 * radius + 1 + n), axis)
            image = (high - np.take(total, np.arange(n), axis)) / (2 * radius + 1)
    return image
