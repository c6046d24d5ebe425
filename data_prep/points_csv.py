"""Track shards from tables of landmarks and names, with the pictures that they are of or without.

    reenact-jax prepare points faces.csv --out data/faces --test 0.5

A row is a face: a column `identity`, and x0, y0, x1, y1, ... (with depth: z0, ...) in pixels of an
image. A column `image` names its file, from the table's folder; then the records have pictures, and
a generator can be trained on them. Columns `expression` and `pose_id` (numbers that all people
share) are kept if there are any. An .npz holds the same as arrays: `points` [rows, n, 2 or 3],
`identity`, `image`, ... --points says how a table numbers them (below).

68 points are stored as the set 68c, whose jaw follows the silhouette (train and evaluate with
--config.points=68c), 106 as the set 106. Rows of one person become tracks of up to 16 frames, in
the table's order, every face in a crop of its own. People, not rows, are assigned to train and
test. Rows with a missing point (0, 0) are left out and counted.

With --naming the person, the expression and the camera are told by the name of the picture, in the
column `image` or `file`, as in `prepare stills`. Rows of one person, camera and gaze then become a
track in one crop, and its neutral face is the reference of all:

    reenact-jax prepare points rafd.csv --points hyperlandmark106 --naming rafd --out data/rafd
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.common import errors, tables
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data.tracks import Track
from reenact_jax.data_prep import namings, records, schemes
from reenact_jax.data_prep.dealing import deal
from reenact_jax.data_prep.schemes import SCHEMES
from reenact_jax.faces import point_files
from reenact_jax.faces.point_files import MOST
from reenact_jax.faces.points import of_points
from reenact_jax.geometry import crops, landmarks
from reenact_jax.media import reading

SIDE = 256  # side of the crop that the points are put into, pixels; by default that of pictures
QUALITY = 95  # of JPEGs, as `prepare videos` writes them
FRAMES = 16  # most frames of a track
LABELS = ('expression', 'pose_id')


class Row(NamedTuple):
    """A face of the table."""

    identity: str
    points: Float[np.ndarray, 'n _']  # with depth or without
    labels: tuple[int, ...]  # as LABELS; -1 unknown
    image: str = ''  # file of the picture
    track: str = ''  # rows with the same share a crop and a neutral face; '': this row has neither


def read(path: str, scheme: str, naming: str | None = None) -> tuple[list[Row], int]:
    """Read the faces of a table.

    Args:
      path: a CSV or NPZ file.
      scheme: the table's points, one of `SCHEMES`.
      naming: one of `NAMINGS`, by which the names of pictures tell the labels; None: columns do.

    Returns:
      The faces, and the number of rows that lack a point.

    Raises:
      UserError: the table lacks a column or complete rows, a value is not a number, or a name does
        not fit; names the file, and the line of the value.
    """
    convert = SCHEMES[scheme].weights
    lines = point_files.lines(path)
    header = tables.header(next(lines, (1, []))[1], path)
    named = _named_column(path, header, naming)
    names = [
        name for point in point_files.columns(header, convert.shape[1], path) for name in point
    ]
    rows, dropped = [], 0
    for number, cells in lines:
        where = f'{path}, line {number}'
        if len(cells) != len(header):
            raise UserError(f'{where}: {len(cells)} values, the header has {len(header)}')
        line = dict(zip(header, cells, strict=True))
        points = np.array([tables.number(line[name], where, MOST) for name in names])
        points = points.reshape(convert.shape[1], -1)
        if not np.isfinite(points).all() or (points[:, :2] == 0).all(-1).any():
            dropped += 1
            continue
        picture = ''
        if 'image' in line:
            if not line['image']:
                raise UserError(f'{where}: no image; name one in every row, or in none')
            picture = str(Path(path).parent / line['image'])
        if naming:
            rows.append(_named(naming, line[named], where, convert @ points, picture))
            continue
        labels = tuple(_label(line.get(name), f'{where}, {name}') for name in LABELS)
        rows.append(Row(line[named], convert @ points, labels, picture))
    if not rows:
        raise UserError(f'{path}: no row with all its points')
    return rows, dropped


def _label(cell: str | None, where: str) -> int:
    """Read a label: a whole number from 0, or an empty cell."""
    if not cell:
        return tracks.UNLABELLED
    if not re.fullmatch(r'-1|\d{1,9}', cell.strip()):
        raise UserError(f'{where}: {cell[:40]!r}, expected a whole number from 0, or -1')
    return int(cell)


def _named_column(path: str, header: list[str], naming: str | None) -> str:
    """Return the column that tells the person: the name, or with `naming` the picture's."""
    wanted = ('image', 'file') if naming else ('identity',)
    found = [name for name in wanted if name in header]
    if not found:
        raise UserError(f'{path}: no column {" or ".join(wanted)}')
    return found[0]


