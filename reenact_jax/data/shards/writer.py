"""Writing shards: streaming, resumable, from several processes; nothing looks complete too early.

write(DIR, 'train', tracks, shards=8)                     # one process

if not complete(DIR, 'train', 3, 8, parameters):          # any process, any order
    with ShardWriter(DIR, 'train', 3, 8, parameters) as writer:
        writer.add(track)
finish(DIR, 'train', shards=8, parameters=parameters)     # one process, at the end
"""

import contextlib
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping

import numpy as np

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data.shards import index as shard_index
from reenact_jax.data.shards import joined, sidecars, tfds_metadata
from reenact_jax.data.shards import manifest as shard_manifest
from reenact_jax.data.shards.repeats import Repeats


class ShardWriter:
    """A writer of one shard and its sidecar, used as a context manager.

    The shard takes its name when the block ends without an error, then the sidecar, whose presence
    says that the shard is complete. A shard has one writer at a time.
    """

    def __init__(
        self, directory, split: str, number: int, count: int, parameters: Mapping | None = None
    ):
        """Prepare a shard; its file begins with the block.

        Args:
          directory: of the set.
          split: 'train', 'test', 'gt_cross', ...
          number: of the shard, from 0.
          count: of the split's shards.
          parameters: plain values that say how the shard was made, which `complete` compares.
        """
        self._directory = storage.path(directory)
        self._name = shard_manifest.shard_file(split, number, count)
        self._joined = shard_manifest.joined_file(split)
        self._parameters = _plain(parameters)
        self._stack = contextlib.ExitStack()
        self._collector = shard_index.Collector()
        self._digest = hashlib.sha256()
        self._bytes = self._records = 0

    def __enter__(self) -> 'ShardWriter':
        file = self._directory / self._name
        with contextlib.ExitStack() as stack:
            stack.enter_context(
                storage.owning(self._directory, self._name, 'the writer of a shard')
            )
            storage.remove_partials(self._directory, self._name)
            # The old indices go first: beside another shard they would vouch for the wrong bytes.
            for name in (self._joined, shard_manifest.index_file(self._name)):
                storage.remove(self._directory / name)
            stack.push(self._complete)  # after the shard has its name
            self._file = stack.enter_context(storage.writing(file))
            self._stack = stack.pop_all()
        return self

    def add(self, track: tracks.Track) -> None:
        """Append a track.

        Raises:
          UserError: it has no frames, or a field is not as `tracks.FIELDS` says.
        """
        if track.frames == 0:
            raise UserError(f'track {track.track_id}: no frames')
        record = tracks.encode(track)
        framed = tfrecord.frame(record)
        self._file.write(framed)
        self._digest.update(framed)
        self._collector.add(vars(track), record, self._bytes, len(framed))
        self._bytes += len(framed)
        self._records += 1

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def _complete(self, kind, error, trace) -> None:
        """Write the sidecar, unless there was an error."""
        if kind is None:
            summary = {
                'file': self._name,
                'bytes': self._bytes,
                'records': self._records,
                'sha256': self._digest.hexdigest(),
                'parameters': self._parameters,
            }
            write_index(self._directory, self._collector.columns(), summary)


def write_index(directory, columns: shard_index.Columns, summary: dict) -> None:
    """Write the sidecar of the shard `summary['file']`."""
    name = shard_manifest.index_file(summary['file'])
    storage.write(f'{directory}/{name}', shard_index.to_bytes(columns, summary))


def complete(
    directory, split: str, number: int, count: int, parameters: Mapping | None = None
) -> bool:
    """Tell whether a shard is there, whole (by its digest) and made with these parameters."""
    name = shard_manifest.shard_file(split, number, count)
    index = storage.path(directory) / shard_manifest.index_file(name)
    if not index.exists():
        return False
    try:
        _, summary = shard_index.from_bytes(storage.read(index), str(index))
        return (
            summary['parameters'] == _plain(parameters)
            and summary['bytes'] == storage.size(index.parent / name)
            and summary['sha256'] == storage.file_digest(index.parent / name)
        )
    except (UserError, KeyError):
        return False


def write(
    directory,
    split: str,
    items: Iterable[tracks.Track],
    *,
    shards: int = 1,
    parameters: Mapping | None = None,
) -> None:
    """Write a split and finish it; its shards take the tracks in turn.

    Args:
      directory: of the set, made if missing; other splits in it are kept.
      split: 'train', 'test', 'gt_cross', ...
      items: the tracks, taken one at a time.
      shards: number of files.
      parameters: plain values that say how the tracks were made; kept in the set's index.
    """
    refuse_strays(directory, split, shards)
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(ShardWriter(directory, split, n, shards, parameters))
            for n in range(shards)
        ]
        for position, track in enumerate(items):
            writers[position % shards].add(track)
    finish(directory, split, shards=shards, parameters=parameters)


