"""Evaluation of landmark models: pairs, distances, rules of transfer, commands."""

import itertools
import json
import types

import fakes
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data_prep import mix, points_csv, synthetic
from reenact_jax.data_prep.heads import plan
from reenact_jax.evaluate import baselines, command
from reenact_jax.evaluate.papers import (
    ace,
    codes,
    drawings,
    labelled,
    lmtest,
    ridge,
    transfer_rules,
    units,
)
from reenact_jax.export import trained
from reenact_jax.geometry import layouts
from reenact_jax.media import provenance
from reenact_jax.systems import aan
from reenact_jax.train import command as train


@pytest.fixture(scope='module')
def crossed(tmp_path_factory):
    """5 people who perform the same 6 tracks of 4 frames."""
    folder = tmp_path_factory.mktemp('crossed')
    request = plan.Request(
        identities=5, tracks=6, frames=4, val_identities=0, test_identities=0, cross_pairs=0,
        crossed=True, landmarks_only=True, seed=1,
    )  # fmt: skip
    synthetic.write(folder, request, 1, quiet=True)
    return folder


@pytest.fixture(scope='module')
def workdir(crossed, tmp_path_factory):
    folder = tmp_path_factory.mktemp('ldnet') / 'run'
    arguments = [
        '--config=ldnet_fdgan:tiny',
        f'--config.data={crossed}',
        '--config.hparams.examples=16',
    ]
    assert train.main([*arguments, f'--workdir={folder}']) == 0
    return folder


@pytest.fixture(scope='module')
def frames(crossed):
    return labelled.read(ShardSet(crossed, 'train'), '68')


def test_principal_components_keep_distances():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(50, 3)) * [3, 2, 1]
    turned = flat @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + 7
    found = codes.principal(turned, 3)
    want = np.linalg.norm(flat[0] - flat[1])
    np.testing.assert_allclose(np.linalg.norm(found[0] - found[1]), want, rtol=1e-6)
    spread = codes.principal(turned, 2).std(0)
    assert spread[0] > spread[1] > flat[:, 2].std()


def test_pairs_are_of_their_pattern(frames):
    drawn = codes.pattern_pairs(frames.identity, frames.motion, 500)
    for name, (same_person, same_motion) in zip(
        codes.PATTERNS, ((True, False), (False, True), (False, False)), strict=True
    ):
        a, b = drawn[name].T
        assert len(a) == 500
        assert ((frames.identity[a] == frames.identity[b]) == same_person).all()
        assert ((frames.motion[a] == frames.motion[b]) == same_motion).all()


def test_pairs_need_both_labels(frames):
    with pytest.raises(UserError, match='same identity'):
        codes.pattern_pairs(np.arange(20), np.arange(20) % 2, 10)


def test_people_alone(frames, workdir):
    """Without labels of motion, people's codes are compared and no transfer is scored."""
    unknown = frames._replace(motion=np.full_like(frames.motion, -1))
    drawn = codes.pattern_pairs(unknown.identity, unknown.motion, 500)
    assert list(drawn) == ['same identity', 'both different']
    a, b = drawn['same identity'].T
    assert (frames.identity[a] == frames.identity[b]).all() and (a != b).all()
    model = trained.read(workdir)
    distances = {
        code: codes.mean_distances(values, drawn)
        for code, values in lmtest.latent(model, unknown).items()
    }
    found = lmtest.Result(5, 120, {'paper': lmtest.PAPER, 'run': distances}, {}, None)
    assert 'No motion has a label' in lmtest.text(found)


def test_auc_on_hand_made_codes():
    identity = np.array([0, 0, 1, 1])
    apart = np.array([[0.0], [1.0], [10.0], [11.0]])
    assert codes.verification_auc(apart, identity, 1000) == 1
    crossed = np.array([[0.0], [10.0], [0.5], [10.5]])
    # same: 10, 10; different: 0.5, 10.5, 9.5, 0.5, each as often: one of four is further apart
    assert codes.verification_auc(crossed, identity, 50_000) == pytest.approx(0.25, abs=0.01)
    assert codes.verification_auc(np.zeros((4, 1)), identity, 1000) == 0.5
    with pytest.raises(UserError, match='two people'):
        codes.verification_auc(apart, np.zeros(4, int), 100)


