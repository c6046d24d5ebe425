"""The n-player step against separate gradients, over devices, under NaN, in pieces."""

import dataclasses
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy
from flax import linen as nn

from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import DataInfo
from reenact_jax.systems.interface import Stage, check, check_rows
from reenact_jax.train.binding import Binding, collections
from reenact_jax.train.step import scan_steps, start, train_step

DATA = DataInfo(identities=4, examples=32)


@pytest.fixture(scope='module')
def world():
    """Networks, stages, constants and initial variables of the toy."""
    return make()


def make(**changes):
    hp = toy.Hparams(**changes)
    nets = toy.networks(hp, DATA)
    variables = jax.jit(lambda key: toy.init(hp, nets, key, toy.batch(0)))(jax.random.key(0))
    return nets, toy.stages(hp, DATA), toy.constants(hp), variables


def leaves(tree):
    return {
        jax.tree_util.keystr(path): np.asarray(x) for path, x in jax.tree.leaves_with_path(tree)
    }


def changed(before, after):
    """Paths of the leaves whose bytes differ."""
    before, after = leaves(before), leaves(after)
    assert before.keys() == after.keys()
    return {name for name in before if before[name].tobytes() != after[name].tobytes()}


def assert_close(one, other, relative):
    one, other = leaves(one), leaves(other)
    assert one.keys() == other.keys()
    for name in one:
        scale = np.abs(one[name]).max() + 1e-6
        error = np.abs(one[name] - other[name]).max() / scale
        assert error <= relative, f'{name}: {error:.2e} of {scale:.2e}'


def distance(one, other):
    """Norm of the difference over the norm, of whole trees."""
    one, other = leaves(one), leaves(other)
    assert one.keys() == other.keys()
    total = sum(np.sum(np.square(x, dtype=np.float64)) for x in one.values())
    apart = sum(np.sum(np.square(one[k] - other[k], dtype=np.float64)) for k in one)
    return np.sqrt(apart / (total + 1e-30))


def sgd(stage):
    """The stage with plain descent at rate 1, so that an update is a gradient."""
    return stage._replace(tx={player: optax.sgd(1.0) for player in stage.players})


def test_step_takes_each_players_own_gradient(world):
    nets, (stage, _), constants, variables = world
    batch = toy.batch(1)
    state = start(sgd(stage), variables)
    new, metrics = jax.jit(train_step(sgd(stage), nets, seed=3))(state, constants, batch)

    # The same draws, one jax.grad a player over that player's networks alone.
    key = jax.random.fold_in(jax.random.key(3), zlib.crc32(b'one'))
    key = jax.random.fold_in(jax.random.fold_in(key, 0), 0)
    _, losses_key, calls_key = jax.random.split(key, 3)

    def loss(own, player):
        every = {letter: variables[letter]['params'] for letter in 'EGDC'} | own
        apply = Binding(nets, every, variables, calls_key)
        return stage.losses(apply, constants, batch, losses_key)[0][player]

    for player, letters in stage.players.items():
        own = {letter: variables[letter]['params'] for letter in letters}
        value, grads = jax.jit(jax.value_and_grad(loss), static_argnums=1)(own, player)
        np.testing.assert_allclose(metrics[f'loss/{player}'], value, rtol=1e-6)
        for letter in letters:
            moved = jax.tree.map(
                lambda a, b: a - b, variables[letter]['params'], new.variables[letter]['params']
            )
            for name, grad in leaves(grads[letter]).items():
                np.testing.assert_allclose(
                    leaves(moved)[name], grad, atol=1e-6, err_msg=f'{player} {letter}{name}'
                )
        np.testing.assert_allclose(
            metrics[f'grad_norm/{player}'], optax.tree.norm(grads), rtol=1e-5
        )


def test_only_declared_networks_and_collections_move(world):
    nets, (first, second), constants, variables = world
    for stage, moving in ((first, 'EGDC'), (second, 'GD')):
        state = start(stage, variables)
        step, new = jax.jit(train_step(stage, nets)), state
        for n in (1, 2):  # the first power iteration may give the sigma of 1 that it starts from
            new, _ = step(new, constants, toy.batch(n))
        for letter in 'EGDC':
            names = changed(state.variables[letter], new.variables[letter])
            if letter in moving:
                assert names == set(leaves(state.variables[letter])), letter
            else:
                assert not names, f'{letter} is frozen in {stage.name}'
        assert collections(variables['E']) and collections(variables['G'])  # it has some to move
        assert set(new.ema) == set(stage.ema)