def _named(naming: str, name: str, where: str, points, picture: str) -> Row:
    """Make a row whose picture's name tells the labels."""
    still, expressions = namings.named(naming, name, where), namings.NAMINGS[naming].expressions
    known = {expression: number for number, expression in enumerate(expressions)}
    labels = known.get(still.expression, tracks.UNLABELLED), still.pose
    track = f'{still.track}/{still.gaze}' if still.expression else ''
    return Row(still.person, points, labels, picture, track)


def build(
    rows: list[Row], identity: int, number: int, source: str, licence: str, size: int = SIDE
) -> Track:
    """Make a track of one person's rows.

    Args:
      rows: at most `FRAMES`; of one `track`, or each in a crop of its own.
      identity: number of the person.
      number: of the track, among the person's.
      source: path of the table.
      licence: of the table.
      size: side of the crops, pixels.

    Raises:
      UserError: a picture is missing or broken.
    """
    count = len(rows)
    if rows[0].track:
        windows = [landmarks.crop_box(np.stack([row.points for row in rows]))] * count
    else:
        windows = [landmarks.crop_box(row.points[None]) for row in rows]
    known = '106' if len(rows[0].points) == 106 else '68c'
    faces = [of_points(row.points).landmarks(known) for row in rows]
    points = np.stack([crops.into_crop(*face, size) for face in zip(faces, windows, strict=True)])
    stored = [_stored(*row, size) for row in zip(rows, windows, points, strict=True)]
    pictures, classes = zip(*stored, strict=True)
    labels = np.array([row.labels for row in rows])
    return Track(
        track_id=f'{Path(source).stem}_{identity:05d}_{number:04d}',
        identity=identity,
        identity_name=rows[0].identity,
        size=size,
        image=pictures,
        segmentation=classes,
        **_sets(known, points, _at_rest(rows, points)),
        aus=np.zeros((count, 20), np.float32),
        aus_valid=np.zeros((count, 20), np.int64),
        gaze=np.zeros((count, 2), np.float32),
        gaze_valid=np.zeros(count, np.int64),
        expression=labels[:, 0],
        pose_id=labels[:, 1],
        frame_number=np.arange(count) + number * FRAMES,
        crop=np.float32([0, 0, size, 0]),
        source_file=Path(source).name,
        detector='as the table has them',
        licence=licence,
        consent='unknown',
    )


def _at_rest(rows: list[Row], points: Float[np.ndarray, 't n 3']) -> Float[np.ndarray, 't n 3']:
    """Return the neutral face of a track for each of its frames; where none is known, their own."""
    neutral = [i for i, row in enumerate(rows) if row.labels[0] == namings.NEUTRAL_NUMBER]
    if not rows[0].track or not neutral:
        return points
    return np.repeat(points[neutral[:1]], len(points), 0)


def _sets(known: str, points, rest) -> dict[str, np.ndarray]:
    """Return the fields of all point sets of a track; zeros where a set is not known."""
    fields = {}
    for name, number in tracks.POINT_SETS.items():
        none, here = np.zeros((len(points), number, 3), np.float32), name == known
        fields[f'landmarks_{name}'] = points if here else none
        fields[f'reference_{name}'] = rest if here else none
        fields[f'visible_{name}'] = np.full((len(points), number), int(here), np.int64)
    return fields


