"""Files that are written by few programs, or were cut where nobody looks."""

import io
import itertools
from fractions import Fraction

import films
import numpy as np
import pytest
from films import Film
from PIL import Image

from reenact_jax.common.errors import UserError
from reenact_jax.media import animations, containers, kinds, reading

SIDES = 48, 64


def picture(height: int = 240, width: int = 320) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(progressive: bool = False, image=None, **more) -> bytes:
    file = io.BytesIO()
    made = Image.fromarray(picture() if image is None else image)
    made.save(file, 'JPEG', quality=90, progressive=progressive, **more)
    return file.getvalue()


def scans(data: bytes) -> list[int]:
    return [at for at in range(len(data) - 1) if data[at : at + 2] == b'\xff\xda']


@pytest.mark.parametrize('kept', [1, 2, 5, 9])
def test_a_progressive_jpeg_without_its_last_scans_is_refused(tmp_path, kept):
    whole, path = jpeg(True), tmp_path / 'a.jpg'
    at = scans(whole)
    assert len(at) == 10
    # From where a scan begins its tables precede it: the file ends before them.
    path.write_bytes(whole[: whole.rfind(b'\xff\xc4', 0, at[kept])] + b'\xff\xd9')
    with pytest.raises(UserError, match=r'a\.jpg: broken or truncated image \(its last scans are'):
        reading.read_still(path)


@pytest.mark.parametrize('more', [{}, {'subsampling': 0}, {'restart_marker_rows': 1}])
def test_whole_jpegs_are_read(tmp_path, more):
    grey = picture()[..., 0]
    for number, made in enumerate((jpeg(True, **more), jpeg(**more), jpeg(True, grey, **more))):
        path = tmp_path / f'{number}.jpg'
        path.write_bytes(made + b'rest')
        assert reading.read_still(path).shape == (240, 320, 3)
        assert kinds.tell(path).kind == 'still'


@pytest.mark.parametrize('end', [20, 200, 300, 420, 600])
@pytest.mark.parametrize('progressive', [True, False])
def test_a_jpeg_that_ends_within_its_header_is_refused(tmp_path, progressive, end):
    path = tmp_path / 'a.jpg'
    path.write_bytes(jpeg(progressive)[:end])
    with pytest.raises(UserError, match=r'a\.jpg: (not a readable|broken or truncated) image'):
        reading.read_still(path)


def test_jpegs_one_after_another_are_a_video(tmp_path):
    levels = (40, 120, 200)
    parts = [jpeg(image=np.full((*SIDES, 3), level, np.uint8)) for level in levels]
    path = tmp_path / 'a.jpg'  # whatever its name says
    path.write_bytes(b''.join(parts))
    reader = reading.Reader(path)
    means = [frame.mean() for frame in reader]
    np.testing.assert_allclose(means, levels, atol=3)
    assert reader.probe.rate == 25 and reader.fault() is None
    path.write_bytes(b''.join(parts)[:-40])
    reader = reading.Reader(path)
    list(reader)
    assert reader.fault()


