"""docs/cookbook.md holds: its files are written down, its commands run, with less to do."""

import contextlib
import json
import re
import runpy
import sys
import types

import fakes
import numpy as np
import pytest
from bundles import drawing_model, landmark_model
from documented import ROOT, commands

from reenact_jax import bundle, faces
from reenact_jax import commands as programs
from reenact_jax.common import outside
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.export import command as export
from reenact_jax.faces import point_files
from reenact_jax.media import reading, writing
from reenact_jax.train import config

PAGE = (ROOT / 'docs' / 'cookbook.md').read_text()
FILES = dict(re.findall(r'^`([\w/]+\.py)`\n\n```python\n(.*?)^```$', PAGE, re.M | re.S))
FEWER = [
    '--config.batch_size=8',
    '--config.hparams.steps=1',
    *(
        f'--config.hparams.{name}=False'
        for name in (
            'local_net',
            'part_masks',
            'inner_mouth',
            'mouth_palette',
            'mouth_form',
            'occlusion',
            'unseen',
        )
    ),
]
LESS = {':small': ':tiny', 'data/people --pairs': 'data/found --split train --pairs'}


@contextlib.contextmanager
def importable(folder):
    """Imports from a folder, and afterwards no longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield
    for name in [name for name in sys.modules if name.partition('.')[0] == 'my_lab']:
        del sys.modules[name]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with the page's files, a portrait, a clip, a set and a bundle."""
    pytest.importorskip('dlib')
    pytest.importorskip('face_recognition_models')
    skimage = pytest.importorskip('skimage.data')
    folder = tmp_path_factory.mktemp('cookbook')
    assert set(FILES) == {f'my_lab/{name}.py' for name in ('blocks', 'faces', 'table', 'measures')}
    for name, code in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    portrait = np.ascontiguousarray(skimage.astronaut()[:256, 96:352])
    writing.write_still(folder / 'portrait.jpg', portrait)
    with writing.VideoWriter(folder / 'clip.mp4', 10) as video:
        for shift in range(0, 12, 3):
            video.write(np.roll(portrait, shift, 1))
    fakes.fake_shards(folder / 'data' / 'people', size=64)
    export.write(folder / 'out' / 'bundle', drawing_model(), landmark_model())
    with importable(folder):
        yield folder


def run(part: str, folder, monkeypatch) -> None:
    """Run the page's command that has this in it."""
    monkeypatch.chdir(folder)
    (text,) = [one.text for one in commands() if one.page == 'cookbook.md' and part in one.text]
    for what, less in LESS.items():
        text = text.replace(what, less)
    words = text.split()[1:]
    words += FEWER if words[0] == 'train' else []
    assert not programs.main(words)


def test_a_block_is_trained_named_and_needed_no_more(folder, monkeypatch):
    run('aan:small', folder, monkeypatch)
    run('export', folder, monkeypatch)
    target = folder / 'out' / 'gated_bundle'
    card = json.loads((target / bundle.CARD).read_text())
    assert card['generator']['own_parts'] == {'modulation': 'my_lab.blocks:Gated'}
    names = card['functions']['render']['names']
    assert any('Gated_0' in name for name in names)
    monkeypatch.setattr(sys, 'path', [place for place in sys.path if place != str(folder)])
    monkeypatch.chdir(folder / 'data')
    for name in [name for name in sys.modules if name.partition('.')[0] == 'my_lab']:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UserError, match=r"no module 'my_lab\.blocks'; start the command in"):
        outside.named('my_lab.blocks:Gated', 'field')
    track = ['--source', '../data/people', '--source-track', 'track0000', '--edit', 'smile=0.5']
    assert not programs.main(['reenact', '--model', str(target), *track, '--out', 'smile.png'])
    assert reading.read_still('smile.png').any()


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('my_lab.blocks:None', r'hparams\.modulation: my_lab\.blocks has no .None. that can be'),
        ('my_lab.nothing:Gated', r"hparams\.modulation: no module 'my_lab\.nothing'"),
        ('my_lab:3', r"hparams\.modulation: 'my_lab:3', expected a name such as"),
        ('spad', r"'spad' is not one of 'aan', 'spade', nor named as my_package"),
    ],
)
def test_wrong_blocks_are_refused_before_training(folder, name, message):
    with pytest.raises(UserError, match=message):
        config.build('aan', {}, {'modulation': name})


def test_a_detector_finds_faces_for_reenact_and_prepare(folder, monkeypatch):
    monkeypatch.setattr(faces, 'Detector', None)  # nobody asks MediaPipe
    run('found.mp4', folder, monkeypatch)
    assert reading.probe(folder / 'found.mp4').frames == 4
    run('prepare videos', folder, monkeypatch)
    part = ShardSet(folder / 'data' / 'found', 'train')
    assert part.points == ('68', '68c')
    track = part.track(0)
    assert track.detector.startswith('my_lab.faces:find') and all(track.segmentation)
    np.testing.assert_array_equal(track.landmarks_68, track.landmarks_68c)
    assert not track.landmarks_106.any() and not track.aus_valid.any()
    moved = np.diff(track.landmarks_68[:, 30, 0])
    assert (moved > 0).all()  # the clip's face goes to the right
    spread = np.abs(track.reference_68[0] - track.landmarks_68[0]).max()
    assert spread < 1e-3  # the first frame counts as the neutral one


