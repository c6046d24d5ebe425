"""Track shards from stills whose names tell person, expression and pose.

    reenact-jax prepare stills RaFD/ --naming rafd --out data/rafd
    reenact-jax prepare stills multipie/ --naming multipie --only flash=07 --out data/multipie
    reenact-jax prepare stills CelebV/ --naming celebv --every 20 --out data/celebv

Pictures of one person from one camera, in one light, become one record. It has the same crop for
all of them, `expression` and `pose_id` from the names (FReeNet's stages pair people by these), and
the neutral picture as reference. If names do not tell the expression (CelebV), one in --every
pictures of a person is used, in records of --frames.

OUT/report.tsv lists the pictures that are missing, that cannot be read, that show no face, or whose
names do not fit. Run again, the command reads only what is new or changed.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reenact_jax.common import errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.data import tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data_prep import flags, gather, namings, records
from reenact_jax.data_prep.extract import unfit
from reenact_jax.data_prep.namings import NAMINGS, NEUTRAL, Contents, Still
from reenact_jax.data_prep.outcome import Outcome, finish
from reenact_jax.data_prep.parts import Part
from reenact_jax.faces import SELFIE, AnyDetector, choose, segmenter
from reenact_jax.faces.tracking import Sighting
from reenact_jax.media import reading


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of finding and cutting out faces. After a change all pictures are read again."""

    size: int = setting(256, low=32, high=1024, doc='side of the stored crops, pixels')
    frames: int = setting(16, low=1, high=64, doc='pictures a record, where names are no labels')
    every: int = setting(10, low=1, doc='use one in so many of such pictures')
    min_width: float = setting(48.0, low=1.0, doc='smallest width of the 68 points, source pixels')
    min_height: float = setting(64.0, low=1.0, doc='smallest height, source pixels')
    confidence: float = setting(0.5, low=0.1, high=0.99, doc='detection threshold')
    detector: str = setting('', doc='a detector of your own, my_package.faces:find')
    faces: int = setting(4, low=1, high=32, doc='most faces in a picture; the largest is used')
    quality: int = setting(95, low=50, high=100, doc='JPEG quality')
    segmenter: str = setting('', doc='model for masks with hair, a .tflite; see faces/segment.py')
    segmenter_classes: str = setting(SELFIE, doc='its categories; background, face, hair, unknown')


class Group(NamedTuple):
    """Pictures that become one record; a `gather.Source`."""

    key: str
    identity: str
    licence: str
    consent: str
    stills: tuple[Still, ...]
    expressions: tuple[str, ...]  # names by number; empty: unlabelled

    @property
    def files(self) -> tuple[Path, ...]:
        """List the pictures."""
        return tuple(still.path for still in self.stills)

    @property
    def frames(self) -> int:
        """Count the pictures."""
        return len(self.stills)


def groups(found: Contents, expressions: tuple[str, ...], options: Options) -> Iterator[tuple]:
    """Group stills into records.

    Args:
      found: the contents of the folder.
      expressions: those of the naming; empty: the names are no labels.
      options: `every` and `frames` count where names are no labels.

    Yields:
      (key, person, stills) of each record.
    """
    tracks_: dict[str, list[Still]] = {}
    for still in found.stills:
        tracks_.setdefault(still.track, []).append(still)
    for track, stills in tracks_.items():
        if expressions:
            yield track, stills[0].person, tuple(stills)
            continue
        used = stills[:: options.every]
        for i in range(0, len(used), options.frames):
            part = tuple(used[i : i + options.frames])
            yield f'{track}/{part[0].path.stem}', part[0].person, part


def extract(
    group: Group,
    target: str,
    options: Options,
    detector: AnyDetector,
    progress: Callable[[], object] = lambda: None,
) -> Outcome:
    """Write the record of a group to `target` (TFRecord framing), and its report beside it.

    Args:
      group: the pictures.
      target: path of the record.
      options: how faces are found and cut out.
      detector: finds faces.
      progress: called for every picture.
    """
    outcome, rejected, seen, images = Outcome(group.key), Counter(), [], []
    for still in group.stills:
        progress()
        outcome.frames += 1
        image, face, reason = _look(still, options, detector)
        if not reason and images and image.shape != images[0].shape:
            reason = 'not as large as the others'
        outcome.frames_with_face += face is not None
        if reason:
            rejected[reason] += 1
            outcome.detail += f'{still.path.name}: {reason}; '
        else:
            seen.append((still, Sighting(len(seen), face)))
            images.append(image)
    outcome.frames_searched, outcome.tracks = outcome.frames, int(bool(seen))
    neutral = [i for i, (still, _) in enumerate(seen) if still.expression == NEUTRAL]
    if group.expressions and seen and not neutral:
        rejected[f'no {NEUTRAL} picture'] += 1
        seen = []
    with storage.writing(target) as file:
        if seen:
            track = _record(group, seen, images, neutral, options, detector)
            file.write(tfrecord.frame(tracks.encode(track)))
    return finish(target, outcome, [0] * bool(seen), rejected)


