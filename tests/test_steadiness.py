"""Flicker and jitter: ratios by hand, where they are not measured, and their table."""

import numpy as np
import pytest

from reenact_jax.evaluate import scoring, steadiness, tables
from reenact_jax.evaluate.estimators import Faces

RNG = np.random.default_rng(0)
COUNT = 12
NUMBER = np.arange(COUNT)


def resting() -> np.ndarray:
    points = np.repeat(RNG.uniform(0, 100, (1, 68, 2)), COUNT, 0)
    points[:, :2] = (0, 0), (100, 100)
    return np.float32(points)


def seen(points, found=None) -> Faces:
    found = np.ones(len(points), bool) if found is None else found
    return Faces(found, np.float32(points), np.zeros((COUNT, 20)), np.ones((COUNT, 20), bool))


def film(grain: float) -> np.ndarray:
    """A grey film whose neighbouring frames differ by `grain` on average."""
    sign = np.where(NUMBER % 2, 0.5, -0.5)[:, None, None, None]
    return np.float32(sign * grain * np.ones((1, 8, 8, 3)))


@pytest.mark.parametrize(('made', 'real', 'ratio'), [(0.2, 0.1, 2), (0.1, 0.1, 1), (0, 0.1, 0)])
def test_flicker_is_the_change_over_that_of_the_truth(made, real, ratio):
    value = steadiness.flicker(film(made), film(real), resting(), NUMBER)
    assert value == pytest.approx(ratio, rel=1e-5)


def test_flicker_of_a_still_truth_is_finite():
    value = steadiness.flicker(film(0.1), film(0), resting(), NUMBER)
    assert value == pytest.approx(0.1 * 255, rel=1e-4)


def test_flicker_is_of_a_resting_driver_and_of_neighbours():
    moving = resting() + NUMBER[:, None, None].astype(np.float32)  # 1 % of the side a frame
    assert np.isnan(steadiness.flicker(film(0.2), film(0.1), moving, NUMBER))
    assert np.isnan(steadiness.flicker(film(0.2), film(0.1), resting(), 2 * NUMBER))
    moving[:5] = moving[0]  # rests at first; there the result does not flicker
    made = film(0.2)
    made[:5] = 0
    assert steadiness.flicker(made, film(0.1), moving, NUMBER) == 0


def test_jitter_is_of_second_differences_in_each_faces_own_size():
    way = np.square(NUMBER)[:, None, None] * np.float32([0.1, 0])  # second differences of 0.2
    real = seen(resting() + way)
    assert steadiness.jitter(seen(resting() + 3 * way), real, NUMBER) == pytest.approx(3, rel=1e-2)
    assert steadiness.jitter(seen(5 * (resting() + way)), real, NUMBER) == pytest.approx(
        1, rel=1e-2
    )
    even = NUMBER[:, None, None] * np.float32([4, 0])
    assert steadiness.jitter(seen(resting() + even), real, NUMBER) < 0.01  # even motion is none


def test_jitter_needs_three_frames_in_a_row_with_faces():
    way = np.square(NUMBER)[:, None, None] * np.float32([0.1, 0])
    real, found = seen(resting() + way), np.ones(COUNT, bool)
    found[::3] = False
    assert np.isnan(steadiness.jitter(seen(resting() + way, found), real, NUMBER))
    found[:] = True
    found[0] = False
    assert steadiness.jitter(seen(resting() + way, found), real, NUMBER) == pytest.approx(1, 1e-2)


def test_the_table_has_a_section_of_its_own():
    values = {'m': {'flicker': np.full(3, 1.5), 'jitter': np.full(3, np.nan)}}
    text = tables.steady(scoring.Scores(values, {}, np.zeros(3, int)))
    assert '| m | 1.50 (1.50 to 1.50) |' in text and 'jitter of landmarks' not in text
    assert tables.steady(scoring.Scores({'m': {'l1': np.ones(3)}}, {}, np.zeros(3, int))) == ''
