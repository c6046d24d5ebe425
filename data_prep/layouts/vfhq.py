"""VFHQ: clips of interviews on YouTube, named by video, person, clip and frames.

    Clip+0hC8LgaL3I4+P0+C0+F1537-1825/00000000.png       a folder of frames, or Clip+....mp4

or the original videos beside the tables of meta_info, which lie anywhere in the folder:

    0hC8LgaL3I4.mp4      and      Clip+0hC8LgaL3I4+P0+C0+F1537-1825.txt

A table has lines that begin with H, W, FPS and CROP and end with height, width, frames a second,
and x0 y0 x1 y1 of the crop in pixels of such a picture; other lines are not read. Frames count from
0 in the video at that rate; the first and the last one of the name are left out, as the authors'
script does. Frames in folders have the rate of their table, or 25 a second without it.

P0 is a number within the video, so the person is VIDEO+P0; the same person in another video counts
as somebody else. Clips in a folder `VFHQ-Test` or `test` are in test (the authors' set of 100 clips
is a download of its own). Of the same clip in several resolutions the first found is used.
"""

import functools
from fractions import Fraction
from pathlib import Path

from reenact_jax.common.errors import UserError
from reenact_jax.data_prep.footage import Source
from reenact_jax.data_prep.layouts.listing import (
    Found,
    Listing,
    Rights,
    below,
    matches,
    numbers,
    words,
)
from reenact_jax.data_prep.parts import Part

CLIP = (
    r'/(?P<name>Clip\+(?P<video>[\w-]{11})\+(?P<person>P\d+)\+C\d+\+F(?P<first>\d+)-(?P<last>\d+))'
)
TEST = {'vfhq-test', 'test'}


def read(listing: Listing, rights: Rights) -> Found:
    """Find the clips of VFHQ."""
    clips, whole, unused = {}, {}, {}
    for path, match in matches(CLIP + r'(\.\w+)?$', [*listing.frames, *listing.videos]):
        if not match:
            whole[path.stem] = path
        elif match['name'] in clips:
            unused[below(path, listing.folder)] = f'{match["name"]} is there already'
        else:
            clips[match['name']] = path, match
    tables, used = {}, set()
    for table, match in matches(CLIP + r'\.txt$', listing.tables):
        if not match:
            continue
        tables[match['name']] = table
        if match['name'] not in clips and match['video'] in whole:
            clips[match['name']] = whole[match['video']], match
            used.add(match['video'])
        elif match['name'] not in clips:
            unused[below(table, listing.folder)] = 'neither its frames nor its video are there'
    for video in sorted(whole.keys() - used):
        unused[below(whole[video], listing.folder)] = 'not named as in VFHQ'
    sources = [
        Source(
            path, name, f'{match["video"]}+{match["person"]}', *rights,
            split='test' if TEST & {part.lower() for part in path.parts} else 'dev',
            tables=(table,) if (table := tables.get(name)) else (),
            part=_part(table, path, whole, match) if table else None,
        )
        for name, (path, match) in clips.items()
    ]  # fmt: skip
    return Found(sources, unused)


def _part(table: Path, path: Path, whole: dict[str, Path], match):
    cut = whole.get(match['video']) != path
    return functools.partial(clip, table, int(match['first']), int(match['last']), cut)


def clip(table: Path, first: int, last: int, cut: bool) -> Part:
    """Read the table of a clip.

    Args:
      table: its path.
      first: number of the frame in the video, from the clip's name.
      last: likewise.
      cut: the clip was cut out already: only its rate is needed.

    Raises:
      UserError: the table lacks a line, or one has no numbers at its end.
    """
    found = {}
    for line, cells in words(table):
        count = {'H': 1, 'W': 1, 'FPS': 1, 'CROP': 4}.get(cells[0].rstrip(':').upper())
        if count:
            found[cells[0].rstrip(':').upper()] = numbers(table, line, cells[-count:])
    if missing := [name for name in ('H', 'W', 'FPS', 'CROP') if name not in found]:
        raise UserError(f'{table}: no line that begins with {", ".join(missing)}')
    (rate,) = found['FPS']
    if rate <= 0 or len(found['CROP']) != 4:
        raise UserError(f'{table}: expected FPS above 0 and four numbers of CROP')
    if cut:
        return Part(rate=Fraction(rate).limit_denominator(1001))
    x0, y0, x1, y1 = found['CROP']
    size = found['W'][0], found['H'][0]
    return Part((first + 0.5) / rate, (last - 0.5) / rate, ((0.0, x0, y0, x1, y1),), size)
