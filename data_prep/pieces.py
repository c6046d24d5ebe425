"""Shards from the kept records of inputs: each is a job of its own, on this machine or others.

The records of a split, input after input, go to its shards in turn, as `shards.write` deals them.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reenact_jax.data import shards, tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data.shards import writer
from reenact_jax.data_prep import workers


class Kept(NamedTuple):
    """What an input gave, and its labels."""

    target: str  # file of its records
    key: str
    records: int  # how many
    people: dict[int, str]  # number of a person within the input -> name
    licence: str
    consent: str


class Piece(NamedTuple):
    """The records of an input that go to one shard."""

    kept: Kept
    taken: tuple[int, ...]  # their places in its file


class Shard(NamedTuple):
    """A shard to be written."""

    out: str
    split: str
    number: int
    count: int
    parameters: Mapping
    pieces: list[Piece]
    numbers: dict[str, int]  # name of a person -> identity in the set, of those in this shard


def plan(kept: Sequence[Kept], count: int) -> list[list[Piece]]:
    """Deal the records out to shards, in turn.

    Args:
      kept: of a split, in order.
      count: of shards.

    Returns:
      The pieces of each shard.
    """
    dealt: list[list[Piece]] = [[] for _ in range(count)]
    position = 0
    for one in kept:
        places: dict[int, list[int]] = {}
        for place in range(one.records):
            places.setdefault((position + place) % count, []).append(place)
        for shard, taken in places.items():
            dealt[shard].append(Piece(one, tuple(taken)))
        position += one.records
    return dealt


def write(
    out: str,
    split: str,
    kept: Sequence[Kept],
    numbers: Mapping[str, int],
    count: int,
    parameters: Mapping,
    run: workers.Run | None = None,
) -> None:
    """Write a split and finish it.

    Args:
      out: folder of the set.
      split: its name.
      kept: what its inputs gave, in order.
      numbers: name of a person -> identity in the set.
      count: files of the split.
      parameters: of the set's description.
      run: does the jobs; None: they are done here, one after another.

    Raises:
      UserError: as `shards.finish`; or a process that wrote a shard died twice.
    """
    writer.refuse_strays(out, split, count)
    jobs = []
    for number, some in enumerate(plan(kept, count)):
        names = {name for piece in some for name in piece.kept.people.values()}
        own = {name: numbers[name] for name in sorted(names)}
        jobs.append(Shard(out, split, number, count, parameters, some, own))
    if run is None:
        for job in jobs:
            write_shard(job, lambda: None)
    else:
        workers.all_done(run(write_shard, jobs, lambda steps: None), f'{out}, split {split}')
    shards.finish(out, split, shards=count, parameters=parameters)


def write_shard(job: Shard, progress: Callable[[], object]) -> None:
    """Write one shard.

    Args:
      job: what goes into it.
      progress: called for every record.
    """
    with shards.ShardWriter(job.out, job.split, job.number, job.count, job.parameters) as made:
        for track in _tracks(job):
            made.add(track)
            progress()


def _tracks(job: Shard) -> Iterator[tracks.Track]:
    """Read the kept records and give them the labels of their inputs."""
    for kept, taken in job.pieces:
        wanted = set(taken)
        for place, (_, _, record) in enumerate(tfrecord.scan(kept.target)):
            if place not in wanted:
                continue
            track = tracks.decode(record, kept.key)
            name = kept.people[track.identity]
            yield dataclasses.replace(
                track,
                identity=job.numbers[name],
                identity_name=name,
                licence=kept.licence,
                consent=kept.consent,
            )
