"""Data sets of the papers, as their makers hand them out: who is in which file, when and where.

`prepare videos FOLDER --layout NAME` reads a folder so; it may be the set's root or any folder in
it. Each module describes its sets. Where makers published a split of people, it is used unless
--splits is `hash`.
"""

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from reenact_jax.common.errors import UserError
from reenact_jax.data_prep.layouts import clips, forensics, hdtf, ijbc, vfhq, voxceleb
from reenact_jax.data_prep.layouts.listing import Found, Listing, Rights, walk

_ORDER = ('', 'train', 'dev', 'val', 'test')  # who stands on several lists is held out


class Layout(NamedTuple):
    """How a set is laid out."""

    read: Callable[[Listing, Rights], Found]
    example: str  # a path that fits
    pattern: str | None = None  # of paths that no other set has; None: none of its own


LAYOUTS = {
    'voxceleb1': Layout(
        functools.partial(voxceleb.read, 1), 'id10001/1zcIwhmdeo4/00001.mp4', voxceleb.UTTERANCE
    ),
    'voxceleb2': Layout(
        functools.partial(voxceleb.read, 2), 'id00012/21Uxsk56VDQ/00001.mp4', voxceleb.UTTERANCE
    ),
    'ffpp': Layout(
        forensics.ffpp, 'original_sequences/youtube/c23/videos/071.mp4', forensics.ORIGINAL
    ),
    'celebdf': Layout(forensics.celebdf, 'Celeb-real/id0_0003.mp4', forensics.CELEB_DF),
    'ijbc': Layout(ijbc.read, 'protocols/ijbc_metadata.csv'),
    'ravdess': Layout(clips.ravdess, 'Actor_01/01-01-03-02-01-01-01.mp4', clips.RAVDESS),
    'hdtf': Layout(hdtf.read, 'WDA_BarackObama_000.mp4', r'/(RD|WDA|WRA)_\w+_\d{3}\.mp4$'),
    'vfhq': Layout(vfhq.read, 'Clip+0hC8LgaL3I4+P0+C0+F1537-1825/00000000.png', vfhq.CLIP),
    'fomm-png': Layout(
        clips.fomm, 'train/id10283#xYdvjZe44qw#001234#001345.mp4/0000000.png', r'#[^/]+\.mp4(/|$)'
    ),
}


def read(
    name: str, folder: str | Path, licence: str = 'unknown', consent: str = 'unknown'
) -> Found:
    """Find the inputs of a set.

    Args:
      name: one of `LAYOUTS`.
      folder: of the set.
      licence: of all its files.
      consent: of its people.

    Raises:
      UserError: there is no such folder, nothing in it fits, or a table in it is damaged.
    """
    found = LAYOUTS[name].read(walk(Path(folder)), Rights(licence, consent))
    if not found.sources:
        why = next((f'; for example {key}: {why}' for key, why in found.unused.items()), '')
        raise UserError(
            f'{folder}: nothing there is laid out as in {name}, e.g. {LAYOUTS[name].example}{why}'
        )
    return found


def official(found: Found) -> dict[str, str]:
    """Return identity -> split of a published list, for those on one; see `dealing.deal`."""
    splits: dict[str, str] = {}
    for source in found.sources:
        split = getattr(source, 'split', '')  # stills have none
        splits[source.identity] = max(split, splits.get(source.identity, ''), key=_ORDER.index)
    return {name: split for name, split in splits.items() if split}


def guess(paths: Sequence[Path]) -> list[str]:
    """Return the layouts by whose names most of the files go."""
    texts = [path.absolute().as_posix() for path in paths]
    return [
        name
        for name, layout in LAYOUTS.items()
        if layout.pattern
        and 2 * sum(bool(re.search(layout.pattern, t)) for t in texts) > len(texts)
    ]
