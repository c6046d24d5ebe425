"""Bundles of strangers: whatever is in them, they are refused, or do what they say."""

import dataclasses
import hashlib
import json
import os
import resource
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from bundles import SIZE, drawing_model, random_face
from jax._src.lib import _jax

from reenact_jax import bundle, trust
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export

(B,) = jax.export.symbolic_shape('b')
GAIN = 'letter/params/gain'
PLATFORMS = 'cpu', 'cuda', 'tpu'


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path, monkeypatch):
    """Every program is checked as on a machine that has not seen it."""
    monkeypatch.setattr(trust.programs, 'REMEMBERED', str(tmp_path / 'checked'))
    trust.programs._remembered.cache_clear()
    with jax.numpy_rank_promotion('allow'):  # strangers care less
        yield
    trust.programs._remembered.cache_clear()


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    target = tmp_path_factory.mktemp('strangers') / 'bundle'
    export.write(target, drawing_model(), None)
    return {file.name: file.read_bytes() for file in target.iterdir()}


@pytest.fixture
def folder(written, tmp_path):
    target = tmp_path / 'bundle'
    target.mkdir()
    for name, content in written.items():
        (target / name).write_bytes(content)
    return target


def changed(folder, change):
    card = json.loads((folder / bundle.CARD).read_text())
    change(card)
    (folder / bundle.CARD).write_text(json.dumps(card))


