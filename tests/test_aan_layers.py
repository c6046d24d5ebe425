"""What is ours beside the paper's AAN: prior, masks, parts laid over, in training and in use."""

import dataclasses

import heads_of_points
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick
from heads_of_points import face_points

from reenact_jax.common.errors import UserError
from reenact_jax.configs import aan as configs
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry import composition, flows, folds, images, layouts
from reenact_jax.geometry.layers import Layers, Part
from reenact_jax.nets import frozen_apply
from reenact_jax.systems import aan
from reenact_jax.systems.aan import generator
from reenact_jax.systems.aan.terms import _painted
from reenact_jax.train import step

HP = dataclasses.replace(aan.Hparams(**configs.PRESETS['tiny']), lambda_gan=0.0, prior_grid=48)
DATA, SIDE = DataInfo(identities=4, examples=4), 32
FOLDS = tuple(folds.of_layout(layouts.LAYOUTS['68']).values())


def faces(rows, seed=0):
    draw = np.random.default_rng(seed)
    points = draw.uniform(6, SIDE - 6, (rows, 68, 3)).astype(np.float32)
    image = draw.uniform(-1, 1, (rows, SIDE, SIDE, 3)).astype(np.float32)
    return Face(jnp.asarray(image), jnp.asarray(points[..., :2]), jnp.asarray(points))


def batch_of(rows):
    a, b = faces(rows, 1), faces(rows, 2)
    image = jnp.stack([a.image, b.image], 1)
    points = jnp.stack([a.landmarks3d, b.landmarks3d], 1)
    return Batch(image, points[..., :2], points, identity=jnp.arange(rows))


@pytest.fixture(scope='module')
def built():
    nets = aan.networks(HP, DATA)
    return nets, jax.jit(lambda key: aan.init(HP, nets, key, batch_of(2)))(jax.random.key(0))


def test_untrained_it_is_the_landmark_flow_of_the_source_for_the_most_part(built):
    nets, variables = built
    a, b = faces(1, 3), faces(2, 4)
    free, apply = dataclasses.replace(HP, unseen=False), frozen_apply(nets, variables)

    def some(letter, *given):
        """Without what is unseen, which the last inputs tell of."""
        if letter == 'G_f':
            *given, seen = given
            given.append(jnp.pad(seen, ((0, 0),) * 3 + ((0, 1),)))
        if letter == 'G_local':
            given = [{n: jnp.pad(x, ((0, 0),) * 3 + ((0, 2),)) for n, x in given[0].items()}]
        return apply(letter, *given)

    @jax.jit
    def run():
        return generator.draw(
            free, some, generator.encode(free, some, a.image, a.landmarks), b.landmarks
        )

    made = run()
    source = jnp.repeat(a.landmarks, 2, 0)
    prior = flows.landmark_flow(source, b.landmarks, SIDE, SIDE, folds=FOLDS)
    np.testing.assert_allclose(made.flow, prior, atol=1e-4)
    assert 0.8 < made.layers.mask.mean() < 0.95  # sigmoid(2) is 0.88
    assert all(part.alpha.max() < 0.5 for part in made.layers.parts.values())
    assert 'mouth_inside' in made.layers.parts
    np.testing.assert_allclose(made.image, composition.compose(made.layers, a.image), atol=1e-6)


def test_a_still_driver_with_a_full_mask_gives_the_source_bit_for_bit(built):
    nets, variables = built
    a = faces(1, 3)
    apply = frozen_apply(nets, variables)

    def full(letter, *args):
        made = apply(letter, *args)
        if letter == 'G_f':
            return made[0], jnp.ones_like(made[1])
        if letter == 'G_local':
            return {name: x.at[..., 3:].set(0) for name, x in made.items()}
        return made

    look = generator.encode(HP, full, a.image, a.landmarks)
    made = generator.draw(HP, full, look, a.landmarks)
    np.testing.assert_array_equal(made.flow, 0)
    np.testing.assert_array_equal(made.image, a.image)


