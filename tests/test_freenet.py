"""FReeNet: published sizes, ULC's and GAG's losses by hand, what is frozen, where results lie."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick

from reenact_jax.common.errors import UserError
from reenact_jax.configs import freenet as configs
from reenact_jax.configs.ablations import freenet_table1, freenet_table3
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry import landmarks as lm
from reenact_jax.nets.freenet import GAG
from reenact_jax.nets.patch import PatchGAN
from reenact_jax.systems import freenet, optimisers
from reenact_jax.systems.freenet import gag, ulc
from reenact_jax.train import config, step

HP = freenet.Hparams(**configs.PRESETS['tiny'])
DATA, SIDE = DataInfo(identities=4, examples=40), 32


def batch_of(rows, seed=0):
    draw = np.random.default_rng(seed)
    points, rest = draw.uniform(6, SIDE - 6, (2, rows, 2, 68, 2)).astype(np.float32)
    image = draw.uniform(-1, 1, (rows, 2, SIDE, SIDE, 3)).astype(np.float32)
    return jax.tree.map(jnp.asarray, Batch(image, points, reference=rest, identity=np.arange(rows)))


def build(hp):
    nets = freenet.networks(hp, DATA)
    init = jax.jit(lambda key: freenet.init(hp, nets, key, batch_of(2)))
    return nets, init(jax.random.key(0))


@pytest.fixture(scope='module')
def built():
    return build(HP)


def swapped(x):
    return np.asarray(x).reshape(-1, 2, *x.shape[1:])[:, ::-1].reshape(x.shape)


def boxed(points, of):
    return np.asarray(lm.normalise(points, *lm.box(of)))


@pytest.mark.parametrize(
    'change, phi, d',
    [
        ({}, 17_356_019, 2_764_737),
        ({'joins': 'parts', 'condition': 'reference'}, 16_913_651, 2_767_809),
        ({'joins': 'parts', 'raster_channels': 3}, 16_913_795, 2_764_737),
    ],
)
def test_published_sizes(change, phi, d):
    """ULC 4,527,828 at 106 points; GAG and PatchGAN of the paper and of the official code."""
    hp, data = freenet.Hparams(**change), dataclasses.replace(DATA, points='106')
    nets = freenet.networks(hp, data)
    image = jnp.zeros((2, 2, 256, 256, 3))
    points = jnp.zeros((2, 2, 106, 2))
    batch = Batch(image, points, reference=points)
    variables = jax.eval_shape(lambda key: freenet.init(hp, nets, key, batch), jax.random.key(0))
    size = {
        letter: sum(leaf.size for leaf in jax.tree.leaves(variables[letter]['params']))
        for letter in nets
    }
    assert size['psi_1'] == size['psi_2'] == 1_422_336 and size['psi_3'] == 1_683_156
    assert (size['D_TF'], size['D_S'], size['phi'], size['D']) == (929_921, 829_761, phi, d)


class Known:
    """Networks with known results; `calls` keeps what they were given."""

    def __init__(self, **results):
        self.results, self.calls = results, {}

    def __call__(self, letter, *args, **kwargs):
        self.calls.setdefault(letter, []).append(args)
        result = self.results[letter]
        if callable(result):
            return result(*args)
        return jnp.asarray(result[len(self.calls[letter]) - 1], jnp.float32)


def test_ulc_losses_by_hand():
    """Eqs. 1 to 6 with the pose of the reference: T's rest and truth are of one frame."""
    hp, batch, draw = freenet.Hparams(), batch_of(4), np.random.default_rng(1)
    there, back = draw.normal(size=(2, 4, 136)) * 0.1
    d_tf, d_s = draw.normal(size=(2, 4, 2, 1))
    apply = Known(
        psi_1=lambda x: x, psi_2=lambda x: x, psi_3=[there, back],
        D_TF=[d_tf.reshape(8, 1)], D_S=[d_s.reshape(8, 1)],
    )  # fmt: skip
    values, metrics = ulc.terms(hp, apply, batch)
    truth, rest = batch.landmarks[:, 0], batch.reference[:, 0]
    made = boxed(rest, rest) + there.reshape(4, 68, 2)
    target = boxed(truth, rest)
    l1 = np.abs(made - target).mean()
    round_trip = boxed(swapped(rest), swapped(rest)) + back.reshape(4, 68, 2)
    cycle = np.abs(round_trip - boxed(swapped(truth), swapped(rest))).mean()
    p_tf, p_s = 1 / (1 + np.exp(-d_tf)), 1 / (1 + np.exp(-d_s))
    adversarial = -np.log(p_tf[:, 1]).mean() - np.log(p_s[:, 1]).mean()
    assert float(values['psi']) == pytest.approx(
        100 * l1 + 10 * cycle + 0.1 * adversarial, rel=1e-5
    )
    for letter, p in (('D_TF', p_tf), ('D_S', p_s)):
        by_hand = -np.log(p[:, 0]).mean() - np.log(1 - p[:, 1]).mean()
        assert float(values[letter]) == pytest.approx(by_hand, rel=1e-5)
    # psi_2 takes the driver, then what was made; D_S a real set of T beside real and made ones.
    driver, again = (args[0] for args in apply.calls['psi_2'])
    np.testing.assert_allclose(driver, boxed(swapped(truth), swapped(truth)), atol=1e-5)
    np.testing.assert_allclose(again, boxed(made, made), atol=1e-5)
    ((known, both),) = apply.calls['D_S']
    other = boxed(batch.landmarks[:, 1], batch.landmarks[:, 1])
    np.testing.assert_allclose(known[::2], other, atol=1e-5)
    np.testing.assert_allclose(known[1::2], other, atol=1e-5)
    np.testing.assert_allclose(both[::2], target, atol=1e-5)
    np.testing.assert_allclose(both[1::2], made, atol=1e-5)
    assert set(metrics) == {'l1', 'cycle', 'gan/D_TF', 'gan/D_S'}


