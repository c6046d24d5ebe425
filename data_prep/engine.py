"""Preparation on Apache Beam: the jobs of `gather` and `pieces` on the workers of an engine.

    reenact-jax prepare videos /mnt/footage --out gs://bucket/people --shards 1000 \\
        --beam '--runner=DataflowRunner --project=P --region=R --temp_location=gs://bucket/tmp'

    files of jobs -> reshuffle -> each worker's own process -> files of results

Every worker has to see the inputs under the same paths (a mounted bucket, a shared disk), and
--out. A job is done in a process beside the worker: one that dies takes no worker along, is tried
once more and then reported by name. What an input gave is kept under a name made of its content
(`gather`), so that the command goes on where it stopped. It needs the extra [beam].
"""

import dataclasses
import json
import shlex
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data_prep import workers

CHUNK = 200  # jobs in a file
CODER = beam.coders.FastPrimitivesCoder()  # it can run code: `_read` opens what `run` wrote alone
DONE, LOST, FAILED = 'done', 'lost', 'failed'  # what became of a job


def on_beam(options: str, folder: str) -> workers.Run:
    """Return what does jobs by a pipeline; their results are plain values, dataclasses as dicts.

    Args:
      options: Beam's, as on a command line.
      folder: where jobs and results pass through, seen by all workers.

    Raises:
      UserError: there is no such option of Beam's.
    """
    words = shlex.split(options)
    unknown = PipelineOptions(words).get_all_options(retain_unknown_options=True).keys()
    unknown -= PipelineOptions().get_all_options().keys()
    if unknown:
        raise UserError(f'--beam: Beam knows no option --{sorted(unknown)[0]}')

    def run(
        function: Callable, jobs: Sequence, progress: Callable[[int], object]
    ) -> Iterator[tuple[int, Any]]:
        place = f'{folder}/beam-{uuid.uuid4().hex}'
        try:
            chunks = [*_written(place, jobs)]
            with beam.Pipeline(options=PipelineOptions(words)) as pipeline:
                numbered = pipeline | beam.Create(chunks) | 'read' >> beam.FlatMap(_read)
                _ = numbered | beam.Reshuffle() | beam.ParDo(Work(function, place))
            yield from _results(place)
        finally:
            storage.remove_tree(storage.path(place))

    return run


class Work(beam.DoFn):
    """Does jobs in a process of the worker's, and stores the results of each bundle in a file."""

    def __init__(self, function: Callable, place: str):
        """Take the function of `workers.Run`, and the folder of the results."""
        self._function, self._place = function, place

    def setup(self) -> None:
        """Begin a worker."""
        self._alone = workers.Alone(self._function)

    def start_bundle(self) -> None:
        """Begin some jobs."""
        self._done: list[tuple[int, str, Any]] = []

    def process(self, element: tuple[int, Any]) -> None:
        """Do a job."""
        number, job = element
        try:
            result = self._alone.do(job)
        except UserError as error:
            self._done.append((number, FAILED, str(error)))
            return
        if isinstance(result, workers.Lost):
            self._done.append((number, LOST, result.reason))
        else:
            plain = dataclasses.asdict(result) if dataclasses.is_dataclass(result) else result
            self._done.append((number, DONE, plain))

    def finish_bundle(self) -> None:
        """Store what the jobs gave; of a bundle that is repeated both files say the same."""
        if self._done:
            name = f'{self._place}/results-{uuid.uuid4().hex}.json'
            storage.write(name, json.dumps(self._done))

    def teardown(self) -> None:
        """End the worker."""
        self._alone.close()


def _written(place: str, jobs: Sequence) -> Iterator[tuple[str, str]]:
    """Write the jobs to files; yield each with its SHA-256."""
    numbered = list(enumerate(jobs))
    for first in range(0, len(numbered), CHUNK):
        name, content = f'{place}/jobs-{first}', CODER.encode(numbered[first : first + CHUNK])
        storage.write(name, content)
        yield name, storage.digest(content)


def _read(chunk: tuple[str, str]) -> list[tuple[int, Any]]:
    """Read jobs: of a file that this run has written, and no other."""
    name, digest = chunk
    content = storage.read(name)
    if storage.digest(content) != digest:
        raise ValueError(f'{name}: is not as it was written')
    return CODER.decode(content)


def _results(place: str) -> Iterator[tuple[int, Any]]:
    """Read what the jobs gave.

    Raises:
      UserError: a job raised it.
    """
    found = {}
    for name in storage.names(place):
        if name.endswith('.json'):
            for number, kind, value in storage.read_json(f'{place}/{name}'):
                found[number] = kind, value
    for number, (kind, value) in sorted(found.items()):
        if kind == FAILED:
            raise UserError(value)
        yield number, workers.Lost(value) if kind == LOST else value
