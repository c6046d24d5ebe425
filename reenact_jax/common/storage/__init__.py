"""Files: the one room that opens, renames and lists; local paths, gs://, s3://.

A file appears under its name only when it is whole. A local one is written under a temporary name
beside, flushed to the disk and renamed; an object of a bucket appears when it is sent, and a folder
there is nothing but the beginning of names: it can be neither made nor renamed.
"""

from reenact_jax.common.storage.cache import Cache
from reenact_jax.common.storage.folders import (
    download_tree,
    exists,
    files,
    is_dir,
    make_folder,
    move_tree,
    names,
    remove_tree,
    sizes,
)
from reenact_jax.common.storage.ownership import owning
from reenact_jax.common.storage.paths import (
    BUCKETS,
    PARTIAL,
    absolute,
    is_local,
    is_partial,
    path,
    same,
)
from reenact_jax.common.storage.ranges import (
    Reader,
    digest,
    file_digest,
    mapped,
    opened,
    read_ranges,
    size,
)
from reenact_jax.common.storage.whole import (
    drafting,
    local,
    no_room,
    read,
    read_json,
    remove,
    remove_partials,
    sweep,
    try_out,
    upload,
    write,
    write_json,
    writing,
)

__all__ = [
    'BUCKETS',
    'PARTIAL',
    'Cache',
    'Reader',
    'absolute',
    'digest',
    'download_tree',
    'drafting',
    'exists',
    'file_digest',
    'files',
    'is_dir',
    'is_local',
    'is_partial',
    'local',
    'make_folder',
    'mapped',
    'move_tree',
    'names',
    'no_room',
    'opened',
    'owning',
    'path',
    'read',
    'read_json',
    'read_ranges',
    'remove',
    'remove_partials',
    'remove_tree',
    'same',
    'size',
    'sizes',
    'sweep',
    'try_out',
    'upload',
    'write',
    'write_json',
    'writing',
]  # fmt: skip
