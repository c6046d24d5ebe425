"""Track shards from tables of landmarks and names, with the pictures that they are of or without.

    reenact-jax prepare points faces.csv --out data/faces --test 0.5

A row is a face: a column `identity`, and x0, y0, x1, y1, ... (with depth: z0, ...) in pixels of an
image. A column `image` names its file, from the table's folder; then the records have pictures, and
a generator can be trained on them. Columns `expression` and `pose_id` (numbers that all people
share) are kept if there are any. An .npz holds the same as arrays: `points` [rows, 68, 2 or 3],
`identity`, `image`, ... Points:
  ibug68  iBUG's 68, as dlib gives them
  muct68  the first 68 of MUCT's, changed to iBUG's: linear maps of neighbouring points, since MUCT
          has 15 on the jaw, brows as outlines, and fewer on lids, nose and inner lips

They are stored as the point set 68c, whose jaw follows the silhouette; train and evaluate with
--config.points=68c. Rows of one person become tracks of up to 16 frames, in the table's order.
People, not rows, are assigned to train and test. Rows with a missing point (0, 0) are left out and
counted.
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
from reenact_jax.data_prep import records
from reenact_jax.data_prep.gather import deal
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
    points: Float[np.ndarray, '68 _']  # with depth or without
    labels: tuple[int, ...]  # as LABELS; -1 unknown
    image: str = ''  # file of the picture


def read(path: str, scheme: str) -> tuple[list[Row], int]:
    """Read the faces of a table.

    Args:
      path: a CSV or NPZ file.
      scheme: the table's points, one of `SCHEMES`.

    Returns:
      The faces, and the number of rows that lack a point.

    Raises:
      UserError: the table lacks a column or complete rows, or a value is not a number; names the
        file, and the line of the value.
    """
    convert = SCHEMES[scheme]
    lines = point_files.lines(path)
    header = tables.header(next(lines, (1, []))[1], path)
    names = _columns(path, header)
    rows, dropped = [], 0
    for number, cells in lines:
        where = f'{path}, line {number}'
        if len(cells) != len(header):
            raise UserError(f'{where}: {len(cells)} values, the header has {len(header)}')
        line = dict(zip(header, cells, strict=True))
        points = np.array([tables.number(line[name], where, MOST) for name in names])
        points = points.reshape(68, -1)
        labels = tuple(_label(line.get(name), f'{where}, {name}') for name in LABELS)
        if not np.isfinite(points).all() or (points[:, :2] == 0).all(-1).any():
            dropped += 1
            continue
        picture = ''
        if 'image' in line:
            if not line['image']:
                raise UserError(f'{where}: no image; name one in every row, or in none')
            picture = str(Path(path).parent / line['image'])
        rows.append(Row(line['identity'], convert @ points, labels, picture))
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


def _columns(path: str, header: list[str]) -> list[str]:
    """Return the columns x0, y0, x1, ... of 68 points, which may stand in any order."""
    if 'identity' not in header:
        raise UserError(f'{path}: no column identity')
    return [name for point in point_files.columns(header, 68, path) for name in point]


def _muct() -> Float[np.ndarray, '68 68']:
    """Write iBUG's 68 points as weighted sums of MUCT's first 68 (ours)."""
    old = np.eye(68)

    def along(points, count):
        """Place `count` points, evenly by number, on a polyline."""
        at = np.linspace(0, len(points) - 1, count)
        first = np.minimum(at.astype(int), len(points) - 2)
        points = np.stack(points)
        share = (at - first)[:, None]
        return points[first] * (1 - share) + points[first + 1] * share

    def lid(left, middle, right):
        """Place two points at a third and two thirds of the parabola through three."""
        a, b, c = old[left], old[middle], old[right]
        return [2 / 9 * a + 8 / 9 * b - 1 / 9 * c, -1 / 9 * a + 8 / 9 * b + 2 / 9 * c]

    def between(i, j, share=0.5):
        return old[i] * (1 - share) + old[j] * share

    rows = [
        *along(list(old[:15]), 17),
        *along([old[21], between(22, 26), between(23, 25), old[24]], 5),
        *along([old[18], between(17, 19), between(16, 20), old[15]], 5),
        *along([between(37, 45), old[67]], 4),
        *(old[i] for i in (40, 46, 41, 47, 42)),
        *(old[27], *lid(27, 28, 29), old[29], *lid(29, 30, 27)),
        *(old[34], *lid(34, 33, 32), old[32], *lid(32, 35, 34)),
        *old[48:60],
        *(between(48, 54, 0.07), old[65], old[64], old[63]),
        *(between(54, 48, 0.07), old[62], old[61], old[60]),
    ]
    return np.stack(rows)


SCHEMES = {'ibug68': np.eye(68), 'muct68': _muct()}


def build(
    rows: list[Row], identity: int, number: int, source: str, licence: str, size: int = SIDE
) -> Track:
    """Make a track of one person's rows, every face in a crop of its own.

    Args:
      rows: at most `FRAMES`.
      identity: number of the person.
      number: of the track, among the person's.
      source: path of the table.
      licence: of the table.
      size: side of the crops, pixels.

    Raises:
      UserError: a picture is missing or broken.
    """
    count = len(rows)
    windows = [landmarks.crop_box(row.points[None]) for row in rows]
    faces = [of_points(row.points).landmarks('68c') for row in rows]
    points = np.stack([crops.into_crop(*face, size) for face in zip(faces, windows, strict=True)])
    stored = [_stored(*row, size) for row in zip(rows, windows, points, strict=True)]
    pictures, classes = zip(*stored, strict=True)
    unknown = {
        'landmarks_68': np.zeros((count, 68, 3), np.float32),
        'landmarks_106': np.zeros((count, 106, 3), np.float32),
    }
    unknown |= {name.replace('landmarks', 'reference'): value for name, value in unknown.items()}
    labels = np.array([row.labels for row in rows])
    return Track(
        track_id=f'{Path(source).stem}_{identity:05d}_{number:04d}',
        identity=identity,
        identity_name=rows[0].identity,
        size=size,
        image=pictures,
        segmentation=classes,
        landmarks_68c=points,
        reference_68c=points,  # nothing is known of the face at rest
        **unknown,
        visible_68=np.zeros((count, 68), np.int64),
        visible_106=np.zeros((count, 106), np.int64),
        visible_68c=np.ones((count, 68), np.int64),
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

    Returns:
      Counts: {split: [people, tracks, rows], 'dropped': rows}.

    Raises:
      UserError: as of `read` and `gather.deal`.
    """
    people: dict[str, list[tuple[str, Row]]] = {}
    dropped = 0
    for path in paths:
        rows, incomplete = read(path, scheme)
        dropped += incomplete
        for row in rows:
            people.setdefault(row.identity, []).append((path, row))
    splits = {name: names for name, names in deal(list(people), 0, test, seed).items() if names}
    parameters = {'made_by': 'data_prep.points_csv', 'points': ['68c'], 'scheme': scheme}
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
            rows = [row for source, row in people[name] if source == path]
            for start in range(0, len(rows), FRAMES):
                part = rows[start : start + FRAMES]
                yield build(part, identity, number, path, licence, size)
                lengths.append(len(part))
                number += 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax prepare points',
        description=__doc__,
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
    spec = args.points, args.test, args.seed, args.licence, args.size
    print(json.dumps(write(args.tables, args.out, *spec)))
    return 0


if __name__ == '__main__':
    errors.command(main)
