"""The check of compiled steps: its reader on real programs, what steps send, its refusals."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_config

from reenact_jax.bench import chips, collectives, compile_check
from reenact_jax.bench.collectives import GRADIENTS, OTHER, PARAMETERS, STATISTICS
from reenact_jax.common.errors import UserError
from reenact_jax.configs import aan, ldnet_fdgan
from reenact_jax.data.tracks import DataInfo
from reenact_jax.systems.interface import moving
from reenact_jax.train import config, jobs, sharding

DATA = DataInfo(identities=8, examples=64)
ROOT = pathlib.Path(__file__).parent.parent
QUICK = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}


def compiled(function, *shapes, inside, outside):
    """The text of a function compiled for four devices."""
    arguments = [jax.ShapeDtypeStruct(shape, 'float32') for shape in shapes]
    jitted = jax.jit(function, in_shardings=inside, out_shardings=outside)
    return jitted.lower(*arguments).compile().as_text()


@pytest.fixture(scope='module')
def places():
    mesh = sharding.make_mesh()
    return sharding.rows(mesh), sharding.replicated(mesh)


def test_a_sum_over_rows(places):
    rows, whole = places

    def function(x, y):
        return x.T @ y, x.max()

    sent = collectives.read(compiled(function, (8, 3), (8, 5), inside=rows, outside=whole))
    assert {(one.kind, one.shape, one.bytes) for one in sent} == {
        ('all-reduce', (3, 5), 60),
        ('all-reduce', (), 4),
    }
    product = next(one for one in sent if one.shape == (3, 5))
    assert 'dot_general' in product.source


def test_gathers_count_what_arrives(places):
    rows, whole = places
    (one,) = collectives.read(compiled(lambda x: x * 2, (8, 3), inside=rows, outside=whole))
    assert (one.kind, one.shape, one.bytes, one.times) == ('all-gather', (8, 3), 96, 1)
    assert collectives.purpose(one, {24}, set(), fsdp=True) == PARAMETERS
    assert collectives.purpose(one, {24}, set(), fsdp=False) == OTHER


def test_moved_rows_are_seen(places):
    rows, _ = places
    text = compiled(lambda x: jnp.roll(x, 2, 0), (8, 3), inside=rows, outside=rows)
    assert {one.kind for one in collectives.read(text)} == {'collective-permute'}


def test_what_a_loop_sends_counts_every_turn(places):
    rows, whole = places

    def function(x):
        return jax.lax.scan(lambda total, _: (jnp.sin(total + x).mean(), None), 0.0, length=7)[0]

    sent = collectives.read(compiled(function, (8, 3), inside=rows, outside=whole))
    assert [(one.bytes, one.times) for one in sent] == [(4, 7)]


@pytest.mark.parametrize(
    'line,expected',
    [
        (
            '%ag = (f32[2,4]{1,0:T(8,128)S(1)}, f32[8,4]{1,0}) all-gather-start(%p), channel_id=1',
            [('all-gather', (8, 4), 128)],
        ),
        (
            'ROOT %ar = (f32[2,4]{1,0}, /*index=1*/bf16[3]{0}) all-reduce(%p, /*index=1*/%q)',
            [('all-reduce', (2, 4), 32), ('all-reduce', (3,), 6)],
        ),
        (
            '%rs = f32[1,4]{1,0} reduce-scatter(%p), dimensions={0}',
            [('reduce-scatter', (2, 4), 32)],
        ),
        ('%done = f32[2,4]{1,0} all-reduce-done(%p)', []),
    ],
)
def test_forms_that_tpus_print(line, expected):
    text = (
        'ENTRY %main (p: f32[2,4], q: bf16[3]) -> f32[2,4] {\n'
        '  %p = f32[2,4]{1,0:T(8,128)} parameter(0)\n'
        f'  %q = bf16[3]{{0:T(128)}} parameter(1)\n  {line}\n}}\n'
    )
    assert [(one.kind, one.shape, one.bytes) for one in collectives.read(text)] == expected


def test_what_slices_send_each_other():
    """A TPU slice hands sums to its host, which meets the other slices' hosts."""
    megascale = 'frontend_attributes={_xla_megascale_transfer_type="ALL_REDUCE"}'
    name = 'metadata={op_name="jit(step)/transpose(jvp(MLP))/dot_general"}'
    text = (
        'ENTRY %main (p: f32[64,8,128]) -> f32[64,8,128] {\n'
        f'  %p = f32[64,8,128]{{2,1,0:T(8,128)}} add(%a, %b), {name}\n'
        '  %mean = f32[8]{0} add(%a, %b), metadata={op_name="jit(step)/reduce_sum"}\n'
        '  %sums = (f32[8]{0}, f32[64,8,128]{2,1,0:T(8,128)}) all-reduce(%mean, %p)\n'
        '  %sum = f32[64,8,128]{2,1,0:T(8,128)} get-tuple-element(%sums), index=1\n'
        f'  %send = (f32[64,8,128]{{2,1,0:T(8,128)}}, u32[], token[]) send(%sum, %t), {megascale}\n'
        '  %other = (f32[8]{0}, u32[], token[]) send(%p, %t), is_host_transfer=true\n'
        '  %recv = (f32[64,8,128]{2,1,0:T(8,128)}, u32[], token[]) recv(%t), ' + megascale + '\n}\n'
    )
    (one,) = [sent for sent in collectives.read(text) if sent.link == collectives.DCN]
    assert 'transpose(jvp(MLP))' in one.source
    assert (one.kind, one.bytes, one.link) == ('all-reduce', 4 * 64 * 8 * 128, collectives.DCN)
    assert collectives.purpose(one, set(), set(), fsdp=False, slices=2) == GRADIENTS
    mean = one._replace(source='jit(step)/reduce_sum')
    assert collectives.purpose(mean, set(), set(), fsdp=False, slices=2) == STATISTICS
    piece = one._replace(kind='reduce-scatter', link=collectives.ICI, source='')
    assert collectives.purpose(piece, set(), set(), fsdp=False, slices=2) == collectives.PIECES
    assert collectives.purpose(piece, set(), set(), fsdp=False) == OTHER


