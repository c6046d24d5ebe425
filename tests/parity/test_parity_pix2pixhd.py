"""pix2pixHD and pix2pix: generators, discriminators and losses against the official code."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compare import loaded, same, shapes, vgg_weights
from flax import linen as nn
from rule import image, numbers, stored

from reenact_jax.nets import pix2pix as net
from reenact_jax.nets import vgg
from reenact_jax.nets.patch import MultiScale, PatchGAN, halve
from reenact_jax.systems import losses, pix2pix

WIDTH, ROWS = 4, 2
HP = pix2pix.Hparams(discriminator=WIDTH)


def trunk(downs: int, blocks: int, prefix: str) -> dict:
    """Numbers of the code's Sequential: three layers a convolution, one a block."""
    names = {f'{prefix}Conv_0': 'model.1'}
    names |= {f'{prefix}Conv_{i + 1}': f'model.{4 + 3 * i}' for i in range(downs)}
    at = 4 + 3 * downs
    for i in range(blocks):
        names |= residual(f'{prefix}_Residual_{i}', f'model.{at + i}')
    at += blocks
    return names | {f'{prefix}TransposedConv_{i}': f'model.{at + 3 * i}' for i in range(downs)}


def residual(path: str, official: str) -> dict:
    return {f'{path}/Conv_{j}': f'{official}.conv_block.{at}' for j, at in enumerate((1, 5))}


def test_global_generator():
    given = jnp.asarray(image('half', ROWS, 32, 32, 4))
    g1 = net.GlobalGenerator(2 * WIDTH, 3, 2)
    names = trunk(3, 2, 'trunk/') | {'last': f'model.{4 + 9 + 2 + 9 + 1}'}
    variables = loaded(shapes(g1, given), names, 'G1.')
    same(
        jax.jit(lambda: g1.apply(variables, given, train=False))(), stored('pix2pixhd')['G1'], 5e-5
    )


def test_local_enhancer_around_it():
    given = jnp.asarray(image('full', ROWS, 64, 64, 4))
    g1, g2 = net.GlobalGenerator(2 * WIDTH, 3, 2), net.LocalEnhancer(WIDTH, 2)
    inner = shapes(g1, halve(given), method='features')
    inner = loaded(inner, trunk(3, 2, 'trunk/'), 'G2.')
    names = {'Conv_0': 'model1_1.1', 'Conv_1': 'model1_1.4', 'Conv_2': 'model1_2.6'}
    for i in range(2):
        names |= residual(f'_Residual_{i}', f'model1_2.{i}')
    names |= {'TransposedConv_0': 'model1_2.2'}
    coarse = jnp.zeros((1, 32, 32, 2 * WIDTH))
    outer = loaded(shapes(g2, given, coarse), names, 'G2.')

    def run():
        return g2.apply(
            outer, given, g1.apply(inner, halve(given), False, method='features'), False
        )

    same(jax.jit(run)(), stored('pix2pixhd')['G2'], 5e-5)


@functools.cache
def judge():
    """D on three scales; the code numbers them from the coarsest."""
    d = MultiScale(HP.scales, WIDTH)
    names = {
        f'PatchGAN_{k}/Conv_{i}': f'scale{HP.scales - 1 - k}_layer{i}.0'
        for k in range(HP.scales)
        for i in range(5)
    }
    return d, loaded(shapes(d, jnp.zeros((1, 64, 64, 7))), names, 'D.')


@pytest.mark.parametrize('name, side', [('even', 64), ('odd', 51)])
def test_discriminator_on_three_scales(name, side):
    d, variables = judge()
    given = jnp.asarray(numbers(name, 1, side, side, 7))
    logits = jax.jit(lambda: d.apply(variables, given, train=False))()
    for i, one in enumerate(logits):
        same(one, stored('pix2pixhd')[f'{name}{i}'], 3e-5)


