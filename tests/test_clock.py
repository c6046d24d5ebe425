"""Picture and sound on one clock: what a driver's file says, and what a result's file says."""

import itertools
from fractions import Fraction

import films
import numpy as np
import pytest
from films import CODECS, Film

from reenact_jax.common.errors import UserError
from reenact_jax.media import measuring, reading, timeline, writing
from reenact_jax.media.sound import Track, check

pytest.importorskip('av', reason='videos need the extra [video]')
FRAME = 0.042  # seconds: a frame and a little
STARTS = {'zero': (0, 0), 'late picture': (0.72, 0), 'late sound': (0, 0.52), 'both': (0.56, 0.56)}
# AVI has no starts, and rates are constant in it and in MPEG-1.
KINDS = [
    Film(container, variable, *STARTS[start])
    for container, variable, start in itertools.product(CODECS, (False, True), STARTS)
    if not (container in ('avi', 'mpg') and variable) and (container != 'avi' or start == 'zero')
]  # fmt: skip
QUICK = [
    Film('mp4', True),
    Film('mp4', False, 0.72),
    Film('mkv', True, 0.72),
    Film('ts', False, 0.56, 0.56),
    Film('mpg', False, 0.56, 0.56),
    Film('avi'),
    Film('webm', True, 0, 0.52),
]


def copied(path, out, rate=None) -> tuple[reading.Reader, float]:
    """Write what is read to another file; return the reader, and when the picture jumps in it."""
    reader = reading.Reader(path)
    jump, times = None, reader.timeline
    settings = dict(sound=Track(str(path), reader.zero), variable=not (rate or times.rate))
    with writing.VideoWriter(out, rate or times.mean, signed=False, **settings) as video:
        for image, begin, end in reader.frames():
            jump = begin if jump is None and image.mean() > 128 else jump
            video.write(image, begin, end)
    return reader, jump


def agrees(tmp_path, film: Film, suffix: str = '.mp4', cut: float = 0.0, rate=None) -> dict:
    path = films.make(tmp_path / f'film.{film.container}', film, cut)
    out = tmp_path / f'out{suffix}'
    reader, jump = copied(path, out, rate)
    assert reader.fault() is None
    again, facts = reading.Reader(out), measuring.measured(out)
    shown, sounds = films.seen(again), films.heard(out) - float(again.zero)
    # The edit list is the picture's alone.
    assert shown - (sounds - cut) == pytest.approx(0, abs=FRAME), 'motion against sound'
    assert shown == pytest.approx(jump, abs=FRAME)
    assert facts['seconds'] == pytest.approx(reader.timeline.end, abs=FRAME)
    shortest, longest = (
        one + film.late - min(film.late, film.tone_late) for one in films.end(film)
    )
    # An encoder puts up to 0.03 s before the sound where no edit list can say so.
    assert shortest - cut - FRAME < reader.timeline.end < longest - cut + FRAME
    return facts


@pytest.mark.parametrize('film', QUICK, ids=str)
def test_motion_stays_with_its_sound(tmp_path, film):
    agrees(tmp_path, film)


@pytest.mark.parametrize('variable', [False, True])
def test_edit_lists_count(tmp_path, variable):
    agrees(tmp_path, Film('mp4', variable), cut=0.2)


@pytest.mark.long
@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.webm'])
@pytest.mark.parametrize('film', KINDS, ids=str)
def test_every_container_and_start(tmp_path, film, suffix):
    agrees(tmp_path, film, suffix)
    if film.container in ('mp4', 'mov') and not (film.late or film.tone_late):
        agrees(tmp_path, film, suffix, cut=0.2)


def test_a_rate_that_is_asked_for_is_the_rate_of_the_file(tmp_path):
    facts = agrees(tmp_path, Film('mp4', True), rate=Fraction(30000, 1001))
    assert facts['rate'] == '30000/1001' and facts['frames'] == round(2.08 * 30000 / 1001)


def test_times_that_are_kept_are_measured(tmp_path):
    facts = agrees(tmp_path, Film('mkv', True))
    assert facts['rate'].startswith('variable, 16.8') and facts['frames'] == 34
    assert facts['sound'] == 'flac' and facts['size'] == [64, 64]


def test_a_late_picture_is_shown_from_the_start(tmp_path):
    path = films.make(tmp_path / 'film.mkv', Film('mkv', False, 0.72))
    reader, _ = copied(path, tmp_path / 'out.mp4')
    assert reader.timeline.times[0] == pytest.approx(0.72) and reader.timeline.rate == 25
    again = reading.Reader(tmp_path / 'out.mp4')
    assert again.timeline.times[0] == 0 and again.timeline.rate == 25
    assert again.probe.frames == 68  # 18 of them show the first picture


