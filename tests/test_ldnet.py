"""LD-Net: its equations, what each net may see, what each stage moves."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick

from reenact_jax.common.errors import UserError
from reenact_jax.configs import ldnet_fdgan as configs
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry import landmarks as lm
from reenact_jax.nets import frozen_apply
from reenact_jax.systems.ldnet_fdgan import ldnet as ld
from reenact_jax.train import config, step

HP = ld.Hparams(layers=2, width=16, examples=4, stage1_steps=3, stage2_steps=3)
DATA = DataInfo(identities=5, examples=10)


def fake_batch(frames=2, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.uniform(10, 50, (4, frames, 68, 2)).astype(np.float32)
    return Batch(landmarks=jnp.asarray(points), identity=jnp.array([0, 3, 1, 4]))


@pytest.fixture(scope='module')
def built():
    nets = ld.networks(HP, DATA)
    variables = jax.jit(lambda key: ld.init(HP, nets, key, fake_batch()))(jax.random.key(0))
    return nets, variables


def face(seed, rows=1):
    points = np.random.default_rng(seed).uniform(10, 50, (rows, 68, 2))
    return Face(landmarks=jnp.asarray(points, jnp.float32))


def test_paper_sizes():
    """10 hidden layers of 512, codes of 64 and 128 (supplement 6), counted by hand."""
    nets = ld.networks(ld.Hparams(), DataInfo(identities=1000, examples=1))
    shapes = jax.eval_shape(
        lambda key: ld.init(ld.Hparams(), nets, key, fake_batch()), jax.random.key(0)
    )

    def count(letter):
        return sum(leaf.size for leaf in jax.tree.leaves(shapes[letter]['params']))

    hidden = 9 * (512 * 512 + 512)
    assert count('E_P') == 136 * 512 + 512 + hidden + 512 * 64 + 64
    assert count('E_I') == 136 * 512 + 512 + hidden + 512 * 128 + 128
    assert count('G') == (64 + 128) * 512 + 512 + hidden + 512 * 136 + 136
    assert count('N_I') == 1000 * 128
    assert count('C1') == count('C_l') == 136 * 512 + 512 + hidden + 512 * 1000 + 1000
    assert count('D_l') == 136 * 512 + 512 + hidden + 512 + 1


def test_people_start_nearly_alike():
    """The table is a linear layer's: codes apart from the start could not be guessed by E_I."""
    data = DataInfo(identities=400, examples=1)
    nets = ld.networks(HP, data)
    variables = ld.init(HP, nets, jax.random.key(0), fake_batch())
    assert np.asarray(variables['N_I']['params']['table']).std() == pytest.approx(0.05, rel=0.05)


def test_defaults_are_the_papers():
    hp = ld.Hparams()
    first, second = ld.stages(hp, DATA)
    assert (first.steps, second.steps) == (400_000, 1_000_000)
    assert first.batch_size == second.batch_size == 32
    assert (first.frames, second.frames) == (1, 2)
    assert first.players == {'G': ('E_P', 'N_I', 'G'), 'C': ('C1',)}
    assert second.players == {'G': ('E_I', 'G'), 'D': ('D_l',), 'C': ('C_l',)}
    assert not (hp.mean_swap or hp.warm_steps or hp.move_pose_encoder or hp.renormalise)


def test_stage_1_by_hand(built):
    """Eqs. 1 and 2 from the nets' outputs, in NumPy."""
    nets, variables = built
    apply, batch = frozen_apply(nets, variables), fake_batch(frames=1)
    values, metrics = ld.stage1(HP, apply, batch, jax.random.key(0))
    points = np.asarray(batch.landmarks[:, 0])
    low, high = points.min(1, keepdims=True), points.max(1, keepdims=True)
    l = (points - (low + high) / 2) / ((high - low).max(-1, keepdims=True) / 2)
    assert np.abs(l).max() == pytest.approx(1, abs=1e-5)
    pose = apply('E_P', l)
    label, other = batch.identity, jnp.array([3, 0, 4, 1])
    rebuilt = np.asarray(apply('G', pose, apply('N_I', label))).reshape(l.shape)
    moved = np.asarray(apply('G', pose, apply('N_I', other)))
    logits = np.asarray(apply('C1', moved), np.float64)
    p = np.exp(logits)[np.arange(4), np.asarray(label)] / np.exp(logits).sum(-1)
    rec = ((rebuilt - l) ** 2).sum(-1).mean()
    assert float(metrics['rec']) == pytest.approx(rec, rel=1e-4)
    assert float(values['C']) == pytest.approx(-np.log(p).mean(), rel=1e-4)
    leak = np.maximum(np.log(p), -np.log(5)).mean()
    assert float(values['G']) == pytest.approx(1000 * rec + 0.1 * leak, rel=1e-4)


