"""FD-GAN: the dictionary's equations, what sees what, what a step moves, its losses."""

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
from reenact_jax.geometry import layouts
from reenact_jax.nets import dictionary, frozen_apply
from reenact_jax.systems.ldnet_fdgan import fdgan
from reenact_jax.train import step

HP = fdgan.Hparams(**configs.FDGAN['fdgan_tiny'])
DATA, SIDE = DataInfo(identities=3, examples=4), 16


def faces(rows, seed=0):
    draw = np.random.default_rng(seed)
    points = draw.uniform(3, SIDE - 3, (rows, 68, 2)).astype(np.float32)
    image = draw.uniform(-1, 1, (rows, SIDE, SIDE, 3)).astype(np.float32)
    return Face(image=jnp.asarray(image), landmarks=jnp.asarray(points))


def batch_of(rows):
    a, b = faces(rows, 1), faces(rows, 2)
    image = jnp.stack([a.image, b.image], 1)
    points = jnp.stack([a.landmarks, b.landmarks], 1)
    return Batch(image, points, identity=jnp.arange(rows) % DATA.identities)


def build(hp):
    nets = fdgan.networks(hp, DATA)
    return nets, jax.jit(lambda key: fdgan.init(hp, nets, key, batch_of(2)))(jax.random.key(0))


@pytest.fixture(scope='module')
def built():
    return build(HP)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_writer_is_equation_8():
    """Row i is the mean of the write values at all places, weighted by softmax(t_i . p_j)."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4, 5)), jnp.float32)
    net = dictionary.Writer(rows=6, length=7, tag=3)
    rows, variables = net.init_with_output(jax.random.key(0), x)
    p = variables['params']
    values = x.reshape(2, 12, 5) @ np.asarray(p['Conv_0']['kernel'])[0, 0]
    keys = x.reshape(2, 12, 5) @ np.asarray(p['Conv_1']['kernel'])[0, 0]
    weights = softmax(np.einsum('it,bjt->bij', p['write_tags'], keys))
    np.testing.assert_allclose(rows, weights @ values, atol=1e-5)


def test_reader_is_equation_9():
    """What a place reads is the mean of the rows, weighted by softmax(u_k . q_j), and is added."""
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(2, 3, 4, 7)), jnp.float32)
    rows = jnp.asarray(draw.normal(size=(2, 6, 7)), jnp.float32)
    net = dictionary.Reader(rows=6, tag=3)
    y, variables = net.init_with_output(jax.random.key(0), x, rows)
    p = variables['params']
    keys = x.reshape(2, 12, 7) @ np.asarray(p['Conv_0']['kernel'])[0, 0]
    weights = softmax(np.einsum('bjt,kt->bjk', keys, p['read_tags']))
    np.testing.assert_allclose(y, x + (weights @ rows).reshape(x.shape), atol=1e-5)


def test_weights_sum_to_one():
    """Where all rows hold the same value, every place reads it; and so do the rows."""
    draw = np.random.default_rng(0)
    query, key = draw.normal(size=(2, 5, 4)) * 30, draw.normal(size=(2, 9, 4)) * 30  # sharp ones
    same = np.broadcast_to(draw.normal(size=(1, 1, 3)), (2, 9, 3))
    got = dictionary.attend(*(jnp.asarray(v, jnp.float32) for v in (query, key, same)))
    np.testing.assert_allclose(got, same[:, :5], rtol=1e-6)


@pytest.mark.parametrize('shared', ['queries', 'keys', 'none'])
@pytest.mark.parametrize('block', [1, 36, 45, 10**6])
def test_blocks_of_attention_are_the_whole(monkeypatch, shared, block):
    """By 1, 4 (which leaves 3 of 7 over), 5 and all queries at a time; gradients too."""
    draw = np.random.default_rng(0)
    shapes = {'queries': (2, 7, 4), 'keys': (2, 9, 4), 'values': (2, 9, 3)}
    given = {
        name: jnp.asarray(draw.normal(size=shape[1:] if name == shared else shape), jnp.float32)
        for name, shape in shapes.items()
    }
    monkeypatch.setattr(dictionary, 'BLOCK', block)

    def whole(queries, keys, values):
        weights = jax.nn.softmax(queries @ jnp.swapaxes(keys, -1, -2), -1)
        return weights @ values

    def loss(attend):
        return lambda given: jnp.sin(attend(**given)).sum()

    np.testing.assert_allclose(dictionary.attend(**given), whole(**given), atol=1e-6)
    got, expected = (jax.grad(loss(f))(given) for f in (dictionary.attend, whole))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), got, expected)


@pytest.mark.parametrize('kind', ['one', 'adain'])
def test_one_row_reads_the_same_everywhere(kind):
    """FD-GAN-1: a constant is added; AdaIN: a gain and a shift a channel. Neither has tags."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 3)), jnp.float32)
    writer = dictionary.Writer(rows=8, length=3, tag=2, kind=kind)
    row, variables = writer.init_with_output(jax.random.key(0), x)
    assert row.shape == (2, 1, 3) and set(variables['params']) == {'Conv_0'}
    reader = dictionary.Reader(rows=8, tag=2, kind=kind)
    y, variables = reader.init_with_output(jax.random.key(1), x, row)
    assert not any('tags' in name for name in variables.get('params', {}))
    if kind == 'one':
        np.testing.assert_allclose(y - x, jnp.broadcast_to(row[:, :, None], x.shape), atol=1e-6)
    else:
        flat = np.stack([np.asarray(x).reshape(2, 16, 3), np.asarray(y).reshape(2, 16, 3)])
        for image in range(2):
            for channel in range(3):
                assert abs(np.corrcoef(flat[:, image, :, channel])[0, 1]) > 1 - 1e-5


