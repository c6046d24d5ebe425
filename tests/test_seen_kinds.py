"""Kinds of stills, animations and videos that are rarer, in their colours, places and times."""

import struct
import zlib
from fractions import Fraction

import films
import numpy as np
import pytest
from PIL import Image, ImageOps
from test_seen import PICTURE, close, display_p3, first

from reenact_jax.media import measuring, reading, stills, timeline

av = pytest.importorskip('av', reason='videos need the extra [video]')
GREY = np.asarray(Image.fromarray(PICTURE).convert('L'))
HALF = np.where(np.arange(128) < 64, 255, 0).astype(np.uint8) + np.zeros((96, 1), np.uint8)
OVER_WHITE = np.where(HALF[..., None] > 0, PICTURE, 255).astype(np.uint8)
CLEAR = np.dstack([PICTURE, HALF])


def threefold(grey):
    return np.repeat(grey[..., None], 3, -1)


def png(path, colours: int, samples: np.ndarray, more: bytes = b''):
    """Write a PNG of 16 bits a sample, which Pillow does not in every mode."""

    def chunk(name, body):
        return (
            struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
        )

    height, width = samples.shape[:2]
    rows = b''.join(b'\0' + (row.astype('>u2') * 257).tobytes() for row in samples)
    head = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 16, colours, 0, 0, 0))
    body = chunk(b'IDAT', zlib.compress(rows))
    clear = chunk(b'tRNS', more) if more else b''
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + head + clear + body + chunk(b'IEND', b''))
    return reading.read_still(path)


def test_pngs_of_sixteen_bits(tmp_path):
    path = tmp_path / 'a.png'
    close(png(path, 2, PICTURE))
    close(png(path, 0, GREY), threefold(GREY))
    close(png(path, 6, CLEAR), OVER_WHITE)
    marked = np.where(HALF > 0, GREY, 7)
    found = png(path, 0, marked, struct.pack('>H', 7 * 257))
    close(found, threefold(np.where(HALF > 0, GREY, 255)))


def test_pictures_of_floats(tmp_path):
    for most in (1, 255):
        Image.fromarray((GREY * (most / 255)).astype(np.float32)).save(tmp_path / 'a.tif')
        close(reading.read_still(tmp_path / 'a.tif'), threefold(GREY))


def test_palettes_with_transparency(tmp_path):
    image = Image.fromarray(CLEAR).quantize(256, method=Image.Quantize.FASTOCTREE)
    image.save(tmp_path / 'a.png')
    found = reading.read_still(tmp_path / 'a.png')
    assert (found[:, 64:] == 255).all()
    close(found, OVER_WHITE, 14)