def test_the_drivers_pose_takes_the_rest_of_another_frame():
    """Section 4.4: l_T,r is of frame 1; every set is in units of its own box."""
    hp, batch = freenet.Hparams(pose='driving', lambda_d=0.0, lambda_cycle=0.0), batch_of(2)
    apply = Known(psi_1=lambda x: x, psi_2=lambda x: x, psi_3=np.zeros((2, 2, 136)))
    values, _ = ulc.terms(hp, apply, batch)
    truth, rest = batch.landmarks[:, 0], batch.reference[:, 1]
    l1 = np.abs(boxed(rest, rest) - boxed(truth, truth)).mean()
    assert float(values['psi']) == pytest.approx(100 * l1, rel=1e-5)
    stage = freenet.stages(hp, DATA)[0]
    assert stage.neighbour == 'same_pose' and set(stage.players) == {'psi'}


def test_departures_of_the_code():
    """Own expression on own neutral; least squares in ULC alone; pixels of a crop of 512."""
    hp = freenet.Hparams(lambda_identity=10.0, ulc_gan='lsgan01', units='pixels', crop_side=SIDE)
    batch = batch_of(2)
    shift = np.repeat([2.0, 2.0, 5.0], 2 * 136).reshape(3, 2, 136)  # the last: identity
    apply = Known(
        psi_1=lambda x: x, psi_2=lambda x: x, psi_3=shift,
        D_TF=[np.full((4, 1), 3.0)], D_S=[np.full((4, 1), 5.0)],
    )  # fmt: skip
    values, metrics = ulc.terms(hp, apply, batch)
    rest, truth = np.asarray(batch.reference[:, 0]), np.asarray(batch.landmarks[:, 0])
    scale = 512 / SIDE
    l1 = np.abs(rest * scale + 2 - truth * scale).mean()
    assert float(metrics['l1']) == pytest.approx(l1, rel=1e-5)
    identity = np.abs(rest * scale + 5 - truth * scale).mean()
    assert float(metrics['identity']) == pytest.approx(identity, rel=1e-5)
    cycle = np.abs(swapped(rest) * scale + 2 - swapped(truth) * scale).mean()
    total = 100 * l1 + 10 * cycle + 10 * identity + 0.1 * (2**2 + 4**2)
    assert float(values['psi']) == pytest.approx(total, rel=1e-5)
    assert float(values['D_S']) == pytest.approx(4**2 + 5**2)