def test_rules_of_additive_faces():
    """Where faces are identity + motion, the rules that know both rests are exact."""
    rng = np.random.default_rng(0)
    who, motion = (rng.normal(0, 0.1, (n, 68, 2)).astype(np.float32) for n in (4, 6))
    person, moved = np.divmod(np.arange(24), 6)
    rest = who[person] + motion[0]
    shapes = labelled.Labelled(
        shape=who[person] + motion[moved], deep=None, neutral=rest, aus=None, aus_valid=None,
        turn=(moved != 0).astype(float), identity=person, motion=moved,
    )  # fmt: skip
    cases = transfer_rules.draw_cases(shapes, 200)
    assert (person[cases.truth] == person[cases.source]).all()
    assert (person[cases.truth] != person[cases.driver]).all()
    assert (moved[cases.truth] == moved[cases.driver]).all()
    assert (moved[cases.truth] != moved[cases.source]).all()
    truth = shapes.shape[cases.truth]
    made = transfer_rules.rules(shapes, cases)
    for rule in ('both means', 'both neutrals', 'both neutrals at that pose'):
        np.testing.assert_allclose(made[f'additive, {rule}'], truth, atol=1e-5)
    assert np.abs(made['additive, one source frame'] - truth).max() > 0.1
    boxed = shapes._replace(shape=labelled.boxed(shapes.shape))
    assert transfer_rules.score(truth, boxed, cases)['point_error'] == pytest.approx(0, abs=1e-3)
    none = transfer_rules.score(made[transfer_rules.NONE], boxed, cases)
    assert none['point_error'] > 1
    assert none['identity_leak'] == pytest.approx(1, abs=1e-4)


def test_synthetic_neutral_knows_the_person(frames):
    """At rest, at the driver's pose: much nearer than the driver as she is."""
    cases = transfer_rules.draw_cases(frames, 300)
    scores = {
        name: transfer_rules.score(shapes, frames, cases)['point_error']
        for name, shapes in transfer_rules.rules(frames, cases).items()
    }
    assert scores['additive, both neutrals at that pose'] < 0.4 * scores[transfer_rules.NONE]
    assert scores[transfer_rules.NONE] < scores['additive, one source frame']


def test_lmtest_command(crossed, workdir, tmp_path, capsys):
    arguments = ['lmtest', '--model', f'one={workdir}', '--data', str(crossed), '--split', 'train']
    arguments += ['--pairs', '200', '--cases', '100', '--out', str(tmp_path / 'out.json')]
    arguments += ['--sheet', str(tmp_path / 'cases.png')]
    assert command.main(arguments) == 0
    table = capsys.readouterr().out
    assert '| E_I | paper | 2.04 | 3.18 | 3.83 | 0.53 |' in table
    assert '5 people, 120 frames' in table
    found = json.loads((tmp_path / 'out.json').read_text())
    assert set(found['distances']) == {'paper', 'one', 'untrained, as one'}
    assert found['distances']['one'] != found['distances']['untrained, as one']
    assert found['transfer']['none']['identity_leak'] == pytest.approx(1, abs=1e-3)
    assert found['transfer']['one']['point_error'] > 0
    sheet = np.asarray(Image.open(tmp_path / 'cases.png'))
    assert sheet.shape == (18 + 6 * 160, 2 + 4 * 160, 3)
    assert (np.abs(sheet - np.float32(drawings.BLUE)).max(-1) < 16).any()  # under the mark
    marks = provenance.inspect(str(tmp_path / 'cases.png'))
    assert marks.metadata and marks.watermark


def test_verify_command(crossed, workdir, capsys):
    arguments = ['verify', '--model', str(workdir), '--data', str(crossed), '--split', 'train']
    assert command.main([*arguments, '--pairs', '1000']) == 0
    assert '| raw landmarks | 0.' in capsys.readouterr().out


def test_a_model_without_codes_is_named(crossed, workdir):
    model = trained.read(workdir)._replace(module=aan, system='aan')
    with pytest.raises(UserError, match='aan has no codes'):
        lmtest.point_set({'x': model})


