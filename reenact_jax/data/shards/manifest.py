"""The set's index, `face_tracks.json`: every split, shard and index with length and SHA-256.

The file carries its own digest, so that it too cannot change unnoticed.
"""

import json
import re

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards.index import rebuild_command

NAME = 'face_tracks'
MANIFEST = 'face_tracks.json'
MANIFEST_VERSION = 1
_SHARD = re.compile(rf'{NAME}-(\w+)\.tfrecord-(\d{{5,}})-of-(\d{{5,}})')


def shard_file(split: str, number: int, count: int) -> str:
    """Return the TFDS file name of a shard: `face_tracks-train.tfrecord-00000-of-00032`.

    Numbers have five digits, or as many as the count has.
    """
    if not re.fullmatch(r'[a-z][a-z0-9_]*', split):
        raise UserError(f'split {split!r}: expected small letters, digits and _, like train')
    if not 0 <= number < count:
        raise UserError(f'shard {number} of {count}: expected 0 <= number < count')
    digits = max(5, len(str(count)))
    return f'{NAME}-{split}.tfrecord-{number:0{digits}d}-of-{count:0{digits}d}'


def index_file(shard: str) -> str:
    """Return the file name of a shard's sidecar index."""
    return f'{shard}.index.npz'


def joined_file(split: str) -> str:
    """Return the file name of a split's index."""
    return f'{NAME}-{split}.index'


def found_shards(directory) -> dict[str, set[int]]:
    """Find the shard counts of each split by the file names in a directory (their `of-NNNNN`)."""
    counts: dict[str, set[int]] = {}
    for name in storage.names(directory):
        if match := _SHARD.fullmatch(name):
            counts.setdefault(match[1], set()).add(int(match[3]))
    return counts


def read(directory) -> dict:
    """Read the set's index.

    Returns:
      {'splits': {split: {...}}, 'files': {name: sha256}, 'indices': {split: {...}}, ...}; sets of
      earlier versions have no `indices`.

    Raises:
      UserError: the directory or the index is missing, damaged or edited by hand.
    """
    file = f'{directory}/{MANIFEST}'
    try:
        text = storage.read(file)
    except UserError:
        raise _missing(directory, file) from None
    try:
        content = json.loads(text)
        whole = text == _render(content) and content['digest'] == _digest(content)
        version = content['version']
    except (ValueError, KeyError, TypeError, AttributeError):
        whole, version = False, None
    if not whole:
        raise UserError(
            f'{file}: damaged or edited (its digest does not match); '
            f'rebuild it: {rebuild_command(file)}'
        )
    if version != MANIFEST_VERSION:
        raise UserError(f'{file}: version {version}, expected {MANIFEST_VERSION}; write it again')
    return content


def _missing(directory, file: str) -> UserError:
    """Say what a directory without the set's index is; raise UserError if there is none."""
    if not found_shards(directory):
        return UserError(f'{directory}: no shard set ({MANIFEST} and shards expected)')
    return UserError(
        f'{directory}: no {MANIFEST}: has shards but its writing did not finish, or the index was '
        f'lost; finish the writing, or rebuild the index: {rebuild_command(file)}'
    )


def write(directory, splits: dict, files: dict[str, str], indices: dict) -> None:
    """Write the set's index.

    Args:
      directory: of the set.
      splits: split -> its entry. Its digest names the data in checkpoints.
      files: metadata file -> SHA-256.
      indices: split -> what `joined.Joiner.write` returned.
    """
    content = {'version': MANIFEST_VERSION, 'name': NAME, 'splits': splits, 'files': files}
    content['indices'] = indices
    content['digest'] = _digest(content)
    storage.write(f'{directory}/{MANIFEST}', _render(content))


def _render(content: dict) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + '\n').encode()


def _digest(content: dict) -> str:
    return storage.digest(_render({k: v for k, v in content.items() if k != 'digest'}))
