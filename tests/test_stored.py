"""What earlier versions wrote goes on working: stored/README.md says what, and how it was made."""

import json
import pathlib
import shutil
import tarfile

import numpy as np
import pytest
from bundles import drawing_model
from stored.rendered import rendered
from test_step import changed

from reenact_jax import bundle
from reenact_jax.data import shards
from reenact_jax.data.batches import Loader
from reenact_jax.export import command as export
from reenact_jax.export import trained
from reenact_jax.media import reading
from reenact_jax.reenact import command as reenact
from reenact_jax.train import command as train
from reenact_jax.train.checkpoints.store import load_networks

STORED = pathlib.Path(__file__).parent / 'stored'
COMMITS = sorted(file.name.removesuffix('.tar.xz') for file in STORED.glob('*.tar.xz'))


@pytest.fixture(scope='module', params=COMMITS)
def old(request, tmp_path_factory) -> pathlib.Path:
    """The artefacts of a commit."""
    folder = tmp_path_factory.mktemp('stored')
    with tarfile.open(STORED / f'{request.param}.tar.xz') as archive:
        archive.extractall(folder, filter='data')
    return folder / request.param


def test_there_are_some():
    assert len(COMMITS) >= 2


def test_shards_are_read(old):
    part = shards.ShardSet(old / 'shards', 'train')
    assert len(part) == 4 and {part.track(n).frames for n in range(4)} == {3}
    batch = next(Loader(part, batch_size=4, reads=('image', 'landmarks', 'identity')))
    assert batch.image.shape == (4, 2, 32, 32, 3) and np.ptp(batch.image) > 50
    assert np.isfinite(batch.landmarks).all() and len(set(batch.identity)) > 1


def test_bundles_give_the_numbers_that_they_gave(old):
    found, wanted = rendered(old / 'bundle'), np.load(old / 'numbers.npz')
    assert np.ptp(wanted['image']) > 0.1 and set(found) == set(wanted.files)
    for name, value in found.items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_bundles_reenact(old, tmp_path, capsys):
    names = [str(name) for name in shards.ShardSet(old / 'shards', 'train').columns.track_id]
    out, data = tmp_path / 'out.mp4', str(old / 'shards')
    arguments = ['--model', str(old / 'bundle'), '--source', data, '--source-track', names[0]]
    arguments += ['--driving', data, '--driving-track', names[1], '--out', str(out)]
    assert reenact.main(arguments) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (summary['frames'], summary['held'], summary['transfer']) == (3, 0, 'ldnet')
    frames = list(reading.Reader(str(out)))
    assert len(frames) == 3 and np.ptp(frames[0]) > 50


def test_workdirs_resume_and_export(old, tmp_path):
    """One more step of the stage, and a bundle of it."""
    workdir = tmp_path / 'ldnet'
    shutil.copytree(old / 'ldnet', workdir)
    _, before, position = load_networks(workdir)
    assert position['step'] == 2
    kept = json.loads((workdir / 'config.json').read_text())
    given = [f'--config.{name}={kept[name]!r}' for name in ('keep', 'preview_every', 'stages')]
    given += [
        f'--config.hparams.{name}={value}'
        for name, value in kept['hparams'].items()
        if name != 'stage1_steps'
    ]
    arguments = ['--config=ldnet_fdgan:tiny', f'--config.data={old / "shards"}', *given]
    arguments += [f'--workdir={workdir}', '--config.hparams.stage1_steps=3']
    assert train.main(arguments) == 0
    _, after, position = load_networks(workdir)
    assert position['step'] == 3 and position['finished']
    assert changed(before['G'], after['G'])
    export.write(tmp_path / 'bundle', drawing_model(), trained.read(workdir))
    assert bundle.load(tmp_path / 'bundle').transfer_name == 'ldnet'
