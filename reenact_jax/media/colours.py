"""Colours of video frames as sRGB: matrices, ranges, wide gamuts, and HDR (PQ and HLG).

What a file does not say is taken as it is shown: BT.709 for HD, BT.601 for what is smaller, sRGB's
curve for SDR. FFmpeg's scaler does the matrices, with rounding; curves and gamuts are done here.

HDR: what is up to reference white keeps its look, highlights are bent into the uppermost part of
the range. Reference white is 203 cd/m2 (ITU-R BT.2408); where the first frame is nowhere brighter
than SDR is, and the film says nothing of a display that it was mastered on, it is SDR's 100 cd/m2.
"""

import functools
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

# Numbers of ISO 23091-2.
_BT709, _BT601, _BT2020 = 1, 6, 9  # primaries and matrices
_P3 = (11, 12)  # primaries of DCI and Display P3
_PQ, _HLG = 16, 18  # transfer characteristics
_LIMITED = 1  # FFmpeg's number of the range 16..235
_HD = 720, 1280  # smallest height or width that is taken for BT.709
# Linear light of other primaries to BT.709's (Lindbloom; white points are D65).
_FROM_2020 = (1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)
_FROM_P3 = (1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)
_TO_709 = {_BT2020: _FROM_2020, **{number: _FROM_P3 for number in _P3}}
_WHITE, _SDR_WHITE = 203.0, 100.0  # cd/m2
_BRIGHT = 120.0  # cd/m2: with more than this a film is brighter than SDR is
_MASTERED = ('MASTERING_DISPLAY_METADATA', 'CONTENT_LIGHT_LEVEL')  # what graded HDR carries
_KNEE = 0.95  # share of reference white from which highlights are bent
_PEAK = 1000.0  # cd/m2 of HLG's nominal display; what is brighter becomes white


class Converter:
    """A converter of the frames of one film to RGB of sRGB, 8 bits."""

    def __init__(self):
        """Begin before the first frame, which decides on reference white."""
        self._white: float | None = None

    def __call__(self, frame: Any, width: int, height: int) -> UInt8[np.ndarray, 'h w 3']:
        """Convert a frame.

        Args:
          frame: PyAV's.
          width: of the result; pixels that are not square are made so.
          height: of the result.
        """
        trc, primaries = int(frame.color_trc), int(frame.color_primaries)
        if trc in (_PQ, _HLG):
            rgb = _scaled(frame, width, height, 'rgb48le')
            return self._from_hdr(frame, rgb, trc, primaries)
        if _has_alpha(frame):
            return _over_white(_scaled(frame, width, height, 'rgba'))
        rgb = _scaled(frame, width, height, 'rgb24')
        if frame.format.name.startswith('gray') and int(frame.color_range) == _LIMITED:
            return _expanded()[rgb]
        if primaries in _TO_709 and not _is_rgb(frame):
            return _encode(_linear()[rgb] @ _matrix(primaries))
        return rgb

    def _from_hdr(self, frame, rgb, trc: int, primaries: int) -> UInt8[np.ndarray, 'h w 3']:
        light = _pq()[rgb] if trc == _PQ else _hlg(rgb)
        if self._white is None:
            dark = np.percentile(light.max(-1), 99.5) <= _BRIGHT
            mastered = any(frame.side_data.get(name) is not None for name in _MASTERED)
            self._white = _SDR_WHITE if dark and not mastered else _WHITE
        light = light @ _matrix(primaries if primaries in _TO_709 else _BT2020)
        light *= np.float32(1 / self._white)
        most = light.max(-1, keepdims=True)
        return _encode(light * _bent(most, _PEAK / self._white))


def _scaled(frame, width: int, height: int, form: str) -> np.ndarray:
    """Convert to RGB of full range with FFmpeg, rounding to the nearest."""
    interpolation = rounding()
    spaces: dict[str, Any] = {}
    if not _is_rgb(frame):
        spaces['src_colorspace'] = _space(frame)
        full = frame.format.name.startswith('yuvj') or int(frame.color_range) == 2
        spaces['src_color_range'] = 'JPEG' if full else 'MPEG'
        spaces['dst_color_range'] = 'JPEG'
    made = frame.reformat(
        width=width, height=height, format=form, interpolation=interpolation, threads=1, **spaces
    )
    return made.to_ndarray()