def test_chunks_are_padded_and_cut(monkeypatch):
    monkeypatch.setattr(labelled, 'CHUNK', 4)
    sizes = []

    def double(x):
        sizes.append(len(x))
        return {'twice': 2 * x}

    out = labelled.in_chunks(double, np.arange(10))
    assert sizes == [4, 4, 4]
    np.testing.assert_array_equal(out['twice'], 2 * np.arange(10))


# --- warp of the source ----------------------------------------------------------------------


def test_the_warp_brings_every_landmark_to_its_place():
    """An image whose colours are its coordinates shows at every point where it came from."""
    size = 48
    rows, columns = np.mgrid[:size, :size] + 0.5
    image = np.stack([columns, rows], -1).astype(np.float32)
    rng = np.random.default_rng(0)
    source = rng.uniform(10, 38, (20, 2))
    driving = np.round(source + rng.normal(0, 1.5, source.shape)) + 0.5  # at pixels' centres
    still, moved = baselines.landmark_warp(image, source, np.stack([source, driving]))
    np.testing.assert_allclose(still, image, atol=1e-4)
    np.testing.assert_allclose(moved[0], image[0], atol=0.5)  # the border stays
    at = driving.astype(int)
    shown = np.unique(at, axis=0, return_index=True)[1]
    np.testing.assert_allclose(moved[at[shown, 1], at[shown, 0]], source[shown], atol=1e-3)


# --- tables of landmarks ---------------------------------------------------------------------


def _table(path, rows, extra=''):
    names = [f'{axis}{n}' for n in range(68) for axis in 'xy']
    lines = [','.join(['identity', *names, *([extra] if extra else [])])]
    for identity, points, *more in rows:
        lines.append(','.join([identity, *(f'{v:.3f}' for v in points.ravel()), *map(str, more)]))
    path.write_text('\n'.join(lines) + '\n')
    return str(path)


def _faces(people, each, seed=0):
    rng = np.random.default_rng(seed)
    return [(f'p{i}', rng.uniform(10, 90, (68, 2))) for i in range(people) for _ in range(each)]


def test_a_table_becomes_tracks(tmp_path):
    rows = _faces(4, 18)
    rows[3][1][5] = 0
    out = tmp_path / 'set'
    counts = points_csv.write([_table(tmp_path / 'a.csv', rows)], str(out), 'ibug68', 0.5, 0, 'x')
    assert counts['dropped'] == 1
    assert counts['train'][0] == counts['test'][0] == 2
    assert counts['train'][2] + counts['test'][2] == 71
    people = set()
    for split in ('train', 'test'):
        part = ShardSet(out, split)
        for record in range(len(part)):
            track = part.track(record)
            assert track.frames <= 16
            people.add((split, track.identity_name))
            row = next(p for name, p in rows if name == track.identity_name)
            if track.frame_number[0] == 0:
                ours, theirs = (labelled.boxed(np.float32(p)[None]) for p in
                                (track.landmarks_68c[0, :, :2], row))  # fmt: skip
                np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert len({name for _, name in people}) == len(people) == 4
    with pytest.raises(UserError, match=r"no points '68'.*68c"):
        labelled.read(ShardSet(out, 'test'), '68')


def test_labels_of_a_table_are_kept(tmp_path):
    rows = [(name, points, n % 3) for n, (name, points) in enumerate(_faces(4, 3))]
    table = _table(tmp_path / 'a.csv', rows, 'pose_id')
    points_csv.write([table], str(tmp_path / 'set'), 'ibug68', 0, 0, 'x')
    assert set(ShardSet(tmp_path / 'set', 'train').columns.pose_id) == {0, 1, 2}


