"""Plan of a set: who performs which motion in which split, as a list of jobs for each shard."""

import dataclasses
from typing import NamedTuple

import numpy as np

from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.data.tracks import DRIVING, SOURCE, TRUTH
from reenact_jax.data_prep.heads.clips import Labels
from reenact_jax.data_prep.heads.variety import Variety

SHARED_BY = 4  # identities that perform the same motion, where there are enough


@dataclasses.dataclass(frozen=True)
class Request:
    """A request for a set: the command's flags."""

    identities: int = setting(24, low=2, high=1_000_000, doc='people in the train split')
    val_identities: int = setting(2, low=0, high=100_000, doc='other people, split val')
    test_identities: int = setting(4, low=0, high=100_000, doc='other people, split test')
    tracks: int = setting(6, low=1, high=100_000, doc='tracks of each person')
    frames: int = setting(16, low=1, high=100, doc='frames of a track, of 100 in 4 s')
    size: int = setting(256, low=32, high=1024, doc='side of the images, pixels')
    cross_pairs: int = setting(8, low=0, high=100_000, doc='pairs with exact ground truth')
    shards: int = setting(0, low=0, high=9999, doc='files of the train split; 0: from identities')
    seed: int = setting(0, low=0, high=2**31 - 1, doc='random seed of people, motions and scenes')
    crossed: bool = setting(False, doc='every person performs every motion')
    own_poses: bool = setting(
        False, doc='people share expressions; each turns the head in a way of their own'
    )
    landmarks_only: bool = setting(False, doc='points and labels without images')
    variety: Variety = dataclasses.field(default_factory=Variety)  # flags of their own


class Job(NamedTuple):
    """One track: a person performs a motion; for pairs, in the crop of a motion of `crop_of`."""

    person: int  # identity in the set
    motion: int  # seed of the motion within the set
    labels: Labels
    crop_motion: int | None = None  # the crop is that of this motion of the same person
    pose_seed: int | None = None  # the head turns as in the motion of this seed


def person_seed(request: Request, identity: int) -> int:
    """Compute the seed of an identity in the set."""
    return request.seed * 1_000_003 + identity


def splits(request: Request) -> dict[str, list[list[Job]]]:
    """List the jobs of each shard of each split.

    Raises:
      UserError: the numbers cannot be met.
    """
    _check(request)
    out, identity, motions = {}, 0, 0
    for name, people in (
        ('train', request.identities),
        ('val', request.val_identities),
        ('test', request.test_identities),
    ):
        if people == 0:
            continue
        groups = 1 if request.crossed else max(1, people // SHARED_BY)
        numbers = range(identity, identity + people)
        count = _shard_count(request, name, people)
        out[name] = [[] for _ in range(count)]
        for n, person in enumerate(numbers):
            first = motions + (n % groups) * request.tracks
            out[name][n % count] += _tracks(request, name, person, first)
        identity += people
        motions += groups * request.tracks
    if request.cross_pairs:
        count = max(1, min(request.cross_pairs, request.cross_pairs // 8))
        pairs = _pairs(request, motions)
        out['gt_cross'] = [[job for pair in pairs[n::count] for job in pair] for n in range(count)]
    return out


def _shard_count(request: Request, split: str, people: int) -> int:
    if split == 'train' and request.shards:
        return min(request.shards, people)
    return max(1, min(people, 2 * round(people / 8) or 2))


def _tracks(request: Request, split: str, identity: int, first: int) -> list[Job]:
    own = request.own_poses
    return [
        Job(identity, first + j,
            Labels(f'{split}_{identity:05d}_{j:04d}', identity, first + j,
                   _scene(request, identity, j), pose=not own),
            pose_seed=_drawn(request, identity, j, 10) if own else None)
        for j in range(request.tracks)
    ]  # fmt: skip


def _scene(request: Request, identity: int, track: int) -> int:
    return _drawn(request, identity, track, 8)


def _drawn(request: Request, identity: int, track: int, what: int) -> int:
    mixed = np.random.default_rng([request.seed, identity, track, what])
    return int(mixed.integers(2**31))


def _pairs(request: Request, motions: int) -> list[list[Job]]:
    """List triples: source A, driving B, ground truth: A with B's motion in A's crop and light."""
    rng = np.random.default_rng([request.seed, 9])
    first = request.identities + request.val_identities
    out = []
    for pair in range(request.cross_pairs):
        a, b = (int(i) + first for i in rng.choice(request.test_identities, 2, replace=False))
        still, moving = motions + 2 * pair, motions + 2 * pair + 1
        here, there = _scene(request, a, 10_000 + pair), _scene(request, b, 20_000 + pair)
        name = f'gt_cross_{pair:05d}'
        out.append([
            Job(a, still, Labels(f'{name}_source', a, still, here, pair, SOURCE)),
            Job(a, moving, Labels(f'{name}_truth', a, moving, here, pair, TRUTH), still),
            Job(b, moving, Labels(f'{name}_driving', b, moving, there, pair, DRIVING)),
        ])  # fmt: skip
    return out


def _check(request: Request) -> None:
    if request.cross_pairs and request.test_identities < 2:
        raise UserError(
            f'--cross-pairs {request.cross_pairs}: a pair needs two people of the test split; '
            'give --test-identities 2 or more, or --cross-pairs 0'
        )
    for flag, people in (('val', request.val_identities), ('test', request.test_identities)):
        if people == 1:
            raise UserError(
                f'--{flag}-identities 1: motions are shared by at least two people; give 0 or 2'
            )
