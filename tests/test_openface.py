"""OpenFace's tables: columns by name, units, what is dropped, and records with their video."""

import csv
from fractions import Fraction

import films
import numpy as np
import pytest
from test_reenact import FakeDetector

from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data_prep import compare_openface, gather, inspect, openface
from reenact_jax.faces import openface as tables
from reenact_jax.media import provenance, writing

FRAMES, WIDTH, HEIGHT = 40, 200, 160
RNG = np.random.default_rng(0)
SHAPE = RNG.uniform([70, 60, -20], [110, 90, 20], (68, 3))
_ROUND = np.linspace(np.pi, 0, 17)
SHAPE[:17, :2] = np.stack([90 + 40 * np.cos(_ROUND), 60 + 60 * np.sin(_ROUND)], 1)  # the jaw
SHAPE[17:27, :2] = np.stack([np.linspace(55, 125, 10), np.full(10, 40)], 1)  # both brows


def rows(**changes):
    """A face that moves 1 pixel a frame to the right and tilts; AU12 rises; `changes`: columns."""
    made = []
    for i in range(FRAMES):
        row = {'frame': i + 1, 'face_id': 0, 'timestamp': i / 25, 'confidence': 0.98, 'success': 1}
        row |= {'pose_Rx': 0.1, 'pose_Ry': -0.2, 'pose_Rz': i / 100}
        row |= {f'{name}_r': 0.5 for name in tracks.AU_NAMES} | {'AU12_r': 5 - i / 10}
        for n, (x, y, z) in enumerate(SHAPE):
            row |= {f'x_{n}': x + i, f'y_{n}': y, f'X_{n}': 2 * x, f'Y_{n}': 2 * y, f'Z_{n}': 2 * z}
        made.append(row | {name: value(i) for name, value in changes.items()})
    return made


def write(path, made):
    """As OpenFace writes them: a space after every comma."""
    names = list(made[0])
    lines = [', '.join(names), *(', '.join(str(row[name]) for name in names) for row in made)]
    path.write_text('\n'.join(lines) + '\n')


def film(path, frames=FRAMES):
    pytest.importorskip('av', reason='videos need the extra [video]')
    with writing.VideoWriter(path, Fraction(25)) as video:
        for i in range(frames):
            video.write(np.full((HEIGHT, WIDTH, 3), 5 * i, np.uint8))


def prepare(folder, **changes):
    pairs = openface.pair([str(folder / 'tables')], str(folder / 'videos'))
    sources = [
        openface.Paired(video, table, key, 'anna', 'CC0', 'yes') for video, key, table in pairs
    ]
    options = openface.Options(size=64, min_width=10, min_height=10, **changes)
    done = gather.prepare(
        sources, str(folder / 'out'), openface.extract, options, detect=False,
        parameters={'points': ['68c']},
    )  # fmt: skip
    return done, shards.ShardSet(folder / 'out', 'train')


@pytest.fixture
def folder(tmp_path):
    for name in ('tables', 'videos'):
        (tmp_path / name).mkdir()
    film(tmp_path / 'videos/clip.mp4')
    return tmp_path


def test_a_table_in_our_units(tmp_path):
    write(tmp_path / 'a.csv', rows())
    table = tables.read(tmp_path / 'a.csv')
    assert table.frame[0] == 0 and table.success.all() and table.aus.shape == (FRAMES, 20)
    au12 = tracks.AU_NAMES.index('AU12')
    np.testing.assert_allclose(table.aus[:, au12], 1 - np.arange(FRAMES) / 50, atol=1e-6)
    np.testing.assert_allclose(table.aus[7, tracks.POSE], [0.1, -0.2, 0.07], atol=1e-6)
    assert table.aus[3, 0] == pytest.approx(0.1)
    expected = SHAPE + np.array([5, 0, 0])
    expected[:, 2] -= expected[:, 2].mean()
    np.testing.assert_allclose(table.points[5], expected, atol=1e-3)  # z: half of twice


