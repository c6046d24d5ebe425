"""Pixels as they are seen: turned, mirrored, square, in sRGB, whatever a file is."""

import io
import types
from fractions import Fraction

import films
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from reenact_jax.common.errors import UserError
from reenact_jax.media import containers, kinds, reading, stills, whole, writing

pytest.importorskip('av', reason='videos need the extra [video]')
PICTURE = films.picture()
HD = films.picture(720, 960)


def close(found, expected=PICTURE, most=3.0):
    assert found.shape == expected.shape
    apart = found.astype(int) - expected
    assert np.abs(apart.mean((0, 1))).max() < most / 2  # no bias
    # Chroma is stored at half the size: edges differ.
    assert np.percentile(np.abs(apart), 90) <= most


def first(path):
    reader = reading.Reader(path)
    image = next(iter(reader))
    assert image.shape[1::-1] == reader.probe[4:6]
    return image


TAGS = {
    'SD without tags is BT.601': dict(space=5),
    'BT.709': dict(space=1, tags=(1, 1, 1)),
    'full range': dict(space=1, tags=(1, 1, 1), full=True),
    '10 bits': dict(space=1, tags=(1, 1, 1), form='yuv420p10le'),
    'RGB': dict(codec='libx264rgb', form='rgb24'),
}


@pytest.mark.parametrize('name', TAGS)
def test_matrices_and_ranges(tmp_path, name):
    close(first(films.show(tmp_path / 'a.mp4', PICTURE, **TAGS[name])))


def test_hd_without_tags_is_bt709(tmp_path):
    close(first(films.show(tmp_path / 'a.mp4', HD, space=1)), HD)


def hdr(path, curve, transfer, white, picture=PICTURE):
    light = films.linear(picture) @ films.WIDE.T * white
    values = np.round(curve(light) * 65535).astype(np.uint16)
    return films.show(path, values, space=9, tags=(9, transfer, 9), form='yuv420p10le', deep=True)


@pytest.mark.parametrize(('curve', 'transfer'), [(films.pq, 16), (films.hlg, 18)])
def test_hdr_looks_as_sdr(tmp_path, curve, transfer):
    close(first(hdr(tmp_path / 'a.mp4', curve, transfer, 100)))
    bright = PICTURE.copy()
    bright[:24, -32:] = 255  # white, which tells that reference white is at 203 cd/m2
    close(first(hdr(tmp_path / 'b.mp4', curve, transfer, 203, bright)), bright)


def test_highlights_keep_their_order(tmp_path):
    light = np.tile(np.linspace(0, 1000, 128)[None, :, None], (64, 1, 3))
    values = np.round(films.pq(light) * 65535).astype(np.uint16)
    form = dict(space=9, tags=(9, 16, 9), form='yuv420p10le', deep=True)
    grey = first(films.show(tmp_path / 'a.mp4', values, **form))[32, :, 1].astype(int)
    assert (np.diff(grey) >= -1).all() and 250 <= grey[-1] <= 255 and grey[0] == 0


MATRICES = {  # of the display: shown (x, y) = stored (x, y) times it
    'mirrored': ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    'upside down': ((1, 0, 0, -1), lambda p: p[::-1]),
    'half a turn': ((-1, 0, 0, -1), lambda p: p[::-1, ::-1]),
    'clockwise': ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    'counter-clockwise': ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    'transposed': ((0, 1, 1, 0), lambda p: p.swapaxes(0, 1)),
    'transversed': ((0, -1, -1, 0), lambda p: np.rot90(p, 2).swapaxes(0, 1)),
}


@pytest.mark.parametrize('name', MATRICES)
def test_display_matrices(tmp_path, name):
    matrix, shown = MATRICES[name]
    close(first(films.show(tmp_path / 'a.mp4', PICTURE, space=5, matrix=matrix)), shown(PICTURE))


