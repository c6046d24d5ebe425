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
    return [
        n / film.rate
        for n in every
        if not film.variable or n < film.rate or (n - film.rate) % 3 == 0
    ]


def end(film: Film) -> tuple[float, float]:
    """When the last frame ends: of its own length, or of the one before's if none is stated."""
    at = times(film)
    return float(at[-1] + 1 / film.rate), float(2 * at[-1] - at[-2])


def make(path, film: Film, cut: float = 0.0):
    """Write a film; the picture is white and the tone sounds from `JUMP` on the common clock.

    Args:
      path: of the file.
      film: how it is made.
      cut: seconds at the beginning that an edit list leaves out (mp4, mov).
    """
    import av

    picture, codec, form = CODECS[film.container]
    tone_rate = 48_000
    with av.open(str(path), 'w', format=form) as file:
        video = file.add_stream(picture, rate=film.rate)
        video.width = video.height = SIDE
        video.pix_fmt = 'yuv420p'
        base = 1 / film.rate if form in ('avi', 'mpeg') else Fraction(1, 90_000)
        video.codec_context.time_base = base
        video.codec_context.gop_size = 10
        packets = []
        audio = file.add_stream(codec, rate=tone_rate, layout='mono') if film.sound else None
        for time in times(film):
            at = time + Fraction(film.late).limit_denominator(1000)
            level = 235 if at >= JUMP else 20
            frame = av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), level, np.uint8), 'rgb24')
            frame.pts, frame.time_base = round(at / base), base
            packets += video.encode(frame)
        packets += video.encode(None)
        if audio:
            packets += tone(av, audio, film, tone_rate)
        packets.sort(key=lambda p: p.dts * p.time_base)
        for packet in packets:
            file.mux(packet)
    if cut:
        _edited(path, cut)
    return path


def tone(av, stream, film: Film, rate: int) -> list:
    """Encode the film's sound."""
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


def loud(path) -> float:
    """When the tone begins by the times of its frames, which a gap sets apart."""
    import av

    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        frames = [(float(f.time), np.abs(f.to_ndarray().astype('f8')).max(0))
                  for f in file.decode(stream)]  # fmt: skip
        least = max(level.max() for _, level in frames) / 4
        time, level = next(frame for frame in frames if (frame[1] > least).any())
        return time + np.argmax(level > least) / stream.codec_context.sample_rate


def picture(height: int = 96, width: int = 128) -> np.ndarray:
    """A reference picture without fine detail, in which each corner is another."""
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    red = 60 + 150 * x
    green = 70 + 100 * y
    blue = 50 + 120 * (1 - x) * y
    made = np.stack([red, green, blue], -1)
    made[: height // 4, : width // 4] = (220, 60, 50)  # the top left corner
    made[-height // 4 :, : width // 4] = (40, 170, 70)  # bottom left
    return np.round(made).astype(np.uint8)


def linear(rgb: np.ndarray) -> np.ndarray:
    """sRGB to linear light."""
    v = rgb / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


WIDE = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def pq(nits: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084, 0..1 of cd/m2."""
    root = (nits / 10_000) ** (2610 / 16384)
    return ((107 / 128 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32)


def hlg(nits: np.ndarray, peak: float = 1000.0) -> np.ndarray:
    """ARIB STD-B67 behind BT.2100's inverse OOTF, 0..1 of cd/m2."""
    light = nits / peak
    luma = np.maximum((light * [0.2627, 0.6780, 0.0593]).sum(-1, keepdims=True), 1e-9)
    scene = light * luma ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * np.maximum(scene, 0)), high)


def show(path, rgb: np.ndarray, *, form='yuv420p', codec='libx264', space=1, full=False, tags=None,
         matrix=None, aspect=None, deep=False, options=None):  # fmt: skip
    """Write three frames of one picture.

    Args:
      path: of the file.
      rgb: uint8, or uint16 with `deep`.
      form: pixel format.
      codec: name.
      space: matrix (1: BT.709, 5: BT.601, 9: BT.2020).
      full: range.
      tags: (primaries, transfer, matrix) that the file states; None: nothing.
      matrix: (a, b, c, d) of the display matrix.
      aspect: sample aspect ratio.
      deep: 16 bits a sample.
      options: of the encoder.
    """
    import av
    from av.video.reformatter import Interpolation as Way

    way = Way.BICUBIC | Way.ACCURATE_RND | Way.FULL_CHR_H_INT | Way.FULL_CHR_H_INP
    with av.open(str(path), 'w') as file:
        stream = file.add_stream(codec, rate=25, options=options or {'crf': '8'})
        stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], form
        context = stream.codec_context
        if aspect:
            context.sample_aspect_ratio = aspect
        if tags:
            context.color_primaries, context.color_trc, context.colorspace = tags
            context.color_range = 2 if full else 1
        if matrix:
            stream.set_display_matrix([m << 16 for m in (matrix[0], matrix[1])] + [0]
                                      + [m << 16 for m in (matrix[2], matrix[3])]
                                      + [0, 0, 0, 1 << 30])  # fmt: skip
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(rgb, 'rgb48le' if deep else 'rgb24')
            made = frame.reformat(format=form, dst_colorspace=space, interpolation=way,
                                  dst_color_range='JPEG' if full else 'MPEG')  # fmt: skip
            made.pts, made.time_base = number, Fraction(1, 25)
            file.mux(stream.encode(made))
        file.mux(stream.encode(None))
    return path
