"""Estimators as ONNX files: what networks are given, what is refused, a run in onnxruntime."""

import types

import numpy as np
import pytest
from skimage import data

from reenact_jax.common.errors import UserError
from reenact_jax.evaluate import compare, estimators
from reenact_jax.evaluate.estimators import brought

SIDES = {'arcface': 112, 'vggface2': 224, 'inception': 299}


class FakeSession:
    """A graph that keeps what it was given and returns the mean colour, batch by batch."""

    def __init__(self, side: int, batch: int | str = 'n'):
        self.given: list[np.ndarray] = []
        self._shape = [batch, 3, side, side]

    def get_inputs(self):
        return [types.SimpleNamespace(name='x', shape=self._shape)]

    def run(self, outputs, feed):
        self.given.append(feed['x'])
        return [feed['x'].mean((2, 3))[:, :, None, None]]


@pytest.fixture
def opened(monkeypatch, tmp_path):
    def of(kind: str, **more):
        session = FakeSession(SIDES[kind], **more)
        monkeypatch.setattr(brought, '_session', lambda data, where: session)
        (tmp_path / 'net.onnx').write_bytes(b'graph')
        return estimators.Brought(kind, str(tmp_path / 'net.onnx')), session

    return of


def gradient(side: int) -> np.ndarray:
    """An image whose red is x and whose green is y, in [-1, 1], from edge to edge."""
    line = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(line, line)
    return np.stack([x, y, np.full_like(x, 0.25)], -1)[None]


def points(side: float) -> np.ndarray:
    """68 points whose five of ArcFace lie where its chip has them, in a chip of another size."""
    five = (brought._ARCFACE + 0.5) / 112 * side
    face = np.tile(five[2], (68, 1))
    face[36:42], face[42:48], face[48], face[54] = five[0], five[1], five[3], five[4]
    return face[None].astype(np.float32)


def test_arcface_is_given_its_chip(opened):
    network, session = opened('arcface')
    found = network(gradient(224), points(224))
    (chip,) = session.given
    assert chip.shape == (1, 3, 112, 112)
    np.testing.assert_allclose(chip[0].transpose(1, 2, 0), gradient(112)[0], atol=0.02)
    np.testing.assert_allclose(found, chip.mean((2, 3)), atol=1e-6)
    assert network.card.measures == 'identity' and len(network.card.sha256) == 64


def test_vggface2_is_given_blue_first_without_the_mean(opened):
    network, session = opened('vggface2')
    face = np.full((1, 68, 2), 140, np.float32)
    face[0, 0], face[0, 1] = (100, 120), (200, 160)  # a box of 100 around (150, 140)
    network(gradient(300), face)
    (chip,) = session.given
    blue = (0.25 + 1) * 127.5 - 91.4953
    np.testing.assert_allclose(chip[0, 0], blue, atol=1e-3)
    red = chip[0, 2] + 131.0912
    ends = np.array([150 - 65, 150 + 65]) / 300 * 255  # 1.3 of the box
    np.testing.assert_allclose(red[:, [0, -1]].mean(0), ends, atol=1)


def test_inception_is_given_images_without_antialiasing(opened):
    network, session = opened('inception', batch=1)
    image = np.random.default_rng(0).uniform(-1, 1, (2, 598, 598, 3)).astype(np.float32)
    found = network(image)
    assert [one.shape for one in session.given] == [(1, 3, 299, 299)] * 2 and found.shape == (2, 3)
    # Half the side: each pixel is the mean of the four around its middle, and of no more.
    halves = image.reshape(2, 299, 2, 299, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(np.concatenate(session.given), halves, atol=1e-5)


def test_files_that_are_refused(opened, monkeypatch, tmp_path):
    with pytest.raises(UserError, match=r'--identity arcface=gone\.onnx: no such file'):
        compare._identity('arcface=gone.onnx')
    with pytest.raises(UserError, match=r'arcface=FILE\.onnx'):
        compare._identity('arcface')
    path = tmp_path / 'net.onnx'
    path.write_bytes(b'graph')
    monkeypatch.setattr(brought, '_session', lambda *_: FakeSession(224))
    with pytest.raises(UserError, match=r"takes \['n', 3, 224, 224\], expected one input"):
        compare._identity(f'arcface={path}')
    network, session = opened('inception')
    session.run = lambda *_: [np.full((1, 5), np.nan, np.float32)]
    with pytest.raises(UserError, match='not finite'):
        network(gradient(299))


def test_a_graph_runs_in_onnxruntime(tmp_path):
    pytest.importorskip('onnxruntime')
    onnx = pytest.importorskip('onnx')
    shape = ['n', 3, 299, 299]
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node('GlobalAveragePool', ['x'], ['y'])
    graph = onnx.helper.make_graph(
        [node], 'mean', [value('x', 1, shape)], [value('y', 1, ['n', 3, 1, 1])]
    )
    opset = [onnx.helper.make_opsetid('', 17)]
    path = tmp_path / 'mean.onnx'
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    network = estimators.Brought('inception', str(path))
    image = data.astronaut()[None, :299, :299] / np.float32(127.5) - 1
    np.testing.assert_allclose(network(image), image.mean((1, 2)), atol=1e-5)
    path.write_bytes(b'no graph')
    with pytest.raises(UserError, match='not an ONNX graph'):
        estimators.Brought('inception', str(path))


def test_without_onnxruntime_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__('sys').modules, 'onnxruntime', None)
    (tmp_path / 'net.onnx').write_bytes(b'graph')
    with pytest.raises(UserError, match='pip install onnxruntime'):
        estimators.Brought('arcface', str(tmp_path / 'net.onnx'))