def test_profiles_of_jpeg_2000(tmp_path):
    to_p3 = np.linalg.inv([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
    light = np.clip(films.linear(PICTURE) @ to_p3.T, 0, 1)
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    path, profile = tmp_path / 'a.jp2', display_p3()
    Image.fromarray(np.round(255 * values).astype(np.uint8)).save(path)
    data = path.read_bytes()
    box = struct.pack('>I', len(profile) + 11) + b'colr\2\0\0' + profile
    at, outer = data.index(b'colr') - 4, data.index(b'jp2h') - 4
    old, length = (struct.unpack('>I', data[n : n + 4])[0] for n in (at, outer))
    longer = struct.pack('>I', length + len(box) - old)
    path.write_bytes(data[:outer] + longer + data[outer + 4 : at] + box + data[at + old :])
    close(reading.read_still(path))


@pytest.mark.parametrize('suffix', ['webp', 'png'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_animations_are_turned(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    frames = [Image.fromarray(np.roll(PICTURE, 9 * n, 1)) for n in range(3)]
    path = tmp_path / f'a.{suffix}'
    more = dict(duration=40, exif=exif, lossless=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], **more)
    for frame, found in zip(frames, reading.Reader(path), strict=True):
        frame.getexif()[0x0112] = orientation
        np.testing.assert_array_equal(found, np.asarray(ImageOps.exif_transpose(frame)))
    assert measuring.measured(path)['size'] == list(found.shape[1::-1])
    assert reading.probe(path)[4:6] == found.shape[1::-1]


@pytest.mark.parametrize('orientation', [1, 3, 5, 6, 8])
def test_heic_is_turned_once(tmp_path, orientation):
    heif = pytest.importorskip('pillow_heif', reason='needs the extra [heif]')
    heif.register_heif_opener()
    image, exif = Image.fromarray(PICTURE), Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / 'a.heic', exif=exif.tobytes(), quality=95)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    close(reading.read_still(tmp_path / 'a.heic'), upright, 6)
    assert stills.size(tmp_path / 'a.heic') == upright.shape[1::-1]


@pytest.mark.parametrize(('codec', 'form'), [('prores_ks', 'yuva444p10le'), ('png', 'rgba')])
def test_videos_with_transparency_lie_over_white(tmp_path, codec, form):
    path = tmp_path / 'a.mov'
    with av.open(str(path), 'w') as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, form
        for number, alpha in enumerate((HALF, np.zeros_like(HALF))):
            rgba = np.ascontiguousarray(np.dstack([PICTURE, alpha]))
            frame = av.VideoFrame.from_ndarray(rgba, 'rgba').reformat(format=form)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    over, empty = reading.Reader(path)
    close(over, OVER_WHITE, 5)
    close(empty, PICTURE, 5)  # nobody filled the channel


def test_grey_videos_have_their_whole_range(tmp_path):
    luma = av.VideoFrame.from_ndarray(PICTURE, 'rgb24').reformat(format='yuv420p', dst_colorspace=5)
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w') as file:
        stream = file.add_stream('libx264', rate=25, options={'crf': '8'})
        stream.width, stream.height, stream.pix_fmt = 128, 96, 'gray'
        frame = av.VideoFrame.from_ndarray(luma.to_ndarray()[:96], 'gray')
        frame.pts, frame.time_base, frame.color_range = 0, Fraction(1, 25), 1
        file.mux([*stream.encode(frame), *stream.encode(None)])
    close(first(path), threefold(GREY))


@pytest.mark.parametrize(('form', 'codec'), [('yuv422p', 'libx264'), ('yuv422p10le', 'prores_ks')])
@pytest.mark.parametrize('turn', [(0, 1, -1, 0), (0, 1, 1, 0), (-1, 0, 0, 1)])
def test_turned_pixels_that_are_not_square(tmp_path, form, codec, turn):
    shown = {
        (0, 1, -1, 0): np.rot90(PICTURE, -1),
        (0, 1, 1, 0): PICTURE.swapaxes(0, 1),
        (-1, 0, 0, 1): PICTURE[:, ::-1],
    }[turn]
    narrow = np.ascontiguousarray(PICTURE[:, ::2])
    more = dict(space=5, form=form, codec=codec, aspect=Fraction(2), matrix=turn)
    more['options'] = {'crf': '8'} if codec == 'libx264' else {'profile': '3'}
    close(first(films.show(tmp_path / 'a.mov', narrow, **more)), shown, 5)


def numbered(path, form, codec='libx264', rate=Fraction(25), base=None, options=None, muxing=None):
    """Write 50 frames, each as bright as its number says."""
    base = base or 1 / rate
    with av.open(str(path), 'w', format=form, options=muxing or {}) as file:
        stream = file.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 64, 'yuv420p'
        stream.codec_context.time_base = base
        for number in range(50):
            picture = np.full((64, 64, 3), 20 + 4 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, 'rgb24')
            frame.pts, frame.time_base = round(number / rate / base), base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


NTSC, TICK = Fraction(30000, 1001), Fraction(1, 600)
B_FRAMES = dict(options={'bf': '3'})
TIMED = {
    'AVI with B-frames': ('avi', dict(**B_FRAMES)),
    'MPEG-4 with B-frames in AVI': ('avi', dict(codec='mpeg4', options={'bf': '2'})),
    'no edit list': ('mp4', dict(muxing={'use_editlist': '0'}, **B_FRAMES)),
    'negative offsets': ('mp4', dict(muxing={'movflags': 'negative_cts_offsets'}, **B_FRAMES)),
    'ticks of 1/600 s': (
        'mov',
        dict(rate=NTSC, base=TICK, muxing={'video_track_timescale': '600'}),
    ),
    'milliseconds, 59.94': ('matroska', dict(rate=2 * NTSC)),
    'milliseconds, 119.88': ('matroska', dict(rate=4 * NTSC)),
    'bare H.264': ('h264', dict()),
    'bare H.264 with delimiters': ('h264', dict(options={'x264-params': 'aud=1'})),
    'bare MPEG': ('mpeg1video', dict(codec='mpeg1video')),
}


@pytest.mark.parametrize('name', TIMED)
def test_frames_come_in_order_and_in_time(tmp_path, name):
    form, more = TIMED[name]
    reader = reading.Reader(numbered(tmp_path / 'film', form, **more))
    shown = list(reader.frames())
    rate = more.get('rate', 25)
    assert reader.timeline.rate == rate and reader.fault() is None
    begins = np.array([one.begin for one in shown])
    np.testing.assert_allclose(begins - begins[0], np.arange(50) / float(rate), atol=1e-6)
    levels = [one.image.mean() for one in shown]
    np.testing.assert_allclose(levels, 20 + 4 * np.arange(50), atol=4)
    assert (np.diff(levels) >= 0).all()


def test_covers_that_nobody_marked_are_no_film(tmp_path):
    path = tmp_path / 'a.mkv'
    with av.open(str(path), 'w') as file:
        cover = file.add_stream('mjpeg', rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, 'yuvj420p'
        film = file.add_stream('libx264', rate=25)
        film.width, film.height, film.pix_fmt = 64, 64, 'yuv420p'
        for number in range(10):
            for stream, side in ((cover, 32), (film, 64))[number > 0 :]:
                grey = np.full((side, side, 3), 128, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, 'rgb24').reformat(format=stream.pix_fmt)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                file.mux(stream.encode(frame))
        file.mux([*cover.encode(None), *film.encode(None)])
    reader = reading.Reader(path)
    assert len(list(reader)) == 10 and reader.probe[4:6] == (64, 64)


def test_times_that_go_back_are_put_after_the_ones_before():
    stream = [('a', 0.0), ('b', 0.08), ('c', 0.04), ('d', 0.12)]
    found = list(timeline.ends(iter(stream), 0.16))
    assert all(begin < end for _, begin, end in found)
    assert [one for one, *_ in found] == ['a', 'b', 'c', 'd'] and found[-1][1:] == (0.12, 0.16)
