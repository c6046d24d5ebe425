"""Changes of action units, motion in files, and the verbs of reenact that use them."""

import json
from fractions import Fraction

import numpy as np
import pytest
from bundles import SIZE, drawing_model, image_model, landmark_model, random_face, shifting_model
from fakes import fake_shards
from PIL import Image

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import AU_NAMES
from reenact_jax.export import command as export
from reenact_jax.media import reading, writing
from reenact_jax.reenact import command as reenact
from reenact_jax.reenact import motion, portraits
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.edits import unit_edits
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.portraits import Portrait

AU12, YAW = AU_NAMES.index('AU12'), 18


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp('units') / 'bundle'
    export.write(target, drawing_model(), shifting_model())
    return target


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    target = tmp_path_factory.mktemp('shards')
    fake_shards(target, identities=3, tracks=1, frames=5, size=2 * SIZE)
    return target


def source() -> Portrait:
    face = random_face(0, 1)
    known = {name: value[0] for name, value in face.items() if name != 'image'}
    known['aus'][[AU12, YAW]] = 0.25, 0.5
    return Portrait(face['image'][0], known)


def test_changes_set_or_add():
    own = {'aus': np.full(20, 0.5, np.float32), 'aus_valid': np.ones(20)}
    own['aus_valid'][3] = 0
    changes = unit_edits.parse(['12=0.8', 'AU01=+0.3', '4=+0.9', '45=+-0.2', '5=+0.1'], {
        'yaw': '15', 'roll': '+-30', 'pitch': None,
    })  # fmt: skip
    made = unit_edits.apply(own, changes)
    wanted = np.full(20, 0.5)
    wanted[[0, 2, 3, 8, 16]] = 0.8, 1.0, 0.1, 0.8, 0.3  # clipped at 1; unknown: from 0
    wanted[[18, 19]] = np.deg2rad(15), 0.5 + np.deg2rad(-30)
    np.testing.assert_allclose(made['aus'], wanted, atol=1e-6)
    assert made['aus_valid'].all() and not own['aus_valid'][3]
    half = unit_edits.apply(own, [unit_edits.Change(AU12, 1.0, False)], np.array(0.5))
    assert half['aus'][AU12] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ('units', 'angles', 'message'),
    [
        (['3=1'], {}, '--au 3=1: no such action unit; there are 1, 2, 4'),
        (['12'], {}, '--au 12: expected a number'),
        (['12=x'], {}, '--au 12=x: expected a number'),
        (['12=1.5'], {}, 'runs from 0 to 1'),
        (['12=-0.5'], {}, 'runs from 0 to 1'),
        (['12=1', 'AU12=0'], {}, 'AU12 was given already'),
        ([], {'yaw': '120'}, '--pose-yaw 120: degrees'),
    ],
)
def test_wrong_changes(units, angles, message):
    with pytest.raises(UserError, match=message):
        unit_edits.parse(units, angles)


@pytest.mark.parametrize('suffix', motion.SUFFIXES)
def test_motion_survives_a_file(tmp_path, suffix):
    draw = np.random.default_rng(0)
    aus, valid = draw.uniform(0, 1, (6, 20)).astype(np.float32), draw.uniform(size=(6, 20)) > 0.2
    valid[2] = False
    places = draw.uniform(0, 1, (6, 68, 3)).astype(np.float32)
    places[2] = np.nan
    made = motion.Motion(np.where(valid, aus, 0), valid, Fraction(30000, 1001), '68c', places)
    motion.write(tmp_path / f'm{suffix}', made)
    found = motion.read(tmp_path / f'm{suffix}')
    np.testing.assert_allclose(found.aus, made.aus, atol=1e-4)
    np.testing.assert_allclose(found.landmarks, places, atol=1e-5)
    assert found.points == '68c'
    np.testing.assert_array_equal(found.valid, valid)
    assert found.rate == made.rate


