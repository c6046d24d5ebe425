"""Stills whose names say person, expression and pose -> track shards.

    reenact-jax prepare stills RaFD/ --naming rafd --out data/rafd
    reenact-jax prepare stills multipie/ --naming multipie --only flash=07 --out data/multipie
    reenact-jax prepare stills CelebV/ --naming celebv --every 20 --out data/celebv

Pictures of one person from one camera, in one light, become one record, with the same crop for all
of them, `expression` and `pose_id` as the names say, and the neutral picture as reference: what
FReeNet's stages pair people by. Where names do not say the expression (CelebV), every so-manieth
picture of a person is taken, in records of --frames.

Pictures that ought to be there and are not, that cannot be read, that show no face, or whose names
do not fit, are listed in OUT/report.tsv. Started again, only what is new or changed is read.
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
from reenact_jax.data_prep.namings import NAMINGS, NEUTRAL, Found, Still
from reenact_jax.data_prep.outcome import Outcome, finish
from reenact_jax.data_prep.tracking import Sighting
from reenact_jax.faces import SELFIE, Detector, choose, segmenter
from reenact_jax.faces import mesh as facemesh
from reenact_jax.media import reading


@dataclasses.dataclass(frozen=True)
class Options:
    """How faces are found and cut out. A change makes all pictures be read again."""

    size: int = setting(256, low=32, high=1024, doc='side of the stored crops, pixels')
    frames: int = setting(16, low=1, high=64, doc='pictures a record, where names are no labels')
    every: int = setting(10, low=1, doc='use one in so many such pictures')
    min_width: float = setting(48.0, low=1.0, doc='smallest box of the 68 points, source pixels')
    min_height: float = setting(64.0, low=1.0, doc='the same, its height')
    confidence: float = setting(0.5, low=0.1, high=0.99, doc='detection threshold')
    faces: int = setting(4, low=1, high=32, doc='most faces in a picture; the largest is meant')
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
        """The pictures."""
        return tuple(still.path for still in self.stills)

    @property
    def frames(self) -> int:
        """How many."""
        return len(self.stills)


def groups(found: Found, expressions: tuple[str, ...], options: Options) -> Iterator[tuple]:
    """(key, person, stills) of every record to be made."""
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
    detector: Detector,
    progress: Callable[[], object] = lambda: None,
) -> Outcome:
    """Write the record of a group to `target` (TFRecord framing), and its report beside it."""
    outcome, rejected, seen, images = Outcome(group.key), Counter(), [], []
    for still in group.stills:
        progress()
        outcome.frames += 1
        image, face, why = _look(still.path, options, detector)
        if not why and images and image.shape != images[0].shape:
            why = 'not as large as the others'
        outcome.frames_with_face += face is not None
        if why:
            rejected[why] += 1
            outcome.detail += f'{still.path.name}: {why}; '
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


def _look(path: Path, options: Options, detector: Detector):
    """The image, the largest face in it, and why they are not used ('' if they are)."""
    try:
        image = reading.read_still(path)
    except UserError:
        return None, None, 'broken'
    found = detector.detect(image, thorough=True)
    if not found:
        return image, None, 'no face'
    face = choose(found, 'largest', str(path))
    why = unfit([Sighting(0, face)], 1, 0, options)
    if not why and not detector.is_certain(image, face):
        why = 'not certainly a human face'
    return image, face, why or ''


def _record(group, seen, images, neutral, options: Options, detector: Detector) -> tracks.Track:
    stills, sightings = zip(*seen, strict=True)
    crop = records.window(list(sightings))
    pictures = [records.picture(image, crop, options.size, options.quality) for image in images]
    track = records.build(
        sightings,
        pictures,
        crop,
        options.size,
        images[0].shape[1::-1],
        facemesh.canonical(detector.model),
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
    """The command."""
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
        help='use the pictures whose name has this, e.g. gaze=frontal (rafd: angle=045,090,135, '
        'as the paper, unless told)',
    )
    flags.add(parser, Options)
    said = parser.parse_args(arguments)
    options, dealing = flags.read(said, Options)
    found = namings.read(said.naming, said.folder, _only(said.only))
    names = NAMINGS[said.naming].expressions
    sources = [
        Group(key, person, said.licence, said.consent, stills, names)
        for key, person, stills in groups(found, names, options)
    ]
    outcomes = gather.prepare(
        sources,
        said.out,
        extract,
        options,
        dealing,
        face_landmarker=said.face_landmarker,
        parameters={'made_by': 'data_prep.stills', 'expressions': names},
        others=[Outcome(name, 'missing') for name in found.missing]
        + [Outcome(name, 'other name') for name in found.strange],
    )
    flags.show(said.out, outcomes, dealing)
    for count, what in ((found.missing, 'missing'), (found.strange, 'named otherwise')):
        if count:
            more = ', ...' if len(count) > 3 else ''
            print(f'{len(count)} pictures {what}: {", ".join(count[:3])}{more}; see report.tsv')
    return 0


def _only(told: Sequence[str] | None) -> dict[str, list[str]] | None:
    """--only by part of the name; None where it was not told."""
    if told is None:
        return None
    for one in told:
        if '=' not in one or one[-1] == '=':
            raise UserError(f'--only {one}: expected PART=VALUE, e.g. gaze=frontal')
    return {key: values.split(',') for key, _, values in (one.partition('=') for one in told)}


if __name__ == '__main__':
    errors.command(main)
