"""Sampling, warps, crops, pastes and batch preparation against numbers made by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from reenact_jax.data.batches.preprocess import Augment, prepare
from reenact_jax.data.tracks import UNKNOWN, Batch
from reenact_jax.geometry import images
from reenact_jax.geometry import landmarks as lm

RAMP = jnp.arange(16.0).reshape(1, 4, 4, 1)  # value = 4 y + x at pixel (x, y)


def test_ranges():
    values = np.array([[[[0, 127, 255]]]], np.uint8)
    floats = images.to_float(values)
    np.testing.assert_allclose(floats[0, 0, 0], [-1, 127 / 127.5 - 1, 1], atol=1e-6)
    np.testing.assert_array_equal(images.to_uint8(floats), values)
    np.testing.assert_array_equal(images.to_uint8(jnp.array([[[-3.0, 3.0]]]))[0, 0], [0, 255])


def test_soften_takes_away_a_pattern_of_two_pixels():
    """Any grid of the four kinds of pixels becomes flat; a flat picture stays."""
    kinds = jnp.asarray([[1.0, -2.0], [5.0, 0.0]])
    grid = jnp.tile(kinds, (4, 4))[None, :, :, None]
    np.testing.assert_allclose(images.soften(grid)[:, 1:, 1:], 1.0, atol=1e-6)
    flat = jnp.full((2, 4, 6, 3), 0.7)
    np.testing.assert_allclose(images.soften(flat), flat, atol=1e-6)


def test_pixel_shuffle_order():
    features = jnp.arange(8.0).reshape(1, 1, 1, 8)  # two channels out of 2 x 2 places
    out = images.pixel_shuffle(features)
    np.testing.assert_array_equal(out[0, :, :, 0], [[0, 2], [4, 6]])
    np.testing.assert_array_equal(out[0, :, :, 1], [[1, 3], [5, 7]])


def test_sample_between_pixels_and_outside():
    at = images.sample(RAMP[0], jnp.array([[0.5, 0.5], [1.0, 0.5], [1.0, 1.0], [-9.0, 0.5]]))
    np.testing.assert_allclose(at[:, 0], [0, 0.5, 2.5, 0])
    filled = images.sample(RAMP[0] + 1, jnp.array([[0.0, 0.5], [-9.0, 0.5]]), fill=0.0)
    np.testing.assert_allclose(filled[:, 0], [0.5, 0])


def test_zero_flow_is_identity_and_a_flow_of_half_a_side_moves_half_a_side():
    np.testing.assert_allclose(images.warp(RAMP, jnp.zeros((1, 4, 4, 2))), RAMP, atol=1e-6)
    flow = jnp.zeros((1, 4, 4, 2)).at[..., 0].set(1.0)  # out(x) = image(x + 2)
    np.testing.assert_allclose(images.warp(RAMP, flow)[0, 0, :2, 0], [2, 3], atol=1e-6)


def test_resize_averages():
    np.testing.assert_allclose(images.resize(RAMP, 4), RAMP)
    constant = jnp.full((2, 8, 8, 3), 0.25)
    np.testing.assert_allclose(images.resize(constant, 4), constant[:, :4, :4], atol=1e-6)


def test_part_crop_and_paste_undo_each_other():
    image = jnp.zeros((1, 32, 32, 1)).at[:, 8:16, 12:20].set(1.0)
    corners = jnp.array([[[12.0, 8.0], [20.0, 16.0]]])
    frame = images.part_frame(corners, size=16, margin=1.0)
    crop = images.part_crop(image, frame, 16)
    np.testing.assert_allclose(crop[0, 2:-2, 2:-2], 1, atol=1e-6)
    back = images.part_paste(crop, frame, 32)
    np.testing.assert_allclose(back[0, 9:15, 13:19], 1, atol=1e-5)
    assert jnp.abs(back[0, :7]).max() == 0 and jnp.abs(back[0, :, 22:]).max() == 0


def test_part_sampling_equals_the_general_one():
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.normal(size=(2, 20, 20, 3)), jnp.float32)
    corners = jnp.array([[[-3.0, 4.0], [8.0, 12.0]], [[5.2, 3.1], [17.0, 15.0]]])
    frame = images.part_frame(corners, size=8, margin=1.3)
    crop = images.part_crop(image, frame, 8)
    np.testing.assert_allclose(crop, images.affine_sample(image, frame, (8, 8)), atol=1e-5)
    whole = images.affine_sample(crop, lm.invert(frame), (20, 20), fill=0.0)
    np.testing.assert_allclose(images.part_paste(crop, frame, 20), whole, atol=1e-5)


def _batch(size: int) -> Batch:
    rng = np.random.default_rng(0)
    points = rng.uniform(size * 0.3, size * 0.7, (2, 2, 68, 2)).astype(np.float32)
    image = np.zeros((2, 2, size, size, 3), np.uint8)
    segmentation = np.full((2, 2, size, size), 1, np.uint8)
    return Batch(image=image, landmarks=points, segmentation=segmentation, identity=np.arange(2))


def test_prepare_scales_image_and_points_together():
    batch = _batch(32)
    batch.image[:, :, :, 16:] = 255
    ready = prepare(batch, jax.random.key(0), size=16)
    assert ready.image.shape == (2, 2, 16, 16, 3) and ready.image.dtype == jnp.float32
    np.testing.assert_allclose(ready.image[..., :7, :], -1, atol=1e-5)
    np.testing.assert_allclose(ready.image[..., 9:, :], 1, atol=1e-5)
    np.testing.assert_allclose(ready.landmarks, batch.landmarks / 2, atol=1e-4)


def test_affine_augmentation_moves_pixels_and_points_alike():
    batch = _batch(64)
    spot = np.array([40, 28])  # one white square of which the centre is a landmark
    batch.image[:, :, spot[1] - 2 : spot[1] + 2, spot[0] - 2 : spot[0] + 2] = 255
    batch.landmarks[:, :, 0] = spot
    ready = prepare(batch, jax.random.key(3), size=64, augment=Augment(affine=0.15))
    weight = (ready.image[..., 0] + 1).reshape(2, 2, -1)
    grid = jnp.asarray(images.pixel_grid(64, 64).reshape(-1, 2))
    found = jnp.einsum('bkp,pd->bkd', weight, grid) / weight.sum(-1, keepdims=True)
    np.testing.assert_allclose(found, ready.landmarks[:, :, 0], atol=0.1)
    moved = np.abs(ready.landmarks[:, :, 0] - spot[None, None].astype(np.float32)).max(-1)
    assert (moved > 0.5).all()
    np.testing.assert_allclose(ready.landmarks[:, 0, 0], ready.landmarks[:, 1, 0], atol=1e-4)
    assert set(np.unique(ready.segmentation)) <= {1, UNKNOWN}


def test_frame_stabilisation_pins_the_eyes():
    batch = _batch(32)
    eyes = (lm.LAYOUTS['68'].parts['left_eye'], lm.LAYOUTS['68'].parts['right_eye'])
    ready = prepare(batch, jax.random.key(0), size=32, stabilise='frame', eyes=eyes)
    middle = sum(ready.landmarks[:, :, list(eye)].mean(2) for eye in eyes) / 2
    np.testing.assert_allclose(middle[:, 0], middle[:, 1], atol=1e-3)
    before = sum(batch.landmarks[:, :, list(eye)].mean(2) for eye in eyes) / 2
    assert np.abs(before[:, 0] - before[:, 1]).max() > 0.5


def test_colour_augmentation_is_the_same_in_all_frames_of_a_row():
    batch = _batch(16)
    batch.image[...] = np.random.default_rng(1).integers(60, 200, (2, 1, 16, 16, 3))
    ready = prepare(batch, jax.random.key(1), size=16, augment=Augment(colour=0.2))
    np.testing.assert_allclose(ready.image[:, 0], ready.image[:, 1], atol=1e-6)
    plain = images.to_float(batch.image)
    assert jnp.abs(ready.image - plain).max() > 0.02
    change = (ready.image - plain).mean((1, 2, 3, 4))
    assert abs(change[0] - change[1]) > 1e-3  # another draw for another row


def test_some_rows_become_grey():
    batch = _batch(16)
    batch.image[...] = np.random.default_rng(1).integers(60, 200, (2, 1, 16, 16, 3))
    ready = [
        prepare(batch, jax.random.key(i), size=16, augment=Augment(colour=0.3)).image
        for i in range(12)
    ]
    # What is grey has channels that are multiples of each other: by its cast.
    image = np.asarray(jnp.concatenate(ready))[:, 0] + 1
    spread = (image / image.mean((1, 2), keepdims=True)).std(-1).mean((1, 2))
    assert 1 <= (spread < 0.01).sum() <= 8, spread


def test_flow_colours():
    flow = jnp.array([[[[0.0, 0.0], [0.25, 0.0], [-0.25, 0.0]]]])
    colours = np.asarray(images.flow_colours(flow))[0, 0]
    np.testing.assert_allclose(colours[0], [1, 1, 1])
    assert colours[1].argmax() == 0 and colours[2].argmin() == 0