def test_in_use_the_flow_has_a_finer_grid_and_render_is_the_composition(built):
    nets, variables = built
    a, b = faces(1, 3), faces(2, 4)

    @jax.jit
    def run():
        look = aan.encode(HP, nets, variables, a)
        return tuple(f(HP, nets, variables, look, b.landmarks) for f in (aan.layers, aan.render))

    made, image = run()
    assert made.flow.shape == (2, 48, 48, 2) and made.mask.shape == (2, SIDE, SIDE, 1)
    np.testing.assert_allclose(image, composition.compose(made, a.image), atol=1e-5)
    part = made.parts['mouth']
    assert part.image.shape == (2, 48, 48, 3)  # part_size, whatever the image's
    assert part.alpha[:, 0].max() < 0.1 * part.alpha.max()


def test_what_is_painted_is_counted_by_its_area():
    """Half of the image by the mask, and a part of 8 pixels' side in one of 32, half opaque."""
    frame = jnp.array([[[0.5, 0, 3], [0, 0.5, 7]]])
    part = Part(jnp.zeros((1, 16, 16, 3)), jnp.full((1, 16, 16, 1), 0.5), frame)
    one = jnp.ones((1, 32, 32, 1))
    made = Layers(jnp.zeros((1, 32, 32, 2)), 0.5 * one, 0 * one, {'nose': part})
    assert float(_painted(made)) == pytest.approx(0.5 + 0.5 * (8 / 32) ** 2)


def test_every_net_learns_from_the_composed_image(built):
    nets, variables = built
    (stage,) = aan.stages(HP, DATA)
    run = quick.jit(step.train_step(stage, nets))
    state, metrics = run(step.start(stage, variables), aan.constants(HP), batch_of(4))
    for letter, most in quick.change(variables, state.variables, 'params').items():
        assert most == pytest.approx(HP.rate, rel=0.05), letter
    assert 0 < metrics['painted'] < 2
    total = HP.lambda_c * (metrics['l1'] + metrics['perceptual'])
    total += HP.lambda_local * metrics['local'] + HP.lambda_mask * metrics['painted']
    total += HP.lambda_regions * metrics['regions']
    assert float(metrics['loss/G']) == pytest.approx(float(total), rel=1e-4)
    own = {'G_local': variables['G_local']['params']}
    heads = [name for name in own['G_local'] if name.endswith('_mask')]
    assert len(heads) == 5
    for head in heads:
        before, after = own['G_local'][head], state.variables['G_local']['params'][head]
        assert np.abs(after['gain'] - before['gain']).max() > 0, head


def test_what_the_source_does_not_show_is_painted(built):
    """Where the flow leads out of the source, the mask gives way."""
    nets, variables = built
    a = faces(1, 3)
    apply = frozen_apply(nets, variables)
    look = generator.encode(HP, apply, a.image, a.landmarks)
    made = generator.draw(HP, apply, look, a.landmarks + jnp.array([[[0.0, 20.0]]]))
    bare = made.layers._replace(parts={})
    image = composition.compose(bare, a.image)
    np.testing.assert_allclose(image[:, :18], made.layers.paint[:, :18], atol=1e-5)


@pytest.mark.parametrize('name', ['part_masks', 'occlusion', 'unseen'])
def test_what_needs_a_mask(name):
    plain = dataclasses.replace(HP, mask=False, part_masks=False, occlusion=False, unseen=False)
    with pytest.raises(UserError, match=rf'hparams\.{name}.*mask'):
        aan.networks(dataclasses.replace(plain, **{name: True}), DATA)


def test_what_fen_adds_is_bounded(built):
    nets, variables = built
    a, b = faces(1, 3), faces(1, 4)
    frozen = frozen_apply(nets, variables)

    def apply(network, *given):
        made = frozen(network, *given)
        return 5.0 + 0 * made if network == 'FEN' else made

    def flow(bound):
        hp = dataclasses.replace(HP, flow_bound=bound)
        look = generator.encode(hp, apply, a.image, a.landmarks)
        return generator.draw(hp, apply, look, b.landmarks).layers.flow

    prior = flows.landmark_flow(a.landmarks, b.landmarks, SIDE, SIDE, folds=FOLDS)
    np.testing.assert_allclose(flow(0.0) - prior, 5.0, atol=1e-4)
    np.testing.assert_allclose(flow(0.1) - prior, 0.1, atol=1e-4)


