"""Sets of stills whose file names tell person, expression and camera: RaFD, Multi-PIE, CelebV.

A set is expected as its makers distribute it; folders above the named part do not matter.

    rafd      Rafd090_01_Caucasian_female_angry_frontal.jpg
              camera angle, person, group, sex, expression, gaze
    multipie  001_01_02_051_07.png
              person, session, recording, camera, flash; session and recording tell the expression
    celebv    Jack_Ma/Image/17.jpg, and beside Image/ the list all_98pt.txt: one line a picture, 196
              numbers and its name; frames of videos in order, without labels
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from reenact_jax.common.errors import UserError
from reenact_jax.media import reading

NEUTRAL = 'neutral'
NEUTRAL_NUMBER = 0  # its place in every set's expressions
RAFD = (
    NEUTRAL, 'angry', 'contemptuous', 'disgusted', 'fearful', 'happy', 'sad', 'surprised'
)  # fmt: skip
MULTIPIE = (NEUTRAL, 'smile', 'surprise', 'squint', 'disgust', 'scream')
# Gross et al., "Multi-PIE" (2010), table 1: the expression asked for, by session and recording.
_ASKED = {
    '01': (NEUTRAL, 'smile'),
    '02': (NEUTRAL, 'surprise', 'squint'),
    '03': (NEUTRAL, 'smile', 'disgust'),
    '04': (NEUTRAL, NEUTRAL, 'scream'),
}


class Still(NamedTuple):
    """A picture and what its name tells."""

    path: Path
    person: str
    track: str  # pictures of one person that become one record: same place, light and clothes
    expression: str = ''  # '': the name does not tell
    pose: int = -1  # number of the camera; -1: the name does not tell
    box: tuple[float, float, float, float] | None = None  # x0 y0 x1 y1 of the face; None: largest
    gaze: str = ''  # '': the name does not tell


class Contents(NamedTuple):
    """The contents of a folder."""

    stills: list[Still]  # those of a track together, in natural order
    missing: list[str]  # pictures that should be there, as paths or names
    strange: list[str]  # pictures whose names do not fit


class Naming(NamedTuple):
    """The names of a set's files, and what they mean."""

    pattern: re.Pattern  # of the path below the folder, ending at the suffix
    still: Callable[[Path, Mapping[str, str]], Still]
    missing: Callable[[Path, Sequence[Mapping[str, str]]], list[str]]
    expressions: tuple[str, ...]  # by the number that `expression` has in the records
    example: str
    only: Mapping[str, tuple[str, ...]] = {}  # part of the name -> values used by default


def read(
    naming: str, folder: str | Path, only: Mapping[str, Sequence[str]] | None = None
) -> Contents:
    """Find the stills of a folder.

    Args:
      naming: one of `NAMINGS`.
      folder: searched with its sub-folders.
      only: part of the name -> values; pictures with others are left out. None: as the paper does.

    Raises:
      UserError: the folder does not exist or has no picture named so; `only` has an unknown part;
        two pictures have the same name.
    """
    spec, folder = NAMINGS[naming], Path(folder)
    only = spec.only if only is None else only
    if unknown := set(only) - set(spec.pattern.groupindex):
        raise UserError(
            f'--only {min(unknown)}: no part of the names of {naming}; they are '
            f'{", ".join(spec.pattern.groupindex)}'
        )
    if not folder.is_dir():
        raise UserError(f'{folder}: no such folder')
    files = [p for p in folder.rglob('*') if p.suffix.lower() in reading.STILL_SUFFIXES]
    files = {p.relative_to(folder).as_posix(): p for p in sorted(files, key=reading.natural)}
    files = {name: p for name, p in files.items() if not f'/{name}'.count('/.')}  # none hidden
    matches = {name: spec.pattern.search(name.rpartition('.')[0]) for name in files}
    strange = [name for name, match in matches.items() if not match]
    if len(strange) == len(files):
        raise UserError(f'{folder}: no picture there is named as in {naming}, e.g. {spec.example}')
    parts = {name: match.groupdict() for name, match in matches.items() if match}
    _refuse_twins(parts)
    wanted = {
        name: part
        for name, part in parts.items()
        if all(part[key] in values for key, values in only.items())
    }
    if not wanted:
        values = '; '.join(f'{key}={",".join(only[key])}' for key in only)
        raise UserError(f'{folder}: no picture there has {values} (--only)')
    stills = [spec.still(files[name], part) for name, part in wanted.items()]
    stills.sort(key=lambda s: (reading.natural(s.person), reading.natural(s.track)))
    return Contents(stills, spec.missing(folder, list(wanted.values())), strange)