def test_points_in_files_make_sets_and_stand_for_detection(folder, monkeypatch):
    monkeypatch.chdir(folder)
    runpy.run_module('my_lab.table')
    monkeypatch.setattr(faces, 'Detector', None)
    run('prepare points', folder, monkeypatch)
    track = ShardSet(folder / 'data' / 'pictured', 'train').track(0)
    assert track.size == 64 and all(track.image) and track.identity_name == 'me'
    given = np.load('portrait.npy')
    ours = track.landmarks_68c[0, :, :2]
    scale = np.ptp(ours[:, 0]) / np.ptp(given[:, 0])
    np.testing.assert_allclose(ours - ours[0], (given - given[0]) * scale, atol=1e-3)
    run('portrait.npy', folder, monkeypatch)
    assert reading.read_still('smile.png').shape == (256, 256, 3)


def test_estimators_of_ones_own_are_named_and_used(folder, monkeypatch):
    if not (folder / 'data' / 'found').exists():
        run('prepare videos', folder, monkeypatch)
    monkeypatch.setattr(faces, 'Detector', None)
    run('my_lab.measures:embed', folder, monkeypatch)
    table = json.loads((folder / 'out/evaluation/bundle-self/table.json').read_text())
    assert [card['name'] for card in table['estimators']] == [
        'my_lab.measures:embed', 'my_lab.faces:find', 'my_lab.measures:thumbnails',
    ]  # fmt: skip
    row = table['methods']['copy of the source']
    assert row['csim']['mean'] == pytest.approx(1) and row['akd']['mean'] > 0 and row['frechet'] > 0
    assert 'prmse' not in row and 'ed_l2' not in row  # points tell neither


def stand_in(monkeypatch, found) -> faces.PointDetector:
    """A detector by name whose function returns this."""
    module = types.ModuleType('my_lab')
    module.find = lambda image: found
    monkeypatch.setitem(sys.modules, 'my_lab', module)
    return faces.PointDetector('my_lab:find')


@pytest.mark.parametrize(
    ('found', 'message'),
    [
        (np.zeros((67, 2)), r'returned points of shape \[67, 2\], expected \[n, 2\]'),
        (np.full((68, 2), np.nan), 'NaN or infinite'),
        ('a face', 'is no array of points'),
    ],
)
def test_what_detectors_may_not_return(monkeypatch, found, message):
    detector = stand_in(monkeypatch, found)
    with pytest.raises(UserError, match=f'--detector my_lab:find: .*{message}'):
        detector.detect(np.zeros((8, 8, 3), np.uint8))


def test_points_of_another_number_are_named(monkeypatch):
    points = np.random.default_rng(0).uniform(0, 8, (2, 106, 3))
    points[1] *= 2
    large, small = stand_in(monkeypatch, points).detect(np.zeros((8, 8, 3), np.uint8))
    np.testing.assert_allclose(large.landmarks('106')[:, :2], points[1, :, :2], rtol=1e-6)
    assert np.ptp(small.box) < np.ptp(large.box)
    with pytest.raises(UserError, match='the points are of the set 106, and 68 is needed'):
        large.landmarks('68')


def test_points_turn_with_the_picture(monkeypatch):
    """A search that turns the image gives the face where it is in the image before."""
    upright = np.random.default_rng(0).uniform(0, 8, (68, 2))
    (face,) = stand_in(monkeypatch, upright).detect(np.zeros((8, 8, 3), np.uint8), turn=2)
    np.testing.assert_allclose(face.landmarks('68')[:, :2], 8 - upright, atol=1e-5)


def test_a_table_of_points_chooses_the_sources_row(tmp_path):
    points = np.random.default_rng(0).uniform(0, 99, (2, 68, 2))
    names = ','.join(f'{axis}{i}' for i in range(68) for axis in 'xy')
    rows = [
        f'{name},' + ','.join(map(str, p.ravel())) for name, p in zip('ab', points, strict=True)
    ]
    (tmp_path / 'p.csv').write_text(f'image,{names}\n' + '\n'.join(rows))
    np.savez(tmp_path / 'p.npz', points=points, image=['x/a', 'b'])
    for name in ('p.csv', 'p.npz'):
        path = str(tmp_path / name)
        np.testing.assert_allclose(point_files.one(path, 'somewhere/b'), points[1])
        with pytest.raises(UserError, match='2 faces, 0 with the image'):
            point_files.one(path, 'c')


@pytest.mark.parametrize(
    ('arrays', 'message'),
    [
        ({'points': np.zeros((68, 4))}, r'points of float64 \[1, 68, 4\]'),
        ({'places': np.zeros((1, 68, 2))}, 'points of float64'),
        ({'points': np.zeros((2, 68, 2)), 'image': ['a']}, r'image of shape \[1\] beside 2 faces'),
        ({'points': np.array([{}])}, 'no arrays of NumPy'),
    ],
)
def test_damaged_arrays_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / 'p.npz', **arrays)
    with pytest.raises(UserError, match=rf'p\.npz: {message}'):
        point_files.one(str(tmp_path / 'p.npz'), 'a')
