"""Checking a shard set against its digests, and making its indices anew from the shards."""

from tqdm import tqdm

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data.shards import index as shard_index
from reenact_jax.data.shards import joined, sidecars
from reenact_jax.data.shards import manifest as shard_manifest
from reenact_jax.data.shards.writer import publish, summarise, write_index


def verify(directory) -> list[str]:
    """Check every file of a set by its digest, and the records of damaged shards.

    Returns:
      The problems, a line each.

    Raises:
      UserError: the set's index itself cannot be read.
    """
    content = shard_manifest.read(directory)
    problems = []
    for name, digest in content['files'].items():
        problems += _compare(f'{directory}/{name}', digest)
    for split, entry in content.get('indices', {}).items():
        problems += _check_index(f'{directory}/{shard_manifest.joined_file(split)}', entry)
    shards = [shard for split in content['splits'].values() for shard in split['shards']]
    total = sum(shard['bytes'] for shard in shards)
    with tqdm(total=total, unit='B', unit_scale=True, desc='verify', disable=None) as bar:
        for shard in shards:
            index = shard_manifest.index_file(shard['file'])
            problems += _compare(f'{directory}/{index}', shard['index_sha256'])
            problems += _check_shard(f'{directory}/{shard["file"]}', shard)
            bar.update(shard['bytes'])
    return problems


def rebuild(directory) -> None:
    """Rebuild sidecars, the set's index and TFDS metadata from the shards in a directory.

    Parameters recorded in sidecars that can still be read are kept.

    Raises:
      UserError: a shard is missing or a record is damaged: write or copy that shard again.
    """
    shards = shard_manifest.found_shards(directory)
    if not shards:
        raise UserError(f'{directory}: no shards named {shard_manifest.NAME}-SPLIT.tfrecord-*')
    for split, counts in shards.items():
        if len(counts) > 1:
            raise UserError(
                f'{directory}: {split} shards of different counts {sorted(counts)}; '
                'delete those that do not belong'
            )
    old = _old_parameters(directory)
    entries, indices = {}, {}
    for split, (count,) in shards.items():
        for number in tqdm(range(count), desc=f'index {split}', unit='shard', disable=None):
            _rebuild_index(directory, shard_manifest.shard_file(split, number, count))
        entries[split], indices[split] = summarise(directory, split, count, old.get(split))
    publish(directory, entries, indices)


def join(directory) -> None:
    """Write the index of each split anew from the sidecars; sets of earlier versions have none.

    Entries of splits stay as they are, so that a run that was made with the set knows it again.

    Raises:
      UserError: the set's index or a sidecar is missing or damaged.
    """
    content = shard_manifest.read(directory)
    indices = {}
    for split, entry in content['splits'].items():
        with joined.joining(directory) as joiner:
            parts = sidecars.columns(directory, entry['shards'])
            for part in tqdm(
                parts, f'join {split}', len(entry['shards']), unit='shard', disable=None
            ):
                joiner.add(part)
            indices[split] = joiner.write(f'{directory}/{shard_manifest.joined_file(split)}')
    shard_manifest.write(directory, content['splits'], content['files'], indices)


def _rebuild_index(directory, name: str) -> None:
    collector, records = shard_index.Collector(), 0
    file, index = f'{directory}/{name}', f'{directory}/{shard_manifest.index_file(name)}'
    for offset, length, record in tfrecord.scan(file):
        fields = tracks.read_fields(record, shard_index.INDEXED, f'{file}, record {records}')
        collector.add(fields, record, offset, length)
        records += 1
    try:
        parameters = shard_index.from_bytes(storage.read(index), index)[1]['parameters']
    except (UserError, KeyError):
        parameters = {}
    summary = {
        'file': name,
        'bytes': storage.size(file),
        'records': records,
        'sha256': storage.file_digest(file),
        'parameters': parameters,
    }
    write_index(directory, collector.columns(), summary)


def _old_parameters(directory) -> dict[str, dict]:
    """Read split -> parameters in the set's index, as far as it can be read."""
    try:
        entries = shard_manifest.read(directory)['splits']
    except UserError:
        return {}
    return {split: entry['parameters'] for split, entry in entries.items()}


def _check_index(file: str, entry: dict) -> list[str]:
    if storage.size(file) is None:
        return [f'{file}: missing; {joined.remedy(file)}']
    try:
        joined.mapped(storage.local(file), file, entry)
    except UserError as error:
        return [str(error)]
    return []


def _compare(file: str, digest: str) -> list[str]:
    if storage.size(file) is None:
        return [f'{file}: missing']
    return [] if storage.file_digest(file) == digest else [f'{file}: damaged (digest differs)']


def _check_shard(file: str, shard: dict) -> list[str]:
    """List the problems of one shard; where its length is right, the damaged records by number."""
    problems = _compare(file, shard['sha256'])
    if not problems or storage.size(file) is None:
        return problems
    if (size := storage.size(file)) != shard['bytes']:
        return [f'{file}: {size} bytes, expected {shard["bytes"]}']
    index = f'{file.rpartition("/")[0]}/{shard_manifest.index_file(shard["file"])}'
    try:
        columns = shard_index.from_bytes(storage.read(index), index)[0]
    except UserError:
        return problems
    reader = storage.Reader(file)
    for number, (offset, length) in enumerate(zip(columns.offset, columns.length, strict=True)):
        try:
            tfrecord.unframe(*reader.read_several(int(offset), *tfrecord.pieces(int(length))))
        except tfrecord.DamagedRecord as error:
            problems.append(f'{file}, record {number}: {error}')
    return problems
