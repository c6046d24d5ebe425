"""HDTF: talking heads of YouTube, in the subsets RD, WDA and WRA.

Clips, named as its authors ask (VIDEO_CLIP.mp4), or with the subset before it, as a common download
script names them:

    BarackObama_0.mp4        WDA_BarackObama_000.mp4        RD_Radio11_001.mp4

or whole videos beside the tables of github.com/MRzzm/HDTF, which name them by subset:

    RD_annotion_time.txt    Radio11.mp4 00:30-01:00 01:30-02:30    times of the clips 0, 1, ...
    RD_crop_wh.txt          Radio11_0.mp4 444 556 0 556            x, width, y, height of a clip
    RD_resolution.txt       Radio11.mp4 720                        lines of the picture measured
    Radio11.mp4, or RD_Radio11.mp4, anywhere in the folder

A clip without a line in crop_wh is not used. The person is the name of the video without digits at
its end (AmyKlobuchar1 is AmyKlobuchar); in Radio11 the number belongs to the name, since the videos
of a radio may show different people. There is no official split.
"""

import functools
import re
from pathlib import Path
from typing import NamedTuple

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

SUBSETS = ('RD', 'WDA', 'WRA')
TABLES = ('annotion_time', 'crop_wh', 'resolution')
CLIP = r'/(?:(?:RD|WDA|WRA)_)?(?P<video>[A-Za-z][\w-]*?)_(?P<clip>\d{1,3})\.mp4$'


def read(listing: Listing, rights: Rights) -> Found:
    """Find the clips of HDTF."""
    sources, unused, whole = {}, {}, {}
    for path, match in matches(CLIP, listing.videos):
        if match:
            key = f'{match["video"]}_{int(match["clip"])}'
            sources[key] = Source(path, key, person(match['video']), *rights)
        else:
            whole[re.sub('^(RD|WDA|WRA)_', '', path.stem)] = path
    for subset in SUBSETS:
        times, crops, lines = (_table(listing, f'{subset}_{name}.txt') for name in TABLES)
        if times is None or crops is None or lines is None:
            continue
        for video in sorted(whole.keys() & times.rows.keys()):
            path = whole.pop(video)
            for clip, span in enumerate(times.rows[video]):
                key = f'{video}_{clip}'
                if key not in crops.rows or video not in lines.rows:
                    unused[f'{subset}/{key}'] = 'crop_wh or resolution has no line for it'
                    continue
                cut = times.path, span, crops.path, crops.rows[key], lines.rows[video]
                made = functools.partial(part, *cut)
                tables = (times.path, crops.path, lines.path)
                cut_out = Source(path, key, person(video), *rights, tables=tables, part=made)
                sources.setdefault(key, cut_out)
    for path in whole.values():
        unused[below(path, listing.folder)] = (
            'neither a clip, VIDEO_0.mp4, nor in the table annotion_time of a subset'
        )
    return Found([*sources.values()], unused)


def person(video: str) -> str:
    """Name the person of a video."""
    return video if re.fullmatch(r'Radio\d+', video) else video.rstrip('0123456789')


class _Table(NamedTuple):
    """A table: name without .mp4 -> what stands behind it."""

    path: Path
    rows: dict[str, list[str]]


def _table(listing: Listing, name: str) -> _Table | None:
    path = next((path for path in listing.tables if path.name == name), None)
    if path is None:
        return None
    return _Table(path, {cells[0].removesuffix('.mp4'): cells[1:] for _, cells in words(path)})


def part(times: Path, span: str, crops: Path, crop: list[str], lines: list[str]) -> Part:
    """Make the part of a clip.

    Args:
      times: path of the table of times, for messages.
      span: begin and end, such as 00:30-01:00.
      crops: path of the table of crops, for messages.
      crop: x, width, y, height.
      lines: height of the picture in which they were measured.

    Raises:
      UserError: one of them is not so.
    """
    ends = re.fullmatch(r'([\d:.]+)-([\d:.]+)', span)
    if not ends:
        raise UserError(f'{times}: expected times such as 00:30-01:00, found {span!r}')
    begin, end = (_seconds(times, text) for text in ends.groups())
    if len(crop) != 4 or len(lines) != 1:
        raise UserError(f'{crops}: expected x, width, y, height, found {" ".join(crop)!r}')
    x, width, y, height = numbers(crops, 0, crop)
    box = (begin, x, y, x + width, y + height)
    return Part(begin, end, (box,), (0.0, numbers(crops, 0, lines)[0]))


def _seconds(path: Path, text: str) -> float:
    """Read minutes:seconds, or hours:minutes:seconds."""
    total = 0.0
    for value in numbers(path, 0, text.split(':')):
        total = total * 60 + value
    return total
