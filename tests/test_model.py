"""The Python interface: files and arrays give the same clip, which says what it is."""

import subprocess
import sys

import numpy as np
import pytest
from bundles import SIZE, landmark_model, layered_model

import reenact_jax
from reenact_jax.export import command as export
from reenact_jax.media import reading, writing
from reenact_jax.reenact import model as models
from reenact_jax.reenact.options import Options

SHIFTS = 0, 3, 6


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    pytest.importorskip('mediapipe', reason='needs the face detector')
    target = tmp_path_factory.mktemp('model') / 'bundle'
    export.write(target, layered_model(), landmark_model())
    return reenact_jax.load(target, 'none')


@pytest.fixture(scope='module')
def astronaut():
    return np.ascontiguousarray(pytest.importorskip('skimage.data').astronaut()[:256, 96:352])


@pytest.fixture(scope='module')
def driving(astronaut):
    return np.stack([np.roll(astronaut, shift, 1) for shift in SHIFTS])


@pytest.fixture(scope='module')
def clip(model, astronaut, driving):
    return model.animate(astronaut, driving, rate=10)


def test_a_clip_has_the_pictures_size_and_says_what_it_is(clip, astronaut):
    assert clip.frames.shape == (3, *astronaut.shape) and clip.frames.dtype == np.uint8
    assert clip.landmarks.shape == (3, 68, 2) and clip.held == () and clip.rate == 10
    assert repr(clip) == 'Clip(3 frames of 256 x 256, 10 a second)' and len(clip) == 3
    moved = np.abs(clip.landmarks[2] - clip.landmarks[0]).max()
    assert 0.2 < moved < 6 * SIZE / 128


def test_files_give_what_arrays_give(model, astronaut, driving, clip, tmp_path):
    writing.write_still(tmp_path / 'portrait.png', astronaut)
    for number, picture in enumerate(driving):
        writing.write_still(tmp_path / 'frames' / f'{number}.png', picture)
    made = model.animate(tmp_path / 'portrait.png', tmp_path / 'frames')
    np.testing.assert_array_equal(made.frames, clip.frames)
    assert made.rate == 25  # a folder says nothing of it
    found = model.portrait(tmp_path / 'portrait.png')
    np.testing.assert_array_equal(model.animate(found, driving).frames, clip.frames)


def test_what_is_asked_for_arrives(model, astronaut, driving, clip):
    less = model.animate(astronaut, driving, strength=0.0)
    same = model.animate(astronaut, driving, options=Options(strength=0.0))
    np.testing.assert_array_equal(same.frames, less.frames)
    assert np.abs(less.landmarks - less.landmarks[:1]).max() < 1e-3
    smiling = model.animate(astronaut, driving, edits={'smile': 1.0})
    assert np.abs(smiling.landmarks - clip.landmarks).max() > 0.1
    small = model.animate(astronaut, driving[:1], max_side=100)
    assert small.frames.shape == (1, 100, 100, 3)


def test_clips_are_saved_and_marked(clip, tmp_path):
    clip.save(tmp_path / 'out.mp4')
    assert reading.probe(tmp_path / 'out.mp4').frames == 3
    assert reading.probe(tmp_path / 'out.mp4').rate == 10
    assert writing.is_marked(tmp_path / 'out.mp4')
    clip.save(tmp_path / 'out.webp', mark=False)
    with pytest.raises(reenact_jax.UserError, match=r'a clip of 3 frames; name it \.mp4'):
        clip.save(tmp_path / 'out.png')


def test_models_say_what_they_are(model):
    said = repr(model)
    for part in ('aan', 'none', f'{SIZE} x {SIZE}', "picture's own pixels", 'landmarks', 'Apache'):
        assert part in said


@pytest.mark.parametrize(
    'source, driver, keywords, message',
    [
        (np.zeros((8, 8, 3)), None, {}, r'pictures of float64 \[8, 8, 3\]: expected uint8'),
        (None, np.zeros((8, 8, 3), np.uint8), {}, r'expected uint8 \[t, h, w, 3\]'),
        ('nowhere.jpg', None, {}, 'nowhere.jpg: no such file'),
        (None, None, {'reference': 'last'}, "reference 'last': one of first, best"),
        (None, None, {'motion': 'sideways'}, "motion 'sideways': one of relative, absolute"),
        (None, None, {'motion': 'absolute', 'strength': 2.0}, 'are of relative motion'),
        (None, None, {'regions': ('ears',)}, 'ears'),
        (None, None, {'strength': float('nan')}, 'strength'),
    ],
)
def test_wrong_input_is_named(model, astronaut, driving, source, driver, keywords, message):
    given = driving if driver is None else driver
    with pytest.raises(reenact_jax.UserError, match=message):
        model.animate(astronaut if source is None else source, given, **keywords)


def test_names_are_public_and_imported_late():
    assert {'load', 'Model', 'Clip', 'UserError'} <= set(reenact_jax.__all__)
    assert reenact_jax.Model is models.Model
    with pytest.raises(AttributeError):
        reenact_jax.nothing  # noqa: B018
    code = 'import sys, reenact_jax; assert "jax" not in sys.modules; reenact_jax.load'
    subprocess.run([sys.executable, '-c', code], check=True)
