"""Names of tracks that occur twice, found among millions without keeping the names."""

import numpy as np

from reenact_jax.common.errors import UserError
from reenact_jax.data.shards.joined import Joiner


class Repeats:
    """A collector of the hashes of names, 8 bytes each; only names of equal hash are compared."""

    def __init__(self):
        self._parts: list[np.ndarray] = []

    def add(self, names: np.ndarray) -> None:
        """Take the names of another part of the tracks."""
        self._parts.append(_hashes(names))

    def refuse(self, joiner: Joiner, where: str) -> None:
        """Refuse a name that occurs more than once.

        Args:
          joiner: has the same names.
          where: of the tracks, for the message.

        Raises:
          UserError: there is one.
        """
        hashes, counts = np.unique(np.concatenate(self._parts), return_counts=True)
        suspect = hashes[counts > 1]
        if not len(suspect):
            return
        seen = set()
        for names in joiner.names():
            for name in names[np.isin(_hashes(names), suspect)].tolist():
                if name in seen:
                    raise UserError(f'{where}: track_id {name!r} occurs more than once')
                seen.add(name)


def _hashes(names: np.ndarray) -> np.ndarray:
    """Hash names, [n] str -> [n] uint64: the same however wide the array is (zeros count 0)."""
    width = names.dtype.itemsize // 4  # UTF-32
    codes = np.ascontiguousarray(names).view(np.uint32).reshape(len(names), width)
    factors = np.random.default_rng(0).integers(1, 2**63, width, np.uint64)
    return (codes * factors).sum(1, dtype=np.uint64)