def test_stage_2_by_hand(built):
    """Eqs. 3 to 7 from the nets' outputs, in NumPy."""
    nets, variables = built
    apply, batch = frozen_apply(nets, variables), fake_batch()
    values, _ = ld.stage2(HP, apply, batch, jax.random.key(0))
    l1, l2 = (lm.normalise(x, *lm.box(x)) for x in (batch.landmarks[:, 0], batch.landmarks[:, 1]))
    swap = jnp.array([1, 0, 3, 2])
    t, k = l1[swap], np.asarray(batch.identity)[np.asarray(swap)]
    same = apply('G', apply('E_P', l2), apply('E_I', l1)).reshape(l2.shape)
    moved = apply('G', apply('E_P', l2), apply('E_I', t)).reshape(l2.shape)

    def p(points):
        logits = np.exp(np.asarray(apply('C_l', points), np.float64))
        return logits[np.arange(4), k] / logits.sum(-1)

    real, fake = np.asarray(apply('D_l', l2)), np.asarray(apply('D_l', moved))
    content = np.sum((np.asarray(apply('E_P', l2)) - apply('E_P', moved)) ** 2, -1).mean()
    rec = np.sum((np.asarray(l2) - same) ** 2, -1).mean()
    assert float(values['D']) == pytest.approx(
        ((real - 1) ** 2).mean() + ((fake + 1) ** 2).mean(), rel=1e-4
    )
    assert float(values['C']) == pytest.approx(
        -np.log(p(t)).mean() - np.log(1 - p(moved)).mean(), rel=1e-4
    )
    total = 1000 * rec + 0.01 * content + 0.1 * (fake**2).mean() - 0.1 * np.log(p(moved)).mean()
    assert float(values['G']) == pytest.approx(float(total), rel=1e-4)


def test_frames_of_a_row_meet_their_own_partner():
    """With several frames a row, partners are other people, frame by frame."""
    batch = fake_batch(frames=3)
    l, identity, other = ld._examples(batch)
    np.testing.assert_array_equal(identity, [0, 0, 0, 3, 3, 3, 1, 1, 1, 4, 4, 4])
    np.testing.assert_array_equal(other, [3, 3, 3, 0, 0, 0, 4, 4, 4, 1, 1, 1])
    np.testing.assert_allclose(ld._partner(l, 3)[:3], l[3:6])


def test_identify_does_not_see_the_driver(built):
    """d(code)/d(driving) = 0 and d(result)/d(driving), d(result)/d(source) are not."""
    nets, variables = built

    def run(source, driving):
        identity = ld.identify(HP, nets, variables, Face(landmarks=source))
        driving = Face(landmarks=driving)
        moved = ld.transfer(HP, nets, variables, identity, driving, driving)
        return identity['code'], moved

    args = face(1).landmarks, face(2).landmarks
    by_source, by_driving = jax.jit(jax.jacrev(run, argnums=(0, 1)))(*args)[0]
    assert np.abs(by_source).max() > 0 and np.abs(by_driving).max() == 0
    moved = jax.jit(jax.jacrev(lambda *a: run(*a)[1], argnums=(0, 1)))(*args)
    assert all(np.abs(slope).max() > 0 for slope in moved)


def test_transfer_places_the_box(built):
    """Shift and scale of the driver since its first frame, in units of box size."""
    nets, variables = built
    hp = dataclasses.replace(HP, renormalise=True)
    source, driver = face(1), face(2)
    first = driver.landmarks
    frames = Face(landmarks=jnp.concatenate([first, first * 2 + 30]))
    identity = ld.identify(hp, nets, variables, source)
    moved = ld.transfer(hp, nets, variables, identity, frames, driver)
    assert moved.shape == (2, 68, 2)
    centre, half = lm.box(moved)
    (c_src, s_src), (c_drv, s_drv) = identity['box'], lm.box(frames.landmarks)
    np.testing.assert_allclose(centre[0], c_src[0], atol=1e-3)
    np.testing.assert_allclose(half, [s_src[0], 2 * s_src[0]], rtol=1e-4)
    expected = c_src[0] + (c_drv[1] - c_drv[0]) * s_src[0] / s_drv[0]
    np.testing.assert_allclose(centre[1], expected, rtol=1e-4)
    still = ld.transfer(hp, nets, variables, identity, frames, frames)
    np.testing.assert_allclose(lm.box(still)[0], jnp.repeat(c_src, 2, 0), atol=1e-3)
    absolute = ld.transfer(hp, nets, variables, identity, frames, source)
    np.testing.assert_allclose(lm.box(absolute)[0], c_drv, rtol=1e-4)


def test_output_is_left_alone_unless_renormalised(built):
    nets, variables = built
    apply = frozen_apply(nets, variables)
    pose, code = jnp.ones((1, 64)), jnp.ones((1, 128))
    raw = ld._raw(apply, pose, code)
    plain = ld._boxed(HP, raw)
    np.testing.assert_allclose(plain.reshape(1, -1), apply('G', pose, code))
    boxed = ld._boxed(dataclasses.replace(HP, renormalise=True), raw)
    assert np.abs(boxed).max() == pytest.approx(1, abs=1e-5)