def sent_by(values, number, **changes):
    """What a stage's step sends on four devices, and how many numbers its gradients are.

    Gradients of a single number, which counts as a statistic, are left out.
    """
    values = config.to_json(values) | {'batch_size': 16, **changes}
    job = jobs.make_abstract_job(values, DATA, 32)
    stage = job.chosen[number]
    lowered = compile_check._traced(job, stage).lower()
    sent = compile_check._sent(job, stage, lowered.compile(compiler_options=QUICK).as_text())
    variables = job.shapes(stage).variables
    own = {letter: variables[letter]['params'] for letter in moving(stage)}
    return {(one['kind'], one['for']): one for one in sent}, sum(
        leaf.size for leaf in jax.tree.leaves(own) if leaf.size > 1
    )


def small(module, **hparams):
    values = module.get_config('tiny')
    values.data = '(none)'
    values.hparams.update(hparams)
    return values


@pytest.mark.parametrize('number', [0, 2])
def test_ldnet_sends_gradients_and_means_alone(number):
    sent, parameters = sent_by(small(ldnet_fdgan, layers=1, width=8), number)
    assert set(sent) == {('all-reduce', GRADIENTS), ('all-reduce', STATISTICS)}
    assert sent['all-reduce', GRADIENTS]['bytes'] == 4 * parameters


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_aan_sends_gradients_and_means_alone():
    values = small(aan, norm='batch', extractor=(2, 3), fusion=(4, 2), flow=(3, 5), local=(3,))
    sent, parameters = sent_by(values, 0)
    assert set(sent) == {('all-reduce', GRADIENTS), ('all-reduce', STATISTICS)}
    assert sent['all-reduce', GRADIENTS]['bytes'] == 4 * parameters


def test_fences_are_in_the_step_when_asked_for():
    def count(fences):
        values = config.to_json(small(aan)) | {'batch_size': 8, 'fences': fences}
        job = jobs.make_abstract_job(values, DATA, 32)
        text = compile_check._traced(job, job.chosen[0]).lower().as_text()
        return text.count('optimization_barrier')

    assert count(True) > count(False)


@pytest.fixture
def four_chips(monkeypatch):
    """The command with this process's four CPU devices in the place of v5e:2x2."""
    monkeypatch.setattr(chips, 'devices', lambda name, slices=1: jax.devices())


def command(*arguments):
    config_file = f'--config={toy_config.__file__}'
    rest = ('--topology=v5e:2x2', '--size=32', '--identities=4')
    return compile_check.main([config_file, *rest, *arguments])