@functools.cache
def rounding() -> Any:
    """Return FFmpeg's way of scaling: bicubic, chroma at full size, results rounded."""
    from av.video.reformatter import Interpolation as Way

    return Way.BICUBIC | Way.ACCURATE_RND | Way.FULL_CHR_H_INT | Way.FULL_CHR_H_INP


def _has_alpha(frame) -> bool:
    return frame.format.name.startswith(('yuva', 'rgba', 'argb', 'bgra', 'abgr', 'gbrap', 'ya'))


def _over_white(rgba: UInt8[np.ndarray, 'h w 4']) -> UInt8[np.ndarray, 'h w 3']:
    """Lay a frame over white; one without any opaque pixel has a channel that nobody filled."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    if not alpha.any() or alpha.min() == 255:
        return np.ascontiguousarray(rgb)
    share = alpha.astype(np.float32) / 255
    return (rgb * share + 255 * (1 - share) + 0.5).astype(np.uint8)


@functools.cache
def _expanded() -> UInt8[np.ndarray, ' 256']:
    """Return full range by limited range, which FFmpeg's scaler leaves in grey frames."""
    return np.clip((np.arange(256) - 16) * (255 / 219) + 0.5, 0, 255).astype(np.uint8)


def _is_rgb(frame) -> bool:
    return bool(frame.format.is_rgb) or frame.format.name.startswith(('gray', 'pal', 'mono'))


def _space(frame) -> int:
    """Return the number of the matrix; for FFmpeg's scaler, 5 is BT.601."""
    told = int(frame.colorspace)
    if told in (1, 4, 7, 9):
        return told
    if told in (5, 6):
        return 5
    if told == 10:
        return 9
    if int(frame.color_primaries) == _BT2020:
        return 9
    return 1 if frame.height >= _HD[0] or frame.width >= _HD[1] else 5


@functools.cache
def _matrix(primaries: int) -> Float[np.ndarray, '3 3']:
    """Return the matrix that takes rows of linear light to BT.709's primaries."""
    return np.array(_TO_709[primaries], np.float32).T


@functools.cache
def _linear() -> Float[np.ndarray, ' 256']:
    """Return sRGB's curve: linear light 0..1 of a value."""
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype('f4')


@functools.cache
def _codes() -> UInt8[np.ndarray, ' _']:
    """Return values by linear light in steps of 1/65535."""
    light = np.arange(65536) / 65535
    value = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * value + 0.5).astype(np.uint8)


def _encode(light: Float[np.ndarray, 'h w 3']) -> UInt8[np.ndarray, 'h w 3']:
    """Turn linear light 0..1 into values of sRGB."""
    return _codes()[(np.clip(light, 0, 1) * 65535 + 0.5).astype(np.uint16)]


@functools.cache
def _pq() -> Float[np.ndarray, ' 65536']:
    """Return SMPTE ST 2084's curve: cd/m2 of a value of 16 bits."""
    root = (np.arange(65536) / 65535) ** (32 / 2523)
    c1, c2, c3 = 107 / 128, 2413 / 128, 2392 / 128
    light = np.maximum(root - c1, 0) / (c2 - c3 * root)
    return (10_000 * light ** (16384 / 2610)).astype(np.float32)


@functools.cache
def _hlg_scene() -> Float[np.ndarray, ' 65536']:
    """Return ARIB STD-B67's curve: the scene's light 0..1 of a value of 16 bits."""
    value = np.arange(65536) / 65535
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
    return light.astype(np.float32)


def _hlg(rgb) -> Float[np.ndarray, 'h w 3']:
    """Return the light of a display of `_PEAK` cd/m2 (BT.2100's OOTF, gamma 1.2)."""
    scene = _hlg_scene()[rgb]
    luma = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    return scene * (_PEAK * np.maximum(luma, 1e-6) ** 0.2)[..., None]


def _bent(most: Float[np.ndarray, 'h w 1'], peak: float) -> Float[np.ndarray, 'h w 1']:
    """Return the factors that bring highlights, up to `peak` times white, into the range.

    Above the knee k: k + (1 - k) x (1 + x / p^2) / (1 + x) with x = (m - k) / (1 - k), Reinhard's
    curve, which reaches 1 where x is p.
    """
    room = 1 - _KNEE
    x = np.maximum(most - _KNEE, 0) / room
    high = (peak - _KNEE) / room
    bent = np.minimum(_KNEE + room * x * (1 + x / high**2) / (1 + x), 1)
    return np.where(most > _KNEE, bent / np.maximum(most, 1e-6), 1).astype(np.float32)
