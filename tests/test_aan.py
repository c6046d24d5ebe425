"""AAN: what sees what, how it starts, what a step moves, its losses, its ablations."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick

from reenact_jax.common.errors import UserError
from reenact_jax.configs import aan as configs
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry.layouts import LOCAL_PARTS
from reenact_jax.nets import frozen_apply
from reenact_jax.systems import aan
from reenact_jax.systems.aan import generator
from reenact_jax.systems.aan.terms import _adversarial
from reenact_jax.train import config, step

# As printed but for its size: what is ours beside the paper's generator is tested further down.
PRINTED = dict(prior=False, mask=False, part_masks=False, inner_mouth=False, upscale='shuffle')
PRINTED |= dict(mouth_palette=False, mouth_form=False, occlusion=False, unseen=False)
HP = aan.Hparams(**configs.PRESETS['tiny'] | PRINTED)
DATA, SIDE = DataInfo(identities=4, examples=4), 32
KEY = jax.random.key(0)
LEAN = dataclasses.replace(HP, lambda_gan=0.0)


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
    nets = aan.networks(hp, DATA)
    return nets, jax.jit(lambda key: aan.init(hp, nets, key, batch_of(2)))(jax.random.key(0))


@pytest.fixture(scope='module')
def built():
    return build(HP)


def test_start(built):
    """Flow 0 for any landmarks; gamma near 1 and beta near 0, not constant."""
    nets, variables = built
    a, b = faces(1, 3), faces(1, 4)
    apply = frozen_apply(nets, variables)

    @jax.jit
    def run():
        appearance = generator.encode(HP, apply, a.image, a.landmarks)
        return appearance, generator.draw(HP, apply, appearance, b.landmarks)

    appearance, made = run()
    assert np.abs(made.flow).max() == 0
    assert made.image.shape == (1, SIDE, SIDE, 3) and np.abs(made.image).max() <= 1
    sides = [gamma.shape for gamma, _ in appearance['theta']]
    assert sides == [(1, 16, 16, HP.fusion[0]), (1, 32, 32, HP.fusion[1])]
    for gamma, beta in appearance['theta']:
        assert 0 < np.abs(gamma - 1).max() < 0.6 and np.abs(gamma - 1).mean() < 0.2
        assert 0 < np.abs(beta).max() < 0.6 and np.abs(beta).mean() < 0.2


def test_theta_does_not_see_the_driver(built):
    """Directional derivatives: by the driving landmarks and by the source image."""
    nets, variables = built
    # A flow that is not 0 any more, so that the driver matters to the warp as well.
    variables = jax.tree.map(lambda x: x, variables)
    head = variables['FEN']['params']['Head_0']
    head['gain'] = head['gain'] + 0.1
    apply = frozen_apply(nets, variables)
    a, b = faces(1, 3), faces(1, 4)

    def run(image, points):
        appearance = generator.encode(HP, apply, image, a.landmarks)
        made = generator.draw(HP, apply, appearance, points)
        return appearance, made.image, made.flow

    tangents = jax.jit(functools.partial(jax.jvp, run))
    still, move = jnp.zeros_like, jnp.ones_like
    _, (theta, image, flow) = tangents(
        (a.image, b.landmarks), (still(a.image), faces(1, 5).landmarks)
    )
    assert all(np.abs(leaf).max() == 0 for leaf in jax.tree.leaves(theta))
    assert np.abs(image).max() > 0 and np.abs(flow).max() > 0
    _, (theta, image, flow) = tangents((a.image, b.landmarks), (move(a.image), still(b.landmarks)))
    assert all(np.abs(leaf).max() > 0 for pair in theta['theta'] for leaf in pair)
    assert np.abs(image).max() > 0 and np.abs(flow).max() == 0  # FEN sees heatmaps alone


def test_one_source_serves_many_frames(built):
    nets, variables = built
    source, driving = faces(1, 6), faces(3, 7)
    encode = jax.jit(lambda face: aan.encode(HP, nets, variables, face))
    render = jax.jit(lambda look, points: aan.render(HP, nets, variables, look, points))
    look = encode(source)
    frames = render(look, driving.landmarks)
    single = render(look, driving.landmarks[1:2])
    assert frames.shape == (3, SIDE, SIDE, 3)
    np.testing.assert_allclose(frames[1:2], single, atol=1e-4)
    assert np.abs(frames[0] - frames[1]).max() > 1e-3


def test_step_moves_every_net_once_and_only_them(built):
    """The real step: both players' nets move, pretrained features do not exist in the state."""
    nets, variables = built
    (stage,) = aan.stages(HP, DATA)
    assert stage.players == {'G': ('E_a', 'FEN', 'G_local', 'G_f'), 'D': ('D_L', 'D_I')}
    run = quick.jit(step.train_step(stage, nets))
    state, metrics = run(step.start(stage, variables), aan.constants(HP), batch_of(4))
    assert set(state.variables) == set(nets)
    for letter, most in quick.change(variables, state.variables, 'params').items():
        rate = HP.d_rate if letter.startswith('D') else HP.rate
        assert most == pytest.approx(rate, rel=0.05), letter
    own = {'G_f': variables['G_f']}
    assert quick.change(own, state.variables, 'spectral')['G_f'] > 0
    total = HP.lambda_c * (metrics['l1'] + metrics['perceptual'])
    total += HP.lambda_local * metrics['local'] + HP.lambda_gan * metrics['gan']
    total += HP.lambda_regions * metrics['regions']
    assert float(metrics['loss/G']) == pytest.approx(float(total), rel=1e-4)


