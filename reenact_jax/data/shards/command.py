"""`reenact-jax shards DIR`: check a set, or rebuild its indices."""

from reenact_jax.common import errors
from reenact_jax.data.shards import ShardSet, rebuild, splits, verify


def main(arguments: list[str] | None = None) -> int:
    """The command: check a set, or rebuild its indices."""
    parser = errors.Parser(
        prog='reenact-jax shards',
        description='Checks every digest and every record of a shard set and names what is '
        'damaged. Exit code 1 if anything is.',
    )
    parser.add_argument('directory', help='the set, with face_tracks.json and *.tfrecord-* files')
    parser.add_argument(
        '--rebuild-index',
        action='store_true',
        help='read all shards, make their indices, the index of the set and the TFDS metadata '
        'anew; shards are not changed',
    )
    options = parser.parse_args(arguments)
    if options.rebuild_index:
        rebuild(options.directory)
    problems = verify(options.directory)
    for problem in problems:
        print(problem)
    if problems:
        return 1
    for split in splits(options.directory):
        part = ShardSet(options.directory, split)
        print(
            f'{split}: {len(part)} tracks, {part.frame_starts[-1]} frames, {part.people} people, '
            f'{len(part.files)} shards: no damage'
        )
    return 0