def test_wrong_motion(tmp_path):
    path = tmp_path / 'm.csv'
    for text, message in (
        ('', 'no motion'),
        ('a,b\n1,2\n', 'expected columns timestamp, AU01 ... R_z'),
        ('AU01\nhigh\n', "row 1: 'high' is no number"),
        ('AU01,AU02\n1\n', 'row 1: 1 values for 2 columns'),
        ('# reenact_jax motion, version 2\nAU01\n1\n', 'version 2, this program reads version 1'),
        ('# reenact_jax motion, version 2, light 3\nAU01\n1\n', 'version 2, this program reads'),
        ('# reenact_jax motion, version 1, points 9\nAU01\n1\n', "no point set '9'"),
        ('# reenact_jax motion, version 1, points 68\nx_0,y_0\n1,1\n', 'no column z_0 of the land'),
        ('timestamp,AU01\n0,1\n40,1\n', '0.025 frames a second by its timestamps, which are sec'),
        ('timestamp,AU01\n0,1\n0,1\n', 'inf frames a second'),
        (f'AU01\n{"1" * 200_000}\n', 'line 2: field larger than'),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            motion.read(path)
    for text, message in (
        ('[1]', 'not a motion'),
        ('{"format": "cheese", "columns": [], "rows": []}', "its format is 'cheese'"),
        ('{"columns": ["AU01"], "rows": [[1' + 400 * '0' + ']]}', 'is no number'),
        ('{"columns": [["AU01"]], "rows": [[1]]}', 'no motion'),
    ):
        (tmp_path / 'm.json').write_text(text)
        with pytest.raises(UserError, match=rf'm\.json.*{message}'):
            motion.read(tmp_path / 'm.json')


def test_motion_of_other_hands(tmp_path, monkeypatch):
    """Empty lines, a Mac's line ends, a point set without its points."""
    path = tmp_path / 'm.csv'
    path.write_bytes(b'# reenact_jax motion, version 1, points 106\rAU01\r\r0.5\r0.6\r\r')
    found = motion.read(path)
    np.testing.assert_allclose(found.aus[:, 0], [0.5, 0.6])
    assert found.landmarks is None and found.points is None and found.rate == reading.FOLDER_RATE
    monkeypatch.setattr(motion, 'MAX_BYTES', 10)
    with pytest.raises(UserError, match='more than 10 bytes'):
        motion.read(path)


def test_units_of_the_driver_change_before_the_transfer(folder):
    loaded, driving = bundle.load(folder), []
    for aus in np.eye(3, 20, AU12):
        points = random_face(1, 1)['landmarks'][0]
        driving.append({'landmarks': points, 'aus': aus, 'aus_valid': np.ones(20)})
    options = Options(units=unit_edits.parse(['12=+0.5']), batch=2)
    made = list(Animation(loaded, source(), options).frames(driving))
    own = source().known['landmarks']
    for one, right in zip(made, (0, -4, -4), strict=True):
        np.testing.assert_allclose(one.landmarks, own + np.array([right, 0]), atol=1e-4)


def test_units_lead_from_the_sources_own(folder):
    options = Options(units=unit_edits.parse(['12=1']))
    made = list(Animation(bundle.load(folder), source(), options).lead(None, 4))
    for one, unit in zip(made, (0.25, 0.5, 0.75, 1.0), strict=True):
        wanted = source().known['landmarks'] + np.array([8 * (unit - 0.25), 0])
        np.testing.assert_allclose(one.landmarks, wanted, atol=1e-4)


def test_another_background(folder, tmp_path):
    """The drawing's tint is the background's."""
    scene = np.full((SIZE, SIZE, 3), (255, 0, 0), np.uint8)
    (plain,), (onto,) = (
        list(Animation(bundle.load(folder), source(), one).lead(source().known['landmarks'], 2))[1:]
        for one in (Options(), Options(background=scene))
    )
    changed = onto.image.astype(int) - plain.image
    assert changed[..., 0].mean() > 50 and changed[..., 2].mean() < -50
    export.write(tmp_path / 'b', image_model(), landmark_model())
    with pytest.raises(UserError, match="aan draws the source's background"):
        next(
            Animation(bundle.load(tmp_path / 'b'), source(), Options(background=scene)).lead(
                None, 2
            )
        )


def run(capsys, *arguments):
    reenact.main([str(one) for one in arguments])
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_commands(folder, data, tmp_path, capsys):
    first = ('--model', folder, '--source', data, '--source-track', 'track0000')
    summary = run(
        capsys, *first, '--au', '12=0.5', '--pose-yaw', '-10', '--out', tmp_path / 'a.png'
    )
    assert summary['units'] == {'AU12': 0.5, 'R_y': pytest.approx(np.deg2rad(-10))}
    run(capsys, *first, '--sweep', '12', '--out', tmp_path / 'strip.png')
    assert Image.open(tmp_path / 'strip.png').size == (6 * SIZE, SIZE)
    run(capsys, *first, '--sweep', 'AU12', '--out', tmp_path / 'sweep.mp4')
    assert reading.probe(tmp_path / 'sweep.mp4').frames == 24
    Image.new('RGB', (80, 50), 'red').save(tmp_path / 'red.png')
    run(capsys, *first, '--background', tmp_path / 'red.png', '--out', tmp_path / 'b.png')
    assert writing.is_marked(tmp_path / 'b.png')
    # A driver's motion, saved and read again, drives as the driver did, but for its place.
    there = ('--driving', data, '--driving-track', 'track0001', '--au', '1=1')
    kept = tmp_path / 'motion.csv'
    run(capsys, *first, *there, '--out', tmp_path / 'one.mp4', '--save-motion', kept)
    track = portraits.find_track(str(data), 'track0001')
    found = motion.read(kept)
    wanted = np.where(track.aus_valid, track.aus, 0)
    wanted[:, 0] = 1
    np.testing.assert_allclose(found.aus, wanted, atol=1e-4)
    summary = run(capsys, *first, '--driving', kept, '--out', tmp_path / 'two.mp4')
    assert summary['frames'] == 5 and reading.probe(tmp_path / 'two.mp4').rate == found.rate
    same_videos(tmp_path / 'one.mp4', tmp_path / 'two.mp4')
    # Its landmarks do so, too, for a model that is driven by landmarks.
    carried = (*first, '--transfer', 'none', '--driving')
    run(capsys, *carried, data, *there[2:4], '--out', tmp_path / 'three.mp4')
    run(capsys, *carried, kept, '--out', tmp_path / 'four.mp4')
    same_videos(tmp_path / 'three.mp4', tmp_path / 'four.mp4')
    bare = [line.split(',')[:21] for line in kept.read_text().splitlines()[1:]]
    kept.write_text('\n'.join(map(','.join, bare)))
    with pytest.raises(UserError, match=r'motion\.csv: has action units alone'):
        run(capsys, *carried, kept, '--out', tmp_path / 'five.mp4')


def same_videos(*files):
    one, two = (list(reading.Reader(file)) for file in files)
    for a, b in zip(one, two, strict=True):  # landmarks are rounded in a file
        assert np.abs(a.astype(int) - b).max() <= 8


@pytest.mark.parametrize(
    ('extra', 'message'),
    [
        (['--au', '3=1'], 'no such action unit'),
        (['--sweep', '3'], '--sweep 3: no such action unit'),
        (['--sweep', '12', '--driving', 'clip.mp4'], '--sweep: needs no --driving'),
        (['--au', '1=1', '--save-motion', 'm.csv'], '--save-motion: needs --driving'),
        (['--edit', 'smile=1', '--sheet', 'out.mp4'], r'--sheet out\.mp4: name it'),
        (['--driving', 'a.csv', '--save-motion', './a.csv'], 'a.csv: is --driving already'),
        (['--driving', 'out.mp4'], r'--out out\.mp4: is --driving already; name another'),
        (['--driving', 'a.png', '--steps', '3', '--save-motion', 'm.csv'], 'is not for --steps'),
        (['--save-motion', 'm.pkl', '--driving', 'clip.mp4'], r'm\.pkl: name it \.csv or \.json'),
        (['--au', '1=1', '--transfer', 'none'], 'none is driven by landmarks; action units need'),
        (['--driving', 'absent.csv'], r'absent\.csv'),
    ],
)
def test_wrong_arguments(folder, data, extra, message):
    first = ['--model', str(folder), '--source', str(data), '--source-track', 'track0000']
    with pytest.raises(UserError, match=message):
        reenact.main([*first, '--out', 'out.mp4', *extra])