def test_command(four_chips, tmp_path, capsys):
    out = tmp_path / 'report.json'
    assert command('--config.stages=two', '--batch-per-chip=4', f'--out={out}') == 0
    (report,) = json.loads(out.read_text())
    assert (report['stage'], report['chips'], report['rows a chip']) == ('two', 4, 4)
    assert report['FLOPs a step'] == 4 * report['FLOPs a chip'] > 1e5
    memory = report['memory']
    assert memory['total'] == sum(
        memory[name] for name in ('arguments', 'outputs', 'temporaries', 'program')
    ) - memory['aliased']  # fmt: skip
    assert {one['for'] for one in report['collectives']} == {GRADIENTS, STATISTICS}
    text = capsys.readouterr().out
    assert 'two: v5e:2x2, 4 chips' in text and 'gradient sums' in text
    assert {one['link'] for one in report['collectives']} == {'ICI'}
    assert (report['slices'], report['mesh']) == (1, {'data': 4, 'fsdp': 1})


def test_command_with_a_mesh(four_chips, tmp_path):
    out = tmp_path / 'report.json'
    flags = ['--config.stages=two', '--batch-per-chip=4', f'--out={out}']
    assert command(*flags, '--config.sharding=fsdp', '--config.mesh=2x2') == 0
    (report,) = json.loads(out.read_text())
    assert report['mesh'] == {'data': 2, 'fsdp': 2}
    with pytest.raises(UserError, match='3x2 is 6 devices; there are 4'):
        command(*flags, '--config.sharding=fsdp', '--config.mesh=3x2')


def test_what_does_not_fit_is_refused(four_chips, monkeypatch, capsys):
    monkeypatch.setitem(chips.CHIPS, 'v5e', chips.Chip(1000, 2, 256))
    with pytest.raises(UserError, match=r'two: not on v5e:2x2; lower --batch-per-chip'):
        command('--config.stages=two', '--batch-per-chip=4')
    assert 'DOES NOT FIT' in capsys.readouterr().out


@pytest.mark.parametrize(
    'name', ['v5e', 'v5e:16', 'v5e:16x16x16', 'v5p:4x4', 'v9:2x2', 'v5e:32x32', 'v5e:0x4', 'x y']
)
def test_wrong_topologies_are_refused(name):
    with pytest.raises(UserError, match=r'--topology: .*(accepted: v5e:AxB|has 1 to 256 chips)'):
        chips.parse(name)


def test_refusals(monkeypatch, four_chips):
    with pytest.raises(UserError, match='--topology: missing'):
        compile_check.main([f'--config={toy_config.__file__}'])
    with pytest.raises(UserError, match=r'config\.batch_size: not here.*--batch-per-chip'):
        command('--config.batch_size=8')
    with pytest.raises(UserError, match=r'--batch-per-chip: 6 rows .* multiple of 4'):
        command('--batch-per-chip=6', '--config.accumulate=2')
    monkeypatch.undo()
    monkeypatch.delenv('TPU_LIBRARY_PATH', raising=False)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(UserError, match=r'libtpu.*not installed.*tpu-check'):
        chips.devices('v5e:2x2')


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize('slices', [1, 2])
def test_with_libtpu(slices, tmp_path):
    pytest.importorskip('libtpu', reason='libtpu is not installed: pip install -e .[tpu-check]')
    arguments = ['--config=ldnet_fdgan:tiny', '--topology=v5e:4x4', '--batch-per-chip=4']
    arguments += [f'--slices={slices}']
    out = tmp_path / 'report.json'
    done = subprocess.run(
        [sys.executable, '-m', 'launch.compile_check', *arguments, f'--out={out}'],
        cwd=ROOT,
        env=os.environ | {'PYTHONPATH': str(ROOT), 'XLA_FLAGS': ''},
        capture_output=True,
        text=True,
    )
    if 'libtpu_lockfile' in done.stderr:
        pytest.skip('another process uses libtpu')
    assert done.returncode == 0, done.stderr
    for report in json.loads(out.read_text()):
        between = {one['for'] for one in report['collectives'] if one['link'] == 'DCN'}
        assert (GRADIENTS in between) == (slices == 2) and between <= {GRADIENTS, STATISTICS}
        if slices == 1:
            assert {one['for'] for one in report['collectives']} == {GRADIENTS, STATISTICS}
        assert np.isclose(report['FLOPs a step'], 16 * slices * report['FLOPs a chip'])
