"""A bundle gives what the networks give in process, and loads with next to nothing installed."""

import json
import os
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bundles import POINTS, SIZE, image_model, landmark_model, random_face

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import Face
from reenact_jax.export import command as export
from reenact_jax.export import programs
from reenact_jax.nets import blocks

TOLERANCE = dict(rtol=1e-5, atol=1e-5)


@pytest.fixture(scope='module')
def parts():
    return image_model(), landmark_model()


@pytest.fixture(scope='module')
def folder(parts, tmp_path_factory):
    target = tmp_path_factory.mktemp('export') / 'bundle'
    export.write(target, *parts)
    return target


@pytest.fixture(scope='module')
def loaded(folder):
    return bundle.load(folder)


@pytest.fixture(scope='module')
def faces():
    """A source, three driving frames and the driver's first."""
    return random_face(0, 1), random_face(1, 3), random_face(2, 1)


def test_generator_equals_the_one_in_process(parts, loaded, faces):
    aan, (source, driving, _) = parts[0], faces

    @jax.jit
    def in_process(variables, source, landmarks):
        appearance = aan.module.encode(aan.hp, aan.nets, variables, Face(**source))
        return aan.module.render(aan.hp, aan.nets, variables, appearance, landmarks)

    expected = in_process(aan.variables, source, driving['landmarks'])
    got = loaded.render(loaded.encode(source), driving['landmarks'])
    assert got.shape == (3, SIZE, SIZE, 3)
    assert np.ptp(got) > 0.1  # not a blank picture
    np.testing.assert_allclose(got, expected, **TOLERANCE)


def test_transfer_equals_the_one_in_process(parts, loaded, faces):
    ldnet, (source, driving, first) = parts[1], faces
    common = ldnet.hp, ldnet.nets, ldnet.variables
    expected = ldnet.module.identify(*common, Face(**source))
    expected = ldnet.module.transfer(
        *common,
        expected,
        Face(landmarks=driving['landmarks']),
        Face(landmarks=first['landmarks']),
    )
    got = loaded.transfer(loaded.identify(source), driving, first)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * SIZE)


def test_without_transfer_the_drivers_shape_goes_to_the_sources_place(folder, faces):
    source, driving, first = faces
    carried = bundle.load(folder, 'none')
    moved = carried.transfer(
        carried.identify(source), driving, driving | {'landmarks': first['landmarks']}
    )
    shape = moved - moved.mean(1, keepdims=True)
    own = driving['landmarks'] - driving['landmarks'].mean(1, keepdims=True)
    ratio = np.linalg.norm(shape) / np.linalg.norm(own)
    np.testing.assert_allclose(shape, own * ratio, atol=1e-3)


def test_discriminators_and_training_networks_stay_behind(folder):
    card = json.loads((folder / 'card.json').read_bytes())
    letters = {
        name: {key.split('/')[0] for key in entry['names']}
        for name, entry in card['functions'].items()
    }
    assert letters == {
        'identify': {'E_I'},
        'transfer': {'E_P', 'G'},
        'encode': {'E_a'},
        'render': {'FEN', 'G_local', 'G_f'},
        'carry': set(),
    }


def test_card_says_what_the_model_is(folder):
    card = json.loads((folder / 'card.json').read_bytes())
    assert card['licence'] == 'Apache-2.0'
    assert card['generator']['system'] == 'aan'
    assert 'Yao' in card['generator']['paper']
    assert card['generator']['perceptual_features'] == 'random'
    assert card['transfer']['config'] == {'hparams': {'layers': 1}}
    assert card['not_for']
    assert card['size'] == SIZE
    on_disk = {file.name for file in folder.iterdir()} - {'card.json'}
    assert set(card['files']) == on_disk


def test_loads_without_flax_orbax_protobuf_or_the_systems(folder, loaded, faces):
    source, driving, _ = faces
    np.savez(folder.parent / 'faces.npz', **source, driving=driving['landmarks'])
    blocked = ('flax', 'orbax', 'optax', 'grain', 'google', 'etils', 'jaxtyping', 'tensorflow')
    blocked += (
        'reenact_jax.systems',
        'reenact_jax.data.tracks',
        'reenact_jax.nets',
        'ml_collections',
    )
    code = f"""
import sys
for name in {blocked}:
    sys.modules[name] = None
import numpy as np
from reenact_jax import bundle
model = bundle.load({str(folder)!r})
face = np.load({str(folder.parent / 'faces.npz')!r})
source = dict(image=face['image'], landmarks=face['landmarks'])
driving = dict(landmarks=face['driving'])
points = model.transfer(model.identify(source), driving, dict(landmarks=face['driving'][:1]))
np.save({str(folder.parent / 'out.npy')!r}, model.render(model.encode(source), points))
"""
    environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': jax.config.jax_compilation_cache_dir}
    subprocess.run([sys.executable, '-c', code], check=True, timeout=200, env=environment)
    first = {'landmarks': driving['landmarks'][:1]}
    points = loaded.transfer(loaded.identify(source), driving, first)
    expected = loaded.render(loaded.encode(source), points)
    np.testing.assert_allclose(np.load(folder.parent / 'out.npy'), expected, rtol=1e-4, atol=1e-4)


