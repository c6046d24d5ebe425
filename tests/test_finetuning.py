"""Fine-tuning: weights from elsewhere by network and name, frozen networks, learning rates."""

import json

import bundles
import fakes
import jax
import numpy as np
import optax
import pytest
import toy
import toy_config
from test_step import changed

from launch.drills import states
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.train import command as train
from reenact_jax.train import pretrained, tuning
from reenact_jax.train.checkpoints.places import Place

SHORT = ['--config.hparams.one_steps=1', '--config.hparams.two_steps=0']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    for count in (4, 5):
        fakes.fake_shards(folder / str(count), identities=count, tracks=3)
    return folder


def arguments(data, workdir, *extra):
    given = [f'--config={toy_config.__file__}', f'--config.data={data}', f'--workdir={workdir}']
    return [*given, '--config.preview_every=0', *extra]


@pytest.fixture(scope='module')
def base(data, tmp_path_factory):
    """A run of three steps, whose averages are not its networks."""
    workdir = tmp_path_factory.mktemp('base')
    steps = ['--config.hparams.one_steps=3', '--config.hparams.two_steps=0']
    assert train.main(arguments(data / '4', workdir, *steps)) == 0
    return workdir


def raw(workdir, step):
    return states.saved(workdir, Place(0, 'one', step))


