"""Sound under results: copied or made AAC, as long as the pictures, in time with them."""

from fractions import Fraction

import numpy as np
import pytest

from reenact_jax.media import sound, writing

av = pytest.importorskip('av')
RATE, FRAMES, SIDE = Fraction(30000, 1001), 45, 32


def clip(path, codec, seconds, sample_rate=44_100):
    """A video of one grey with a tone that begins after 0.5 s."""
    with av.open(str(path), 'w') as file:
        video = file.add_stream('libx264', rate=25)
        video.width = video.height = SIDE
        tone = file.add_stream(codec, rate=sample_rate)
        tone.layout = 'mono'
        picture = av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), 128, np.uint8), 'rgb24')
        for n in range(int(seconds * 25)):
            picture.pts = n
            file.mux(video.encode(picture))
        file.mux(video.encode(None))
        time = np.arange(int(seconds * sample_rate)) / sample_rate
        wave = np.where(time > 0.5, np.sin(2 * np.pi * 440 * time), 0) * 0.5
        at = 0
        for part in np.array_split(wave, max(1, len(wave) // 1024)):
            samples = (part * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format='s16', layout='mono')
            frame.sample_rate, frame.pts = sample_rate, at
            frame.time_base = Fraction(1, sample_rate)
            at += len(part)
            file.mux(tone.encode(frame))
        file.mux(tone.encode(None))
    return path


def heard(path):
    """(codec, seconds, when it becomes loud) of a file's sound."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        rate, parts = stream.codec_context.sample_rate, []
        for frame in file.decode(stream):
            parts.append(np.abs(frame.to_ndarray().astype(np.float64)).max(0))
        level = np.concatenate(parts)
        loud = np.argmax(level > level.max() / 4) / rate
        return stream.codec_context.name, len(level) / rate, loud


@pytest.mark.parametrize(
    ('name', 'codec', 'kept'), [('a.mp4', 'aac', 'aac'), ('b.mov', 'pcm_s16le', 'aac')]
)
@pytest.mark.parametrize('seconds', [1.0, 3.0])
def test_sound_goes_with_the_pictures(tmp_path, name, codec, kept, seconds):
    source = clip(tmp_path / name, codec, seconds)
    assert sound.has_sound(source)
    out = tmp_path / 'out.mp4'
    with writing.VideoWriter(out, RATE, sound=str(source)) as video:
        for n in range(FRAMES):
            video.write(np.full((SIDE, SIDE, 3), n, np.uint8))
    found, length, loud = heard(out)
    assert found == kept
    assert loud == pytest.approx(0.5, abs=0.06)
    assert length == pytest.approx(min(seconds, FRAMES / RATE), abs=0.1)
    with av.open(str(out)) as file:
        assert sum(1 for _ in file.decode(video=0)) == FRAMES
        assert file.streams.video[0].average_rate == RATE
    assert writing.is_marked(out)


def test_none_without_a_stream(tmp_path):
    out = tmp_path / 'silent.mp4'
    with writing.VideoWriter(out, RATE) as video:
        video.write(np.zeros((SIDE, SIDE, 3), np.uint8))
    assert not sound.has_sound(out)