def test_collapse_shows_though_renormalised():
    """`max_transfer` is of what G gives, not of its box."""
    raw = jnp.zeros((4, 68, 2)).at[0].set(7.0).at[3, 5].set(-3.0)
    assert float(ld._largest(raw)) == 3.0


@pytest.mark.parametrize('examples, frames', [(10, 4), (33, 1), (4, 4)])
def test_examples_that_are_no_pairs_of_tracks_are_refused(examples, frames):
    with pytest.raises(UserError, match=r'hparams\.examples'):
        ld.stages(dataclasses.replace(HP, examples=examples, frames=frames), DATA)


def test_printed_leak_has_no_floor():
    """Eq. 2 as printed rewards ever smaller P; with the floor, a guess is the best."""

    def apply(letter, *args, **kwargs):
        if letter == 'C1':
            return jnp.zeros((4, 5)).at[jnp.arange(4), jnp.array([0, 3, 1, 4])].set(-50.0)
        return {'E_P': jnp.zeros((4, 64)), 'N_I': jnp.zeros((8, 128)), 'G': jnp.ones((8, 136))}[
            letter
        ]

    batch = dataclasses.replace(fake_batch(), landmarks=fake_batch().landmarks[:, :1])
    leak = [
        float(
            ld.stage1(dataclasses.replace(HP, leak_floor=on), apply, batch, None)[1]['leak_log_p']
        )
        for on in (True, False)
    ]
    assert leak == pytest.approx([-np.log(5), -50 - np.log(4)], rel=1e-5)


def test_running_mean_shapes():
    """The table's running mean is the mean of everything seen, duplicates in a batch included."""
    nets = ld.networks(HP, DATA)
    variables = nets['N_I'].init(jax.random.key(0), jnp.zeros(2, jnp.int32))
    rng = np.random.default_rng(3)
    seen, labels = [], []
    for _ in range(3):
        label = rng.integers(0, 3, 6)
        l = rng.normal(size=(6, 68, 2)).astype(np.float32)
        seen.append(l), labels.append(label)
        (mean, other, least), update = nets['N_I'].apply(
            variables, label, (label + 1) % 3, l, method='mean_shapes', mutable=['shapes']
        )
        variables = variables | update
    seen, labels = np.concatenate(seen), np.concatenate(labels)
    for i in range(6):
        a, b = label[i], (label[i] + 1) % 3
        np.testing.assert_allclose(mean[i], seen[labels == a].mean(0), atol=1e-5)
        np.testing.assert_allclose(other[i], seen[labels == b].mean(0), atol=1e-5)
        assert int(least[i]) == min((labels == a).sum(), (labels == b).sum())


def test_mean_swap_waits_and_then_swaps(built):
    nets, variables = built
    hp = dataclasses.replace(HP, mean_swap=1.0)
    l, identity, other = ld._examples(fake_batch(frames=1))
    means = jax.random.normal(jax.random.key(1), (5, 68, 2))
    for count, swapped in ((4.0, False), (40.0, True)):
        shapes = {'mean': means, 'seen': jnp.full(5, count)}
        table = variables | {'N_I': variables['N_I'] | {'shapes': shapes}}
        apply = frozen_apply(nets, table)
        got = ld._swapped(hp, apply, l, identity, other, jax.random.key(0))
        expected = l + means[other] - means[identity] if swapped else l
        np.testing.assert_allclose(got, lm.normalise(expected, *lm.box(expected)), atol=1e-5)


def test_one_identity_is_refused():
    with pytest.raises(UserError, match='at least 2 identities'):
        ld.networks(HP, DataInfo(identities=1, examples=3))


def test_preview_draws(built):
    nets, variables = built
    images = jax.jit(lambda b: ld.preview(HP, nets, variables, b))(fake_batch())
    assert {image.shape for image in images.values()} == {(4, 128, 128, 1)}
    assert all(float(image.max()) > 0.5 > -0.9 > float(image.min()) for image in images.values())


@pytest.mark.parametrize('stage', range(3))
def test_only_the_declared_networks_move(built, stage):
    """The real step, every stage; others keep even their running statistics."""
    nets, variables = built
    hp = dataclasses.replace(HP, mean_swap=0.8, warm_steps=2, warm_rate=1e-4, stage2_rate=1e-4)
    chosen = ld.stages(hp, DATA)[stage]
    run = quick.jit(step.train_step(chosen, nets))
    state, _ = run(step.start(chosen, variables), {}, fake_batch(chosen.frames))
    players = {letter for letters in chosen.players.values() for letter in letters}
    for letter, most in quick.change(variables, state.variables).items():
        assert (most > 0) == (letter in players), letter
    assert float(state.variables['N_I']['shapes']['seen'].sum()) == (4 if stage == 0 else 0)


def test_presets_build():
    for preset in configs.LDNET:
        values = {**configs.get_config(preset).to_dict(), 'data': 'x'}
        _, _, hp = config.resolve(values)
        assert len(ld.stages(hp, DATA)) == (2 if preset == 'paper' else 3)
    assert config.resolve({**configs.get_config().to_dict(), 'data': 'x'})[2] == ld.Hparams()