def replaced(folder, name, content):
    (folder / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    changed(folder, lambda card: card['files'].update({name: digest}))


def floats(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def program(inner, points=None, tint=None, weights=None):
    """Export a `render` that computes something before it draws."""

    def render(weights, appearance, points):
        image = jnp.zeros((points.shape[0], SIZE, SIZE, 3)) + appearance[0] * weights[GAIN]
        return image + inner(points)

    points = floats(B, 68, 2) if points is None else points
    exported = jax.export.export(jax.jit(render), platforms=PLATFORMS)(
        weights or {GAIN: floats(1)}, (tint or floats(1, 1, 1, 3),), points
    )
    return bytes(exported.serialize())


def altered(content, old, new):
    """The same program with another text."""
    exported = jax.export.deserialize(bytearray(content))
    text = exported.mlir_module()
    assert old in text
    portable = _jax.mlir.serialize_portable_artifact(text.replace(old, new), '1.9.0')
    return bytes(dataclasses.replace(exported, mlir_module_serialized=portable).serialize())


def looped(points, rounds):
    return jax.lax.fori_loop(0, rounds, lambda n, x: x * 0.5, points.sum())


def until(points, end):
    return jax.lax.while_loop(end, lambda s: (s[0] + 1, s[1] * 0.5), (0, points.sum()))[1]


def nested(points):
    return jax.lax.fori_loop(0, 5000, lambda n, x: looped(x, 5000), points.sum())


PROGRAMS = {
    'top_k': (lambda x: jax.lax.top_k(x[0, :, 0], 3)[0].sum(), 'top_k|composite'),
    'sort': (lambda x: jnp.sort(x[0, :, 0])[0], 'operation stablehlo.sort'),
    'cholesky': (lambda x: jnp.linalg.cholesky(jnp.eye(3) * x.sum())[0, 0], 'lapack|readable'),
    'fft': (lambda x: jnp.fft.fft(x[0, :, 0])[0].real, 'fft|complex'),
    'endless': (lambda x: until(x, lambda s: True), 'may not end'),
    'by_value': (lambda x: until(x, lambda s: s[1] > 0), 'may not end'),
    'by_argument': (lambda x: looped(x, x[0, 0, 0].astype(int)), 'may not end'),
    'long': (lambda x: looped(x, 2**30), 'executions'),
    'nested': (nested, 'executions'),
    'large': (lambda x: jnp.sin(jnp.ones((2**17, 2**17)) * x[0, 0, 0]).sum(), 'a tensor of'),
    'work': (lambda x: (jnp.ones((2**15, 2**15)) @ jnp.ones((2**15, 2**15))).sum() * x[0, 0, 0],
             'work'),
}  # fmt: skip


@pytest.mark.parametrize('name', PROGRAMS)
def test_programs_that_are_refused(folder, name):
    inner, message = PROGRAMS[name]
    replaced(folder, 'render.jaxexport', program(inner))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(UserError, match=rf'render\.jaxexport: .*({message})'):
        bundle.load(folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 5  # seconds of CPU, of the process that reads it


CHILD = """
import resource, sys
from reenact_jax import bundle
from reenact_jax.common.errors import UserError
try:
    bundle.load(sys.argv[1])
except UserError:
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    print(max(resource.getrusage(one).ru_maxrss for one in who))
"""


@pytest.mark.parametrize('name', ['endless', 'large'])
def test_refusals_take_little_memory(folder, name):
    replaced(folder, 'render.jaxexport', program(PROGRAMS[name][0]))
    run = subprocess.run(
        [sys.executable, '-c', CHILD, str(folder)], capture_output=True, text=True, timeout=100
    )
    assert 0 < int(run.stdout) < 1_000_000, run.stderr  # kB


def test_a_program_that_is_allowed(folder):
    replaced(folder, 'render.jaxexport', program(lambda x: jnp.tanh(x).sum() * looped(x, 40)))
    loaded, face = bundle.load(folder), random_face(0, 1)
    image = loaded.render(loaded.encode(face), face['landmarks'])
    assert image.shape == (1, SIZE, SIZE, 3) and np.isfinite(image).all()


@pytest.mark.parametrize(
    'target', ['xla_ffi_python_cpu_callback', 'SliceToDynamic', 'TopK', 'PadToStatic', 'x' * 10_000]
)
def test_calls_of_code(folder, target):
    content = program(lambda x: jnp.tanh(x[0, 0, 0]))
    text = jax.export.deserialize(bytearray(content)).mlir_module()
    line = next(line for line in text.splitlines() if 'stablehlo.tanh' in line)
    operand = line.split('stablehlo.tanh ')[1].split(' ')[0]
    call = f'stablehlo.custom_call @{target}({operand}) : (tensor<f32>) -> tensor<f32>'
    content = altered(content, line, f'{line.split("=")[0]}= {call}')
    replaced(folder, 'render.jaxexport', content)
    with pytest.raises(UserError, match=rf"a call of '{target[:80]}', code of this machine"):
        bundle.load(folder)


def test_functions_that_call_functions(folder):
    """Forty functions, each of which calls the next one twice; and one that calls itself."""
    content = program(lambda x: jnp.tanh(x[0, 0, 0]))
    text = jax.export.deserialize(bytearray(content)).mlir_module()
    line = next(line for line in text.splitlines() if 'stablehlo.tanh' in line)
    operand = line.split('stablehlo.tanh ')[1].split(' ')[0]
    scalar = '(tensor<f32>) -> tensor<f32>'
    call = f'{line.split("=")[0]}= func.call @f0({operand}) : {scalar}'

    def chain(levels, last):
        functions = []
        for n in range(levels):
            follow = f'f{n + 1}' if n + 1 < levels else last
            functions.append(
                f'func.func private @f{n}(%a: tensor<f32>) -> tensor<f32> {{\n'
                f'%b = func.call @{follow}(%a) : {scalar}\n'
                f'%c = func.call @{follow}(%b) : {scalar}\nreturn %c : tensor<f32>\n}}\n'
            )
        end = 'func.func private @end(%a: tensor<f32>) -> tensor<f32> { return %a : tensor<f32> }'
        return ''.join(functions) + end

    def with_functions(more):
        return text.replace(line, call).replace('  func.func', f'{more}\n  func.func', 1)

    for last, message in (('end', 'operations: '), ('f0', 'calls itself')):
        replaced(
            folder, 'render.jaxexport', altered(content, text, with_functions(chain(40, last)))
        )
        with pytest.raises(UserError, match=message):
            bundle.load(folder)


SIGNATURES = {
    'landmarks': (dict(points=floats(B, 106, 2)), 'render: takes'),
    'rows': (dict(points=floats(4, 68, 2)), 'render: takes'),
    'appearance': (dict(tint=floats(1, 1, 1, 1)), 'render: takes'),
    'weights': (dict(weights={GAIN: floats(1, 3)}), 'takes as weights'),
    'more': (dict(weights={GAIN: floats(1), 'more': floats(2)}), 'takes as weights'),
}


@pytest.mark.parametrize('name', SIGNATURES)
def test_signatures_that_are_not_those_of_the_card(folder, name):
    arguments, message = SIGNATURES[name]
    replaced(folder, 'render.jaxexport', program(lambda x: x.sum(), **arguments))
    with pytest.raises(UserError, match=message):
        bundle.load(folder)


def test_results_that_are_not_those_of_the_card(folder):
    exported = jax.export.export(jax.jit(lambda w, a, p: p + w[GAIN]), platforms=('cpu', 'cuda'))
    content = exported({GAIN: floats(1)}, (floats(1, 1, 1, 3),), floats(B, 68, 2)).serialize()
    replaced(folder, 'render.jaxexport', bytes(content))
    with pytest.raises(UserError, match='render: returns'):
        bundle.load(folder)


def test_one_program_in_the_place_of_another(folder):
    replaced(folder, 'render.jaxexport', (folder / 'carry.jaxexport').read_bytes())
    with pytest.raises(UserError, match='render: takes'):
        bundle.load(folder)


def test_tensors_that_grow_with_the_rows_are_refused_before_they_run(folder):
    def inner(points):
        rows = points.shape[0]
        wide = jnp.broadcast_to(points[:, :1, :1], (rows, 2**13 * rows, 2**13 * rows))
        return jnp.tanh(wide @ wide).sum()

    replaced(folder, 'render.jaxexport', program(inner))
    loaded, face = bundle.load(folder), random_face(0, 32)
    appearance = loaded.encode({name: value[:1] for name, value in face.items()})
    with pytest.raises(UserError, match=r'render.jaxexport: (needs|this program cannot)'):
        loaded.render(appearance, face['landmarks'])


@pytest.mark.parametrize('seed', range(3))
def test_programs_with_wrong_bytes(folder, seed):
    """XLA's reader ends the process for some of these: that of the check, not ours."""
    content, rng = (
        bytearray((folder / 'render.jaxexport').read_bytes()),
        np.random.default_rng(seed),
    )
    for at in rng.integers(0, len(content), 40 * (seed + 1)):
        content[at] = rng.integers(256)
    replaced(folder, 'render.jaxexport', bytes(content))
    with pytest.raises(UserError):
        bundle.load(folder)


@pytest.mark.parametrize('kept', [0, 3, 40, 0.5, 0.99])
def test_files_that_are_cut_off(folder, kept):
    for name in ('render.jaxexport', 'generator.safetensors'):
        whole = (folder / name).read_bytes()
        part = whole[: kept if kept > 1 or not kept else int(kept * len(whole))]
        replaced(folder, name, part)
        with pytest.raises(UserError):
            bundle.load(folder)
        replaced(folder, name, whole)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(folder, value):
    content = safetensors.numpy.save({GAIN: np.full(1, value, np.float32)})
    replaced(folder, 'generator.safetensors', content)
    with pytest.raises(UserError, match="'letter/params/gain' is not finite"):
        bundle.load(folder)


@pytest.mark.parametrize('array', [np.ones(2, np.float32), np.ones(1, np.int32), np.ones((1, 1))])
def test_weights_of_other_shapes_and_types(folder, array):
    replaced(folder, 'generator.safetensors', safetensors.numpy.save({GAIN: array}))
    with pytest.raises(UserError, match=r'takes as weights|damaged'):
        bundle.load(folder)


def test_weights_that_the_file_lacks(folder):
    changed(folder, put('functions.render.names', [f'{GAIN}s']))
    with pytest.raises(UserError, match=rf"card\.json: render needs the weight '{GAIN}s', not in"):
        bundle.load(folder)


def test_files_of_another_kind(folder):
    file, other = folder / 'generator.safetensors', folder.parent / 'other'
    other.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(other)
    with pytest.raises(UserError, match='a symbolic link'):
        bundle.load(folder)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(UserError, match='a pipe or a device'):
        bundle.load(folder)
    file.unlink()
    file.mkdir()
    with pytest.raises(UserError, match='a directory'):
        bundle.load(folder)
    file.rmdir()
    with file.open('wb') as sparse:
        sparse.truncate(2**40)
    with pytest.raises(UserError, match='more than'):
        bundle.load(folder)


@pytest.mark.parametrize('name', [bundle.CARD, 'render.jaxexport'])
def test_pipes_in_the_place_of_files(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(UserError, match='a pipe or a device'):
        bundle.load(folder)


def put(path, value):
    """A change of a card: the value at a path of keys."""

    def change(card):
        *parents, last = path.split('.')
        for name in parents:
            card = card[name]
        card[last] = value

    return change


@pytest.mark.parametrize(
    ('path', 'value'),
    [
        ('size', '32'), ('size', 32.0), ('size', True), ('size', 0), ('size', -32), ('size', 2**40),
        ('size', 4097), ('size', None), ('size', [32]), ('points', 68), ('points', '67'),
        ('points', ['68']), ('points', None), ('generator', 'aan'), ('generator', None),
        ('generator.system', 7), ('generator.system', 'x' * 400), ('generator.system', '\x1b[2J'),
        ('generator.weights', 'CC0'), ('generator.weights', {'licence': 5}),
        ('generator.takes_depth', 'yes'), ('transfer', 'ldnet'), ('transfer', {}), ('licence', 5),
        ('transfer', {'system': 'x', 'driven_by': []}), ('transfer', {'system': 'x'}),
        ('functions', []), ('functions.render', 'render'), ('functions.render.file', 'nothing'),
        ('functions.render.file', ['render.jaxexport']), ('functions.render.weights', 'nothing'),
        ('functions.render.names', 'gain'), ('functions.render.names', [GAIN, GAIN]),
        ('functions.render.names', [1]), ('functions.render.weights', None),
        ('functions.other', {'file': 'render.jaxexport', 'weights': None, 'names': []}),
        ('files', []), ('files.more', 7), ('files.more', 'A' * 64), ('versions', 'all'),
    ],
)  # fmt: skip
def test_cards_with_wrong_values(folder, path, value):
    changed(folder, put(path, value))
    with pytest.raises(UserError, match=rf'not a model card .*{path.split(".")[0]}'):
        bundle.load(folder)


@pytest.mark.parametrize('content', [b'{"format": 1, "format": 1}', b'{"format": NaN}'])
def test_cards_that_say_two_things(folder, content):
    (folder / bundle.CARD).write_bytes(content)
    with pytest.raises(UserError, match=r'twice|not a number'):
        bundle.load(folder)


def test_the_point_sets_are_those_of_layouts():
    from reenact_jax.geometry import layouts

    assert {name: layout.count for name, layout in layouts.LAYOUTS.items()} == trust.cards.POINTS


def test_a_model_that_no_bundle_may_hold_is_not_exported(tmp_path):
    model = drawing_model()

    def render(hp, nets, variables, appearance, landmarks):
        return jnp.sort(model.module.render(hp, nets, variables, appearance, landmarks), 1)

    names = vars(model.module) | {'render': render}
    sorting = model._replace(module=type(model.module)(**names))
    with pytest.raises(UserError, match=r'render\.jaxexport: operation stablehlo\.sort'):
        export.write(tmp_path / 'b', sorting, None)


@pytest.mark.parametrize('shape, fits', [((32, 32, 1), 1), ((16, 16, 1), 0), ((32, 32, 2), 0)])
def test_the_reach_of_layers_is_the_flow_s(shape, fits):
    def some(*sizes):
        return jax.ShapeDtypeStruct((B, *sizes), jnp.float32)

    tree = {'flow': some(32, 32, 2), 'mask': some(16, 16, 1), 'paint': some(16, 16, 3), 'parts': {}}
    trust.signatures._check_layers(tree, 16)
    if fits:
        return trust.signatures._check_layers(tree | {'reach': some(*shape)}, 16)
    with pytest.raises(trust.signatures.Refused, match='layers: returns'):
        trust.signatures._check_layers(tree | {'reach': some(*shape)}, 16)
