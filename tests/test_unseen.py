"""What a source cannot show of a driven face."""

import heads_of_points
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reenact_jax.geometry import flows, folds, images, layouts, unseen

SIDE = 128
OPENINGS = folds.of_layout(layouts.LAYOUTS['68'])
GRID = images.pixel_grid(SIDE, SIDE).reshape(1, -1, 2)


def gapped(which: str, share: float):
    """A face whose opening has this share of its gap."""
    points, fold = heads_of_points.face_points(SIDE), OPENINGS[which]
    middle = points[list(fold.corners), 1].mean()
    for row in (fold.upper, fold.lower):
        points[list(row), 1] = middle + share * (points[list(row), 1] - middle)
    return points


def opened(source, driving, which, width=0.1):
    made = unseen.opened(GRID, source[None], driving[None], OPENINGS[which], jnp.full(1, width))
    return np.asarray(made).reshape(SIDE, SIDE)


@pytest.mark.parametrize('which', list(OPENINGS))
def test_an_opening_that_was_shut_is_unseen_between_its_edges_alone(which):
    share = opened(gapped(which, 0.0), gapped(which, 3.0), which)
    fold, driving = OPENINGS[which], gapped(which, 3.0)
    ring = driving[list(fold.corners[:1] + fold.upper + fold.corners[1:] + fold.lower[::-1])]
    x, y = ring[:, 0], ring[:, 1]
    area = abs((x * np.roll(y, 1) - y * np.roll(x, 1)).sum()) / 2
    assert share.sum() == pytest.approx(area, rel=0.1)
    middle = ring.mean(0).astype(int)
    assert share[middle[1], middle[0]] == 1


@pytest.mark.parametrize('which', list(OPENINGS))
@pytest.mark.parametrize(('own', 'most'), [(0.2, 1.0), (0.5, 0.5), (0.8, 0.0)])
def test_a_gap_that_the_source_has_counts_by_its_share(which, own, most):
    """Whatever the size of both heads."""
    for scale in (1.0, 0.5):
        share = opened(gapped(which, 3 * own) * scale, gapped(which, 3.0), which)
        assert share.max() == pytest.approx(most, abs=0.02)


def test_closing_hides_nothing():
    assert opened(gapped('mouth', 3.0), gapped('mouth', 0.0), 'mouth').max() == 0


@pytest.mark.parametrize(('times', 'share'), [(0.5, 0), (1.0, 0), (1.3, 0), (1.834, 0.5), (3, 1)])
def test_stretched_counts_areas(times, share):
    """An enlargement by `times` a side is times^2 of the area: its log2 from 1 to 2.5."""
    grid = images.pixel_grid(32, 32)[None] / 16 - 1
    made = unseen.stretched(jnp.asarray(grid * (1 / times - 1)))
    np.testing.assert_allclose(made, share, atol=0.02)


def test_what_is_turned_over_is_unseen():
    grid = images.pixel_grid(32, 32)[None] / 16 - 1
    np.testing.assert_array_equal(unseen.stretched(jnp.asarray(grid * [-2.0, 0.0])), 1)


def test_a_cheek_that_turns_into_view_is_unseen():
    assert unseen.turned_away(jnp.array(0.0), jnp.array(0.5)) == 1
    assert unseen.turned_away(jnp.array(0.9), jnp.array(1.0)) == 0
    assert unseen.turned_away(jnp.array(0.0), jnp.array(0.05)) == 0  # hidden in both


def test_points_that_fall_together_give_finite_shares_and_gradients():
    one = jnp.full((1, 68, 2), 50.0)

    def total(driving):
        gap = unseen.opened(GRID, one, driving, OPENINGS['mouth'], jnp.ones(1)).sum()
        flow = flows.landmark_flow(one, driving, SIDE, 32)
        return gap + unseen.stretched(flow).sum()

    value, slope = jax.value_and_grad(total)(one)
    assert np.isfinite(value) and np.isfinite(np.asarray(slope)).all()
