"""Which frames are scored: lists of pairs, drawn from a seed, stored, and read again.

Every pair is a source frame and a driving frame; where the result has a ground truth, that frame
too. The kinds of lists are `KINDS`. A list is a CSV file whose rows name tracks, so that two runs
score the same pairs.
"""

import csv
import io
from typing import NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Int

from reenact_jax.common import storage, tables
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import AU_NAMES
from reenact_jax.evaluate.metrics import cross_triples

NONE = -1
COLUMNS = 'source', 'source_frame', 'driving', 'driving_frame', 'truth', 'truth_frame'
HEAD = '# pairs of reenact_jax.evaluate, version 1'
KINDS = {
    'self': 'the first frame of a track, driven by its others',
    'cross': 'the first frame of a track, driven by a track of another person; no ground truth',
    'gt_cross': "the set's own pairs with exact ground truth (synthetic sets: split gt_cross)",
    'lsim': "two frames of a track; the other people's frame nearest the second one in action "
    'units drives the first one, the second is the ground truth (FACEGAN 5.3)',
    'ldnet_self': 'SelfTest of LD-Net + FD-GAN: 80 people, a clip of 100 frames each, driven from '
    'its first',
    'ldnet_cross': 'CrossTest of LD-Net + FD-GAN: 80 pairs of people, a clip of 100 frames drives',
    'freenet': 'FReeNet 4.3: 100 frames of other people drive a neutral frame of every person',
    'labelled': 'the same with ground truth: the driver shares the labels of expression and pose '
    "with a frame of the source's own track (sets of labelled stills)",
}
_SUBJECTS, _FRAMES = 80, 100  # LD-Net + FD-GAN, table 3; FReeNet's 100 are its section 4.3's


class Pairs(NamedTuple):
    """A list of pairs: record and frame numbers of a split."""

    kind: str
    seed: int
    rows: Int[np.ndarray, 'p 6']  # as `COLUMNS`; the truth is `NONE` where there is none

    def groups(self) -> list[Int[np.ndarray, 'g 6']]:
        """Return runs of rows with the same source frame and the same driving and truth tracks."""
        key = self.rows[:, [0, 1, 2, 4]]
        cuts = np.flatnonzero((key[1:] != key[:-1]).any(1)) + 1
        return np.split(self.rows, cuts)


def make(part: ShardSet, kind: str, most: int, seed: int = 0) -> Pairs:
    """Draw a list.

    Args:
      part: split of a shard set.
      kind: key of `KINDS`.
      most: most tracks for `self`, pairs of tracks for `cross` and `gt_cross`, pairs of frames for
        `lsim`, people for LD-Net's protocols; `freenet` and `labelled` take all.
      seed: random seed.

    Raises:
      UserError: the kind is unknown, or there are too few people, frames or action units for it.
    """
    if kind not in KINDS:
        raise UserError(f'--pairs {kind}: no such list and no such file; lists: {", ".join(KINDS)}')
    rows = _MAKERS[kind](part, most, np.random.default_rng(seed))
    if not rows:
        raise UserError(f'{part.directory}, split {part.split}: {_NEEDS[kind]}')
    return Pairs(kind, seed, np.array(rows, np.int64))


def write(path: epath.PathLike, pairs: Pairs, part: ShardSet) -> None:
    """Store a list as CSV."""
    text = io.StringIO()
    text.write(f'{HEAD}, kind {pairs.kind}, seed {pairs.seed}\n')
    rows = csv.writer(text, lineterminator='\n')
    rows.writerow(COLUMNS)
    names = part.columns.track_id
    for row in pairs.rows.tolist():
        truth = (names[row[4]], row[5]) if row[4] != NONE else ('', '')
        rows.writerow([names[row[0]], row[1], names[row[2]], row[3], *truth])
    storage.write(path, text.getvalue())


def read(path: epath.PathLike, part: ShardSet) -> Pairs:
    """Read a stored list.

    Raises:
      UserError: the file is no list, cannot be read (tables.py), or is a list of other data.
    """
    content = tables.text(path)
    head = content[: len(HEAD) + 200].partition('\n')[0]
    words = head.replace(',', '').split()
    if not head.startswith(HEAD) or 'kind' not in words[:-1] or 'seed' not in words[:-1]:
        raise UserError(f'{path}: not a list of pairs (its first line is not {HEAD!r} ...)')
    _, *lines = tables.rows(content, path)
    if not lines or tuple(tables.header(lines[0][1], path)) != COLUMNS:
        raise UserError(f'{path}, line 2: expected the columns {",".join(COLUMNS)}')
    records = {str(name): i for i, name in enumerate(part.columns.track_id)}
    rows = [_numbers(cells, records, part, f'{path}, line {n}') for n, cells in lines[1:]]
    if not rows:
        raise UserError(f'{path}: an empty list')
    kind, seed = words[words.index('kind') + 1], _count(words[words.index('seed') + 1])
    return Pairs(kind, seed or 0, np.array(rows, np.int64))