@pytest.mark.parametrize('pose', ['reference', 'driving'])
def test_no_shift_gives_the_source_back(pose):
    """Where psi_3 says 0, the face is the source's, in its place or where the driver moves it."""
    hp = dataclasses.replace(HP, pose=pose)
    nets, variables = build(dataclasses.replace(hp, gag_epochs=0))
    variables['psi_3'] = jax.tree.map(jnp.zeros_like, variables['psi_3'])
    draw = np.random.default_rng(2)
    source = Face(landmarks=jnp.asarray(draw.uniform(8, 20, (1, 68, 2)), jnp.float32))
    first = Face(landmarks=jnp.asarray(draw.uniform(8, 20, (1, 68, 2)), jnp.float32))
    driving = Face(landmarks=first.landmarks + jnp.asarray([[[0.0, 0.0]], [[3.0, -1.0]]]))
    identity = freenet.identify(hp, nets, variables, source)
    moved = freenet.transfer(hp, nets, variables, identity, driving, first)
    np.testing.assert_allclose(moved[:1], source.landmarks, atol=1e-4)
    scale = float(lm.box(source.landmarks)[1][0] / lm.box(first.landmarks)[1][0])
    by = np.array([3.0, -1.0]) * scale * (pose == 'driving')
    np.testing.assert_allclose(moved[1], np.asarray(source.landmarks[0]) + by, atol=1e-4)


def test_triplet_hinges_a_sample_and_a_layer():
    """Eq. 11: a sample that is far on the right side does not pay for another."""
    zero = jnp.zeros((2, 2, 2, 1))
    far, near = zero.at[0].set(2.0), zero.at[1].set(1.0)
    # layer 1: sample 0 [0.3 + 0 - 4]_+ = 0, sample 1 0.3; layer 2: [0.3 + 0]_+, [0.3 + 1]_+
    features = [zero, zero], [zero, near], [far, zero]
    assert float(gag.triplet(*features, 0.3)) == pytest.approx((0 + 0.3) / 2 + (0.3 + 1.3) / 2)
    # The official code's, of the batch's means: [0.3 + 0 - 2]_+ = 0, [0.3 + 0.5]_+
    assert float(gag.triplet(*features, 0.3, 'batch')) == pytest.approx(0.8)


def test_triplet_is_of_the_right_faces():
    """phi is given (L_T,n2, I_T,n1), (ULC(l_T,r, l_R,n3), I_T,n2), (ULC(l_R,r, l_T,n2), I_R,n3)."""
    batch, shift = batch_of(4), np.random.default_rng(3).normal(size=(2, 4, 136)) * 0.2
    apply = Known(
        psi_1=lambda x: x, psi_2=lambda x: x, psi_3=shift, phi=lambda image, lines: image[..., :3],
        D=lambda image: image.mean((1, 2, 3)),
    )  # fmt: skip
    hp = dataclasses.replace(HP, dropout=0.0)
    gag.terms(hp, apply, freenet.constants(hp), batch)
    image, points, rest = (np.asarray(x) for x in (batch.image, batch.landmarks, batch.reference))
    (given,) = apply.calls['phi']
    images = given[0].reshape(4, 3, SIDE, SIDE, 3)
    np.testing.assert_array_equal(images[:, 0], image[:, 0])
    np.testing.assert_array_equal(images[:, 1], image[:, 1])
    np.testing.assert_array_equal(images[:, 2], swapped(image[:, 0]))

    def converted(rest, shift):
        return lm.denormalise(boxed(rest, rest) + shift.reshape(4, 68, 2), *lm.box(rest))

    wanted = (
        points[:, 1],
        converted(rest[:, 1], shift[0]),
        converted(swapped(rest[:, 0]), shift[1]),
    )
    for i, one in enumerate(wanted):
        drawn = given[1].reshape(4, 3, *given[1].shape[1:])[:, i]
        np.testing.assert_allclose(drawn, gag.lines(hp, jnp.asarray(one), SIDE), atol=1e-4)
    t_r3, r_t2 = (args[0] for args in apply.calls['psi_2'])
    np.testing.assert_allclose(t_r3, boxed(swapped(points[:, 0]), swapped(points[:, 0])), atol=1e-5)
    np.testing.assert_allclose(r_t2, boxed(points[:, 1], points[:, 1]), atol=1e-5)


