"""Shut eyes and lips: what was between them vanishes, and their neighbours close up."""

import heads_of_points
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reenact_jax.geometry import flows, folds, images, layouts

SIDE = 256
LAYOUT = layouts.LAYOUTS['68']
FOLDS = tuple(folds.of_layout(LAYOUT).values())


def moved(points, which: int, by: float):
    """The face with an opening's two edges moved together: 1 shuts it, below 0 opens it further."""
    points, fold = points.copy(), FOLDS[which]
    middle = (points[list(fold.upper), 1] + points[list(fold.lower), 1]) / 2
    for side in (fold.upper, fold.lower):
        points[list(side), 1] += by * (middle - points[list(side), 1])
    return points


def column(source, driving, which: int, **keywords):
    """Rows of the source that the middle column through an opening shows."""
    flow = flows.landmark_flow(source[None], driving[None], SIDE, SIDE, **keywords)[0]
    x = int(driving[list(FOLDS[which].corners), 0].mean())
    return np.arange(SIDE) + 0.5 + np.asarray(flow)[:, x, 1] * (SIDE / 2)


@pytest.mark.parametrize('which', range(3))
@pytest.mark.parametrize('turn', [0.0, 0.7])
def test_a_shut_opening_shows_what_is_beside_it(which, turn):
    cos, sin = np.cos(turn), np.sin(turn)
    spin = np.float32([[cos, sin], [-sin, cos]])
    source = heads_of_points.face_points(SIDE)
    driving = moved(source, which, 1.0)
    fold = FOLDS[which]
    line = driving[list(fold.upper)].mean(0)
    edge = source[list(fold.upper), 1].mean(), source[list(fold.lower), 1].mean()

    def shown(keywords):
        """Rows of the upright source that are seen 3 pixels above and below the shut line."""
        about = np.float32([SIDE / 2, SIDE / 2])
        pair = [np.float32((x - about) @ spin + about) for x in (source, driving)]
        flow = flows.landmark_flow(pair[0][None], pair[1][None], SIDE, SIDE, **keywords)[0]
        rows = []
        for off in (-2, 2):
            place = (line + np.float32([0, off]) - about) @ spin + about
            x, y = place.astype(int)
            there = np.float32([x + 0.5, y + 0.5]) + np.asarray(flow)[y, x] * (SIDE / 2)
            rows.append(((there - about) @ spin.T + about)[1])
        return rows

    above, below = shown({'folds': FOLDS})
    assert above < edge[0] + 0.5 and below > edge[1] - 0.5
    above, below = shown({})  # without folds both sides show what was between
    assert above > edge[0] + 0.3 and below < edge[1] - 0.3


def test_an_open_eye_is_what_it_was():
    """Far from being shut, folds hardly change the flow, and nothing for a still driver."""
    source = heads_of_points.face_points(SIDE)
    with_folds = column(source, moved(source, 0, 0.2), 0, folds=FOLDS)
    without = column(source, moved(source, 0, 0.2), 0)
    np.testing.assert_allclose(with_folds, without, atol=1.5)
    still = flows.landmark_flow(source[None], source[None], SIDE, 64, folds=FOLDS)
    np.testing.assert_array_equal(still, 0)


def test_a_similarity_stays_one():
    source = heads_of_points.face_points(SIDE)
    spin = np.float32([[1.1, 0.3], [-0.3, 1.1]])
    driving = np.float32((source - 128) @ spin + 130)
    flow = flows.landmark_flow(source[None], driving[None], SIDE, 64, folds=FOLDS) * (SIDE / 2)
    grid = images.pixel_grid(64, 64) * (SIDE / 64)
    expected = (grid - 130) @ np.linalg.inv(spin) + 128 - grid
    np.testing.assert_allclose(flow[0], expected, atol=2e-3)


@pytest.mark.parametrize('odd', ['crossed', 'one place', 'mirrored', 'far outside'])
def test_odd_openings_give_finite_flows_and_gradients(odd):
    source = heads_of_points.face_points(SIDE)
    driving = {
        'crossed': moved(source, 2, 1.6),
        'one place': np.full_like(source, 99),
        'mirrored': source * np.float32([-1, 1]) + np.float32([SIDE, 0]),
        'far outside': source + 1e4,
    }[odd]

    def loss(driving):
        return jnp.square(flows.landmark_flow(source[None], driving, SIDE, 32, folds=FOLDS)).mean()

    value, slope = jax.value_and_grad(loss)(driving[None])
    assert np.isfinite(value) and np.isfinite(np.asarray(slope)).all()


@pytest.mark.parametrize('name', list(layouts.LAYOUTS))
def test_every_layout_has_three_openings_of_disjoint_sides(name):
    for fold in folds.of_layout(layouts.LAYOUTS[name]).values():
        assert len(fold.upper) == len(fold.lower) and len(fold.upper) >= 2
        assert not set(fold.above) & set(fold.below)
        assert not set(fold.corners) & set(fold.above + fold.below)
