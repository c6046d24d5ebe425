"""Effects of a camera, a file and a scan on a track's images: blur, noise, colour, compression.

Landmarks, depth and segmentation stay as they were: blur spreads pixels, nothing moves them.
"""

from typing import NamedTuple

import numpy as np
import simplejpeg
from jaxtyping import Float, UInt8
from scipy import fft, ndimage

from reenact_jax.data_prep.heads.variety import Variety, drawn

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
_RGB = np.linalg.inv(_YCC).astype(np.float32)
_SEPIA = np.array([1.07, 0.94, 0.74], np.float32)


class Camera(NamedTuple):
    """The settings of a track's camera. Lengths in pixels of a picture of 256."""

    seed: int
    contrast: float  # slope of the response about mid grey
    saturation: float
    cast: Float[np.ndarray, ' 3']  # factors
    tone: str  # '', 'grey' or 'sepia'
    painted: int  # radius of the brush; 0: a photograph
    defocus: float  # standard deviation
    coarse: float  # the picture was made at 1 / coarse of its size
    shake: float  # longest path of a point during the exposure
    noise: float  # standard deviation at mid grey, 8-bit levels
    jpeg: int  # quality; 0: none
    video: float  # step of the quantiser of a video codec, 8-bit levels; 0: none


def camera(seed: int, variety: Variety = Variety()) -> Camera:
    """Draw the camera of a scene from its seed."""
    have = lambda kind: drawn(seed, getattr(variety, kind), kind)  # noqa: E731
    rng = np.random.default_rng([seed, 13])
    cast, soft, shake = have('colour_casts'), have('defocus'), have('motion_blur')
    noise, packed, painted = have('sensor_noise'), have('compression'), have('painted')
    video = packed is not None and packed.random() < 0.5
    return Camera(
        seed=seed,
        contrast=float(rng.uniform(0.9, 1.25)),
        saturation=float(rng.uniform(0.7, 1.3)),
        cast=_cast(cast),
        tone='grey' if have('greyscale') else 'sepia' if have('sepia') else '',
        painted=0 if painted is None else int(painted.integers(2, 5)),
        defocus=float(rng.uniform(0, 0.5) if soft is None else soft.uniform(0.5, 1.6)),
        coarse=1.0 if soft is None else float(soft.uniform(1, 2.2)),
        shake=0.0 if shake is None else float(shake.uniform(2, 8)),
        noise=0.0 if noise is None else float(1 + 8 * noise.random() ** 2),
        jpeg=0 if packed is None or video else int(packed.integers(25, 85)),
        video=float(packed.uniform(6, 26)) if video else 0.0,
    )


def _cast(rng) -> Float[np.ndarray, ' 3']:
    if rng is None:
        return np.ones(3, np.float32)
    return np.exp(np.clip(rng.normal(size=3), -2, 2) * [0.10, 0.04, 0.13]).astype(np.float32)


def develop(
    image: Float[np.ndarray, 'h w 3'], camera: Camera, frame: int
) -> UInt8[np.ndarray, 'h w 3']:
    """Turn a frame into the image that the camera hands over.

    Args:
      image: display values 0..1; camera: of the track; frame: its number, the seed of what differs
        from frame to frame.
    """
    rng = np.random.default_rng([camera.seed, frame, 5])
    scale = image.shape[0] / 256
    if camera.painted:
        image = _brushed(image, max(1, round(camera.painted * scale)))
    image = _toned(image, camera)
    if camera.defocus > 0.15:  # less is no different
        image = _softened(image, camera.defocus * scale, camera.coarse)
    if camera.shake:
        image = _shaken(image, camera.shake * scale, rng)
    if camera.noise:
        image = _noisy(image, camera.noise / 255, rng)
    image = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    if camera.jpeg:
        image = simplejpeg.decode_jpeg(
            simplejpeg.encode_jpeg(np.ascontiguousarray(image), camera.jpeg, colorsubsampling='420')
        )
    return _coded(image, camera.video) if camera.video else image


def _toned(image, camera: Camera):
    """Change contrast, saturation and cast; then grey and sepia."""
    image = image * camera.cast
    grey = (image @ _GREY)[..., None]
    saturation = 0.0 if camera.tone else camera.saturation
    image = grey + saturation * (image - grey)
    if camera.tone == 'sepia':
        image = image * _SEPIA
    x = np.clip(image, 0, 1)
    curve = x * x * (3 - 2 * x)  # slope 1.5 at mid grey
    return x + (camera.contrast - 1) / 0.5 * (curve - x)


def _softened(image, sigma: float, coarse: float):
    """Put the image out of focus and lower its resolution."""
    image = ndimage.gaussian_filter(image, (sigma, sigma, 0), truncate=2.5)
    if coarse < 1.15:
        return image
    h, w = image.shape[:2]
    low = (round(h / coarse), round(w / coarse))
    return _resized(_resized(image, low), (h, w))


