"""`evaluate` on pairs: failures counted, runs resumed, tables and files, bundle and workdir."""

import json

import numpy as np
import pytest
from bundles import SIZE, drawing_model, landmark_model
from fakes import fake_shards
from scipy.spatial.transform import Rotation

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.evaluate import (
    compare,
    estimators,
    examples,
    measures,
    methods,
    pairs,
    progress,
    scoring,
    tables,
)
from reenact_jax.evaluate.baselines import COPY
from reenact_jax.evaluate.command import main
from reenact_jax.evaluate.scoring import Estimators, Scores
from reenact_jax.export import command as export
from reenact_jax.export import live
from reenact_jax.media import reading, writing

FRAMES = 5


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    target = tmp_path_factory.mktemp('compare')
    return fake_shards(target, identities=3, tracks=1, frames=FRAMES, size=SIZE, split='test')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    target = tmp_path_factory.mktemp('model') / 'bundle'
    export.write(target, drawing_model(), landmark_model())
    return target


class Brightness:
    """Finds a face in every image but dark ones; its units are the brightness."""

    card = estimators.Card('everything', 'brightness', '1', 'none', '')

    def __init__(self, fail_after=np.inf, dark=-2.0):
        self.left, self.dark = fail_after, dark

    def __call__(self, image):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        light = image.mean((1, 2, 3))
        rows = len(image)
        points = np.broadcast_to(np.linspace(4, SIZE - 4, 136).reshape(1, 68, 2), (rows, 68, 2))
        aus = np.repeat((light[:, None] + 1) / 2, 20, 1).astype(np.float32)
        known = np.ones((rows, 20), bool)
        return estimators.Faces(light > self.dark, np.float32(points), aus, known)


class Mean:
    """An identity network: mean colours."""

    card = estimators.Card('identity', 'mean colour', '1', 'none', '')

    def __call__(self, image, points):
        assert points.shape == (len(image), 68, 2)
        return image.mean((1, 2)) + 1


def test_scores_of_estimators_by_hand(model, data):
    loaded, chosen = bundle.load(model), pairs.make(data, 'cross', 3)
    measure = Estimators(Mean(), Brightness())
    scores = scoring.score(loaded, data, chosen, measure)
    case = compare.scoring.cases.read(data, 'cross', chosen.groups()[0], SIZE, '68')
    copy = scores.values[COPY]
    light = [(one['image'].mean((1, 2, 3)) + 1) / 2 for one in (case.source, case.driving)]
    distance = np.sqrt(17) * np.abs(light[0] - light[1])
    np.testing.assert_allclose(copy['ed_l2'][:FRAMES], distance, rtol=1e-3)
    np.testing.assert_allclose(copy['ed_mean'][:FRAMES], distance / 17, rtol=1e-3)
    np.testing.assert_allclose(copy['csim'], 1, rtol=1e-5)
    colours = [one['image'].mean((1, 2)) + 1 for one in (case.source, case.driving)]
    cosine = (colours[0] * colours[1]).sum(1) / np.prod(
        [np.linalg.norm(c, axis=1) for c in np.broadcast_arrays(*colours)], 0
    )
    driver = scores.values["the driver's frame"]
    np.testing.assert_allclose(driver['csim'][:FRAMES], cosine, rtol=1e-4)
    np.testing.assert_allclose(driver['ed_l2'], 0, atol=1e-5)
    assert 'l1' not in copy  # there is no truth
    far = tables.distances(scores)
    assert far["the driver's frame"] < 1e-6 < far[COPY]


def test_relative_motion_is_scored_against_the_rotation_it_asks_for(model, data):
    loaded, chosen = bundle.load(model), pairs.make(data, 'cross', 1)
    scores = scoring.score(loaded, data, chosen, Estimators(None, Brightness()))
    (name,) = (one for one in scores.values if ', relative + ' in one)
    case = compare.scoring.cases.read(data, 'cross', chosen.groups()[0], SIZE, '68')
    angle = [
        (one['image'].mean((1, 2, 3)) + 1) / 2 for one in (case.source, case.first, case.driving)
    ]
    own, first, driving = (Rotation.from_euler('XYZ', np.repeat(x[:, None], 3, 1)) for x in angle)
    asked = (own * first.inv() * driving).as_euler('XYZ')
    image = next(image for one, image, _ in methods.results(loaded, case) if one == name)
    made = np.repeat((image.mean((1, 2, 3))[:, None] + 1) / 2, 3, 1)
    expected = np.rad2deg(np.sqrt(np.square(made - asked).mean(-1)))
    found = scores.values[name]['prmse']
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    plain = name.replace(', relative', '')
    assert np.abs(found - scores.values[plain]['prmse']).max() > 0.1


