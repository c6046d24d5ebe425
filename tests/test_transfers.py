"""Bundles with several landmark transfers: each is what it is alone, and use chooses among them."""

import json

import jax
import numpy as np
import pytest
from bundles import drawing_model, image_model, landmark_model, random_face, shifting_model
from fakes import fake_shards

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.reenact import command as reenact
from reenact_jax.reenact.animation import fitting
from reenact_jax.reenact.edits import unit_edits
from reenact_jax.train import pretrained

SIZE = 32


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """A bundle with both transfers, and one with each."""
    base = tmp_path_factory.mktemp('several')
    first, second = landmark_model(), shifting_model()
    export.write(base / 'both', drawing_model(), first, more=[second])
    for name, one in (('ldnet', first), ('shift', second)):
        export.write(base / name, drawing_model(), one)
    return base


def moved(model):
    source, driving = random_face(0, 1), random_face(1, 3)
    first = {name: value[:1] for name, value in driving.items()}
    return np.asarray(model.transfer(model.identify(source), driving, first))


@pytest.mark.parametrize('name', ['ldnet', 'shift'])
def test_each_transfer_is_what_it_is_alone(folders, name):
    several, alone = bundle.load(folders / 'both', name), bundle.load(folders / name)
    assert several.transfer_name == alone.transfer_name == name
    assert several.driven_by == alone.driven_by
    assert several.transfer_entry == alone.card['transfer']
    np.testing.assert_array_equal(moved(several), moved(alone))


def test_the_first_is_the_default(folders):
    model = bundle.load(folders / 'both')
    assert model.transfer_name == 'ldnet' and model.transfers == ['ldnet', 'shift', 'none']
    assert model.using('none').using(None).transfer_name == 'ldnet'
    with pytest.raises(UserError, match='this bundle has ldnet or none or shift'):
        model.using('facegan')


def test_older_programs_are_told_by_the_format(folders):
    formats = [bundle.read_card(folders / name)['format'] for name in ('both', 'ldnet')]
    assert formats == [bundle.SEVERAL, bundle.FORMAT] == [2, 1]


def test_action_units_choose_their_transfer(folders):
    model = bundle.load(folders / 'both')
    smile, turn = unit_edits.parse(['12=1'], {}), unit_edits.parse([], {'yaw': '10'})
    assert fitting(model, smile).transfer_name == 'shift'
    assert fitting(model, turn).transfer_name == 'ldnet'  # which any transfer can
    alone = bundle.load(folders / 'ldnet')
    assert fitting(alone, smile) is alone


def test_the_command_takes_the_transfer_that_is_needed(folders, tmp_path, capsys):
    fake_shards(tmp_path / 'set', identities=2, tracks=1, frames=3, size=2 * SIZE)
    same = ['--model', str(folders / 'both'), '--source', str(tmp_path / 'set')]
    same += ['--source-track', 'track0000']

    def ran(*more):
        out = ['--out', str(tmp_path / 'r.png'), '--overwrite']
        assert reenact.main([*same, *more, *out]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])['transfer']

    assert ran('--au', '12=1') == 'shift'
    assert ran('--pose-yaw', '10') == 'ldnet'
    assert ran('--pose-yaw', '10', '--transfer', 'shift') == 'shift'
    with pytest.raises(UserError, match='--au: ldnet is driven by landmarks'):
        ran('--au', '12=1', '--transfer', 'ldnet')


def test_two_of_one_system_cannot_be_told_apart(tmp_path):
    with pytest.raises(UserError, match='--transfer: two of ldnet'):
        export.write(tmp_path / 'b', drawing_model(), landmark_model(), more=[landmark_model()])
    others = [shifting_model()._replace(system=f'shift{n}') for n in range(8)]
    with pytest.raises(UserError, match='--transfer: 9 of them; a bundle holds 8 at most'):
        export.write(tmp_path / 'b', drawing_model(), landmark_model(), more=others)
    assert not list(tmp_path.iterdir())


def test_every_transfer_must_fit_the_generator(tmp_path):
    with pytest.raises(UserError, match='points'):
        export.write(tmp_path / 'b', image_model(), landmark_model(), more=[shifting_model('106')])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda card: card['more_transfers'][0].update(system='ldnet'),
            'two transfers of one name',
        ),
        (lambda card: card.update(transfer=None), 'the first of several'),
        (lambda card: card['more_transfers'].append({'system': 'x'}), 'without identify_3'),
        (lambda card: card.update(more_transfers=[]), "'identify_2' is none of"),
        (lambda card: card.update(more_transfers=8 * [{'system': 'x'}]), '7 models at most'),
        (lambda card: card.update(more_transfers='x'), '7 models at most'),
        (lambda card: card['more_transfers'][0].update(driven_by=['aus']), 'identify_2: takes'),
        (lambda card: card.update(format=3), 'bundle format 3, this version reads 1 and 2'),
    ],
)
def test_cards_that_are_wrong(folders, tmp_path, change, message):
    target = tmp_path / 'b'
    target.mkdir()
    for file in (folders / 'both').iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    card = json.loads((target / bundle.CARD).read_text())
    change(card)
    (target / bundle.CARD).write_text(json.dumps(card))
    with pytest.raises(UserError, match=message):
        bundle.load(target)


def test_fewer_bits_cost_what_the_worst_costs(tmp_path):
    card = export.write(
        tmp_path / 'b', drawing_model(), landmark_model(), 'float16', [shifting_model()]
    )
    alone = export.write(tmp_path / 'a', drawing_model(), landmark_model(), 'float16')
    assert card['dtype']['points_max'] >= alone['dtype']['points_max'] > 0
    stored = bundle.read_weights(tmp_path / 'b')
    assert set(stored) == {'generator', 'transfer', 'transfer_2'}


def test_notes_go_into_the_card(tmp_path):
    path = tmp_path / 'notes.json'
    for text, message in (('[1]', 'expected an object'), ('{"a": NaN}', 'NaN'), ('{', 'JSON')):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            export.read_notes(str(path))
    with pytest.raises(UserError, match='no such file'):
        export.read_notes(str(tmp_path / 'none.json'))
    path.write_text('{"hours": 2, "limits": ["mouths"]}')
    notes = export.read_notes(str(path))
    export.write(tmp_path / 'b', drawing_model(), None, notes=notes)
    assert bundle.load(tmp_path / 'b').card['notes'] == {'hours': 2, 'limits': ['mouths']}


def test_a_training_starts_from_the_second_one(folders):
    read = pretrained.read(str(folders / 'both'), 'shift')
    assert {name.split('/')[0] for name in read.arrays} == {'letter'}
    np.testing.assert_array_equal(jax.tree.leaves(dict(read.arrays))[0], [8.0])
