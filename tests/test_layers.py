"""Layers: composed at any size, on the source's own pixels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from reenact_jax.geometry import composition, images
from reenact_jax.geometry.composition import compose, compose_onto
from reenact_jax.geometry.layers import Layers, Part, Reach, Region

SIDE = 32


def picture(side, seed=0):
    """A smooth picture [1, side, side, 3] in [-1, 1], the same scene at every size."""
    x, y = np.moveaxis(images.pixel_grid(side, side) / side, -1, 0)
    waves = np.random.default_rng(seed).uniform(1, 6, (3, 3))
    made = [np.sin(a * x * 3 + b * y * 3 + c) for a, b, c in waves]
    return np.float32(np.stack(made, -1))[None]


def layered(flow=0.0, mask=1.0, paint=0.0, parts=None, frames=1):
    flow = jnp.broadcast_to(jnp.asarray(flow, jnp.float32), (frames, SIDE, SIDE, 2))
    ones = jnp.ones((frames, SIDE, SIDE, 1))
    return Layers(
        flow, ones * mask, jnp.broadcast_to(ones * paint, (*ones.shape[:3], 3)), parts or {}
    )


def test_what_does_not_move_stays_bit_for_bit():
    source = picture(SIDE)
    np.testing.assert_array_equal(compose(layered(frames=2), source), np.repeat(source, 2, 0))
    large = picture(100)
    draw = functools.partial(compose_onto, layered(), large, jnp.array([20.5, -7.0, 70.0]))
    region = Region(0, 10, 90, 80)
    np.testing.assert_array_equal(draw(region), large[:, :90, 10:90])


def test_a_reach_ends_the_flow_in_the_image_but_not_below_a_reach_of_the_picture():
    flow, source = bent(SIDE), picture(SIDE)
    share = np.zeros((1, SIDE, SIDE, 1), np.float32)
    share[:, :, : SIDE // 2] = 1
    made, whole = layered(flow)._replace(reach=share), layered(flow)
    np.testing.assert_array_equal(
        compose(made, source)[:, :, SIDE // 2 :], source[:, :, SIDE // 2 :]
    )
    left = np.s_[:, :, : SIDE // 2 - 1]
    np.testing.assert_allclose(compose(made, source)[left], compose(whole, source)[left], atol=1e-6)
    window, region = jnp.array([0.0, 0.0, SIDE]), Region(0, 0, SIDE, SIDE)
    ones = np.ones_like(share)
    wide = compose_onto(made, source, window, region, Reach(ones, ones))
    np.testing.assert_array_equal(
        wide, compose_onto(whole, source, window, region, Reach(ones, ones))
    )


def test_mask_and_paint():
    source = picture(SIDE)
    np.testing.assert_allclose(compose(layered(mask=0, paint=0.5), source), 0.5, atol=1e-6)
    half = compose(layered(mask=0.25, paint=0.5), source)
    np.testing.assert_allclose(half, 0.25 * source + 0.375, atol=1e-6)


def bent(side, scale=1.0):
    """A smooth flow, normalised, and where it leads in a picture of `side`."""
    x, y = np.moveaxis(images.pixel_grid(side, side) / side, -1, 0)
    flow = np.stack([0.1 * np.sin(3 * y), 0.08 * np.cos(4 * x)], -1)
    return np.float32(scale * flow)[None]


@pytest.mark.parametrize('times', [1, 2, 4])
def test_layers_agree_with_the_analytic_warp_at_any_size(times):
    """Enlarged flow on a large picture: what warping that picture by the formula gives."""
    side = SIDE * times
    window = jnp.array([0.0, 0.0, side])
    region = Region(0, 0, side, side)
    made = compose_onto(layered(bent(SIDE)), picture(side), window, region)
    at = images.pixel_grid(side, side) + bent(side)[0] * side / 2 - 0.5
    truth = [
        map_coordinates(channel, np.moveaxis(at[..., ::-1], -1, 0), order=3, mode='nearest')
        for channel in np.moveaxis(picture(side)[0], -1, 0)
    ]
    inner = slice(side // 4, -side // 4)
    np.testing.assert_allclose(
        made[0][inner, inner], np.stack(truth, -1)[inner, inner], atol=0.03 / times
    )


def test_reading_beyond_the_crop_and_beyond_the_picture():
    """Inside the picture nothing repeats; what lies outside of it is left to the paint."""
    large = picture(96)
    window = jnp.array([32.0, 32.0, 32.0])
    down = layered([0.0, -1.5], mask=1.0, paint=0.9)  # looks 24 pixels further up
    made = compose_onto(down, large, window, Region(32, 32, 32, 32))
    np.testing.assert_allclose(made[0], large[0, 8:40, 32:64], atol=1e-5)
    crop = compose(down, large[:, 32:64, 32:64])
    np.testing.assert_allclose(crop[0, :22], 0.9, atol=1e-6)
    np.testing.assert_allclose(crop[0, 25:], large[0, 33:40, 32:64], atol=1e-5)


def test_reach_keeps_the_picture():
    large = picture(64)
    reach = np.zeros((1, 64, 64, 1), np.float32)
    reach[:, 20:40, 20:40] = 1
    window = jnp.array([8.0, 8.0, 48.0])
    changed = layered(bent(SIDE), mask=0.3, paint=0.7)
    made = compose_onto(changed, large, window, Region(0, 0, 64, 64), Reach(reach, reach))
    still = reach[0, ..., 0] == 0
    np.testing.assert_array_equal(np.asarray(made)[0][still], large[0][still])
    assert np.abs(np.asarray(made)[0][~still] - large[0][~still]).min() > 0


def test_paint_ends_at_the_border_of_the_crop():
    large = picture(64)
    window, everywhere = jnp.array([16.0, 16.0, 32.0]), np.ones((1, 64, 64, 1), np.float32)
    made = compose_onto(
        layered(mask=0, paint=0.7), large, window, Region(0, 0, 64, 64), Reach(*2 * [everywhere])
    )
    np.testing.assert_allclose(made[0, 20:44, 20:44], 0.7, atol=1e-6)
    outside = np.ones((64, 64), bool)
    outside[16:48, 16:48] = False
    np.testing.assert_array_equal(np.asarray(made)[0][outside], large[0][outside])


@pytest.mark.parametrize('times', [1, 3])
def test_parts_lie_in_their_frames(times):
    """A part of 12 pixels over the crop's pixels 8 to 20 across, 4 to 16 down."""
    frame = jnp.array([[[1.0, 0, 8], [0, 1, 4]]])
    image = picture(12, 3)
    part = Part(jnp.asarray(image), jnp.ones((1, 12, 12, 1)), frame)
    side = SIDE * times
    window, region = jnp.array([0.0, 0.0, side]), Region(0, 0, side, side)
    made = np.asarray(compose_onto(layered(parts={'mouth': part}), picture(side), window, region))[
        0
    ]
    inside = made[5 * times : 15 * times, 9 * times : 19 * times]
    expected = jax.image.resize(image[0], (12 * times, 12 * times, 3), 'bilinear')
    np.testing.assert_allclose(inside, expected[times:-times, times:-times], atol=1e-4)
    np.testing.assert_array_equal(made[:, 21 * times :], picture(side)[0, :, 21 * times :])