def test_calls_thread_collections_and_draw_their_own_noise(world):
    nets, _, _, variables = world
    points = jnp.asarray(toy.batch(0).landmarks[:, 0] / 64)
    params = {'E': variables['E']['params'], 'G': variables['G']['params']}
    apply = Binding(nets, params, variables, jax.random.key(0))
    code = apply('E', points)
    once = apply.collections['E']
    apply('E', points)
    assert changed(once, apply.collections['E']), 'the second call goes on from the first'
    a, b = apply('G', code), apply('G', code)
    assert np.abs(a - b).max() > 0, 'dropout differs from call to call'
    still = apply.collections['G']
    quiet = apply('G', code, train=False)
    assert not changed(still, apply.collections['G'])
    np.testing.assert_array_equal(quiet, apply('G', code, train=False))
    with pytest.raises(KeyError, match="no network 'Z'"):
        apply('Z', points)


def test_frozen_network_is_called_as_at_inference(world):
    nets, _, _, variables = world
    code = jnp.ones((4, toy.Hparams().width))
    frozen = Binding(nets, {}, variables, jax.random.key(0))
    expected = nets['G'].apply(variables['G'], code, train=False)
    np.testing.assert_array_equal(frozen('G', code), expected)


@pytest.mark.parametrize('player', ['G', 'D', 'C'])
def test_nan_in_a_players_loss_changes_not_one_byte(player):
    nets, (stage, _), constants, variables = make(poison=player)
    step = jax.jit(train_step(stage, nets))
    state, metrics = step(start(stage, variables), constants, toy.batch(0))
    assert metrics[f'skipped/{player}'] == 0
    new, metrics = step(state, constants, toy.batch(1, poisoned=True))
    for part in ('variables', 'opt', 'ema'):
        assert not changed(getattr(state, part), getattr(new, part)), part
    assert np.isnan(metrics[f'loss/{player}'])
    assert new.step == state.step + 1
    assert {p: int(n) for p, n in new.skipped.items()} == {p: p == player for p in 'GDC'}
    after, _ = step(new, constants, toy.batch(2))
    assert changed(new.variables, after.variables) and after.skipped[player] == 1


def test_infinite_gradient_of_a_finite_loss_is_left_out(world):
    nets, (stage, _), constants, variables = world
    inner = stage.losses

    def losses(*args):
        values, metrics = inner(*args)
        root = jnp.sqrt(values['D'] - jax.lax.stop_gradient(values['D']))  # 0, with slope infinity
        return values | {'D': values['D'] + root}, metrics

    state = start(stage, variables)
    step = jax.jit(train_step(stage._replace(losses=losses), nets))
    new, metrics = step(state, constants, toy.batch(0))
    assert np.isfinite(metrics['loss/D']) and new.skipped['D'] == 1
    assert not changed(state.variables, new.variables)


def test_accumulation_equals_the_large_batch():
    nets, (stage, _), constants, variables = make(statistics=False)
    batch = toy.batch(5, rows=16)
    plain = jax.jit(train_step(sgd(stage), nets))
    whole, metrics = plain(start(sgd(stage), variables), constants, batch)
    parts = jax.jit(train_step(sgd(stage), nets, accumulate=4, devices=2))
    small, small_metrics = parts(start(sgd(stage), variables), constants, batch)
    assert_close(whole, small, 1e-5)
    assert_close(metrics, small_metrics, 1e-5)


def test_accumulation_threads_running_statistics(world):
    nets, (stage, _), constants, variables = world
    step = jax.jit(train_step(stage, nets, accumulate=2))
    new, _ = step(start(stage, variables), constants, toy.batch(5))
    mean = new.variables['G']['batch_stats']['BatchNorm_0']['mean']
    once = jax.jit(train_step(stage, nets))
    half, _ = once(start(stage, variables), constants, toy.batch(5))
    single = half.variables['G']['batch_stats']['BatchNorm_0']['mean']
    ratio = float(jnp.linalg.norm(mean) / jnp.linalg.norm(single))
    assert 1.5 < ratio < 2.2, 'two updates at momentum 0.9 give 0.19 of the mean, one 0.1'


def test_scan_equals_single_steps(world):
    nets, (stage, _), constants, variables = world
    step = train_step(stage, nets)
    state = start(stage, variables)
    batches = [toy.batch(n) for n in range(3)]
    stacked = jax.tree.map(lambda *x: np.stack(x), *batches)
    together, metrics = jax.jit(scan_steps(step))(state, constants, stacked)
    for n, batch in enumerate(batches):
        state, one = jax.jit(step)(state, constants, batch)
        np.testing.assert_allclose(metrics['loss/G'][n], one['loss/G'], rtol=1e-5)
    assert_close(together, state, 1e-5)


