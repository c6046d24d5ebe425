"""Stills as they are seen: upright, opaque, in sRGB, and no larger than can be held."""

import contextlib
import functools
import io
import struct
import warnings
from collections.abc import Iterator

import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image, ImageCms

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import containers, kinds, whole
from reenact_jax.media.kinds import Format

MOST_JPEG = 400_000_000  # pixels of a JPEG, which is reduced while it is decoded
_MOST_PROFILE = 4_000_000  # bytes of a JPEG 2000 in which its profile is looked for
# What Pillow raises for broken files, the last two where a header ends early.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)
_TURN = 0x0112  # EXIF's number of the orientation


@contextlib.contextmanager
def opened(path: epath.PathLike, found: Format | None = None) -> Iterator[Image.Image]:
    """Open a still or an animation; pixels are decoded when they are asked for.

    Args:
      path: the file.
      found: what kinds.py said of it; None: it is asked.

    Raises:
      UserError: there is no such file, it is no picture, or its pixels are too many.
    """
    found = found or kinds.required(path)
    if found.kind == 'video':
        raise UserError(f'{path}: a video; a picture is expected here')
    if found.name == 'HEIF':
        _use_heif(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            image = Image.open(storage.local(path), formats=_formats(found.name))
    except Image.DecompressionBombError as error:
        raise UserError(f'{path}: too large ({error})') from None
    except BROKEN as error:
        raise UserError(f'{path}: not a readable image ({error})') from None
    with image:
        _reduce(path, image, found.name)
        yield image


def _formats(name: str) -> list[str]:
    return {'BMP': ['BMP', 'DIB']}.get(name, [name])  # JPEG's opens MPO, too


def _use_heif(path) -> None:
    try:
        import pillow_heif  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError(
            f'{path}: reading HEIC needs pillow-heif: pip install "reenact_jax[heif]"'
        ) from None
    pillow_heif.register_heif_opener()


def _reduce(path, image: Image.Image, name: str) -> None:
    """Let a JPEG of very many pixels be decoded at a half or a quarter of its sides."""
    width, height = image.size
    if name == 'JPEG' and containers.MAX_PIXELS < width * height <= MOST_JPEG:
        share = 2 if width * height <= 4 * containers.MAX_PIXELS else 4
        image.draft('RGB', (-(-width // share), -(-height // share)))
    containers.check_pixels(path, *image.size)


def size(path: epath.PathLike) -> tuple[int, int]:
    """Return the width and height of a still as it is seen.

    Raises:
      UserError: as `read`.
    """
    with opened(path) as image:
        try:
            return shown_size(image)
        except BROKEN as error:  # a PNG is decoded for it
            raise UserError(f'{path}: broken or truncated image ({error})') from None


def shown_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and height of an open picture as it is seen."""
    width, height = image.size
    return (height, width) if orientation(image) >= 5 else (width, height)


def orientation(image: Image.Image) -> int:
    """Return EXIF's orientation, 1 to 8."""
    found = image.getexif().get(_TURN, 1)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def turned(pixels: UInt8[np.ndarray, 'h w 3'], orientation: int) -> UInt8[np.ndarray, 'H W 3']:
    """Turn and mirror pixels as EXIF's orientation says."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    flips = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)  # up and down, left and right
    return np.ascontiguousarray(pixels[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1])


def read(path: epath.PathLike) -> UInt8[np.ndarray, 'h w 3']:
    """Read a still as RGB.

    It is turned as its EXIF orientation says, its transparency lies over white, its ICC profile is
    converted to sRGB. A JPEG of more than `containers.MAX_PIXELS` is reduced.

    Raises:
      UserError: it is missing, broken or too large, or no still.
    """
    with opened(path) as image:
        lack = image.format in ('JPEG', 'MPO') and whole.cut_short(storage.local(path), 'JPEG')
        if lack:
            raise UserError(f'{path}: broken or truncated image ({lack})')
        try:
            return turned(seen(image), orientation(image))
        except BROKEN as error:
            raise UserError(f'{path}: broken or truncated image ({error})') from None


def seen(image: Image.Image) -> UInt8[np.ndarray, 'h w 3']:
    """Return the pixels of a decoded picture as they are seen, without turning it."""
    profile = image.info.get('icc_profile') or _boxed_profile(image)
    if image.mode.startswith('I') or image.mode == 'F':
        return _deep(image)
    if image.has_transparency_data:
        image = image.convert('RGBA')
        colours = _converted(image.convert('RGB'), profile)
        white = Image.new('RGB', image.size, 'white')
        return np.array(Image.composite(colours, white, image.getchannel('A')))
    if image.mode not in ('RGB', 'CMYK', 'L', 'LAB'):
        image = image.convert('RGB')
    return np.array(_converted(image, profile))


def _deep(image: Image.Image) -> UInt8[np.ndarray, 'h w 3']:
    """Return the pixels of a grey picture of 16 bits a sample, or of floats from 0 to 1 or 255."""
    values = np.nan_to_num(np.asarray(image, np.float32))
    most = 65535 if image.mode != 'F' else 1 if values.max(initial=0) <= 1 else 255
    grey = np.clip(values * (255 / most) + 0.5, 0, 255).astype(np.uint8)
    clear = image.info.get('transparency')
    if isinstance(clear, int):  # this value is
        grey[values == clear] = 255
    return np.repeat(grey[..., None], 3, -1)


def _boxed_profile(image: Image.Image) -> bytes | None:
    """Find the ICC profile of a JPEG 2000, which Pillow passes over: a box `colr`, method 2."""
    file = getattr(image, 'fp', None)
    if image.format != 'JPEG2000' or file is None:
        return None
    place = file.tell()
    file.seek(0)
    head = file.read(_MOST_PROFILE)
    file.seek(place)
    at = head.find(b'colr\2')
    if at < 4 or at > head.find(b'jp2c') > -1:
        return None
    return head[at + 7 : at - 4 + int.from_bytes(head[at - 4 : at], 'big')]


def _converted(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture to sRGB by its profile; one that cannot be used is left out."""
    transform = _transform(profile, image.mode) if profile else None
    if transform is not None:
        converted = ImageCms.applyTransform(image, transform)
        image = converted if converted is not None else image
    return image.convert('RGB')


@functools.lru_cache(8)
def _transform(profile: bytes, mode: str):
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)), _srgb(), mode, 'RGB',
            ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )  # fmt: skip
    return None


@functools.cache
def _srgb():
    return ImageCms.createProfile('sRGB')