def _stored(row: Row, window, points, size: int) -> tuple[bytes, bytes]:
    """Return the crop of a row's picture as JPEG and its classes as PNG; nothing without one."""
    if not row.image:
        return b'', b''
    image = reading.read_still(row.image)
    (x0, y0, side), (height, width) = window, image.shape[:2]
    inside = np.array([-x0, -y0, width - x0, height - y0]) * (size / side)
    picture = records.picture(image, window, size, QUALITY)
    return picture, records.outlined(points, size, inside)


def write(
    paths: list[str],
    out: str,
    scheme: str,
    test: float,
    seed: int,
    licence: str,
    size: int = SIDE,
    naming: str | None = None,
) -> dict:
    """Write the splits train and test.

    Args:
      paths: the tables; a name means the same person in all of them.
      out: folder of the set.
      scheme: the tables' points, one of `SCHEMES`.
      test: share of the people in test, 0 to 1.
      seed: of the splits.
      licence: of the tables.
      size: side of the crops, pixels.
      naming: as of `read`.

    Returns:
      Counts: {split: [people, tracks, rows], 'dropped': rows}.

    Raises:
      UserError: as of `read` and `dealing.deal`.
    """
    people: dict[str, list[tuple[str, Row]]] = {}
    dropped = 0
    for path in paths:
        rows, incomplete = read(path, scheme, naming)
        dropped += incomplete
        for row in rows:
            people.setdefault(row.identity, []).append((path, row))
    splits = {name: names for name, names in deal(list(people), 0, test, seed).items() if names}
    points = [SCHEMES[scheme].points]
    parameters = {'made_by': 'data_prep.points_csv', 'points': points, 'scheme': scheme}
    counts: dict = {'dropped': dropped}
    first = 0
    for split, names in splits.items():
        numbers = {name: first + i for i, name in enumerate(sorted(names))}
        first += len(names)
        lengths: list[int] = []
        output = _tracks(people, numbers, licence, size, lengths)
        shards.write(out, split, output, parameters=parameters | {'seed': seed})
        counts[split] = [len(names), len(lengths), sum(lengths)]
    return counts


def _tracks(
    people: dict, numbers: dict[str, int], licence: str, size: int, lengths: list[int]
) -> Iterator[Track]:
    """Yield the tracks of some people, and note down how many frames each has."""
    for name, identity in numbers.items():
        number = 0
        for path in dict.fromkeys(path for path, _ in people[name]):
            groups: dict[str, list[Row]] = {}
            for source, row in people[name]:
                if source == path:
                    groups.setdefault(row.track, []).append(row)
            for rows in groups.values():
                for start in range(0, len(rows), FRAMES):
                    part = rows[start : start + FRAMES]
                    yield build(part, identity, number, path, licence, size)
                    lengths.append(len(part))
                    number += 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax prepare points',
        description=f'{__doc__}\n{schemes.__doc__}',
    )
    add = parser.add_argument
    add(
        'tables',
        nargs='+',
        metavar='TABLE',
        help='.csv or .npz; a name means the same person in all of them',
    )
    add('--out', required=True, metavar='DIR', help='folder of the new shard set')
    add('--points', choices=SCHEMES, default='ibug68', help='points of the tables; default ibug68')
    add('--naming', choices=namings.NAMINGS, help='how the pictures are named, if names are labels')
    add(
        '--test', type=float, default=0.5, help='share of the people in the split test; default 0.5'
    )
    add('--size', type=int, default=SIDE, help=f'side of the crops, pixels; default {SIDE}')
    add('--seed', type=int, default=0, help='random seed of the splits; default 0')
    add('--licence', default='unknown', help='licence of the tables, kept in every record')
    args = parser.parse_args(arguments)
    if not 0 <= args.test < 1:
        raise UserError(f'--test {args.test}: must be 0 or more and less than 1')
    if not 8 <= args.size <= 4096:
        raise UserError(f'--size {args.size}: from 8 to 4096 pixels')
    spec = args.points, args.test, args.seed, args.licence, args.size, args.naming
    print(json.dumps(write(args.tables, args.out, *spec)))
    return 0


if __name__ == '__main__':
    errors.command(main)
