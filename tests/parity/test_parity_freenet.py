"""FReeNet's networks and losses against the official code, with its weights in ours."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from compare import dense, loaded, same, shapes, vgg_weights
from rule import image, points, stored

from reenact_jax.configs import freenet as configs
from reenact_jax.data.tracks import Batch, DataInfo
from reenact_jax.nets import vgg
from reenact_jax.systems import freenet, losses
from reenact_jax.systems.freenet import gag, ulc
from reenact_jax.systems.freenet.circles import circles

ROWS, SIDE, WIDTH = 2, 64, 8
HP = freenet.Hparams(
    **configs.PRESETS['official'] | dict(crop_side=512, width=WIDTH, discriminator=WIDTH)
)
NETS = freenet.networks(HP, DataInfo(4, 8, '106'))
GAG_NAMES = {
    **{f'encoder/Conv_{i}': f'model1.{at}' for i, at in enumerate((1, 4, 7))},
    **{f'landmarks/Conv_{i}': f'model_landmark_trans.{at}' for i, at in enumerate((0, 3, 6))},
    **{
        f'transformer_{i}/Conv_{j}': f'model2.{i}.{name}'
        for i in range(9)
        for j, name in enumerate(('conv_block.1', 'conv_block.6', 'shortcut.0'))
    },
    **{f'decoder/TransposedConv_{i}': f'model3.{at}' for i, at in enumerate((0, 3))},
    'decoder/Conv_0': 'model3.7',
}
PATCH_NAMES = {f'Conv_{i}': f'model.{at}' for i, at in enumerate((0, 2, 5, 8, 11))}


def landmarks(name):
    return jnp.asarray(points(name, ROWS, 512))


def split(variables):
    """D's first kernel: the code joins image and condition, ours sums two convolutions."""
    both = variables['params'].pop('Conv_0')
    condition, judged = both['kernel'][:, :, :3], both['kernel'][:, :, 3:]
    inner = {f'Conv_{i + 1}': variables['params'][f'Conv_{i}'] for i in range(1, 5)}
    start = {'kernel': judged, 'bias': both['bias']}
    return {'params': {'Conv_0': start, 'Conv_1': {'kernel': condition}} | inner}


