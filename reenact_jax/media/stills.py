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
from PIL import Image, ImageCms, ImageOps

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import containers, kinds
from reenact_jax.media.kinds import Format

MOST_JPEG = 400_000_000  # pixels of a JPEG, which is reduced while it is decoded
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
    return {'JPEG': ['JPEG', 'MPO'], 'BMP': ['BMP', 'DIB']}.get(name, [name])


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
            swap = image.getexif().get(_TURN, 1) >= 5  # these orientations swap the sides
        except BROKEN as error:  # a PNG is decoded for it
            raise UserError(f'{path}: broken or truncated image ({error})') from None
        width, height = image.size
        return (height, width) if swap else (width, height)


def read(path: epath.PathLike) -> UInt8[np.ndarray, 'h w 3']:
    """Read a still as RGB.

    It is turned as its EXIF orientation says, its transparency lies over white, its ICC profile is
    converted to sRGB. A JPEG of more than `containers.MAX_PIXELS` is reduced.

    Raises:
      UserError: it is missing, broken or too large, or no still.
    """
    with opened(path) as image:
        try:
            return seen(ImageOps.exif_transpose(image))
        except BROKEN as error:
            raise UserError(f'{path}: broken or truncated image ({error})') from None


def seen(image: Image.Image) -> UInt8[np.ndarray, 'h w 3']:
    """Return the pixels of a decoded picture as they are seen, without turning it."""
    profile = image.info.get('icc_profile')
    if image.mode.startswith('I'):  # 16 bits a sample
        grey = np.clip(np.asarray(image, np.float32) / 257 + 0.5, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, -1)
    if image.has_transparency_data:
        image = image.convert('RGBA')
        colours = _converted(image.convert('RGB'), profile)
        white = Image.new('RGB', image.size, 'white')
        return np.array(Image.composite(colours, white, image.getchannel('A')))
    if image.mode not in ('RGB', 'CMYK', 'L', 'LAB'):
        image = image.convert('RGB')
    return np.array(_converted(image, profile))


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
