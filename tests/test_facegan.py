"""FACEGAN: LT's, G_r's and G_b's losses by hand, what is unknown, what moves, where results lie."""

import dataclasses

import bundles
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick
from fakes import fake_shards

from reenact_jax.common.errors import UserError
from reenact_jax.configs import facegan as configs
from reenact_jax.data.tracks import BACKGROUND, FACE, HAIR, UNKNOWN, Batch, DataInfo, Face
from reenact_jax.evaluate import cases
from reenact_jax.evaluate.papers import mixing
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts
from reenact_jax.systems import facegan
from reenact_jax.systems.facegan import faces, lt, mixer, reenactor
from reenact_jax.train import step

HP = facegan.Hparams(**(configs.PRESETS['tiny'] | dict(downs=2, blocks=1)))
DATA, SIDE = DataInfo(identities=4, examples=40), 32
RNG = jax.random.key(0)


def batch_of(rows, seed=0):
    draw = np.random.default_rng(seed)
    return jax.tree.map(
        jnp.asarray,
        Batch(
            image=draw.uniform(-1, 1, (rows, 2, SIDE, SIDE, 3)).astype(np.float32),
            landmarks=draw.uniform(6, SIDE - 6, (rows, 2, 68, 2)).astype(np.float32),
            aus=draw.uniform(0, 1, (rows, 2, 20)).astype(np.float32),
            aus_valid=np.ones((rows, 2, 20), bool),
            segmentation=draw.choice(
                np.uint8([BACKGROUND, FACE, HAIR, UNKNOWN]), (rows, 2, SIDE, SIDE)
            ),
            identity=np.arange(rows),
        ),
    )


@pytest.fixture(scope='module')
def built():
    nets = facegan.networks(HP, DATA)
    init = jax.jit(lambda key: facegan.init(HP, nets, key, batch_of(2)))
    return nets, init(jax.random.key(0))


@pytest.fixture(scope='module')
def vgg():
    return facegan.constants(HP)


def pinned(points, of):
    """Points from the middle between the eyes, in half boxes of the source."""
    corners = np.asarray(points)[:, [36, 39, 42, 45]].mean(1, keepdims=True)
    return (points - corners) / lm.box(of)[1][:, None, None]


def test_landmark_losses_by_hand():
    """Eqs. 1 to 4; action unit 3 of the first row is unknown: neither given nor judged."""
    hp = facegan.Hparams(lambda_lr=0.5, lambda_l1=2.0, lambda_l2=3.0, lambda_l3=5.0)
    batch, draw = batch_of(4), np.random.default_rng(1)
    batch = dataclasses.replace(batch, aus_valid=batch.aus_valid.at[0, 1, 3].set(False))
    shift, guess = draw.normal(size=(4, 136)) * 0.1, draw.normal(size=(4, 2, 20))
    given = {}

    def apply(letter, *args):
        given[letter] = args
        return jnp.asarray(shift if letter == 'LT' else guess.reshape(8, 20), jnp.float32)

    values, _, points = lt.terms(hp, apply, batch, RNG)
    source, driving, aus = batch.landmarks[:, 0], batch.landmarks[:, 1], np.array(batch.aus[:, 1])
    truth = pinned(driving, source)
    made = pinned(source, source) + shift.reshape(4, 68, 2)
    np.testing.assert_allclose(given['LT'][0], pinned(source, source), atol=1e-5)
    np.testing.assert_allclose(given['LT'][1][0, 3], 0)
    np.testing.assert_allclose(given['LT'][1][1:], aus[1:])
    np.testing.assert_allclose(given['La'][0][1::2], truth, atol=1e-5)
    known = np.ones((4, 20))
    known[0, 3] = 0
    au, regress = ((np.abs(guess[:, i] - aus) * known).sum() / 79 for i in (0, 1))
    edges = layouts.layout('68').edges
    lengths = [
        np.linalg.norm(x[:, edges[:, 1]] - x[:, edges[:, 0]], axis=-1) for x in (made, truth)
    ]
    lines = np.abs(lengths[0] - lengths[1]).mean()
    by_hand = 2 * (np.abs(made - truth).mean() + 0.5 * (shift**2).mean()) + 3 * au + 5 * lines
    assert float(values['LT']) == pytest.approx(by_hand, rel=1e-5)
    assert float(values['La']) == pytest.approx(regress, rel=1e-5)
    vectors = np.abs((made - truth)[:, edges[:, 1]] - (made - truth)[:, edges[:, 0]]).mean()
    other = lt.terms(dataclasses.replace(hp, lines='vectors'), apply, batch, RNG)[1]
    assert float(other['lines']) == pytest.approx(vectors, rel=1e-5)
    printed = dataclasses.replace(hp, la_on_generated=True)
    assert float(lt.terms(printed, apply, batch, RNG)[0]['La']) == pytest.approx(
        au + regress, rel=1e-5
    )
    # l_t in pixels has its eyes where l_d has them, but for what the shift moves.
    unit = np.asarray(lm.box(source)[1])[:, None, None]
    where = np.asarray(points) - shift.reshape(4, 68, 2) * unit
    np.testing.assert_allclose(lm.eye_middle(where), lm.eye_middle(driving), atol=1e-3)