def test_rafds_points_become_tracks_by_the_names_of_pictures(tmp_path):
    """HyperLandmark's order becomes JD's; the neutral face of the same gaze is the reference."""
    rng = np.random.default_rng(0)
    order = points_csv.SCHEMES['hyperlandmark106'].weights.argmax(1)
    assert sorted(order) == list(range(106))
    faces = {}
    for person, angle, expression, gaze in itertools.product(
        ('03', '04'), ('045', '090'), ('angry', 'neutral'), ('frontal', 'left')
    ):
        name = f'Rafd{angle}_{person}_Caucasian_female_{expression}_{gaze}.jpg'
        faces[name] = rng.uniform(10, 90, (106, 2)).round(2)
    lines = ['file,' + ','.join(f'{axis}{i:03d}' for i in range(106) for axis in 'xy')]
    lines += [f'{name},' + ','.join(map(str, face.ravel())) for name, face in faces.items()]
    table = tmp_path / 'rafd.csv'
    table.write_text('\n'.join(lines) + '\n')
    out = tmp_path / 'set'
    command = [str(table), '--points', 'hyperlandmark106', '--naming', 'rafd', '--test', '0']
    assert points_csv.main([*command, '--out', str(out)]) == 0
    part = ShardSet(out, 'train')
    assert part.points == ('106',) and len(part) == 8
    for track in map(part.track, range(8)):
        assert track.expression.tolist() == [1, 0]  # names.RAFD: neutral is 0
        assert set(track.pose_id) in ({45}, {90})
        np.testing.assert_array_equal(track.reference_106, track.landmarks_106[[1, 1]])
        given = np.stack([faces[name] for name in faces if _is_of(name, track)])
        scale = np.ptp(track.landmarks_106[..., 0]) / np.ptp(given[..., 0])
        moved = (given[:, order] - given.min((0, 1))) * scale
        ours = track.landmarks_106[..., :2] - track.landmarks_106[..., :2].min((0, 1))
        np.testing.assert_allclose(ours, moved, atol=1e-2)
    table.write_text(lines[0] + '\n' + lines[1].replace('Rafd', 'Raf'))
    with pytest.raises(UserError, match=r"rafd\.csv, line 2: 'Raf045_03.*not named as in rafd"):
        points_csv.main([*command, '--out', str(tmp_path / 'other')])


def test_hyperlandmarks_points_lie_where_ours_do():
    """Numbers read off a drawing of a face with HyperLandmark's own."""
    order = points_csv.SCHEMES['hyperlandmark106'].weights.argmax(1)
    parts = {
        name: [order[i] for i in points] for name, points in layouts.LAYOUTS['106'].parts.items()
    }
    assert parts['left_brow'] == [33, 34, 35, 36, 37, 67, 66, 65, 64]
    assert parts['right_brow'] == [38, 39, 40, 41, 42, 71, 70, 69, 68]
    assert parts['left_eye'] == [52, 53, 72, 54, 55, 56, 73, 57]
    assert parts['right_eye'] == [58, 59, 75, 60, 61, 62, 76, 63]
    assert parts['nose_base'] == [78, 80, 82, 47, 48, 49, 50, 51, 83, 81, 79]
    assert parts['left_pupil'] + parts['right_pupil'] == [74, 104, 77, 105]


def _is_of(name, track) -> bool:
    angle, gaze = track.pose_id[0], {0: 'frontal', 1: 'left'}[int(track.track_id[-4:]) % 2]
    return f'Rafd{angle:03d}_{track.identity_name}_' in name and name.endswith(f'_{gaze}.jpg')


def test_muct_points_are_moved_to_ibugs_places():
    """On a face whose points lie where MUCT puts them, iBUG's lie between the right neighbours."""
    weights = points_csv.SCHEMES['muct68'].weights
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-12)
    places = np.arange(68.0)
    moved = weights @ places
    assert moved[[0, 8, 16]].tolist() == [0, 7, 14]  # ends of the jaw and the chin
    assert moved[[36, 39, 42, 45, 48, 54, 57]].tolist() == [27, 29, 34, 32, 48, 54, 57]
    assert (weights[37:39] @ np.eye(68)[28]).min() > 0.8  # upper lid of the left eye


@pytest.mark.parametrize(
    'text, message',
    [
        ('identity,x0,y0\na,1,2\n', 'no column x1'),
        ('name,x0,y0\na,1,2\n', 'no column identity'),
    ],
)
def test_a_bad_table_is_named(tmp_path, text, message):
    path = tmp_path / 'bad.csv'
    path.write_text(text)
    with pytest.raises(UserError, match=f'bad.csv: {message}'):
        points_csv.read(str(path), 'ibug68')