def test_paper_sizes():
    """256 x 256: four dictionaries, the finest of 512 rows over 128 x 128 places."""
    hp, image = fdgan.Hparams(), jnp.zeros((2, 2, 256, 256, 3))
    nets = fdgan.networks(hp, DATA)
    batch = Batch(image, jnp.zeros((2, 2, 68, 2)), identity=jnp.zeros(2, jnp.int32))

    def run(key):
        variables = fdgan.init(hp, nets, key, batch)
        apply = frozen_apply(nets, variables)
        written = fdgan._write(hp, apply, image[:, 0], batch.landmarks[:, 0])
        return variables, written, fdgan._read(hp, apply, written, batch.landmarks[:, 1], 256)

    variables, written, made = jax.eval_shape(run, jax.random.key(0))
    assert [v.shape for v in written] == [(2, 512, 32), (2, 256, 64), (2, 128, 128), (2, 64, 256)]
    assert made.shape == (2, 256, 256, 3)
    tags = {
        letter: {v['params'][f'{name}_{i}'][f'{tags}_tags'].shape for i in range(4)}
        for letter, v, name, tags in (
            ('Ext', variables['Ext'], 'Writer', 'write'),
            ('Tra', variables['Tra'], 'Reader', 'read'),
        )
    }
    assert tags['Ext'] == tags['Tra'] == {(512, 32), (256, 32), (128, 32), (64, 32)}


def test_dictionary_depends_on_the_source_alone(built):
    """In the training step another driving frame leaves it bit-equal, another source does not."""
    nets, variables = built

    @jax.jit
    def dictionary(batch):
        seen = []

        def recording(letter, *args, **kwargs):
            result = frozen_apply(nets, variables)(letter, *args, **kwargs)
            if letter == 'Ext':
                seen.append(jax.tree.leaves(result))
            return result

        fdgan.terms(HP, recording, batch)
        return seen[0]

    batch, seen = batch_of(2), []
    one, other = faces(2, 8), faces(2, 9)
    for changed, frame in ((batch, None), (one, 1), (other, 0)):
        if frame is not None:
            image = batch.image.at[:, frame].set(changed.image)
            points = batch.landmarks.at[:, frame].set(changed.landmarks)
            changed = dataclasses.replace(batch, image=image, landmarks=points)
        seen.append(jax.device_get(dictionary(changed)))
    first, driven, sourced = seen
    assert all((a == b).all() for a, b in zip(first, driven, strict=True))
    assert all((a != b).any() for a, b in zip(first, sourced, strict=True))


def test_one_source_serves_many_frames(built):
    nets, variables = built
    source, driving = faces(1, 6), faces(3, 7)
    look = fdgan.encode(HP, nets, variables, source)
    render = jax.jit(lambda look, points: fdgan.render(HP, nets, variables, look, points))
    frames = render(look, driving.landmarks)
    assert frames.shape == (3, SIDE, SIDE, 3) and np.abs(frames).max() <= 1
    np.testing.assert_allclose(frames[1:2], render(look, driving.landmarks[1:2]), atol=1e-5)
    assert np.abs(frames[0] - frames[1]).max() > 1e-3
    other = render(fdgan.encode(HP, nets, variables, faces(1, 9)), driving.landmarks)
    assert np.abs(frames - other).max() > 1e-3


