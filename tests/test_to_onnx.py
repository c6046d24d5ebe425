"""ONNX files give what JAX gives; without the packages a clear word. docs/export.md: "ONNX"."""

import importlib.util
import json
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bundles import (
    BY_KEYPOINTS,
    GENERATORS,
    SIZE,
    TRANSFERS,
    image_model,
    landmark_model,
    random_face,
)

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.export import live, programs
from reenact_jax.export.onnx import command as to_onnx
from reenact_jax.export.onnx import graphs as onnx_graphs
from reenact_jax.export.onnx import rewrites

needs_jax2onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ('jax2onnx', 'onnx', 'onnxruntime'))),
    reason='needs the extra [onnx] and jax2onnx, in an environment of their own',
)
PAIRS = [
    ('aan', 'ldnet'),
    ('aan_layers', None),
    ('fdgan', 'marionette'),
    ('freenet', 'freenet'),
    ('facegan', 'facegan'),
    ('pix2pix', None),
    ('pix2pixhd', None),
    ('fomm', 'fomm'),
]


@pytest.fixture(scope='module')
def calls():
    return programs.calls(image_model(), landmark_model())


@pytest.mark.parametrize('missing', ['jax2onnx', 'onnx', 'onnxruntime'])
def test_without_the_packages_the_extra_is_named(missing, tmp_path, monkeypatch):
    for name in ('jax2onnx', 'onnx', 'onnxruntime'):
        found = None if name == missing else types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, found)
    with pytest.raises(UserError, match=rf'needs {missing};.*\[onnx\].*--no-deps jax2onnx=='):
        to_onnx.main(['--generator', 'none', '--out', str(tmp_path / 'out')])
    assert not list(tmp_path.iterdir())


def test_what_is_there_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_graphs, 'packages', lambda: None)
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'there').mkdir()
    (tmp_path / 'there' / 'card.json').write_text('{}')
    for name, words in (('photos', 'is not a bundle'), ('there', 'pass --overwrite')):
        with pytest.raises(UserError, match=words):
            to_onnx.main(['--generator', 'none', '--out', str(tmp_path / name)])
    assert (tmp_path / 'there' / 'card.json').read_text() == '{}'


def test_names_of_inputs_and_outputs(calls):
    assert list(onnx_graphs.inputs(calls['transfer'])) == [
        'identity_0', 'identity_1', 'identity_2', 'driving_landmarks', 'first_landmarks',
    ]  # fmt: skip
    assert list(onnx_graphs.outputs('identify', calls['identify'])) == [
        'identity_0', 'identity_1', 'identity_2',
    ]  # fmt: skip
    made = onnx_graphs.outputs('encode', calls['encode'])
    taken = onnx_graphs.inputs(calls['render'])
    assert list(taken) == [*made, 'landmarks']  # so that one's outputs are the other's inputs
    assert all(made[name].shape == taken[name].shape for name in made)
    assert list(onnx_graphs.outputs('render', calls['render'])) == ['image']


def test_card(calls, monkeypatch, tmp_path):
    monkeypatch.setattr(to_onnx, 'PACKAGES', ('jax',))
    measured = {n: dict.fromkeys(onnx_graphs.outputs(n, call), 0.5) for n, call in calls.items()}
    graphs = {name: name.encode() for name in calls}
    card = to_onnx.card(image_model(), landmark_model(), calls, graphs, measured)
    assert card['licence'] == 'Apache-2.0' and 'Yao' in card['generator']['paper']
    assert card['transfer']['driven_by'] == ['landmarks'] and card['opset'] == onnx_graphs.OPSET
    render = card['functions']['render']
    assert render['inputs']['landmarks'] == ['b', 68, 2]
    assert render['outputs'] == {
        'image': {'shape': ['b', SIZE, SIZE, 3], 'largest_difference': 0.5}
    }
    assert set(card['files']) == {entry['file'] for entry in card['functions'].values()}
    (tmp_path / 'card.json').write_text(json.dumps(card))
    with pytest.raises(UserError, match="bundle format 'onnx-1'"):
        bundle.load(tmp_path)


@pytest.mark.parametrize(
    ('output', 'off', 'words'),
    [
        ('image', 3e-3, r'image of onnxruntime is 0\.003 from that of JAX, more than 0\.001'),
        ('landmarks', 0.03, r'0\.03 .* more than 0\.01'),
        ('appearance_0', 0.3, r'0\.3 .* more than 0\.1'),  # of values up to 100
        ('image', np.nan, 'is nan from'),
    ],
)
def test_a_difference_above_the_tolerance_is_an_error(output, off, words):
    expected = np.float32([0, 100])
    got = expected + np.float32([off, 0])
    with pytest.raises(UserError, match=words):
        to_onnx._difference('render', output, expected, got)
    with pytest.raises(UserError, match=r'gives \w+ \(1,\), JAX \(2,\)'):
        to_onnx._difference('render', output, expected, got[:1])
    if off == off:
        near = to_onnx._difference('render', output, expected, expected + (got - expected) / 10)
        assert near == pytest.approx(off / 10, rel=1e-3)