def finish(directory, split: str, *, shards: int, parameters: Mapping | None = None) -> None:
    """Make the set's index and TFDS metadata, once every shard of the split is written.

    Args:
      directory: of the set; other splits in its index keep their entries.
      split: its name.
      shards: number of files.
      parameters: plain values that say how the tracks were made.

    Raises:
      UserError: shards are missing, incomplete or of another count, or tracks have the same name.
    """
    refuse_strays(directory, split, shards)
    entry, index = summarise(directory, split, shards, parameters)
    others = {'splits': {}}
    if (storage.path(directory) / shard_manifest.MANIFEST).exists():
        others = shard_manifest.read(directory)
    splits = {**others['splits'], split: entry}
    publish(directory, splits, {**others.get('indices', {}), split: index})


def publish(directory, splits: dict, indices: dict) -> None:
    """Write the TFDS metadata, then the set's index, whose entries are given."""
    metadata = {
        'features.json': tfds_metadata.features_json(),
        'dataset_info.json': tfds_metadata.dataset_info_json(splits),
    }
    for name, text in metadata.items():
        storage.write(f'{directory}/{name}', text)
    digests = {name: storage.digest(text.encode()) for name, text in metadata.items()}
    shard_manifest.write(directory, splits, digests, indices)


def refuse_strays(directory, split: str, shards: int) -> None:
    """Refuse a directory that holds shards of this split with another count.

    Raises:
      UserError: it does, or a name is not allowed.
    """
    shard_manifest.shard_file(split, 0, shards)  # checks both names
    if not storage.path(directory).exists():
        return
    others = shard_manifest.found_shards(directory).get(split, set()) - {shards}
    if others:
        raise UserError(
            f'{directory}: holds {split} shards of another count ({min(others)}, not {shards}); '
            f'delete {shard_manifest.NAME}-{split}.* there, use that count or another directory'
        )


def summarise(
    directory, split: str, count: int, parameters: Mapping | None = None
) -> tuple[dict, dict]:
    """Make the split's entry in the set's index, and the split's index, from the sidecars.

    Returns:
      The entry, and what `joined.Joiner.write` returned.

    Raises:
      UserError: as `finish`.
    """
    names = [shard_manifest.shard_file(split, number, count) for number in range(count)]
    found = storage.sizes(directory) if storage.exists(directory) else {}
    for name in names:
        if shard_manifest.index_file(name) not in found:
            raise UserError(f'{directory}/{name}: shard not complete; run its writer again')
    entries, identity, frames, repeats = [], [], 0, Repeats()
    with joined.joining(directory) as joiner:
        read = functools.partial(_sidecar, directory, found)
        for entry, part in sidecars.in_turn(directory, read, names):
            entries.append(entry)
            identity.append(part.identity)
            frames += int(part.frames.sum())
            repeats.add(part.track_id)
            joiner.add(part)
        repeats.refuse(joiner, f'{directory}, split {split}')
        index = joiner.write(f'{directory}/{shard_manifest.joined_file(split)}')
    people = np.unique(np.concatenate(identity))
    return {
        'parameters': _plain(parameters),
        'shards': entries,
        'records': sum(entry['records'] for entry in entries),
        'frames': frames,
        'people': len(people),
        'identities': int(people.max(initial=-1)) + 1,
    }, index


def _sidecar(directory, found: dict[str, int], name: str) -> tuple[dict, shard_index.Columns]:
    """Read a shard's entry of the set's index and its columns; `found`: lengths of all files."""
    file, index = f'{directory}/{name}', f'{directory}/{shard_manifest.index_file(name)}'
    content = storage.read(index)
    part, summary = shard_index.from_bytes(content, index)
    if found.get(name) != summary['bytes']:
        raise UserError(f'{file}: not the length in its index; write it again')
    entry = {key: summary[key] for key in ('file', 'bytes', 'records', 'sha256')}
    return {**entry, 'index_sha256': storage.digest(content)}, part


def _plain(parameters: Mapping | None) -> dict:
    """Return parameters as they come back from JSON, or refuse what it cannot hold (UserError)."""
    try:
        return json.loads(json.dumps(dict(parameters or {}), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f'parameters: plain values expected ({error})') from None