@pytest.mark.parametrize('scale', [0.2, 1.0])  # smaller than a window, and larger
@pytest.mark.parametrize('place', [(9.0, 12.0), (-3.0, -2.0), (28.0, 25.0), (90.0, -70.0)])
def test_windows_draw_what_the_whole_region_would(monkeypatch, scale, place):
    """Inside the region, across its borders, and beyond them."""
    draw = np.random.default_rng(0)
    frame = np.float32([[[scale, 0, place[0]], [0, scale, place[1]]]] * 2)
    frame[1, :, 2] += 2  # the frames of a batch have windows of their own
    parts = {
        name: Part(
            np.float32(draw.uniform(-1, 1, (2, 20, 20, 3))),
            np.float32(draw.uniform(0, 1, (2, 20, 20, 1))),
            frame,
        )
        for name in ('mouth', 'nose')
    }
    made = layered(parts=parts, frames=2)
    window, region = jnp.array([5.0, 9.0, 60.0]), Region(3, 6, 70, 64)

    def composed(large):
        monkeypatch.setattr(composition, 'LARGE', large)
        return compose_onto(made, picture(80), window, region)

    np.testing.assert_allclose(composed(32), composed(1000), atol=1e-4)


def test_cubic_sampling_keeps_more_than_bilinear_and_pixels_whole():
    image = np.float32(np.random.default_rng(0).uniform(-1, 1, (24, 24, 2)))
    grid = images.pixel_grid(24, 24)
    np.testing.assert_array_equal(images.sample_cubic(image, grid), image)
    half = grid[4:-4, 4:-4] + 0.5
    cubic, linear = images.sample_cubic(image, half), images.sample(image, half)
    assert np.var(cubic) > 1.2 * np.var(linear)
    ramp = np.float32(grid[..., :1])
    np.testing.assert_allclose(images.sample_cubic(ramp, half), half[..., :1], atol=1e-4)
