"""Other programs: the list goes out as files, results come back, are checked and scored."""

import json

import numpy as np
import pytest
from bundles import SIZE, drawing_model, landmark_model
from fakes import fake_shards, fake_track
from PIL import Image

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.evaluate import (
    alignment,
    cases,
    figure,
    handing,
    methods,
    others,
    pairs,
    video_lists,
)
from reenact_jax.evaluate.baselines import COPY
from reenact_jax.evaluate.command import main
from reenact_jax.export import command as export
from reenact_jax.media import reading, writing

FRAMES = 5


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    target = tmp_path_factory.mktemp('others')
    return fake_shards(target, identities=3, tracks=1, frames=FRAMES, size=SIZE, split='test')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    target = tmp_path_factory.mktemp('model') / 'bundle'
    export.write(target, drawing_model(), landmark_model())
    return target


def frames_of(path):
    return np.stack(list(reading.Reader(path)))


def test_a_list_goes_out_and_results_come_back(model, data, tmp_path, capsys):
    """A program that copies the source scores as the copy does; one that is perfect, as none."""
    out, arguments = tmp_path / 'out', ['--data', data.directory, '--pairs', 'self']
    assert main([*arguments, '--export-pairs', str(out)]) == 0
    assert 'out: 3 cases' in capsys.readouterr().out
    assert (out / 'cases.csv').read_text().splitlines()[1] == '0000,track0000,0,track0000,4'
    copy, perfect = tmp_path / 'copy', tmp_path / 'perfect'
    for case in range(3):
        source = Image.open(out / f'{case:04d}' / 'source.png')
        driver = frames_of(out / f'{case:04d}' / 'driver.mp4')
        assert driver.shape == (FRAMES - 1, SIZE, SIZE, 3)
        assert not writing.is_marked(out / f'{case:04d}' / 'driver.mp4'), 'footage, not a result'
        for folder, images in ((copy, [source] * 4), (perfect, map(Image.fromarray, driver))):
            (folder / f'{case:04d}').mkdir(parents=True)
            for n, image in enumerate(images):
                image.resize((2 * SIZE, 2 * SIZE), 0).save(folder / f'{case:04d}' / f'{n}.png')
    scored = ['--model', str(model), '--identity=none', '--attributes=none', '--features=none']
    scored += ['--out', str(tmp_path / 'scores'), '--pairs', str(out / 'pairs.csv')]
    given = ['--results', f'Copier={copy}', '--results', f'Perfect={perfect}']
    assert main([*scored, *arguments[:2], *given]) == 0
    table = json.loads((tmp_path / 'scores' / 'table.json').read_text())
    means = {name: row['l1']['mean'] for name, row in table['methods'].items()}
    assert means['Copier'] == pytest.approx(means[COPY], abs=0.01)
    assert means['Perfect'] < 0.3 * means[COPY]
    assert table['results']['Perfect']['side'] == 2 * SIZE
    written = (tmp_path / 'scores' / 'table.md').read_text()
    assert f'| Copier | {copy} | 64 | none found |' in written
    sheet = reading.read_still(tmp_path / 'scores' / 'sheet.png')
    assert sheet.shape[1] > 7 * 160, 'seven columns: ours, two of others'


