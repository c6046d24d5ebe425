"""What comes with the package: names, people and motions; and the trained model, measured."""

import json
import pathlib

import numpy as np
import pytest
from bundles import drawing_model, landmark_model

from reenact_jax import bundle, commands, pretrained
from reenact_jax.common.errors import UserError
from reenact_jax.data_prep import performances
from reenact_jax.evaluate import compare
from reenact_jax.export import command as export
from reenact_jax.media import reading, writing
from reenact_jax.reenact import motion
from reenact_jax.train import pretrained as weights

PACKAGE = pathlib.Path(pretrained.__file__).parent


@pytest.mark.parametrize('name', pretrained.MOTIONS)
def test_motions_are_what_the_program_makes(name):
    shipped = motion.read(pretrained.motion(name))
    track = performances.track(performances.PERFORMER, performances.perform(name), 0)
    made = performances.motion_of(track)
    assert shipped.points == '68' and shipped.rate == 25 and shipped.valid.all()
    np.testing.assert_allclose(shipped.landmarks, made.landmarks, atol=2e-4)
    np.testing.assert_allclose(shipped.aus, made.aus, atol=2e-4)


@pytest.mark.parametrize('name', pretrained.MOTIONS)
def test_motions_begin_and_end_at_rest(name):
    """So that one may follow another, or itself."""
    state = performances.perform(name)
    for field in state:
        assert abs(field[[0, -1]]).max() < 0.02
        assert abs(np.diff(field, axis=0)).max() < 0.75  # nothing jumps but a lid
    assert state.aus.min() >= 0 and state.aus.max() <= 1
    assert max(np.ptp(state.aus, 0).max(), np.ptp(state.pose, 0).max()) > 0.5


def test_people_are_marked_pictures():
    files = pretrained.people()
    assert len(files) == len(performances.PEOPLE)
    for file in files:
        assert writing.is_marked(file) and reading.read_still(str(file)).shape == (512, 512, 3)
    assert writing.is_marked(pretrained.film())


def test_eased_goes_through_its_keys():
    seconds = np.linspace(0, 3, 31)
    values = performances.eased(seconds, [(0.5, 1.0), (1.0, 3.0), (2.0, -1.0)])
    np.testing.assert_allclose(values[[0, 5, 10, 20, 30]], [1, 1, 3, -1, -1], atol=1e-12)
    assert (np.diff(values[5:11]) > 0).all() and (np.diff(values[10:21]) < 0).all()


def test_names_go_before_folders_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pretrained, '_BOX', tmp_path / 'box')
    export.write('portrait', drawing_model(), None)
    with pytest.raises(UserError, match=r'portrait: no bundle here'):
        bundle.load('portrait')
    assert bundle.load('./portrait').transfer_name == 'none'
    export.write(tmp_path / 'box' / 'portrait', drawing_model(), landmark_model())
    assert bundle.load('portrait').transfer_name == 'ldnet'
    assert set(bundle.read_weights('portrait')) == {'generator', 'transfer'}
    assert compare.read_model('portrait', None).transfer_name == 'ldnet'  # what `evaluate` takes
    assert weights.read('portrait:E_I', 'ldnet').networks  # and `--init`
    assert pretrained.model('portraits') is None and pretrained.motion('./talk') is None


def test_the_demonstration(tmp_path, monkeypatch, capsys):
    """Without arguments the command animates what is in the package."""
    monkeypatch.chdir(tmp_path)
    assert commands.main(['reenact']) == 0
    said = capsys.readouterr()
    summary = json.loads(said.out.splitlines()[-1])
    assert '--driving talk' in said.err and summary['out'] == 'out/demo.mp4'
    assert summary['frames'] == 100 and summary['held'] == 0 and summary['size'] == [1536, 512]
    frames = [frame for frame, *_ in reading.Reader('out/demo.mp4').frames()]
    source, drawn, result = np.split(np.float32(frames), 3, 2)
    assert abs(source - source[:1]).mean() < 1 and abs(drawn - drawn[:1]).max() > 200
    assert 1 < abs(result - result[:1]).mean() < 40  # it moves, and is not torn to pieces
    portrait = np.float32(reading.read_still(str(pretrained.people()[0])))
    assert abs(result[0] - portrait).mean() < 6  # at rest it is the portrait, whole


def test_the_model_in_the_package():
    model, folder = bundle.load('portrait'), PACKAGE / 'portrait'
    card = model.card
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size <= 25_000_000 and card['dtype']['weights'] == 'float16'
    assert {file.name for file in folder.iterdir()} == {*card['files'], bundle.CARD}
    assert card['licence'] == 'Apache-2.0' and model.has_layers
    assert model.transfers == ['ldnet', 'facegan', 'none'] and 'aus' in model.by_units().driven_by
    for part in (card['generator'], card['transfer'], *card['more_transfers']):
        assert len(part['data']['digest']) == 64 and part['finished'], part['system']
    assert {'data', 'hours', 'figures', 'limits'} <= set(card['notes'])
