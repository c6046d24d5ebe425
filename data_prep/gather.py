"""Gathering of inputs into a shard set: read in parallel, kept, people assigned to splits.

Inputs are read in other processes, as decoders are native code: one that dies loses one input.
The caller decides what an input is (a video, a group of stills) and how its records are made.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from tqdm import tqdm

from reenact_jax.common import outside, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data_prep import workers
from reenact_jax.data_prep.outcome import Outcome, table
from reenact_jax.faces import AnyDetector, Detector, PointDetector
from reenact_jax.faces.model import find_model

SPLITS = ('train', 'val', 'test')
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

    @property
    def frames(self) -> int:
        """Count the images to read, as far as that is known; for the progress bar."""


# Writes an input's records to a path and its Outcome beside them, and returns the Outcome; the last
# argument has to be called for every image that is read.
Extract = Callable[[Source, str, object, AnyDetector | None, Callable[[], object]], Outcome]


class Dealing(NamedTuple):
    """Assignment of people to splits, and how the set is written."""

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
    official: Mapping[str, str] = {},
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
        outcomes = _extract_all(sources, targets, options, extract, model, dealing.workers)
        storage.write(f'{out}/report.tsv', table([*outcomes, *others]))
        if not any(outcome.records for outcome in outcomes):
            raise UserError(f'no usable face in {len(sources)} inputs; see {out}/report.tsv')
        description = {**dataclasses.asdict(options), 'seed': dealing.seed, **parameters}
        if own:
            description['points'] = _known(next(targets[o.file] for o in outcomes if o.records))
        people = {o.file: o.people for o in outcomes if o.records}
        used = [source for source in sources if source.key in people]
        _write(out, used, people, targets, dealing, official, description)
    return outcomes


def _write(out, used: list[Source], people, targets, dealing, official, description) -> None:
    """Deal out the people and write the splits' shards."""
    shares = dealing.val, dealing.test, dealing.seed
    splits = deal([source.identity for source in used], *shares, official)
    _refuse_leftovers(out, splits)
    first = 0
    for split, names in splits.items():
        chosen = [source for source in used if source.identity in names]
        everyone = sorted({_name(s.identity, n) for s in chosen for n in people[s.key]})
        # Numbered through the splits, those to train on from 0.
        numbers = {name: first + i for i, name in enumerate(everyone)}
        first += len(everyone)
        items = _stored(chosen, targets, numbers)
        shards.write(out, split, items, shards=dealing.count, parameters=description)


def deal(
    names: Sequence[str], val: float, test: float, seed: int, official: Mapping[str, str] = {}
) -> dict[str, list[str]]:
    """Assign people to splits by a hash of name and seed, the same on every machine.

    Args:
      names: of the people; repetitions do not count.
      val: share of the people, 0 to 1; 0: no such split. At least one person, if there are three or
        more people; with fewer, all of them are in train.
      test: likewise.
      seed: of the hash.
      official: name -> the split of a published list, or `dev`: not in test, so in train or val by
        the hash. Who is absent goes into any split.

    Returns:
      Split -> names; a split without people is absent.

    Raises:
      UserError: nobody is left to train on, and not all are on a list.
    """
    known = {name: official.get(name, '') for name in names}
    listed = {name for name, split in known.items() if split in SPLITS}
    dev = {name for name, split in known.items() if split == 'dev'}
    parts: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name in listed:
        parts[known[name]].append(name)
    for some, share in ((dev, 0.0), (known.keys() - listed - dev, test)):
        for split, part in _by_hash(some, val, share, seed).items():
            parts[split] += part
    if not parts['train'] and len(listed) < len(known):
        raise UserError(f'--val {val} --test {test}: nobody of {len(known)} is left to train on')
    return {split: sorted(part) for split, part in parts.items() if part}


def _by_hash(names: Iterable[str], val: float, test: float, seed: int) -> dict[str, list[str]]:
    unique = sorted(names, key=lambda name: _digest(f'{seed}:{name}'))
    sizes = {}
    for split, share in (('val', val), ('test', test)):
        wanted = max(1, round(share * len(unique))) if share > 0 else 0
        sizes[split] = wanted if len(unique) >= 3 else 0
    cut = sizes['val'], sizes['val'] + sizes['test']
    return {'train': unique[cut[1] :], 'val': unique[: cut[0]], 'test': unique[cut[0] : cut[1]]}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _target(out: str, source: Source, options) -> str:
    """Name the file that keeps an input's records; the name changes with input and options."""
    stats = [(str(file.resolve()), file.stat()) for file in source.files]
    files = [part for name, s in stats for part in (name, s.st_size, s.st_mtime_ns)]
    made_from = [*files, source.key, _VERSION]
    name = _digest(json.dumps([made_from, dataclasses.asdict(options)]))[:24]
    return f'{out}/{_KEPT}/{name}.tfrecord'


def _extract_all(sources, targets, options, extract, model, count: int) -> list[Outcome]:
    done = {s.key: _finished(targets[s.key]) for s in sources}
    todo = [s for s in sources if done[s.key] is None]
    jobs = [(extract, s, targets[s.key], options, model) for s in todo]
    total = sum(source.frames for source in todo)
    with tqdm(total=total, unit='frame', desc='faces', disable=not todo) as bar:
        for number, found in workers.run(_job, jobs, count, bar.update):
            key = todo[number].key
            if isinstance(found, workers.Lost):  # not kept: tried again when the command is
                _remove_partials(targets[key])
                found = Outcome(key, 'crashed', detail=found.reason)
            done[key] = found
            bar.set_postfix_str(f'{key}: {found.status}')
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


def _stored(sources, targets, numbers: dict[str, int]) -> Iterator[tracks.Track]:
    """Read the kept records and give them the labels of their sources."""
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
