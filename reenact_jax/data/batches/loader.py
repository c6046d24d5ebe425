"""Shards to batches of pairs of different identities, shuffled, resumable on any number of hosts.

An element is a pair of K frames each: a base and its partner, rows 2i and 2i + 1. Every record
is a base once an epoch, in an order shuffled anew each epoch, and brings a partner: an epoch is
`len(shards)` pairs. Everything drawn is a function of (seed, number of the pair), so the whole
state is the number of the next pair, the same on every host.

    loader = Loader(ShardSet(DIR, 'train'), batch_size=32, reads=('image', 'landmarks'))
    batch = next(loader)
"""

import dataclasses
import math
import os
import sys
import time

import grain
import jax
import numpy as np
from absl import flags, logging

from reenact_jax.common import settings, storage
from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.data.batches import partners
from reenact_jax.data.batches.pairs import Pairs
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import BATCH_FIELDS, POINT_SETS, Batch

NEIGHBOURS = ('other_identity', 'same_expression', 'same_pose', 'unused')


@dataclasses.dataclass(frozen=True)
class Reading:
    """Settings of reading that belong to the data and the machine, not to a stage."""

    flip: bool = setting(False, doc='mirror half of the pairs, both rows of a pair together')
    au_bound: float = settings.share(
        0.05, 'largest mean |AU difference| of partners in same_expression without labels'
    )
    damage_budget: float = settings.share(
        0.001, 'share of records that may be damaged before the run stops'
    )
    threads: int = setting(
        0,
        low=0,
        high=256,
        doc='reading threads, each makes a batch; 0: one per core, 16 at most, and from a bucket '
        'as many as keep the requests in flight',
    )
    requests: int = setting(64, low=1, high=1024, doc='requests in flight to a bucket, at most')
    cache: str | None = setting(None, doc='folder where pieces from a bucket are kept; None: none')
    cache_gb: float = setting(10.0, low=0.001, high=1e6, doc='largest size of that folder, GB')
    workers: int = setting(
        0, low=0, high=256, doc='reading processes, each with so many threads; 0: this one reads'
    )

    def open_cache(self) -> storage.Cache | None:
        """Open the folder of pieces from a bucket, where one is set."""
        return storage.Cache(self.cache, int(1e9 * self.cache_gb)) if self.cache else None


