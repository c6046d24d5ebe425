"""One person is followed: found when small, held while hidden; cuts, rolls, choices."""

import numpy as np
import pytest
from PIL import Image

from reenact_jax import faces
from reenact_jax.app import studio
from reenact_jax.common.errors import UserError
from reenact_jax.faces import detect, turning, windows
from reenact_jax.faces.following import Finder, Follower
from reenact_jax.faces.model import find_model
from reenact_jax.media import reading

pytest.importorskip('mediapipe', reason='finding faces needs the extra [video]')
data = pytest.importorskip('skimage.data', reason='needs scikit-image for its photograph')
try:
    MODEL = find_model(download=False)
except UserError as error:
    pytest.skip(f'no model file: {error}', allow_module_level=True)

STEP = 0.2  # seconds from frame to frame
HEAD = data.astronaut()[20:220, 120:320]  # a face of some 90 pixels
ROOM = np.full((480, 640, 3), (120, 130, 125), np.uint8)


def other() -> np.ndarray:
    picture = reading.read_still(studio.examples()[0][0])
    return np.asarray(Image.fromarray(picture).resize((200, 200), Image.Resampling.LANCZOS))


OTHER = other()


@pytest.fixture(scope='module')
def detector():
    with faces.Detector(MODEL) as found:
        yield found


def scene(*heads, room=ROOM):
    """A room with (head, x, y)."""
    image = room.copy()
    for head, x, y in heads:
        image[y : y + len(head), x : x + len(head)] = head
    return image


def followed(detector, images, step=STEP, **settings):
    follower = Follower(detector, **settings)
    return [follower(image, n * step) for n, image in enumerate(images)], follower.report()


def places(found) -> list:
    """Where the middle of the face is, in hundreds of pixels; None: not seen."""
    return [
        None if one.face is None else round(float(one.face.box[[0, 2]].mean()) / 100)
        for one in found
    ]


@pytest.mark.parametrize('side', [150, 400])
def test_a_small_face_drives_as_it_is_a_source(detector, side):
    wide = np.full((1080, 1920, 3), 110, np.uint8)
    head = np.asarray(Image.fromarray(HEAD).resize((side, side), Image.Resampling.LANCZOS))
    wide[600 : 600 + side, 1400 : 1400 + side] = head
    found, report = followed(detector, [wide, wide])
    assert all(one.face is not None for one in found) and not report['lost']
    x, y = found[1].face.box[:2]
    assert 1400 < x < 1400 + side and 600 < y < 600 + side


def test_nobody_stands_in_for_who_is_hidden(detector):
    both = [scene((HEAD, 20 + 4 * n, 40), (OTHER, 420, 200)) for n in range(3)]
    hidden = [scene((OTHER, 420 - 5 * n, 200)) for n in range(6)]
    again = [scene((HEAD, 60, 60), (OTHER, 400, 200))] * 2
    found, report = followed(detector, [*both, *hidden, *again], which='left')
    assert places(found) == [1, 1, 1, *[None] * 6, 2, 2]
    assert report['lost'] == [[0.6, 1.8]] and not report['switches'] and not report['cuts']


def test_who_steps_into_the_place_is_somebody_else(detector):
    here, gone, other = scene((HEAD, 40, 40)), scene(), scene((OTHER, 40, 40))
    found, report = followed(detector, [here, here, gone, other, other, gone, here])
    assert places(found) == [1, 1, None, None, None, None, 1]
    assert report['lost'] == [[0.4, 1.2]]


def test_who_leaves_and_comes_back_alone_is_known(detector):
    here, gone, there = scene((HEAD, 40, 40)), scene(), scene((HEAD, 400, 200))
    found, report = followed(detector, [here, here, *[gone] * 12, there, there])
    assert places(found)[:2] == [1, 1] and places(found)[-1] == 5
    assert report['lost'][0][0] == 0.4 and report['lost'][-1][1] is not None


def test_cuts_begin_a_new_shot(detector):
    before = [scene((HEAD, 40, 40))] * 2
    night = np.full_like(ROOM, (20, 30, 90))
    same = [scene((HEAD, 380, 200), room=night)] * 2
    found, report = followed(detector, [*before, *same])
    assert [one.shot for one in found] == [0, 0, 1, 1] and places(found) == [1, 1, 5, 5]
    assert report['cuts'] == [0.4] and not report['switches']
    found, report = followed(detector, [*before, scene((OTHER, 380, 200), room=night)])
    assert report['cuts'] == [0.4] and report['switches'] == [0.4]
    there = scene((OTHER, 380, 200), room=night)
    found, report = followed(detector, [*before, there, there, *before])
    assert report['cuts'] == [0.4, 0.8] and report['switches'] == [0.4]  # and back
    assert places(found) == [1, 1, 5, 5, 1, 1]


