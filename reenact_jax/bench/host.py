"""What the host does: raw JPEG decoding, and the loader beside it on the same cores."""

import itertools
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import simplejpeg

from reenact_jax.runs import feed
from reenact_jax.runs.jobs import Job

SAMPLE = 64  # records whose images are decoded


def reading(job: Job, number: int, seconds: float) -> Iterator[tuple[str, float]]:
    """Frames a second of decoding alone, and of the loader; their quotient."""
    stage = job.chosen[number]
    source = feed.open_feed(job.shards, stage, number, job.run, job.mesh, None)
    try:
        source.take()
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            source.take()
            count += 1
        loaded = count * stage.batch_size * stage.frames / (time.perf_counter() - begin)
    finally:
        source.close()
    yield 'loader, frames/s', loaded
    if 'image' in stage.reads:
        raw = decoding(job, seconds)
        yield 'raw JPEG decoding, frames/s', raw
        yield 'loader, share of raw decoding', loaded / raw


def decoding(job: Job, seconds: float) -> float:
    """Frames a second of decoding the set's JPEGs with as many threads as the loader has."""
    threads = job.run.threads or min(16, os.cpu_count() or 1)
    records = np.linspace(0, len(job.shards) - 1, min(SAMPLE, len(job.shards))).astype(int)
    images = [data for record in records for data in job.shards.track(int(record)).image]
    end = time.perf_counter() + seconds

    def work(first: int) -> int:
        turn = itertools.cycle(images[first:] + images[:first])
        count = 0
        while time.perf_counter() < end:
            simplejpeg.decode_jpeg(next(turn))
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads))) / seconds
