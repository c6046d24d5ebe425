"""Bytes blended in windows are those of the whole picture; frames drawn at once, few or many."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from heads_of_points import face_points
from test_composing import PICTURE, WINDOW, S, moved

from reenact_jax.geometry import blending, images
from reenact_jax.geometry.layers import Layers, Part, Region
from reenact_jax.reenact import composing
from reenact_jax.reenact.composing import Composer
from reenact_jax.reenact.pasting import Canvas

REGION = Region(3, 5, 90, 120)
CROP = jnp.array([10.0, 2.0, 80.0])


def some(*shape, low=-1.0):
    return jnp.asarray(np.random.default_rng(sum(shape)).uniform(low, 1, shape), jnp.float32)


def parts(side: float, at):
    """Two parts of 16 x 16 that reach over `side` pixels of the crop, for two frames each."""
    scale, (x, y) = side / 16, at
    frame = jnp.asarray([[[scale, 0, x], [0, scale, y]], [[scale, 0, x + 3], [0, scale, y + 1]]])
    made = Part(some(2, 16, 16, 3), some(2, 16, 16, 1, low=0.0), frame)
    other = made._replace(image=-made.image, frame=frame.at[:, 0, 2].add(4.0))
    return {'nose': made, 'mouth': other}


def call(layers: Layers):
    size = (2, REGION.height, REGION.width)
    arrays = some(*size, 3), some(*size, 1, low=0.0), some(*size, 6, low=0.0)
    share = some(*size, 1, low=0.0)
    both = [f(*arrays, layers, CROP, REGION, share) for f in BOTH]
    return np.int32(images.to_uint8(both[0])), np.int32(both[1])


BOTH = jax.jit(blending.blend, static_argnums=5), jax.jit(blending.blend_bytes, static_argnums=5)


@pytest.mark.parametrize(
    ('side', 'at'),
    [(8, (10.0, 6.0)), (8, (-3.0, -2.0)), (8, (25.0, 24.0)), (26, (2.0, 3.0))],
    ids=['within a window', 'over the top left', 'over the bottom right', 'larger than a window'],
)
def test_bytes_are_those_of_the_whole_picture(side, at):
    layers = Layers(some(2, 32, 32, 2), some(2, 32, 32, 1), some(2, 32, 32, 3), parts(side, at))
    whole, windows = call(layers)
    np.testing.assert_allclose(windows, whole, atol=1)
    bare, _ = call(layers._replace(parts={}))
    assert (np.abs(bare - whole).max(-1) > 9).sum((1, 2)).min() > 50  # the parts are to be seen


def test_without_parts_bytes_are_equal():
    whole, windows = call(Layers(some(2, 32, 32, 2), some(2, 32, 32, 1), some(2, 32, 32, 3), {}))
    np.testing.assert_array_equal(windows, whole)


def test_several_devices_compose_all_at_once():
    """A part of rows that devices share would be collected from all, in the midst of other work."""
    assert jax.device_count() > 1
    assert composing._at_once(6, Region(0, 0, 4096, 4096)) == 6


@pytest.mark.parametrize(
    ('most', 'expected'), [(0, 1), (1.5, 1), (3.1, 3), (4, 3), (5.9, 3), (6, 6)]
)
def test_frames_at_once_divide_the_batch(most, expected, monkeypatch):
    region = Region(0, 0, 100, 50)
    monkeypatch.setattr(jax, 'device_count', lambda: 1)
    monkeypatch.setattr(composing, 'LARGEST', most * 100 * 50 * composing.WIDEST * 4)
    assert composing._at_once(6, region) == expected


def test_a_batch_in_pieces_is_the_batch(monkeypatch):
    monkeypatch.setattr(jax, 'device_count', lambda: 1)
    points = face_points(S)
    shift = np.float32([[0, 0], [1, 0], [0, 1], [1, 1]])
    flow = [moved(by) for by in shift]
    layers = jax.tree.map(lambda *x: np.concatenate(x), *flow)
    driving = points[None] + shift[:, None]
    made = []
    for largest in (1 << 30, 0):
        monkeypatch.setattr(composing, 'LARGEST', largest)
        made.append(np.asarray(Composer(Canvas(PICTURE, WINDOW), points, S).draw(layers, driving)))
    np.testing.assert_array_equal(*made)
    assert (made[0][0] != made[0][3]).any()