def test_average_follows_its_rule_and_takes_statistics_along(world):
    nets, (stage, _), constants, variables = world
    step = jax.jit(train_step(stage, nets, ema_decay=0.5))
    state = start(stage, variables)
    expected = leaves({letter: variables[letter] for letter in stage.ema})
    for n in range(8):
        state, _ = step(state, constants, toy.batch(n))
        d = min(0.5, (1 + n) / (10 + n))
        now = leaves({letter: state.variables[letter] for letter in stage.ema})
        expected = {name: d * expected[name] + (1 - d) * now[name] for name in now}
    averages = leaves(state.ema)
    assert any('batch_stats' in name for name in averages)
    for name, value in averages.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)


def test_preparation_runs_inside_with_its_own_draws(world):
    nets, (stage, _), constants, variables = world

    def prepare(batch, rng):
        shift = jax.random.uniform(rng, (), maxval=20.0)
        return dataclasses.replace(batch, landmarks=batch.landmarks + shift)

    step = jax.jit(train_step(stage, nets, prepare=prepare))
    state = start(stage, variables)
    one, metrics = step(state, constants, toy.batch(0))
    again, same = step(state, constants, toy.batch(0))
    assert not changed((one, metrics), (again, same))
    _, plain = jax.jit(train_step(stage, nets))(state, constants, toy.batch(0))
    assert abs(metrics['rec'] - plain['rec']) > 1e-4


class Picture(nn.Module):
    """A convolution that reports the precision it runs in."""

    @nn.compact
    def __call__(self, image, points, train=True):
        seen = (image.dtype.itemsize, points.dtype.itemsize)
        return nn.Conv(4, (3, 3))(image), jnp.array(seen)


def test_bfloat16_is_for_maps_and_never_for_coordinates():
    net = Picture()
    image, points = jnp.ones((2, 8, 8, 3)), jnp.full((2, 68, 2), 201.3)
    variables = {'P': net.init(jax.random.key(0), image, points)}
    results = {}
    for dtype in ('float32', 'bfloat16'):
        params = {'P': variables['P']['params']}
        apply = Binding({'P': net}, params, variables, jax.random.key(0), dtype)
        results[dtype], seen = apply('P', image, points)
        assert results[dtype].dtype == jnp.float32
        assert tuple(seen) == ((4, 4) if dtype == 'float32' else (2, 4))
    error = np.abs(results['float32'] - results['bfloat16']).max()
    assert 0 < error < 0.05


def test_bfloat16_step_keeps_float32_state(world):
    nets, (stage, _), constants, variables = world
    state = start(stage, variables)
    new, _ = jax.jit(train_step(stage, nets, dtype='bfloat16'))(state, constants, toy.batch(0))
    assert [x.dtype for x in jax.tree.leaves(new)] == [x.dtype for x in jax.tree.leaves(state)]


def test_a_wrong_stage_is_refused(world):
    nets, (stage, _), _, _ = world
    players = stage.players
    for changes, words in [
        ({'players': players | {'C': ('C', 'D')}}, 'network D belongs to two players, D and C'),
        ({'players': players | {'C': ('X',)}}, "player C: no network 'X'"),
        ({'players': players | {'C': ()}}, 'player C moves no network'),
        ({'players': players | {'Z': ('C',)}}, 'player Z has no optimiser'),
        ({'ema': ('Y',)}, 'ema names Y'),
    ]:
        with pytest.raises(UserError, match=f'stage one: .*{words}'):
            check(stage._replace(**changes), nets)
    check(stage, nets)


def test_losses_must_name_the_players(world):
    nets, (stage, _), constants, variables = world

    def losses(*args):
        values, metrics = stage.losses(*args)
        return {'G': values['G']}, metrics

    step = train_step(stage._replace(losses=losses), nets)
    with pytest.raises(UserError, match=r"losses of \['G'\], players are \['C', 'D', 'G'\]"):
        jax.eval_shape(step, start(stage, variables), constants, toy.batch(0))


@pytest.mark.parametrize('rows,devices,accumulate', [(7, 1, 1), (8, 8, 1), (12, 4, 2), (0, 1, 1)])
def test_odd_shares_are_refused(rows, devices, accumulate):
    stage = Stage('s', {}, None, {}, 1, rows)
    with pytest.raises(UserError, match=r'config\.batch_size: stage s'):
        check_rows(stage, rows, devices, accumulate)
    check_rows(stage, 16, 4, 2)