def test_damage_is_found_and_named(folder, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(folder, copy)
    file = copy / 'generator.safetensors'
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r'generator\.safetensors: damaged'):
        bundle.load(copy)
    file.unlink()
    with pytest.raises(UserError, match=r'generator\.safetensors: missing'):
        bundle.load(copy)


def test_clear_errors(folder, tmp_path):
    with pytest.raises(UserError, match='no bundle here'):
        bundle.load(tmp_path)
    with pytest.raises(UserError, match=r'--transfer other: this bundle has ldnet or none'):
        bundle.load(folder, 'other')
    with pytest.raises(UserError, match='exists already'):
        export.check_target(folder, overwrite=False)


def test_point_sets_must_agree(parts):
    generator, transfer = parts
    with pytest.raises(UserError, match=r"points '106'.*'68'"):
        programs.check_fit(generator, transfer._replace(points='106'))


def test_names_and_structure_survive_flattening(parts):
    variables = parts[0].variables
    flat = programs.flatten(variables)
    assert any(name.startswith('E_a/params/') for name in flat)
    back = programs.restore(flat, variables)
    jax.tree.map(np.testing.assert_array_equal, back, variables)


def test_generator_alone_has_no_transfer(parts, tmp_path, faces):
    export.write(tmp_path / 'alone', parts[0], None)
    alone = bundle.load(tmp_path / 'alone')
    assert alone.transfer_name == 'none'
    source = faces[0]
    # A still driver with the source's own landmarks leaves the source as it is.
    own = {'landmarks': source['landmarks']}
    np.testing.assert_allclose(
        alone.transfer(alone.identify(source), own, own), source['landmarks'], atol=1e-4
    )
    assert not [file for file in tmp_path.iterdir() if file.name != 'alone']


@pytest.mark.parametrize('dtype', [pytest.param('bfloat16', marks=pytest.mark.long), 'float16'])
def test_fewer_bits_and_what_they_cost(parts, faces, tmp_path, folder, loaded, dtype):
    source, driving, first = faces
    card = export.write(tmp_path / 'b', *parts, dtype)
    rough = bundle.load(tmp_path / 'b')
    for name in ('generator.safetensors', 'transfer.safetensors'):
        small, whole = ((at / name).stat().st_size for at in (tmp_path / 'b', folder))
        assert small < 0.75 * whole
    made = [
        one.render(one.encode(source), one.transfer(one.identify(source), driving, first))
        for one in (loaded, rough)
    ]
    assert made[1].dtype == np.float32
    off, told = np.abs(np.asarray(made[0]) - made[1]), card['dtype']
    assert told['weights'] == dtype and 0 < told['image_mean'] < told['image_max']
    assert 0 < off.max() < 20 * told['image_max'] and told['points_max'] > 0


def test_weights_that_do_not_fit():
    flat = {'a/b': jnp.float32([1e6]), 'count': jnp.int32([70_000])}
    with pytest.raises(UserError, match='--dtype float16: a/b does not fit'):
        programs.stored(flat, 'float16')
    kept = programs.stored(flat, 'bfloat16')
    assert kept['count'].dtype == np.int32 and kept['a/b'].dtype == jnp.bfloat16


def test_spectral_norm_is_divided_once_and_can_be_trained_on(parts):
    """Bundles have the kernels' quotients; with the vectors beside them training sees the same."""
    model = parts[0]
    call = programs.generator_calls(model)['render']
    flat = programs.flatten(call.variables)
    stored = programs.kept(model, [name for name in flat if name.split('/')[0][0] != 'D'])
    vectors = {name for name in stored if '/spectral/' in name}
    assert len(vectors) > 20 and not vectors & flat.keys()
    assert {name.split('/')[0] for name in vectors} == {'E_a', 'FEN', 'G_local', 'G_f'}
    again = programs.restore(stored, model.variables)
    for network in ('FEN', 'G_f'):
        before, once = model.variables[network], call.variables[network]
        twice = blocks.folded(again[network])
        assert 'spectral' not in once and once.keys() | {'spectral'} == before.keys()
        gaps = jax.tree.map(
            lambda a, b: float(np.abs(a - b).max()), once['params'], twice['params']
        )
        assert max(jax.tree.leaves(gaps)) < 1e-6, network
        moved = jax.tree.map(lambda a, b: bool((a != b).any()), once['params'], before['params'])
        assert sum(jax.tree.leaves(moved)) == len(jax.tree.leaves(before['spectral']))
    x = np.random.default_rng(0).normal(size=(2, 1, 8, 8, POINTS)).astype(np.float32)
    images = [
        model.nets['FEN'].apply(variables['FEN'], *x, train=False)
        for variables in (model.variables, call.variables)
    ]
    np.testing.assert_allclose(*images, atol=1e-6)
    assert np.ptp(images[0]) > 1e-3