def test_losses_see_pixels_and_parts(built):
    """Eq. 7 by hand, and eq. 9 is 0 when the local nets return the truth."""
    nets, variables = built
    apply, batch = frozen_apply(nets, variables), batch_of(2)
    crops = {
        part: generator.crop(HP, batch.image[:, 1], batch.landmarks[:, 1], part)[0]
        for part in LOCAL_PARTS
    }

    def perfect(letter, *args, **kwargs):
        if letter == 'G_local':
            return crops
        return batch.image[:, 1] * 0.5 if letter == 'G_f' else apply(letter, *args, **kwargs)

    _, metrics = jax.jit(lambda: aan.terms(LEAN, perfect, aan.constants(HP), batch, KEY))()
    assert float(metrics['local']) == pytest.approx(0, abs=1e-5)
    expected = 0.5 * np.abs(np.asarray(batch.image[:, 1])).mean()
    assert float(metrics['l1']) == pytest.approx(expected, rel=1e-4)
    assert float(metrics['perceptual']) > 0.01


def test_ablations():
    """`-local net` has no local nets; `spade` predicts gamma and beta layer by layer."""
    plain = aan.networks(dataclasses.replace(HP, local_net=False), DATA)
    assert 'G_local' not in plain and plain['FEN'] is not None
    hp = dataclasses.replace(LEAN, local_net=False, modulation='spade')
    nets = aan.networks(hp, DATA)
    assert set(nets) == {'E_a', 'FEN', 'G_f'}
    variables = jax.eval_shape(lambda key: aan.init(hp, nets, key, batch_of(2)), jax.random.key(0))
    fusion = variables['G_f']['params']
    assert {'Modulation_0', 'Modulation_1'} <= set(fusion)
    assert not any(name.startswith('Head') for name in variables['E_a']['params'])
    values, _ = jax.eval_shape(
        lambda v: aan.terms(hp, frozen_apply(nets, v), aan.constants(hp), batch_of(2), KEY),
        variables,
    )
    assert set(values) == {'G'} == set(aan.stages(hp, DATA)[0].players)


def test_every_convolution_of_the_generator_is_normalised(built):
    """Spectral vectors beside every kernel of the generator, none in the discriminators."""
    _, variables = built
    for letter, value in variables.items():
        paths = {
            jax.tree_util.keystr(path[:-1])
            for path, _ in jax.tree_util.tree_leaves_with_path(value['params'])
            if path[-1].key == 'kernel'
        }
        spectral = {
            jax.tree_util.keystr(path[:-1])
            for path, _ in jax.tree_util.tree_leaves_with_path(value.get('spectral', {}))
        }
        assert spectral == (set() if letter.startswith('D') else paths), letter


def test_paper_preset_asks_for_weights():
    _, _, hp = config.resolve({**configs.get_config().to_dict(), 'data': 'x'})
    assert hp == aan.Hparams()
    with pytest.raises(UserError, match=r'vgg_weights: no file given.*torchvision'):
        aan.constants(hp)
    with pytest.raises(UserError, match='no preset'):
        configs.get_config('huge')


def test_preview(built):
    nets, variables = built
    pictures = jax.jit(lambda b: aan.preview(HP, nets, variables, b))(batch_of(2))
    assert list(pictures) == ['driving', 'flow', 'heatmaps', 'result', 'source', 'warped']
    assert all(image.shape == (2, SIDE, SIDE, 3) for image in pictures.values())
    assert all(np.abs(image).max() <= 1 + 1e-5 for image in pictures.values())
    np.testing.assert_allclose(pictures['warped'], pictures['source'], atol=1e-5)  # no flow yet


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r'hparams\.extractor: 1 levels.*2 blocks'):
        aan.networks(dataclasses.replace(HP, extractor=(8,), fusion=(6, 4)), DATA)
    with pytest.raises(UserError, match=r'hparams\.flow.*multiple of 64.*72 pixels'):
        aan._check_side(dataclasses.replace(HP, extractor=(8, 8), flow=(4,) * 5, flow_stride=4), 72)


def test_the_adversarial_term_is_a_sum_or_a_mean():
    """Eq. 6 over two discriminators and two scales each."""
    hp, image = aan.Hparams(gan='lsgan01'), jnp.zeros((2, 8, 8, 3))
    logits = [jnp.full((4, 2, 2, 1), 3.0), jnp.full((4, 1, 1, 1), 5.0)]
    for reduction, share in (('sum', 1), ('mean', 4)):
        one = dataclasses.replace(hp, reduction=reduction)
        against, by = _adversarial(one, lambda *_: logits, image, image, image, image)
        assert float(by) == pytest.approx(2 * (4 + 16) / share)
        assert float(against) == pytest.approx(2 * (4 + 9 + 16 + 25) / share)
