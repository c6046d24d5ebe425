"""Synthetic face tracks with exact labels, as shards.

    reenact-jax prepare synthetic --out data/heads
    reenact-jax prepare synthetic --out data/lmtest --landmarks-only --crossed \
        --identities 100 --tracks 125 --val-identities 0 --test-identities 0 --cross-pairs 0

Heads are made from a seed; every image, point, action unit, pose, gaze, segmentation and label is
exact, and the same command writes the same bytes. If interrupted, run it again: it resumes.
"""

import contextlib
import dataclasses
import functools
import hashlib
import multiprocessing
import os
import pathlib
import queue
import sys
from concurrent import futures

from tqdm import tqdm

from reenact_jax.common import errors, settings
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data_prep.heads import motion, plan
from reenact_jax.data_prep.heads.variety import Variety
from reenact_jax.data_prep.workers import end_with_parent

_EPILOG = """\
splits
  train, val, test    different people; every motion is performed by at least two of its split's
                      people, so that `expression` and `pose_id` (motion x frame) are shared
                      exactly; with --own-poses `expression` alone
  gt_cross            triples of tracks: source (A), driving (B), ground truth: A with B's exact
                      motion, in A's crop, light and background; fields `pair` and `role`

examples
  a set to train on, about half an hour on two cores:
    reenact-jax prepare synthetic --out data/heads --identities 200 --tracks 8
  landmarks of 100 people x 2,000 poses, fully crossed (LD-Net's LMTest), under a minute:
    reenact-jax prepare synthetic --out data/lmtest --landmarks-only --crossed --identities 100 \\
        --tracks 125 --val-identities 0 --test-identities 0 --cross-pairs 0
  look at people, action units and poses: see data_prep/heads/sheets.py
"""


def write(
    directory, request: plan.Request, workers: int = 0, quiet: bool = False
) -> dict[str, int]:
    """Write a set, or what is missing of it.

    Args:
      directory: of the set, made if missing.
      request: what to write.
      workers: processes; 0: one a core; 1: this process.
      quiet: no progress bar.

    Returns:
      Split -> number of shards that had to be written.

    Raises:
      UserError: numbers do not fit, or the directory holds other shards.
    """
    everything = plan.splits(request)
    parameters = _parameters(request)
    written = dict.fromkeys(everything, 0)
    todo = []
    for split, parts in everything.items():
        for number, jobs in enumerate(parts):
            if not shards.complete(directory, split, number, len(parts), parameters):
                todo.append((split, number, len(parts), jobs))
                written[split] += 1
    total = sum(len(job[3]) for job in todo) * request.frames
    done = (
        sum(len(jobs) for parts in everything.values() for jobs in parts) * request.frames - total
    )
    if todo and not (quiet or request.landmarks_only):
        print('the renderer is compiled first, which takes a while', file=sys.stderr)
    with tqdm(total=total + done, initial=done, unit='frame', disable=quiet, smoothing=0.05) as bar:
        run = _here if (workers or os.cpu_count()) == 1 else _processes
        run(str(directory), request, parameters, todo, workers or os.cpu_count(), bar.update)
    for split, parts in everything.items():
        shards.finish(directory, split, shards=len(parts), parameters=parameters)
    return written


def _parameters(request: plan.Request) -> dict:
    """List what a shard depends on: the request, and the code that makes heads."""
    code = hashlib.sha256()
    for file in sorted((pathlib.Path(__file__).parent / 'heads').glob('*.py')):
        code.update(file.read_bytes())
    return {**dataclasses.asdict(request), 'generator': code.hexdigest()}


