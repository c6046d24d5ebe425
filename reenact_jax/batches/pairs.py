"""Pairs of records by number: a base and its partner, decoded into their places in a batch."""

from collections.abc import Iterable, Sequence

import numpy as np

from reenact_jax.batches import examples
from reenact_jax.errors import UserError
from reenact_jax.shards import ShardSet
from reenact_jax.shards.framing import DamagedRecord

_ATTEMPTS = 16  # records tried for one pair before the set is given up


class Pairs:
    """Numbered pairs to rows; a function of (seed, number, base) as long as no record goes bad.

    A damaged base is replaced by the next base, a damaged partner by the next candidate.
    """

    def __init__(
        self, shards: ShardSet, rule, reads: Sequence[str], frames: int, points: str, seed: int,
        flip: bool,
    ):  # fmt: skip
        """`rule`: of partners.py; the rest as in `batches.Loader`."""
        self._shards, self._rule, self._reads = shards, rule, tuple(reads)
        self._frames, self._points, self._seed, self._flip = frames, points, seed, flip
        self._size = int(shards.columns.size[0])

    def batch(self, drawn: Iterable[tuple[int, int]]) -> tuple[examples.Rows, list[int]]:
        """Rows 2i and 2i + 1 from the i-th (number, base), and the records found damaged."""
        drawn = list(drawn)
        rows = examples.allocate(
            2 * len(drawn), self._frames, self._reads, self._size, self._points
        )
        damaged: list[int] = []
        for i, (number, base) in enumerate(drawn):
            both = [
                {name: array[row, ...] for name, array in rows.items()}
                for row in (2 * i, 2 * i + 1)
            ]
            damaged += self._pair(both, int(number), int(base))
        return rows, damaged

    def _pair(self, both: list[examples.Rows], number: int, base: int) -> list[int]:
        """Fills both rows of a pair; the records that were found damaged on the way."""
        rng = np.random.default_rng([self._seed, number])
        flip = bool(rng.random() < 0.5) and self._flip
        damaged: list[int] = []
        for attempt in range(_ATTEMPTS):
            record = int(self._rule.bases[(base + attempt) % len(self._rule.bases)])
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
        where = self._shards.where(record)
        try:
            examples.fill(row, self._shards[record], frames, self._points, where)
        except DamagedRecord:
            damaged.append(record)
            return False
        return True
