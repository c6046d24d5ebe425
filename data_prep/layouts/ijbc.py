"""IJB-C: stills and frames of videos, named by the tables of its protocols.

    protocols/ijbc_metadata.csv       or other .csv there with the columns that are read
    images/img/1.jpg, images/frames/2.png      as FILENAME names them, below images/ or the folder

The columns that are read are SUBJECT_ID, FILENAME, SIGHTING_ID, FACE_X, FACE_Y, FACE_WIDTH and
FACE_HEIGHT (pixels), and FRAME_NUM where it is there; rows without a subject or box are left out.
SUBJECT_ID is the person. Pictures of one person and sighting are one track, in order of FRAME_NUM
and in pieces of 16; a still is a track of one frame. The face whose middle lies in the box is used.

The full videos that NIST hands out beside the frames are not read: how their names belong to the
tables is not known to us. There is no official split of people for training; the galleries G1 and
G2 of the protocols are another thing.
"""

from pathlib import Path

from reenact_jax.common import tables
from reenact_jax.common.errors import UserError
from reenact_jax.data_prep.layouts.listing import Found, Listing, Rights, below, numbers
from reenact_jax.data_prep.namings import Still
from reenact_jax.data_prep.stills import Group

BOX = ('FACE_X', 'FACE_Y', 'FACE_WIDTH', 'FACE_HEIGHT')
COLUMNS = ('SUBJECT_ID', 'FILENAME', 'SIGHTING_ID', *BOX)
LONGEST = 16  # pictures of a track


def read(listing: Listing, rights: Rights) -> Found:
    """Find the tracks of IJB-C.

    Raises:
      UserError: no table has the columns, or a box is no box.
    """
    sightings: dict[tuple[str, str], dict[str, tuple]] = {}
    unused: dict[str, str] = {}
    read_any = False
    for path in listing.tables:
        if path.suffix.lower() == '.csv' and (rows := _rows(path)) is not None:
            read_any = True
            for subject, sighting, name, frame, box in rows:
                sightings.setdefault((subject, sighting), {}).setdefault(name, (frame, box))
    if not read_any:
        raise UserError(
            f'{listing.folder}: no .csv there with the columns {", ".join(COLUMNS)} '
            '(IJB-C: protocols/ijbc_metadata.csv)'
        )
    sources = []
    for (subject, sighting), pictures in sightings.items():
        stills = []
        for name, (_, box) in sorted(pictures.items(), key=lambda item: (item[1][0], item[0])):
            if path := _picture(listing.folder, name):
                stills.append(Still(path, subject, sighting, box=box))
            else:
                unused[name] = 'named by a table, but not there'
        for first in range(0, len(stills), LONGEST):
            part, key = tuple(stills[first : first + LONGEST]), f'{subject}/{sighting}/{first}'
            sources.append(Group(key, subject, *rights, part, ()))
    for path in listing.videos:
        unused[below(path, listing.folder)] = 'full videos of IJB-C are not read'
    return Found(sources, unused)


def _picture(folder: Path, name: str) -> Path | None:
    places = (folder / name, folder / 'images' / name)
    return next((path for path in places if path.is_file()), None)


def _rows(path: Path) -> list[tuple] | None:
    """Read the rows of a table with a subject and a box; None: it lacks a column."""
    lines = tables.rows(tables.text(path), path)
    header = tables.header(next(lines, (1, []))[1], path)
    if not set(COLUMNS) <= set(header):
        return None
    found = []
    for line, cells in lines:
        row = dict(zip(header, cells, strict=False))
        known = [row.get(name, '').strip().lower() for name in ('SUBJECT_ID', *BOX)]
        if any(value in ('', 'nan') for value in known):
            continue
        x, y, width, height = numbers(path, line, known[1:])
        if width <= 0 or height <= 0:
            raise UserError(f'{path}, line {line}: FACE_WIDTH and FACE_HEIGHT: expected above 0')
        frame = row.get('FRAME_NUM', '').strip().lower()
        number = numbers(path, line, [frame])[0] if frame not in ('', 'nan') else 0.0
        box = (x, y, x + width, y + height)
        # Stills have a sighting each, or none: then the picture is one.
        sighting = row['SIGHTING_ID'].strip() or row['FILENAME'].strip()
        subject = known[0].removesuffix('.0')
        found.append((subject, sighting, row['FILENAME'].strip(), number, box))
    return found
