"""What a program asks of matrix units; and that bfloat16 runs are bfloat16 throughout."""

import jax
import jax.numpy as jnp
import pytest

from reenact_jax.bench import products
from reenact_jax.configs import aan, facegan, fomm, freenet, ldnet_fdgan, pix2pix
from reenact_jax.data.tracks import DataInfo
from reenact_jax.train import config, jobs

# What may be float32 in a bfloat16 run of images, and why.
EXACT = {
    'upright_sample': 'weights hold positions',
    '_averaged': 'coordinates and their weights',
    'kept': 'weights of coordinates',
    'heatmaps': 'squared distances',
    'raster': 'distances of lines',
    '_part_frame': 'coordinates',
    '_laid': 'coordinates',
    'transform': 'coordinates',
    'invert': 'coordinates',
    '_crop_matrix': 'coordinates',
    'attend': 'logits of the softmax and their gradients',
    '_largest_singular_value': 'spectral norms of weights, which are float32',
    'Dense.__call__': 'networks of points, codes and units alone',
}
CONFIGS = [
    (aan, 'tiny'),
    (ldnet_fdgan, 'fdgan_tiny'),
    (facegan, 'tiny'),
    (freenet, 'tiny'),
    (pix2pix, 'hd_tiny'),
    (pix2pix, 'unet_tiny'),
    (fomm, 'tiny'),
]


def traced(module, preset, dtype='bfloat16'):
    """The programs of a config's training steps, by stage."""
    chosen = module.get_config(preset)
    chosen.data, chosen.dtype = '(none)', dtype
    values = config.to_json(chosen) | {'batch_size': 4}
    here = jax.devices()[:1]
    job = jobs.make_abstract_job(values, DataInfo(identities=8, examples=64), 64, here)
    for stage in job.chosen.values():
        state = job.shapes(stage)
        arguments = state, job.constants, job.abstract_batch(stage)
        yield stage.name, job.program(stage, state).trace(*arguments)


@pytest.mark.parametrize(('module', 'preset'), CONFIGS)
def test_bfloat16_runs_compute_in_it(module, preset):
    for stage, program in traced(module, preset):
        found = list(products.products(program.jaxpr))
        total = sum(one.flops for one in found)
        assert total, stage
        for one in found:
            allowed = any(f'({name}' in one.source or f'.{name}' in one.source for name in EXACT)
            allowed |= not one.source and one.flops < 1e-3 * total  # of gradients, without a line
            exact = one.kind == 'dot_general' and allowed
            assert one.dtype == 'bfloat16' or exact, (stage, one)


def test_float32_runs_are_float32():
    ((_, program),) = traced(*CONFIGS[1], dtype='float32')
    assert products.report(program.jaxpr)['float32 share'] == 1


def test_flops_are_counted():
    def f(x, kernel, y):
        image = jax.lax.conv_general_dilated(
            x, kernel, (2, 2), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )

        def body(total, row):
            return total + row @ y, None

        return image, jax.lax.scan(body, jnp.zeros((4, 6)), jnp.ones((5, 4, 3)))

    shapes = [(2, 8, 8, 3), (3, 3, 3, 7), (3, 6)]
    arguments = [jax.ShapeDtypeStruct(shape, 'float32') for shape in shapes]
    convolution, product = products.products(jax.jit(f).trace(*arguments).jaxpr)
    assert convolution.flops == 2 * (2 * 4 * 4 * 7) * (3 * 3 * 3)
    assert product.flops == 5 * 2 * (4 * 6) * 3
    assert 'test_products.py' in product.source
    made = products.report(jax.jit(f).trace(*arguments).jaxpr)
    assert made['dearest'][0]['kind'] == 'conv_general_dilated' and made['float32 share'] == 1
    assert made['dearest'][0]['share'] + made['dearest'][1]['share'] == pytest.approx(1)
