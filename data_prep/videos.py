"""Track shards from videos and stills.

    reenact-jax prepare videos footage/ portraits/*.jpg --out data/people --labels people.csv

Faces are found (MediaPipe, extra [video]), followed from frame to frame, cut out with one fixed
crop a record, and stored with points, pose, action units, gaze, a neutral reference and their
origin. The table --labels names the person, else the sub-folder does, else each file is a person of
its own; of faces seen together the first is that person, the others are called name+1, name+2.
People, not frames, are assigned to train, val and test.

A broken or truncated file is named in the report and not used; the others are. So is one that ends
the process that reads it (`crashed`), after a second try without others beside it. If interrupted,
run the command again: it resumes (finished inputs are kept in OUT/.inputs).
A still becomes a record of one frame, which the loader repeats where it needs several.
"""

from reenact_jax.common import errors
from reenact_jax.data_prep import flags, footage, gather
from reenact_jax.data_prep.extract import Options, extract
from reenact_jax.data_prep.outcome import Outcome


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax prepare videos',
        description=__doc__,
    )
    add = parser.add_argument
    add('inputs', nargs='+', metavar='INPUT', help='folder, glob or file: videos and stills')
    add('--labels', metavar='CSV', help='columns file, identity, licence, consent (.tsv: tabs)')
    flags.add(parser, Options)
    args = parser.parse_args(arguments)
    options, dealing = flags.read(args, Options)
    sources = footage.label(footage.find(args.inputs), args.labels, args.licence, args.consent)
    unused = footage.unused(args.inputs)
    outcomes = gather.prepare(
        sources,
        args.out,
        extract,
        options,
        dealing,
        face_landmarker=args.face_landmarker,
        parameters={'made_by': 'data_prep.videos'},
        others=[Outcome(name, 'unused', detail=reason) for name, reason in unused.items()],
    )
    flags.show(args.out, outcomes, dealing)
    for name, reason in unused.items():
        print(f'{name} is not used: {reason}')
    return 0


if __name__ == '__main__':
    errors.command(main)