def test_a_driver_at_its_start_asks_for_the_sources_rotation():
    rng = np.random.default_rng(0)
    one, other = (
        estimators.Faces(*(np.ones((1, 2)),) * 2, rng.uniform(-0.5, 0.5, (1, 20)), np.ones((1, 20)))
        for _ in range(2)
    )
    turned = measures.turned(other, one, other)
    np.testing.assert_allclose(turned.aus[:, 17:], one.aus[:, 17:], atol=1e-6)
    np.testing.assert_array_equal(turned.aus[:, :17], other.aus[:, :17])


def test_the_drivers_units_can_be_the_datas(model, data):
    loaded, chosen = bundle.load(model), pairs.make(data, 'self', 1)
    scores = scoring.score(loaded, data, chosen, Estimators(None, Brightness()), stored=True)
    track, light = data.track(0), scoring.cases.face(data.track(0), [0], SIZE, '68')['image']
    known = track.aus_valid[1:, :17] > 0
    apart = (track.aus[1:, :17] - (light.mean() + 1) / 2) ** 2 * known
    found = scores.values[COPY]['ed_l2']
    np.testing.assert_allclose(found, np.sqrt(apart.sum(1)), rtol=1e-3)


def test_results_without_a_face_are_counted(model, data):
    """The middle brightness as the detector's limit: some results and some references fail."""
    loaded, chosen = bundle.load(model), pairs.make(data, 'self', 3)
    bright = scoring.score(loaded, data, chosen, Estimators(None, Brightness()))
    everyone = bright.values['none + landmark warp']['face']
    assert everyone.all() and tables.rates(bright)[COPY] == 0
    images = [
        scoring.cases.face(data.track(i), range(FRAMES), SIZE, '68')['image'] for i in (0, 1, 2)
    ]
    light = np.array([one.mean((1, 2, 3)) for one in images])
    limit = np.sort(light.ravel())[2] + 1e-4  # three of fifteen frames are too dark
    dark = scoring.score(loaded, data, chosen, Estimators(None, Brightness(dark=limit)))
    copy = dark.values[COPY]
    seen = (light[:, 1:] > limit) & (light[:, :1] > limit)
    np.testing.assert_array_equal(copy['reference'] > 0, seen.ravel())
    np.testing.assert_array_equal(np.isfinite(copy['ed_l2']), seen.ravel())
    values = {'face': np.array([1.0, 0, 1, 1]), 'reference': np.array([1.0, 1, 1, 0])}
    values['csim'] = np.array([0.5, np.nan, 0.7, np.nan])
    mean = tables.summary(Scores({'m': values}, {}, np.arange(4)))['m']['csim']
    assert (mean.mean, mean.count) == (pytest.approx(0.6), 2)
    assert mean.with_failures == pytest.approx((0.5 - 1 + 0.7) / 3)
    scores = Scores({'m': values}, {}, np.arange(4))
    assert tables.rates(scores) == {'m': pytest.approx(1 / 3)}
    assert 'counted as the worst' in tables.markdown(scores, '')


def test_interval_draws_whole_cases():
    values, case = np.repeat([0.0, 1.0], 50), np.repeat([0, 1], 50)
    mean, low, high = tables.bootstrap(values, case)
    assert (mean, low, high) == (0.5, 0, 1)  # two cases: any draw has 0, 1 or 2 of the second
    _, low, high = tables.bootstrap(values, np.arange(100))
    assert low == pytest.approx(0.4, abs=0.03) and high == pytest.approx(0.6, abs=0.03)


