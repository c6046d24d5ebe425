"""Videos and stills -> track shards.

    python -m data_prep.videos footage/ portraits/*.jpg --out data/people --labels people.csv

Faces are found (MediaPipe, extra [video]), followed from frame to frame, cut out with one fixed
crop a record, and stored with points, pose, action units, gaze, a neutral reference and where they
come from. Whose face it is says the table --labels, else the sub-folder, else each file is a person
of its own; of faces seen together the first is that person, the others are called name+1, name+2.
People, not frames, are dealt out to train, val and test.

A broken or truncated file is named in the report and not used; the rest goes on. Started again, the
command reads only what it has not read yet (finished inputs are kept in OUT/.inputs).
A still becomes a record of one frame, which the loader repeats where it needs several.
"""

import argparse
import dataclasses
import functools
import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from tqdm import tqdm

from data_prep import footage
from data_prep.extract import Options, Outcome, extract
from data_prep.footage import Source
from data_prep.workers import end_with_parent
from reenact_jax import errors, media, settings, shards, storage, tracks
from reenact_jax.errors import UserError
from reenact_jax.faces import Detector
from reenact_jax.faces.model import find_model
from reenact_jax.shards import framing as tfrecord

SPLITS = ('train', 'val', 'test')
_VERSION = 1  # of what this command extracts; raise it when the same input gives other records


def prepare(
    inputs: Sequence[str],
    out: str,
    options: Options,
    *,
    labels: str | None = None,
    licence: str = 'unknown',
    consent: str = 'unknown',
    val: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    count: int = 1,
    workers: int = 1,
    face_landmarker: str | None = None,
) -> list[Outcome]:
    """Make the shards of `out`. Arguments as the command's flags.

    Raises UserError for inputs, labels or flags that do not fit, and when no face track is found.
    """
    sources = footage.label(footage.find(inputs), labels, licence, consent)
    model = str(find_model(face_landmarker))
    targets = {source.key: _target(out, source, options) for source in sources}
    outcomes = _extract_all(sources, targets, options, model, workers)
    storage.write(f'{out}/report.tsv', table(outcomes))
    if not any(outcome.records for outcome in outcomes):
        raise UserError(f'no usable face in {len(sources)} inputs; see {out}/report.tsv')
    people = {o.file: o.people for o in outcomes if o.records}
    used = [source for source in sources if source.key in people]
    dealt = deal([source.identity for source in used], val, test, seed)
    _refuse_leftovers(out, dealt)
    parameters = {**dataclasses.asdict(options), 'made_by': 'data_prep.videos', 'seed': seed}
    first = 0
    for split, names in dealt.items():
        chosen = [source for source in used if source.identity in names]
        everyone = sorted({_name(s.identity, n) for s in chosen for n in people[s.key]})
        # Numbered through the splits, those to train on from 0.
        numbers = {name: first + i for i, name in enumerate(everyone)}
        first += len(everyone)
        items = _stored(chosen, targets, numbers)
        shards.write(out, split, items, shards=count, parameters=parameters)
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


def table(outcomes: Sequence[Outcome]) -> str:
    """The report as tab-separated text, a line an input."""
    columns = [field.name for field in dataclasses.fields(Outcome)]
    rows = [
        [str(getattr(o, c)).replace('\t', ' ').replace('\n', ' ') for c in columns]
        for o in outcomes
    ]
    return ''.join('\t'.join(row) + '\n' for row in [columns, *rows])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _target(out: str, source: Source, options: Options) -> str:
    """Where the records of an input are kept; another name when input or options change."""
    stat = source.path.stat()
    made_from = [str(source.path.resolve()), source.key, stat.st_size, stat.st_mtime_ns, _VERSION]
    name = _digest(json.dumps([made_from, dataclasses.asdict(options)]))[:24]
    return f'{out}/.inputs/{name}.tfrecord'


def _extract_all(sources, targets, options, model: str, workers: int) -> list[Outcome]:
    done = {s.key: _finished(targets[s.key]) for s in sources}
    todo = [s for s in sources if done[s.key] is None]
    jobs = [(s.path, s.key, targets[s.key], options, model) for s in todo]
    with tqdm(total=sum(map(_frames, todo)), unit='frame', desc='faces', disable=not todo) as bar:
        # Other processes cannot move the bar frame by frame.
        for outcome in _run(jobs, workers, bar.update):
            done[outcome.file] = outcome
            bar.set_postfix_str(f'{outcome.file}: {outcome.status}')
            if workers > 1:
                bar.update(outcome.frames)
    return [done[s.key] for s in sources]


