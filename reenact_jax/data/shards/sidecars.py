"""Sidecars of a set: read several at once, each checked by its digest."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import index as shard_index
from reenact_jax.data.shards import manifest as shard_manifest

_FAR = 64  # requests in flight to a bucket, where each takes long; fewer than gcsfs's connections


def in_turn(directory, function: Callable, items: Iterable) -> Iterator[Any]:
    """Give function(item) of each item in order, computed a little ahead.

    In a bucket several run at once; no more results wait than are computed at a time.

    Args:
      directory: of the set.
      function: takes an item.
      items: any number.
    """
    threads = 1 if storage.is_local(directory) else _FAR
    ahead: collections.deque[Future] = collections.deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def columns(directory, entries: list[dict]) -> Iterator[shard_index.Columns]:
    """Read the columns of each shard.

    Args:
      directory: of the set.
      entries: of its shards, in the set's index.

    Raises:
      UserError: a sidecar is missing or damaged.
    """
    yield from in_turn(directory, lambda shard: _checked(directory, shard), entries)


def _checked(directory, shard: dict) -> shard_index.Columns:
    index = f'{directory}/{shard_manifest.index_file(shard["file"])}'
    rebuild = f'rebuild it: {shard_index.rebuild_command(index)}'
    try:
        content = storage.read(index)
    except UserError:
        raise UserError(f'{index}: missing; {rebuild}') from None
    if storage.digest(content) != shard['index_sha256']:
        raise UserError(f'{index}: damaged (its digest is not that in the set); {rebuild}')
    return shard_index.from_bytes(content, index)[0]