@pytest.mark.parametrize(
    ('sides', 'method'), [((3, 20), 'bilinear'), ((12, 8), 'bilinear'), ((12, 3), 'nearest')]
)
def test_resize_stands_in_for_jaxs(sides, method):
    image = np.random.default_rng(0).normal(size=(2, 6, 8, 3)).astype(np.float32)
    expected = jax.image.resize(image, (2, *sides, 3), method)
    with rewrites.rewritten():
        assert jax.image.resize is rewrites.resize
        got = jax.image.resize(image, (2, *sides, 3), method)
    assert jax.image.resize is not rewrites.resize
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize(
    ('equation', 'shapes', 'spelled'),
    [
        ('ni,...nj->...ij', [(5, 3), (2, 5, 3)], 'ni,anj->aij'),
        ('...ij,...nj->...ni', [(4, 2, 3, 3), (4, 2, 5, 3)], 'abij,abnj->abni'),
        ('...ij,...nj->...ni', [(3, 3), (5, 3)], 'ij,nj->ni'),
        ('bij,bnj->bni', [(2, 3, 3), (2, 5, 3)], 'bij,bnj->bni'),
    ],
)
def test_einsum_without_dots(equation, shapes, spelled):
    seen, rng = [], np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]

    def einsum(equation, *operands):
        seen.append(equation)
        return jnp.einsum(equation, *operands)

    got = rewrites.spelled(einsum)(equation, *arrays)
    assert seen == [spelled]
    np.testing.assert_allclose(got, jnp.einsum(equation, *arrays), atol=1e-6)


@pytest.mark.parametrize(
    ('equation', 'shapes'),
    [('...nh,...nw->...hwn', [(2, 5, 3), (2, 5, 4)]), ('a,bc->cab', [(2,), (3, 4)])],
)
def test_an_einsum_that_sums_nothing_is_a_multiplication(equation, shapes):
    rng = np.random.default_rng(0)
    arrays = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]
    got = rewrites.spelled(lambda *_: pytest.fail('a product'))(equation, *arrays)
    np.testing.assert_allclose(got, jnp.einsum(equation, *arrays), atol=1e-6)


@needs_jax2onnx
@pytest.mark.parametrize(('generator', 'transfer'), PAIRS)
def test_the_folder_alone_gives_what_jax_gives(generator, transfer, tmp_path, capfd):
    import onnxruntime

    made = GENERATORS | BY_KEYPOINTS, TRANSFERS | BY_KEYPOINTS
    models = made[0][generator](), made[1][transfer]() if transfer else None
    card = to_onnx.write(tmp_path / 'onnx', *models)
    assert {file.name for file in tmp_path.iterdir()} == {'onnx'}
    assert set(card['files']) == {f.name for f in (tmp_path / 'onnx').iterdir()} - {'card.json'}

    def run(name, **given):
        session = onnxruntime.InferenceSession(tmp_path / 'onnx' / f'{name}.onnx')
        named = [one.name for one in session.get_inputs()]
        assert named == list(card['functions'][name]['inputs'])
        got = session.run(None, {key: given[key] for key in named})
        return dict(zip([one.name for one in session.get_outputs()], got, strict=True))

    def named(which, face):
        return {f'{which}_{key}': value for key, value in face.items()}

    source, driving, first = random_face(0, 1), random_face(1, 2), random_face(2, 1)  # b = 2: new
    faces = named('source', source) | named('driving', driving) | named('first', first)
    if transfer:
        moved = run('transfer', **run('identify', **faces), **faces)
    else:
        moved = run('carry', identity_0=source['landmarks'], **faces)
    model = live.assemble(*models)
    asked = moved
    if model.takes_depth:  # of landmarks without depth it is 0
        asked = {'landmarks': np.pad(moved['landmarks'], ((0, 0), (0, 0), (0, 1)))}
    appearance = run('encode', **faces)
    got = run('render', **appearance, **asked)['image']
    if model.has_layers:
        layers = run('layers', **appearance, **asked)
        whole = model.layers(model.encode(source), asked['landmarks'])
        (mask,) = (value for name, value in layers.items() if name.endswith('mask'))
        np.testing.assert_allclose(mask, whole['mask'], atol=1e-3)
    points = model.transfer(model.identify(source), driving, first)
    np.testing.assert_allclose(moved['landmarks'], points, atol=1e-2)
    expected = model.render(model.encode(source), points)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert not capfd.readouterr().err  # onnxruntime has nothing to warn of


@needs_jax2onnx
def test_nothing_is_left_of_what_is_too_far_off(tmp_path, monkeypatch):
    monkeypatch.setitem(to_onnx.TOLERANCES, 'image', -1.0)
    with pytest.raises(UserError, match='render: image of onnxruntime is'):
        to_onnx.write(tmp_path / 'onnx', GENERATORS['pix2pix'](), None)
    assert not list(tmp_path.iterdir())


@needs_jax2onnx
def test_a_primitive_that_cannot_be_converted_is_named():
    def render(variables, landmarks):
        shape = jax.ShapeDtypeStruct(landmarks.shape, jnp.float32)
        return jax.pure_callback(lambda x: x, shape, landmarks)

    call = programs.Call(render, {}, (jax.ShapeDtypeStruct((2, 68, 2), jnp.float32),))
    with pytest.raises(UserError, match=r"render: jax2onnx cannot convert.*'pure_callback'"):
        onnx_graphs.convert('render', call)


@needs_jax2onnx
@pytest.mark.parametrize('keepdims', [True, False])
def test_sums_of_many_numbers_are_exact(keepdims):
    def render(variables, landmarks):
        mean = landmarks.mean((1, 2), keepdims=keepdims)
        return mean + (landmarks**2).mean((1, 2), keepdims=keepdims)

    (b,) = jax.export.symbolic_shape('b')
    call = programs.Call(render, {}, (jax.ShapeDtypeStruct((b, 1024, 1024), jnp.float32),))
    numbers = np.random.default_rng(0).uniform(0, 1, (2, 1024, 1024)).astype(np.float32)
    (got,) = onnx_graphs.session('render', onnx_graphs.convert('render', call))(
        {'landmarks': numbers}
    )
    exact = render({}, numbers.astype(np.float64))
    assert got.shape == exact.shape
    np.testing.assert_allclose(got, exact, rtol=1e-6)