class Loader:
    """An endless iterator of `tracks.Batch` of NumPy arrays: this host's share of each batch.

    Attributes:
      waited: seconds spent in `next` so far.
      damaged: damaged records met so far on this host, record number -> file and record in it.
    """

    def __init__(
        self,
        shards: ShardSet,
        *,
        batch_size: int,
        reads: tuple[str, ...],
        frames: int = 2,
        neighbour: str = 'other_identity',
        points: str = '68',
        seed: int = 0,
        reading: Reading = Reading(),
        host: int = 0,
        hosts: int = 1,
        devices: int | None = None,
    ):
        """Check what is asked for; reading begins with the first batch.

        Args:
          shards: the split to read.
          batch_size: rows of the global batch, over all hosts; half as many pairs.
          reads: fields of `tracks.Batch` to bring; the others are None, and an `image` that is
            not read is not decoded.
          frames: K. A track of fewer frames repeats some of them.
          neighbour: rule for partners, one of `NEIGHBOURS` (see partners.py).
          points: the point set of `landmarks`, `landmarks3d`, `visible` and `reference`.
          seed: random seed of the shuffle and of everything drawn.
          reading: flip, bounds, threads, processes, requests and cache.
          host: number of this process, from 0.
          hosts: how many processes share a batch.
          devices: number over all hosts; each takes an even share of the rows. None: one per host.

        Raises:
          UserError: arguments or data cannot work.
        """
        devices = devices or hosts
        _check(shards, batch_size, reads, frames, neighbour, points, seed, devices)
        _check_host(host, hosts, devices)
        self._shards, self._reading, self._seed = shards, reading, seed
        if neighbour in ('other_identity', 'unused'):
            rule = partners.OtherIdentity(shards, neighbour == 'unused')
        else:
            rule = partners.SameExpression(shards, reading.au_bound, neighbour == 'same_pose')
        if idle := len(shards) - len(rule.bases):
            logging.warning('%s: %d records have no possible partner; never a base', shards, idle)
        self._bases = len(rule.bases)
        self._share = (host, hosts, batch_size // 2)
        count = batch_size // 2 // hosts  # pairs of this host
        self._threads = _threads(reading, shards.local, 2 * count)
        self._pairs = Pairs(
            shards,
            rule,
            count=count,
            reads=reads,
            frames=frames,
            points=points,
            seed=seed,
            flip=reading.flip,
            requests=math.ceil(reading.requests / self._threads),
            cache=reading.open_cache(),
        )
        self._next_pair, self._iterator = 0, None
        self.waited = 0.0
        self.damaged: dict[int, str] = {}

    def __iter__(self) -> 'Loader':
        return self

    def __next__(self) -> Batch:
        """Read this host's rows of the next batch; rows 2i and 2i + 1 are partners."""
        start = time.perf_counter()
        if self._iterator is None:
            self._iterator = self._open()
        rows, damaged = next(self._iterator)
        self._next_pair += self._share[2]
        self.waited += time.perf_counter() - start
        self._note(damaged)
        return Batch(**rows)

    def state(self) -> dict[str, int]:
        """Return the position, plain for JSON, the same on every host after as many batches."""
        return {'next_pair': self._next_pair, 'bases': self._bases, 'seed': self._seed}

    def restore(self, state: dict[str, int]) -> None:
        """Continue after the batch at which `state` was taken, on any number of hosts.

        Args:
          state: of `Loader.state`, there or on other hosts.

        Raises:
          UserError: `state` is no such value.
        """
        if not isinstance(state, dict) or not isinstance(state.get('next_pair'), int):
            raise UserError(f'data position {state!r}: expected the value of Loader.state()')
        for name, value in {'bases': self._bases, 'seed': self._seed}.items():
            if state.get(name, value) != value:
                logging.warning(
                    '%s: %s is %s, was %s when the run stopped: the order of the data differs',
                    self._shards, name, value, state[name],
                )  # fmt: skip
        self.close()
        self._next_pair = state['next_pair']

    @property
    def epoch(self) -> float:
        """Count the passes over the records as bases so far."""
        return self._next_pair / self._bases

    def check_budget(self, total: int | None = None) -> None:
        """Stop the run when more records are damaged than the budget allows.

        Args:
          total: `len(loader.damaged)` summed over all hosts, so that all of them stop at the same
            step; a record met by two hosts counts twice. None: this host's own.

        Raises:
          UserError: more records are damaged.
        """
        total = len(self.damaged) if total is None else total
        allowed = self._reading.damage_budget * len(self._shards)
        if total > allowed:
            named = '; '.join(list(self.damaged.values())[:3]) or 'see the log of the other hosts'
            raise UserError(
                f'{self._shards.directory}: {total} damaged records, the budget is '
                f'{allowed:g} ({named}); check the set: reenact-jax shards '
                f'{self._shards.directory}; or raise damage_budget'
            )

    def close(self) -> None:
        """End the reading threads; the next batch starts them again."""
        if self._iterator is not None:
            self._iterator.close()
        self._iterator = None

    def _open(self):
        """Open the stream of this host's batches from the next pair on.

        The scheme is that of grain's ElasticIterator: hosts share the one global order of pairs,
        so that the whole state is one number, a position in it, whatever their count. Unlike there,
        hosts take consecutive blocks (host after host, they give the batch of one host row for
        row), and an element is a whole batch: every image is decoded in its place.
        """
        host, _, pairs = self._share
        first = self._next_pair + host * self._pairs.count
        # A thread makes a whole batch; two more wait ready. Grain's default would hold 500.
        options = grain.ReadOptions(
            num_threads=self._threads, prefetch_buffer_size=self._threads + 2
        )
        numbers = grain.MapDataset.range(first, sys.maxsize, pairs)  # each batch's first pair
        stream = numbers.map(self._pairs.batch).to_iter_dataset(options)
        if self._reading.workers:
            if not flags.FLAGS.is_parsed():  # grain looks there, also where no command was called
                flags.FLAGS.mark_as_parsed()
            options = grain.MultiprocessingOptions(self._reading.workers)
            stream = stream.mp_prefetch(options, worker_init_fn=_leave_devices)
        return iter(stream)

    def _note(self, damaged: list[int]) -> None:
        for record in damaged:
            if record not in self.damaged:
                self.damaged[record] = self._shards.where(record)
                logging.warning('%s: damaged, another record is used', self.damaged[record])


def _leave_devices(worker: int, workers: int) -> None:
    """Keep a reading process, which imports JAX, from ever taking the trainer's devices."""
    jax.config.update('jax_platforms', 'cpu')


def _threads(reading: Reading, local: bool, rows: int) -> int:
    """Count the threads that read batches of so many rows of this host."""
    cores = min(16, os.cpu_count() or 1)
    far = 0 if local else min(64, math.ceil(reading.requests / rows))  # a row takes 1 request or so
    return reading.threads or max(cores, far)


def _check(shards, batch_size, reads, frames, neighbour, points, seed, devices) -> None:
    if batch_size < 1 or batch_size % (2 * devices):
        raise UserError(
            f'batch_size {batch_size}: partners stay on one device, so each of {devices} devices '
            f'needs an even share; expected a multiple of {2 * devices}'
        )
    if unknown := set(reads) - set(BATCH_FIELDS):
        raise UserError(f'reads: unknown fields {sorted(unknown)}; known: {BATCH_FIELDS}')
    if not reads:
        raise UserError('reads: no fields asked for')
    if frames < 1:
        raise UserError(f'frames {frames}: expected 1 or more')
    if neighbour not in NEIGHBOURS:
        raise UserError(f'neighbour {neighbour!r}: expected one of {NEIGHBOURS}')
    if points not in POINT_SETS:
        raise UserError(f'points {points!r}: expected one of {tuple(POINT_SETS)}')
    if not 0 <= seed < 2**32:
        raise UserError(f'seed {seed}: expected 0 ... 2**32 - 1')
    sizes = np.unique(shards.columns.size)
    if len(sizes) > 1:
        raise UserError(f'{shards.directory}: crops of sizes {sizes.tolist()}, expected one size')


def _check_host(host: int, hosts: int, devices: int) -> None:
    if not 0 <= host < hosts or devices % hosts:
        raise UserError(
            f'host {host} of {hosts} with {devices} devices: expected 0 <= host < hosts and '
            'equally many devices on each'
        )