def test_lt_is_told_which_units_are_known_and_learns_with_some_hidden():
    hp = facegan.Hparams(units_known=True, drop_units=0.4)
    batch, given = batch_of(64), {}
    batch = dataclasses.replace(batch, aus_valid=batch.aus_valid.at[:, 1, 3].set(False))

    def apply(letter, *args):
        given[letter] = args
        return jnp.zeros((64, 136) if letter == 'LT' else (128, 20))

    _, metrics, _ = lt.terms(hp, apply, batch, RNG)
    _, aus, told = map(np.asarray, given['LT'])
    assert set(np.unique(told)) == {0, 1}
    np.testing.assert_array_equal(aus, np.where(told, batch.aus[:, 1], 0))
    assert not told[:, 3].any() and told[:, 17:].all()  # unknown; the angles
    assert told[:, [0, 16]].mean() == pytest.approx(0.6, abs=0.1)
    # What is hidden is judged: only unit 3 is not.
    known = np.delete(np.asarray(batch.aus[:, 1]), 3, 1)
    assert float(metrics['au']) == pytest.approx(np.abs(known).mean(), rel=1e-5)
    other = lt.terms(hp, apply, batch, jax.random.key(1))[1]
    assert float(other['au']) == pytest.approx(float(metrics['au']))
    assert (np.asarray(given['LT'][2]) != told).any()
    # In use nothing is hidden. Without the fields LT gets no flags.
    lt.moved(hp, apply, batch.landmarks[:, 1], batch.aus[:, 1], batch.aus_valid[:, 1])
    np.testing.assert_array_equal(given['LT'][2], batch.aus_valid[:, 1])
    lt.moved(facegan.Hparams(), apply, batch.landmarks[:, 1], batch.aus[:, 1], jnp.ones((64, 20)))
    assert len(given['LT']) == 2
    nets = facegan.networks(dataclasses.replace(HP, units_known=True), DATA)
    assert facegan.init(dataclasses.replace(HP, units_known=True), nets, RNG, batch_of(2))


def test_no_shift_gives_the_source_where_the_driver_moves(built):
    nets, variables = built
    variables = variables | {'LT': jax.tree.map(jnp.zeros_like, variables['LT'])}
    batch = batch_of(2, 3)
    source, first = (Face(landmarks=batch.landmarks[i : i + 1, 0]) for i in (0, 1))
    by = jnp.asarray([[[0.0, 0.0]], [[3.0, -1.0]]])
    driving = Face(landmarks=first.landmarks + by, aus=batch.aus[:, 0], aus_valid=jnp.ones((2, 20)))
    identity = facegan.identify(HP, nets, variables, source)
    moved = facegan.transfer(HP, nets, variables, identity, driving, first)
    scale = lm.box(source.landmarks)[1] / lm.box(first.landmarks)[1]
    np.testing.assert_allclose(moved, source.landmarks + by * float(scale[0]), atol=1e-4)


