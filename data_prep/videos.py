"""Track shards from videos and stills.

    reenact-jax prepare videos footage/ portraits/*.jpg --out data/people --labels people.csv

Faces are found (MediaPipe, extra [video]), followed from frame to frame, cut out with one fixed
crop a record, and stored with points, pose, action units, gaze, a neutral reference and their
origin. The table --labels names the person, else the sub-folder does, else each file is a person of
its own; of faces seen together the first is that person, the others are called name+1, name+2.
People, not frames, are assigned to train, val and test.

With --layout the folder is a data set as its makers hand it out: people, clips, boxes and times
come from names and tables, and official splits are kept (docs/data.md lists the sets).

A broken or truncated file is named in the report and not used; the others are. So is one that ends
the process that reads it (`crashed`), after a second try without others beside it. If interrupted,
run the command again: it resumes (finished inputs are kept in OUT/.inputs).
A still becomes a record of one frame, which the loader repeats where it needs several.
"""

import dataclasses
import sys
from collections.abc import Callable

from reenact_jax.common import errors
from reenact_jax.common.errors import UserError
from reenact_jax.data_prep import extract, flags, footage, gather, layouts, stills
from reenact_jax.data_prep.extract import Options
from reenact_jax.data_prep.footage import Source
from reenact_jax.data_prep.outcome import Outcome
from reenact_jax.faces import Detector

MOST = 20  # files that are not used, on the screen


def records(
    source: Source | stills.Group,
    target: str,
    options: Options,
    detector: Detector,
    progress: Callable[[], object] = lambda: None,
) -> Outcome:
    """Write the records of a file, or of stills that are one track; see `extract.extract`."""
    if isinstance(source, Source):
        return extract.extract(source, target, options, detector, progress)
    names = {field.name for field in dataclasses.fields(stills.Options)}
    shared = {key: value for key, value in vars(options).items() if key in names}
    return stills.extract(source, target, stills.Options(**shared), detector, progress)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax prepare videos',
        description=__doc__,
    )
    add = parser.add_argument
    add('inputs', nargs='+', metavar='INPUT', help='folder, glob or file: videos and stills')
    add('--labels', metavar='CSV', help='columns file, identity, licence, consent (.tsv: tabs)')
    add('--layout', choices=layouts.LAYOUTS, help='INPUT is such a data set, one folder')
    add(
        '--splits',
        choices=('official', 'hash'),
        default='official',
        help='people in splits: as published, where the layout has that, or by hash alone',
    )
    flags.add(parser, Options)
    args = parser.parse_args(arguments)
    options, dealing = flags.read(args, Options)
    found, official = _laid_out(args) if args.layout else (_footage(args), {})
    sources, unused = found
    outcomes = gather.prepare(
        sources,
        args.out,
        records,
        options,
        dealing,
        face_landmarker=args.face_landmarker,
        parameters={'made_by': 'data_prep.videos'},
        others=[Outcome(name, 'unused', detail=reason) for name, reason in unused.items()],
        official=official,
        engine=flags.engine(args),
    )
    flags.show(args.out, outcomes, dealing)
    for name, reason in list(unused.items())[:MOST]:
        print(f'{name} is not used: {reason}')
    if len(unused) > MOST:
        print(f'... and {len(unused) - MOST} more; see report.tsv')
    return 0


def _footage(args) -> layouts.Found:
    files = footage.find(args.inputs)
    sources = footage.label(files, args.labels, args.licence, args.consent)
    if doubt := footage.doubts(sources, args.labels):
        likely = ' or '.join(layouts.guess([path for path, _ in files]))
        hint = f' (the names are those of {likely})' if likely else ''
        print(f'warning: {doubt}{hint}', file=sys.stderr)
    return layouts.Found([*sources], footage.unused(args.inputs))


def _laid_out(args) -> tuple[layouts.Found, dict[str, str]]:
    if len(args.inputs) != 1 or args.labels:
        raise UserError(f'--layout {args.layout}: expected one folder, and no --labels')
    found = layouts.read(args.layout, args.inputs[0], args.licence, args.consent)
    return found, layouts.official(found) if args.splits == 'official' else {}


if __name__ == '__main__':
    errors.command(main)
