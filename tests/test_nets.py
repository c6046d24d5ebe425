"""Blocks, U-Net, modulation, PatchGAN, VGG, initial weights: shapes, counts, numbers by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick
import safetensors.numpy
from flax import linen as nn

from reenact_jax.common.errors import UserError
from reenact_jax.geometry.images import pixel_shuffle
from reenact_jax.nets import initial, vgg
from reenact_jax.nets.blocks import Conv, ConvBlock, Head, Norm, TransposedConv, fenced, upsample
from reenact_jax.nets.modulation import Modulation
from reenact_jax.nets.patch import MultiScale, PatchGAN, halve
from reenact_jax.nets.unet import UNet

KEY = jax.random.key(0)


def shapes(net, *args):
    """Abstract variables and output of a module."""
    return jax.eval_shape(lambda *a: net.init_with_output(KEY, *a)[::-1], *args)


def count(variables):
    return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# --- blocks ----------------------------------------------------------------------------------


def test_transposed_convolution_is_the_usual_one():
    """4x4, stride 2, padding 1: a convolution of the image with zeros between its pixels."""
    x, net = jnp.asarray(numbers(2, 3, 5, 4)), TransposedConv(6)
    variables = quick.fresh(net, x)
    kernel = variables['params']['kernel']
    variables['params']['bias'] = jnp.arange(6.0)
    usual = jax.lax.conv_general_dilated(
        x,
        kernel,
        (1, 1),
        ((2, 2), (2, 2)),
        lhs_dilation=(2, 2),
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    got = net.apply(variables, x)
    assert got.shape == (2, 6, 10, 6)
    np.testing.assert_allclose(got, np.asarray(usual) + np.arange(6.0), atol=1e-5)


# --- PatchGAN --------------------------------------------------------------------------------


@pytest.mark.parametrize('channels, parameters', [(3, 2_764_737), (6, 2_767_809)])
def test_patchgan_has_the_published_size(channels, parameters):
    variables, out = shapes(PatchGAN(padding=1), jnp.zeros((1, 256, 256, channels)))
    assert count(variables) == parameters
    assert out.shape == (1, 30, 30, 1)  # pix2pix's 70 x 70 patches of a 256 x 256 image


def test_multi_scale_is_pix2pixhds():
    image = jnp.zeros((2, 256, 256, 3))
    variables, out = shapes(MultiScale(), image, image)
    assert [scale.shape for scale in out] == [(2, 35, 35, 1), (2, 19, 19, 1)]
    assert count(variables) == 2 * 2_767_809


def test_condition_is_as_joined_channels():
    """The sum of two convolutions is the convolution of the joined channels, row by row."""
    net = PatchGAN(width=2, layers=1)
    image, condition = (
        jnp.asarray(numbers(4, 12, 12, 3)),
        jnp.asarray(numbers(2, 12, 12, 5, seed=1)),
    )
    variables = quick.fresh(net, image, condition)
    params = dict(variables['params'])
    first, beside = params.pop('Conv_0'), params.pop('Conv_1')
    joined = jnp.concatenate([first['kernel'], beside['kernel']], 2)
    rest = {f'Conv_{i}': params[f'Conv_{i + 1}'] for i in (1, 2)}
    one = {'Conv_0': {'kernel': joined, 'bias': first['bias'] + 0.1}, **rest}
    both = {**params, 'Conv_0': {**first, 'bias': first['bias'] + 0.1}, 'Conv_1': beside}
    together = jnp.concatenate([image, jnp.repeat(condition, 2, 0)], -1)
    np.testing.assert_allclose(
        net.apply({'params': both}, image, condition),
        net.apply({'params': one}, together),
        atol=1e-5,
    )


def test_patch_sees_70_pixels():
    """The gradient of one logit reaches 70 x 70 pixels, and no further."""
    net = PatchGAN(width=2, padding=1, norm='none')
    image = jnp.asarray(numbers(1, 96, 96, 1))
    variables = quick.fresh(net, image)
    slope = jax.jit(jax.grad(lambda x: net.apply(variables, x)[0, 5, 5, 0]))(image)[0, ..., 0]
    rows, columns = np.nonzero(np.asarray(slope))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (70, 70)


def test_halve_does_not_count_the_border():
    x = numbers(1, 5, 6, 1)
    got = np.asarray(halve(jnp.asarray(x)))[0, ..., 0]
    plane = np.pad(x[0, ..., 0], 1, constant_values=np.nan)
    expected = [
        [np.nanmean(plane[i : i + 3, j : j + 3]) for j in range(0, 6, 2)] for i in range(0, 5, 2)
    ]
    np.testing.assert_allclose(got, expected, atol=1e-6)


# --- blocks ----------------------------------------------------------------------------------


def test_pixels_start_alike_behind_a_shuffle():
    kernel = initial.shuffled(KEY, (3, 3, 2, 8))
    x = jnp.asarray(numbers(1, 4, 4, 2))
    y = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    large = pixel_shuffle(y)
    np.testing.assert_array_equal(large, upsample(large[:, ::2, ::2]))
    assert float(large.std()) > 0.1


def test_spectral_norm_is_the_largest_singular_value():
    """After some calls in training the kernel that acts has norm 1; flax's layer agrees."""
    x = jnp.asarray(numbers(1, 6, 6, 3))
    net, theirs = Conv(4, spectral=True), nn.SpectralNorm(nn.Conv(4, (3, 3)))
    variables = quick.fresh(net, x)
    kernel, u = variables['params']['kernel'], variables['spectral']['u']
    for _ in range(30):
        y, update = net.apply(variables, x, mutable=['spectral'])
        variables = variables | update
    sigma = np.linalg.svd(np.asarray(kernel).reshape(-1, 4), compute_uv=False)[0]
    plain = Conv(4).apply({'params': variables['params']}, x)
    np.testing.assert_allclose(y, plain / sigma, rtol=1e-3, atol=1e-5)
    stats = {'layer_instance/kernel/u': u[None], 'layer_instance/kernel/sigma': jnp.ones(())}
    other, _ = theirs.apply(
        {'params': {'layer_instance': variables['params']}, 'batch_stats': stats},
        x,
        update_stats=True,
        mutable=['batch_stats'],
    )
    first, _ = net.apply(variables | {'spectral': {'u': u}}, x, mutable=['spectral'])
    np.testing.assert_allclose(first, other, rtol=1e-4, atol=1e-5)
    frozen = net.apply(variables, x, train=False)  # without `mutable`: nothing may be written
    np.testing.assert_allclose(frozen, y, rtol=1e-3, atol=1e-4)


