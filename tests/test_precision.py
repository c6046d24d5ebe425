"""Products of coordinates state their precision, in every stage and every exported function."""

import re

import fakes
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bundles import BY_KEYPOINTS, GENERATORS, TRANSFERS, landmark_model, random_face
from jax._src.lib.mlir import ir
from test_products import CONFIGS, traced

from reenact_jax.bench import transfers
from reenact_jax.bench.rounding import MANTISSAS, rounded
from reenact_jax.common.errors import UserError
from reenact_jax.configs import ldnet_fdgan, marionette
from reenact_jax.export import programs, trained
from reenact_jax.geometry import exact, layouts
from reenact_jax.geometry import landmarks as lm
from reenact_jax.reenact.edits import landmark_edits

# Products that carry no coordinates, and so may be as a device likes them.
FREE = {
    'attend': 'features of images and their tags',
    '_largest_singular_value': 'spectral norms of kernels of images',
    '_adain': "scale and shift of images' features",
}
PLATFORMS = 'tpu', 'cuda'


def unstated(lowered) -> list[str]:
    """List the places of products without a stated precision, but for those that are `FREE`."""
    found = []

    def visit(operation):
        if operation.name == 'stablehlo.dot_general':
            place, stated = str(operation.location), str(operation.attributes['precision_config'])
            free = any(re.search(rf'\b{name}\b', place) for name in FREE)
            if not free and stated.count('HIGHEST') != 2:
                found.append(place)
        return ir.WalkResult.ADVANCE

    lowered.compiler_ir().operation.walk(visit)
    return found


def lowered(function, *arguments):
    """Lower a function for each of `PLATFORMS`."""
    program = jax.jit(function).trace(*arguments)
    return {one: program.lower(lowering_platforms=(one,)) for one in PLATFORMS}


@pytest.mark.parametrize(
    ('module', 'preset'), [*CONFIGS, (ldnet_fdgan, 'tiny'), (marionette, 'tiny')]
)
def test_stages_state_the_precision_of_coordinates(module, preset):
    for stage, program in traced(module, preset, 'float32'):
        for platform in PLATFORMS:
            found = unstated(program.lower(lowering_platforms=(platform,)))
            assert not found, (stage, platform)


@pytest.mark.parametrize('name', GENERATORS | TRANSFERS | BY_KEYPOINTS)
def test_exported_functions_state_the_precision_of_coordinates(name):
    generator = (GENERATORS | BY_KEYPOINTS).get(name, GENERATORS['pix2pix'])()
    transfer = (TRANSFERS | BY_KEYPOINTS).get(name)
    calls = programs.calls(generator, transfer and transfer())
    assert calls
    for function, call in calls.items():
        for platform, program in lowered(call.function, call.variables, *call.arguments).items():
            assert not unstated(program), (function, platform)


def test_edits_state_the_precision_of_coordinates():
    layout = layouts.layout('68')

    def edited(points):
        for name in landmark_edits.EDITS:
            points = landmark_edits.apply(points, layout, {name: 0.5})
        return points

    for program in lowered(edited, jnp.zeros((2, 68, 2))).values():
        assert not unstated(program)


def test_a_product_without_precision_is_found():
    points = jnp.zeros((2, 68, 2))
    for program in lowered(lambda x: jnp.einsum('bnd,bmd->bnm', x, x), points).values():
        assert len(unstated(program)) == 1


@pytest.mark.parametrize('kind', MANTISSAS)
def test_only_products_without_precision_are_rounded(kind):
    a, b = np.random.default_rng(0).normal(size=(2, 8, 8)).astype(np.float32)

    def both(a, b):
        def body(total, row):
            return total + exact.einsum('i,ij->j', row, b), row @ b

        return jax.lax.scan(body, jnp.zeros(8), a)

    def cut(x):
        return jax.lax.reduce_precision(x, 8, MANTISSAS[kind])

    stated, default = rounded(both, kind)(a, b)
    np.testing.assert_allclose(stated, (a @ b).sum(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(default, cut(a) @ cut(b), rtol=1e-6, atol=1e-6)
    assert np.abs(default - a @ b).max() > 1e-4
    stated, _ = rounded(both, kind, all_products=True)(a, b)
    assert np.abs(stated - (a @ b).sum(0)).max() > 1e-4


def test_points_of_a_transfer_do_not_move():
    model, face = landmark_model(), random_face(1, 3)
    points = face['landmarks'] * 8
    affine = np.float32([[[0.9, 0.1, 3], [-0.1, 0.9, 5]]] * 3)
    call = programs.transfer_calls(model, 32)

    def moved(points):
        source = {'image': face['image'][:1], 'landmarks': points[:1]}
        identity = call['identify'].function(model.variables, source)
        last = {'landmarks': lm.transform(points, affine)}
        first = {'landmarks': points[:1]}
        return call['transfer'].function(model.variables, identity, last, first)

    wanted = jax.jit(moved)(points)
    np.testing.assert_allclose(rounded(moved, 'bfloat16')(points), wanted, atol=1e-3)
    assert np.abs(rounded(moved, 'bfloat16', all_products=True)(points) - wanted).max() > 0.02


@pytest.mark.parametrize('name', TRANSFERS)
def test_the_benchmark_rounds_what_states_no_precision(name, tmp_path):
    part = fakes.fake_shards(tmp_path, size=64)
    rng = np.random.default_rng(0)
    source, driver = (transfers.faces(part, '68', 3, rng) for _ in range(2))
    assert 128 < source.landmarks.max() < 256  # a crop of 64, in pixels of 256
    found = transfers.moved(TRANSFERS[name](), source, driver)
    assert found['bfloat16', True].shape == (3, 68)
    for kind in MANTISSAS:
        assert found[kind, False].max() < 1e-3
    assert found['bfloat16', True].max() > found['tf32', True].max() > 2e-3


def test_the_benchmark_of_rounding_prints_a_table(tmp_path, monkeypatch, capsys):
    fakes.fake_shards(tmp_path, size=64)
    monkeypatch.setattr(trained, 'read', lambda name: landmark_model())
    command = ['--transfer', 'out/ldnet', '--data', str(tmp_path), '--count', '2']
    assert transfers.main(command) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith('| ldnet: out/ldnet | ') and row.endswith(' | 0, 0 | 0, 0 |')
    monkeypatch.setattr(trained, 'read', lambda name: GENERATORS['fdgan']())
    with pytest.raises(UserError, match='out/ldnet: fdgan transfers no landmarks'):
        transfers.main(command)
