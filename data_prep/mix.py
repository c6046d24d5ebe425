"""Mixing of several shard sets into one to train on.

    reenact-jax prepare mix --data data/heads data/people data/people --out data/mixed

People and labels of different sets are different: each set's numbers follow those of the set
before. A set that is named twice counts twice. Records are copied as they are, except for these
numbers and the name of the track, which gets the number of its set in front.
"""

import dataclasses
import json
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from reenact_jax.common import data_flag, errors
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import POINT_SETS, Track


def mix(directories: list[str], out: str, split: str, count: int) -> dict:
    """Write one split of several sets as one set.

    Args:
      directories: of the sets; one named twice counts twice.
      out: folder of the new set.
      split: its name.
      count: files to write.

    Returns:
      Counts of people, tracks and frames.

    Raises:
      UserError: a set has no such split, images differ in size, or no point set is common to all.
    """
    parts = [ShardSet(directory, split) for directory in directories]
    sizes = {int(size) for part in parts for size in np.unique(part.columns.size)}
    if len(sizes) > 1:
        raise UserError(f'images of different sides: {sorted(sizes)}; make them anew with one')
    points = set(POINT_SETS).intersection(*(part.points for part in parts))
    if not points:
        raise UserError('the sets have no point set in common')
    parameters = {'made_by': 'data_prep.mix', 'sets': directories, 'points': sorted(points)}
    shards.write(out, split, _tracks(parts), shards=count, parameters=parameters)
    result = ShardSet(out, split)
    return {'people': result.people, 'tracks': len(result), 'frames': int(result.frame_starts[-1])}


def _tracks(parts: list[ShardSet]) -> Iterator[Track]:
    """Read all tracks and move their numbers; a set named twice shows the same people."""
    firsts: dict[str, dict[str, int]] = {}
    next_ = {'identity': 0, 'expression': 0, 'pose_id': 0}
    bar = tqdm(total=sum(len(part) for part in parts), unit='track', disable=None)
    for number, part in enumerate(parts):
        if part.directory not in firsts:
            firsts[part.directory] = dict(next_)
            for name in next_:
                next_[name] += 1 + int(getattr(part.columns, name).max())
        first = firsts[part.directory]
        for record in range(len(part)):
            yield _moved(part.track(record), number, first)
            bar.update()
    bar.close()


def _moved(track: Track, number: int, first: dict[str, int]) -> Track:
    labels = {
        name: np.where(getattr(track, name) >= 0, getattr(track, name) + first[name], -1)
        for name in ('expression', 'pose_id')
    }
    return dataclasses.replace(
        track,
        track_id=f'{number:02d}_{track.track_id}',
        identity=track.identity + first['identity'],
        **labels,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax prepare mix',
        description=__doc__,
    )
    data_flag.add(parser, 'two shard sets or more; one named twice counts twice', several=True)
    add = parser.add_argument
    add('--out', required=True, metavar='DIR', help='folder of the new set')
    add('--split', default='train', metavar='NAME', help='split to mix; default train')
    add('--shards', type=int, default=8, metavar='N', help='files to write; default 8')
    args = data_flag.parse(parser, arguments)
    if len(args.data) < 2 or args.shards < 1:
        raise UserError('mix: two sets or more, and --shards of 1 or more')
    print(json.dumps(mix(args.data, args.out, args.split, args.shards)))
    return 0


if __name__ == '__main__':
    errors.command(main)