def test_a_word_in_a_table_is_named(tmp_path):
    table = _table(tmp_path / 'bad.csv', _faces(1, 2))
    path = tmp_path / 'bad.csv'
    path.write_text(path.read_text().replace('p0,', 'p0,left', 2).replace('p0,left', 'p0,', 1))
    with pytest.raises(UserError, match=r'bad\.csv, line 3'):
        points_csv.read(table, 'ibug68')


# --- mixing sets -----------------------------------------------------------------------------


def test_mixed_sets_keep_people_apart(crossed, tmp_path):
    points_csv.write(
        [_table(tmp_path / 'a.csv', _faces(3, 2))], str(tmp_path / 'faces'), 'ibug68', 0, 0, 'x'
    )
    faces, out = str(tmp_path / 'faces'), str(tmp_path / 'mixed')
    counts = mix.mix([str(crossed), faces, faces], out, 'train', 2)
    assert counts == {'people': 8, 'tracks': 30 + 2 * 3, 'frames': 120 + 2 * 6}
    part = ShardSet(out, 'train')
    assert part.points == ('68c',)
    assert len(np.unique(part.identity)) == part.identities == 8
    names = {(track.identity, track.identity_name) for track in map(part.track, range(len(part)))}
    assert len(names) == 8
    assert set(np.unique(part.columns.pose_id)) == {-1, *range(24)}


def test_sets_of_other_sizes_are_refused(crossed, tmp_path):
    fakes.fake_shards(tmp_path / 'small', size=32)
    with pytest.raises(UserError, match=r'different sides: \[32, 256\]'):
        mix.mix([str(crossed), str(tmp_path / 'small')], str(tmp_path / 'out'), 'train', 1)


@pytest.fixture(scope='module')
def own_poses(tmp_path_factory):
    folder = tmp_path_factory.mktemp('own')
    request = plan.Request(
        identities=5, tracks=4, frames=4, val_identities=0, test_identities=0, cross_pairs=0,
        crossed=True, own_poses=True, landmarks_only=True, seed=1,
    )  # fmt: skip
    synthetic.write(folder, request, workers=1, quiet=True)
    return ShardSet(folder, 'train')


@pytest.mark.parametrize('pose', ['reference', 'driving'])
def test_conversion_cases_share_what_they_should(pose, own_poses, crossed):
    part = own_poses if pose == 'reference' else ShardSet(crossed, 'train')
    frames = ace.read(part, '68')
    cases = ace.draw_cases(frames, pose, 500)
    who, expression = frames.identity, frames.expression
    assert (who[cases.truth] == who[cases.reference]).all()
    assert (who[cases.truth] != who[cases.driver]).all()
    assert (expression[cases.truth] == expression[cases.driver]).all()
    if pose == 'reference':
        assert (cases.truth == cases.reference).all() and (frames.pose == -1).all()
    else:
        assert (frames.pose[cases.truth] == frames.pose[cases.driver]).all()
        assert (cases.truth != cases.reference).mean() > 0.5
    # A face that is exact scores 0, a shift by a pixel of 128 half of its two coordinates.
    truth = frames.points[cases.truth]
    assert ace.score(truth, frames, cases, pose, 'x')['ace'] == pytest.approx(0, abs=1e-4)
    if pose == 'reference':
        shifted = ace.score(truth + np.float32([1, 0]), frames, cases, pose, 'x')
        assert shifted['ace'] == pytest.approx(0.5 * 256 / frames.size, rel=1e-4)


def test_additive_conversion_is_exact_without_a_difference(own_poses):
    """Where the driver is the source's own frame, its motion is the truth."""
    frames = ace.read(own_poses, '68')
    at = np.arange(40)
    cases = ace.Cases(at, at, at)
    made = ace.rules(frames, cases)
    np.testing.assert_allclose(made['additive'], frames.points[at], atol=1e-3)
    np.testing.assert_allclose(made['none'], frames.points[at], atol=1e-3)
    np.testing.assert_array_equal(made['at rest'], frames.rest[at])


