"""Assignment of people to the splits of a set."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from reenact_jax.common.errors import UserError

SPLITS = ('train', 'val', 'test')


class Dealing(NamedTuple):
    """Assignment of people to splits, and how the set is written."""

    val: float = 0.1  # share of the people
    test: float = 0.1
    seed: int = 0
    count: int = 1  # files a split
    workers: int = 1


def deal(
    names: Sequence[str], val: float, test: float, seed: int, official: Mapping[str, str] = {}
) -> dict[str, list[str]]:
    """Assign people to splits by a hash of name and seed, the same on every machine.

    Args:
      names: of the people; repetitions do not count.
      val: share of the people, 0 to 1; 0: no such split. At least one person, if there are three or
        more people; with fewer, all of them are in train.
      test: likewise.
      seed: of the hash.
      official: name -> the split of a published list, or `dev`: not in test, so in train or val by
        the hash. Who is absent goes into any split.

    Returns:
      Split -> names; a split without people is absent.

    Raises:
      UserError: nobody is left to train on, and not all are on a list.
    """
    known = {name: official.get(name, '') for name in names}
    listed = {name for name, split in known.items() if split in SPLITS}
    dev = {name for name, split in known.items() if split == 'dev'}
    parts: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name in listed:
        parts[known[name]].append(name)
    for some, share in ((dev, 0.0), (known.keys() - listed - dev, test)):
        for split, part in _by_hash(some, val, share, seed).items():
            parts[split] += part
    if not parts['train'] and len(listed) < len(known):
        raise UserError(f'--val {val} --test {test}: nobody of {len(known)} is left to train on')
    return {split: sorted(part) for split, part in parts.items() if part}


def _by_hash(names: Iterable[str], val: float, test: float, seed: int) -> dict[str, list[str]]:
    unique = sorted(names, key=lambda name: digest(f'{seed}:{name}'))
    sizes = {}
    for split, share in (('val', val), ('test', test)):
        wanted = max(1, round(share * len(unique))) if share > 0 else 0
        sizes[split] = wanted if len(unique) >= 3 else 0
    cut = sizes['val'], sizes['val'] + sizes['test']
    return {'train': unique[cut[1] :], 'val': unique[: cut[0]], 'test': unique[cut[0] : cut[1]]}


def digest(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