def test_reenactor_losses_by_hand():
    """Eqs. 5 to 8: both images without background, unknown pixels in none of the terms."""
    hp, batch = dataclasses.replace(HP, lambda_r1=2.0, lambda_r2=0.0, lambda_r4=3.0), batch_of(2)
    draw = np.random.default_rng(4)
    made = draw.uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)
    logits = draw.normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)
    judged = draw.normal(size=(2, 2, 3, 3, 1)).astype(np.float32)

    def run(made, image, logits=logits):
        def apply(letter, *args, method=None):
            if letter == 'D_r1':
                return [jnp.asarray(judged.reshape(4, 3, 3, 1))]
            return jnp.asarray(made), jnp.asarray(logits)

        now = dataclasses.replace(batch, image=jnp.asarray(image))
        points = batch.landmarks[:, 1]
        return reenactor.terms(hp, apply, {}, now, points, False)

    value, against, _, cut = run(made, batch.image)
    classes, truth = np.asarray(batch.segmentation[:, 1]), np.asarray(batch.image[:, 1])
    share = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    soft = share[..., [FACE]] + share[..., [HAIR]]
    known, head = (classes != UNKNOWN)[..., None], np.isin(classes, (FACE, HAIR))[..., None]
    pixels = np.abs(soft * made * known - truth * head).mean()
    label = np.where(classes == UNKNOWN, 0, classes)
    each = -np.log(np.take_along_axis(share, label[..., None].astype(int), -1))
    entropy = each[known].mean()
    by = ((judged[:, 1] - 1) ** 2).mean()
    assert float(value) == pytest.approx(2 * pixels + by + 3 * entropy, rel=1e-5)
    assert float(against) == pytest.approx(
        ((judged[:, 0] - 1) ** 2).mean() + (judged[:, 1] ** 2).mean(), rel=1e-5
    )
    np.testing.assert_allclose(cut, soft * made, atol=1e-6)
    # What is drawn or shown where the class is unknown changes no loss.
    other = np.where(known, made, -made)
    shown = np.array(batch.image)
    shown[:, 1] = np.where(known, truth, 0.3)
    assert float(run(other, shown, np.where(known, logits, 0))[0]) == pytest.approx(float(value))


def test_landmarks_are_drawn_as_points():
    points = jnp.asarray([[[8.5, 4.5], [20.5, 30.5]]])
    drawn = faces.drawn(dataclasses.replace(HP, sigma=16.0), points, SIDE)  # 2 pixels at 32
    assert drawn.shape == (1, SIDE, SIDE, 1)
    assert float(drawn[0, 4, 8, 0]) == float(drawn[0, 30, 20, 0]) == 1
    assert float(drawn[0, 4, 10, 0]) == pytest.approx(np.exp(-0.5), rel=1e-4)
    slope = jax.grad(lambda p: faces.drawn(HP, p, SIDE)[0, 4, 9, 0])(points)
    assert slope[0, 0, 0] > 0 and slope[0, 1, 0] == 0


def test_mixer_by_hand():
    """Eqs. 9 to 11; the source's hair and face are cut out, what is unknown stays."""
    hp = dataclasses.replace(HP, lambda_b1=2.0, lambda_b2=3.0, lambda_b3=0.0, lambda_b5=5.0)
    batch, draw = batch_of(2), np.random.default_rng(5)
    cut, content = draw.uniform(-1, 1, (2, 2, SIDE, SIDE, 3)).astype(np.float32)
    logit = draw.normal(size=(2, SIDE, SIDE, 1)).astype(np.float32)
    given = {}

    def apply(letter, *args, method=None):
        given[letter] = args
        if letter == 'D_b1':
            return [jnp.zeros((4, 3, 3, 1))]
        return jnp.asarray(content), jnp.asarray(logit)

    value, against, metrics = mixer.terms(hp, apply, {}, batch, jnp.asarray(cut), False)
    classes = np.asarray(batch.segmentation[:, 0])[..., None]
    behind = np.where(np.isin(classes, (FACE, HAIR)), 0, batch.image[:, 0])
    np.testing.assert_allclose(given['G_b1'][0], np.concatenate([cut, behind], -1), atol=1e-6)
    mask = 1 / (1 + np.exp(-logit))
    made = mask * content + (1 - mask) * behind
    variation = (np.diff(mask, axis=1) ** 2).mean() + (np.diff(mask, axis=2) ** 2).mean()
    l1 = np.abs(made - batch.image[:, 1]).mean()
    by_hand = 2 * variation + 3 * (mask**2).mean() + 1 + 5 * l1
    assert float(value) == pytest.approx(by_hand, rel=1e-5)
    assert float(against) == pytest.approx(1) and float(metrics['b/l1']) == pytest.approx(l1)


