"""Several pictures of one person as a source: which one is drawn from, and how they change."""

import json

import numpy as np
import pytest
from bundles import SIZE, drawing_model, keypoint_model
from heads_of_points import face_points
from PIL import Image
from test_reenact import FakeDetector

from reenact_jax import faces
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.export import live
from reenact_jax.media import reading, writing
from reenact_jax.reenact import command as reenact
from reenact_jax.reenact import several
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.model import Model
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.pasting import Canvas
from reenact_jax.reenact.portraits import Portrait


def rolled(degrees: float) -> np.ndarray:
    """Points of a head that is rolled in its crop."""
    angle, points = np.deg2rad(degrees), face_points(SIZE)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.float32((points - SIZE / 2) @ turn.T + SIZE / 2)


def person(degrees: float, level: int, side: int = 80) -> Portrait:
    """A grey picture of a head; the crop is its middle half."""
    picture = np.full((side, side, 3), level, np.uint8)
    image = np.full((SIZE, SIZE, 3), level / 127.5 - 1, np.float32)
    window = (side / 4, side / 4, side / 2)
    return Portrait(image, {'landmarks': rolled(degrees)}, Canvas(picture, window))


def test_another_picture_is_taken_where_it_is_clearly_nearer_and_fades_in():
    choice = several.Choice()
    near = several.CLEARLY - 0.01
    assert choice(np.array([0.5, 0.2])) == {1: 1.0}  # the nearest one at first
    assert choice(np.array([0.5 - near, 0.5])) == {1: 1.0}  # hardly nearer: it stays
    shares = [choice(np.array([0.0, 0.6]))]
    # While it fades the other way round counts for nothing.
    shares += [choice(np.array([9.0, 0.0])) for _ in range(several.FADE - 1)]
    np.testing.assert_allclose([share[0] for share in shares], [0.2, 0.4, 0.6, 0.8])
    assert all(sum(share.values()) == pytest.approx(1) for share in shares)
    assert choice(np.array([0.0, 0.1])) == {0: 1.0}


def test_frames_are_drawn_from_the_picture_whose_pose_fits():
    model = live.assemble(drawing_model(), None)
    driving = [{'landmarks': rolled(degrees)} for degrees in (0, 2, 4, *8 * [30])]
    options = Options(motion='absolute', batch=4)
    upright, aside = person(0, 60), person(30, 200)
    both = list(Animation(model, upright, options, [aside]).frames(driving))
    alone = [
        list(Animation(model, one, options).frames(driving))
        for one in (upright, several.aligned(upright, aside))
    ]
    for number in range(3):
        np.testing.assert_array_equal(both[number].image, alone[0][number].image)
    for number in range(3 + several.FADE, 11):
        np.testing.assert_array_equal(both[number].image, alone[1][number].image)
    first, second = (np.float32(made[3].image) for made in alone)
    assert np.abs(first - second).max() > 20
    np.testing.assert_allclose(both[3].image, 0.8 * first + 0.2 * second, atol=1)
    np.testing.assert_allclose(both[5].landmarks, rolled(30), atol=1e-3)


def test_another_picture_lies_in_the_place_of_the_first_ones_face():
    first, other = person(0, 60), person(10, 200, side=200)
    canvas = several.aligned(first, other).canvas
    assert canvas.window == first.canvas.window and canvas.picture.shape == (80, 80, 3)
    assert (canvas.picture[35:45, 35:45] == 200).all()
    outside = np.ones((80, 80), bool)
    outside[20:60, 20:60] = False
    assert (canvas.picture[outside] == 60).all()


def test_those_that_differ_most_are_taken_and_no_twins():
    found = [person(degrees, 100) for degrees in (0, 1, 2, 20, 40, 39, 0)]
    chosen = several.differing(found)
    assert [[one is other for other in found].index(True) for one in chosen] == [0, 4, 3]
    many = [person(10 * number, 100) for number in range(-9, 9)]
    assert len(several.differing(many)) == several.MOST


