"""Reading and writing of videos and stills."""

from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from reenact_jax.common.errors import UserError
from reenact_jax.media import containers, reading, writing

NTSC = Fraction(30000, 1001)


def moving(count=24, height=64, width=96):
    """Frames with a bright square that moves by 2 pixels a frame over a coloured ground."""
    for i in range(count):
        frame = np.full((height, width, 3), (180, 60, 90), np.uint8)
        frame[16:32, 2 * i : 2 * i + 16] = (30, 220, 120)
        yield frame


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    pytest.importorskip('av', reason='videos need the extra [video]')
    path = tmp_path_factory.mktemp('clip') / 'clip.mp4'
    with writing.VideoWriter(path, NTSC, crf=10) as video:
        for frame in moving():
            video.write(frame)
    return path


def test_video_keeps_rate_frames_and_colours(clip):
    probe = reading.probe(clip)
    assert probe == reading.Probe('video', 24, True, NTSC, 96, 64, pytest.approx(24 / float(NTSC)))
    reader = reading.Reader(clip)
    for shown, written in zip(reader, moving(), strict=True):
        assert np.abs(shown.astype(int) - written).mean() < 3
    assert reader.given == 24 and reader.fault() is None


def test_video_is_marked_and_alone(clip):
    assert writing.is_marked(clip)
    assert [p.name for p in clip.parent.iterdir()] == ['clip.mp4']
    import av

    with av.open(str(clip)) as container:
        assert writing.SOURCE_TYPE in container.metadata['comment']


def test_odd_sizes_become_even(tmp_path):
    pytest.importorskip('av', reason='videos need the extra [video]')
    with writing.VideoWriter(tmp_path / 'odd.mp4', Fraction(25)) as video:
        for frame in moving(3, 63, 95):
            video.write(frame)
    assert reading.probe(tmp_path / 'odd.mp4')[4:6] == (96, 64)


def test_failed_writing_leaves_nothing(tmp_path):
    pytest.importorskip('av', reason='videos need the extra [video]')
    with pytest.raises(RuntimeError), writing.VideoWriter(tmp_path / 'a.mp4', NTSC) as video:
        video.write(next(moving()))
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match=r'\.mp4'):
        writing.VideoWriter(tmp_path / 'a.avi', NTSC)


