"""Draw models side by side, as papers show them: references x drivers, or methods in columns.

    reenact-jax evaluate figure --model out/bundle --data SHARDS --out figure.png --video figure.mp4

With one model: a matrix, a row for each of --references people, a column for each of --drivers
tracks. With several, NAME=BUNDLE_or_WORKDIR each, or with --results NAME=FOLDER of other programs:
a row for each case of the list --pairs, and a column for each method, beside source, driver and
ground truth. The sheet shows the middle frame, the video all.
"""

import argparse
import functools

import numpy as np
from jaxtyping import UInt8

from reenact_jax.bundle import Bundle
from reenact_jax.common import command_line, errors
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate import cases, compare, methods, others
from reenact_jax.evaluate.cases import Case
from reenact_jax.evaluate.pairs import NONE, Pairs, spread
from reenact_jax.geometry import images
from reenact_jax.media import credentials, watermark, writing

CELL = 160  # side of a picture, pixels
RATE = 25  # frames/s of the video
Cell = UInt8[np.ndarray, '_ _ _ 3'] | None


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
      UserError: a flag is wrong; the message names it.
    """
    parser = errors.Parser(prog='reenact-jax evaluate figure', description=__doc__)
    add = parser.add_argument
    add('--model', required=True, nargs='+', metavar='[NAME=]MODEL', help='bundles, or workdirs')
    add('--data', required=True, metavar='SHARDS', help='set with people kept out of training')
    add('--split', help='split of the set; default: gt_cross for those pairs, else test')
    add('--pairs', default='cross', metavar='LIST', help='list of the rows, as of `evaluate`')
    add('--results', action='append', default=[], metavar='NAME=FOLDER', help='of other programs')
    add('--references', type=int, default=4, help='rows of the matrix, or of the list; default 4')
    add('--drivers', type=int, default=4, help='columns of the matrix; default 4')
    add('--frames', type=int, default=75, help='most frames of the video; default 75')
    add(
        '--motion', default='relative', choices=('relative', 'absolute'),
        help="of other people's drivers: since their first frame, or as they are; default relative",
    )  # fmt: skip
    add('--seed', type=int, default=0, help='random seed of the list; default 0')
    add('--out', required=True, metavar='FILE', help='the sheet: .png or .jpg')
    add('--video', metavar='FILE', help='the video: .mp4')
    args = parser.parse_args(arguments)
    if min(args.references, args.drivers, args.frames) < 1:
        raise UserError('--references, --drivers and --frames must be at least 1')
    return args


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    args = options(arguments)
    credentials.check()
    command_line.say_device()
    models = _models(args.model)
    split = args.split or ('gt_cross' if args.pairs == 'gt_cross' else 'test')
    part = ShardSet(args.data, split)
    if len(models) == 1 and not args.results:
        (model,) = models.values()
        grid, columns = matrix(model, part, args.references, args.drivers, args.motion, args.frames)
    else:
        chosen = compare.choose(args.pairs, part, args.references, args.seed)
        theirs = others.find(args.results, chosen)
        grid, columns = beside(models, theirs, part, chosen, args.motion, args.frames)
    length = max(len(cell) for row in grid for cell in row if cell is not None)
    writing.write_still(args.out, watermark.embed(sheet(grid, columns, length // 2)))
    if args.video:
        with writing.VideoWriter(args.video, RATE) as video:
            for frame in range(length):
                video.write(watermark.embed(sheet(grid, columns, frame)))
    print(f'{args.out}: {len(grid)} rows, {len(columns)} columns, {length} frames')
    return 0


def matrix(
    model: Bundle, part: ShardSet, references: int, drivers: int, motion: str, most: int
) -> tuple[list[list[Cell]], list[str]]:
    """Animate people with tracks of others.

    Args:
      model: the model.
      part: split of a shard set.
      references: rows at most, each a person.
      drivers: columns at most, each a track of another person, if there are enough people.
      motion: 'relative' or 'absolute'.
      most: frames at most.

    Returns:
      Rows of cells, drivers in the first row and references in the first column; captions of the
      columns.
    """
    _, first = np.unique(part.identity, return_index=True)
    rows = [int(first[i]) for i in spread(len(first), references)]
    rest = [int(record) for record in first if record not in rows] or rows
    columns = [rest[i] for i in spread(len(rest), drivers)]
    grid: list[list[Cell]] = [[None]]
    for source in rows:
        line: list[Cell] = []
        for driver in columns:
            case = _case(model, part, source, driver, most)
            line.append(_pixels(drawn(model, case, motion)))
            if len(grid[0]) <= len(columns):
                grid[0].append(_pixels(case.driving['image']))
        grid.append([_pixels(case.source['image']), *line])
    names = [str(part.columns.track_id[record])[-20:] for record in columns]
    return grid, ['reference', *names]


def beside(
    models: dict[str, Bundle],
    theirs: list[others.Other],
    part: ShardSet,
    chosen: Pairs,
    motion: str,
    most: int,
) -> tuple[list[list[Cell]], list[str]]:
    """Put methods side by side, a row for each case of a list.

    Args:
      models: name -> model.
      theirs: results of other programs for the list.
      part: split of a shard set.
      chosen: the list of pairs.
      motion: 'relative' or 'absolute', of cases without ground truth.
      most: frames at most.

    Returns:
      Rows of cells, and captions of the columns.
    """
    grid: list[list[Cell]] = []
    first = next(iter(models.values()))
    for number, rows in enumerate(chosen.groups()):
        read = functools.partial(cases.read, part, chosen.kind, rows[:most])
        case = read(first.size, first.points)
        cells = [_pixels(case.source['image']), _pixels(case.driving['image'])]
        for model in models.values():
            own = read(model.size, model.points)
            cells.append(_pixels(drawn(model, own, motion)))
        for other in theirs:
            cells.append(_pixels(other.frames(number, len(rows), other.side)[:most]))
        grid.append([*cells, None if case.truth is None else _pixels(case.truth['image'])])
    columns = ['source', 'driver', *models, *(other.name for other in theirs), 'ground truth']
    if all(row[-1] is None for row in grid):
        return [row[:-1] for row in grid], columns[:-1]
    return grid, columns


def drawn(model: Bundle, case: Case, motion: str) -> np.ndarray:
    """Draw a case with the model's own transfer, in [-1, 1]; 'relative' is for `cross` alone."""
    since_first = motion == 'relative' and case.kind == 'cross'
    return methods.rendered(model, case.source, methods.motion(model, case, since_first))


