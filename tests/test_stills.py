"""Stills with telling names to shards: synthetic heads, laid out as three sets are handed out."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data_prep import namings, stills, synthetic
from reenact_jax.data_prep.heads import plan
from reenact_jax.faces import find_model


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def rafd(person, expression, angle='090', gaze='frontal'):
    return f'Rafd{angle}_{person}_Caucasian_male_{expression}_{gaze}.jpg'


def test_rafd_names(tmp_path):
    touch(tmp_path, rafd('07', 'happy'), f'more/{rafd("07", "neutral", "045", "left")}')
    touch(tmp_path, rafd('12', 'happy'), rafd('12', 'neutral', '180'), 'Rafd090_12_thumb.jpg')
    found = namings.read('rafd', tmp_path)
    said = [(s.person, s.track, s.expression, s.pose) for s in found.stills]
    assert said == [
        ('07', '07/045', 'neutral', 45),
        ('07', '07/090', 'happy', 90),
        ('12', '12/090', 'happy', 90),  # 180 is no angle of the paper's
    ]
    assert found.strange == ['Rafd090_12_thumb.jpg']
    assert found.missing == [rafd('12', 'neutral', '045', 'left')]
    found = namings.read('rafd', tmp_path, {'gaze': ['frontal'], 'angle': ['180']})
    assert [still.expression for still in found.stills] == ['neutral']


def test_multipie_names(tmp_path):
    touch(tmp_path, *(f'session01/001/{n}.png' for n in ('001_01_01_051_07', '001_01_02_051_07')))
    touch(tmp_path, '001_04_03_080_00.png', '002_01_01_051_07.png', '003_03_03_051_07.png')
    found = namings.read('multipie', tmp_path)
    said = [(s.track, s.expression, s.pose) for s in found.stills]
    assert said == [
        ('001/01/051/07', 'neutral', 51),
        ('001/01/051/07', 'smile', 51),
        ('001/04/080/00', 'scream', 80),
        ('002/01/051/07', 'neutral', 51),
        ('003/03/051/07', 'disgust', 51),
    ]
    assert found.missing == ['002_01_02_051_07.png']  # 003 was not in the first session
    touch(tmp_path, '001_01_03_051_07.png')
    with pytest.raises(UserError, match='session 01 has 2 recordings'):
        namings.read('multipie', tmp_path)


def test_celebv_names(tmp_path):
    touch(tmp_path, *(f'CelebV/Jack_Ma/Image/{i}.jpg' for i in range(12)))
    lines = [' '.join(['1.0'] * 196 + [f'{i}.jpg\n']) for i in (2, 11, 12)]
    (tmp_path / 'CelebV/Jack_Ma/all_98pt.txt').write_text(''.join(lines))
    found = namings.read('celebv', tmp_path)
    assert found.missing == ['Jack_Ma/Image/12.jpg'] and found.strange == []
    options = stills.Options(every=2, frames=4)
    made = [
        (key, [s.path.stem for s in part]) for key, _, part in stills.groups(found, (), options)
    ]
    assert made == [('Jack_Ma/0', ['0', '2', '4', '6']), ('Jack_Ma/8', ['8', '10'])]


def test_wrong_names_are_refused(tmp_path):
    with pytest.raises(UserError, match='absent: no such folder'):
        namings.read('rafd', tmp_path / 'absent')
    touch(tmp_path, 'one.jpg')
    with pytest.raises(UserError, match='no picture there is named as in rafd'):
        namings.read('rafd', tmp_path)
    touch(tmp_path, rafd('07', 'merry'))
    with pytest.raises(UserError, match="'merry' is none of neutral"):
        namings.read('rafd', tmp_path)
    with pytest.raises(UserError, match='--only flash: no part of the names of rafd; they are ang'):
        namings.read('rafd', tmp_path, {'flash': ['07']})
    with pytest.raises(UserError, match='has gaze=left'):
        namings.read('rafd', tmp_path, {'gaze': ['left']})
    touch(tmp_path, f'copy/{rafd("07", "merry")}')
    with pytest.raises(UserError, match='are the same picture by name'):
        namings.read('rafd', tmp_path)
    for wrong in ('gaze', 'gaze='):
        with pytest.raises(UserError, match='expected PART=VALUE'):
            stills.main([str(tmp_path), '--naming', 'rafd', '--out', 'x', '--only', wrong])


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Three synthetic people, each the liveliest of three faces called neutral; and what is amiss.

    Returns the set, its report, and each person's own track.
    """
    pytest.importorskip('mediapipe', reason='finding faces needs the extra [video]')
    pytest.importorskip('numba', reason='the extra [synthetic] is not installed')
    try:
        find_model(download=False)
    except UserError as error:
        pytest.skip(f'no model file: {error}')
    root = tmp_path_factory.mktemp('heads')
    request = plan.Request(
        identities=3, val_identities=0, test_identities=0, tracks=1, frames=3, size=192,
        cross_pairs=0, shards=1,
    )  # fmt: skip
    synthetic.write(root / 'shards', request, workers=1, quiet=True)
    part, own, folder = shards.ShardSet(root / 'shards', 'train'), {}, root / 'rafd'
    folder.mkdir()
    for n in range(3):
        own[f'{n:02d}'] = track = part.track(n)
        order = np.argsort(-track.aus[:, :17].sum(1))
        for expression, frame in zip(('neutral', 'angry', 'sad'), order, strict=True):
            (folder / rafd(f'{n:02d}', expression)).write_bytes(track.image[frame])
    (folder / rafd('00', 'happy', '045')).write_bytes(own['00'].image[0])  # without a neutral one
    (folder / rafd('01', 'sad')).write_bytes(own['01'].image[0][:500])
    (folder / rafd('02', 'sad')).unlink()
    Image.new('RGB', (192, 192)).save(folder / rafd('02', 'angry'))
    flags = ['--naming', 'rafd', '--out', str(root / 'out'), '--size', '64', '--val', '0']
    assert stills.main([str(folder), *flags, '--test', '0', '--consent', 'synthetic']) == 0
    with (root / 'out/report.tsv').open() as file:
        report = {row['file']: row for row in csv.DictReader(file, delimiter='\t')}
    return shards.ShardSet(root / 'out', 'train'), report, own