def _numbers(cells: list[str], records: dict, part: ShardSet, where: str) -> list[int]:
    """Read a row: names of tracks become record numbers."""
    if len(cells) != len(COLUMNS):
        raise UserError(f'{where}: {len(cells)} cells, expected {len(COLUMNS)}')
    row = []
    for name, frame in zip(cells[::2], cells[1::2], strict=True):
        if not name and len(row) == 4:
            row += [NONE, NONE]
        elif name not in records:
            raise UserError(
                f'{where}: {part.directory}, split {part.split}, has no track {name!r}; the list '
                'was made of other data'
            )
        elif (number := _count(frame)) is None or number >= part.columns.frames[records[name]]:
            raise UserError(f'{where}: track {name!r} has no frame {frame[:40]!r}')
        else:
            row += [records[name], number]
    return row


def _count(cell: str) -> int | None:
    """Read a number of at most 18 digits."""
    return int(cell) if cell.isdecimal() and len(cell) <= 18 else None


# --- kinds -----------------------------------------------------------------------------------


def spread(count: int, most: int) -> list[int]:
    """Choose at most `most` of `count` numbers, evenly apart."""
    return [int(i) for i in np.linspace(0, count - 1, min(count, most)).round()]


def _self(part: ShardSet, most: int, rng) -> list:
    return [
        (record, 0, record, frame, record, frame)
        for record in spread(len(part), most)
        for frame in range(1, part.columns.frames[record])
    ]


def _cross(part: ShardSet, most: int, rng) -> list:
    rows = []
    for record in spread(len(part), most):
        others = np.flatnonzero(part.identity != part.identity[record])
        if len(others):
            driver = int(rng.choice(others))
            frames = part.columns.frames[driver]
            rows += [(record, 0, driver, frame, NONE, NONE) for frame in range(frames)]
    return rows


def _gt_cross(part: ShardSet, most: int, rng) -> list:
    triples = cross_triples(part.columns.pair, part.columns.role)
    rows = []
    for i in spread(len(triples), most) if len(triples) else ():
        source, driving, truth = map(int, triples[i])
        frames, driven = part.columns.frames[truth], part.columns.frames[driving]
        if frames != driven:
            raise UserError(f'{part.where(truth)}: {frames} frames, its driver has {driven}')
        rows += [(source, 0, driving, frame, truth, frame) for frame in range(frames)]
    return rows


def _lsim(part: ShardSet, most: int, rng) -> list:
    units = np.where(part.columns.aus_valid, part.columns.aus, 0).astype(np.float32)
    units = units[:, : len(AU_NAMES)]
    record = np.repeat(np.arange(len(part)), part.columns.frames)
    person, starts = part.identity[record], part.frame_starts
    if not part.columns.aus_valid[:, : len(AU_NAMES)].any() or part.people < 2:
        return []
    rows = []
    for a in rng.permutation(len(record))[:most]:
        same = np.flatnonzero((record == record[a]) & (np.arange(len(record)) != a))
        if not len(same):
            continue
        b = int(rng.choice(same))
        others = np.flatnonzero(person != person[a])
        nearest = int(others[np.square(units[others] - units[b]).sum(1).argmin()])
        chosen = [(record[i], i - starts[record[i]]) for i in (int(a), nearest, b)]
        rows.append(tuple(int(value) for place in chosen for value in place))
    return sorted(rows)


def _clip(part: ShardSet, person: int, rng) -> list[tuple[int, int]]:
    """Draw a clip of a person: `_FRAMES` consecutive frames, or their longest track."""
    own = np.flatnonzero(part.identity == person)
    lengths = np.minimum(np.asarray(part.columns.frames)[own], _FRAMES)
    record = int(rng.choice(own[lengths == lengths.max()]))
    start = int(rng.integers(part.columns.frames[record] - lengths.max() + 1))
    return [(record, start + i) for i in range(int(lengths.max()))]


def _people(part: ShardSet, most: int, rng) -> list[int]:
    """Draw people of a protocol."""
    people = np.unique(part.identity)
    return [int(p) for p in rng.permutation(people)[: min(_SUBJECTS, most)]]


