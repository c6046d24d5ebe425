"""Files that were cut anywhere are noticed, whole ones are not suspected."""

from fractions import Fraction

import films
import numpy as np
import pytest
from PIL import Image

from reenact_jax.common.errors import UserError
from reenact_jax.media import reading, whole

av = pytest.importorskip('av')
COUNT = 24
# These may end between two pictures, and after the last.
STREAMS = '.mpg', '.m2v', '.flv', '.ivf', '.mxf'
# name: PyAV's format, codecs of picture and sound
CONTAINERS = {
    'a.mpg': ('mpeg', 'mpeg1video', 'mp2'),
    'b.mpg': ('mpeg', 'mpeg1video', None),
    'c.mpg': ('vob', 'mpeg2video', 'mp2'),
    'd.mpg': ('vob', 'mpeg2video', None),
    'a.m2v': ('mpeg2video', 'mpeg2video', None),
    'a.avi': ('avi', 'mpeg4', 'pcm_s16le'),
    'b.avi': ('avi', 'mjpeg', None),
    'a.flv': ('flv', 'flv', None),
    'a.ivf': ('ivf', 'libvpx', None),
    'a.mxf': ('mxf', 'mpeg2video', None),
}


def pictures():
    """A texture that moves."""
    rng = np.random.default_rng(0)
    large = np.kron(rng.integers(0, 255, (60, 60, 3)), np.ones((4, 4, 1)))
    for n in range(COUNT):
        yield np.uint8(large[n : n + 96, 2 * n : 2 * n + 128])


def write(path):
    if path.suffix in ('.gif', '.webp', '.png'):
        first, *rest = map(Image.fromarray, pictures())
        first.save(path, save_all=True, append_images=rest, duration=40)
        return path
    form, codec, sound = CONTAINERS[path.name]
    with av.open(str(path), 'w', format=form) as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.bit_rate = 128, 96, 4_000_000
        stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        audio = sound and file.add_stream(sound, rate=48_000, layout='mono')
        packets = []
        for number, picture in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(picture, 'rgb24').reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        packets += films.tone(av, audio, films.Film(), 48_000) if audio else []
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            file.mux(packet)
    return path


def read(path):
    """What is said of a file, and its frames."""
    try:
        reader = reading.Reader(path)
        frames = len(list(reader))
    except UserError as error:
        return str(error), 0
    return reader.fault(), frames


@pytest.mark.parametrize('name', [*CONTAINERS, 'a.gif', 'a.webp', 'a.png'])
def test_cuts_are_noticed(tmp_path, name):
    path = write(tmp_path / name)
    assert read(path) == (None, COUNT)
    data = path.read_bytes()
    rng = np.random.default_rng(1)
    cuts = [*rng.integers(len(data) // 20, len(data), 12), *(len(data) - k for k in (1, 7, 50))]
    if path.suffix == '.mpg':  # where packets end, as copies in blocks do
        cuts += range(len(data) // 2 // 2048 * 2048, len(data), 4096)
    missed = []
    for cut in map(int, cuts):
        path.write_bytes(data[:cut])
        said, frames = read(path)
        if said is None and not (path.suffix in STREAMS and frames == COUNT):
            missed.append((cut, frames))
    assert len(missed) <= (path.suffix in STREAMS), missed


def test_a_last_picture_is_compared_with_those_before():
    def picture(*slices):
        return b'\0\0\1\0\xaa\xaa' + b''.join(b'\0\0\1' + bytes([n]) + b'\x55' for n in slices)

    three = picture(1, 2, 3)
    assert whole._last_picture(3 * three) is None
    assert whole._last_picture(2 * three + picture(1, 2)) == 'its last picture ends in row 2 of 3'
    assert whole._last_picture(three + picture(1, 2)) is None  # one alone is no rule
    assert whole._last_picture(picture(1, 2) + three + picture(1)) is None
    assert whole._last_picture(b'') is None


@pytest.mark.parametrize('name', ['a.mpg', 'b.mpg', 'c.mpg', 'd.mpg'])
def test_streams_that_end_with_a_packet_within_a_picture(tmp_path, name):
    path = write(tmp_path / name)
    data = path.read_bytes()
    cuts = range(16 * 2048, len(data) // 2048 * 2048 - 2048, 2048)
    said = []
    for cut in cuts:
        path.write_bytes(data[:cut])
        said.append(whole.cut_short(path, 'mpeg'))
    # The others lie between pictures, in the last row of one, or in the sound at the end.
    assert sum(one is not None for one in said) >= 0.3 * len(cuts) > 3, said
