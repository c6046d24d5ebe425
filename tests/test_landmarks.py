"""Layouts, boxes, placement, similarity, heatmaps and rasters against numbers made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reenact_jax.common.errors import UserError
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts

SQUARE = jnp.array([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [0.0, 2.0]])


@pytest.mark.parametrize('name', sorted(layouts.LAYOUTS))
def test_layout_is_complete_and_its_mirror_is_an_involution(name):
    layout = layouts.LAYOUTS[name]
    listed = sorted(i for points in layout.parts.values() for i in points)
    assert listed == list(range(layout.count)) == sorted(layout.flip[layout.flip])
    assert (layout.flip[layout.flip] == np.arange(layout.count)).all()
    left, right = layout.parts['left_eye'], layout.parts['right_eye']
    assert set(layout.flip[list(left)]) == set(right)
    # Mirroring keeps neighbours neighbours, so every edge lands on an edge.
    edges = {frozenset(edge) for edge in layout.edges.tolist()}
    assert {frozenset(layout.flip[list(edge)]) for edge in edges} == edges


def test_unknown_layout_is_refused_by_name():
    with pytest.raises(UserError, match="'67'"):
        layouts.layout('67')


def test_box_normalise_denormalise():
    centre, half = lm.box(SQUARE)
    np.testing.assert_allclose(centre, [2, 1])
    assert half == 2
    normal = lm.normalise(SQUARE, centre, half)
    np.testing.assert_allclose(normal[0], [-1, -0.5])
    np.testing.assert_allclose(lm.denormalise(normal, centre, half), SQUARE)


def test_place_moves_by_the_drivers_motion_in_box_units():
    source = (jnp.array([100.0, 50.0]), jnp.array(20.0))
    first = (jnp.array([10.0, 10.0]), jnp.array(5.0))
    driving = (jnp.array([11.0, 12.0]), jnp.array(10.0))
    centre, half = lm.place(source, driving, first)
    np.testing.assert_allclose(centre, [104, 58])  # 4 times the driver's (1, 2)
    assert half == 40
    absolute = lm.place(source, driving, source)
    np.testing.assert_allclose(absolute[0], driving[0])
    assert absolute[1] == driving[1]
    still = lm.place(source, driving, driving)
    np.testing.assert_allclose(still[0], source[0])
    assert still[1] == source[1]


def test_carry_of_the_first_frame_fills_the_sources_box():
    source_box = (jnp.array([8.0, 8.0]), jnp.array(4.0))
    moved = lm.carry(SQUARE, source_box, SQUARE)
    np.testing.assert_allclose(moved, [[4, 6], [12, 6], [12, 10], [4, 10]])


def test_crop_box_takes_its_size_from_a_frame_and_its_place_from_the_track():
    points = np.array([[[10.0, 20.0], [30.0, 20.0]], [[20.0, 20.0], [40.0, 40.0]]])
    x0, y0, side = lm.crop_box(points)
    assert side == pytest.approx(1.9 * 20)
    assert x0 + side / 2 == pytest.approx(25)
    assert y0 + side / 2 == pytest.approx(30 - 0.1 * side)
    far = points + np.array([[[0.0, 0.0]], [[100.0, 0.0]]])  # the box of all frames does not fit
    assert lm.crop_box(far)[2] == pytest.approx(1.15 * 130)


def test_similarity_recovers_rotation_scale_and_shift():
    angle = 0.3
    linear = 2 * jnp.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    target = SQUARE @ linear.T + jnp.array([[5.0, -1.0]])
    matrix = lm.similarity(SQUARE, target)
    np.testing.assert_allclose(matrix[:, :2], linear, atol=1e-6)
    np.testing.assert_allclose(lm.transform(SQUARE, matrix), target, atol=1e-5)
    np.testing.assert_allclose(lm.transform(target, lm.invert(matrix)), SQUARE, atol=1e-5)


def test_heatmap_peaks_at_the_points_pixel_and_falls_as_a_gaussian():
    maps = lm.heatmaps(jnp.array([[[3.5, 1.5], [5.5, 6.5]]]), size=8, sigma=1.5)
    assert maps.shape == (1, 8, 8, 2)
    assert maps[0, 1, 3, 0] == 1 and maps[0, 6, 5, 1] == 1
    np.testing.assert_allclose(maps[0, 1, 5, 0], np.exp(-4 / (2 * 1.5**2)), rtol=1e-6)
    np.testing.assert_allclose(maps[0, 2, 4, 0], np.exp(-2 / (2 * 1.5**2)), rtol=1e-6)


def test_raster_draws_the_polyline_and_has_a_gradient():
    layout = layouts.LAYOUTS['68']
    points = (
        jnp.full((2, 68, 2), -100.0)
        .at[:, 27:31]
        .set(jnp.array([[8.5, 2.5], [8.5, 5.5], [8.5, 8.5], [8.5, 12.5]])[None])
    )
    image = lm.raster(points, layout, 16, width=1.0)
    assert image.shape == (2, 16, 16)
    np.testing.assert_allclose(image[0, 4, 8], 1, atol=1e-6)  # between two points of the bridge
    np.testing.assert_allclose(image[0, 4, 10], np.exp(-2), rtol=1e-5)  # two pixels beside
    assert image[0, 0, 0] < 1e-6
    slope = jax.grad(lambda p: lm.raster(p, layout, 16)[0, 4, 10])(points)
    assert slope[0, 28, 0] > 0  # moving the line to the right brightens the pixel at its right