def _shard(directory, request, parameters, split, number, count, jobs, advance) -> None:
    """Write one shard; the tracks of a person lie together, so that each head is baked once."""
    from reenact_jax.data_prep.heads import clips, likeness

    person = baked = None
    with shards.ShardWriter(directory, split, number, count, parameters) as writer:
        for job in jobs:
            seed = plan.person_seed(request, job.person)
            if person is None or person.who.seed != seed:
                baked = None if request.landmarks_only else _baked(seed, request.variety)
                person = baked.person if baked else likeness.likeness(seed, request.variety)
            state = _state(request, job.motion)
            if job.pose_seed is not None:
                other = motion.motion(job.pose_seed, request.frames, request.variety)
                state = state._replace(pose=other.pose, shift=other.shift)
            crop = None
            if job.crop_motion is not None:
                crop = clips.crop_of(likeness.marks(person, _state(request, job.crop_motion)))
            writer.add(clips.clip(person, state, job.labels, request.size, head=baked, crop=crop,
                                  variety=request.variety))  # fmt: skip
            advance(request.frames)


@functools.lru_cache(4)
def _baked(seed: int, variety: Variety):
    from reenact_jax.data_prep.heads import head  # compiles: not imported for points alone

    return head.bake(seed, variety)


@functools.lru_cache(4096)
def _state(request: plan.Request, number: int):
    return motion.motion(request.seed * 1_000_003 + number, request.frames, request.variety)


def _here(directory, request, parameters, todo, workers, advance) -> None:
    for item in todo:
        _shard(directory, request, parameters, *item, advance)


_progress = None  # a worker's end of the queue


def _start(progress) -> None:
    global _progress
    _progress = progress
    end_with_parent()


def _work(*arguments) -> None:
    _shard(*arguments, _progress.put)


def _processes(directory, request, parameters, todo, workers, advance) -> None:
    """Spread shards over processes, one thread each; if one fails, finished shards stay."""
    context = multiprocessing.get_context('spawn')
    progress = context.Queue()
    os.environ.setdefault('NUMBA_NUM_THREADS', '1')
    with futures.ProcessPoolExecutor(
        min(workers, max(1, len(todo))), context, _start, (progress,)
    ) as pool:
        running = [pool.submit(_work, directory, request, parameters, *item) for item in todo]
        try:
            while not all(job.done() for job in running):
                with contextlib.suppress(queue.Empty):
                    advance(progress.get(timeout=0.2))
                for job in running:
                    if job.done():
                        job.result()
            for job in running:
                job.result()
            with contextlib.suppress(queue.Empty):
                while True:
                    advance(progress.get(timeout=0.05))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise


def _add(parser, fields) -> None:
    """Add the flag of each field of settings."""
    for field in fields:
        flag = '--' + field.name.replace('_', '-')
        if field.default is False:
            parser.add_argument(flag, action='store_true', help=field.metadata['doc'])
            continue
        kind = type(field.default)
        text = f'{field.metadata["doc"]} (default {field.default})'
        metavar = 'N' if kind is int else 'SHARE'
        parser.add_argument(flag, type=kind, default=field.default, metavar=metavar, help=text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax prepare synthetic',
        description='Write synthetic face tracks with exact labels. The same flags write the same\n'
        'bytes; if interrupted, run it again: finished shards are kept.',
        epilog=_EPILOG,
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the new shard set')
    _add(parser, [field for field in dataclasses.fields(plan.Request) if field.name != 'variety'])
    group = parser.add_argument_group('variety', 'shares from 0 to 1; 0: none')
    _add(group, dataclasses.fields(Variety))
    parser.add_argument(
        '--workers', type=int, default=0, metavar='N', help='processes; 0: one a core'
    )
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    flags = vars(parser.parse_args(arguments))
    directory, workers, quiet = flags.pop('out'), flags.pop('workers'), flags.pop('quiet')
    if workers < 0:
        raise UserError(f'--workers {workers}: expected 0 (one a core) or more')
    shares = {field.name: flags.pop(field.name) for field in dataclasses.fields(Variety)}
    variety = settings.build(Variety, shares, 'flags')
    request = settings.build(plan.Request, flags, 'flags')
    request = dataclasses.replace(request, variety=variety)
    written = write(directory, request, workers, quiet)
    for split, count in written.items():
        print(f'{split}: {count} shards written' if count else f'{split}: complete, kept')
    return 0


if __name__ == '__main__':
    errors.command(main)
