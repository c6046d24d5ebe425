"""LD-Net's own additions: errors by part and by chord, gestures."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reenact_jax.data.tracks import Batch, DataInfo
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts
from reenact_jax.nets import frozen_apply
from reenact_jax.systems import losses
from reenact_jax.systems.ldnet_fdgan import gestures, parts
from reenact_jax.systems.ldnet_fdgan import ldnet as ld

POINTS = tuple(layouts.LAYOUTS)


def faces(points='68', rows=6, seed=0):
    """Made-up faces: every part a blob of its own size, at its own place."""
    rng, layout = np.random.default_rng(seed), layouts.layout(points)
    shape = np.zeros((rows, layout.count, 2), np.float32)
    for number, (name, rows_of) in enumerate(layout.parts.items()):
        size = 0.6 if name == 'jaw' else 0.15
        across = {'left': -0.4, 'right': 0.4}.get(name.split('_')[0], 0.0)
        middle = np.array([across, -0.5 + 0.1 * number])
        shape[:, list(rows_of)] = middle + size * rng.normal(size=(rows, len(rows_of), 2))
    return jnp.asarray(shape)


def off(truth, part, by):
    """The faces with one part moved by a share of its own size."""
    rows = np.array(layouts.of_count(truth.shape[1]).parts[part])
    points = truth[:, rows]
    size = jnp.sqrt(((points - points.mean(1, keepdims=True)) ** 2).sum(-1).mean())
    return truth.at[:, rows, 0].add(by * size)


@pytest.mark.parametrize('points', POINTS)
def test_an_eye_weighs_as_much_as_the_jaw(points):
    """A tenth of the part's own size costs the same anywhere; the paper's mean feels the jaw."""
    truth = faces(points)
    eye, jaw = (off(truth, part, 0.1) for part in ('left_eye', 'jaw'))
    expected = 0.1**2 / len(layouts.layout(points).parts)
    assert float(parts.by_part(eye, truth)) == pytest.approx(expected, rel=1e-3)
    assert float(parts.by_part(jaw, truth)) == pytest.approx(expected, rel=1e-3)
    assert float(losses.points(jaw, truth)) > 20 * float(losses.points(eye, truth))


@pytest.mark.parametrize('points', POINTS)
def test_lids_and_lips_that_do_not_move_cost_one(points):
    """Chords fixed at their mean over the batch have lost all of their variance: 1 a group."""
    truth = faces(points)
    groups = parts.chords(layouts.layout(points))
    lost = parts.by_chord(jnp.broadcast_to(truth.mean(0, keepdims=True), truth.shape), truth)
    assert float(lost) == pytest.approx(1, rel=1e-4)
    assert float(parts.by_chord(truth + 3, truth)) == pytest.approx(0, abs=1e-8)
    assert set(groups) == {'lids', 'lips', 'width', 'brows'}
    for rows in groups.values():
        np.testing.assert_allclose(rows.sum(1), 0, atol=1e-6)


def test_chords_of_68_points():
    """The lids, lips and corners that the measure of asked change names."""
    groups = parts.chords(layouts.layout('68'))
    pairs = {
        name: {tuple(int(i) for i in np.flatnonzero(row)) for row in rows}
        for name, rows in groups.items()
    }
    assert pairs['lids'] == {(37, 41), (38, 40), (43, 47), (44, 46)}
    assert (62, 66) in pairs['lips'] and (51, 57) in pairs['lips']
    assert pairs['width'] == {(48, 54), (60, 64)}
    assert pairs['brows'] == {(17, 18, 19, 20, 21, 36, 39), (22, 23, 24, 25, 26, 42, 45)}


def test_pupils_do_not_explode():
    """106 points have parts of two points that coincide: their size has a floor."""
    truth = jnp.zeros((2, 106, 2))
    assert float(parts.by_part(truth + 0.05, truth)) == pytest.approx(2, rel=1e-4)


@pytest.mark.parametrize('function', [parts.by_part, parts.by_chord])
def test_shapes_are_not_broadcast(function, unchecked):
    with pytest.raises(ValueError, match='shapes differ'):
        function(jnp.zeros((2, 68, 2)), jnp.zeros((1, 68, 2)))


# --- gestures --------------------------------------------------------------------------------


def upright(rows=200):
    """The same frontal face, level eyes, in its own box."""
    truth = faces(rows=1)
    tilt = truth[:, 42:48, 1].mean() - truth[:, 36:42, 1].mean()
    truth = truth.at[:, 42:48, 1].add(-tilt)
    return jnp.broadcast_to(truth, (rows, 68, 2))


def test_gestures_move_brows_lids_and_lips_alone():
    given = upright()
    made = gestures.gesture(given, 1.0, jax.random.key(0))
    centre, half = lm.box(made)
    np.testing.assert_allclose(centre, 0, atol=1e-5)
    np.testing.assert_allclose(half, 1, rtol=1e-5)
    # Against the points that stay (jaw and nose), whose box may have changed.
    still = np.r_[0:17, 27:36]
    fit = lm.similarity(made[:, still], given[:, still])
    back = np.asarray(lm.transform(made, fit))
    np.testing.assert_allclose(back[:, still], given[:, still], atol=1e-4)
    for name in ('left_brow', 'right_eye', 'outer_lips', 'inner_lips'):
        rows = np.array(layouts.layout('68').parts[name])
        assert np.abs(back[:, rows] - given[:, rows]).max(-1).mean(-1).min() > 1e-4, name


def test_lids_shut_at_times_and_open_wider():
    given = upright(2000)
    made = np.asarray(gestures.gesture(given, 1.0, jax.random.key(1)))

    def height(x):
        middle = x[:, 36:42, 1] - x[:, 36:42, 1].mean(1, keepdims=True)
        return np.abs(middle).mean(1) / np.linalg.norm(x[:, 36:42].mean(1) - x[:, 42:48].mean(1))

    share = height(made) / height(np.asarray(given))
    assert 0.02 < (share < 0.3).mean() < 0.15 and (share > 1.5).mean() > 0.05


@pytest.mark.parametrize('points', POINTS)
def test_gestures_turn_with_the_head_and_know_every_layout(points):
    given = faces(points)
    angle = 0.4
    turn = jnp.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rng = jax.random.key(2)

    def moved(x):
        made = gestures.gesture(x, 1.0, rng)
        return lm.normalise(made, *lm.box(made))

    straight = moved(given) @ turn.T
    np.testing.assert_allclose(
        moved(given @ turn.T), lm.normalise(straight, *lm.box(straight)), atol=1e-4
    )
    assert gestures.gesture(given, 0.0, rng) is given


# --- in the losses ---------------------------------------------------------------------------

HP = ld.Hparams(layers=2, width=16, examples=4, stage1_steps=3, stage2_steps=3)


@pytest.fixture(scope='module')
def built():
    nets = ld.networks(HP, DataInfo(identities=5, examples=10))
    batch = Batch(landmarks=faces(rows=8).reshape(4, 2, 68, 2), identity=jnp.array([0, 3, 1, 4]))
    return nets, ld.init(HP, nets, jax.random.key(0), batch), batch


def run(built, stage, **changes):
    nets, variables, batch = built
    hp = dataclasses.replace(HP, **changes)
    return stage(hp, frozen_apply(nets, variables), batch, jax.random.key(0))


@pytest.mark.parametrize('stage', [ld.stage1, ld.stage2])
def test_every_addition_acts(built, stage):
    """The presets' fields change the loss of both stages, in proportion to their weight."""
    plain = float(run(built, stage)[0]['G'])
    for field in ('lambda_part', 'lambda_chord', 'gesture'):
        assert float(run(built, stage, **{field: 1.0})[0]['G']) != plain, field
    once, twice = (float(run(built, stage, lambda_part=x)[0]['G']) - plain for x in (1, 2))
    assert once > 0 and twice == pytest.approx(2 * once, rel=0.01)


def test_the_papers_loss_is_the_papers_to_the_bit(built):
    """Off, as by default, eq. 2 is eq. 2: no addition of zeros, no gesture, no other draw."""
    values, metrics = run(built, ld.stage1)
    expected = 1000.0 * metrics['rec'] + 0.1 * metrics['leak_log_p']
    assert np.asarray(values['G']).tobytes() == np.asarray(expected).tobytes()


def test_the_warm_start_sees_people_as_they_are(built):
    """E_I is fitted to frames without gestures: a gesture is no trait of a person."""
    plain = run(built, ld.warm)[0]['G']
    assert float(run(built, ld.warm, gesture=1.0)[0]['G']) == float(plain)
