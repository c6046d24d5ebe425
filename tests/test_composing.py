"""Layers in a whole picture: where it may change, that no seam shows; painters of both kinds."""

import bundles
import jax.numpy as jnp
import numpy as np
import pytest
from heads_of_points import face_points

from reenact_jax.export import live
from reenact_jax.geometry import heads, images
from reenact_jax.geometry.layers import Layers, as_tree, of_tree
from reenact_jax.media import sheets
from reenact_jax.reenact import composing, painting, portraits
from reenact_jax.reenact.composing import Composer
from reenact_jax.reenact.pasting import Canvas

S = 32  # the model's side
rng = np.random.default_rng(0)
PICTURE = np.uint8(rng.integers(0, 255, (200, 260, 3)))
WINDOW = (70.0, 40.0, 120.0)


def moved(by, mask=1.0, paint=0.0, frames=1):
    """Layers that move everything by pixels of the model."""
    flow = np.broadcast_to(-np.float32(by) * (2 / S), (frames, S, S, 2))
    ones = np.ones((frames, S, S, 1), np.float32)
    return as_tree(Layers(flow, ones * mask, np.repeat(ones * paint, 3, -1), {}))


def test_only_the_head_moves_and_it_moves_by_its_way():
    points, by = face_points(S), (1.0, 0.5)
    composer = Composer(Canvas(PICTURE, WINDOW), points, S)
    drawn = np.asarray(composer.draw(moved(by), points[None] + np.float32(by)))[0]
    made = composer.whole(drawn)
    # The middle of the face is read 1 and 0.5 pixels of the model away, in pixels of the picture.
    scale = WINDOW[2] / S
    at = images.pixel_grid(200, 260) - np.float32(by) * scale
    expected = images.to_uint8(images.sample_cubic(images.to_float(PICTURE), at))
    eyes = np.int32(np.array(WINDOW[:2]) + points[36:48].mean(0) * scale)
    face = slice(eyes[1] - 8, eyes[1] + 25), slice(eyes[0] - 12, eyes[0] + 12)
    np.testing.assert_allclose(np.int32(made[face]), np.int32(expected[face]), atol=1)
    changed = (made != PICTURE).any(-1)
    assert changed[face].mean() > 0.9
    y, x = np.nonzero(changed)
    unit = float(heads.unit(points[None])[0]) * scale
    extent = composing.MOVED
    far = np.hypot((x - eyes[0]) / extent.width, (y - eyes[1]) / extent.height) / unit
    assert far.max() < 1.1 + extent.fade


def test_a_still_head_leaves_the_picture_bit_for_bit():
    points = face_points(S)
    composer = Composer(Canvas(PICTURE, WINDOW), points, S)
    drawn = composer.draw(moved((0, 0), frames=3), np.repeat(points[None], 3, 0))
    for one in np.asarray(drawn):
        np.testing.assert_array_equal(composer.whole(one), PICTURE)


@pytest.mark.parametrize('window', [WINDOW, (-20.0, -30.0, 120.0), (180.0, 120.0, 150.0)])
def test_no_seam_whatever_is_drawn(window):
    """At the border of the region that is drawn nothing has changed, or the picture ends."""
    points = face_points(S)
    composer = Composer(Canvas(PICTURE, window), points, S)
    layers = moved((3, -2), mask=0.2, paint=0.9)
    made = composer.whole(np.asarray(composer.draw(layers, points[None] + 2))[0])
    region = composer.region
    inside = np.zeros(PICTURE.shape[:2], bool)
    inside[region.top : region.top + region.height, region.left : region.left + region.width] = True
    np.testing.assert_array_equal(made[~inside], PICTURE[~inside])
    bottom = region.top + region.height - 1
    for row, ends in ((region.top, region.top == 0), (bottom, bottom == 199)):
        off = np.abs(np.int32(made[row]) - PICTURE[row]).mean()
        assert ends or off < 1
    for column, ends in ((region.left, region.left == 0),):
        assert ends or np.abs(np.int32(made[:, column]) - PICTURE[:, column]).mean() < 1


@pytest.mark.parametrize('extent', [composing.MOVED, heads.FACE])
def test_reach_does_not_fold(extent):
    """However far a head goes, the change fades slowly enough that no place passes another."""
    points = face_points(100)[None] * 2 + 50
    places = images.pixel_grid(300, 300)[None]
    for way in (10.0, 40.0, 80.0):
        weight = heads.moving(points, points + np.float32([way, 0]), places, extent)[0, ..., 0]
        assert np.abs(np.diff(weight, axis=1)).max() * way < 1
        assert weight.max() == 1