@pytest.mark.parametrize('pose', ['reference', 'driving'])
def test_ridge_regression_finds_a_linear_rule(pose, own_poses, crossed):
    """Where the shift is a linear function of both faces, it is found to the penalty's error."""
    rng = np.random.default_rng(0)
    rest, driver = rng.normal(size=(2, 400, 5, 2)).astype(np.float32)
    rule = rng.normal(size=(20, 10))

    def truth(rest, driver):
        rows = np.concatenate([rest.reshape(len(rest), -1), driver.reshape(len(rest), -1)], 1)
        return rest + (rows @ rule).reshape(rest.shape) + 0.5

    person = rng.integers(8, size=300)
    convert = ridge.fit(rest[:300], driver[:300], truth(rest[:300], driver[:300]), person)
    made = convert(rest[300:], driver[300:])
    assert np.abs(made - truth(rest[300:], driver[300:])).mean() < 0.01
    # In a set: cases to which it was fitted come back in pixels of their crops.
    frames = ace.read(own_poses if pose == 'reference' else ShardSet(crossed, 'train'), '68')
    cases = ace.draw_cases(frames, pose, 300)
    found = ace.regressed(frames, frames, cases, pose, 300)
    still = ace.rules(frames, cases)['at rest']
    scores = [ace.score(one, frames, cases, pose, 'x')['ace'] for one in (found, still)]
    assert scores[0] < scores[1]


def test_ace_command(own_poses, workdir, tmp_path, capsys):
    out = tmp_path / 'ace.json'
    arguments = ['ace', '--model', f'one={workdir}', '--data', own_poses.directory]
    with pytest.raises(UserError, match='a label of expression and pose'):
        command.main([*arguments, '--split', 'train'])  # LD-Net takes the driver's pose
    folder = tmp_path / 'ulc'
    flags = ['--config=freenet:tiny', '--config.hparams.gag_epochs=0']
    flags += ['--config.hparams.lambda_d=0']
    flags += [f'--config.data={own_poses.directory}', f'--workdir={folder}']
    assert train.main(flags) == 0
    arguments = ['ace', '--model', str(folder), '--data', own_poses.directory, '--split', 'train']
    arguments += ['--cases', '200', '--fit', str(own_poses.directory)]
    assert command.main([*arguments, '--out', str(out)]) == 0
    found = json.loads(out.read_text())['ace']
    assert set(found) == {'none', 'at rest', 'additive', 'ridge regression', 'ulc'}
    assert f'{found["ulc"]["ace"]:.3f}' in capsys.readouterr().out
    assert found['ridge regression']['ace'] < found['none']['ace']
    assert found['additive']['ace'] < found['at rest']['ace'] < found['none']['ace']


def test_a_units_own_region_is_told(crossed):
    """A model whose AU01 lifts the brows, and whose AU26 does more than it drops the jaw."""
    layout = layouts.layout('68')
    brows = [*layout.parts['left_brow'], *layout.parts['right_brow']]

    def transfer(hp, nets, variables, identity, driving, first):
        made = identity.at[:, brows, 1].add(-0.2 * (driving.aus[:, :1] + driving.aus[:, 15:16]))
        return made.at[:, list(layout.parts['jaw']), 1].add(0.02 * driving.aus[:, 15:16])

    module = types.SimpleNamespace(
        DRIVEN_BY=('landmarks', 'aus', 'aus_valid'), transfer=transfer,
        identify=lambda hp, nets, variables, source: jnp.asarray(source.landmarks),
    )  # fmt: skip
    model = trained.Trained('m', module, None, {}, {}, '68', 64, {})
    found = units.measure({'m': model}, ShardSet(crossed, 'train'), 4)['m']
    assert found['AU01']['brows'] == pytest.approx(10, rel=1e-4) and found['AU01']['eyes'] == 0
    assert found['AU26']['mouth and jaw'] == pytest.approx(17 / 37 * 1, rel=1e-4)
    assert found['AU02'] == dict.fromkeys(units.REGIONS, 0.0)
    text = units.text({'m': found})
    assert '| AU26 | 10.00 | 0.00 | 0.00 | **0.46** |' in text
    with pytest.raises(UserError, match='is not driven by action units'):
        plain = module.__dict__ | {'DRIVEN_BY': ('landmarks',)}
        units.measure({'m': model._replace(module=types.SimpleNamespace(**plain))}, ShardSet(
            crossed, 'train'), 4)  # fmt: skip