def test_a_run_starts_from_anothers_averages_and_says_what_is_fresh(base, data, tmp_path, capsys):
    """Other data: C tells five people apart, not four. All but G and D are frozen."""
    extra = [*SHORT, f'--init={base}', '--config.freeze=E,C']
    assert train.main(arguments(data / '5', tmp_path / 'w', *extra)) == 0
    said = capsys.readouterr().out
    assert f'E           4 of 4   {base}' in said, said
    assert 'C           2 of 4' in said
    assert f'fresh: C/params/Dense_0/kernel is 16x4 in {base}, 16x5 here' in said
    before, after = raw(base, 3), raw(tmp_path / 'w', 1)
    assert changed(before['ema.E'], before['variables.E'])
    assert not changed(before['ema.E'], after['variables.E']), 'frozen, its statistics too'
    assert changed(before['ema.G'], after['variables.G']) and 'ema.E' not in after
    assert set(after['opt']) == {'G', 'D'}, 'C is no player, and has no optimiser'
    moments = [path for path, _ in jax.tree_util.tree_flatten_with_path(after['opt']['G'])[0]]
    assert any("'G'" in jax.tree_util.keystr(path) for path in moments)
    assert not any("'E'" in jax.tree_util.keystr(path) for path in moments)
    for old, new, mean in zip(
        *(jax.tree.leaves(one['params']) for one in (before['ema.G'], after['variables.G'],
                                                     after['ema.G'])),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(mean, 0.1 * old + 0.9 * new, atol=1e-6)
    written = json.loads((tmp_path / 'w' / 'config.json').read_text())
    assert written['init'] == [str(base)] and written['freeze'] == ['E', 'C']
    report = json.loads((tmp_path / 'w' / pretrained.NAME).read_text())
    assert report['sources'][0] == {
        'init': str(base), 'system': 'toy', 'stage': 'one', 'step': 3,
    }  # fmt: skip
    assert report['networks']['C']['fitted'] == 2


def test_a_run_that_resumes_ignores_init(base, data, tmp_path, capsys):
    workdir = tmp_path / 'w'
    assert train.main(arguments(data / '4', workdir, *SHORT, f'--init={base}:E,G')) == 0
    assert 'D           0 of 4   nowhere: fresh' in capsys.readouterr().out
    longer = ['--config.hparams.one_steps=2', '--config.hparams.two_steps=0']
    assert train.main(arguments(data / '4', workdir, *longer, '--init=nowhere')) == 0
    said = capsys.readouterr().out
    assert f'--init: ignored, the run in {workdir} resumes; it started from {base}:E,G' in said
    assert 'resuming' not in said.partition('ignored')[0] and 'network' not in said
    assert json.loads((workdir / 'config.json').read_text())['init'] == [f'{base}:E,G']
    with pytest.raises(UserError, match=r'config\.freeze: \[\] before, \[.E.\] now'):
        train.main(arguments(data / '4', workdir, *longer, '--config.freeze=E'))


def test_before_its_first_checkpoint_a_run_starts_again_from_what_was_given(base, data, tmp_path):
    assert train.main(arguments(data / '4', tmp_path / 'one', *SHORT, f'--init={base}')) == 0
    (tmp_path / 'two').mkdir()
    config = (tmp_path / 'one' / 'config.json').read_text()
    (tmp_path / 'two' / 'config.json').write_text(config)
    assert train.main(arguments(data / '4', tmp_path / 'two', *SHORT)) == 0
    assert not changed(raw(tmp_path / 'one', 1), raw(tmp_path / 'two', 1))


@pytest.mark.parametrize('extra, words', [
    (['--init=nowhere:E'], r'--init nowhere:E: nowhere: no such run and no such bundle'),
    (['--init={base}:EE'], r"no network 'EE' there; did you mean E\?"),
    (['--config.freeze=Q'], r"config\.freeze: no network 'Q'; there are E, G, D, C"),
    (['--config.freeze=E,G,D,C'], r'config\.freeze: nothing is left to train in stage one'),
    (['--config.rate_factors=E=0.1,F=2'], r"config\.rate_factors: no network 'F'"),
    (['--config.rate_factors=E'], r"config\.rate_factors: 'E' is not NAME=FACTOR"),
    (['--config.rate_factors=E=fast'], r"'E=fast' is not NAME=FACTOR"),
    (['--config.rate_factors=E=0'], r'must be above 0; config\.freeze=E stops'),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_name(extra, words, base, data, tmp_path):
    extra = [text.format(base=base) for text in extra]
    with pytest.raises(UserError, match=words):
        train.main(arguments(data / '4', tmp_path / 'w', *SHORT, *extra))


def test_nothing_that_fits_is_refused():
    fresh = {'E': {'params': {'kernel': np.zeros((2, 3))}}}
    source = pretrained.Source('there', (), {'E/params/kernel': np.ones((2, 4))}, {'system': 'x'})
    with pytest.raises(UserError, match='there: none of its weights fits'):
        pretrained.fit([source], fresh)
    good = source._replace(text='here', arrays={'E/params/kernel': np.ones((2, 3), np.float16)})
    last = good._replace(text='last', arrays={'E/params/kernel': np.full((2, 3), 2.0)})
    filled, (row,) = pretrained.fit([good, last], fresh)
    np.testing.assert_array_equal(filled['E']['params']['kernel'], np.full((2, 3), 2.0))
    assert row == pretrained.Row('E', 1, 1, ('last',), ())
    with pytest.raises(UserError, match=r"this run has no 'F'; there are E"):
        pretrained.fit([good._replace(asked=('F',))], fresh)


def test_a_bundle_gives_the_networks_of_the_runs_system(tmp_path):
    model = bundles.landmark_model()
    export.write(tmp_path / 'b', bundles.drawing_model(), model, 'float16')
    source = pretrained.read(f'{tmp_path / "b"}', 'ldnet')
    assert set(source.networks) == {'E_P', 'E_I', 'G'}, 'no discriminator, no drawing'
    filled, rows = pretrained.fit([source], model.variables)
    for network in source.networks:
        for one, other in zip(
            *map(jax.tree.leaves, (filled[network], model.variables[network])), strict=True
        ):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)
    assert {row.network: row.fitted == row.arrays for row in rows}['E_P']
    assert pretrained.read(f'{tmp_path / "b"}', 'aan').networks[0] in {*source.networks, 'letter'}
    (tmp_path / 'b' / 'transfer.safetensors').write_bytes(b'x')
    with pytest.raises(UserError, match='damaged'):
        pretrained.read(f'{tmp_path / "b"}:E_P', 'ldnet')


def test_factors_of_learning_rates():
    """A network's factor counts before its player's; the optimiser's state is as without."""
    stage = toy.stages(toy.Hparams(), None)[0]
    plain, slow = stage, tuning.tuned(stage, (), tuning.factors('G=0.5,E=0.1'))
    params = {n: {'params': {'w': np.ones(3, np.float32)}} for n in ('E', 'G')}
    grads = jax.tree.map(lambda x: np.float32([1, -2, 3]), params)
    states_of, updates = [], []
    for one in (plain, slow):
        state = one.tx['G'].init(params)
        update, state = one.tx['G'].update(grads, state, params)
        states_of.append(state)
        updates.append(update)
    for network, factor in (('E', 0.1), ('G', 0.5)):
        expected = factor * updates[0][network]['params']['w']
        np.testing.assert_allclose(updates[1][network]['params']['w'], expected, rtol=1e-6)
    assert float(optax.tree.norm(jax.tree.map(lambda a, b: a - b, *states_of))) == 0
    assert slow.tx['D'] is plain.tx['D'] and slow.losses is plain.losses


@pytest.mark.parametrize('text, parts', [
    ('out/aan', ('out/aan', ())),
    ('out/aan:E_a,FEN', ('out/aan', ('E_a', 'FEN'))),
    ('gs://bucket/run', ('gs://bucket/run', ())),
    ('gs://bucket/run:G', ('gs://bucket/run', ('G',))),
])  # fmt: skip
def test_a_colon_parts_networks_from_the_folder(text, parts):
    assert pretrained._split(text) == parts