def _resized(image, shape):
    """Resize bilinearly, with aligned pixel centres."""
    for axis, n in enumerate(shape):
        have = image.shape[axis]
        at = np.clip((np.arange(n) + 0.5) * have / n - 0.5, 0, have - 1)
        low = np.minimum(at.astype(int), have - 2)
        part = (at - low).astype(np.float32).reshape([-1 if k == axis else 1 for k in range(3)])
        image = np.take(image, low, axis) * (1 - part) + np.take(image, low + 1, axis) * part
    return image


def _shaken(image, longest: float, rng):
    """Blur along a line, as by motion during exposure; most frames are steadier than the worst."""
    length, angle = longest * rng.random() ** 2, rng.uniform(0, np.pi)
    n = max(2, int(np.ceil(length)) + 1)
    total = np.zeros_like(image)
    for t in np.linspace(-0.5, 0.5, n):
        dx, dy = t * length * np.cos(angle), t * length * np.sin(angle)
        total += ndimage.shift(image, (dy, dx, 0), order=1, mode='nearest', prefilter=False)
    return total / n


def _noisy(image, sigma: float, rng):
    """Add noise that grows with the light, is mostly shared by the channels and a little coarse."""
    luma = rng.standard_normal((*image.shape[:2], 1), np.float32)
    chroma = ndimage.uniform_filter(rng.standard_normal(image.shape, np.float32), (2, 2, 0))
    strength = sigma * (0.5 + np.sqrt(np.clip(image, 0, 1)) * 0.7)
    return image + strength * (0.8 * luma + 0.8 * chroma)


def _brushed(image, radius: int):
    """Apply Kuwahara's filter (1976): each pixel takes the mean of its calmest nearby square."""
    side, half = radius + 1, (radius + 1) // 2
    image = np.pad(image, ((side, side), (side, side), (0, 0)), mode='edge')
    mean = ndimage.uniform_filter(image, (side, side, 0))
    spread = ndimage.uniform_filter(image * image, (side, side, 0)) - mean * mean
    spread = spread.sum(-1)
    best, calm = mean, np.full(spread.shape, np.inf, np.float32)
    for dy in (-half, half):
        for dx in (-half, half):
            there = np.roll(spread, (dy, dx), (0, 1))
            nearer = there < calm
            calm = np.where(nearer, there, calm)
            best = np.where(nearer[..., None], np.roll(mean, (dy, dx), (0, 1)), best)
    best = best[side:-side, side:-side]
    levels = 18.0  # few tones, softly
    stepped = (np.floor(best * levels) + 0.5) / levels
    return 0.65 * best + 0.35 * stepped


def _coded(image, step: float):
    """Imitate a video codec: colour at half size, 8 x 8 cosines cut to steps, edges smoothed."""
    ycc = image.astype(np.float32) @ _YCC.T
    luma = _quantised(ycc[..., 0], step)
    colour = [_quantised(ycc[..., k], 1.3 * step, 2) for k in (1, 2)]
    rgb = np.stack([luma, *colour], -1) @ _RGB.T
    return np.clip(rgb + 0.5, 0, 255).astype(np.uint8)


def _quantised(plane, step: float, shrink: int = 1):
    """Quantise flatly with a dead zone, as in H.264, and smooth at the blocks' edges."""
    h, w = plane.shape
    side = 8 * shrink
    full = np.pad(plane, ((0, -h % side), (0, -w % side)), mode='edge')
    if shrink > 1:
        full = full.reshape(full.shape[0] // shrink, shrink, -1, shrink).mean((1, 3))
    rows, cols = full.shape
    blocks = full.reshape(rows // 8, 8, cols // 8, 8).transpose(0, 2, 1, 3)
    waves = fft.dctn(blocks, axes=(2, 3), norm='ortho') / step
    waves = np.sign(waves) * np.floor(np.abs(waves) + 0.34) * step
    full = fft.idctn(waves, axes=(2, 3), norm='ortho').transpose(0, 2, 1, 3).reshape(rows, cols)
    for axis in (0, 1):
        full = _deblocked(full, step, axis)
    if shrink > 1:
        full = np.repeat(np.repeat(full, shrink, 0), shrink, 1)
    return full[:h, :w]


def _deblocked(plane, step: float, axis: int):
    """Spread small steps between blocks over two pixels on each side."""
    plane = np.moveaxis(plane, axis, 0).copy()
    at = np.arange(8, len(plane), 8)
    if len(at):
        jump = plane[at] - plane[at - 1]
        small = np.where(np.abs(jump) < 1.2 * step, jump, 0)
        for offset, share in ((-2, 0.125), (-1, 0.375), (0, -0.375), (1, -0.125)):
            plane[at + offset] += share * small
    return np.moveaxis(plane, 0, axis)
