"""Speed of data at sizes and distances that no test has; nothing is kept.

    python -m launch.data_speed opening      # an index of 1e7 tracks in 1e5 shards (25 GB of disk)
    python -m launch.data_speed far          # a bucket 100 ms away, more and more requests
    python -m launch.data_speed partners     # pairs by action units, larger and larger sets

`far` has a stand-in for Google Cloud Storage in a process of its own (tests/gcs.py), which shares
the processor with the reader.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import sys
import tempfile
import threading
import time
import types

import numpy as np

from reenact_jax.common import errors
from reenact_jax.data import shards
from reenact_jax.data.batches import Loader, Reading, similar
from reenact_jax.data.shards import index, joined, manifest

ROOT = pathlib.Path(__file__).parent.parent


def opening(folder: pathlib.Path, tracks: int, count: int, frames: int) -> dict:
    """Open a set whose records are made up: seconds, and memory that is not mapped.

    Args:
      folder: empty, for the set; an index row takes some 1.2 kB at 8 frames.
      tracks: of the set, as many in each shard.
      count: of shards.
      frames: of each track.
    """
    begin = time.perf_counter()
    _write_index(folder, tracks // count, count, frames)
    writing = time.perf_counter() - begin
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        result = pool.apply(_open, (str(folder),))
    size = (folder / manifest.joined_file('train')).stat().st_size
    return {'tracks': count * (tracks // count), 'shards': count, 'frames of a track': frames,
            'index, GB': size / 1e9, 'writing, s': writing, **result}  # fmt: skip


def _write_index(folder: pathlib.Path, each: int, count: int, frames: int) -> None:
    """Write the indices of a set whose shards are holes; every shard has the same columns."""
    rng, entries = np.random.default_rng(0), []
    pieces = int(index.piece_count(frames))
    names = np.array([f'person{n:05d}/clip/00000' for n in range(each)])
    lengths = np.full(each, 20_000 * frames)
    columns = index.Columns(
        track_id=names,
        offset=np.cumsum(lengths) - lengths,
        length=lengths,
        identity=rng.integers(0, 10_000, each),
        frames=np.full(each, frames, np.int32),
        size=np.full(each, 256, np.int32),
        pair=np.full(each, -1, np.int32),
        role=np.full(each, -1, np.int32),
        expression=np.full(each * frames, -1, np.int32),
        pose_id=np.full(each * frames, -1, np.int32),
        aus=rng.random((each * frames, 20)).astype(np.float16),
        aus_valid=np.ones((each * frames, 20), bool),
        pieces=rng.integers(0, 2**32, (each * pieces, 3), dtype=np.uint32),
    )
    with joined.joining(folder) as joiner:
        for number in range(count):
            entry = {
                'file': manifest.shard_file('train', number, count), 'bytes': int(lengths.sum()),
                'records': each, 'sha256': f'{number:064x}', 'index_sha256': f'{number:064x}',
            }  # fmt: skip
            with open(folder / entry['file'], 'wb') as file:
                file.truncate(entry['bytes'])
            entries.append(entry)
            joiner.add(columns)
        about = joiner.write(folder / manifest.joined_file('train'))
    split = {'parameters': {}, 'shards': entries, 'records': each * count, 'people': 10_000}
    split |= {'frames': each * count * frames, 'identities': 10_000}
    manifest.write(folder, {'train': split}, {}, {'train': about})


def _open(folder: str) -> dict:
    """Open the set; also what a first batch needs of it: partners."""
    peak, done = [_anonymous()], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], _anonymous())

    before = peak[0]
    watcher = threading.Thread(target=watch)
    watcher.start()
    begin, busy = time.perf_counter(), time.process_time()
    part = shards.ShardSet(folder, 'train')
    seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    opened = peak[0]
    loader = Loader(part, batch_size=8, reads=('image',))
    partners = time.perf_counter() - begin - seconds
    done.set()
    watcher.join()
    gib = 2**30
    return {'opening, s': seconds, 'opening, s of CPU': busy,
            'partners of other identities, s': partners,
            'memory before, GiB': before / gib, 'memory while opening, at most, GiB': opened / gib,
            'memory with partners, at most, GiB': max(peak) / gib,
            'records': len(part), 'epoch': loader.epoch}  # fmt: skip


def _anonymous() -> int:
    """Bytes of this process in memory that are no pages of files."""
    text = pathlib.Path('/proc/self/status').read_text()
    return 1024 * int(text.partition('RssAnon:')[2].split()[0])


def far(folder: pathlib.Path, seconds: float, delays: list[float], requests: list[int]) -> dict:
    """Read batches of a bucket: rows a second and CPU a row, by delay and requests in flight.

    Args:
      folder: is not used; the bucket is in memory.
      seconds: of each measurement.
      delays: of an answer, seconds.
      requests: most in flight.
    """
    del folder
    context = multiprocessing.get_context('spawn')
    delay, port, rows = context.Value('d', 0.0), context.Value('i', 0), {}
    server = context.Process(target=_serve, args=(delay, port), daemon=True)
    server.start()
    while not port.value:
        time.sleep(0.05)
    os.environ['STORAGE_EMULATOR_HOST'] = f'http://127.0.0.1:{port.value}'
    os.environ |= {'GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT': 'false', 'no_proxy': '127.0.0.1'}
    import fakes

    part = fakes.fake_shards('gs://bucket/set', identities=16, tracks=16, size=64, frames=8)
    for delay.value in delays:
        for most in requests:
            reading = Reading(requests=most)
            rows[f'{1e3 * delay.value:g} ms, {most} requests'] = _rate(part, reading, seconds)
            print(list(rows.items())[-1], flush=True)
    delay.value = 0
    time.sleep(3)  # batches that nobody takes are still on their way
    server.kill()
    return rows


def _rate(part, reading: Reading, seconds: float) -> dict[str, float]:
    """Count rows of images and landmarks a second, batches of 16, after the first ones."""
    loader = Loader(part, batch_size=16, reads=('image', 'landmarks'), reading=reading)
    try:
        for _ in range(2):
            next(loader)
        count, begin, busy = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - begin < seconds:
            next(loader)
            count += 16
        passed, busy = time.perf_counter() - begin, time.process_time() - busy
        return {'rows/s': count / passed, 'ms of CPU a row, reader': 1e3 * busy / count}
    finally:
        loader.close()


def _serve(delay, port) -> None:
    import gcs

    with gcs.serving() as server:
        port.value = server.server_port
        while True:
            server.delay = delay.value
            time.sleep(0.05)


def partners(folder: pathlib.Path, sizes: list[int], pairs: int) -> dict:
    """Search partners by action units: CPU milliseconds a pair, and how many find one.

    Args:
      folder: is not used.
      sizes: tracks of 8 frames each.
      pairs: searches timed for each size.
    """
    del folder
    result = {}
    for tracks in sizes:
        part, person = _expressions(tracks, 8)
        begin = time.perf_counter()
        search = similar.SimilarFrames(part, person, 0.05)
        sorting, found, times = time.perf_counter() - begin, 0, []
        for frame in np.random.default_rng(1).integers(0, 8 * tracks, pairs).tolist():
            begin = time.process_time()
            found += next(search.of(frame, np.random.default_rng(frame)), None) is not None
            times.append(1e3 * (time.process_time() - begin))
        result[f'{tracks} tracks'] = {
            'sorting, s': sorting, 'mean, ms of CPU': float(np.mean(times)),
            '99 %, ms of CPU': float(np.percentile(times, 99)), 'longest, ms of CPU': max(times),
            'with a partner': found / pairs,
        }  # fmt: skip
        print(tracks, result[f'{tracks} tracks'], flush=True)
    return result


def _expressions(tracks: int, frames: int):
    """Make frames of people who speak and smile: few AUs are active at a time, each by chance."""
    rng, count = np.random.default_rng(0), tracks * frames
    aus = np.zeros((count, 20), np.float16)
    active = rng.random((count, 17)) < 0.25
    aus[:, :17] = np.where(active, rng.beta(1.5, 3, (count, 17)), rng.beta(1, 30, (count, 17)))
    columns = types.SimpleNamespace(aus=aus, aus_valid=np.ones((count, 20), bool))
    return types.SimpleNamespace(columns=columns), np.repeat(np.arange(tracks) // 10, frames)


def main(arguments: list[str] | None = None) -> dict:
    """Run one measurement; print and return its numbers."""
    parser = errors.Parser('python -m launch.data_speed', __doc__)
    parts = parser.add_subparsers(dest='part', required=True, parser_class=argparse.ArgumentParser)
    part = parts.add_parser('opening', help='index of many shards')
    part.add_argument('--tracks', type=int, default=10_000_000)
    part.add_argument('--count', type=int, default=100_000, help='of shards')
    part.add_argument('--frames', type=int, default=8, help='of a track')
    part = parts.add_parser('far', help='batches of a bucket')
    part.add_argument('--seconds', type=float, default=5)
    part.add_argument('--delays', type=float, nargs='+', default=[0, 0.1])
    part.add_argument('--requests', type=int, nargs='+', default=[1, 4, 16, 64])
    part = parts.add_parser('partners', help='pairs by action units')
    part.add_argument('--sizes', type=int, nargs='+', default=[20_000, 200_000], help='tracks')
    part.add_argument('--pairs', type=int, default=300)
    args = vars(parser.parse_args(arguments))
    sys.path.insert(0, str(ROOT / 'tests'))
    measure = {'opening': opening, 'far': far, 'partners': partners}[args.pop('part')]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        result = measure(pathlib.Path(folder), **args)
    print(json.dumps(result, indent=1))
    return result


if __name__ == '__main__':
    main()
