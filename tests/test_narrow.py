"""Large convolutions to few channels: other orders of the same sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reenact_jax.nets import narrow
from reenact_jax.nets.blocks import Conv


def given(side=(12, 9), kernel=7, features=3, channels=5):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(2, *side, channels)).astype(np.float32)
    return jnp.asarray(x), jnp.asarray(
        draw.normal(size=(kernel, kernel, channels, features)).astype(np.float32)
    )


@pytest.mark.parametrize('way', [narrow.by_rows, narrow.by_phases])
@pytest.mark.parametrize('side', [(12, 9), (13, 14), (7, 7)])
@pytest.mark.parametrize(('kernel', 'features'), [(7, 3), (5, 1), (6, 4)])
def test_orders_agree_with_the_plain_one(way, side, kernel, features):
    x, weights = given(side, kernel, features)

    def value(f):
        return jax.value_and_grad(lambda *a: jnp.sin(f(*a)).sum(), (0, 1))(x, weights)

    plain = narrow.whole(x, weights)
    assert way(x, weights).shape == plain.shape
    np.testing.assert_allclose(way(x, weights), plain, atol=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3), value(way), value(narrow.whole)
    )


@pytest.mark.parametrize('reflect', [False, True])
def test_a_head_is_the_convolution_it_was(reflect):
    net = Conv(3, 7, reflect=reflect)
    x = given((16, 16), channels=4)[0]
    variables = net.init(jax.random.key(0), x)
    assert variables['params']['kernel'].shape == (7, 7, 4, 3)
    padded = np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)), mode='reflect' if reflect else 'constant')
    expected = narrow.whole(jnp.asarray(padded), variables['params']['kernel'])
    np.testing.assert_allclose(net.apply(variables, x), expected, atol=1e-4)


def test_each_platform_gets_its_order():
    x, weights = given()

    def operations(platform):
        traced = jax.jit(narrow.convolution).trace(x, weights)
        return traced.lower(lowering_platforms=(platform,)).as_text()

    assert '1x7x5x21' in operations('cpu') and '8x8x5x12' in operations('tpu')
    assert '7x7x5x3' in operations('cuda')
