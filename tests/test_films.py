"""A film as the source: its own motion stays, its expression is replaced by the driver's."""

import json
from fractions import Fraction

import numpy as np
import pytest
from bundles import SIZE, drawing_model, keypoint_model
from heads_of_points import face_points
from scipy.spatial.transform import Rotation
from test_reenact import FakeDetector

from reenact_jax import faces
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.geometry import layouts
from reenact_jax.media import reading, writing
from reenact_jax.reenact import command as reenact
from reenact_jax.reenact import films, regions
from reenact_jax.reenact.films import Shown, Square, Squares
from reenact_jax.reenact.regions import Amount

LAYOUT = layouts.layout('68')
MOUTH = [n for name in regions.REGIONS['mouth'] for n in LAYOUT.parts[name]]


def head() -> np.ndarray:
    """Points of a head with depth."""
    flat = face_points(64).astype(float)
    depth = (
        np.square(flat[:, :1] - 32) / 30 - 8 * np.exp(-np.square(flat - 34).sum(1) / 40)[:, None]
    )
    return np.hstack([flat, depth])


def placed(points, turn=(0.1, -0.4, 0.2), scale=1.3, shift=(20.0, -5.0, 3.0)) -> np.ndarray:
    return scale * points @ Rotation.from_euler('xyz', turn).as_matrix().T + np.array(shift)


def test_the_region_is_the_drivers_on_the_films_own_head():
    reference, moved = head(), head()
    moved[MOUTH] += np.array([0.0, 4.0, 1.0])
    own = placed(reference)
    own[MOUTH] += 7.0  # what the film's mouth does is replaced, not added to
    weights = regions.weights(LAYOUT, Amount(regions=('mouth',)))
    made = films.replaced(own, reference, moved, LAYOUT, weights)
    np.testing.assert_allclose(made[MOUTH], placed(moved)[MOUTH], atol=1e-3)
    others = np.setdiff1d(np.arange(68), MOUTH)
    np.testing.assert_array_equal(made[others], own[others])


def test_heads_without_depth_are_turned_in_the_image_alone():
    reference = head() * [1, 1, 0]
    own = placed(reference, (0, 0, 0.3), shift=(9.0, 2.0, 0.0))
    weights = regions.weights(LAYOUT, Amount(regions=regions.EXPRESSION))
    made = films.replaced(own, reference, reference, LAYOUT, weights)
    np.testing.assert_allclose(made, own, atol=1e-3)


@pytest.mark.parametrize('left, top', [(30, 20), (-15, -9), (70, 60), (400, 400)])
def test_a_square_is_cut_and_put_back_pixel_by_pixel(left, top):
    image = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    square = Square(left, top, 40)
    canvas, made = square.cut(image), image.copy()
    assert canvas.picture.shape == (40 + 2 * square.margin,) * 2 + (3,)
    square.put(canvas.picture, made)
    np.testing.assert_array_equal(made, image)
    square.put(255 - canvas.picture, made)
    inside = (made != image).any(-1)
    x, y = left - square.margin, top - square.margin
    expected = np.zeros((100, 120), bool)
    side = len(canvas.picture)
    expected[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)] = True
    assert not inside[~expected].any()


def test_a_face_of_about_one_size_keeps_its_side():
    squares, points, image = Squares(), face_points(100), np.zeros((9, 9, 3), np.uint8)

    def side(landmarks):
        return squares(Shown(image, 0.0, 1.0, {'landmarks': np.float32(landmarks)})).side

    first = side(points)
    assert side(points * 1.05 + 7) == first
    assert side(points * 1.3) == pytest.approx(first * 1.3, abs=1)


def test_a_portrait_of_a_frame_has_its_points_where_its_pixels_are():
    points = np.pad(face_points(100), ((0, 0), (0, 1))) + np.float32([20, 10, 0])
    image = np.zeros((140, 160, 3), np.uint8)
    x, y = np.int32(points[30, :2])
    image[y - 2 : y + 3, x - 2 : x + 3] = 255
    face = {'landmarks': points[:, :2], 'landmarks3d': points}
    face |= {'aus': np.zeros(20, np.float32), 'aus_valid': np.ones(20, np.float32)}
    shown = Shown(image, 0.0, 1.0, face)
    source = films.portrait(shown, Squares()(shown), SIZE)
    bright = np.argwhere(source.image[..., 0] > source.image[..., 0].max() - 0.4)
    np.testing.assert_allclose(bright.mean(0)[::-1] + 0.5, source.known['landmarks'][30], atol=0.75)


