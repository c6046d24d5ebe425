"""The examples in the docstrings of the public names run, on a small bundle."""

import doctest

import numpy as np
import pytest
from bundles import landmark_model, layered_model

import reenact_jax
from reenact_jax.common import errors
from reenact_jax.export import command as export
from reenact_jax.media import writing
from reenact_jax.reenact import model as models

EXAMPLES = [
    (test.name, test)
    for module in (reenact_jax, models, errors)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module)
    if test.examples
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with what the examples name: a bundle, a portrait and a clip."""
    pytest.importorskip('mediapipe', reason='needs the face detector')
    folder = tmp_path_factory.mktemp('examples')
    export.write(folder / 'out' / 'bundle', layered_model(), landmark_model())
    face = pytest.importorskip('skimage.data').astronaut()[:256, 96:352]
    writing.write_still(folder / 'portrait.jpg', np.ascontiguousarray(face))
    with writing.VideoWriter(folder / 'clip.mp4', 10) as video:
        for shift in (0, 3, 6):
            video.write(np.roll(face, shift, 1))
    return folder


@pytest.fixture(scope='module')
def names(folder):
    """What earlier examples of the page have made."""
    model = reenact_jax.load(folder / 'out' / 'bundle')
    clip = model.animate(folder / 'portrait.jpg', folder / 'clip.mp4')
    return {'reenact_jax': reenact_jax, 'model': model, 'clip': clip}


@pytest.mark.parametrize('test', [test for _, test in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_the_example_gives_what_it_says(test, folder, names, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    test.globs |= names
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    failed = runner.run(test, clear_globs=False).failed
    assert not failed, capsys.readouterr().out


def test_every_public_name_has_an_example():
    shown = {name.rpartition('.')[2] for name, _ in EXAMPLES}
    assert {'Clip', 'Model', 'UserError', 'animate', 'load', 'save'} <= shown