def test_truncated_video_is_noticed(clip, tmp_path):
    data = clip.read_bytes()  # the index stands in front, so half a file opens
    (tmp_path / 'half.mp4').write_bytes(data[: len(data) * 2 // 3])
    reader = reading.Reader(tmp_path / 'half.mp4')
    assert sum(1 for _ in reader) < 24
    assert 'of 24 frames' in reader.fault() or 'damaged' in reader.fault()
    (tmp_path / 'stub.mp4').write_bytes(data[:200])
    with pytest.raises(UserError, match='not a readable video'):
        reading.Reader(tmp_path / 'stub.mp4')


def test_damaged_video_is_noticed(clip, tmp_path):
    data = bytearray(clip.read_bytes())
    start = data.index(b'mdat') + 900
    data[start : start + 400] = bytes(400)
    (tmp_path / 'holes.mp4').write_bytes(data)
    reader = reading.Reader(tmp_path / 'holes.mp4')
    assert sum(1 for _ in reader) <= 24
    assert reader.fault()


def test_truncated_matroska_is_noticed(tmp_path):
    av = pytest.importorskip('av', reason='videos need the extra [video]')
    path = tmp_path / 'a.mkv'  # a container that does not count its frames
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p'
        for frame in moving():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode(None))
    reader = reading.Reader(path)
    assert not reader.probe.counted and reader.probe.frames == 24
    assert sum(1 for _ in reader) == 24 and reader.fault() is None
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    reader = reading.Reader(path)
    assert sum(1 for _ in reader) < 24 and reader.fault()


def test_phone_video_is_turned_upright(clip, tmp_path):
    data = bytearray(clip.read_bytes())
    # tkhd version 0: the 3 x 3 display matrix follows 40 bytes after the box's version.
    at = data.index(b'tkhd') + 4 + 40
    clockwise = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b''.join(n.to_bytes(4, 'big', signed=True) for n in clockwise)
    (tmp_path / 'turned.mp4').write_bytes(data)
    reader = reading.Reader(tmp_path / 'turned.mp4')
    assert reader.probe[4:6] == (64, 96)
    frame = next(iter(reader))
    assert frame.shape == (96, 64, 3)
    assert np.abs(frame.astype(int) - np.rot90(next(moving()), -1)).mean() < 3


def test_stills_upright_opaque_and_capped(tmp_path, monkeypatch):
    image = Image.fromarray(next(moving()))
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image.save(tmp_path / 'turned.png', exif=exif)
    assert reading.probe(tmp_path / 'turned.png')[4:6] == (64, 96)
    upright = reading.read_still(tmp_path / 'turned.png')
    np.testing.assert_array_equal(upright, np.rot90(next(moving()), -1))
    clear = np.zeros((8, 8, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / 'clear.png')
    assert (reading.read_still(tmp_path / 'clear.png') == 255).all()
    deep = Image.fromarray(np.full((8, 8), 257 * 100, np.uint16))
    deep.save(tmp_path / 'deep.png')
    assert (reading.read_still(tmp_path / 'deep.png') == 100).all()
    monkeypatch.setattr(containers, 'MAX_PIXELS', 1000)
    for reads in (reading.read_still, reading.probe):
        with pytest.raises(UserError, match='96 x 64 pixels'):
            reads(tmp_path / 'turned.png')


def test_broken_stills(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(
        tmp_path / 'a.jpg'
    )
    data = (tmp_path / 'a.jpg').read_bytes()
    (tmp_path / 'half.jpg').write_bytes(data[: len(data) // 2])
    (tmp_path / 'text.png').write_text('no image')
    for name, message in (('half.jpg', 'truncated'), ('text.png', 'not a readable'), ('b', 'no s')):
        with pytest.raises(UserError, match=message):
            reading.kind(tmp_path / name)
            reading.read_still(tmp_path / name)
    with pytest.raises(UserError, match='not a readable picture'):
        (tmp_path / 'a.doc').touch()
        reading.kind(tmp_path / 'a.doc')


def test_folder_in_natural_order(tmp_path):
    for i, frame in enumerate(moving(12)):
        Image.fromarray(frame).save(tmp_path / f'frame{i}.png')
    reader = reading.Reader(tmp_path)
    assert reader.probe.frames == 12 and reader.probe.rate == reading.FOLDER_RATE
    for shown, written in zip(reader, moving(12), strict=True):
        np.testing.assert_array_equal(shown, written)
    assert reader.fault() is None
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / 'frame5.png')
    with pytest.raises(UserError, match=r'frame5\.png: 4 x 4'):
        list(reading.Reader(tmp_path))


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_marked_stills(tmp_path, suffix):
    path = tmp_path / f'result.{suffix}'
    frame = next(moving())
    writing.write_still(path, frame)
    assert writing.is_marked(path) and len(list(tmp_path.iterdir())) == 1
    assert np.abs(reading.read_still(path).astype(int) - frame).mean() < 3
    with Image.open(path) as image:
        description = ElementTree.fromstring(image.info['xmp'])[0][0]
    name = '{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType'
    assert description.get(name) == writing.SOURCE_TYPE


def test_contact_sheet():
    red = np.full((40, 20, 3), (255, 0, 0), np.uint8)
    sheet = writing.contact_sheet([[red, None], [red, red]], ['a', 'b'], ['x', 'y'], cell=42)
    assert sheet.shape[0] == 18 + 2 * 42
    body = sheet[18:, -84:]
    assert (body[20, 10] == (255, 0, 0)).all() and (body[20, 52] == 255).all()
    assert (body[62, 52] == (255, 0, 0)).all()


def test_recording_of_a_browser(tmp_path):
    """No length, no rate in the header: frames and times are counted."""
    av = reading.pyav()
    file = tmp_path / 'camera.webm'
    with av.open(str(file), 'w', format='webm', options={'live': '1'}) as container:
        stream = container.add_stream('libvpx', options={'deadline': 'realtime'})
        stream.width = stream.height = 32
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate((0, 39, 80, 125, 160)):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 50 * number, np.uint8))
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    reader = reading.Reader(file)
    assert reader.probe.frames == 5 and reader.probe.rate == Fraction(25)
    assert len(list(reader)) == 5 and reader.fault() is None