def test_gag_trains_with_ulc_frozen(built):
    """The real step moves phi and D, and nothing of ULC by a bit; its total is eq. 8."""
    nets, variables = built
    stage = freenet.stages(HP, DATA)[1]
    assert stage.players == {'G': ('phi',), 'D': ('D',)}
    run = quick.jit(step.train_step(stage, nets))
    state, metrics = run(step.start(stage, variables), freenet.constants(HP), batch_of(4))
    for letter, most in quick.change(variables, state.variables, 'params').items():
        assert most == pytest.approx(HP.gag_rate if letter in ('phi', 'D') else 0, rel=0.05), letter
    total = 100 * metrics['l1'] + metrics['gan'] + 0.1 * metrics['triplet']
    assert float(metrics['loss/G']) == pytest.approx(float(total), rel=1e-4)
    assert float(metrics['triplet']) > 0


def test_one_source_serves_many_frames(built):
    nets, variables = built
    batch = batch_of(4, 5)
    source = Face(image=batch.image[:1, 0], landmarks=batch.landmarks[:1, 0])
    look = freenet.encode(HP, nets, variables, source)
    render = jax.jit(lambda points: freenet.render(HP, nets, variables, look, points))
    frames = render(batch.landmarks[:, 1])
    assert frames.shape == (4, SIDE, SIDE, 3) and np.abs(frames).max() <= 1
    np.testing.assert_allclose(frames[1:2], render(batch.landmarks[1:2, 1]), atol=1e-5)
    assert np.abs(frames[0] - frames[1]).max() > 1e-4