def test_records_have_what_the_table_says(folder):
    write(folder / 'tables/clip.csv', rows())
    outcomes, part = prepare(folder)
    assert [o.status for o in outcomes] == ['ok'] and outcomes[0].frames == FRAMES
    assert part.points == ('68c',)
    track = part.track(0)
    assert track.frames == 16 and list(track.frame_number[[0, -1]]) == [0, FRAMES - 1]
    assert track.identity_name == 'anna' and track.detector.startswith('OpenFace')
    scale = 64 / track.crop[2]
    moved = np.diff(track.landmarks_68c[..., 0].mean(1)) / np.diff(track.frame_number)
    np.testing.assert_allclose(moved, scale, rtol=1e-4)
    # The reference is the frame with the least expression, the last, moved along: nothing bends.
    np.testing.assert_allclose(track.reference_68c, track.landmarks_68c, atol=1e-2)
    x, y = track.landmarks_68c[0, 30, :2].astype(int)
    assert (inspect.classes(track, 0)[y, x] == (90, 200, 90)).all()
    out = str(folder / 'sheet.png')
    assert inspect.main(['--data', str(folder / 'out'), '--out', out]) == 0
    marks = provenance.inspect(out)
    assert not marks.metadata and not marks.watermark  # footage


def test_bad_frames_are_dropped_and_counted(folder):
    made = rows(success=lambda i: int(i != 3), confidence=lambda i: 0.5 if 20 <= i < 34 else 0.9)
    write(folder / 'tables/clip.csv', made)
    (outcome,), part = prepare(folder, frames=64, gap_seconds=0.4, min_frames=6)
    assert 'frames without success: 1' in outcome.rejected
    assert 'frames below the confidence: 14' in outcome.rejected
    assert len(part) == 2  # before and after the gap of 14 frames
    assert list(part.track(0).frame_number) == [i for i in range(20) if i != 3]
    assert list(part.track(1).frame_number) == list(range(34, 40))


def test_several_faces_are_several_people(folder):
    write(folder / 'tables/clip.csv', [*rows(), *rows(face_id=lambda i: 4)])
    _, part = prepare(folder)
    assert [part.track(i).identity_name for i in range(2)] == ['anna', 'anna+1']


def test_wrong_tables_are_refused(folder):
    made = rows()
    path = folder / 'tables/clip.csv'
    write(path, [{k: v for k, v in row.items() if k != 'AU12_r'} for row in made])
    with pytest.raises(UserError, match='no column AU12_r'):
        tables.read(path)
    write(path, [row | {'AU12_r': 'high'} for row in made])
    with pytest.raises(UserError, match=r"clip\.csv, line 2: 'high' is no number"):
        tables.read(path)
    path.write_text(path.read_text().split('\n')[0])
    with pytest.raises(UserError, match='no rows'):
        tables.read(path)
    write(path, [*made, made[-1] | {'frame': 90}])
    with pytest.raises(UserError, match='no usable face'):
        prepare(folder, min_frames=1, gap_seconds=100)
    with (folder / 'out/report.tsv').open() as file:
        (row,) = csv.DictReader(file, delimiter='\t')
    assert '40 frames, but' in row['detail'] and 'goes to frame 90' in row['detail']
    (folder / 'tables/other.csv').write_text('x')
    with pytest.raises(UserError, match=r'no video of the same name for .*other\.csv'):
        openface.pair([str(folder / 'tables')], str(folder / 'videos'))
    with pytest.raises(UserError, match='no such file'):
        openface.pair([str(folder / 'absent.csv')], None)


def test_rows_belong_to_frames_by_number(tmp_path):
    """Times of OpenFace are of a constant rate from nought; those of this film are not."""
    pytest.importorskip('av', reason='videos need the extra [video]')
    film = films.Film('mkv', True, 0.72)
    path = str(films.make(tmp_path / 'a.mkv', film))
    count = len(films.times(film))
    bright = [n for n, at in enumerate(films.times(film)) if float(at) + film.late >= films.JUMP]
    ones, aus = np.ones(count), np.tile(np.arange(count)[:, None], 20)
    table = tables.Table(ones, np.arange(count), ones, ones, ones > 0, aus, None)
    _, known, theirs = compare_openface.pairs(table, path, FakeDetector())
    assert theirs[:, 0].tolist() == bright and known.shape == (len(bright), 20)
    longer = table._replace(frame=np.arange(count) + 1)
    with pytest.raises(UserError, match=f'{count} frames, but its table goes to frame {count + 1}'):
        compare_openface.pairs(longer, path, FakeDetector())


def test_both_detectors_side_by_side():
    draw = np.random.default_rng(0)
    theirs = draw.uniform(0.1, 0.4, (30, 20))
    found, known = 2 * theirs + 0.05, np.ones((30, 20), bool)
    known[:, 4], found[:, 18] = False, -theirs[:, 18]
    lines = compare_openface.text(found, known, theirs).splitlines()
    assert lines[0] == '30 frames'
    assert lines[4].startswith('| AU01 | 1.00 | 2.00 | 0.05 |')
    assert lines[8].startswith('| AU06 | not known')
    assert lines[-2].startswith('| R_y | -1.00 | -1.00 |')
