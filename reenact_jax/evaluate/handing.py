"""A list of pairs as files for other programs: what they animate, and how to name the results.

A case is a source frame and the frames that drive it. `FOLDER/0000/` holds source.png and
driver.mp4, all crops at the side in which the set has them; cases.csv says who is who, pairs.csv is
the list for --pairs. Results come back as FOLDER2/0000.mp4, or as a folder FOLDER2/0000 of PNGs: a
square picture for each frame of the driver.
"""

import csv
import io

import numpy as np
import simplejpeg
from etils import epath
from jaxtyping import UInt8
from PIL import Image

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate import pairs as lists
from reenact_jax.evaluate.pairs import Pairs
from reenact_jax.media import reading

COLUMNS = 'case', 'source', 'source_frame', 'driving', 'frames'
RATE = 25  # frames/s of driver.mp4; sets do not know the footage's
_CRF = '8'  # x264's quality: nothing to be seen
README = """Animate source.png of each folder with its driver.mp4, and write NAME/0000.mp4 for the
folder 0000, or a folder NAME/0000 of PNGs: one square picture for each frame of driver.mp4, in
their order, of the same crop as source.png. Then, with the same list:

    reenact-jax evaluate --model BUNDLE --data {data} --split {split} \\
        --pairs {folder}/pairs.csv --results PROGRAM=NAME

The pictures keep the licence and the consent that the set states.
"""


def name(case: int) -> str:
    """Return the name of a case's folder or file."""
    return f'{case:04d}'


def write(folder: epath.PathLike, part: ShardSet, chosen: Pairs) -> int:
    """Write everything; return the number of cases.

    Args:
      folder: to write; it may hold an earlier export of the same list.
      part: split of a shard set.
      chosen: the list of pairs.

    Raises:
      UserError: the folder holds something else, or the crops have an odd side.
    """
    target = storage.path(folder)
    mine = not storage.is_dir(target) or storage.exists(target / 'pairs.csv')
    if not mine and storage.names(target):
        raise UserError(f'--export-pairs {folder}: holds other files; name a new folder')
    groups, rows = chosen.groups(), []
    for number, group in enumerate(groups):
        source, driving = (part.track(int(record)) for record in group[0, [0, 2]])
        stills = _decoded(source, group[:1, 1]), _decoded(driving, group[:, 3])
        storage.write(target / name(number) / 'source.png', _png(stills[0][0]))
        storage.write(target / name(number) / 'driver.mp4', _video(folder, stills[1]))
        frame = int(group[0, 1])
        rows.append([name(number), source.track_id, frame, driving.track_id, len(group)])
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([COLUMNS, *rows])
    storage.write(target / 'cases.csv', text.getvalue())
    readme = README.format(data=part.directory, split=part.split, folder=folder)
    storage.write(target / 'README.txt', readme)
    lists.write(target / 'pairs.csv', chosen, part)
    return len(groups)


def _decoded(track, frames) -> list[UInt8[np.ndarray, 's s 3']]:
    """Decode frames of a track.

    Raises:
      UserError: it has no images.
    """
    if not all(track.image):
        raise UserError(f'{track.track_id}: has no images, landmarks alone')
    return [simplejpeg.decode_jpeg(track.image[int(frame)]) for frame in frames]


def _png(image: UInt8[np.ndarray, 's s 3']) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'PNG')
    return file.getvalue()


def _video(folder, frames: list[UInt8[np.ndarray, 's s 3']]) -> bytes:
    """Encode frames as MP4, without the mark of synthetic media: they are the footage itself."""
    av, side, file = reading.pyav(), len(frames[0]), io.BytesIO()
    if side % 2:
        raise UserError(
            f'--export-pairs {folder}: crops of {side} pixels; H.264 needs an even side'
        )
    with av.open(file, 'w', format='mp4') as container:
        stream = container.add_stream('libx264', rate=RATE)
        stream.width = stream.height = side
        stream.pix_fmt, stream.options = 'yuv420p', {'crf': _CRF}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode(None))
    return file.getvalue()
