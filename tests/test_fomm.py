"""First order motion model: how it starts, what a step moves, what moves what, its schedules."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick

from reenact_jax.common.errors import UserError
from reenact_jax.configs import fomm as configs
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry import keypoints, pyramid
from reenact_jax.nets import frozen_apply
from reenact_jax.systems import fomm, optimisers
from reenact_jax.systems.fomm import generator, transforms
from reenact_jax.train import config, step

SIDE = 32
JUDGE = dict(d_layers=3, lambda_features=(10.0,) * 3)
HP = fomm.Hparams(**configs.PRESETS['tiny'] | dict(scales=(1.0, 0.5), **JUDGE))
DATA = DataInfo(identities=4, examples=4)
MOVING = ('KP', 'M', 'G')


def batch_of(rows):
    image = np.random.default_rng(1).uniform(-1, 1, (rows, 2, SIDE, SIDE, 3)).astype(np.float32)
    points = np.full((rows, 2, 68, 2), 16, np.float32)
    return Batch(jnp.asarray(image), jnp.asarray(points), identity=jnp.arange(rows))


@pytest.fixture(scope='module')
def built():
    nets = fomm.networks(HP, DATA)
    return nets, quick.jit(lambda key: fomm.init(HP, nets, key, batch_of(2)))(jax.random.key(0))


def test_it_starts_with_jacobians_of_nothing_and_one_source_serves_many_frames(built):
    nets, variables = built
    image = batch_of(3).image

    @quick.jit
    def run(source, driving):
        one, several = Face(image=source), Face(image=driving)
        look = fomm.encode(HP, nets, variables, one)
        found = fomm.transfer(
            HP, nets, variables, fomm.identify(HP, nets, variables, one), several, one
        )
        return look, found, fomm.render(HP, nets, variables, look, found)

    look, found, frames = run(image[:1, 0], image[:, 1])
    matrices = keypoints.jacobians(found)
    np.testing.assert_allclose(matrices, np.broadcast_to(np.eye(2), matrices.shape), atol=1e-5)
    assert found.shape == (3, HP.keypoints, 6) and np.abs(found[..., :2]).max() <= 1
    assert frames.shape == (3, SIDE, SIDE, 3) and np.abs(frames).max() <= 1
    assert np.abs(frames[0] - frames[1]).max() > 1e-5
    own = quick.jit(lambda x: generator.detect(HP, frozen_apply(nets, variables), (x + 1) / 2))
    np.testing.assert_allclose(found, own(image[:, 1]), atol=1e-4)  # the source is `first`
    np.testing.assert_allclose(look['keypoints'], own(image[:1, 0]), atol=1e-5)
    single = quick.jit(lambda f: fomm.render(HP, nets, variables, look, f))(found[1:2])
    np.testing.assert_allclose(frames[1:2], single, atol=1e-4)


def test_the_sources_own_keypoints_move_nothing(built):
    """Whatever M says: of equal keypoints every motion is none."""
    nets, variables = built
    rng = np.random.default_rng(0)
    places = rng.uniform(-0.8, 0.8, (1, HP.keypoints, 2)).astype(np.float32)
    matrices = np.eye(2) + rng.normal(size=(1, HP.keypoints, 2, 2)) * 0.2
    motion = keypoints.joined(jnp.asarray(places), jnp.asarray(matrices, jnp.float32))
    image = jnp.asarray(rng.uniform(0, 1, (1, 8, 8, 3)), jnp.float32)
    made = quick.jit(
        lambda: generator.dense(HP, frozen_apply(nets, variables), image, motion, motion)
    )()
    np.testing.assert_allclose(made.deformation[0], keypoints.grid(8), atol=1e-5)
    np.testing.assert_allclose(made.mask.sum(-1), 1, atol=1e-5)


def test_a_step_moves_every_network_by_its_own_player(built):
    nets, variables = built
    (stage,) = fomm.stages(HP, DATA)
    assert stage.players == {'G': MOVING, 'D': ('D',)} and stage.ema == MOVING
    run = quick.jit(step.train_step(stage, nets))
    state, metrics = run(step.start(stage, variables), fomm.constants(HP), batch_of(4))
    for letter, most in quick.change(variables, state.variables, 'params').items():
        rate = HP.d_rate if letter == 'D' else HP.rate
        assert most == pytest.approx(rate, rel=0.05), letter
    assert all(
        one > 0
        for one in quick.change(
            {n: variables[n] for n in MOVING}, state.variables, 'batch_stats'
        ).values()
    )
    total = metrics['perceptual'] + HP.lambda_gan * metrics['gan'] + metrics['features']
    total += HP.lambda_value * metrics['equivariance_value']
    total += HP.lambda_jacobian * metrics['equivariance_jacobian']
    assert float(metrics['loss/G']) == pytest.approx(float(total), rel=1e-4)
    assert float(metrics['loss/D']) == pytest.approx(float(metrics['D']), rel=1e-5)


def test_without_an_adversarial_loss_there_is_no_discriminator():
    hp = dataclasses.replace(HP, lambda_gan=0.0)
    assert set(fomm.networks(hp, DATA)) == set(MOVING)
    assert fomm.stages(hp, DATA)[0].players == {'G': MOVING}


def test_schedules_are_the_official_ones():
    """vox-256: 100 epochs, a tenth from 60 and from 90 on; vox-adv-256: 150 at one rate."""
    data = DataInfo(identities=4, examples=400)
    (stage,) = fomm.stages(fomm.Hparams(), data)
    epoch = 400 * 75 // 40
    assert stage.steps == 100 * epoch and stage.batch_size == 40
    rates = {0: 2e-4, 60 * epoch - 1: 2e-4, 60 * epoch + 1: 2e-5, 90 * epoch + 1: 2e-6}
    for at, rate in rates.items():
        assert optimisers.learning_rate(stage.tx['G'], at) == pytest.approx(rate), at
    (stage,) = fomm.stages(fomm.Hparams(**configs.PRESETS['adv']), data)
    assert stage.steps == 150 * (400 * 75 // 36)
    for player in 'GD':
        last = optimisers.learning_rate(stage.tx[player], stage.steps - 1)
        assert last == pytest.approx(2e-4)


def test_thin_plates_have_the_derivative_that_is_said():
    transform = transforms.draw(HP, jax.random.key(0), 2)
    points = jnp.asarray(np.random.default_rng(0).uniform(-0.9, 0.9, (2, 5, 2)), jnp.float32)
    found, small = transforms.jacobian(transform, points), 1e-3
    for i in (0, 1):
        aside = jnp.zeros_like(points).at[..., i].set(small)
        ends = [transforms.warp(transform, points + sign * aside) for sign in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * small)
        np.testing.assert_allclose(found[..., i], slope, atol=2e-3)
    still = transforms.Transform(jnp.eye(2, 3)[None], jnp.zeros((1, 25)))
    image = batch_of(1).image[:, 0]
    stays = transforms.of_image(dataclasses.replace(HP, align_corners=True), still, image)
    np.testing.assert_allclose(stays, image, atol=1e-4)


def test_smaller_images_keep_their_mean():
    image = jnp.full((1, 32, 32, 3), 0.5)
    assert pyramid.reduced(image, 1).shape == image.shape
    small = pyramid.reduced(image, 0.25)
    assert small.shape == (1, 8, 8, 3)
    np.testing.assert_allclose(small[:, 2:6, 2:6], 0.5, rtol=1e-5)
    assert small[0, 0, 0, 0] < 0.21  # 0 outside
    with pytest.raises(ValueError, match='1 / an integer'):
        pyramid.reduced(image, 0.3)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'kp_depth': 4}, r'hparams\.kp_depth: 4 halvings need images .* multiple of 64'),
        ({'stride': 8, 'kp_depth': 1, 'motion_depth': 1}, r'hparams\.stride: keypoints are found'),
        ({'scales': (1.0, 0.25)}, r'hparams\.scales: 0\.25 of 32 pixels'),
        ({'scales': (0.3,)}, r'hparams\.scales: 0\.3 is not 1 / an integer'),
        ({'lambda_features': (1.0,)}, r'hparams\.lambda_features: 1 weights for the 3'),
        ({'d_layers': 4, 'lambda_features': (1.0,) * 4}, r'hparams\.d_layers: 4 layers leave'),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    hp = dataclasses.replace(HP, **changes)
    with pytest.raises(UserError, match=message):
        fomm.init(hp, fomm.networks(hp, DATA), jax.random.key(0), batch_of(2))


def test_preview(built):
    nets, variables = built
    shown = quick.jit(lambda batch: fomm.preview(HP, nets, variables, batch))(batch_of(2))
    assert {image.shape for image in shown.values()} == {(2, SIDE, SIDE, 3)}
    assert all(np.abs(image).max() <= 1 + 1e-5 for image in shown.values())


@pytest.mark.parametrize('preset', configs.PRESETS)
def test_presets_are_valid(preset):
    chosen = configs.get_config(preset)
    chosen.data = '(none)'
    module, run, hp = config.resolve(chosen)
    assert module is fomm and fomm.networks(hp, DATA)
    assert (run.ema_decay == 0) == (preset in ('paper', 'adv'))