@pytest.mark.parametrize('aspect', [Fraction(2), Fraction(1, 2)])
def test_pixels_are_made_square(tmp_path, aspect):
    narrow = PICTURE[:, ::2] if aspect > 1 else PICTURE[::2]
    path = films.show(tmp_path / 'a.mp4', np.ascontiguousarray(narrow), space=5, aspect=aspect)
    close(first(path), most=5.0)


def display_p3() -> bytes:
    """An ICC profile with Display P3's primaries and sRGB's curve, made of its numbers."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    # Columns of the matrix under D50 (ICC's profile of Display P3).
    columns = {
        b'rXYZ': (0.51512, 0.24120, -0.00105),
        b'gXYZ': (0.29198, 0.69225, 0.04189),
        b'bXYZ': (0.15710, 0.06657, 0.78407),
    }
    for number in range(int.from_bytes(profile[128:132], 'big')):
        at = 132 + 12 * number
        name = bytes(profile[at : at + 4])
        if name in columns:
            place = int.from_bytes(profile[at + 4 : at + 8], 'big') + 8
            for i, value in enumerate(columns[name]):
                fixed = round(value * 65536).to_bytes(4, 'big', signed=True)
                profile[place + 4 * i : place + 4 * i + 4] = fixed
    return bytes(profile)


def test_profiles_become_srgb(tmp_path):
    to_p3 = np.linalg.inv([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
    light = np.clip(films.linear(PICTURE) @ to_p3.T, 0, 1)
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    wide = Image.fromarray(np.round(255 * values).astype(np.uint8))
    for name in ('a.png', 'a.webp', 'a.tif'):
        kept = {'lossless': True} if name.endswith('webp') else {}
        wide.save(tmp_path / name, icc_profile=display_p3(), **kept)
        close(reading.read_still(tmp_path / name), most=2.0)
    wide.save(tmp_path / 'none.png', icc_profile=b'no profile')
    np.testing.assert_array_equal(reading.read_still(tmp_path / 'none.png'), np.asarray(wide))


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'webp', 'tif', 'avif'])
@pytest.mark.parametrize('orientation', [2, 5, 6, 8])
def test_orientations_in_every_format(tmp_path, suffix, orientation):
    image = Image.fromarray(PICTURE)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / f'a.{suffix}', exif=exif, quality=95)
    tagged = image.copy()
    tagged.getexif()[0x0112] = orientation
    close(reading.read_still(tmp_path / f'a.{suffix}'), np.asarray(ImageOps.exif_transpose(tagged)))


def test_files_are_told_by_their_content(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / 'a.webp', lossless=True)
    (tmp_path / 'a.webp').rename(tmp_path / 'picture: 1.mp4')
    np.testing.assert_array_equal(reading.read_still(tmp_path / 'picture: 1.mp4'), PICTURE)
    films.make(tmp_path / 'a.mkv', films.Film('mkv'))
    (tmp_path / 'a.mkv').rename(tmp_path / 'film: %03d.jpg')
    assert reading.kind(tmp_path / 'film: %03d.jpg') == 'video'
    assert len(list(reading.Reader(tmp_path / 'film: %03d.jpg'))) == 50
    with pytest.raises(UserError, match='a video; a picture is expected'):
        reading.read_still(tmp_path / 'film: %03d.jpg')


@pytest.mark.parametrize('suffix', ['gif', 'webp', 'png'])
def test_animations_have_their_delays(tmp_path, suffix):
    lengths = [40, 40, 100, 200, 60]
    frames = [Image.fromarray(np.roll(PICTURE, 9 * n, 1)) for n in range(5)]
    path = tmp_path / f'a.{suffix}'
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=lengths, lossless=True)
    reader = reading.Reader(path)
    shown = [round(one.end - one.begin, 3) for one in reader.frames()]
    assert shown == [length / 1000 for length in lengths] and reader.fault() is None
    assert reader.probe.kind == 'video' and reader.timeline.end == pytest.approx(0.44)
    if suffix == 'gif':
        path.write_bytes(path.read_bytes()[:-1])
        reader = reading.Reader(path)
        assert list(reader) and 'truncated' in reader.fault()


def test_a_folder_says_what_it_leaves_out(tmp_path):
    for number in (2, 10):
        Image.fromarray(PICTURE).save(tmp_path / f'frame{number}.png')
    Image.fromarray(PICTURE).save(tmp_path / '.hidden.png')
    Image.fromarray(PICTURE).save(tmp_path / 'frame1.png')
    (tmp_path / 'frame1.png').rename(tmp_path / 'frame1.mp4')  # what counts is the content
    (tmp_path / 'notes.txt').write_text('x')
    (tmp_path / 'more').mkdir()
    films.make(tmp_path / 'film.mkv', films.Film('mkv'))
    reader = reading.Reader(tmp_path, Fraction(10))
    assert [one.begin for one in reader.frames()] == [0, 0.1, 0.2]
    names = ['frame1.mp4', 'frame2.png', 'frame10.png']
    assert [path.name for path in reading.stills(tmp_path)] == names
    assert reader.unused == {
        'film.mkv': 'a video or animation (Matroska), not a still',
        'more': 'a folder',
        'notes.txt': 'no picture',
    }


def test_very_large_photographs_are_reduced(tmp_path, monkeypatch):
    Image.fromarray(np.asarray(Image.fromarray(PICTURE).resize((1024, 768)))).save(
        tmp_path / 'a.jpg', quality=95
    )
    monkeypatch.setattr(containers, 'MAX_PIXELS', 300_000)
    image = reading.read_still(tmp_path / 'a.jpg')
    assert image.shape == (384, 512, 3) and stills.size(tmp_path / 'a.jpg') == (512, 384)
    close(np.asarray(Image.fromarray(image).resize((128, 96), Image.Resampling.BOX)))


def test_covers_are_no_film_and_the_default_sound_is_heard(tmp_path):
    av = containers.pyav()
    path = tmp_path / 'a.mkv'
    with av.open(str(path), 'w') as file:
        tones = [file.add_stream('flac', rate=8000, layout='mono') for _ in range(2)]
        tones[0].disposition = 0
        tones[1].disposition = av.stream.Disposition.default
        for stream in tones:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), 's16', 'mono')
            frame.sample_rate, frame.pts = 8000, 0
            file.mux([*stream.encode(frame), *stream.encode(None)])
    with containers.sounding(path) as file:
        assert containers.sound(file).index == 1

    class Stream:
        codec_context, disposition = (
            types.SimpleNamespace(name='h264'),
            av.stream.Disposition.attached_pic,
        )

    class Film(Stream):
        disposition = av.stream.Disposition.default

    class Container:
        class streams:
            video = (Stream(), Film())

    assert containers.film(path, Container()) is Container.streams.video[1]
    Container.streams.video = (Stream(),)
    with pytest.raises(UserError, match='no video stream'):
        containers.film(path, Container())


def test_heic_needs_its_extra(tmp_path):
    box = b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(100)
    (tmp_path / 'a.jpg').write_bytes(box)
    assert kinds.tell(tmp_path / 'a.jpg').name == 'HEIF'
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match=r'pip install "reenact_jax\[heif\]"'):
            reading.read_still(tmp_path / 'a.jpg')


def test_structure_tells_what_is_missing(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, 'PNG')
    for cut, expected in ((None, None), (-20, 'it ends within its structure')):
        (tmp_path / 'a.png').write_bytes(buffer.getvalue()[:cut])
        assert whole.cut_short(tmp_path / 'a.png', 'PNG') == expected


@pytest.mark.parametrize('suffix', ['mp4', 'mov', 'webm'])
def test_results_are_as_bright_as_what_was_drawn(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    with writing.VideoWriter(path, 25, crf=4, signed=False) as video:
        for _ in range(3):
            video.write(HD)
    apart = first(path).astype(int) - HD
    assert np.abs(apart.mean((0, 1))).max() < 0.3