def test_a_flash_is_no_cut(detector):
    here = scene((HEAD, 40, 40))
    flash = np.clip(here.astype(int) + 60, 0, 255).astype(np.uint8)
    found, report = followed(detector, [here, flash, here])
    assert [one.shot for one in found] == [0, 0, 0] and not report['cuts']


def test_the_driving_face_can_be_chosen(detector):
    two = scene((HEAD, 20, 40), (OTHER, 420, 200))
    for which, place in (('left', 1), ('right', 5), ('1', 5), (0, 1)):
        found, _ = followed(detector, [two], which=which)
        assert places(found) == [place], which
    with pytest.raises(UserError, match='face 2 asked for, but 2 found'):
        followed(detector, [two], which=2)


def turned(degrees: float) -> np.ndarray:
    """The photograph turned clockwise."""
    image = Image.fromarray(data.astronaut()[:300, 60:360])
    fill = (110, 110, 110)
    made = image.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)
    return np.asarray(made)


@pytest.mark.parametrize('degrees', [60, 90, 135, 180, 270])
def test_turned_portraits_are_found_as_they_are(detector, degrees):
    (face,) = Finder(detector).at_any_roll(turned(degrees))
    assert abs(turning.difference(detect.roll(face), degrees)) < 15
    assert detector.is_certain(turned(degrees), face)
    upright = Finder(detector).at_any_roll(turned(0))[0]
    ratio = np.sqrt(windows.area(windows.box(face.mesh)) / windows.area(upright.box))
    assert 0.7 < ratio < 1.5


def test_a_head_is_followed_over_its_top(detector):
    angles = list(range(0, 200, 20))
    found, report = followed(detector, [turned(angle) for angle in angles])
    rolls = [None if one.face is None else detect.roll(one.face) for one in found]
    wrong = [
        (angle, roll) for angle, roll in zip(angles, rolls, strict=True)
        if roll is not None and abs(turning.difference(roll, angle)) > 25
    ]  # fmt: skip
    assert not wrong
    assert sum(roll is not None for roll in rolls) >= 8, (rolls, report)


def test_a_driver_that_is_hardly_human_is_reported(detector, monkeypatch):
    images = [scene((HEAD, 200, 100))] * 4
    assert followed(detector, images)[1]['certain'] is True
    assert followed(detector, [ROOM])[1]['certain'] is None
    asked = []
    monkeypatch.setattr(detector, 'is_certain', lambda *_: bool(asked.append(1)))
    follower, found = Follower(detector), detector.detect(images[0], thorough=True)
    monkeypatch.setattr(follower._finder, 'search', lambda *_: (found, False))
    for n, image in enumerate(images):
        follower(image, n * STEP)
    assert follower.report()['certain'] is False
    assert len(asked) == 2  # at nought, and again after half a second


def large(head) -> np.ndarray:
    return np.asarray(Image.fromarray(head).resize((600, 600)))


def test_faces_of_large_films_are_tracked_between_searches(detector, monkeypatch):
    """Few whole frames are searched; points differ by less than a 250th of the face's width."""
    room = np.asarray(Image.fromarray(ROOM).resize((1440, 1080)))
    images = [scene((large(HEAD), 300 + 6 * n, 200), room=room) for n in range(7)]
    find, searched = detector.detect, []
    expected = [find(image)[0].landmarks_68 for image in images]

    def detect_too(image, *args, **keywords):
        searched.append(image)
        return find(image, *args, **keywords)

    monkeypatch.setattr(detector, 'detect', detect_too)
    found, _ = followed(detector, images, step=0.1)
    assert [any(x is image for x in searched) for image in images] == [
        n in (0, 5) for n in range(7)
    ]
    for one, points in zip(found, expected, strict=True):
        assert np.abs(one.face.landmarks_68 - points)[:, :2].mean() < 1
    # A small film is searched whole every time, and its points do not depend on the frames before.
    small = [scene((HEAD, 200 + 6 * n, 200)) for n in range(3)]
    found, _ = followed(detector, small, step=0.1)
    assert all(any(x is image for x in searched) for image in small)
    for one, image in zip(found, small, strict=True):
        np.testing.assert_array_equal(one.face.landmarks_68, find(image)[0].landmarks_68)


def test_a_tracked_face_that_leaves_is_lost_and_found(detector):
    room = np.asarray(Image.fromarray(ROOM).resize((1440, 1080)))
    here = scene((large(HEAD), 300, 200), room=room)
    found, report = followed(detector, [here, here, room, room, here, here], step=0.1)
    assert [one.face is not None for one in found] == [True, True, False, False, True, True]
    assert report['lost'] == [[0.2, 0.4]]