def _frames(source: Source) -> int:
    """What the header promises; the report will say why a file cannot be read."""
    try:
        return media.probe(source.path).frames
    except UserError:
        return 0


def _run(jobs: list, workers: int, progress) -> Iterator[Outcome]:
    if workers == 1:
        for job in jobs:
            yield _job(job, progress)
        return
    context = multiprocessing.get_context('spawn')  # MediaPipe's threads do not survive a fork
    with ProcessPoolExecutor(workers, context, end_with_parent) as pool:
        yield from pool.map(_job, jobs)


def _job(job, progress=lambda: None) -> Outcome:
    path, key, target, options, model = job
    detector = _detector(model, options.faces, options.confidence)
    return extract(path, key, target, options, detector, progress)


@functools.lru_cache(1)
def _detector(model: str, faces: int, confidence: float) -> Detector:
    """One detector a process: making it takes as long as ten frames."""
    return Detector(model, faces, confidence)


def _name(identity: str, number: int) -> str:
    """Of a person in a file: 0 is whom the labels mean, others are strangers beside them."""
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


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog='python -m data_prep.videos',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('inputs', nargs='+', metavar='INPUT', help='folder, glob or file: videos and stills')
    add('--out', required=True, metavar='DIR', help='the set of shards')
    add('--labels', metavar='CSV', help='columns file, identity, licence, consent (.tsv: tabs)')
    add('--licence', default='unknown', help='of the footage, where the table does not say')
    add('--consent', default='unknown', choices=footage.CONSENT, help='of the people, likewise')
    add('--val', type=float, default=0.1, help='share of the people (default 0.1)')
    add('--test', type=float, default=0.1, help='share of the people (default 0.1)')
    add('--seed', type=int, default=0, help='of the split (default 0)')
    add('--shards', type=int, default=1, dest='count', help='files a split (default 1)')
    add('--workers', type=int, default=1, help='processes (default 1)')
    add('--face-landmarker', metavar='PATH', help='model file, where it is not found by itself')
    for field in dataclasses.fields(Options):
        flag = '--' + field.name.replace('_', '-')
        text = f'{field.metadata["doc"]} (default {field.default})'
        add(flag, type=field.type, default=field.default, help=text)
    flags = vars(parser.parse_args(arguments))
    chosen = {field.name: flags.pop(field.name) for field in dataclasses.fields(Options)}
    options = settings.build(Options, chosen, where='option')
    for name in ('val', 'test'):
        if not 0 <= flags[name] < 1:
            raise UserError(f'--{name} {flags[name]}: expected a share from 0 to below 1')
    for name, flag in (('count', 'shards'), ('workers', 'workers')):
        if flags[name] < 1:
            raise UserError(f'--{flag} {flags[name]}: expected 1 or more')
    out = flags.pop('out')
    _print(prepare(flags.pop('inputs'), out, options, **flags))
    for split in (found := shards.splits(out)):
        part = shards.ShardSet(out, split)
        print(f'{split}: {len(part)} records of {part.people} people')
    if missing := [split for split in SPLITS if split not in found and flags.get(split, 1)]:
        print(f'no {", ".join(missing)}: people are dealt out from three on')
    return 0


def _print(outcomes: Sequence[Outcome]) -> None:
    width = max(len(outcome.file) for outcome in outcomes)
    print(
        f'{"file":{width}}  {"status":8}  {"frames":>6} {"face":>11} {"tracks":>6} {"records":>7}'
    )
    for o in outcomes:
        seen = f'{o.frames_with_face}/{o.frames_searched}'
        line = f'{o.file:{width}}  {o.status:8}  {o.frames:6} {seen:>11} {o.tracks:6} {o.records:7}'
        print('  '.join(part for part in (line, o.rejected, o.detail) if part))
    print(f'{sum(o.records for o in outcomes)} records of {len(outcomes)} inputs')


if __name__ == '__main__':
    errors.command(main)
