"""Inputs of people -> shards of their face tracks: read in parallel, kept, dealt out by person.

What an input is (a video, a group of stills) and how its records are made is the caller's.
"""

import dataclasses
import functools
import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from tqdm import tqdm

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data_prep.outcome import Outcome, table
from reenact_jax.data_prep.workers import end_with_parent
from reenact_jax.faces import Detector
from reenact_jax.faces.model import find_model

SPLITS = ('train', 'val', 'test')
CONSENT = ('yes', 'no', 'unknown', 'synthetic')
_VERSION = 1  # of what is extracted; raise it when the same input gives other records


@runtime_checkable
class Source(Protocol):
    """An input: its files and whose face they show."""

    key: str  # unique in the set
    identity: str  # name of the person; inputs with the same name show the same person
    licence: str
    consent: str

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read."""

    @property
    def frames(self) -> int:
        """How many images there are to read, as far as that is known; for the progress bar."""


# Writes an input's records to a path, its Outcome beside it, and returns that; the last argument
# is to be called for every image read.
Extract = Callable[[Source, str, object, Detector | None, Callable[[], object]], Outcome]


class Dealing(NamedTuple):
    """How the set is written."""

    val: float = 0.1  # share of the people
    test: float = 0.1
    seed: int = 0
    count: int = 1  # files a split
    workers: int = 1


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
) -> list[Outcome]:
    """Make the shards of `out`.

    Args:
      extract: of the kind of source; `options` is its dataclass with fields `faces`, `confidence`.
      detect: False: nothing is to be detected, `extract` gets None for the detector.
      face_landmarker: model file of the detector.
      parameters: what else the set is to say of how it was made.
      others: lines of the report on what is no input.

    Raises UserError when no input has a usable face, and when `out` holds another set.
    """
    model = str(find_model(face_landmarker)) if detect else None
    targets = {source.key: _target(out, source, options) for source in sources}
    outcomes = _extract_all(sources, targets, options, extract, model, dealing.workers)
    storage.write(f'{out}/report.tsv', table([*outcomes, *others]))
    if not any(outcome.records for outcome in outcomes):
        raise UserError(f'no usable face in {len(sources)} inputs; see {out}/report.tsv')
    people = {o.file: o.people for o in outcomes if o.records}
    used = [source for source in sources if source.key in people]
    dealt = deal([source.identity for source in used], dealing.val, dealing.test, dealing.seed)
    _refuse_leftovers(out, dealt)
    said = {**dataclasses.asdict(options), 'seed': dealing.seed, **parameters}
    first = 0
    for split, names in dealt.items():
        chosen = [source for source in used if source.identity in names]
        everyone = sorted({_name(s.identity, n) for s in chosen for n in people[s.key]})
        # Numbered through the splits, those to train on from 0.
        numbers = {name: first + i for i, name in enumerate(everyone)}
        first += len(everyone)
        items = _stored(chosen, targets, numbers)
        shards.write(out, split, items, shards=dealing.count, parameters=said)
    return outcomes


def deal(names: Sequence[str], val: float, test: float, seed: int) -> dict[str, list[str]]:
    """People to splits: shuffled by a hash of name and seed, the same on every machine.

    `val` and `test` are shares of the people, at least one person each where there are three or
    more; a share of 0 leaves the split out. Splits without people are absent.
    """
    unique = sorted(set(names), key=lambda name: _digest(f'{seed}:{name}'))
    sizes = {}
    for split, share in (('val', val), ('test', test)):
        wanted = max(1, round(share * len(unique))) if share > 0 else 0
        sizes[split] = wanted if len(unique) >= 3 else 0
    cut = sizes['val'], sizes['val'] + sizes['test']
    parts = {'train': unique[cut[1] :], 'val': unique[: cut[0]], 'test': unique[cut[0] : cut[1]]}
    if not parts['train']:
        raise UserError(f'--val {val} --test {test}: nobody of {len(unique)} is left to train on')
    return {split: sorted(part) for split, part in parts.items() if part}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _target(out: str, source: Source, options) -> str:
    """Where the records of an input are kept; another name when input or options change."""
    stats = [(str(file.resolve()), file.stat()) for file in source.files]
    files = [part for name, s in stats for part in (name, s.st_size, s.st_mtime_ns)]
    made_from = [*files, source.key, _VERSION]
    name = _digest(json.dumps([made_from, dataclasses.asdict(options)]))[:24]
    return f'{out}/.inputs/{name}.tfrecord'


def _extract_all(sources, targets, options, extract, model, workers: int) -> list[Outcome]:
    done = {s.key: _finished(targets[s.key]) for s in sources}
    todo = [s for s in sources if done[s.key] is None]
    jobs = [(extract, s, targets[s.key], options, model) for s in todo]
    total = sum(source.frames for source in todo)
    with tqdm(total=total, unit='frame', desc='faces', disable=not todo) as bar:
        # Other processes cannot move the bar frame by frame.
        for outcome in _run(jobs, workers, bar.update):
            done[outcome.file] = outcome
            bar.set_postfix_str(f'{outcome.file}: {outcome.status}')
            if workers > 1:
                bar.update(outcome.frames)
    return [done[s.key] for s in sources]


def _run(jobs: list, workers: int, progress) -> Iterator[Outcome]:
    if workers == 1:
        for job in jobs:
            yield _job(job, progress)
        return
    context = multiprocessing.get_context('spawn')  # MediaPipe's threads do not survive a fork
    with ProcessPoolExecutor(workers, context, end_with_parent) as pool:
        yield from pool.map(_job, jobs)


def _job(job, progress=lambda: None) -> Outcome:
    extract, source, target, options, model = job
    place = storage.path(target)
    storage.remove_partials(place.parent, place.name)
    detector = _detector(model, options.faces, options.confidence) if model else None
    return extract(source, target, options, detector, progress)


@functools.lru_cache(1)
def _detector(model: str, faces: int, confidence: float) -> Detector:
    """One detector a process: making it takes as long as ten frames."""
    return Detector(model, faces, confidence)


def _name(identity: str, number: int) -> str:
    """Of a person in an input: 0 is whom the labels mean, others are strangers beside them."""
    return f'{identity}+{number}' if number else identity


def _finished(target: str) -> Outcome | None:
    """The report of an input that an earlier run has finished; it is written last."""
    if storage.size(target) is None or storage.size(f'{target}.json') is None:
        return None
    return Outcome(**storage.read_json(f'{target}.json'))


def _stored(sources, targets, numbers: dict[str, int]) -> Iterator[tracks.Track]:
    """The kept records with the labels of their sources."""
    for source in sources:
        for _, _, record in tfrecord.scan(targets[source.key]):
            track = tracks.decode(record, source.key)
            name = _name(source.identity, track.identity)
            yield dataclasses.replace(
                track,
                identity=numbers[name],
                identity_name=name,
                licence=source.licence,
                consent=source.consent,
            )


def _refuse_leftovers(out: str, people: dict) -> None:
    if storage.size(f'{out}/face_tracks.json') is None:
        return
    old = set(shards.splits(out)) - set(people)
    if old:
        raise UserError(
            f'{out}: holds another set, with the splits {", ".join(sorted(old))}; write to another '
            'directory or delete its face_tracks* files'
        )
