"""Videos and stills to shards, with real detection on a photograph that scikit-image ships."""

import csv
import io
from fractions import Fraction

import fakes
import films
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from reenact_jax import faces
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data_prep import dealing, extract, footage, gather, inspect, records, videos
from reenact_jax.faces import model as face_model
from reenact_jax.faces import segment, tracking
from reenact_jax.media import provenance, writing
from reenact_jax.reenact import drivers

pytest.importorskip('av', reason='videos need the extra [video]')
pytest.importorskip('mediapipe', reason='finding faces needs the extra [video]')
data = pytest.importorskip('skimage.data', reason='needs scikit-image for its photograph')
try:
    MODEL = face_model.find_model(download=False)
except UserError as error:
    pytest.skip(f'no model file: {error}', allow_module_level=True)

OPTIONS = extract.Options(size=64, frames=4, clip_seconds=1.0)


def film(path, frames, rate=Fraction(25)):
    with writing.VideoWriter(path, rate) as video:
        for frame in frames:
            video.write(frame)


def panning(count, offset=0, step=2):
    """The photograph under a camera that moves to the right."""
    photo = data.astronaut()
    for i in range(count):
        x = 60 + offset + step * i
        yield np.ascontiguousarray(photo[:300, x : x + 300])


def prepare(inputs, out, options=OPTIONS, consent='unknown'):
    sources = footage.label(footage.find([str(one) for one in inputs]), consent=consent)
    return gather.prepare(sources, str(out), extract.extract, options)


@pytest.fixture(scope='module')
def footage_folder(tmp_path_factory):
    """Four people: one in two files, one of a truncated file, one picture without a face."""
    root = tmp_path_factory.mktemp('footage')
    photo = data.astronaut()
    for name in ('anna', 'ben', 'carl', 'dora'):
        (root / name).mkdir()
    film(root / 'anna' / 'long.mp4', panning(40), Fraction(30000, 1001))
    Image.fromarray(photo).save(root / 'anna' / 'still.png')
    # Two faces side by side, the second one twice as large.
    pair = [
        np.concatenate([f[:256, :256], f[20:148, 80:208].repeat(2, 0).repeat(2, 1)], 1)
        for f in panning(8, 40)
    ]
    film(root / 'ben' / 'two.mp4', pair)
    film(root / 'carl' / 'broken.mp4', panning(30))
    whole = (root / 'carl' / 'broken.mp4').read_bytes()
    (root / 'carl' / 'broken.mp4').write_bytes(whole[: len(whole) - 4000])
    Image.fromarray(photo[:, ::-1]).save(root / 'carl' / 'still.jpg')
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(root / 'dora' / 'nobody.png')
    return root