STAGES = {
    'lt': {'LT', 'La'},
    'reenactor_half': {'G_r1', 'D_r1'},
    'reenactor': {'G_r1', 'G_r2', 'D_r2'},
    'mixer_half': {'G_b1', 'D_b1'},
    'mixer': {'G_b1', 'G_b2', 'D_b2'},
    'joint': {'LT', 'La', 'G_r1', 'G_r2', 'G_b1', 'G_b2', 'D_r2', 'D_b2'},
}


def test_the_reenactor_in_fsgans_manner():
    """Another inner network for G_r alone, with a gradient to all of its parameters."""
    hp = dataclasses.replace(HP, reenactor='msrunet')
    nets = facegan.networks(hp, DATA)
    assert (nets['G_r1'].variant, nets['G_b1'].variant) == ('msrunet', 'unet')
    batch = batch_of(2)

    @quick.jit
    def slope(key):
        variables = facegan.init(hp, nets, key, batch)

        def loss(params):
            def apply(letter, *args, method=None):
                own = params[letter] if letter in params else variables[letter]
                return nets[letter].apply(own, *args, method=method)

            source, points = batch.image[:, 0], batch.landmarks[:, 1]
            image, logits = reenactor.draw(hp, apply, source, points, True)
            assert image.shape == logits.shape == (2, SIDE, SIDE, 3)
            return (image**2).sum() + (logits**2).sum()

        return jax.grad(loss)({name: variables[name] for name in facegan.REENACTOR})

    sizes = [float(jnp.abs(g).max()) for g in jax.tree.leaves(slope(jax.random.key(1)))]
    heads = 4  # of G_r1, which its enhancer does not call
    assert sum(size == 0 for size in sizes) <= heads
    plain = jax.eval_shape(lambda: facegan.init(HP, facegan.networks(HP, DATA), RNG, batch))
    residual = jax.eval_shape(lambda: facegan.init(hp, nets, RNG, batch))
    assert jax.tree.structure(plain['G_r1']) != jax.tree.structure(residual['G_r1'])
    assert jax.tree.structure(plain['G_b1']) == jax.tree.structure(residual['G_b1'])


def test_stages_in_order():
    assert [stage.name for stage in facegan.stages(HP, DATA)] == list(STAGES)


@pytest.mark.parametrize('name', STAGES)
def test_only_the_declared_networks_move(built, vgg, name):
    nets, variables = built
    stage = facegan.stages(HP, DATA)[list(STAGES).index(name)]
    run = quick.jit(step.train_step(stage, nets))
    state, metrics = run(step.start(stage, variables), vgg if name == 'joint' else {}, batch_of(2))
    change = quick.change(variables, state.variables)
    assert {letter for letter, most in change.items() if most > 0} == STAGES[name]
    assert all(np.isfinite(float(value)) for value in metrics.values())


def test_joint_gradients_go_through_the_drawn_landmarks(built, vgg):
    """The images' losses alone move LT."""
    nets, variables = built
    hp = dataclasses.replace(HP, lambda_l1=0.0, lambda_l2=0.0, lambda_l3=0.0, sigma=16.0)
    batch = batch_of(2)

    @quick.jit
    def slope(params):
        def loss(params):
            def apply(letter, *args, method=None):
                own = params if letter == 'LT' else variables[letter]
                return nets[letter].apply(own, *args, method=method)

            return facegan._joint_terms(hp, apply, vgg, batch, RNG)[0]['G']

        return jax.grad(loss)(params)

    size = max(float(jnp.abs(g).max()) for g in jax.tree.leaves(slope(variables['LT'])))
    assert size > 1e-6


def test_another_background_gets_the_same_hole(built):
    nets, variables = built
    batch = batch_of(2)
    source = Face(image=batch.image[:1, 0], landmarks=batch.landmarks[:1, 0])
    encode = jax.jit(lambda source, scene: facegan.encode(HP, nets, variables, source, scene))
    own, scene = encode(source, None), jnp.ones_like(source.image)
    other = encode(source, scene)
    share = np.asarray(own['background'] / source.image)
    np.testing.assert_allclose(other['background'], share, atol=1e-3)
    known = dataclasses.replace(source, segmentation=batch.segmentation[:1, 0])
    marked = encode(known, scene)['background']
    head = np.isin(batch.segmentation[:1, 0], (FACE, HAIR))
    np.testing.assert_array_equal(marked[..., 0], 1.0 - head)
    render = jax.jit(lambda look: facegan.render(HP, nets, variables, look, batch.landmarks[:, 1]))
    frames = render(own)
    assert frames.shape == (2, SIDE, SIDE, 3) and float(np.abs(frames).max()) <= 1
    assert float(np.abs(render(other) - frames).max()) > 0.01