def named(naming: str, name: str, where: str) -> Still:
    """Read the name of one picture.

    Args:
      naming: one of `NAMINGS`.
      name: of the picture, with its folders where these tell something.
      where: file and line, for the message.

    Raises:
      UserError: the name does not fit.
    """
    spec = NAMINGS[naming]
    match = spec.pattern.search(name.rpartition('.')[0])
    if not match:
        raise UserError(f'{where}: {name!r} is not named as in {naming}, e.g. {spec.example}')
    return spec.still(Path(name), match.groupdict())


def _refuse_twins(parts: Mapping[str, Mapping[str, str]]) -> None:
    seen: dict[tuple, str] = {}
    for name, part in parts.items():
        other = seen.setdefault(tuple(part.values()), name)
        if other != name:
            raise UserError(f'{other} and {name} are the same picture by name; keep one')


def _lacking(
    name: str, owner: Sequence[str], picture: Sequence[str]
) -> Callable[[Path, Sequence[Mapping[str, str]]], list[str]]:
    """Return a function that lists the pictures that others have and that a person lacks.

    Where a part is in both lists (Multi-PIE's session), only people who were there can lack its
    pictures.

    Args:
      name: format of a file's name, from its parts.
      owner: the parts that tell the person.
      picture: the parts that tell which picture it is.
    """

    def missing(_, parts):
        people = {tuple((key, part[key]) for key in owner) for part in parts}
        takes = {tuple((key, part[key]) for key in picture) for part in parts}
        ought = {
            name.format(**{**dict(person), **dict(take)})
            for person in people
            for take in takes
            if all(dict(person).get(key, value) == value for key, value in take)
        }
        return sorted(ought - {name.format(**part) for part in parts})

    return missing


def _unlisted(folder: Path, parts: Sequence[Mapping[str, str]]) -> list[str]:
    """List CelebV's pictures that a list names and that are not there."""
    there = {(part['person'], part['number']) for part in parts}
    people = {part['person'] for part in parts}
    absent = []
    for table in sorted(folder.rglob('all_98pt.txt')):
        person = table.parent.name
        for line in table.read_text().splitlines() if person in people else ():
            if (person, Path(line.split()[-1]).stem) not in there:
                absent.append(f'{person}/Image/{line.split()[-1]}')
    return absent


def _rafd(path: Path, part: Mapping[str, str]) -> Still:
    if part['expression'] not in RAFD:
        raise UserError(f'{path}: {part["expression"]!r} is none of {", ".join(RAFD)}')
    track = f'{part["person"]}/{part["angle"]}'
    angle, gaze = int(part['angle']), part['gaze']
    return Still(path, part['person'], track, part['expression'], angle, gaze=gaze)


def _multipie(path: Path, part: Mapping[str, str]) -> Still:
    expressions = _ASKED[part['session']]
    if (recording := int(part['recording'])) > len(expressions):
        raise UserError(f'{path}: session {part["session"]} has {len(expressions)} recordings')
    track = '/'.join(part[key] for key in ('person', 'session', 'camera', 'flash'))
    return Still(path, part['person'], track, expressions[recording - 1], int(part['camera']))


def _celebv(path: Path, part: Mapping[str, str]) -> Still:
    return Still(path, part['person'], part['person'])


NAMINGS = {
    'rafd': Naming(
        re.compile(
            r'Rafd(?P<angle>\d{3})_(?P<person>\d{2})_(?P<kind>[A-Za-z]+_(?:fe)?male)'
            r'_(?P<expression>[a-z]+)_(?P<gaze>frontal|left|right)$'
        ),
        _rafd,
        _lacking(
            'Rafd{angle}_{person}_{kind}_{expression}_{gaze}.jpg',
            ('person', 'kind'),
            ('angle', 'expression', 'gaze'),
        ),
        RAFD,
        'Rafd090_01_Caucasian_female_angry_frontal.jpg',
        {'angle': ('045', '090', '135')},
    ),
    'multipie': Naming(
        re.compile(
            r'(?P<person>\d{3})_(?P<session>0[1-4])_(?P<recording>0[1-3])_(?P<camera>\d{3})'
            r'_(?P<flash>\d{2})$'
        ),
        _multipie,
        _lacking(
            '{person}_{session}_{recording}_{camera}_{flash}.png',
            ('person', 'session'),
            ('session', 'recording', 'camera', 'flash'),
        ),
        MULTIPIE,
        '001_01_02_051_07.png',
    ),
    'celebv': Naming(
        re.compile(r'(?P<person>[^/]+)/Image/(?P<number>[^/]+)$'),
        _celebv,
        _unlisted,
        (),
        'Jack_Ma/Image/17.jpg',
    ),
}
