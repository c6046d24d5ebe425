"""Estimators: dlib's network against dlib, MediaPipe on a photograph and on nothing."""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick
from skimage import data

from reenact_jax import faces
from reenact_jax.common.errors import UserError
from reenact_jax.evaluate import compare, estimators
from reenact_jax.evaluate.estimators import identity
from reenact_jax.nets import dlib_resnet


@pytest.fixture(scope='module')
def weights():
    try:
        return dlib_resnet.load()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='module')
def reference(weights):
    """dlib's own network, and a chip of the astronaut that dlib cut at given points."""
    dlib = pytest.importorskip('dlib')
    model = dlib.face_recognition_model_v1(str(dlib_resnet._in_package()))
    picture = data.astronaut()
    scale, turn = 100, np.radians(7)
    face = np.stack([np.float32(t.split()) for t in (dlib_resnet._FACE_X, dlib_resnet._FACE_Y)], 1)
    face = face @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]] * scale + [175, 65]
    points = np.zeros((68, 2))
    points[dlib_resnet._POINTS] = np.round(face)
    shape = dlib.full_object_detection(
        dlib.rectangle(170, 60, 280, 170), [dlib.point(int(x), int(y)) for x, y in points]
    )
    return model, dlib.get_face_chip(picture, shape, dlib_resnet.SIDE, 0.25), picture, points + 0.5


def test_embedding_is_dlibs(weights, reference):
    model, chip, _, _ = reference
    noise = np.random.default_rng(0).integers(0, 256, chip.shape, np.uint8)
    for image in (chip, chip[:, ::-1].copy(), noise):
        expected = np.array(model.compute_face_descriptor(image))
        found = jax.jit(dlib_resnet.embed)(weights, image[None] / np.float32(127.5) - 1)
        np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_chip_is_dlibs(weights, reference):
    model, chip, picture, points = reference
    image = picture[None] / np.float32(127.5) - 1
    found = np.asarray(jax.jit(dlib_resnet.chips)(image, np.float32(points)[None]))
    off = np.abs((found[0] + 1) * 127.5 - chip).mean()
    shifted = np.abs(np.roll(chip, 1, 1) - np.float32(chip)).mean()
    assert off < 2 < shifted
    mine = jax.jit(identity.embed)(weights, image, np.float32(points)[None])
    assert np.linalg.norm(mine[0] - np.array(model.compute_face_descriptor(chip))) < 0.1


def test_identity_loss_falls(weights, reference):
    """A step against the gradient makes a noisy picture more like the person."""
    _, _, picture, points = reference
    image = picture[None, 40:200, 140:300] / np.float32(127.5) - 1
    points = np.float32(points)[None] - [140, 40]
    noisy = image + np.random.default_rng(0).normal(0, 0.3, image.shape).astype(np.float32)
    value = quick.jit(
        jax.value_and_grad(lambda x: identity.loss(weights, x, points, image, points))
    )
    before, gradient = value(noisy)
    after, _ = value(noisy - 2 * gradient / jnp.abs(gradient).max() * 0.05)
    assert 0 < after < before
    assert value(image)[0] == pytest.approx(0, abs=1e-5)


def test_weights_that_are_refused(tmp_path):
    with pytest.raises(UserError, match='pip install face_recognition_models'):
        dlib_resnet.load(str(tmp_path / 'none.dat'))
    (tmp_path / 'other.dat').write_bytes(b'x')
    with pytest.raises(UserError, match=r'sha256 is .* expected'):
        dlib_resnet.load(str(tmp_path / 'other.dat'))


def test_faces_are_found_at_any_size_and_failures_told():
    pytest.importorskip('mediapipe')
    try:
        faces.find_model(download=False)
    except UserError as error:
        pytest.skip(str(error).splitlines()[0])
    picture = data.astronaut()[0:256, 96:352] / np.float32(127.5) - 1
    small = np.asarray(jax.image.resize(picture, (64, 64, 3), 'linear'))
    with estimators.Attributes(threads=2) as attributes:
        large = attributes(np.stack([picture, np.zeros_like(picture), picture]))
        little = attributes(small[None])
    assert large.found.tolist() == [True, False, True] and little.found.all()
    assert (large.points[1] == 0).all() and not large.known[1].any()
    np.testing.assert_allclose(large.points[0], large.points[2], atol=1e-3)
    np.testing.assert_allclose(little.points[0] * 4, large.points[0], atol=6)


def test_a_missing_identity_network_says_how_to_do_without(monkeypatch):
    monkeypatch.setattr(dlib_resnet, '_in_package', lambda: None)
    parser = argparse.ArgumentParser()
    compare.estimator_flags(parser.add_argument)
    without = ['--attributes', 'none', '--features', 'none']
    named = pytest.raises(UserError, match=r'--identity dlib: .*pip install.*--identity none')
    with named, compare.measuring(parser.parse_args(without)):
        pass
    with compare.measuring(parser.parse_args([*without, '--identity', 'none'])) as measure:
        assert measure.identity is None