def test_halves_alone():
    only = facegan.Hparams(**configs.LT)
    assert set(facegan.networks(only, DATA)) == {'LT', 'La'} and facegan.constants(only) == {}
    assert [stage.name for stage in facegan.stages(only, DATA)] == ['lt']
    images = dataclasses.replace(HP, lt_steps=0, joint_steps=0)
    assert 'LT' not in facegan.networks(images, DATA)
    with pytest.raises(UserError, match='all are 0'):
        facegan.networks(dataclasses.replace(only, lt_steps=0), DATA)
    with pytest.raises(UserError, match='a multiple of 64 and at least 128, the data has 32'):
        deep = dataclasses.replace(HP, downs=5)
        facegan.init(deep, facegan.networks(deep, DATA), jax.random.key(0), batch_of(2))


@pytest.fixture(scope='module')
def trained_model():
    return bundles.units_model()


def test_mixing_by_hand(trained_model, tmp_path):
    """M on background that both frames show, the result and the pasted face against the truth."""
    model = trained_model
    part = fake_shards(tmp_path, identities=2, tracks=1, frames=3, size=bundles.SIZE)
    found = mixing.measure({'m': model}, part, 1)['m']
    track = part.track(0)
    source, truth = cases.source_and_truth(track, model.size, '68')
    classes = mixing.segmentation(track, model.size)

    @jax.jit
    def layers(source, classes, points):
        face = Face(source['image'], source['landmarks'], segmentation=classes[:1])
        look = facegan.encode(*model.model, face)
        return facegan.pieces(*model.model, look, points)

    known = {name: source[name] for name in ('image', 'landmarks')}
    made = jax.device_get(layers(known, classes, truth['landmarks']))
    pasted = made['face'] + (1 - made['share']) * source['image']
    assert found['result'] == pytest.approx(
        np.abs(made['result'] - truth['image']).mean(), rel=1e-4
    )
    assert found['pasted'] == pytest.approx(np.abs(pasted - truth['image']).mean(), rel=1e-4)
    both = [(classes[0] == BACKGROUND) & (one == BACKGROUND) for one in classes[1:]]
    behind = np.mean([m[..., 0][b].mean() for m, b in zip(made['mask'], both, strict=True)])
    assert found['background'] == pytest.approx(behind, rel=1e-4)
    head = [np.isin(one, (FACE, HAIR)) for one in classes[1:]]
    on = np.mean([m[..., 0][h].mean() for m, h in zip(made['mask'], head, strict=True)])
    assert found['head'] == pytest.approx(on, rel=1e-4)


def test_mixing_needs_a_mixer_and_masks(trained_model, tmp_path):
    part = fake_shards(tmp_path / 'a', identities=2, tracks=1, size=bundles.SIZE)
    with pytest.raises(UserError, match='aan has no trained background mixer'):
        mixing.measure({'m': bundles.image_model()}, part, 1)
    blind = fake_shards(tmp_path / 'b', frames=2, size=bundles.SIZE, segmentation=(b'', b''))
    with pytest.raises(UserError, match='its masks are unknown'):
        mixing.measure({'m': trained_model}, blind, 1)


@pytest.mark.parametrize('conditional', [False, True])
def test_what_the_discriminators_see(conditional):
    """The image alone, or the generator's input beside it; as many scales as asked for."""
    hp = dataclasses.replace(HP, conditional=conditional, scales=3)
    nets = facegan.networks(hp, DATA)
    seen = []

    def apply(letter, *args):
        seen.append(len(args))
        key = jax.random.key(0)
        logits = jax.eval_shape(lambda: nets[letter].init_with_output(key, *args)[0])
        return [jnp.zeros(one.shape) for one in logits]

    image = jnp.zeros((2, SIDE, SIDE, 3))
    reenactor.adversarial(hp, apply, 'D_r2', image, image, jnp.zeros((2, SIDE, SIDE, 4)))
    assert seen == [1 + conditional]
    assert nets['D_b1'].scales == 3
