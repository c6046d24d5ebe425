"""A look into a shard set: counts, people, action units, pose, and pictures with points.

    reenact-jax inspect --data data/people --out sheet.png

Prints for each split the number of tracks, frames and people, the lengths of tracks, the spread of
action units and head angles (text bars over all frames where they are known), and where the tracks
come from. `--out` draws a contact sheet: one row for each track, with its points, reference and
segmentation.
"""

import io
from collections import Counter
from collections.abc import Iterator

import numpy as np
import simplejpeg
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from reenact_jax.common import data_flag, errors
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data.tracks import Track
from reenact_jax.geometry import layouts
from reenact_jax.media import credentials, watermark, writing

_BLOCKS = ' ▁▂▃▄▅▆▇█'
_CELL = 192
_COLUMNS = 5  # frames of a track on the sheet


def summary(directory: str, split: str) -> str:
    """Describe what a split holds, as text."""
    part = shards.ShardSet(directory, split)
    columns = part.columns
    lines = [
        f'{split}: {len(part)} tracks, {len(columns.aus)} frames, {part.people} people, '
        f'crops of {_range(columns.size)} pixels',
        f'  frames a track  {_counts(columns.frames)}',
        f'  tracks a person {_counts(np.bincount(columns.identity)[np.unique(columns.identity)])}',
    ]
    provenance = ('detector', 'licence', 'consent')
    known = [part.fields(i, provenance) for i in range(len(part))]
    for name in provenance:
        counts = Counter(record[name] for record in known)
        lines.append(
            f'  {name:9} ' + '; '.join(f'{count} x {text}' for text, count in counts.most_common(4))
        )
    lines.append(
        '  intensity 0 to 1, where known       share of frames known, mean, 95th percentile'
    )
    for i, name in enumerate(tracks.AU_NAMES):
        lines.append(f'  {name}  {_bars(columns.aus[columns.aus_valid[:, i], i], 0, 1, columns)}')
    lines.append('  degrees -60 to 60')
    for i, name in enumerate(tracks.POSE_NAMES, start=17):
        degrees = np.degrees(columns.aus[columns.aus_valid[:, i], i].astype(np.float32))
        lines.append(f'  {name}   {_bars(degrees, -60, 60, columns)}')
    return '\n'.join(lines)


def _range(values) -> str:
    low, high = values.min(), values.max()
    return f'{low}' if low == high else f'{low} to {high}'


def _counts(values) -> str:
    counts = sorted(Counter(int(v) for v in values).items())
    shown = ', '.join(f'{value}: {count}' for value, count in counts[:12])
    return shown + (f', ... up to {counts[-1][0]}' if len(counts) > 12 else '')


def _bars(values, low: float, high: float, columns) -> str:
    """Draw a histogram in one line, scaled to its fullest bin."""
    if not len(values):
        return 'unknown'
    bins, _ = np.histogram(np.clip(values, low, high), bins=24, range=(low, high))
    # The logarithm: most action units are 0 most of the time.
    heights = np.log1p(bins) / np.log1p(bins.max())
    bars = ''.join(_BLOCKS[int(np.ceil(h * (len(_BLOCKS) - 1)))] for h in heights)
    known, high_end = len(values) / len(columns.aus), np.percentile(values, 95)
    return f'|{bars}|  {known:4.0%} {np.mean(values, dtype=np.float32):7.2f} {high_end:7.2f}'


def drawing(track: Track, frame: int, points: str = '68') -> UInt8[np.ndarray, 's s 3']:
    """Draw a frame with its points: visible green, hidden red; the neutral reference blue.

    Args:
      track: one of the set.
      frame: its number in the track.
      points: the point set.
    """
    picture = Image.fromarray(simplejpeg.decode_jpeg(track.image[frame]))
    draw = ImageDraw.Draw(picture)
    positions = getattr(track, f'landmarks_{points}')[frame, :, :2]
    reference = getattr(track, f'reference_{points}')[frame, :, :2]
    seen = getattr(track, f'visible_{points}')[frame]
    for i, j in layouts.layout(points).edges:
        draw.line([*map(float, reference[i]), *map(float, reference[j])], fill=(80, 120, 255))
        draw.line([*map(float, positions[i]), *map(float, positions[j])], fill=(240, 240, 240))
    for (x, y), visible in zip(positions, seen, strict=True):
        colour = (0, 220, 0) if visible else (255, 40, 40)
        draw.ellipse([x - 1.5, y - 1.5, x + 1.5, y + 1.5], fill=colour)
    return np.asarray(picture)


