"""Pairs of records by number: a base and its partner, decoded into their places in a batch."""

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.batches import examples
from reenact_jax.data.batches.pieces import Held, Pieces
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.shards.framing import DamagedRecord

_ATTEMPTS = 16  # records tried for one pair before the set is given up


class Taken(NamedTuple):
    """Frames that were read of a record, images still encoded."""

    record: int
    values: dict[str, np.ndarray | list[bytes]]


class Draws:
    """Random numbers of pairs, by Philox: a function of a key and a counter.

    Setting the counter takes 1 us, a new generator 20 us.
    """

    def __init__(self, seed: int):
        self._bits = np.random.Philox(0)  # its own way to a key takes 50 us
        self._state = self._bits.state
        self._state['state']['key'][:] = seed, 0
        self._rng = np.random.Generator(self._bits)

    def of(self, number: int) -> np.random.Generator:
        """Set the generator to the beginning of a pair's numbers; good until the next call."""
        self._state['state']['counter'][1] = number  # below it, 2**64 blocks for each pair
        self._bits.state = self._state
        return self._rng


# Grain's own shuffle takes up to 1 ms an element for sets of less than 65,536.
@functools.lru_cache(maxsize=8)
def _order(seed: int, epoch: int, bases: int) -> Int[np.ndarray, ' bases']:
    """Draw the order in which an epoch takes its bases."""
    return np.random.default_rng([seed, epoch]).permutation(bases)


class Pairs:
    """Rows of numbered pairs: a function of (seed, number) as long as no record goes bad.

    A damaged base is replaced by the next base, a damaged partner by the next candidate.
    """

    def __init__(
        self,
        shards: ShardSet,
        rule,
        *,
        count: int,
        reads: Sequence[str],
        frames: int,
        points: str,
        seed: int,
        flip: bool,
        requests: int = 1,
        cache: storage.Cache | None = None,
    ):
        """Take the settings of the pairs, those of `batches.Loader` besides.

        Args:
          shards: the split.
          rule: of partners.py.
          count: pairs in a batch.
          reads: fields of `tracks.Batch`.
          frames: K.
          points: the point set.
          seed: random seed of everything drawn.
          flip: whether half of the pairs are mirrored.
          requests: most in flight to a bucket, for each batch that is being made.
          cache: where pieces from a bucket are kept; None: nowhere.
        """
        self.count = count
        self._shards, self._rule, self._reads = shards, rule, tuple(reads)
        self._frames, self._points, self._seed, self._flip = frames, points, seed, flip
        self._pieces = Pieces(shards, examples.sources(reads, points), requests, cache)
        self._size = int(shards.columns.size[0])

    def batch(self, first: int) -> tuple[examples.Rows, list[int]]:
        """Read the pairs from `first` on, rows 2i and 2i + 1 each; return damaged records too."""
        rows = examples.allocate(
            2 * self.count, self._frames, self._reads, self._size, self._points
        )
        draws, damaged = Draws(self._seed), []
        missing = range(self.count)
        while missing:
            # Everything else first, then all images: between images, with the processor's caches
            # full of pixels, Python runs some three times more slowly (perf, 256 pixels).
            held = self._fetch(first, missing, draws, damaged)
            take = functools.partial(self._take, damaged, held)
            pairs = [self._pair(first + i, draws.of(first + i), take, damaged) for i in missing]
            for i, pair in zip(missing, pairs, strict=True):
                self._fill(rows, i, pair)
            missing = [
                i
                for i, pair in zip(missing, pairs, strict=True)
                if not self._decode(rows, i, pair, damaged)
            ]
        for i in range(self.count):
            if self._flip and draws.of(first + i).random() < 0.5:
                pair = {name: array[2 * i : 2 * i + 2] for name, array in rows.items()}
                examples.mirror(pair, self._size, self._points)
        return rows, damaged

    def _fill(self, rows: examples.Rows, i: int, pair: list[Taken]) -> None:
        for row, taken in enumerate(pair, 2 * i):
            examples.fill(rows, row, taken.values, self._points)
            if 'identity' in rows:
                rows['identity'][row] = self._shards.identity[taken.record]

    def _decode(self, rows: examples.Rows, i: int, pair: list[Taken], damaged: list[int]) -> bool:
        """Decode the images of both rows; False, and a record noted as damaged, if one fails."""
        for row, taken in enumerate(pair, 2 * i):
            try:
                examples.decode(rows, row, taken.values)
            except DamagedRecord:
                damaged.append(taken.record)
                return False
        return True

    def _fetch(self, first: int, numbers: Iterable[int], draws: Draws, damaged: list[int]) -> Held:
        """Fetch from a bucket, all at once, what pairs need unless more records are damaged."""
        if self._shards.local:
            return {}
        wanted = []

        def note(record: int, frames) -> Taken | None:
            if record in damaged:
                return None
            wanted.append((record, frames.tolist()))
            return Taken(record, {})

        for i in numbers:
            self._pair(first + i, draws.of(first + i), note, damaged)
        return self._pieces.fetch(wanted)

    def _pair(self, number: int, rng: np.random.Generator, take, damaged: list[int]) -> list[Taken]:
        """Take a base and its partner; `take` gives None for a record that is damaged."""
        bases = self._rule.bases
        epoch, place = divmod(number, len(bases))
        base = int(_order(self._seed, epoch, len(bases))[place])
        rng.random()  # the coin of `batch`
        for attempt in range(_ATTEMPTS):
            record = int(bases[(base + attempt) % len(bases)])
            if pair := self._with_partner(record, rng, take):
                return pair
        if damaged:
            raise UserError(
                f'{self._shards.directory}: {_ATTEMPTS} records in a row are damaged, such as '
                f'{self._shards.where(damaged[-1])}; check the set: '
                f'reenact-jax shards {self._shards.directory}'
            )
        raise UserError(
            f'{self._shards.directory}: {_ATTEMPTS} tracks in a row, such as '
            f'{self._shards.columns.track_id[record]}, have no frame of another person within the '
            'AU bound; raise au_bound or label the expressions'
        )

    def _with_partner(self, base: int, rng, take) -> list[Taken] | None:
        """Take this base and the first good partner; None if it is damaged or has none."""
        frames = self._rule.base_frames(base, self._frames, rng)
        partners = self._rule.candidates(base, int(frames[0]), rng)
        first = next(partners, None)
        if first is None or not (own := take(base, frames)):
            return None
        for partner, at in itertools.islice(itertools.chain([first], partners), _ATTEMPTS):
            theirs = self._rule.partner_frames(base, frames, partner, at, rng)
            if taken := take(partner, theirs):
                return [own, taken]
        return None

    def _take(self, damaged: list[int], held: Held, record: int, frames) -> Taken | None:
        """Read these frames of a record; None if it is damaged, which is noted."""
        if record in damaged:
            return None
        try:
            return Taken(record, self._pieces.read(record, frames.tolist(), held))
        except DamagedRecord:
            damaged.append(record)
            return None