def test_an_interrupted_run_goes_on(model, data, tmp_path):
    loaded, chosen = bundle.load(model), pairs.make(data, 'self', 3)

    def run(fail_after, out):
        measure = Estimators(Mean(), Brightness(fail_after))
        what = compare.described('m', loaded, data, chosen, measure, stored=False)
        return compare.run(loaded, data, chosen, measure, out, what)

    whole = run(np.inf, tmp_path / 'whole')
    with pytest.raises(KeyboardInterrupt):
        run(20, tmp_path / 'cut')
    kept = tmp_path / 'cut' / 'progress.jsonl'
    assert 0 < len(progress.done(kept)) < 3
    assert not (tmp_path / 'cut' / 'table.md').exists()
    kept.write_text(kept.read_text() + '{"count": 4, "val')  # killed while it wrote
    run(np.inf, tmp_path / 'cut')
    for name in ('table.md', 'scores.csv', 'pairs.csv', 'table.json'):
        content = (tmp_path / 'cut' / name).read_bytes()
        assert content == (tmp_path / 'whole' / name).read_bytes(), name
    sheets = [reading.read_still(tmp_path / one / 'sheet.png') for one in ('cut', 'whole')]
    np.testing.assert_array_equal(*sheets)
    assert not kept.exists() and writing.is_marked(tmp_path / 'cut' / 'sheet.png')
    lines = (tmp_path / 'cut' / 'scores.csv').read_text().splitlines()
    assert len(lines) == 1 + 3 * (FRAMES - 1) * len(whole.values)


def test_progress_of_another_evaluation_is_refused(tmp_path):
    progress.begin(tmp_path / 'p', {'pairs': 'self', 'seed': 0})
    progress.begin(tmp_path / 'p', {'pairs': 'self', 'seed': 0})
    with pytest.raises(UserError, match='unfinished evaluation with other seed'):
        progress.begin(tmp_path / 'p', {'pairs': 'self', 'seed': 1})


def test_best_median_and_worst():
    value = np.array([0.1, 0.9, np.nan, 0.5, 0.2, 0.8, 0.4, 0.3, 0.7, 0.6])
    labels = examples.chosen(value)
    assert [pair for _, pair in labels] == [1, 5, 8, 9, 3, 6, 7, 4, 0]
    assert [label for label, _ in labels] == ['best'] * 3 + ['median'] * 3 + ['worst'] * 3
    assert [pair for _, pair in examples.chosen(np.array([0.2, 0.1]))] == [0, 1]


def test_models_in_memory_are_the_bundles(model, data, monkeypatch):
    loaded = bundle.load(model)
    monkeypatch.setattr(
        compare.trained, 'read', {'g': drawing_model(), 't': landmark_model()}.__getitem__
    )
    made = compare.read_model('g', 't')
    assert (made.transfer_name, made.size, made.points) == ('ldnet', SIZE, '68')
    chosen = pairs.make(data, 'self', 1)
    a, b = (scoring.score(one, data, chosen) for one in (loaded, made))
    for method, found in a.values.items():
        for name, value in found.items():
            np.testing.assert_allclose(value, b.values[method][name], rtol=1e-4)
    assert live.assemble(drawing_model(), None).transfer_name == 'none'
    monkeypatch.setattr(compare.trained, 'read', lambda path: landmark_model())
    with pytest.raises(UserError, match='makes no images'):
        compare.read_model('t', None)


def test_command(model, data, tmp_path, capsys):
    arguments = ['--model', str(model), '--data', data.directory, '--identity=none']
    arguments += ['--attributes=none', '--features=random', '--out', str(tmp_path / 'out')]
    assert main([*arguments, '--most', '2']) == 0
    said = capsys.readouterr().out
    table = json.loads((tmp_path / 'out' / 'table.json').read_text())
    row = table['methods']['ldnet + drawing']
    assert row['frechet'] > 0 and row['l1']['low'] <= row['l1']['mean'] <= row['l1']['high']
    assert f'{row["l1"]["mean"]:.4f}' in said and 'VGG19 with random weights' in said
    # The stored list is the same pairs again.
    listed = ['--pairs', str(tmp_path / 'out' / 'pairs.csv'), '--out', str(tmp_path / 'again')]
    assert main([*arguments, *listed]) == 0
    again = json.loads((tmp_path / 'again' / 'table.json').read_text())
    assert again['methods'] == table['methods']


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--identity', 'arcface'], '--identity arcface: expected dlib'),
        (['--identity', 'dlib=nowhere.dat'], 'nowhere.dat: no such file'),
        (['--identity=none', '--features', 'fid'], '--features fid: expected vgg19=FILE'),
        (['--transfer', 'x'], 'is a bundle, which has its own'),
        (['--most', '0'], '--most 0: must be at least 1'),
    ],
)
def test_flags_that_are_refused(model, data, tmp_path, flags, message):
    arguments = ['--model', str(model), '--data', data.directory, '--attributes=none']
    with pytest.raises(UserError, match=message):
        main([*arguments, '--out', str(tmp_path / 'out'), *flags])
    assert not (tmp_path / 'out').exists()