def test_in_use_the_flow_ends_beyond_the_face(built):
    """The background of `render` stays; on the face it moves; layers carry the whole flow."""
    nets, variables = built
    a = faces(1, 3)
    points = jnp.asarray(face_points(SIDE // 2)[None] + SIDE / 4)
    points = jnp.pad(points, ((0, 0), (0, 0), (0, 1)))
    source = Face(a.image, points[..., :2], points)
    driving = points + jnp.array([[[1.5, -1.0, 0]]])

    def layers(reach):
        hp = dataclasses.replace(HP, prior_reach=reach)
        look = aan.encode(hp, nets, variables, source)
        return aan.layers(hp, nets, variables, look, driving)

    short, full = layers(True), layers(False)
    assert full.reach is None
    np.testing.assert_array_equal(short.flow, full.flow)
    used = composition.reached(short).flow[0]
    rows, columns = np.int32(driving[0, :, 1] * 1.5), np.int32(driving[0, :, 0] * 1.5)
    np.testing.assert_allclose(used[rows, columns], full.flow[0][rows, columns], rtol=0.04)
    corners = jnp.array([0, 0, -1]), jnp.array([0, -1, 0])
    np.testing.assert_array_equal(used[corners], 0)
    assert np.abs(full.flow[0][corners]).min() > 0.03


def test_depth_reaches_the_mask_alone(built):
    """Depth that is known changes what is trusted; unknown depth is as if there were none."""
    nets, variables = built
    a, b = faces(1, 3), faces(1, 4)
    apply = frozen_apply(nets, variables)

    @jax.jit
    def run(source, driving):
        look = generator.encode(HP, apply, a.image, source)
        return generator.draw(HP, apply, look, driving).layers

    unknown = [jnp.pad(face.landmarks, ((0, 0), (0, 0), (0, 1))) for face in (a, b)]
    with_depth, without = run(a.landmarks3d, b.landmarks3d), run(*unknown)
    flat = run(a.landmarks, b.landmarks)
    assert np.abs(with_depth.mask - without.mask).max() > 1e-4
    np.testing.assert_array_equal(with_depth.flow, without.flow)
    np.testing.assert_array_equal(flat.mask, without.mask)


def test_nothing_is_painted_where_the_source_shows_it(built):
    """A face that moves a little: warped alone, but for a mouth that opens; that is all paint."""
    nets, variables = built
    apply = frozen_apply(nets, variables)
    still = heads_of_points.face_points(SIDE)[None]
    shut, fold = still.copy(), FOLDS[2]
    for row in (fold.upper, fold.lower):
        shut[:, list(row), 1] = still[0, list(fold.corners), 1].mean()
    image = faces(1, 3).image

    @jax.jit
    def run(source, driving):
        look = generator.encode(HP, apply, image, source)
        return generator.draw(HP, apply, look, driving).layers

    same = run(still, still + 1.0)
    np.testing.assert_array_equal(same.mask, 1)
    assert max(float(part.alpha.max()) for part in same.parts.values()) == 0
    opens = run(shut, still)
    alpha = opens.parts['mouth_inside'].alpha
    assert alpha[:, 24, 24] > 0.99 and alpha[:, 8, 8] == 0
    closes = run(still, shut)
    assert closes.parts['mouth_inside'].alpha[:, 24, 24] < 0.5


@pytest.mark.parametrize('upscale', ['shuffle', 'shuffle_soft', 'resize'])
def test_ways_to_double_the_size(upscale):
    hp = dataclasses.replace(HP, upscale=upscale)
    nets = aan.networks(hp, DATA)
    shapes = jax.eval_shape(lambda key: aan.init(hp, nets, key, batch_of(2)), jax.random.key(0))
    widths = [v['kernel'].shape[-1] for n, v in shapes['G_f']['params'].items() if 'Conv' in n]
    assert (4 * hp.fusion[1] in widths) == (upscale != 'resize')


def test_preview_shows_mask_and_paint(built):
    nets, variables = built
    pictures = jax.jit(lambda b: aan.preview(HP, nets, variables, b))(batch_of(2))
    assert {'mask', 'paint'} <= set(pictures)
    source, driving = (batch_of(2).landmarks[:, frame] for frame in (0, 1))
    flow = flows.landmark_flow(source, driving, SIDE, SIDE, folds=FOLDS)
    warped = images.warp(batch_of(2).image[:, 0], flow)
    np.testing.assert_allclose(pictures['warped'], warped, atol=1e-4)