def _ldnet_self(part: ShardSet, most: int, rng) -> list:
    rows = []
    for person in _people(part, most, rng):
        first, *others = _clip(part, person, rng)
        rows += [(*first, *place, *place) for place in others]
    return rows


def _ldnet_cross(part: ShardSet, most: int, rng) -> list:
    people, rows = _people(part, most, rng), []
    clips = {person: _clip(part, person, rng) for person in people}
    for person, other in zip(people, people[1:] + people[:1], strict=True):
        if person != other:
            rows += [(*clips[person][0], *place, NONE, NONE) for place in clips[other]]
    return rows


def neutral_frame(part: ShardSet, record: int) -> int:
    """Return the frame of a record that is nearest to a face at rest.

    It is the one that its label calls neutral (label 0 of sets of labelled stills), or else the one
    with the least action units, or else the first.
    """
    start, stop = part.frame_starts[record : record + 2]
    labels = part.columns.expression[start:stop]
    if _of_stills(part) and (labels == 0).any():
        return int(np.flatnonzero(labels == 0)[0])
    known = part.columns.aus_valid[start:stop, : len(AU_NAMES)]
    units = np.where(known, part.columns.aus[start:stop, : len(AU_NAMES)], 0)
    return int(units.sum(1).argmin()) if known.any() else 0


def _of_stills(part: ShardSet) -> bool:
    """Tell whether labels have the names of `reenact-jax prepare stills`, neutral first."""
    return 'neutral' in part.parameters.get('expressions', ())[:1]


def _freenet(part: ShardSet, most: int, rng) -> list:
    del most  # all people, as in the paper
    rows = []
    for person in np.unique(part.identity):
        source = int(rng.choice(np.flatnonzero(part.identity == person)))
        others = np.flatnonzero(part.identity != person)
        if len(others):
            drivers = np.sort(rng.choice(others, _FRAMES)).tolist()
            frames = [int(rng.integers(part.columns.frames[record])) for record in drivers]
            reference = neutral_frame(part, source)
            pairs = zip(drivers, frames, strict=True)
            rows += [(source, reference, record, frame, NONE, NONE) for record, frame in pairs]
    return rows


def _labelled(part: ShardSet, most: int, rng) -> list:
    del most  # as `_freenet`
    rows, starts = [], part.frame_starts
    record = np.repeat(np.arange(len(part)), part.columns.frames)
    person, expression = part.identity[record], part.columns.expression
    pose = part.columns.pose_id
    for one in np.unique(part.identity):
        source = int(rng.choice(np.flatnonzero(part.identity == one)))
        reference = neutral_frame(part, source)
        own = np.flatnonzero((record == source) & (expression >= 0))
        own = own[own != starts[source] + reference]
        for _ in range(_FRAMES if len(own) else 0):
            truth = int(rng.choice(own))
            alike = (expression == expression[truth]) & (pose == pose[truth]) & (person != one)
            if alike.any():
                driver = int(rng.choice(np.flatnonzero(alike)))
                chosen = [(record[i], i - starts[record[i]]) for i in (driver, truth)]
                rows.append((source, reference, *(int(n) for place in chosen for n in place)))
    return sorted(rows)


def short_clips(part: ShardSet, chosen: Pairs) -> str:
    """Say of a protocol's list which clips are shorter than the paper's; '' if none is."""
    if chosen.kind not in ('ldnet_self', 'ldnet_cross'):
        return ''
    clips = np.unique(chosen.rows[:, 2:4], axis=0)
    frames = np.bincount(clips[:, 0])
    frames = frames[frames > 0] + (chosen.kind == 'ldnet_self')  # the source is the clip's first
    short = frames[frames < _FRAMES]
    if not len(short):
        return ''
    lengths = f'{short.min()} to {short.max()}'
    return f'{len(short)} of {len(frames)} clips are shorter than {_FRAMES} frames: {lengths}.'


_MAKERS = {
    'self': _self, 'cross': _cross, 'gt_cross': _gt_cross, 'lsim': _lsim,
    'ldnet_self': _ldnet_self, 'ldnet_cross': _ldnet_cross, 'freenet': _freenet,
    'labelled': _labelled,
}  # fmt: skip
_TWO = 'one person; cross-reenactment needs two'
_NEEDS = {
    'self': 'no track with two frames', 'cross': _TWO,
    'gt_cross': "no pairs with their truth (a synthetic set's split gt_cross has them)",
    'lsim': 'needs known action units, two people and two frames of each',
    'ldnet_self': 'no person with two frames', 'ldnet_cross': _TWO, 'freenet': _TWO,
    'labelled': 'no two people share labels of expression and pose',
}  # fmt: skip