def video(path, levels, rate=25):
    with writing.VideoWriter(path, Fraction(rate)) as file:
        for level in levels:
            file.write(np.full((64, 64, 3), level, np.uint8))
    return path


@pytest.fixture
def command(tmp_path, capsys, monkeypatch):
    """Run the command on a film and a driver; return its summary and its warnings."""
    export.write(tmp_path / 'bundle', drawing_model(), None)
    monkeypatch.setattr(faces, 'Detector', lambda model: FakeDetector())

    def run(film, driver, *more):
        given = '--model', tmp_path / 'bundle', '--source', film, '--source-as', 'film'
        given += '--driving', driver, '--out', tmp_path / 'out.mp4', '--overwrite', *more
        assert reenact.main([str(one) for one in given]) == 0
        said = capsys.readouterr()
        return json.loads(said.out.splitlines()[-1]), said.err

    return run


def test_a_film_keeps_its_times_and_what_has_no_face(command, tmp_path):
    film = video(tmp_path / 'film.mp4', (100, 100, 0, 0, 160, 160))
    driver = video(tmp_path / 'driver.mp4', 14 * (100, 220), rate=50)
    sheet = '--sheet', tmp_path / 'sheet.png', '--rows', 3
    made, said = command(film, driver, *sheet, '--side-by-side')
    assert (made['frames'], made['rate'], made['motion']) == (6, '25', 'film')
    assert made['without_face'] == [0.08, 0.12] and 'no face in 2 frames, from 0.08 s' in said
    assert made['ends'] == [0.24, 0.56] and 'film.mp4 ends at 0.24 s' in said
    made, said = command(film, video(tmp_path / 'short.mp4', 4 * [100]))
    assert (made['frames'], made['ends'], made['fault']) == (4, [0.24, 0.16], None)
    frames = list(reading.Reader(tmp_path / 'out.mp4'))
    assert np.abs(frames[2].astype(int)).max() < 8  # black, as it was
    assert np.ptp(frames[0]) > 50  # lines are drawn
    made, said = command(film, video(tmp_path / 'same.mp4', 6 * [100]))
    assert made['ends'] is None and 'ends at' not in said
    writing.write_still(str(tmp_path / 'still.png'), np.full((64, 64, 3), 220, np.uint8))
    made, said = command(film, tmp_path / 'still.png')
    assert (made['frames'], made['ends']) == (6, None), 'a still stays'


def test_a_film_without_anybody_is_named(command, tmp_path):
    film = video(tmp_path / 'film.mp4', 4 * [0])
    with pytest.raises(UserError, match=r'film\.mp4: no face found in any frame'):
        command(film, video(tmp_path / 'driver.mp4', 4 * [100]))


@pytest.mark.parametrize(
    'extra, message',
    [
        (['--region', 'pose'], "--region pose: the film's own pose stays; give eyes, brows, mouth"),
        (['--motion', 'absolute'], '--motion absolute: the own motion of a film stays'),
        (['--out', 'o.png'], r'--out o\.png: a film has several frames; name it \.mp4'),
        (['--crop'], '--crop: .*; not for --source-as film'),
        (['--steps', '4'], '--steps: .*; not for --source-as film'),
        (['--save-motion', 'm.csv'], '--save-motion: .*; not for --source-as film'),
    ],
)
def test_what_is_not_of_films(extra, message):
    given = ['--model', 'm', '--source', 'a.mp4', '--source-as', 'film', '--driving', 'd.mp4']
    with pytest.raises(UserError, match=message):
        reenact.main([*given, '--out', 'o.mp4', *extra])


def test_a_still_is_no_film_and_keypoints_have_no_regions(tmp_path):
    still = tmp_path / 'still.png'
    writing.write_still(str(still), np.zeros((64, 64, 3), np.uint8))
    film, target = video(tmp_path / 'film.mp4', 3 * [100]), tmp_path / 'bundle'
    rest = ['--source-as', 'film', '--driving', str(film), '--out', str(tmp_path / 'o.mp4')]
    with pytest.raises(UserError, match=r'--source-as film: .*still\.png is one picture'):
        reenact.main(['--model', 'm', '--source', str(still), *rest])
    export.write(target, keypoint_model(), keypoint_model())
    other = video(tmp_path / 'other.mp4', 3 * [100])
    with pytest.raises(UserError, match='--source-as film: acts on landmarks, and colours moves'):
        reenact.main(['--model', str(target), '--source', str(other), *rest])
