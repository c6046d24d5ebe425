"""Rules that choose every record's partner by the index columns; no record is read.

Both rules have the same three methods. Given a base record they draw its K frames, list its
possible partners in a fixed order from a drawn start (so that a damaged partner has a definite
successor), and choose the partner's K frames.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from reenact_jax.common.errors import UserError
from reenact_jax.data.batches import similar
from reenact_jax.data.shards import ShardSet


def draw_frames(frames: int, k: int, rng: np.random.Generator) -> Int[np.ndarray, ' k']:
    """Draw K different frames of a track of `frames`; only if K is larger they repeat in turn."""
    order = rng.permutation(frames)
    return order[:k] if k <= frames else np.resize(order, k)


class OtherIdentity:
    """Partners have different identities; every record of another person is equally likely."""

    def __init__(self, shards: ShardSet, unused: bool = False):
        """Sort the records of a set by person.

        Args:
          shards: the split.
          unused: no loss looks at partners: in a set of one person any record will do.

        Raises:
          UserError: there is one person alone, and partners are used.
        """
        self._alone = unused and shards.people < 2
        if not self._alone:
            _refuse_one_person(shards)
        self._shards = shards  # not its columns: another process maps them itself
        self._order = np.argsort(shards.identity, kind='stable')
        ordered = shards.identity[self._order]
        # For every record: where the records of its person begin and end in that order.
        self._first = np.searchsorted(ordered, shards.identity)
        self._last = np.searchsorted(ordered, shards.identity, side='right')
        self.bases = np.arange(len(shards))

    def base_frames(self, base: int, k: int, rng) -> Int[np.ndarray, ' k']:
        """Draw the K frames of a base record."""
        return draw_frames(int(self._shards.columns.frames[base]), k, rng)

    def candidates(self, base: int, frame: int, rng) -> Iterator[tuple[int, int]]:
        """List (record, its frame 0) of possible partners, in order; the frame -1 means any."""
        person = (0, 0) if self._alone else (self._first[base], self._last[base])
        for place in _outside(0, len(self._order), *person, rng):
            yield int(self._order[place]), -1

    def partner_frames(self, base, base_frames, partner, frame, rng) -> Int[np.ndarray, ' k']:
        """Draw the K frames of the partner."""
        return draw_frames(int(self._shards.columns.frames[partner]), len(base_frames), rng)


class SameExpression:
    """Partners have different identities and show the same expression in frame 0.

    Expressions are the same if their labels are; for a frame without a label that others share, if
    the mean absolute difference of the AU intensities (those measured in both, 8 at least) is at
    most `au_bound`, where a bounded number of frames is compared (similar.py). Frames 1 ... K-1
    agree as well where the partner's track has such frames. Records without a frame of either kind
    are never bases.

    With `pose` partners also share the label of the pose, and AUs are no substitute.
    """

    def __init__(self, shards: ShardSet, au_bound: float, pose: bool = False):
        """Sort the frames of a set by label and person.

        Args:
          shards: the split.
          au_bound: largest mean |AU difference| of frames without labels, 0..1.
          pose: whether partners share the label of the pose too.

        Raises:
          UserError: there is one person alone, or neither shared labels nor AUs.
        """
        _refuse_one_person(shards)
        columns = shards.columns
        self._bound, self._shards = au_bound, shards
        self._label = _joint_label(columns) if pose else columns.expression
        self._record = np.repeat(np.arange(len(shards), dtype=np.int32), columns.frames)
        persons, person = np.unique(shards.identity, return_inverse=True)
        self._person = person.astype(np.int32)[self._record]  # a number for every frame
        self._people = len(persons)
        # Frames with a label, sorted by label, then person: both are blocks of one sorted key.
        key = self._label.astype(np.int64) * self._people + self._person
        labelled = np.flatnonzero(self._label >= 0)
        self._order = labelled[np.argsort(key[labelled], kind='stable')]
        self._key = key[self._order]
        self._by_label = (self._label >= 0) & self._label_is_shared(key)
        enough = columns.aus_valid[:, similar.UNITS].sum(1) >= similar.MIN_COMMON
        self._by_aus = enough & ~self._by_label & (not pose)
        self._similar = None
        if self._by_aus.any():
            self._similar = similar.SimilarFrames(shards, self._person, au_bound)
        usable = self._by_label | self._by_aus
        self.bases = np.unique(self._record[usable])
        if not len(self.bases) and pose:
            raise UserError(
                f'{shards.directory}, split {shards.split}: no two people share the labels of '
                'expression and pose; neighbour=same_pose needs that, synthetic people do unless '
                'made with --own-poses'
            )
        if not len(self.bases):
            raise UserError(
                f'{shards.directory}, split {shards.split}: no expression label is shared by two '
                'people and no frame has AUs; neighbour=same_expression needs either'
            )

    def base_frames(self, base: int, k: int, rng) -> Int[np.ndarray, ' k']:
        """Draw the K frames of a base record, the first with a shared label, else with AUs."""
        order = rng.permutation(self._shards.columns.frames[base])
        at = self._shards.frame_starts[base] + order
        for usable in (self._by_label[at], self._by_aus[at]):
            if usable.any():
                first = int(np.argmax(usable))
                order = np.concatenate([order[first : first + 1], np.delete(order, first)])
                break
        return np.resize(order, k)

    def candidates(self, base: int, frame: int, rng) -> Iterator[tuple[int, int]]:
        """List (record, its frame 0) of possible partners, in order; none may be in the bound."""
        at = self._shards.frame_starts[base] + frame
        if self._similar is None or self._by_label[at]:
            places = self._labelled(at, rng)
        else:
            places = self._similar.of(at, rng)
        seen = set()
        for place in places:
            record = int(self._record[place])
            if record not in seen:
                seen.add(record)
                yield record, int(place - self._shards.frame_starts[record])

    def partner_frames(self, base, base_frames, partner, frame, rng) -> Int[np.ndarray, ' k']:
        """Draw `frame`, then for each further base frame one that agrees with it, else any."""
        chosen, columns = [frame], self._shards.columns
        own = self._shards.frame_starts[partner] + np.arange(int(columns.frames[partner]))
        for at in self._shards.frame_starts[base] + base_frames[1:]:
            if self._label[at] >= 0:
                agrees = self._label[own] == self._label[at]
            else:
                aus, valid = columns.aus, columns.aus_valid
                away = similar.distance(aus[at], valid[at], aus[own], valid[own])
                agrees = away <= self._bound
            unused = ~np.isin(own - own[0], chosen)
            for choice in (agrees & unused, agrees, unused, np.ones_like(unused)):
                if choice.any():
                    chosen.append(int(rng.choice(np.flatnonzero(choice))))
                    break
        return np.array(chosen)

    def _label_is_shared(self, key: np.ndarray) -> np.ndarray:
        """Tell for every frame whether another person has a frame with its label."""
        first, last = self._block(self._label.astype(np.int64) * self._people, self._people)
        own_first, own_last = self._block(key, 1)
        return last - first > own_last - own_first

    def _block(self, key, width: int):
        return np.searchsorted(self._key, key), np.searchsorted(self._key, key + width)

    def _labelled(self, at: int, rng) -> Iterator[int]:
        label = int(self._label[at]) * self._people
        block, person = self._block(label, self._people), self._block(label + self._person[at], 1)
        for place in _outside(*block, *person, rng):
            yield self._order[place]


def _joint_label(columns) -> Int[np.ndarray, ' f']:
    """Number the pairs of labels of expression and pose; -1 where one is unknown."""
    both = np.stack([columns.expression, columns.pose_id], 1)
    _, label = np.unique(both, axis=0, return_inverse=True)
    return np.where((both >= 0).all(1), label.ravel(), -1)


def _outside(first, last, hole_first, hole_last, rng) -> Iterator[int]:
    """List [first, last) without [hole_first, hole_last), cyclically from a drawn start."""
    before, hole = int(hole_first - first), int(hole_last - hole_first)
    count = int(last - first) - hole
    start = int(rng.integers(count))
    for place in itertools.chain(range(start, count), range(start)):
        yield int(first) + place + (hole if place >= before else 0)


def _refuse_one_person(shards: ShardSet) -> None:
    if shards.people < 2:
        raise UserError(
            f'{shards.directory}, split {shards.split}: {shards.people} person; the losses of this '
            'stage tell people apart, which needs two people or more'
        )
