"""Videos and stills -> track shards.

    reenact-jax prepare videos footage/ portraits/*.jpg --out data/people --labels people.csv

Faces are found (MediaPipe, extra [video]), followed from frame to frame, cut out with one fixed
crop a record, and stored with points, pose, action units, gaze, a neutral reference and where they
come from. Whose face it is says the table --labels, else the sub-folder, else each file is a person
of its own; of faces seen together the first is that person, the others are called name+1, name+2.
People, not frames, are dealt out to train, val and test.

A broken or truncated file is named in the report and not used; the rest goes on. Started again, the
command reads only what it has not read yet (finished inputs are kept in OUT/.inputs).
A still becomes a record of one frame, which the loader repeats where it needs several.
"""

from reenact_jax.common import errors
from reenact_jax.data_prep import flags, footage, gather
from reenact_jax.data_prep.extract import Options, extract


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = errors.Parser(
        prog='reenact-jax prepare videos',
        description=__doc__,
    )
    add = parser.add_argument
    add('inputs', nargs='+', metavar='INPUT', help='folder, glob or file: videos and stills')
    add('--labels', metavar='CSV', help='columns file, identity, licence, consent (.tsv: tabs)')
    flags.add(parser, Options)
    said = parser.parse_args(arguments)
    options, dealing = flags.read(said, Options)
    sources = footage.label(footage.find(said.inputs), said.labels, said.licence, said.consent)
    outcomes = gather.prepare(
        sources,
        said.out,
        extract,
        options,
        dealing,
        face_landmarker=said.face_landmarker,
        parameters={'made_by': 'data_prep.videos'},
    )
    flags.show(said.out, outcomes, dealing)
    return 0


if __name__ == '__main__':
    errors.command(main)