def test_stills_become_tracks_with_their_names_labels(made):
    part, _, own = made
    tracks = {(t := part.track(i)).track_id: t for i in range(len(part))}
    assert {key: list(t.expression) for key, t in tracks.items()} == {
        '00/090': [1, 0, 6], '01/090': [1, 0], '02/090': [0],
    }  # fmt: skip
    assert part.parameters['expressions'] == list(namings.RAFD)
    track = tracks['00/090']
    assert (track.pose_id == 90).all() and track.identity_name == '00'
    assert track.consent == 'synthetic' and track.size == 64 and track.frames == 3
    # The points found are those of the heads, in the crop's pixels.
    frames = np.argsort(-own['00'].aus[:, :17].sum(1))[[1, 0, 2]]
    truth = (own['00'].landmarks_68[frames, :, :2] - track.crop[:2]) * 64 / track.crop[2]
    assert np.abs(track.landmarks_68[..., :2] - truth).mean() < 1.5


def test_the_reference_is_the_picture_called_neutral(made):
    part, _, _ = made
    track = next(t for i in range(len(part)) if (t := part.track(i)).track_id == '00/090')
    assert np.abs(track.reference_68 - track.landmarks_68)[1].max() < 1e-3
    assert np.abs(track.reference_68 - track.landmarks_68)[[0, 2]].max((1, 2)).min() > 0.1


def test_the_other_two_sets_pictures_become_tracks(made, tmp_path):
    """Synthetic heads as Multi-PIE and CelebV are handed out."""
    _, _, own = made
    for frame, recording in enumerate(('02', '01')):
        path = tmp_path / f'pie/session01/multiview/001/{recording}/05_1'
        path.mkdir(parents=True)
        Image.open(io.BytesIO(own['00'].image[frame])).save(path / f'001_01_{recording}_051_07.png')
    folder = tmp_path / 'celebv/Jack_Ma/Image'
    folder.mkdir(parents=True)
    for frame, picture in enumerate(own['01'].image):
        (folder / f'{frame}.jpg').write_bytes(picture)
    (folder.parent / 'all_98pt.txt').write_text(' '.join(['1.0'] * 196 + ['7.jpg\n']))
    found = {}
    for naming, source in (('multipie', 'pie'), ('celebv', 'celebv')):
        out = str(tmp_path / f'{naming}_set')
        flags = ['--naming', naming, '--every', '1', '--size', '64', '--val', '0', '--test', '0']
        assert stills.main([str(tmp_path / source), '--out', out, *flags]) == 0
        found[naming] = shards.ShardSet(out, 'train').track(0)
    pie, celebv = found['multipie'], found['celebv']
    assert pie.track_id == '001/01/051/07' and list(pie.expression) == [0, 1]
    assert (pie.pose_id == 51).all() and pie.identity_name == '001'
    assert np.abs(pie.reference_68 - pie.landmarks_68)[0].max() < 1e-3
    assert celebv.frames == 3 and celebv.identity_name == 'Jack_Ma'
    assert (celebv.expression == -1).all() and (celebv.pose_id == -1).all()
    assert 'Jack_Ma/Image/7.jpg' in (tmp_path / 'celebv_set/report.tsv').read_text()


def test_one_report_names_what_is_missing(made):
    _, report, _ = made
    assert report['00/090']['status'] == 'ok' and report['00/090']['records'] == '1'
    assert report['00/045']['rejected'] == 'no neutral picture: 1'
    assert report['01/090']['rejected'] == 'broken: 1'
    assert rafd('01', 'sad') in report['01/090']['detail']
    assert report['02/090']['rejected'] == 'no face: 1'
    missing = [file for file, row in report.items() if row['status'] == 'missing']
    assert rafd('02', 'sad') in missing and rafd('01', 'happy', '045') in missing
    assert len(missing) == 3
