"""Shards of face tracks: random access by record number, every record's checksum checked.

    shards = ShardSet('data/heads', 'train')
    len(shards), shards.identity, shards.track(17)

Each set is TFRecord files named the TFDS way, a sidecar index beside each, one index for each split
(`face_tracks-SPLIT.index`), the set's index `face_tracks.json` and TFDS metadata. Writing: `write`,
or `ShardWriter` and `finish`.

    reenact-jax shards DIR                    # check every digest
    reenact-jax shards DIR --join-index       # make the index of each split of the sidecars
    reenact-jax shards DIR --rebuild-index    # make indices and metadata anew
"""

from reenact_jax.data.shards.check import join, rebuild, verify
from reenact_jax.data.shards.framing import DamagedRecord
from reenact_jax.data.shards.reader import ShardSet, splits
from reenact_jax.data.shards.writer import ShardWriter, complete, finish, write

__all__ = [
    'DamagedRecord',
    'ShardSet',
    'ShardWriter',
    'complete',
    'finish',
    'join',
    'rebuild',
    'splits',
    'verify',
    'write',
]
