"""Speed of the host: raw JPEG decoding, and the loader beside it on the same cores."""

import itertools
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import simplejpeg

from reenact_jax.bench.device import calls_per_second
from reenact_jax.train import feed, sharding
from reenact_jax.train.jobs import Job

SAMPLE = 64  # records whose images are decoded


def reading(job: Job, number: int, seconds: float) -> Iterator[tuple[str, float]]:
    """Measure the loader and raw decoding: frames a second, CPU time a frame, their quotients.

    The CPU time (of all threads) allows the comparison also on a machine that others use.

    Args:
      job: the run.
      number: of the stage.
      seconds: length of each measurement.

    Yields:
      (name, value) as soon as it is measured.
    """
    stage = job.chosen[number]
    source = feed.open_feed(job.shards, stage, number, job.run, job.mesh, None)
    try:
        source.read()
        count, begin, busy = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - begin < seconds:
            batch = source.read()
            count += 1
        frames = count * stage.batch_size * stage.frames
        loaded = frames / (time.perf_counter() - begin)
        work = (time.process_time() - busy) / frames
    finally:
        source.close()
    yield 'loader, frames/s', loaded
    yield 'loader, CPU us/frame', work * 1e6
    moved = calls_per_second(lambda: sharding.to_devices(batch, job.mesh), seconds / 5)
    yield 'to the device, us/frame', 1e6 / moved / stage.batch_size / stage.frames
    if 'image' in stage.reads:
        raw, raw_work = decoding(job, seconds)
        yield 'raw JPEG decoding, frames/s', raw
        yield 'raw JPEG decoding, CPU us/frame', raw_work * 1e6
        yield 'loader, share of raw decoding', loaded / raw
        yield 'loader, share of raw decoding by CPU time', raw_work / work


def decoding(job: Job, seconds: float) -> tuple[float, float]:
    """Decode the set's JPEGs with as many threads as the loader has.

    Args:
      job: the run.
      seconds: length of the measurement.

    Returns:
      Frames a second, and CPU seconds a frame.
    """
    threads = job.run.threads or min(16, os.cpu_count() or 1)
    records = np.linspace(0, len(job.shards) - 1, min(SAMPLE, len(job.shards))).astype(int)
    images = [data for record in records for data in job.shards.track(int(record)).image]
    begin, busy = time.perf_counter(), time.process_time()
    end = begin + seconds

    def work(first: int) -> int:
        turn = itertools.cycle(images[first:] + images[:first])
        count = 0
        while time.perf_counter() < end:
            simplejpeg.decode_jpeg(next(turn))
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        frames = sum(pool.map(work, range(threads)))
    return frames / (time.perf_counter() - begin), (time.process_time() - busy) / frames
