"""Every landmark transfer with every image generator, as a bundle."""

import functools

import jax
import numpy as np
import pytest
from bundles import BY_KEYPOINTS, GENERATORS, SIZE, TRANSFERS, random_face

from reenact_jax import bundle, systems
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import Face
from reenact_jax.export import command as export
from reenact_jax.export import programs


@pytest.fixture(scope='module')
def faces():
    """A source, three driving frames and the driver's first."""
    return random_face(0, 1), random_face(1, 3), random_face(2, 1)


def test_no_system_is_left_out():
    for function, models in (('render', GENERATORS), ('transfer', TRANSFERS)):
        able = {name for name in systems.SYSTEMS if hasattr(systems.find(name), function)}
        assert able == {make().system for make in (models | BY_KEYPOINTS).values()}


@functools.cache
def generator_of(name):
    image = (GENERATORS | BY_KEYPOINTS)[name]()
    return image, programs.generator_functions(image)


@functools.cache
def transfer_of(name):
    landmarks = (TRANSFERS | BY_KEYPOINTS)[name]()
    return landmarks, programs.transfer_functions(landmarks, SIZE)


PAIRS = [(t, g) for t in TRANSFERS for g in GENERATORS] + [(name, name) for name in BY_KEYPOINTS]


@pytest.mark.parametrize(('transfer', 'generator'), PAIRS)
def test_pair_runs_and_equals_the_one_in_process(transfer, generator, faces, tmp_path, monkeypatch):
    source, driving, first = faces
    (image, made), (landmarks, moving) = generator_of(generator), transfer_of(transfer)
    monkeypatch.setattr(programs, 'generator_functions', lambda part, dtype: made)  # each made once
    monkeypatch.setattr(programs, 'transfer_functions', lambda *_: moving)
    export.write(tmp_path / 'bundle', image, landmarks)
    loaded = bundle.load(tmp_path / 'bundle')
    identity, look = loaded.identify(source), loaded.encode(source)
    moved = loaded.transfer(identity, driving, first)
    got = loaded.render(look, moved)
    assert got.shape == (3, SIZE, SIZE, 3) and np.abs(got).max() <= 1
    assert np.abs(got[0] - got[1]).max() > 1e-5  # the driver matters

    @jax.jit
    def in_process(source, driving, first):
        identity = landmarks.module.identify(*landmarks.model, Face(**source))
        moved = landmarks.module.transfer(*landmarks.model, identity, driving, first)
        look = image.module.encode(*image.model, Face(**source))
        return moved, image.module.render(*image.model, look, moved)

    expected = in_process(source, Face(**driving), Face(**first))
    np.testing.assert_allclose(moved, expected[0], rtol=1e-5, atol=1e-5 * SIZE)
    np.testing.assert_allclose(got, expected[1], atol=1e-4)


@pytest.mark.parametrize('generator', GENERATORS)
def test_point_sets_must_fit(generator, tmp_path):
    with pytest.raises(UserError, match=r"--transfer was trained with points '106'"):
        export.write(tmp_path / 'b', GENERATORS[generator](), TRANSFERS['ldnet']('106'))
    assert not (tmp_path / 'b').exists()
