"""VoxCeleb1 and VoxCeleb2: a folder a person, a folder a video, a file an utterance.

Clips, as VoxCeleb2's mp4 archives hold them (faces cut out, 224 x 224 pixels, 25 frames/s):

    .../id00012/21Uxsk56VDQ/00001.mp4

Tables of utterances (the archives `txt` of both), beside videos that were fetched by their ids and
lie anywhere in the folder, as VIDEO.mp4 or the like:

    .../id10001/1zcIwhmdeo4/00001.txt        and      .../1zcIwhmdeo4.mp4

A table has five lines of text (Identity, Reference, Offset, FV Conf, ASD Conf), the heads FRAME X Y
W H, and a line for each frame. Frames count from the video's start at 25 a second, whatever the
video's own rate is. X, Y, W and H are the face's box: in VoxCeleb2 shares of the picture's width
and height; in VoxCeleb1 pixels of a picture 360 pixels high (as the First order motion model's
preprocessing reads them; the authors' pages do not say it). The face whose middle lies in the box
is used. Where both a clip and a table of an utterance are there, the clip is.

Official test people are in test; val and train are chosen among the others.
"""

import functools
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
from reenact_jax.data_prep.layouts.published import VOXCELEB1_TEST, VOXCELEB2_TEST
from reenact_jax.data_prep.parts import Part

RATE = 25.0  # frames a second by which the tables count
SIZES = {1: (0.0, 360.0), 2: (1.0, 1.0)}  # see `Part.size`
UTTERANCE = r'/(?P<person>id\d{5})/(?P<video>[\w-]{11})/(?P<number>\d{5})\.'


def read(version: int, listing: Listing, rights: Rights) -> Found:
    """Find the utterances of VoxCeleb.

    Args:
      version: 1 or 2.
      listing: of the folder.
      rights: of all files.
    """
    test = VOXCELEB1_TEST if version == 1 else VOXCELEB2_TEST
    found, unused, whole = {}, {}, {}
    for path, match in matches(UTTERANCE, listing.videos):
        if match:
            person, video, number = match.groups()
            found[f'{person}/{video}/{number}'] = path, None
        else:
            whole[path.stem] = path
    used = set()
    for table, match in matches(UTTERANCE + r'txt$', listing.tables):
        if not match:
            continue
        person, video, number = match.groups()
        if video in whole:
            used.add(video)
            found.setdefault(f'{person}/{video}/{number}', (whole[video], table))
        elif f'{person}/{video}/{number}' not in found:
            unused[below(table, listing.folder)] = f'its video, {video}.mp4, is not there'
    for video in whole.keys() - used:
        unused[below(whole[video], listing.folder)] = 'no table of utterances names this video'
    sources = [
        Source(
            path, key, person := key.partition('/')[0], *rights,
            split='test' if person in test else 'dev',
            tables=(table,) if table else (),
            part=functools.partial(utterance, table, SIZES[version]) if table else None,
        )
        for key, (path, table) in found.items()
    ]  # fmt: skip
    return Found(sources, unused)


def utterance(table: Path, size: tuple[float, float]) -> Part:
    """Read the table of an utterance.

    Raises:
      UserError: it has no line with the heads, or a line that is not five numbers.
    """
    boxes, heads = [], False
    for line, cells in words(table):
        if not heads:
            heads = [cell.upper() for cell in cells] == ['FRAME', 'X', 'Y', 'W', 'H']
            continue
        values = numbers(table, line, cells)
        if len(values) != 5:
            raise UserError(f'{table}, line {line}: expected FRAME X Y W H, found {len(values)}')
        frame, x, y, w, h = values
        boxes.append((frame / RATE, x, y, x + w, y + h))
    if not boxes:
        raise UserError(f'{table}: no line FRAME X Y W H with frames below it')
    boxes.sort()
    early = 0.25 / RATE  # what times are rounded by
    return Part(boxes[0][0] - early, boxes[-1][0] + 1 / RATE - early, tuple(boxes), size)