@pytest.fixture
def stills(tmp_path):
    folder = tmp_path / 'stills'
    folder.mkdir()
    for number, level in enumerate((100, 160, 220)):
        Image.fromarray(np.full((64 + number, 80, 3), level, np.uint8)).save(
            folder / f'{number}.png'
        )
    return folder


def test_pictures_of_a_folder_or_a_video(stills, tmp_path):
    spec = SIZE, '68', FakeDetector()
    found = several.from_file(str(stills), *spec)
    assert len(found) == 3 and found[0].canvas.picture.shape == (64, 80, 3)
    with writing.VideoWriter(tmp_path / 'clip.mp4', 25) as video:
        for level in (0, 100, 0, 160, 220):
            video.write(np.full((64, 64, 3), level, np.uint8))
    assert len(several.from_file(str(tmp_path / 'clip.mp4'), *spec)) == 3
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(stills / 'black.png')
    with pytest.raises(UserError, match=r'black\.png: no human face found'):
        several.from_file(str(stills), *spec)


def test_the_command_takes_several(stills, tmp_path, capsys, monkeypatch):
    export.write(tmp_path / 'bundle', drawing_model(), None)
    monkeypatch.setattr(faces, 'Detector', lambda model: FakeDetector())
    with writing.VideoWriter(tmp_path / 'driver.mp4', 25) as video:
        for level in (100, 160, 220):
            video.write(np.full((64, 64, 3), level, np.uint8))
    files = '--driving', tmp_path / 'driver.mp4', '--out', tmp_path / 'out.mp4', '--overwrite'
    two = '--source', stills / '0.png', '--source', stills / '2.png'
    for sources, count in ((two, 2), (('--source', stills, '--source-as', 'set'), 3)):
        given = ['--model', tmp_path / 'bundle', *sources, *files]
        assert reenact.main([str(one) for one in given]) == 0
        summary = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (summary['sources'], summary['frames']) == (count, 3)
        assert reading.probe(tmp_path / 'out.mp4').height == 64


@pytest.mark.parametrize(
    'extra, message',
    [
        (['--source', '0.png', '--source-as', 'set'], 'is for one --source, a video or a folder'),
        (['--source', '0.png', '--source-track', 'x'], 'are of one --source'),
        (['--source', '0.png', '--background', 'x.png'], '--background: is for one --source'),
        (['--source', '1.png'], r'--source .*1\.png: is --source already'),
        (['--source', 'nowhere.png'], r'nowhere\.png: no such file'),
        (['--source-as', 'set', '--source-frame', '3'], '--source-frame: is of --source-as'),
        (['--source-as', 'set'], r'1\.png is one picture; give --source once for each'),
    ],
)
def test_wrong_sources(stills, extra, message, monkeypatch):
    monkeypatch.chdir(stills)
    given = ['--model', 'm', '--source', '1.png', '--driving', '2.png', '--out', 'o.png', *extra]
    with pytest.raises(UserError, match=message):
        reenact.main(given)


def test_a_folder_says_what_it_is(stills):
    given = ['--model', 'm', '--source', str(stills), '--driving', 'd.mp4', '--out', 'o.mp4']
    with pytest.raises(UserError, match='is a folder; --source-as set or film says what it is'):
        reenact.main(given)


def test_from_python(stills):
    model = Model(live.assemble(drawing_model(), None))
    model._found = FakeDetector()
    files = [str(stills / '0.png'), str(stills / '2.png')]
    driver = np.full((3, 64, 64, 3), 160, np.uint8)
    assert model.animate(files, driver, motion='absolute').frames.shape == (3, 64, 80, 3)
    with pytest.raises(UserError, match='sources: none'):
        model.animate([], driver)


def test_keypoints_do_not_tell_the_pose():
    model = live.assemble(keypoint_model(), keypoint_model())
    with pytest.raises(UserError, match=r'several sources: acts on landmarks'):
        Animation(model, person(0, 60), others=[person(9, 99)]).painter  # noqa: B018
