"""Small random tracks and shard sets for tests, with the shapes and labels of real ones."""

import io

import numpy as np
import simplejpeg
from PIL import Image

from reenact_jax.data import shards
from reenact_jax.data.tracks import FIELDS, POINT_SETS, Track

EXPRESSIONS = 3  # labels in a fake set; frame t of a track has label t % EXPRESSIONS


def fake_jpeg(rng: np.random.Generator, size: int) -> bytes:
    """Draw a smooth random picture as JPEG."""
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BILINEAR))
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=90)


def fake_segmentation(rng: np.random.Generator, size: int) -> bytes:
    """Draw random classes 0, 1, 2 in blocks of 8 pixels as PNG."""
    blocks = rng.integers(0, 3, (size // 8, size // 8), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.kron(blocks, np.ones((8, 8), np.uint8))).save(file, 'PNG')
    return file.getvalue()


def fake_track(number: int = 0, *, identity: int = 0, frames: int = 4, size: int = 64, **changes):
    """Make a track of random content, the same for the same arguments.

    Args:
      number: of the track.
      identity: of the person.
      frames: of the track.
      size: side of the images, pixels.
      **changes: fields of `Track` to replace.
    """
    rng = np.random.default_rng([number, identity, frames, size])
    values = {name: _random(rng, field, frames) for name, field in FIELDS.items() if field.shape}
    for name in POINT_SETS:
        for kind in ('landmarks', 'reference'):
            values[f'{kind}_{name}'] = rng.uniform(0, size, (frames, POINT_SETS[name], 3))
    values |= {
        'track_id': f'track{number:04d}',
        'identity': identity,
        'identity_name': f'person {identity}',
        'size': size,
        'image': tuple(fake_jpeg(rng, size) for _ in range(frames)),
        'segmentation': tuple(fake_segmentation(rng, size) for _ in range(frames)),
        'expression': np.arange(frames) % EXPRESSIONS,
        'frame_number': np.arange(frames) * 3,
        'source_file': f'fake {number}',
        'detector': 'exact',
        'licence': 'none: random pixels',
        'consent': 'synthetic',
    }
    return Track(**{name: _stored(value) for name, value in (values | changes).items()})


def fake_shards(
    directory, identities: int = 3, tracks: int = 4, frames: int = 4, size: int = 64,
    split: str = 'train', count: int = 2, **changes,
):  # fmt: skip
    """Write a set of `identities` x `tracks` fake tracks and open it.

    Args:
      directory: of the set.
      identities: number of people.
      tracks: tracks of each person.
      frames: of each track.
      size: side of the images, pixels.
      split: its name.
      count: files to write.
      **changes: fields of `Track` to replace.
    """
    items = (
        fake_track(n, identity=n % identities, frames=frames, size=size, **changes)
        for n in range(identities * tracks)
    )
    shards.write(directory, split, items, shards=count, parameters={'writer': 'fakes'})
    return shards.ShardSet(directory, split)


def _random(rng: np.random.Generator, field, frames: int):
    shape = tuple(frames if side == 'T' else side for side in field.shape)
    if field.kind == 'int':
        return rng.integers(0, 2, shape)
    return rng.uniform(0, 1, shape)


def _stored(value):
    """Convert arrays to the types that a record returns: float32 and int64."""
    if not isinstance(value, np.ndarray):
        return value
    return value.astype(np.float32 if value.dtype.kind == 'f' else np.int64)