def test_what_does_not_fit_is_named(data, tmp_path):
    chosen = pairs.make(data, 'cross', 2)
    handing.write(tmp_path / 'out', data, chosen)
    pixels = np.zeros((8, 8, 3), np.uint8)
    folder = tmp_path / 'them'

    def give(case, count, image=pixels):
        (folder / case).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            Image.fromarray(image).save(folder / case / f'{n}.png')

    give('0000', FRAMES)
    with pytest.raises(UserError, match=r'1 of 2 cases are missing, such as 0001'):
        others.find([f'X={folder}'], chosen)
    give('0001', FRAMES - 1)
    with pytest.raises(UserError, match=r'0001: 4 frames, the list has 5'):
        others.find([f'X={folder}'], chosen)
    give('0001', FRAMES, np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(UserError, match=r'0001: 9 pixels a side, .*0000 has 8'):
        others.find([f'X={folder}'], chosen)
    give('0001', FRAMES, np.zeros((8, 24, 3), np.uint8))
    with pytest.raises(UserError, match=r'24 x 8 pixels, like pictures side by side'):
        others.find([f'X={folder}'], chosen)
    for text, words in (
        ('X', 'expected NAME=FOLDER'), ('a + b=x', 'without'), ('X=nowhere', 'no folder nowhere'),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            others.find([text], chosen)
    with pytest.raises(UserError, match='holds other files'):
        handing.write(folder, data, chosen)


def moving(count, seed=0):
    """A blob that moves and flashes over a fixed background, at no even pace."""
    rng = np.random.default_rng(seed)
    at = 24 + np.cumsum(rng.uniform(-3, 3, (count, 2)), 0)
    y, x = np.mgrid[:48, :48]
    blobs = np.exp(-((x - at[:, :1, None]) ** 2 + (y - at[:, 1:, None]) ** 2) / 40)
    background = rng.uniform(-1, 1, (6, 6)).repeat(8, 0).repeat(8, 1)
    return np.float32(np.repeat((0.5 * background + blobs)[..., None], 3, -1))


@pytest.mark.parametrize('offset', [-2, 0, 1])
def test_offsets_in_time_are_found(offset):
    clip = moving(40)
    result, truth = clip[5 + offset : 35 + offset], clip[5:35]
    assert alignment.measure(result, truth, truth) == (offset, 0, 0)
    assert alignment.measure(0.5 * result, None, truth) == (offset, 0, 0)


def test_offsets_in_the_picture_are_found():
    clip = moving(10)
    moved = np.roll(clip, (3, -2), (1, 2))
    found = alignment.measure(moved, clip, clip)
    assert found == (0, -2, 3)
    assert alignment.measure(clip[:4], None, clip[:4]) == (0, 0, 0), 'too short to tell'
    lines = others.warnings({'X': [alignment.Alignment(0, 0, 0), found]})
    assert lines == [
        'X: 1 of 2 cases seem to lie elsewhere in the picture, such as 0001, -2 right, +3 down'
    ]


def test_lists_of_videos(tmp_path, capsys):
    """VoxCeleb's names have a # themselves; a track adds its own."""
    names = ('id1#a#001.mp4#0', 'id1#a#001.mp4#9', 'id2#b#002.mp4#0', 'clip#0')
    items = [fake_track(n, identity=n, size=16, track_id=name) for n, name in enumerate(names)]
    shards.write(tmp_path / 'd', 'test', items)
    part = shards.ShardSet(tmp_path / 'd', 'test')
    order = {str(name): i for i, name in enumerate(part.columns.track_id)}
    file = tmp_path / 'list.csv'
    file.write_text(
        'distance,source,driving,frame\n0.1,id1#a#001.mp4,test/id2#b#002.mp4,3\n0.2,gone.mp4,x,1\n'
    )
    assert video_lists.is_list(file)
    chosen = video_lists.read(file, part)
    assert chosen.kind == 'cross' and '1 of 2 rows name videos' in capsys.readouterr().err
    assert set(chosen.rows[:, 0]) == {order[names[0]]} and chosen.rows[:, 1].max() == 0
    assert chosen.rows[:, 2:4].tolist() == [[order[names[2]], n] for n in range(4)]
    assert (chosen.rows[:, 4:] == pairs.NONE).all()
    file.write_text('video\nclip.mp4\n')
    chosen = video_lists.read(file, part)
    assert chosen.kind == 'self' and chosen.rows[:, 5].tolist() == [1, 2, 3]
    assert (chosen.rows[:, 0] == order['clip#0']).all()
    file.write_text('video\nnone.mp4\n')
    with pytest.raises(UserError, match=r'has none of its videos, such as none\.mp4'):
        video_lists.read(file, part)
    pairs.write(tmp_path / 'pairs.csv', pairs.make(part, 'self', 1), part)
    assert not video_lists.is_list(tmp_path / 'pairs.csv')


def test_a_matrix_shows_references_and_drivers(model, data):
    loaded = bundle.load(model)
    grid, columns = figure.matrix(loaded, data, 2, 5, 'absolute', 3)
    assert len(grid) == 3 and [len(row) for row in grid] == [2, 2, 2] and grid[0][0] is None
    people = np.unique(data.identity, return_index=True)[1]
    driver = (set(people.tolist()) - {people[0], people[-1]}).pop()  # one person is left
    shown = cases.face(data.track(int(driver)), range(3), SIZE, '68')['image']
    np.testing.assert_allclose(grid[0][1], (shown + 1) * 127.5, atol=1)
    rows = np.array([(people[-1], 0, driver, n, -1, -1) for n in range(3)])
    case = cases.read(data, 'cross', rows, SIZE, '68')
    points = methods.driven(loaded, case)['ldnet']
    expected = methods.rendered(loaded, case.source, points)
    np.testing.assert_allclose(grid[2][1], (expected + 1) * 127.5, atol=1)
    assert figure.sheet(grid, columns, 99).shape[1] == 2 + 2 * figure.CELL


def test_a_figure_has_a_column_for_each_method(model, data, tmp_path):
    chosen = pairs.make(data, 'self', 2)
    pairs.write(tmp_path / 'pairs.csv', chosen, data)
    for case in range(2):
        (tmp_path / 'them' / f'{case:04d}').mkdir(parents=True)
        for n in range(FRAMES - 1):
            white = np.full((SIZE, SIZE, 3), 255, np.uint8)
            Image.fromarray(white).save(tmp_path / 'them' / f'{case:04d}' / f'{n}.png')
    arguments = ['--model', f'one={model}', f'two={model}', '--data', data.directory]
    arguments += ['--pairs', str(tmp_path / 'pairs.csv'), '--results', f'X={tmp_path / "them"}']
    out, video = tmp_path / 'figure.png', tmp_path / 'figure.mp4'
    assert main(['figure', *arguments, '--out', str(out), '--video', str(video)]) == 0
    picture = reading.read_still(out)
    assert picture.shape[1] == 2 + 6 * figure.CELL, 'source, driver, one, two, X, ground truth'
    theirs = picture[30:100, 4 * figure.CELL + 4 : 5 * figure.CELL - 8]
    assert theirs.min() > 240, 'white, but for the invisible mark'
    assert len(frames_of(video)) == FRAMES - 1 and writing.is_marked(video)
    with pytest.raises(UserError, match='twice; name them'):
        main(['figure', '--model', str(model), str(model), *arguments[3:], '--out', 'x.png'])