def test_the_second_picture_of_a_photograph_is_no_film(tmp_path):
    first, second = (Image.fromarray(picture() // n) for n in (1, 2))
    first.save(tmp_path / 'a.jpg', 'MPO', save_all=True, append_images=[second])
    assert kinds.tell(tmp_path / 'a.jpg').kind == 'still'
    assert reading.read_still(tmp_path / 'a.jpg').mean() > 1.5 * picture().mean() / 2


@pytest.mark.parametrize('codec', ['libx264', 'mjpeg'])
def test_nut_is_read(tmp_path, codec):
    import av

    path = tmp_path / 'film.nut'
    with av.open(str(path), 'w', format='nut') as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width = SIDES
        stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        for level in (40, 120, 200):
            frame = av.VideoFrame.from_ndarray(np.full((*SIDES, 3), level, np.uint8))
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    reader = reading.Reader(path)
    np.testing.assert_allclose([frame.mean() for frame in reader], (40, 120, 200), atol=6)
    assert reader.probe.rate == 25 and reader.fault() is None


def shifted(path, made, seconds: Fraction):
    """Copy a film into Matroska, so many seconds earlier: before nought."""
    import av

    with (
        av.open(str(path)) as read,
        av.open(
            str(made), 'w', format='matroska', options={'avoid_negative_ts': 'disabled'}
        ) as file,
    ):
        streams = [file.add_stream_from_template(stream) for stream in read.streams]
        for packet in read.demux():
            if packet.dts is not None:
                off = round(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts - off, packet.dts - off
                packet.stream = streams[packet.stream.index]
                file.mux(packet)
    return made


@pytest.mark.parametrize('late', [0.0, 0.2])
def test_matroska_before_nought_keeps_its_frames_and_times(tmp_path, late):
    plain = films.make(tmp_path / 'a.mp4', Film(late=late))
    early = shifted(plain, tmp_path / 'b.mkv', Fraction(1, 2))
    expected, found = (containers.clock(path).film for path in (plain, early))
    # The sound's first 21 ms, AAC's priming, are left out in MP4 alone.
    np.testing.assert_allclose(found.times, expected.times, atol=0.022)
    reader = reading.Reader(early)
    levels = [(frame.image.mean(), frame.begin) for frame in reader.frames()]
    jump = next(begin for mean, begin in levels if mean > 128)
    assert jump == pytest.approx(films.JUMP, abs=0.045) and len(levels) == len(expected.times)


@pytest.mark.parametrize('page', [20_000, 100_000])
def test_a_gap_between_pages_of_ogg_opus_stays(tmp_path, page):
    import av

    from reenact_jax.media import writing

    path, out = tmp_path / 'a.ogg', tmp_path / 'out.mp4'
    with av.open(str(path), 'w', format='ogg', options={'page_duration': str(page)}) as file:
        stream = file.add_stream('libopus', rate=48_000, layout='mono')
        for packet in films.tone(av, stream, Film(), 48_000):
            if not 0.3 <= packet.pts * packet.time_base < 0.8:
                file.mux(packet)
    with writing.VideoWriter(out, 25, sound=str(path), signed=False) as video:
        for n in range(50):
            video.write(np.full((64, 64, 3), n, np.uint8))
    assert films.loud(out) == pytest.approx(films.JUMP, abs=0.04)


def test_an_animated_avif_is_turned_as_its_track_says(tmp_path):
    pytest.importorskip('PIL._avif', reason='needs Pillow with AVIF')
    height, width = SIDES
    corner = np.zeros((height, width, 3), np.uint8)
    corner[: height // 2, : width // 2] = 255  # the top left quarter
    frames = [Image.fromarray(corner // n) for n in (1, 2)]
    path = tmp_path / 'a.avif'
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    data = bytearray(path.read_bytes())
    at = data.find(b'tkhd') + 4
    at += 52 if data[at] else 40
    # Where EXIF's orientations 1 to 8 put the quarter: (down, right).
    places = [(0, 0), (0, 1), (1, 1), (1, 0), (0, 0), (0, 1), (1, 1), (1, 0)]
    signs = [(1, 0, 0, 1), (-1, 0, 0, 1), (-1, 0, 0, -1), (1, 0, 0, -1)]
    signs += [(0, 1, 1, 0), (0, 1, -1, 0), (0, -1, -1, 0), (0, -1, 1, 0)]
    for number, ((a, b, c, d), place) in enumerate(zip(signs, places, strict=True)):
        matrix = np.array([a, b, 0, c, d]) * 65536
        data[at : at + 20] = matrix.astype('>i4').tobytes()
        path.write_bytes(data)
        shown = next(iter(reading.Reader(path)))
        size = (height, width) if number < 4 else (width, height)
        assert shown.shape[:2] == size == animations.header(path)[:0:-1]
        halves = [
            shown[y * size[0] // 2 :][: size[0] // 2, x * size[1] // 2 :][:, : size[1] // 2].mean()
            for y, x in itertools.product((0, 1), repeat=2)
        ]
        assert int(np.argmax(halves)) == 2 * place[0] + place[1], number
