"""Pix2Pix and Pix2PixHD: published sizes, what is joined, losses by hand, coarse to fine."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick

from reenact_jax.common.errors import UserError
from reenact_jax.configs import pix2pix as configs
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.nets import frozen_apply
from reenact_jax.nets import pix2pix as net
from reenact_jax.nets.patch import MultiScale, halve
from reenact_jax.systems import losses, pix2pix
from reenact_jax.train import step

HD = pix2pix.Hparams(**configs.PRESETS['hd_tiny'] | dict(blocks=0, local_blocks=0, width=2))
UNET = pix2pix.Hparams(**configs.PRESETS['unet_tiny'])
DATA, SIDE = DataInfo(identities=4, examples=4), 32


def faces(rows, seed=0):
    draw = np.random.default_rng(seed)
    points = draw.uniform(6, SIDE - 6, (rows, 68, 2)).astype(np.float32)
    image = draw.uniform(-1, 1, (rows, SIDE, SIDE, 3)).astype(np.float32)
    return Face(image=jnp.asarray(image), landmarks=jnp.asarray(points))


def batch_of(rows):
    a, b = faces(rows, 1), faces(rows, 2)
    image = jnp.stack([a.image, b.image], 1)
    return Batch(image, jnp.stack([a.landmarks, b.landmarks], 1), identity=jnp.arange(rows))


def build(hp):
    nets = pix2pix.networks(hp, DATA)
    init = jax.jit(lambda key: pix2pix.init(hp, nets, key, batch_of(2)))
    return nets, init(jax.random.key(0))


@pytest.fixture(scope='module')
def hd():
    return build(HD)


def count(net, *args):
    variables = jax.eval_shape(net.init, jax.random.key(0), *args)
    return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


@pytest.mark.parametrize(
    'net, channels, parameters',
    [(net.GlobalGenerator(), 3, 182_443_267), (net.UNetGenerator(), 3, 54_413_955)],
)
def test_published_sizes(net, channels, parameters):
    assert count(net, jnp.zeros((1, 256, 256, channels))) == parameters


def test_enhancer_works_at_twice_the_side():
    full, coarse = jnp.zeros((1, 64, 64, 4)), jnp.zeros((1, 32, 32, 64))
    enhancer = net.LocalEnhancer()
    out = jax.eval_shape(
        lambda *a: enhancer.init_with_output(jax.random.key(0), *a)[0], full, coarse
    )
    assert out.shape == (1, 64, 64, 3)
    # conv7 4->32, conv3 32->64, 3 residual blocks of two conv3 64, back conv3 64->32, conv7 32->3
    by_hand = (4 * 49 * 32 + 32) + (32 * 9 * 64 + 64) + 6 * (64 * 9 * 64 + 64)
    by_hand += (64 * 9 * 32 + 32) + (32 * 49 * 3 + 3)
    assert count(enhancer, full, coarse) == by_hand


def test_feature_matching_is_pix2pixhds():
    """10 * sum over scales and layers of L1 * 4 / (n_layers + 1) / num_D, logits left out."""
    draw, d = np.random.default_rng(0), MultiScale(width=2)
    a, b = (jnp.asarray(draw.normal(size=(2, 32, 32, 3)), jnp.float32) for _ in range(2))
    condition = jnp.ones((2, 32, 32, 1))
    variables = quick.fresh(d, a, condition)
    judge = jax.jit(functools.partial(d.apply, features=True))
    made, real = judge(variables, a, condition), judge(variables, b, condition)
    expected = 0.0
    for scale in range(2):
        assert len(made[scale]) == 5  # n_layers 3: four feature maps and the logits
        for layer in range(4):
            l1 = np.abs(np.asarray(made[scale][layer]) - np.asarray(real[scale][layer])).mean()
            expected += l1 * (4 / (3 + 1)) / 2
    assert float(losses.feature_matching(made, real)) == pytest.approx(expected, rel=1e-5)
    plain = jax.jit(d.apply)(variables, b, condition)
    np.testing.assert_allclose(plain[1], real[1][-1], atol=1e-6)


def test_landmarks_are_the_fourth_channel():
    """FReeNet's baseline; without the source the same landmarks give the same picture."""
    a, b = faces(1, 3), faces(1, 4)
    given = pix2pix._input(UNET, a.image, b.landmarks)
    assert given.shape == (1, SIDE, SIDE, 4)
    np.testing.assert_array_equal(given[..., :3], a.image)
    alone = dataclasses.replace(UNET, source_input=False)
    nets, variables = build(alone)
    apply = frozen_apply(nets, variables)
    draw = jax.jit(lambda image: pix2pix._draw(alone, apply, image, b.landmarks))
    np.testing.assert_array_equal(draw(a.image), draw(b.image))