@pytest.mark.parametrize('form, official', [('lsgan01', 'lsgan'), ('log', 'log')])
def test_gan_forms(form, official):
    wanted = stored('pix2pixhd')
    logits = [wanted[f'odd{i}'] for i in range(3)]
    nothing = [jnp.zeros((1,))] * 0
    same(losses.gan_generator(logits, form), wanted[f'{official}_real'])
    same(losses.gan_discriminator(logits, nothing, form), wanted[f'{official}_real'])
    same(losses.gan_discriminator(nothing, logits, form), wanted[f'{official}_fake'])


def test_all_losses_and_what_they_ask_of_the_image():
    """Adversarial, feature matching, perceptual with tap weights; the gradient of their sum."""
    official, (d, variables) = stored('pix2pixhd'), judge()
    given, truth, made = (
        jnp.asarray(image(name, ROWS, 64, 64, channels))
        for name, channels in (('full', 4), ('truth', 3), ('made', 3))
    )

    def apply(letter, both, condition, features):
        condition = jnp.repeat(condition, len(both) // len(condition), 0)
        joined = jnp.concatenate((condition, both), -1)
        return d.apply(variables, joined, train=False, features=features)

    def value(fake):
        constants = {'vgg': vgg_weights(19)}
        values, metrics = pix2pix._hd(HP, apply, constants, fake, truth, given, 'D2')
        return values['G'], (values, metrics)

    gradient, (values, metrics) = jax.jit(jax.grad(value, has_aux=True))(made)
    same(metrics['gan'], official['gan'], 5e-5)
    same(HP.lambda_features * metrics['features'], official['matching'], 5e-5)
    same(HP.lambda_vgg * metrics['perceptual'], official['vgg'], 5e-5)
    same(values['D'], official['real'] + official['fake'], 5e-5)
    same(gradient, official['gradient'], 1e-3)


def test_vgg19_taps():
    truth, official = jnp.asarray(image('truth', ROWS, 64, 64, 3)), stored('pix2pixhd')
    maps = jax.jit(lambda x: vgg.features(vgg_weights(19), x, 19, 'plain'))(truth)
    for i, one in enumerate(maps):
        same(one[:, ::4, ::4, ::8], official[f'map{i}'])


def test_pix2pix_discriminator_with_batch_norm():
    d = PatchGAN(8, 3, 1, 'batch', affine=True)
    given = jnp.asarray(numbers('pair', ROWS, 64, 64, 6))
    places = (0, 2, 5, 8, 11)
    names = {f'Conv_{i}': f'model.{at}' for i, at in enumerate(places)}
    names |= {f'Norm_{i}': f'model.{at + 1}' for i, at in enumerate(places[1:-1])}
    template = shapes(d, given)
    variables = loaded({'params': template['params']}, names)
    blank = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), template['batch_stats'])
    logits, _ = d.apply(variables | {'batch_stats': blank}, given, mutable=['batch_stats'])
    same(logits, stored('pix2pix')['logits'], 5e-5)


def test_pix2pix_u_net():
    """Without dropout, which no two programs draw alike; its batch norm as in training."""
    depth, official = 6, 'model.'
    given, g = jnp.asarray(numbers('four', ROWS, 64, 64, 4)), net.UNetGenerator(8)
    names = {'Conv_0': 'model.model.0', f'TransposedConv_{depth - 1}': 'model.model.3'}
    path = official
    for i in range(1, depth):
        inside = 'model.1.' if i == 1 else 'model.3.'
        path += inside
        innermost = i == depth - 1
        names[f'Conv_{i}'] = f'{path}model.1'
        up = 3 if innermost else 5
        names[f'TransposedConv_{depth - 1 - i}'] = f'{path}model.{up}'
        names[f'Norm_{depth - 3 + depth - i}'] = f'{path}model.{up + 1}'
        if not innermost:
            names[f'Norm_{i - 1}'] = f'{path}model.2'
    template = shapes(g, given)
    variables = loaded({'params': template['params']}, names)
    blank = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), template['batch_stats'])

    def still(call, args, kwargs, context):
        skip = type(context.module).__name__ == 'Dropout'
        return args[0] if skip else call(*args, **kwargs)

    with nn.intercept_methods(still):
        made, _ = g.apply(variables | {'batch_stats': blank}, given, mutable=['batch_stats'])
    same(made, stored('pix2pix')['unet'], 5e-5)