def test_reflect_padding():
    x = jnp.asarray(numbers(1, 5, 5, 2))
    net = Conv(3, kernel=3, reflect=True)
    variables = quick.fresh(net, x)
    inner = Conv(3, kernel=3, padding=0)
    mirrored = jnp.asarray(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode='reflect'))
    np.testing.assert_allclose(net.apply(variables, x), inner.apply(variables, mirrored), atol=1e-5)


@pytest.mark.parametrize('kind, axes', [('instance', (1, 2)), ('layer', (1, 2, 3))])
def test_norms_of_one_image(kind, axes):
    x = numbers(2, 4, 5, 3) * 3 + 2
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(Norm(kind).apply({}, jnp.asarray(x)), expected, atol=1e-5)


def test_batch_statistics_agree_in_training_and_inference():
    """Running averages converge to what training uses, and inference then gives the same."""
    x, net = jnp.asarray(numbers(4, 6, 6, 3) * 3 + 2), Norm('batch')
    variables = quick.fresh(net, x)
    for _ in range(100):
        trained, update = net.apply(variables, x, mutable=['batch_stats'])
        variables = variables | update
    np.testing.assert_allclose(net.apply(variables, x, train=False), trained, atol=1e-3)
    np.testing.assert_allclose(trained.mean((0, 1, 2)), 0, atol=1e-5)
    # One image alone: inference does not depend on what else is in the batch.
    alone = net.apply(variables, x[:1], train=False)
    np.testing.assert_allclose(alone, net.apply(variables, x, train=False)[:1], atol=1e-5)


