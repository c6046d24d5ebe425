"""Results of other programs, as videos or folders of pictures, scored beside ours.

`--results NAME=FOLDER`: FOLDER has a video or a folder of pictures for each case of the list, by
the names of `evaluate --export-pairs`. Pictures are brought to the model's size, in which all are
scored. Their number, size and place are checked: the first two must fit, an offset is said.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Float

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.evaluate import handing
from reenact_jax.evaluate.alignment import Alignment
from reenact_jax.evaluate.pairs import Pairs
from reenact_jax.geometry import images
from reenact_jax.media import reading

_RESERVED = ' + '  # parts a transfer from a generator in the names of our methods


class Other(NamedTuple):
    """Results of one program."""

    name: str
    folder: str
    files: tuple[str, ...]  # a video, a still or a folder for each case
    side: int  # of its pictures, pixels

    def frames(self, case: int, count: int, size: int) -> Float[np.ndarray, 'g h w 3']:
        """Read the pictures of a case, in [-1, 1], at `size`.

        Raises:
          UserError: a file is damaged, or does not have `count` frames.
        """
        reader = reading.Reader(self.files[case])
        pixels = list(reader)
        if fault := reader.fault():
            raise UserError(f'{self.files[case]}: {fault}')
        _check_count(self.files[case], len(pixels), count)
        return np.asarray(images.resize(images.to_float(np.stack(pixels)), size))

    def facts(self) -> dict:
        """Say what they are, as plain values."""
        digests = [_digest(file) for file in self.files]
        whole = storage.digest(''.join(digests).encode())[:16]
        return {'folder': self.folder, 'side': self.side, 'digest': whole}


def find(texts: Iterable[str], chosen: Pairs) -> list[Other]:
    """Find the results that `NAME=FOLDER` name, for every case of a list.

    Raises:
      UserError: a name is taken or has no folder; a case is missing; pictures are not square or not
        as many as the list has.
    """
    others: list[Other] = []
    counts = [len(rows) for rows in chosen.groups()]
    for text in texts:
        name, sign, folder = text.partition('=')
        if not sign or not name or _RESERVED in name:
            raise UserError(f"--results {text}: expected NAME=FOLDER, NAME without '{_RESERVED}'")
        if name in [other.name for other in others]:
            raise UserError(f'--results {text}: {name} is named twice')
        if not storage.is_dir(storage.path(folder)):
            raise UserError(f'--results {text}: no folder {folder}')
        files = _files(folder, len(counts))
        sides = [_checked(file, count) for file, count in zip(files, counts, strict=True)]
        if len(set(sides)) > 1:
            odd = next(i for i, side in enumerate(sides) if side != sides[0])
            raise UserError(f'{files[odd]}: {sides[odd]} pixels a side, {files[0]} has {sides[0]}')
        others.append(Other(name, folder, tuple(files), sides[0]))
    return others


def warnings(alignment: dict[str, list[Alignment]]) -> list[str]:
    """Say of each program in which cases its pictures seem to lie elsewhere: one line or none."""
    lines = []
    for name, cases in alignment.items():
        late = [i for i, one in enumerate(cases) if one.frames]
        if late:
            offsets = sorted({cases[i].frames for i in late})
            lines.append(
                f'{name}: {len(late)} of {len(cases)} cases seem to be '
                f'{", ".join(f"{n:+d}" for n in offsets)} frames off, such as '
                f'{handing.name(late[0])}'
            )
        moved = [i for i, one in enumerate(cases) if one.right or one.down]
        if moved:
            first = cases[moved[0]]
            lines.append(
                f'{name}: {len(moved)} of {len(cases)} cases seem to lie elsewhere in the picture, '
                f'such as {handing.name(moved[0])}, {first.right:+d} right, {first.down:+d} down'
            )
    return lines


def section(results: dict, alignment: dict[str, list[Alignment]]) -> str:
    """Write what was scored of other programs, and how it lies, as Markdown; '' without any."""
    if not results:
        return ''
    lines = [
        '## Results of other programs',
        '',
        'Brought to the size above, as they are otherwise. Offsets are looked for against the '
        'ground truth; where there is none, in time alone, against the driver.',
        '',
        '| program | folder | side, pixels | offset |',
        '|---|---|---|---|',
    ]
    for name, one in results.items():
        said = warnings({name: alignment.get(name, [])})
        text = '; '.join(line.removeprefix(f'{name}: ') for line in said) or 'none found'
        lines.append(f'| {name} | {one["folder"]} | {one["side"]} | {text} |')
    return '\n'.join(lines)


def _files(folder: str, count: int) -> list[str]:
    """List the file of every case."""
    inside = storage.names(storage.path(folder))
    named = {text.rpartition('.')[0] or text: text for text in inside if not text.startswith('.')}
    known = reading.VIDEO_SUFFIXES + reading.STILL_SUFFIXES
    missing, files = [], []
    for case in map(handing.name, range(count)):
        entry = named.get(case, '')
        whole = storage.path(folder) / entry
        if entry and (whole.suffix.lower() in known or storage.is_dir(whole)):
            files.append(str(whole))
        else:
            missing.append(case)
    if missing:
        raise UserError(
            f'{folder}: {len(missing)} of {count} cases are missing, such as {missing[0]}: '
            f'expected {missing[0]}.mp4 or a folder {missing[0]} of pictures '
            '(`evaluate --export-pairs` writes what is to be animated)'
        )
    return files


def _checked(file: str, count: int) -> int:
    """Return the side of a case's pictures."""
    probe = reading.probe(file)
    if probe.width != probe.height:
        hint = ''
        if probe.width % probe.height == 0:
            hint = ', like pictures side by side: cut the result out'
        raise UserError(
            f'{file}: {probe.width} x {probe.height} pixels{hint}; expected squares, the crop of '
            'source.png'
        )
    if probe.counted or probe.kind != 'video':
        _check_count(file, probe.frames, count)
    return probe.width


def _check_count(file: str, found: int, count: int) -> None:
    if found != count:
        raise UserError(
            f'{file}: {found} frames, the list has {count}: one for each frame of driver.mp4'
        )


def _digest(file: epath.PathLike) -> str:
    path = storage.path(file)
    if not storage.is_dir(path):
        return storage.file_digest(path)
    return ''.join(name + storage.file_digest(path / name) for name in storage.files(path))
