"""docs/adding_a_system.md holds: its files are written down, trained, exported and used."""

import importlib
import json
import pathlib
import re
import sys

import fakes
import numpy as np
import pytest

from reenact_jax import bundle
from reenact_jax.export import command as export
from reenact_jax.train import command as train
from reenact_jax.train import config, summary

PAGE = pathlib.Path(__file__).parent.parent / 'docs' / 'adding_a_system.md'
SIZE = 32


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with the page's package in it, from which Python imports."""
    folder = tmp_path_factory.mktemp('outside')
    files = re.findall(r'^`([\w/]+\.py)`\n\n```python\n(.*?)^```$', PAGE.read_text(), re.M | re.S)
    assert [name for name, _ in files] == ['my_lab/painter.py', 'my_lab/configs.py']
    for name, code in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
        for name in [name for name in sys.modules if name.partition('.')[0] == 'my_lab']:
            del sys.modules[name]


@pytest.fixture(scope='module')
def workdir(folder):
    """Two steps of training, the second by a resumed run."""
    fakes.fake_shards(folder / 'data', size=SIZE)
    arguments = [
        f'--config={folder}/my_lab/configs.py:tiny', f'--config.data={folder / "data"}',
        f'--workdir={folder / "run"}', '--config.log_every=1',
    ]  # fmt: skip
    assert train.main([*arguments, '--config.hparams.steps=1']) == 0
    assert train.main(arguments) == 0
    return folder / 'run'


def test_it_trains_and_resumes(workdir):
    lines = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
    assert [(line['stage'], line['step']) for line in lines] == [('paint', 1), ('paint', 2)]
    assert all(np.isfinite(line['l1']) for line in lines)
    stored = json.loads((workdir / 'config.json').read_bytes())
    assert stored['system'] == 'my_lab.painter'


def test_it_is_summed_up(folder):
    values = importlib.import_module('my_lab.configs').get_config()
    text = summary.report(values, summary.DataInfo(3, 12, '68'), SIZE)
    assert text.startswith('my_lab.painter: 32 x 32 pixels') and 'paint: 5,000 steps' in text


def test_its_bundle_draws(workdir, folder):
    target = folder / 'bundle'
    assert export.main(['--generator', str(workdir), '--out', str(target)]) == 0
    model = bundle.load(target)
    assert model.card['generator']['paper'].startswith('Painter (ours)')
    rng = np.random.default_rng(0)
    source = {
        'image': rng.uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32),
        'landmarks': rng.uniform(4, 28, (1, 68, 2)).astype(np.float32),
    }
    driving = {'landmarks': rng.uniform(4, 28, (3, 68, 2)).astype(np.float32)}
    first = {'landmarks': driving['landmarks'][:1]}
    points = model.transfer(model.identify(source), driving, first)
    images = np.asarray(model.render(model.encode(source), points))
    assert images.shape == (3, SIZE, SIZE, 3) and np.abs(images).max() <= 1
    assert not np.array_equal(images[0], images[1])


def test_numbers_are_checked_like_those_of_ours(folder):
    with pytest.raises(config.UserError, match=r'config\.hparams\.width: 0 is below'):
        config.build('my_lab.painter', {}, {'width': 0})