def turned(layer):
    """A dense layer whose two inputs the code joins in the other order."""
    return layer | {'kernel': np.roll(layer['kernel'], len(layer['kernel']) // 2, 0)}


@functools.cache
def variables():
    pixels, code = jnp.zeros((1, 106, 2)), jnp.zeros((1, 512))
    full = jnp.zeros((1, SIDE, SIDE, 3))
    drawn = jnp.zeros((1, SIDE // 4, SIDE // 4, 3))
    joined = shapes(NETS['D'], jnp.zeros((1, SIDE, SIDE, 6)))
    branches = dense('Perceptron_0/', 'layers2', 3) | dense('Perceptron_1/', 'layers1', 3)
    psi_3 = loaded(shapes(NETS['psi_3'], code, code), dense('', 'fusion_flow', 3))
    psi_3['params']['Dense_0'] = turned(psi_3['params']['Dense_0'])
    d_s = loaded(
        shapes(NETS['D_S'], pixels, pixels), branches | dense('Perceptron_2/', 'layers3', 3)
    )
    joint = d_s['params']['Perceptron_2']
    joint['Dense_0'] = turned(joint['Dense_0'])
    return {
        'psi_1': loaded(shapes(NETS['psi_1'], pixels), dense('', 'calm', 6)),
        'psi_2': loaded(shapes(NETS['psi_2'], pixels), dense('', 'emotion', 6)),
        'psi_3': psi_3,
        'D_TF': loaded(shapes(NETS['D_TF'], pixels), dense('', 'layers', 6), 'real.'),
        'D_S': d_s,
        'phi': loaded(shapes(NETS['phi'], full, drawn), GAG_NAMES),
        'D': split(loaded(joined, PATCH_NAMES)),
    }


def applied(parameters):
    def apply(letter, *args, **options):
        return NETS[letter].apply(parameters[letter], *args, train=False, **options)

    return apply


@functools.cache
def converted():
    """ULC's losses and their gradient on rows that convert each other."""
    batch = Batch(
        landmarks=jnp.stack((landmarks('truth'), landmarks('known')), 1),
        reference=jnp.stack((landmarks('rest'),) * 2, 1),
    )

    def value(parameters):
        values, metrics = ulc.terms(HP, applied(parameters), batch)
        return values['psi'], (values, metrics)

    return jax.jit(jax.grad(value, has_aux=True))(variables())


def test_ulc_and_its_discriminators():
    official, apply = stored('freenet_ulc'), applied(variables())
    truth, known = landmarks('truth'), landmarks('known')
    made = ulc.convert(HP, apply, landmarks('rest'), truth[::-1])
    same(made, official['made'])
    same(apply('D_TF', truth), official['D_TF'])
    same(apply('D_S', known, truth), official['D_S'])


def test_ulc_losses():
    official, (gradient, (values, metrics)) = stored('freenet_ulc'), converted()
    for name in ('l1', 'cycle', 'identity'):
        same(metrics[name], official[name])
    same(values['psi'], official['loss'])
    same(values['D_TF'], official['loss_D_TF'])
    same(values['D_S'], official['loss_D_S'])
    kernel = gradient['psi_1']['params']['Dense_0']['kernel']
    same(kernel.T[:8], official['gradient'], 1e-4)


def test_circles_of_the_landmark_image():
    """Within two of the 255 steps of the code's image, which is rounded twice."""
    drawn = circles(landmarks('many') / 8, 64)
    assert drawn.min() < -0.99 and drawn.max() > 0.99
    np.testing.assert_allclose(drawn, stored('freenet_gag')['circles'], atol=4.1 / 255)


def test_gag_and_its_discriminator():
    official, apply = stored('freenet_gag'), applied(variables())
    source, lines = jnp.asarray(image('A1', ROWS, SIDE, SIDE, 3)), official['lines'][0]
    same(apply('phi', source, method='encode'), official['encoded'])
    marks = apply('phi', lines, method=lambda net, x, train: net.landmarks(x, train))
    same(marks, official['landmarks'])
    same(jax.jit(lambda: apply('phi', source, lines))(), official['made'], 5e-5)
    same(apply('D', jnp.asarray(image('A2', ROWS, SIDE, SIDE, 3)), source), official['D'])


def test_vgg16_taps():
    source, official = jnp.asarray(image('A1', ROWS, SIDE, SIDE, 3)), stored('freenet_gag')
    maps = jax.jit(lambda x: vgg.features(vgg_weights(16), x, 16, 'plain'))(source)
    for i, one in enumerate(maps):
        same(one[:, ::4, ::4, ::4], official[f'map{i}'])


def test_gag_losses(monkeypatch):
    """Eqs. 8 to 11 as the code has them, and their gradient; its triplet loss leaves out m."""
    official, psi = stored('freenet_gag'), jnp.zeros((ROWS, 512))
    monkeypatch.setattr(gag, 'lines', lambda *_: losses.together(*official['lines']))
    pair = [image(name, ROWS, SIDE, SIDE, 3) for name in ('A1', 'A2')]
    blank = jnp.zeros((ROWS, 2, 106, 2))
    batch = Batch(image=jnp.stack(pair, 1), landmarks=blank, reference=blank)

    def value(phi):
        known = applied(variables() | {'phi': phi})

        def apply(letter, *args, **options):
            if letter.startswith('psi'):
                return jnp.zeros((ROWS, 212)) if letter == 'psi_3' else psi
            return known(letter, *args, **options)

        values, metrics = gag.terms(HP, apply, {'vgg': vgg_weights(16)}, batch)
        return values['G'], (values, metrics)

    gradient, (values, metrics) = jax.jit(jax.grad(value, has_aux=True))(variables()['phi'])
    left_out = gag.TAPS * HP.margin
    same(metrics['l1'], official['l1'])
    same(metrics['gan'], official['gan'], 1e-4)
    same(metrics['triplet'] - left_out, official['triplet'], 1e-4)
    same(values['G'] - HP.lambda_tp * left_out, official['loss'])
    same(values['D'], official['loss_D'], 1e-4)
    kernel = gradient['params']['encoder']['Conv_0']['kernel']
    same(kernel.transpose(3, 2, 0, 1), official['gradient'], 1e-3)