def test_losses_are_equations_10_to_12():
    """By hand, from logits that are given: D and C see x_T and the result, in this order."""
    hp = dataclasses.replace(HP, lambda_rec=50.0, lambda_d=2.0, lambda_c=3.0)
    batch, draw = batch_of(2), np.random.default_rng(0)
    fake = draw.uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)
    d = draw.normal(size=(2, 2, 4, 4, 1))  # [row, (real, fake), ...]
    c = draw.normal(size=(2, 2, 4, 4, 3))

    def apply(letter, *args):
        if letter in 'DC':
            rows = np.stack([batch.image[:, 0], fake], 1).reshape(args[0].shape)
            np.testing.assert_array_equal(args[0], rows)
            return jnp.asarray(d if letter == 'D' else c, jnp.float32).reshape(4, 4, 4, -1)
        return jnp.asarray(fake) if letter == 'Tra' else [jnp.zeros((2, 1, 1))]

    values, _ = fdgan.terms(hp, apply, batch)
    p = softmax(c)[np.arange(2), ..., np.asarray(batch.identity)]  # [row, (real, fake), 4, 4]
    rec = ((fake - np.asarray(batch.image[:, 1])) ** 2).mean()
    total = 50 * rec + 2 * (d[:, 1] ** 2).mean() - 3 * np.log(p[:, 1]).mean()
    assert float(values['G']) == pytest.approx(total, rel=1e-5)
    d_loss = ((d[:, 0] - 1) ** 2).mean() + ((d[:, 1] + 1) ** 2).mean()
    assert float(values['D']) == pytest.approx(d_loss, rel=1e-5)
    c_loss = -np.log(p[:, 0]).mean() - np.log(1 - p[:, 1]).mean()
    assert float(values['C']) == pytest.approx(c_loss, rel=1e-5)


def test_step_moves_every_net_by_its_own_player(built):
    nets, variables = built
    (stage,) = fdgan.stages(HP, DATA)
    assert stage.players == {'G': ('Ext', 'Tra'), 'D': ('D',), 'C': ('C',)}
    run = quick.jit(step.train_step(stage, nets))
    state, metrics = run(step.start(stage, variables), {}, batch_of(4))
    for letter, most in quick.change(variables, state.variables, 'params').items():
        # RMSprop's first step: rate / sqrt(1 - decay) for every gradient that is not tiny.
        assert most == pytest.approx(HP.rate / np.sqrt(1 - HP.decay), rel=0.05), letter
    assert all(float(metrics[f'skipped/{player}']) == 0 for player in stage.players)


@pytest.mark.parametrize('kind', ['one', 'adain'])
def test_baselines_run(kind):
    hp = dataclasses.replace(HP, dictionary=kind, lambda_d=0.0, lambda_c=0.0)
    nets, variables = build(hp)
    assert set(nets) == {'Ext', 'Tra'}
    values, _ = fdgan.terms(hp, frozen_apply(nets, variables), batch_of(2))
    assert set(values) == {'G'} and np.isfinite(values['G'])


def test_landmark_image_by_parts():
    """A channel a part; all lines together are their maximum."""
    layout = layouts.layout('68')
    points = faces(2).landmarks
    parts = lm.landmark_image(points, layout, SIDE, 1.0, 'parts')
    assert (
        parts.shape == (2, SIDE, SIDE, lm.image_channels(layout, 'parts'))
        and len(layout.parts) == parts.shape[-1]
    )
    one = lm.landmark_image(points, layout, SIDE, 1.0)
    np.testing.assert_allclose(one[..., 0], parts.max(-1), atol=1e-6)
    moved = lm.landmark_image(points.at[:, 48:].add(2.0), layout, SIDE, 1.0, 'parts')
    changed = np.abs(moved - parts).max((0, 1, 2)) > 1e-3
    names = np.array(list(layout.parts))[changed]
    assert set(names) == {'outer_lips', 'inner_lips'}


def test_errors():
    with pytest.raises(UserError, match=r'hparams\.rows: 1 levels, hparams.widths has 2'):
        fdgan.networks(dataclasses.replace(HP, rows=(4,)), DATA)
    with pytest.raises(UserError, match='at least 2 identities'):
        fdgan.networks(HP, DataInfo(1, 4))
    hp = dataclasses.replace(HP, widths=(4,) * 4, rows=(4,) * 4)
    with pytest.raises(UserError, match='multiple of 16'):
        build(hp)