def test_even_times_are_known_by_their_rate():
    ntsc = Fraction(30000, 1001)
    exact = np.arange(300) / float(ntsc)
    assert timeline.read(exact).rate == ntsc
    assert timeline.read((exact * 1000).round() / 1000).rate == ntsc  # as Matroska rounds
    kept = np.delete(exact, [7, 8])
    assert timeline.read(kept).rate is None and timeline.read(kept).times[7] == exact[9]
    assert timeline.read([0.0], None, [Fraction(50)]).end == 0.02


def test_rows_are_even_in_time():
    times = np.concatenate([np.arange(50) / 50, 1 + np.arange(4) / 2])  # quick, then slow
    assert sorted(timeline.spread(times, 3)) in ([0, 50, 53], [0, 51, 53])
    assert timeline.spread(times, 99) == frozenset(range(54))


def test_ticks_show_what_is_on_the_screen():
    ticks = timeline.Ticks(Fraction(10))
    assert [ticks.upto(end) for end in (0.04, 0.3, 0.31, 0.36, 1.0)] == [1, 2, 0, 1, 6]


def test_sound_of_another_file(tmp_path):
    films.make(tmp_path / 'film.mp4', Film())
    films.make(tmp_path / 'silent.mp4', Film(sound=False))
    check(tmp_path / 'film.mp4')
    (tmp_path / 'list.m3u8').write_text('#EXTM3U\n#EXTINF:1,\nfilm.mp4\n')
    for name in ('silent.mp4', 'list.m3u8'):
        with pytest.raises(UserError, match=f'{name}: it has no sound'):
            check(tmp_path / name)


@pytest.mark.parametrize(
    ('name', 'codec', 'form'),
    [
        ('a.wav', 'pcm_s16le', 'wav'),
        ('a.mp3', 'libmp3lame', 'mp3'),
        ('a.flac', 'flac', 'flac'),
        ('a.aac', 'aac', 'adts'),
        ('a.ogg', 'libopus', 'ogg'),
        ('a.m4a', 'aac', 'ipod'),
    ],
)
def test_sound_alone_begins_with_the_picture(tmp_path, name, codec, form):
    import av

    with av.open(str(tmp_path / name), 'w', format=form) as file:
        stream = file.add_stream(codec, rate=48_000, layout='mono')
        for packet in films.tone(av, stream, Film(), 48_000):
            file.mux(packet)
    with writing.VideoWriter(tmp_path / 'out.mp4', 25, sound=str(tmp_path / name)) as video:
        for n in range(50):
            video.write(np.full((64, 64, 3), n, np.uint8))
    assert films.heard(tmp_path / 'out.mp4') == pytest.approx(films.JUMP, abs=1.3 * FRAME)


@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.webm'])
@pytest.mark.parametrize('container', ['mkv', 'webm', 'ts', 'mp4'])
def test_a_gap_in_the_sound_stays(tmp_path, container, suffix):
    import av

    codec, form = {'mp4': ('aac', 'mp4')}.get(container, CODECS[container][1:])
    path, out = tmp_path / f'a.{container}', tmp_path / f'out{suffix}'
    with av.open(str(path), 'w', format=form) as file:
        stream = file.add_stream(codec, rate=48_000, layout='mono')
        for packet in films.tone(av, stream, Film(), 48_000):
            if not 0.3 <= packet.pts * packet.time_base < 0.8:
                file.mux(packet)
    with writing.VideoWriter(out, 25, sound=str(path), signed=False) as video:
        for n in range(50):
            video.write(np.full((64, 64, 3), n, np.uint8))
    assert films.heard(path) < films.JUMP - 0.4  # there is one
    assert films.loud(out) == pytest.approx(films.JUMP, abs=FRAME)


@pytest.mark.parametrize('container', [*CODECS])
def test_a_file_that_was_cut_short_is_noticed(tmp_path, container):
    path = films.make(tmp_path / f'film.{container}', Film(container))
    reader = reading.Reader(path)
    assert len(list(reader)) == 50 and reader.fault() is None
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4 + 7])
    try:
        reader = reading.Reader(path)
        list(reader)
    except UserError as error:  # the index stood at the end
        assert 'not a readable video' in str(error)
    else:
        assert reader.fault()