def classes(track: Track, frame: int) -> UInt8[np.ndarray, 's s 3'] | None:
    """Colour the segmentation: background grey, face green, hair brown, unknown white.

    Args:
      track: one of the set.
      frame: its number in the track.

    Returns:
      The picture; None: the frame has no segmentation.
    """
    if not track.segmentation[frame]:
        return None
    with Image.open(io.BytesIO(track.segmentation[frame]), formats=['PNG']) as image:
        plane = np.asarray(image)
    colours = np.full((256, 3), 255, np.uint8)
    colours[tracks.BACKGROUND] = (150, 150, 150)
    colours[tracks.FACE], colours[tracks.HAIR] = (90, 200, 90), (140, 90, 40)
    return colours[plane]


def sheet(
    directory: str, split: str, count: int, points: str | None = None
) -> UInt8[np.ndarray, 'H W 3']:
    """Draw tracks evenly spread over a split: frames with points, and one segmentation.

    Args:
      directory: of the set.
      split: its name.
      count: most rows, one for each track.
      points: the point set; None: the first that the set has.
    """
    part = shards.ShardSet(directory, split)
    points = points or part.points[0]
    part.require_points(points)
    rows, captions = [], []
    for track in _spread(part, count):
        shown = np.linspace(0, track.frames - 1, min(_COLUMNS, track.frames)).round().astype(int)
        row = [drawing(track, int(frame), points) for frame in shown]
        rows.append([*row, *[None] * (_COLUMNS - len(row)), classes(track, int(shown[0]))])
        captions.append(track.track_id[-24:])
    titles = ['first', *[''] * (_COLUMNS - 2), 'last', 'classes']
    return writing.contact_sheet(rows, captions, titles, _CELL)


def shows_synthetic(directory: str, split: str, count: int) -> bool:
    """Tell whether somebody in the sheet is synthetic, by the tracks' `consent`."""
    part = shards.ShardSet(directory, split)
    return any(track.consent == 'synthetic' for track in _spread(part, count))


def _spread(part: shards.ShardSet, count: int) -> Iterator[Track]:
    """Yield at most so many tracks, evenly spread over a split."""
    for record in np.linspace(0, len(part) - 1, min(count, len(part))).round().astype(int):
        yield part.track(int(record))


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax inspect',
        description=__doc__,
    )
    data_flag.add(parser, 'shard set to look into')
    add = parser.add_argument
    add('--split', metavar='NAME', help='one split, such as train; default: all')
    add(
        '--out', metavar='PNG',
        help='draw a contact sheet into this file; it is marked if it shows synthetic people',
    )  # fmt: skip
    add('--tracks', type=int, default=12, metavar='N', help='rows of the sheet; default 12')
    add('--points', choices=sorted(layouts.LAYOUTS), help="point set; default: the set's first")
    options = data_flag.parse(parser, arguments)
    known = shards.splits(options.data)
    if options.split and options.split not in known:
        raise UserError(f'--split {options.split}: the set has {", ".join(known)}')
    if options.tracks < 1:
        raise UserError(f'--tracks {options.tracks}: expected 1 or more')
    if options.out:
        credentials.check()
    for split in [options.split] if options.split else known:
        print(summary(options.data, split))
    if options.out:
        split = options.split or ('train' if 'train' in known else known[0])
        image = sheet(options.data, split, options.tracks, options.points)
        if shows_synthetic(options.data, split, options.tracks):
            writing.write_still(options.out, watermark.embed(image))
        else:  # a mark would say of footage that it is none
            writing.write_still(options.out, image, signed=False, synthetic=False)
        print(f'{options.out}: {image.shape[1]} x {image.shape[0]}, split {split}')
    return 0


if __name__ == '__main__':
    errors.command(main)
