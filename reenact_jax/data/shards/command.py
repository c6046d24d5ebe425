"""Check a shard set: every digest and every record.

    reenact-jax shards --data data/people
    reenact-jax shards --data data/people --join-index
    reenact-jax shards --data data/people --rebuild-index

Damage is named and gives exit code 1; without damage the command prints what each split holds.
"""

from reenact_jax.common import data_flag, errors
from reenact_jax.data.shards import ShardSet, join, rebuild, splits, verify


def main(arguments: list[str] | None = None) -> int:
    """Run the command: check a set, or make its indices anew."""
    parser = errors.Parser('reenact-jax shards', __doc__)
    data_flag.add(parser, 'shard set: the folder with face_tracks.json and *.tfrecord-* files')
    parser.add_argument(
        '--join-index',
        action='store_true',
        help='make the index of each split from the sidecars, where it was lost or the set is of '
        'an earlier version, which opens more slowly',
    )
    parser.add_argument(
        '--rebuild-index',
        action='store_true',
        help='read all shards, make their indices, the index of the set and the TFDS metadata '
        'anew; shards are not changed',
    )
    options = data_flag.parse(parser, arguments)
    data = options.data
    if options.rebuild_index:
        rebuild(data)
    elif options.join_index:
        join(data)
    problems = verify(data)
    for problem in problems:
        print(problem)
    if problems:
        return 1
    for split in splits(data):
        part = ShardSet(data, split)
        print(
            f'{split}: {len(part)} tracks, {part.frame_starts[-1]} frames, {part.people} people, '
            f'{len(part.files)} shards: no damage'
        )
    return 0
