"""The inside of a mouth has the colours of its source."""

import dataclasses

import heads_of_points
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_aan_layers import DATA, HP

from reenact_jax.common.errors import UserError
from reenact_jax.geometry import folds, layouts
from reenact_jax.systems import aan
from reenact_jax.systems.aan import palette

SIDE = 64
POINTS = heads_of_points.face_points(SIDE).astype(np.float32)[None]


def face(skin, lips):
    """An image [1, SIDE, SIDE, 3] of one colour with lips of another, 0..1 each."""
    x, y = np.meshgrid(*[np.arange(SIDE) + 0.5] * 2)
    ring = POINTS[0, list(layouts.LAYOUTS['68'].parts['outer_lips']), :2]
    low, high = ring.min(0) - 2, ring.max(0) + 2
    inside = (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1])
    image = np.where(inside[..., None], np.float32(lips), np.float32(skin))
    return jnp.asarray(2 * image - 1, jnp.float32)[None]


def colours(skin, lips):
    return np.asarray(palette.of_source(face(skin, lips), jnp.asarray(POINTS[..., :2]))[0] + 1) / 2


def test_colours_are_those_of_lips_and_skin():
    skin, lips = np.array([0.8, 0.6, 0.5]), np.array([0.7, 0.3, 0.3])
    cavity, tongue, teeth = colours(skin, lips)
    np.testing.assert_allclose(cavity, 0.12 * lips, atol=1e-5)
    np.testing.assert_allclose(tongue, 0.7 * lips, atol=1e-5)
    assert np.ptp(teeth) < 0.4 * np.ptp(skin) and teeth.mean() > skin.mean()


def test_a_grey_source_has_a_grey_mouth_and_teeth_are_not_beyond_white():
    for level in (0.2, 1.0):
        found = colours([level] * 3, [0.5 * level] * 3)
        assert np.ptp(found, axis=1).max() < 1e-6 and found.max() <= 0.95


def test_mixing_stays_between_the_colours():
    some = jax.random.uniform(jax.random.key(0), (2, 5, 5, 3), minval=-1.0)
    three = 2 * jnp.asarray(colours([0.8, 0.6, 0.5], [0.7, 0.3, 0.3]))[None] - 1
    made = palette.mixed(some, three)
    low, high = three.min(1)[:, None, None], three.max(1)[:, None, None]
    assert bool((made >= low - 1e-6).all() and (made <= high + 1e-6).all())
    sure = palette.mixed(jnp.full((1, 1, 1, 3), -1.0).at[..., 2].set(1.0), three)
    np.testing.assert_allclose(sure[0, 0, 0], three[0, 2], atol=1e-3)


def test_a_palette_needs_what_it_colours():
    hp = dataclasses.replace(HP, inner_mouth=False)
    with pytest.raises(UserError, match=r'mouth_palette: .*hparams\.inner_mouth'):
        aan.networks(hp, DATA)


def form_at(u, gap, *places):
    """Logits of `form` at shares of the gap below the upper lip, u along a mouth 40 wide."""
    points = np.tile(POINTS[..., :2], (1, 1, 1))
    ring = list(layouts.LAYOUTS['68'].parts['inner_lips'])
    across = np.array([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25])
    below = np.array([0, 0, 0, 0, 0, 1, 1, 1]) * gap
    points[0, ring] = np.stack([10 + 40 * across, 30 + below], -1)
    at = np.array([[10 + 40 * u, 30 + gap * p] for p in places], np.float32)[None]
    mouth = folds.of_layout(layouts.LAYOUTS['68'])['mouth']
    return np.asarray(palette.form(jnp.asarray(at), jnp.asarray(points), mouth))[0]


def test_a_mouth_starts_with_teeth_above_tongue_below_and_dark_between():
    upper, middle, lower = form_at(0.5, 30, 0.02, 0.4, 0.95)
    assert upper.argmax() == 2 and middle.argmax() == 0 and lower.argmax() == 1


def test_teeth_are_as_long_in_a_wide_mouth_as_in_a_narrow_one():
    for gap in (10.0, 20.0, 40.0):
        inside, below = form_at(0.5, gap, 3 / gap, 6 / gap)
        assert inside[2] > 1 and below[2] < -1
    assert form_at(0.02, 20, 0.1)[0, 2] < 0  # none at the corners


def test_a_network_shifts_the_start():
    three = 2 * jnp.asarray(colours([0.8, 0.6, 0.5], [0.7, 0.3, 0.3]))[None] - 1
    start = jnp.asarray(form_at(0.5, 30, 0.1))[None, None]  # where the teeth end
    still = palette.mixed(jnp.zeros((1, 1, 1, 3)), three, start).mean()
    for sign, brighter in ((1.0, True), (-1.0, False)):
        shares = jnp.array([[[[-sign, 0.0, sign]]]])
        assert bool(palette.mixed(shares, three, start).mean() > still) is brighter


def test_a_form_needs_a_palette():
    hp = dataclasses.replace(HP, inner_mouth=True, mouth_palette=False, mouth_form=True)
    with pytest.raises(UserError, match=r'mouth_form: .*hparams\.mouth_palette'):
        aan.networks(hp, DATA)