def test_pix2pix_losses_by_hand():
    """Eq. 4: -log D on real, -log(1 - D) on fake; G: -log D on fake + 100 L1."""
    batch, draw = batch_of(2), np.random.default_rng(0)
    fake = draw.uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)
    logits = draw.normal(size=(2, 2, 5, 5, 1))  # [row, (real, fake), ...]

    def apply(letter, *args):
        if letter == 'G':
            return jnp.asarray(fake)
        rows = np.stack([batch.image[:, 1], fake], 1).reshape(args[0].shape)
        np.testing.assert_array_equal(args[0], rows)
        return jnp.asarray(logits, jnp.float32).reshape(4, 5, 5, 1)

    values, _ = pix2pix.terms(UNET, apply, {}, batch)
    p = 1 / (1 + np.exp(-logits))
    l1 = np.abs(fake - np.asarray(batch.image[:, 1])).mean()
    assert float(values['G']) == pytest.approx(-np.log(p[:, 1]).mean() + 100 * l1, rel=1e-5)
    d = -np.log(p[:, 0]).mean() - np.log(1 - p[:, 1]).mean()
    assert float(values['D']) == pytest.approx(d, rel=1e-5)


def test_coarse_to_fine(hd):
    """G1 at half the side, G2 with G1 frozen, then both; what a stage names is what it moves."""
    nets, variables = hd
    every = pix2pix.stages(dataclasses.replace(HD, lambda_vgg=0.0), DATA)
    assert {stage.name: stage.players for stage in every} == {
        'pix2pixhd_global': {'G': ('G1',), 'D': ('D1',)},
        'pix2pixhd_local': {'G': ('G2',), 'D': ('D2',)},
        'pix2pixhd_joint': {'G': ('G1', 'G2'), 'D': ('D2',)},
    }
    run = quick.jit(step.train_step(every[1], nets))
    state, metrics = run(step.start(every[1], variables), {}, batch_of(4))
    change = quick.change(variables, state.variables)
    assert {letter for letter in nets if change[letter] > 0} == {'G2', 'D2'}
    total = metrics['gan'] + 10 * metrics['features']
    assert float(metrics['loss/G']) == pytest.approx(float(total), rel=1e-4)


def test_global_stage_works_at_half_the_side():
    """What G1 and D1 are given, and the truth that its picture is compared with."""
    batch, seen = batch_of(2), {}

    def apply(letter, *args, **kwargs):
        seen[letter] = [arg.shape for arg in args]
        image = jnp.zeros((2, SIDE // 2, SIDE // 2, 3))
        return image if letter == 'G1' else [[jnp.zeros((4, 3, 3, 1)), jnp.zeros((4, 2, 2, 1))]]

    hp = dataclasses.replace(HD, lambda_vgg=0.0)
    _, metrics = pix2pix.global_terms(hp, apply, {}, batch)
    half = SIDE // 2
    assert seen == {
        'G1': [(2, half, half, 4)],
        'D1': [(4, half, half, 3), (2, half, half, 4)],
    }
    truth = np.asarray(halve(batch.image[:, 1]))
    assert float(metrics['l1']) == pytest.approx(np.abs(truth).mean(), rel=1e-5)


def test_one_source_serves_many_frames(hd):
    nets, variables = hd
    source, driving = faces(1, 6), faces(3, 7)
    look = pix2pix.encode(HD, nets, variables, source)
    render = jax.jit(lambda points: pix2pix.render(HD, nets, variables, look, points))
    frames, single = render(driving.landmarks), render(driving.landmarks[1:2])
    assert frames.shape == (3, SIDE, SIDE, 3)
    np.testing.assert_allclose(frames[1:2], single, atol=1e-5)
    assert np.abs(frames[0] - frames[1]).max() > 1e-4


def test_errors():
    with pytest.raises(UserError, match='a multiple of 64, the data has 32'):
        build(dataclasses.replace(HD, downs=5))
    with pytest.raises(UserError, match='is odd'):
        pix2pix.networks(dataclasses.replace(HD, width=3), DATA)
