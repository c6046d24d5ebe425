"""Pairs of records by number: a base and its partner, decoded into their places in a batch."""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from reenact_jax.batches import examples
from reenact_jax.batches.pieces import Pieces
from reenact_jax.errors import UserError
from reenact_jax.shards import ShardSet
from reenact_jax.shards.framing import DamagedRecord

_ATTEMPTS = 16  # records tried for one pair before the set is given up


class Draws:
    """Random numbers of a pair: those of Philox, a function of a key and a counter.

    Setting the counter takes 1 us, a new generator 20.
    """

    def __init__(self, seed: int):
        self._bits = np.random.Philox(key=seed)
        self._state = self._bits.state
        self._rng = np.random.Generator(self._bits)

    def of(self, number: int) -> np.random.Generator:
        """The generator at the beginning of a pair's numbers; good until the next call."""
        self._state['state']['counter'][1] = number  # below it, 2**64 blocks for each pair
        self._bits.state = self._state
        return self._rng


# Grain's own shuffle takes up to 1 ms an element for sets of less than 65,536.
@functools.lru_cache(maxsize=8)
def _order(seed: int, epoch: int, bases: int) -> Int[np.ndarray, ' bases']:
    """The order in which an epoch takes its bases."""
    return np.random.default_rng([seed, epoch]).permutation(bases)


class Pairs:
    """Numbered pairs to rows; a function of (seed, number) as long as no record goes bad.

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
    ):
        """`rule`: of partners.py; `count`: pairs in a batch; the rest as in `batches.Loader`."""
        self.count = count
        self._shards, self._rule, self._reads = shards, rule, tuple(reads)
        self._frames, self._points, self._seed, self._flip = frames, points, seed, flip
        self._pieces = Pieces(shards, examples.sources(reads, points))
        self._size = int(shards.columns.size[0])

    def batch(self, first: int) -> tuple[examples.Rows, list[int]]:
        """Rows 2i and 2i + 1 of the pair `first` + i, and the records found damaged."""
        rows = examples.allocate(
            2 * self.count, self._frames, self._reads, self._size, self._points
        )
        damaged: list[int] = []
        draws = Draws(self._seed)
        for i in range(self.count):
            both = [
                {name: array[row, ...] for name, array in rows.items()}
                for row in (2 * i, 2 * i + 1)
            ]
            damaged += self._pair(both, first + i, draws.of(first + i))
        return rows, damaged

    def _pair(self, both: list[examples.Rows], number: int, rng: np.random.Generator) -> list[int]:
        """Fills both rows of a pair; the records that were found damaged on the way."""
        bases = self._rule.bases
        epoch, place = divmod(number, len(bases))
        base = int(_order(self._seed, epoch, len(bases))[place])
        flip = bool(rng.random() < 0.5) and self._flip
        damaged: list[int] = []
        for attempt in range(_ATTEMPTS):
            record = int(bases[(base + attempt) % len(bases)])
            if self._filled(both, record, rng, damaged):
                if flip:
                    for row in both:
                        examples.mirror(row, self._size, self._points)
                return damaged
        if damaged:
            raise UserError(
                f'{self._shards.directory}: {_ATTEMPTS} records in a row are damaged, such as '
                f'{self._shards.where(damaged[-1])}; check the set: '
                f'python -m reenact_jax.shards {self._shards.directory}'
            )
        raise UserError(
            f'{self._shards.directory}: {_ATTEMPTS} tracks in a row, such as '
            f'{self._shards.columns.track_id[record]}, have no frame of another person within the '
            'AU bound; raise au_bound or label the expressions'
        )

    def _filled(self, both: list[examples.Rows], base: int, rng, damaged: list[int]) -> bool:
        """Whether this base is good and has a good partner; their rows then hold them."""
        frames = self._rule.base_frames(base, self._frames, rng)
        partners = self._rule.candidates(base, int(frames[0]), rng)
        partner, at = next(partners, (None, -1))
        if partner is None or not self._read(both[0], base, frames, damaged):
            return False
        while partner is not None and len(damaged) < _ATTEMPTS:
            theirs = self._rule.partner_frames(base, frames, partner, at, rng)
            if self._read(both[1], partner, theirs, damaged):
                return True
            partner, at = next(partners, (None, -1))
        return False

    def _read(self, row: examples.Rows, record: int, frames, damaged: list[int]) -> bool:
        """Whether the record is good; else it is noted as damaged."""
        frames = frames.tolist()
        try:
            values = self._pieces.read(record, frames)
            examples.fill(row, values, frames, self._points)
        except DamagedRecord:
            damaged.append(record)
            return False
        if 'identity' in row:
            row['identity'][...] = self._shards.identity[record]
        return True