def sheet(grid: list[list[Cell]], columns: list[str], frame: int) -> UInt8[np.ndarray, 'H W 3']:
    """Lay out one frame of all cells; a clip that is over shows its last frame."""
    rows = [
        [None if cell is None else cell[min(frame, len(cell) - 1)] for cell in row] for row in grid
    ]
    return writing.contact_sheet(rows, (), columns, cell=CELL)


def _case(model: Bundle, part: ShardSet, source: int, driver: int, most: int) -> Case:
    frames = range(min(most, int(part.columns.frames[driver])))
    rows = [(source, 0, driver, frame, NONE, NONE) for frame in frames]
    return cases.read(part, 'cross', np.array(rows, np.int64), model.size, model.points)


def _pixels(image) -> UInt8[np.ndarray, 't h w 3']:
    return np.asarray(images.to_uint8(image))


def _models(texts: list[str]) -> dict[str, Bundle]:
    """Read models by name; without one, a model's name is its folder's."""
    models = {}
    for text in texts:
        name, sign, path = text.partition('=')
        if not sign:
            name, path = text.rstrip('/').rpartition('/')[2], text
        if name in models:
            raise UserError(f'--model {text}: {name!r} twice; name them: one={path} two=...')
        models[name] = compare.read_model(path, None)
    return models