def test_the_cpu_compiler_is_right_about_shared_keys():
    """Fails without the flag that reenact_jax/__init__.py sets for some versions of jaxlib."""
    q, keys, values = (
        jax.random.normal(jax.random.key(i), shape)
        for i, shape in enumerate([(4, 1024, 32), (128, 32), (4, 128, 24)])
    )

    def attend(q, keys, values):
        shared = jnp.broadcast_to(keys, (4, *keys.shape))
        weights = jax.nn.softmax(jnp.einsum('bmt,bkt->bmk', q, shared) / 5, -1)
        return jnp.einsum('bmk,bkc->bmc', weights, values)

    compiled = jax.jit(attend)(q, keys, values)
    np.testing.assert_allclose(compiled, attend(q, keys, values), atol=1e-4)


def test_fences_stand_behind_normalisations_and_keep_the_numbers():
    net, x = ConvBlock(4, norm='instance'), jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    variables = net.init(jax.random.key(1), x)

    def loss(x):
        return (net.apply(variables, net.apply(variables, x)[..., :3]) ** 3).sum()

    inside = jax.make_jaxpr(fenced(loss))(x)
    assert str(inside).count('optimization_barrier') == 2
    assert 'optimization_barrier' not in str(jax.make_jaxpr(loss)(x))
    plain = Norm('none')
    assert 'optimization_barrier' not in str(jax.make_jaxpr(fenced(plain.apply))({}, x))
    np.testing.assert_allclose(jax.grad(fenced(loss))(x), jax.grad(loss)(x), rtol=1e-4)


def test_head_starts_at_its_gain():
    x = jnp.asarray(numbers(1, 4, 4, 8))
    for gain in (0.0, 0.1):
        out = Head(2, gain, spectral=True).init_with_output(KEY, x)[0]
        assert np.abs(out).max() <= gain * np.linalg.norm(x)
        assert (np.abs(out).max() > 0) == (gain > 0)


def test_upsample_repeats_pixels():
    x = numbers(1, 2, 3, 2)
    np.testing.assert_array_equal(upsample(jnp.asarray(x)), x.repeat(2, 1).repeat(2, 2))


def test_unet_levels():
    net = UNet((4, 6, 8), norm='layer')
    _, out = shapes(net, jnp.zeros((2, 16, 16, 3)))
    sides = {level: value.shape for level, value in out.items()}
    assert sides == {0: (2, 16, 16, 4), 1: (2, 8, 8, 6), 2: (2, 4, 4, 8)}
    assert set(shapes(UNet((4, 6, 8), stop=1), jnp.zeros((2, 16, 16, 3)))[1]) == {1, 2}
    with pytest.raises(ValueError, match='not divisible by 4'):
        shapes(net, jnp.zeros((2, 18, 18, 3)))


# --- modulation ------------------------------------------------------------------------------


def test_adaptive_normalisation_by_hand():
    """(F - mu_c) / sigma_c * gamma_{c,h,w} + beta_{c,h,w}, mu and sigma over batch and space."""
    x, gamma, beta = (numbers(2, 3, 3, 4, seed=i) for i in range(3))
    mu, sigma = x.mean((0, 1, 2)), np.sqrt(x.var((0, 1, 2)) + 1e-5)
    net = Modulation('aan', 'batch')
    condition = (jnp.asarray(gamma), jnp.asarray(beta))
    variables = quick.fresh(net, jnp.asarray(x), condition)
    assert 'params' not in variables
    got, _ = net.apply(variables, jnp.asarray(x), condition, mutable=['batch_stats'])
    np.testing.assert_allclose(got, (x - mu) / sigma * gamma + beta, atol=1e-4)
    with pytest.raises(ValueError, match='do not fit'):
        net.apply(variables, jnp.asarray(x[:, :2]), condition, train=False)


@pytest.mark.parametrize('kind, condition', [('spade', (1, 8, 8, 3)), ('adain', (1, 7))])
def test_modulations_answer_to_their_condition(kind, condition):
    x, seen = jnp.asarray(numbers(1, 4, 4, 5)), jnp.asarray(numbers(*condition))
    net = Modulation(kind, 'instance', hidden=8)
    variables = quick.fresh(net, x, seen)
    normalised = Norm('instance').apply({}, x)
    with_seen = net.apply(variables, x, seen)
    without = net.apply(variables, x, jnp.zeros_like(seen))
    np.testing.assert_allclose(without, normalised, atol=1e-5)  # zero biases: gamma 1, beta 0
    assert np.abs(with_seen - normalised).max() > 1e-3
    spread = np.ptp(np.asarray((with_seen - normalised)[0, :, :, 0])) if kind == 'spade' else 1
    assert spread > 0


