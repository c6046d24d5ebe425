"""Names of files: local paths, gs://, s3://, and the file system that each belongs to."""

import importlib.util
import os
from typing import Any

import fsspec
import fsspec.config
from etils import epath

from reenact_jax.common.errors import UserError

PARTIAL = '.partial'  # the ending of temporary names, which also begin with a dot
# Buckets: prefix -> (the package that reads and writes there, the extra that brings it).
BUCKETS = {'gs://': ('gcsfs', 'gcs'), 's3://': ('s3fs', 's3')}


def path(name: epath.PathLike) -> epath.Path:
    """A path with pathlib's methods, `~` expanded; the file system follows from its prefix.

    Its methods that open, rename and delete are for local files: those here are for all.

    Raises UserError for a bucket whose package is not installed.
    """
    text = os.fspath(name)
    for prefix, (package, extra) in BUCKETS.items():
        if not text.startswith(prefix):
            continue
        if importlib.util.find_spec(package) is None:
            raise UserError(f'{text}: {prefix} needs {package}: pip install "reenact_jax[{extra}]"')
        # Listings would be remembered, while TensorStore and other hosts write beside us.
        scheme = {'gs://': 'gcs'}.get(prefix, prefix.removesuffix('://'))
        fsspec.config.conf.setdefault(scheme, {}).setdefault('use_listings_cache', False)
    return epath.Path(name).expanduser()


def absolute(name: epath.PathLike) -> epath.Path:
    """The path from the root of its file system; that of a bucket is so already."""
    found = path(name)
    return found.absolute() if is_local(name) else found


def same(name: epath.PathLike) -> str:
    """One text for all names of a file: absolute, links of this machine followed."""
    return os.path.realpath(path(name)) if is_local(name) else str(path(name))


def is_local(name: epath.PathLike) -> bool:
    """Whether the path is of this machine's file system."""
    return '://' not in os.fspath(name)


def is_partial(name: str) -> bool:
    """Whether a file name is that of an unfinished write."""
    return name.startswith('.') and name.endswith(PARTIAL)


def bucket(name: epath.PathLike) -> Any:
    """The file system of a bucket; the same one each time."""
    scheme, is_url, _ = str(path(name)).partition('://')
    # As epath has it: without, an object of a zonal bucket stays open for appending.
    more = {'finalize_on_close': True} if scheme == 'gs' else {}
    return fsspec.filesystem(scheme if is_url else 'file', **more)
