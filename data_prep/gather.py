"""Gathering of inputs into a shard set: read in parallel, kept, people assigned to splits.

Inputs are read in other processes, as decoders are native code: one that dies loses one input.
The caller decides what an input is (a video, a group of stills) and how its records are made.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from tqdm import tqdm

from reenact_jax.common import outside, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data_prep import pieces, workers
from reenact_jax.data_prep.dealing import Dealing, deal, digest
from reenact_jax.data_prep.outcome import Outcome, table
from reenact_jax.faces import AnyDetector, Detector, PointDetector
from reenact_jax.faces.model import find_model

CONSENT = ('yes', 'no', 'unknown', 'synthetic')
_KEPT = '.inputs'  # folder of what each input gave
_VERSION = 2  # of the extraction; raise it when the same input gives other records


@runtime_checkable
class Source(Protocol):
    """An input: its files, and whose face they show."""

    key: str  # unique in the set
    identity: str  # name of the person; inputs with the same name show the same person
    licence: str
    consent: str

    @property
    def files(self) -> tuple[Path, ...]:
        """List the files that are read."""


# Writes an input's records to a path and its Outcome beside them, and returns the Outcome; the last
# argument has to be called for every image that is read.
Extract = Callable[[Source, str, object, AnyDetector | None, Callable[[], object]], Outcome]


def prepare(
    sources: Sequence[Source],
    out: str,
    extract: Extract,
    options,
    dealing: Dealing = Dealing(),
    *,
    detect: bool = True,
    face_landmarker: str | None = None,
    parameters: Mapping = {},
    others: Sequence[Outcome] = (),
    official: Mapping[str, str] = {},
    engine: workers.Run | None = None,
) -> list[Outcome]:
    """Write the shards of a set.

    Args:
      sources: the inputs.
      out: folder of the set.
      extract: makes the records of such an input.
      options: of `extract`; a dataclass, with fields `faces` and `confidence` if it detects.
      dealing: how people are assigned to splits.
      detect: False: nothing is detected, and `extract` gets None for the detector.
      face_landmarker: model file of the detector.
      parameters: more for the set's description of how it was made.
      others: lines of the report about files that are no inputs.
      official: as `deal` takes it.
      engine: does the work, in the place of processes of this machine; it also writes the shards.

    Returns:
      The outcome of each input.

    Raises:
      UserError: no input has a usable face, `out` holds another set, or another process is at
        work there.
    """
    # A detector may be a function of the user's.
    own = getattr(options, 'detector', '')
    model = own or (str(find_model(face_landmarker)) if detect else None)
    with storage.owning(f'{out}/{_KEPT}', what='the preparation of a set'):
        targets = {source.key: _target(out, source, options) for source in sources}
        outcomes = _extract_all(sources, targets, options, extract, model, engine or _here(dealing))
        storage.write(f'{out}/report.tsv', table([*outcomes, *others]))
        if not any(outcome.records for outcome in outcomes):
            raise UserError(f'no usable face in {len(sources)} inputs; see {out}/report.tsv')
        description = {**dataclasses.asdict(options), 'seed': dealing.seed, **parameters}
        if own:
            description['points'] = _known(next(targets[o.file] for o in outcomes if o.records))
        found = {o.file: o for o in outcomes if o.records}
        used = [source for source in sources if source.key in found]
        _write(out, used, found, targets, dealing, official, description, engine)
    return outcomes


def _here(dealing: Dealing) -> workers.Run:
    """Return what does jobs in processes of this machine."""
    return lambda function, jobs, step: workers.run(function, jobs, dealing.workers, step)


def _write(out, used: list[Source], outcomes, targets, dealing, official, description, run) -> None:
    """Deal out the people and write the splits' shards."""
    shares = dealing.val, dealing.test, dealing.seed
    splits = deal([source.identity for source in used], *shares, official)
    _refuse_leftovers(out, splits)
    first = 0
    for split, names in splits.items():
        kept = []
        for source in (source for source in used if source.identity in names):
            outcome = outcomes[source.key]
            people = {n: _name(source.identity, n) for n in outcome.people}
            labels = people, source.licence, source.consent
            kept.append(pieces.Kept(targets[source.key], source.key, outcome.records, *labels))
        everyone = sorted({name for one in kept for name in one.people.values()})
        # Numbered through the splits, those to train on from 0.
        numbers = {name: first + i for i, name in enumerate(everyone)}
        first += len(everyone)
        pieces.write(out, split, kept, numbers, dealing.count, description, run)


def _target(out: str, source: Source, options) -> str:
    """Name the file that keeps an input's records; the name changes with input and options."""
    stats = [(str(file.resolve()), file.stat()) for file in source.files]
    files = [part for name, s in stats for part in (name, s.st_size, s.st_mtime_ns)]
    made_from = [*files, source.key, _VERSION]
    name = digest(json.dumps([made_from, dataclasses.asdict(options)]))[:24]
    return f'{out}/{_KEPT}/{name}.tfrecord'


def _extract_all(sources, targets, options, extract, model, run: workers.Run) -> list[Outcome]:
    done = {s.key: _finished(targets[s.key]) for s in sources}
    todo = [s for s in sources if done[s.key] is None]
    jobs = [(extract, s, targets[s.key], options, model) for s in todo]
    with tqdm(total=len(todo), unit='input', desc='faces', disable=not todo) as bar:
        frames = 0

        def step(count: int) -> None:
            nonlocal frames
            frames += count
            bar.set_postfix_str(f'{frames:,} frames')

        for number, found in run(_job, jobs, step):
            key = todo[number].key
            if isinstance(found, workers.Lost):  # not kept: tried again when the command is
                _remove_partials(targets[key])
                found = Outcome(key, 'crashed', detail=found.reason)
            done[key] = found if isinstance(found, Outcome) else Outcome(**found)
            bar.update()
    return [done[s.key] for s in sources]


def _job(job, progress) -> Outcome:
    extract, source, target, options, model = job
    _remove_partials(target)
    detector = _detector(model, options.faces, options.confidence) if model else None
    return extract(source, target, options, detector, progress)


def _remove_partials(target: str) -> None:
    place = storage.path(target)
    storage.remove_partials(place.parent, place.name)


@functools.lru_cache(1)
def _detector(model: str, faces: int, confidence: float) -> AnyDetector:
    """Make one detector a process: making it takes as long as ten frames."""
    if outside.is_name(model):
        return PointDetector(model)
    return Detector(model, faces, confidence)


def _known(target: str) -> list[str]:
    """Return the point sets that the records of an input have."""
    _, _, record = next(iter(tfrecord.scan(target)))
    track = tracks.decode(record, target)
    return [name for name in tracks.POINT_SETS if getattr(track, f'landmarks_{name}').any()]


def _name(identity: str, person: int) -> str:
    """Name a person of an input: the labels name person 0, others were seen beside them."""
    return f'{identity}+{person}' if person else identity


def _finished(target: str) -> Outcome | None:
    """Read the report of an input that an earlier run finished; a report is written last."""
    if storage.size(target) is None or storage.size(f'{target}.json') is None:
        return None
    return Outcome(**storage.read_json(f'{target}.json'))


def _refuse_leftovers(out: str, people: dict) -> None:
    if storage.size(f'{out}/face_tracks.json') is None:
        return
    old = set(shards.splits(out)) - set(people)
    if old:
        raise UserError(
            f'{out}: holds another set, with the splits {", ".join(sorted(old))}; write to another '
            'directory or delete its face_tracks* files'
        )