def test_epochs_become_steps():
    """1,000 epochs of 40 tracks in batches of 16; divided by ten after each 0.3 of them."""
    rafd = dataclasses.replace(DATA, examples=201, images=4824)
    steps = [stage.steps for stage in freenet.stages(freenet.Hparams(), rafd)]
    assert steps == [301_500, 482_400]
    tracks = freenet.stages(freenet.Hparams(epoch='tracks'), rafd)
    assert [stage.steps for stage in tracks] == [12_562, 20_100]
    ulc_stage, gag_stage = freenet.stages(freenet.Hparams(), DATA)
    assert (ulc_stage.steps, gag_stage.steps) == (1000 * 40 // 16, 400 * 40 // 4)
    rates = [
        optimisers.learning_rate(ulc_stage.tx['psi'], at) for at in (0, 749, 750, 1500, 2250, 2499)
    ]
    np.testing.assert_allclose(rates, np.array([1, 1, 0.1, 0.01, 0.001, 0.001]) * 3e-4, rtol=1e-5)


def test_the_official_preset_and_old_configs():
    """The code's lengths and rates; a config with `gan` has GAG's layers of its day."""
    values = configs.get_config('official').to_dict() | {'data': 'x'}
    _, run, hp = config.resolve(values)
    assert (run.points, run.ema_decay) == ('106', 0) and hp.form == 'official'
    _, gag_stage = freenet.stages(hp, dataclasses.replace(DATA, images=4400))
    assert gag_stage.steps == 110 * 1100
    rates = [optimisers.learning_rate(gag_stage.tx['G'], n * 1100) for n in (0, 40, 75, 110)]
    np.testing.assert_allclose(rates, [2e-4, 2e-4, 1e-4, 0], atol=1e-9)
    old = dict(values['hparams'], gan='lsgan')
    for name in ('ulc_gan', 'gag_gan', 'form', 'epoch', 'vgg_input'):
        del old[name]
    _, _, hp = config.resolve(values | {'hparams': old})
    assert (hp.ulc_gan, hp.gag_gan, hp.form) == ('lsgan', 'lsgan', 'early')
    assert (hp.epoch, hp.vgg_input) == ('tracks', 'imagenet')


def test_either_half_alone():
    only = dataclasses.replace(HP, gag_epochs=0)
    assert set(freenet.networks(only, DATA)) == {'psi_1', 'psi_2', 'psi_3', 'D_TF', 'D_S'}
    assert [stage.name for stage in freenet.stages(only, DATA)] == ['ulc']
    plain = dataclasses.replace(HP, ulc_epochs=0, lambda_tp=0.0)
    assert set(freenet.networks(plain, DATA)) == {'phi', 'D'} and freenet.constants(plain) == {}
    assert isinstance(freenet.networks(plain, DATA)['D'], PatchGAN)
    with pytest.raises(UserError, match='lambda_tp: the triplet loss needs'):
        freenet.networks(dataclasses.replace(HP, ulc_epochs=0), DATA)
    with pytest.raises(UserError, match='both are 0'):
        freenet.networks(dataclasses.replace(only, ulc_epochs=0), DATA)
    with pytest.raises(UserError, match='a multiple of 4, not 30'):
        batch = batch_of(2)
        freenet.init(HP, freenet.networks(HP, DATA), jax.random.key(0), dataclasses.replace(
            batch, image=batch.image[:, :, :30, :30]))  # fmt: skip


@pytest.mark.parametrize(
    'table, row, stages, players',
    [
        (freenet_table1, 'gag', ('gag',), {'phi', 'D'}),
        (freenet_table1, 'gag_cpu', ('gag',), {'phi', 'D'}),
        (freenet_table1, 'gag_ulc_cpu', ('ulc', 'gag'), {'psi_1', 'D_TF', 'phi'}),
        (freenet_table1, 'pix2pix', ('pix2pix',), {'G', 'D'}),
        (freenet_table3, 'l1', ('ulc',), {'psi_1'}),
        (freenet_table3, 'cycle_cpu', ('ulc',), {'psi_1'}),
        (freenet_table3, 'full', ('ulc',), {'psi_1', 'D_TF', 'D_S'}),
    ],
)
def test_rows_of_the_tables(table, row, stages, players):
    system, _, hp = config.resolve({**table.get_config(row).to_dict(), 'data': 'x'})
    found = system.stages(hp, DATA)
    assert tuple(stage.name for stage in found) == stages
    moved = {letter for stage in found for letters in stage.players.values() for letter in letters}
    assert players <= moved and ('D_TF' in players) == ('D_TF' in moved)
    if row in ('l1', 'cycle_cpu'):
        assert hp.lambda_cycle == (0 if row == 'l1' else 10)


@pytest.mark.parametrize('norm, keeps', [('instance', False), ('layer', True)])
def test_what_the_norm_leaves_of_colours(norm, keeps):
    """Instance norm takes every channel's mean and scale: a fainter picture is encoded alike."""
    net, image = GAG(4, 3, norm=norm), batch_of(2).image[:1, 0]
    lines = jnp.zeros((1, SIDE // 4, SIDE // 4, 1))
    variables = quick.fresh(net, image, lines)
    run = jax.jit(lambda x: net.apply(variables, x, train=False, method='encode'))
    off = float(jnp.abs(run(image * 0.5 + 0.3) - run(image)).mean())
    assert off > 0.1 if keeps else off < 1e-3


@pytest.mark.parametrize('form, below', [('official', True), ('early', False)])
def test_layers_of_old_workdirs(form, below):
    """`early` keeps the ReLU behind the landmark encoder, which trained weights expect."""
    hp = dataclasses.replace(HP, form=form)
    net = freenet.networks(hp, DATA)['phi']
    assert net.form == form
    image, lines = batch_of(2).image[:1, 0], jnp.ones((1, SIDE // 4, SIDE // 4, 1)).at[:, 2:].set(0)
    variables = quick.fresh(net, image, lines)
    coded = net.apply(variables, lines, False, method=lambda net, x, train: net.landmarks(x, train))
    assert bool((coded < 0).any()) == below
