"""The notebooks run from end to end on small models and data, and are stored without outputs."""

import json
import os
import pathlib
import re
import sys

import pytest
from bundles import landmark_model, layered_model
from conftest import CACHE

from reenact_jax.export import command as export

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / 'docs' / 'notebooks'
NOTEBOOKS = sorted(FOLDER.glob('*.ipynb'))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs(path):
    cells = json.loads(path.read_text())['cells']
    code = [cell for cell in cells if cell['cell_type'] == 'code']
    assert code and not any(cell['outputs'] or cell['execution_count'] for cell in code)
    assert not any(cell.get('attachments') for cell in cells)
    assert path.stat().st_size < 10_000


def test_a_page_links_to_every_notebook():
    pages = ' '.join(page.read_text() for page in (ROOT / 'docs').glob('*.md'))
    assert NOTEBOOKS and all(f'(notebooks/{path.name})' in pages for path in NOTEBOOKS)


def execute(path: pathlib.Path, monkeypatch, **environment) -> str:
    """Run all cells; return what they print."""
    nbclient = pytest.importorskip('nbclient', reason='needs the extra test: nbclient, ipykernel')
    nbformat = pytest.importorskip('nbformat')
    pytest.importorskip('ipykernel', reason='needs the extra test: nbclient, ipykernel')
    monkeypatch.setenv('PYTHONPATH', f'{ROOT}:{":".join(filter(None, sys.path))}')
    monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(CACHE))
    one = re.sub(r'device_count=\d+', 'device_count=1', os.environ['XLA_FLAGS'])
    monkeypatch.setenv('XLA_FLAGS', one)  # as a user's; the tests have four devices
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(path, as_version=4)
    resources = {'metadata': {'path': str(FOLDER)}}
    client = nbclient.NotebookClient(notebook, resources=resources, kernel_name='python3')
    client.execute()
    outputs = [one for cell in notebook.cells for one in cell.get('outputs', ())]
    return ''.join(one.get('text', '') for one in outputs)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_animate_and_edit_runs(tmp_path, monkeypatch):
    pytest.importorskip('mediapipe', reason='needs the face detector')
    export.write(tmp_path / 'bundle', layered_model(), landmark_model())
    said = execute(
        FOLDER / 'animate_and_edit.ipynb', monkeypatch, BUNDLE=tmp_path / 'bundle', OUT=tmp_path
    )
    assert 'result.mp4 - metadata: True - mark in the pixels: True' in said
    assert 'largest motion' in said
    for name in ('result.mp4', 'result.webp', 'smile.png'):
        assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_train_ablate_compare_runs(tmp_path, monkeypatch):
    said = execute(FOLDER / 'train_ablate_compare.ipynb', monkeypatch, OUT=tmp_path)
    assert 'aan - last step: 4' in said and 'spade - last step: 4' in said
    tables = [tmp_path / 'ablation' / f'{name}_scores' for name in ('aan', 'spade')]
    scores = [json.loads((table / 'table.json').read_text())['methods'] for table in tables]
    assert scores[0] != scores[1]