@pytest.fixture(scope='module')
def made(footage_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp('set')
    outcomes = prepare([footage_folder], out, consent='yes')
    return out, {outcome.file: outcome for outcome in outcomes}


def all_tracks(out):
    found = {}
    for split in shards.splits(out):
        part = shards.ShardSet(out, split)
        found |= {(t := part.track(i)).track_id: (split, t) for i in range(len(part))}
    return found


def test_report_says_what_became_of_every_input(made):
    out, outcomes = made
    states = {file: (o.status, o.frames, o.tracks, o.records) for file, o in outcomes.items()}
    assert states == {
        'anna/long.mp4': ('ok', 40, 1, 2),
        'anna/still.png': ('ok', 1, 1, 1),
        'ben/two.mp4': ('ok', 8, 2, 2),
        'carl/broken.mp4': ('broken', outcomes['carl/broken.mp4'].frames, 1, 0),
        'carl/still.jpg': ('ok', 1, 1, 1),
        'dora/nobody.png': ('no face', 1, 0, 0),
    }
    assert 0 < outcomes['carl/broken.mp4'].frames < 30  # there was a good part
    assert outcomes['carl/broken.mp4'].detail
    with (out / 'report.tsv').open() as file:
        rows = {row['file']: row for row in csv.DictReader(file, delimiter='\t')}
    assert rows['anna/long.mp4']['records'] == '2'
    assert rows['carl/broken.mp4']['status'] == 'broken'


def test_people_are_split_not_frames(made):
    found = all_tracks(made[0])
    home = {}
    for split, track in found.values():
        assert home.setdefault(track.identity_name, split) == split
        assert home.setdefault(track.identity, split) == split
    names = {track.identity_name for _, track in found.values()}
    assert names == {'anna', 'ben', 'ben+1', 'carl'}  # two faces at once are two people
    assert home['ben'] == home['ben+1']
    assert {split for split, _ in found.values()} == {'train', 'val', 'test'}
    train = {track.identity for split, track in found.values() if split == 'train'}
    assert train == set(range(len(train)))  # training people are numbered from 0


def test_records_hold_what_the_fields_say(made):
    _, track = all_tracks(made[0])['anna/long.mp4#0.0']
    assert track.frames == 4 and track.size == 64
    assert track.frame_number[0] == 0 and (np.diff(track.frame_number) > 0).all()
    assert track.crop[3] == pytest.approx(30000 / 1001)
    assert track.source_file == 'anna/long.mp4' and track.consent == 'yes'
    assert track.licence == 'unknown' and track.detector.startswith('mediapipe')
    # The camera moves by 2 pixels a frame, the crop stands still: so the face moves the other way.
    scale = 64 / track.crop[2]
    moved = np.diff(track.landmarks_68[..., 0].mean(1)) / np.diff(track.frame_number)
    np.testing.assert_allclose(moved, -2 * scale, atol=0.25 * scale)
    # One picture, one expression: the reference is the face itself.
    np.testing.assert_allclose(track.reference_68[..., :2], track.landmarks_68[..., :2], atol=1.2)
    # The crop: all points inside, the face where the points are (skin is redder than blue).
    assert (track.landmarks_68c[..., :2] > 2).all() and (track.landmarks_68c[..., :2] < 62).all()
    image = simplejpeg.decode_jpeg(track.image[0]).astype(int)
    x, y = track.landmarks_68[0, 30, :2].astype(int)
    assert image.shape == (64, 64, 3) and image[y, x, 0] > image[y, x, 2] + 20
    plane = inspect.classes(track, 0)
    assert (plane[y, x] == (90, 200, 90)).all() and (plane[1, 32] == 255).all()


def test_two_faces_are_two_tracks(made):
    found = all_tracks(made[0])
    first, second = (found[f'ben/two.mp4#{i}.0'][1] for i in range(2))
    centres = sorted(track.crop[0] + track.crop[2] / 2 for track in (first, second))
    assert centres[0] < 256 < centres[1]
    sides = sorted(track.crop[2] for track in (first, second))
    assert sides[1] / sides[0] == pytest.approx(2, rel=0.1)
    assert (first.identity_name, second.identity_name) == ('ben', 'ben+1')
    assert first.identity != second.identity
    assert first.crop[2] > second.crop[2]  # of faces that appear together the larger is meant


def fail(*_):
    raise AssertionError('read again')


def test_started_again_nothing_is_read_twice(made, footage_folder, monkeypatch):
    out, outcomes = made
    before = all_tracks(out)
    monkeypatch.setattr(extract, 'extract', fail)
    again = prepare([footage_folder], out, consent='no')
    assert {o.file: o for o in again} == outcomes
    after = all_tracks(out)
    assert after.keys() == before.keys()
    assert {track.consent for _, track in after.values()} == {'no'}  # labels may change
    with pytest.raises(RuntimeError, match='AssertionError: read again'):
        other = extract.Options(size=32, frames=4, clip_seconds=1.0)
        prepare([footage_folder], out, other)


def test_inspection(made, tmp_path, capsys):
    inspect.main([str(made[0]), '--out', str(tmp_path / 'sheet.png'), '--split', 'train'])
    text = capsys.readouterr().out
    assert 'AU06  unknown' in text and 'R_y' in text and 'consent' in text
    with Image.open(tmp_path / 'sheet.png') as sheet:
        assert sheet.size[1] > 190
    with pytest.raises(UserError, match='--split gone'):
        inspect.main([str(made[0]), '--split', 'gone'])


@pytest.mark.parametrize('consent', ['synthetic', 'yes'])
def test_a_sheet_is_marked_where_it_shows_somebody_synthetic(tmp_path, consent):
    """A mark on footage would say that it is none."""
    fakes.fake_shards(tmp_path / 'set', identities=2, tracks=1, size=64, consent=consent)
    inspect.main([str(tmp_path / 'set'), '--out', str(tmp_path / 'sheet.png')])
    found = provenance.inspect(str(tmp_path / 'sheet.png'))
    marked = consent == 'synthetic'
    assert (found.metadata, found.watermark) == (marked, marked)


def test_no_face_at_all_is_an_error(footage_folder, tmp_path):
    with pytest.raises(UserError, match='no usable face in 1 inputs'):
        prepare([footage_folder / 'dora'], tmp_path / 'out')
    assert 'no face' in (tmp_path / 'out' / 'report.tsv').read_text()


def test_small_and_short_are_rejected(footage_folder, tmp_path):
    options = extract.Options(size=64, frames=4, min_width=150.0, min_frames=6)
    files = [footage_folder / 'ben' / 'two.mp4', footage_folder / 'carl' / 'still.jpg']
    with pytest.raises(UserError):
        prepare(files, tmp_path / 'out', options)
    report = (tmp_path / 'out' / 'report.tsv').read_text()
    assert 'shorter than 6 frames: 2' in report and 'smaller than 150 x 64 pixels: 1' in report


def test_labels(tmp_path):
    for name in ('a.png', 'b.png'):
        Image.new('RGB', (8, 8)).save(tmp_path / name)
    found = footage.find([str(tmp_path)])
    table = tmp_path / 'who.tsv'
    table.write_text('file\tidentity\tlicence_as_stated\na.png\t7\tCC0\n')
    sources = {s.key: s for s in footage.label(found, table, consent='yes')}
    assert sources['a.png'][2:5] == ('7', 'CC0', 'yes')
    assert sources['b.png'][2:5] == ('b', 'unknown', 'yes')
    table.write_text('file\tperson\na.png\t7\n')
    with pytest.raises(UserError, match="no column 'identity'"):
        footage.label(found, table)
    table.write_text('file\tidentity\nother.png\t7\n')
    with pytest.raises(UserError, match='none of the input files'):
        footage.label(found, table)
    table.write_text('file\tidentity\tconsent\na.png\t7\tperhaps\n')
    with pytest.raises(UserError, match='perhaps'):
        footage.label(found, table)
    with pytest.raises(UserError, match='no such file'):
        footage.find([str(tmp_path / 'absent')])
    assert [key for _, key in footage.find([str(tmp_path / '*.png')])] == ['a.png', 'b.png']


def test_split_is_by_person_and_reproducible():
    names = [f'p{i}' for i in range(20)]
    dealt = dealing.deal(names * 2, 0.1, 0.2, seed=1)
    assert {split: len(part) for split, part in dealt.items()} == {'train': 14, 'val': 2, 'test': 4}
    assert sorted(name for part in dealt.values() for name in part) == sorted(names)
    assert dealt == dealing.deal(names[::-1], 0.1, 0.2, seed=1)
    assert dealt != dealing.deal(names, 0.1, 0.2, seed=2)
    assert dealing.deal(['p', 'q'], 0.1, 0.1, 0) == {'train': ['p', 'q']}
    assert dealing.deal(names, 0.0, 0.0, 0) == {'train': sorted(names)}


@pytest.fixture(scope='module')
def face():
    with faces.Detector(MODEL) as detector:
        return detector.detect(data.astronaut())[0]


def test_tracks_end_at_jumps_gaps_and_cuts(face):
    def at(x):
        return face.moved(-x, 0, 1.0)

    tracker = tracking.Tracker(longest=100, gap=3)
    assert tracker.update(0, [at(0)], 0) == []
    tracker.update(1, [at(20), at(500)], 1)  # goes on; another one begins
    ended = tracker.update(2, [at(30), at(900)], 2)  # the second one jumps
    assert ended == [] and tracker.tracks == 3
    ended = tracker.update(6, [at(40)], 6)  # others unseen for more than 3 frames end, and this too
    assert [(s.track, [i.frame for i in s.sightings]) for s in ended] == [
        (0, [0, 1, 2]),
        (1, [1]),
        (2, [2]),
    ]
    ended = tracker.update(7, [at(40)], 7, cut=True)
    assert [s.track for s in ended] == [3] and tracker.tracks == 5
    assert [s.track for s in tracker.finish()] == [4] and tracker.finish() == []


def test_long_tracks_become_several_stretches(face):
    tracker = tracking.Tracker(longest=4, gap=3)
    ended = [s for i in range(8) for s in tracker.update(i, [face], i)]
    ended += tracker.finish()
    assert [s.name for s in ended] == ['0.0', '0.1']
    assert [i.frame for s in ended for i in s.sightings] == list(range(8))
    assert [s.frame for s in tracking.sample(ended[0].sightings, 3)] == [0, 2, 4]


def test_cuts_are_found_by_colour():
    is_cut = tracking.CutFinder()
    assert [is_cut(frame) for frame in panning(4)] == [False] * 4
    assert is_cut(data.coffee())
    assert not is_cut(data.coffee())


def test_reference_follows_turns_and_drops_the_expression(face):
    """The neutral face is moved to the pose of a turned and changed copy of itself."""
    from reenact_jax.faces import mesh as facemesh

    canonical = facemesh.canonical(MODEL)
    angle = 0.4
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    turned = 1.5 * face.mesh @ turn.T + [10, 20, 0]
    grin = turned.copy()
    grin[[61, 291, 17]] += [0, 15, 0]
    reference = records.references([face.mesh, grin], 0, canonical)['reference_68']
    np.testing.assert_allclose(reference[0], face.landmarks_68, atol=0.01)
    expected = facemesh.WEIGHTS['68'] @ turned
    np.testing.assert_allclose(reference[1, :, :2], expected[:, :2], atol=0.01)
    assert tracks.UNLABELLED == -1


def test_faces_seen_together_are_different_people(face):
    def stretch(track, first, last):
        sightings = [tracking.Sighting(i, face) for i in (first, last)]
        return tracking.Stretch(track, 0, sightings)

    spans = [stretch(0, 0, 50), stretch(1, 0, 20), stretch(2, 30, 60), stretch(3, 70, 80)]
    assert extract._people(spans) == {0: 0, 1: 1, 2: 1, 3: 0}


def test_segmentation_says_unknown_where_it_does_not_know(face):
    from reenact_jax.faces import mesh as facemesh

    mesh = face.moved(140, 40, 0.5).mesh  # a face of 45 x 53 pixels around (42, 42)
    canonical = facemesh.canonical(MODEL)
    png = records.segmentation(mesh, canonical, 96, np.array([-5.0, 10.0, 90.0, 300.0]))
    with Image.open(io.BytesIO(png)) as image:
        plane = np.asarray(image)
    assert (plane[:10] == tracks.UNKNOWN).all() and (plane[:, 90:] == tracks.UNKNOWN).all()
    assert plane[42, 42] == tracks.FACE and plane[12, 42] == tracks.UNKNOWN  # hair
    assert plane[95, 42] == tracks.UNKNOWN  # neck
    assert (plane[12:, 0] == tracks.BACKGROUND).all() and plane[42, 88] == tracks.BACKGROUND
    assert (plane == tracks.FACE).mean() == pytest.approx(45 * 53 * 0.8 / 96**2, rel=0.15)


def test_segmenter_tells_hair_where_the_picture_is():
    def halves(image):
        plane = np.full(image.shape[:2], tracks.HAIR, np.uint8)
        plane[:, image.shape[1] // 2 :] = tracks.FACE
        return plane

    jpeg = simplejpeg.encode_jpeg(np.zeros((32, 32, 3), np.uint8))
    png = records.segmented(jpeg, halves, np.array([4.0, -3.0, 40.0, 20.0]))
    with Image.open(io.BytesIO(png)) as image:
        plane = np.asarray(image)
    assert (plane[:, :4] == tracks.UNKNOWN).all() and (plane[20:] == tracks.UNKNOWN).all()
    assert (plane[:20, 4:16] == tracks.HAIR).all() and (plane[:20, 16:] == tracks.FACE).all()


def test_segmenter_classes():
    table = segment.table('0=background, 7=hair,255=face')
    assert (table[0], table[7], table[255], table[3]) == (
        tracks.BACKGROUND, tracks.HAIR, tracks.FACE, tracks.UNKNOWN
    )  # fmt: skip
    assert segment.table(segment.SELFIE)[1] == tracks.HAIR
    for wrong in ('0=skin', 'face', '256=face', 'x=hair'):
        with pytest.raises(UserError, match='is no category'):
            segment.table(wrong)
    assert segment.segmenter('', segment.SELFIE) is None


def test_command_refuses_bad_flags(footage_folder, tmp_path):
    base = [str(footage_folder), '--out', str(tmp_path)]
    for flags, message in (
        (['--size', '8'], 'size'),
        (['--val', '1.5'], '--val'),
        (['--shards', '0'], '--shards'),
        (['--segmenter', 'absent.tflite'], r'absent\.tflite: no such file'),
        (['--segmenter', str(MODEL)], 'not an image segmenter'),
    ):
        with pytest.raises(UserError, match=message):
            videos.main([*base, *flags])


def test_records_have_the_times_of_a_variable_rate(tmp_path):
    """A second at 25 frames/s, then every fifth frame: no fault, and times as they are."""
    times = [n / 25 for n in range(50) if n < 25 or n % 5 == 0]
    with writing.VideoWriter(tmp_path / 'anna.mp4', Fraction(15), variable=True) as video:
        for time, frame in zip(times, panning(len(times)), strict=True):
            video.write(frame, time, time + (0.04 if time < 0.95 else 0.2))
    (tmp_path / 'notes.txt').write_text('not used')
    options = extract.Options(size=64, frames=16, clip_seconds=9.0)
    (outcome,) = prepare([tmp_path], tmp_path / 'out', options)
    assert (outcome.status, outcome.frames, outcome.records) == ('ok', len(times), 1)
    ((_, track),) = all_tracks(tmp_path / 'out').values()
    np.testing.assert_allclose(track.seconds, [times[n] for n in track.frame_number], atol=1e-4)
    assert track.seconds[-1] > 1.7 and drivers.times_of(track).rate is None
    assert footage.unused([str(tmp_path)]).keys() >= {'notes.txt'}


def test_a_late_start_is_no_fault(tmp_path):
    path = films.make(tmp_path / 'film.mkv', films.Film('mkv', True, 0.72))
    source = footage.label(footage.find([str(path)]))[0]
    with faces.Detector(MODEL) as detector:
        outcome = extract.extract(source, str(tmp_path / 'a.tfrecord'), OPTIONS, detector)
    assert outcome.status == 'no face' and not outcome.detail