def _look(still: Still, options: Options, detector: AnyDetector):
    """Read an image and find the face in its box, or the largest; tell why they are not used."""
    try:
        image = reading.read_still(still.path)
    except UserError:
        return None, None, 'broken'
    faces = detector.detect(image, thorough=True)
    if not faces:
        return image, None, 'no face'
    if still.box:
        height, width = image.shape[:2]
        part = Part(boxes=((0.0, *still.box),), size=(width, height))
        faces = part.chosen(faces, 0.0, width, height)
    if not faces:
        return image, None, 'no face in the box'
    face = choose(faces, 'largest', str(still.path))
    reason = unfit([Sighting(0, face)], 1, 0, options)
    if not reason and not detector.is_certain(image, face):
        reason = 'not certainly a human face'
    return image, face, reason or ''


def _record(group, seen, images, neutral, options: Options, detector: AnyDetector) -> tracks.Track:
    stills, sightings = zip(*seen, strict=True)
    crop = records.window(list(sightings))
    pictures = [records.picture(image, crop, options.size, options.quality) for image in images]
    track = records.build(
        sightings,
        pictures,
        crop,
        options.size,
        images[0].shape[1::-1],
        records.canonical(detector),
        segmenter=segmenter(options.segmenter, options.segmenter_classes),
        rate=0.0,
        still=neutral[0] if neutral else None,
        track_id=group.key,
        identity=0,
        identity_name='',
        source_file=group.key,
        detector=detector.name,
        licence='',
        consent='',
    )
    numbers = {name: i for i, name in enumerate(group.expressions)} | {'': tracks.UNLABELLED}
    return dataclasses.replace(
        track,
        expression=np.array([numbers[still.expression] for still in stills]),
        pose_id=np.array([still.pose for still in stills]),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax prepare stills',
        description=__doc__ + '\n' + (namings.__doc__ or ''),
    )
    add = parser.add_argument
    add('folder', metavar='FOLDER', help='searched with its sub-folders')
    add('--naming', required=True, choices=NAMINGS, help='how its files are named; see above')
    add(
        '--only',
        action='append',
        metavar='PART=VALUE[,VALUE]',
        help='use the pictures whose name has this, e.g. gaze=frontal (default for rafd: '
        "angle=045,090,135, the paper's)",
    )
    flags.add(parser, Options)
    args = parser.parse_args(arguments)
    options, dealing = flags.read(args, Options)
    found = namings.read(args.naming, args.folder, _only(args.only))
    names = NAMINGS[args.naming].expressions
    sources = [
        Group(key, person, args.licence, args.consent, stills, names)
        for key, person, stills in groups(found, names, options)
    ]
    outcomes = gather.prepare(
        sources,
        args.out,
        extract,
        options,
        dealing,
        face_landmarker=args.face_landmarker,
        parameters={'made_by': 'data_prep.stills', 'expressions': names},
        others=[Outcome(name, 'missing') for name in found.missing]
        + [Outcome(name, 'other name') for name in found.strange],
        engine=flags.engine(args),
    )
    flags.show(args.out, outcomes, dealing)
    for files, state in ((found.missing, 'missing'), (found.strange, 'named otherwise')):
        if files:
            more = ', ...' if len(files) > 3 else ''
            print(f'{len(files)} pictures {state}: {", ".join(files[:3])}{more}; see report.tsv')
    return 0


def _only(texts: Sequence[str] | None) -> dict[str, list[str]] | None:
    """Read the values of --only by part of the name; None if the flag was not given."""
    if texts is None:
        return None
    for text in texts:
        if '=' not in text or text[-1] == '=':
            raise UserError(f'--only {text}: expected PART=VALUE, e.g. gaze=frontal')
    return {key: values.split(',') for key, _, values in (text.partition('=') for text in texts)}


if __name__ == '__main__':
    errors.command(main)
