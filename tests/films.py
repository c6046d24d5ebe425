"""Small films whose picture jumps and whose tone begins at one moment, in all containers."""

import struct
from fractions import Fraction
from typing import NamedTuple

import numpy as np

SIDE, JUMP, LENGTH = 64, 1.0, 2.0  # pixels, seconds
CODECS = {  # container: codecs of picture and sound, PyAV's format
    'mp4': ('libx264', 'aac', 'mp4'),
    'mov': ('libx264', 'pcm_s16le', 'mov'),
    'mkv': ('libx264', 'flac', 'matroska'),
    'webm': ('libvpx', 'libopus', 'webm'),
    'avi': ('mpeg4', 'pcm_s16le', 'avi'),
    'ts': ('libx264', 'aac', 'mpegts'),
    'mpg': ('mpeg1video', 'mp2', 'mpeg'),
}


class Film(NamedTuple):
    """How a film is made: `late` is the picture's start, `tone_late` the sound's, seconds."""

    container: str = 'mp4'
    variable: bool = False  # every third frame alone after a second
    late: float = 0.0
    tone_late: float = 0.0
    sound: bool = True
    rate: Fraction = Fraction(25)


def times(film: Film) -> list[Fraction]:
    """The times of the frames, from the picture's start."""
    every = range(int(LENGTH * film.rate))
    return [n / film.rate for n in every if not film.variable or n < film.rate or (n - film.rate) % 3 == 0]


def make(path, film: Film, cut: float = 0.0):
    """Write a film; the picture is white and the tone sounds from `JUMP` on the common clock.

    Args:
      path: of the file.
      film: how it is made.
      cut: seconds at the beginning that an edit list leaves out (mp4, mov).
    """
    import av

    picture, tone, form = CODECS[film.container]
    tone_rate = 48_000
    with av.open(str(path), 'w', format=form) as file:
        video = file.add_stream(picture, rate=film.rate)
        video.width = video.height = SIDE
        video.pix_fmt = 'yuv420p'
        base = 1 / film.rate if form in ('avi', 'mpeg') else Fraction(1, 90_000)
        video.codec_context.time_base = base
        video.codec_context.gop_size = 10
        packets = []
        audio = file.add_stream(tone, rate=tone_rate, layout='mono') if film.sound else None
        for time in times(film):
            at = time + Fraction(film.late).limit_denominator(1000)
            level = 235 if at >= JUMP else 20
            frame = av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), level, np.uint8), 'rgb24')
            frame.pts, frame.time_base = round(at / base), base
            packets += video.encode(frame)
        packets += video.encode(None)
        if audio:
            packets += _tone(av, audio, film, tone_rate)
        packets.sort(key=lambda p: p.dts * p.time_base)
        for packet in packets:
            file.mux(packet)
    if cut:
        _edited(path, cut)
    return path


def _tone(av, stream, film: Film, rate: int) -> list:
    count = int((LENGTH - film.tone_late) * rate)
    at = film.tone_late + np.arange(count) / rate
    wave = np.where(at >= JUMP, np.sin(2 * np.pi * 440 * at), 0) * 0.5
    samples = np.int16(wave * 32767)
    packets, off = [], round(film.tone_late * rate)
    for first in range(0, count, 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], 's16', 'mono')
        frame.sample_rate, frame.pts, frame.time_base = rate, off + first, Fraction(1, rate)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _edited(path, cut: float) -> None:
    """Let the first edit list of an MP4, that of the picture, begin later in the media."""
    data = bytearray(path.read_bytes())
    at = data.index(b'elst') + 4
    scale = struct.unpack('>I', data[data.index(b'mdhd') + 16 :][:4])[0]
    place = at + 8 + 4
    (begin,) = struct.unpack('>i', data[place : place + 4])
    movie = struct.unpack('>I', data[data.index(b'mvhd') + 16 :][:4])[0]
    (length,) = struct.unpack('>I', data[place - 4 : place])
    data[place - 4 : place + 4] = struct.pack(
        '>Ii', length - round(cut * movie), begin + round(cut * scale)
    )
    path.write_bytes(data)


def seen(reader) -> float:
    """When the picture jumps, by a reader's times."""
    return next(one.begin for one in reader.frames() if one.image.mean() > 128)


def heard(path) -> float:
    """When the tone begins, seconds on the container's clock."""
    import av

    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        rate, levels, begin = stream.codec_context.sample_rate, [], None
        for frame in file.decode(stream):
            begin = float(frame.time) if begin is None else begin
            sound = frame.to_ndarray().astype(np.float64)
            levels.append(np.abs(sound).max(0))
        level = np.concatenate(levels)
        loud = np.argmax(level > level.max() / 4)
    return begin + loud / rate