@pytest.mark.parametrize('turn', [0.0, 0.5, 2.0])
def test_landmarks_lie_within_the_head(turn):
    """Jaw, chin and brows follow the flow in full, whatever way the head is up."""
    spin = np.float32([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (face_points(100)[None] - 50) @ spin.T + 50
    share = heads.near(points, points[:, None].astype(np.float32), heads.FACE)
    assert share.min() > 0.99


def test_layers_as_plain_dicts_and_back():
    model = live.assemble(bundles.layered_model(), None)
    face = bundles.random_face(0, 1)
    tree = model.layers(model.encode(face), bundles.random_face(1, 2)['landmarks'])
    made = of_tree(tree)
    assert as_tree(made).keys() == tree.keys() and made.parts['nose'].image.shape[0] == 2


def portrait(canvas):
    face = bundles.random_face(0, 1)
    points = face_points(bundles.SIZE)
    known = {name: value[0] for name, value in face.items() if name != 'image'}
    known |= {'landmarks': points, 'landmarks3d': np.pad(points, ((0, 0), (0, 1)))}
    return portraits.Portrait(face['image'][0], known, canvas)


@pytest.mark.parametrize(
    'canvas, whole, most, expected',
    [
        (Canvas(PICTURE, WINDOW), True, None, (200, 260)),
        (Canvas(PICTURE, WINDOW), True, 130, (100, 130)),
        (Canvas(PICTURE, WINDOW), False, None, (120, 120)),
        (Canvas(PICTURE, WINDOW), False, 64, (64, 64)),
        (Canvas(PICTURE[:200, :200], (0, 0, 200)), True, None, (200, 200)),
        (None, True, None, (bundles.SIZE, bundles.SIZE)),
    ],
)
def test_painter_of_layers(canvas, whole, most, expected):
    model = live.assemble(bundles.layered_model(), None)
    source = portrait(canvas)
    painter = painting.painter(model, source, whole=whole, most=most)
    points = np.repeat(source.known['landmarks'][None], 2, 0)
    frame = painter.finish(np.asarray(painter.draw(points))[1])
    assert frame.shape == (*expected, 3) and frame.dtype == np.uint8
    close = painter.close_up(frame)
    assert close.shape[0] == close.shape[1]


@pytest.mark.parametrize(
    'canvas, whole, most, expected',
    [
        (Canvas(PICTURE, WINDOW), True, None, (200, 260)),
        (Canvas(PICTURE, WINDOW), True, 130, (100, 130)),
        (Canvas(PICTURE, WINDOW), False, None, (bundles.SIZE, bundles.SIZE)),
        (Canvas(PICTURE[:200, :200], (0, 0, 200)), True, None, (bundles.SIZE, bundles.SIZE)),
    ],
)
def test_painter_of_images(canvas, whole, most, expected):
    model = live.assemble(bundles.drawing_model(), None)
    source = portrait(canvas)
    painter = painting.painter(model, source, whole=whole, most=most)
    points = np.repeat(source.known['landmarks'][None], 2, 0)
    frame = painter.finish(np.asarray(painter.draw(jnp.asarray(points)))[0])
    assert frame.shape == (*expected, 3)
    assert painter.close_up(frame).shape == (bundles.SIZE, bundles.SIZE, 3)


def test_a_face_cut_by_the_border_is_noticed_and_drawn():
    model = live.assemble(bundles.layered_model(), None)
    whole = portrait(Canvas(PICTURE, WINDOW))
    cut = portrait(Canvas(PICTURE[:, :120], WINDOW))  # ends between the eyes
    assert cut.is_cut and not whole.is_cut and not portrait(None).is_cut
    painter = painting.painter(model, cut, whole=True)
    frame = painter.finish(np.asarray(painter.draw(cut.known['landmarks'][None]))[0])
    assert frame.shape == (200, 120, 3)


@pytest.mark.parametrize('points', ['together', 'outside', 'far outside'])
def test_odd_landmarks_give_a_picture(points):
    source = portrait(Canvas(PICTURE, WINDOW))
    odd = {'together': 0 * source.known['landmarks'] + 9, 'outside': source.known['landmarks'] + 20}
    odd['far outside'] = source.known['landmarks'] + 1e5
    painter = painting.painter(live.assemble(bundles.layered_model(), None), source, whole=True)
    frame = painter.finish(np.asarray(painter.draw(np.float32(odd[points])[None]))[0])
    assert frame.shape == PICTURE.shape


def test_side_by_side():
    source, driver = np.full((50, 50, 3), 1, np.uint8), np.full((20, 20, 3), 2, np.uint8)
    result = np.full((40, 70, 3), 3, np.uint8)
    made = sheets.side_by_side(source, driver, result)
    assert made.shape == (40, 150, 3)
    assert [made[5, x, 0] for x in (5, 45, 85)] == [1, 2, 3]
    assert sheets.side_by_side(source, None, result)[:, 40:80].max() == 0


def test_another_background_is_of_the_crop_alone():
    model = live.assemble(bundles.units_model(), None)
    assert model.has_layers
    source = portrait(Canvas(PICTURE, WINDOW))
    scene = np.full((bundles.SIZE, bundles.SIZE, 3), 9, np.uint8)
    painter = painting.painter(model, source, whole=True, background=scene)
    points = source.known['landmarks'][None]
    assert painter.finish(np.asarray(painter.draw(points))[0]).shape == (bundles.SIZE,) * 2 + (3,)