# --- VGG -------------------------------------------------------------------------------------


def torch_arrays(depth):
    """Weights as torchvision names and lays them out, and ours."""
    ours, draw = {}, np.random.default_rng(0)
    places = {16: (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)}[depth]
    arrays, inputs = {'classifier.0.weight': np.zeros(3, np.float32)}, 3
    for place, name in zip(places, vgg.names(depth), strict=True):
        outputs = {1: 64, 2: 128, 3: 256, 4: 512}[int(name[4])]
        weight = draw.normal(size=(outputs, inputs, 3, 3)).astype(np.float32) * 0.05
        bias = draw.normal(size=outputs).astype(np.float32)
        arrays |= {f'features.{place}.weight': weight, f'features.{place}.bias': bias}
        ours[name] = {'kernel': weight.transpose(2, 3, 1, 0), 'bias': bias}
        inputs = outputs
    return arrays, ours


def test_vgg_files(tmp_path):
    arrays, ours = torch_arrays(16)
    np.savez(tmp_path / 'a.npz', **arrays)
    safetensors.numpy.save_file(arrays, tmp_path / 'a.safetensors')
    for name in ('a.npz', 'a.safetensors'):
        loaded = vgg.load(str(tmp_path / name), 16)
        jax.tree.map(np.testing.assert_array_equal, loaded, ours)
    with pytest.raises(UserError, match=r"no 'features\.16\.weight'"):
        vgg.load(str(tmp_path / 'a.npz'), 19)
    (tmp_path / 'b.npz').write_bytes(b'PK\x03\x04 broken')
    with pytest.raises(UserError, match=r'b\.npz: not readable'):
        vgg.load(str(tmp_path / 'b.npz'), 16)
    with pytest.raises(UserError, match=r'no such file.*torchvision'):
        vgg.load(str(tmp_path / 'none.npz'), 16)
    with pytest.raises(UserError, match='vgg_weights: no file given'):
        vgg.load('', 19)


def test_vgg_first_map_by_hand():
    """ImageNet normalisation, cross-correlation with zero border, ReLU."""
    weights = vgg.random(19, width=2)
    weights['conv1_1']['bias'] = np.array([0.3, -0.1], np.float32)
    image = np.clip(numbers(1, 16, 16, 3), -1, 1)
    got = vgg.features(weights, jnp.asarray(image))
    assert [m.shape[1:] for m in got] == [(16 >> i, 16 >> i, 2 * min(2**i, 8)) for i in range(5)]
    x = ((image[0] + 1) / 2 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    x = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    kernel = weights['conv1_1']['kernel']
    out = sum(x[i : i + 16, j : j + 16] @ kernel[i, j] for i in range(3) for j in range(3))
    np.testing.assert_allclose(got[0][0], np.maximum(out + np.array([0.3, -0.1]), 0), atol=1e-4)


def test_vgg_taps():
    assert len(vgg.names(19)) == 13 and vgg.names(19)[-1] == 'conv5_1'
    assert len(vgg.names(16)) == 10 and vgg.names(16)[-1] == 'conv4_3'
    assert vgg._torch_places(19)[12] == 28  # torchvision: features.28 is conv5_1


# --- initial weights -------------------------------------------------------------------------


def test_initial_weights_have_their_deviation_and_differ():
    nets = {'a': Conv(64, 3), 'b': Conv(64, 3), 'c': nn.Dense(9, kernel_init=initial.normal(0.02))}
    example = jnp.zeros((1, 4, 4, 32))
    made = initial.init_each(nets, KEY, dict.fromkeys(nets, (example,)))
    a, b, c = (made[letter]['params']['kernel'] for letter in nets)
    assert np.std(a) == pytest.approx(np.sqrt(2 / (9 * 32)), rel=0.03)
    assert np.std(c) == pytest.approx(0.02, rel=0.1)
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03
    other = initial.init_each(nets, jax.random.key(1), dict.fromkeys(nets, (example,)))
    assert np.abs(other['a']['params']['kernel'] - a).max() > 0.1
