"""The wheel, installed and used away from the checkout: data, training, export, a portrait."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
pytestmark = pytest.mark.long


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """A folder that the wheel was installed into; the packages it needs are this environment's."""
    place = tmp_path_factory.mktemp('wheel')
    source = place / 'source'
    subprocess.run(['git', 'clone', '-q', str(ROOT), str(source)], check=True)
    pip = [sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check']
    subprocess.run([*pip, 'wheel', '--no-deps', '-w', str(place), str(source)], check=True)
    (wheel,) = place.glob('*.whl')
    subprocess.run([*pip, 'install', '--no-deps', '--target', place / 'site', wheel], check=True)
    return place / 'site'


@pytest.fixture(scope='module')
def run(installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp('elsewhere')

    def run(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, '-m', 'reenact_jax', *words]
        own = {name: value for name, value in os.environ.items() if name != 'XLA_FLAGS'}
        there = {**own, 'PYTHONPATH': str(installed)}  # one device, not the tests' four
        return subprocess.run(
            command, cwd=folder, env=there, check=True, capture_output=True, text=True
        )

    run.folder = folder
    return run


def test_it_has_one_name_at_the_top(installed):
    names = {path.name for path in installed.iterdir() if not path.name.endswith('.dist-info')}
    assert names - {'bin'} == {'reenact_jax'}
    parts = ('configs/aan.py', 'data_prep/videos.py', 'sweeps/jobset.yaml', 'py.typed')
    box = ('portrait/card.json', 'motions/talk.csv', 'people/person_1.jpg', 'people/driver.mp4')
    for part in (*parts, *(f'pretrained/{name}' for name in box)):
        assert (installed / 'reenact_jax' / part).is_file()


def test_it_prepares_trains_exports_and_reenacts(run, installed):
    heads = '--identities 4 --test-identities 2 --tracks 2 --size 64 --cross-pairs 2 --frames 8'
    run(
        'prepare', 'synthetic', '--out', 'heads', *heads.split(), '--val-identities', '0', '--quiet'
    )
    run('train', '--config', 'aan:tiny', '--config.data=heads', '--workdir', 'aan')
    made = run('export', '--generator', 'aan', '--out', 'bundle')
    assert json.loads(made.stdout.splitlines()[-1])['generator'] == 'aan'
    assert 'device: ' in made.stderr
    assert 'people' in run('inspect', 'heads').stdout
    source = ['--source', 'heads', '--source-track', 'train_00000_0000']
    driver = ['--driving', 'heads', '--driving-track', 'train_00001_0000']
    run('reenact', '--model', 'bundle', *source, *driver, '--out', 'out.mp4')
    assert (run.folder / 'out.mp4').stat().st_size > 1000
    assert json.loads(run('provenance', 'out.mp4').stdout)['metadata'] is True
    assert 'learning rate of the generator' in run('summary', '--config', 'aan:tiny').stdout


def test_it_animates_what_it_brings(run):
    assert json.loads(run('reenact').stdout.splitlines()[-1])['frames'] == 100
    assert json.loads(run('provenance', 'out/demo.mp4').stdout)['metadata'] is True


def test_it_sweeps(run):
    printed = run('sweep', 'freenet_table2:tiny', '--workdir', 'tables').stdout
    assert (run.folder / 'tables' / 'freenet_table2_tiny' / 'table.md').is_file(), printed
