"""From files and tracks to a marked video: placement, gaps, batches, rates, messages."""

import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
from bundles import SIZE, drawing_model, landmark_model, random_face
from fakes import fake_shards, fake_track
from PIL import Image

from reenact_jax import bundle, faces
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.faces.model import find_model
from reenact_jax.geometry import crops, landmarks, layouts
from reenact_jax.media import credentials, provenance, reading, writing
from reenact_jax.reenact import command as reenact
from reenact_jax.reenact import drivers, motion, portraits
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.edits import landmark_edits
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.portraits import Portrait


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp('reenact') / 'bundle'
    export.write(target, drawing_model(), landmark_model())
    return target


@pytest.fixture(scope='module')
def carried(folder):
    """The bundle with the driver's landmarks as they are: results can be worked out."""
    return bundle.load(folder, 'none')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    target = tmp_path_factory.mktemp('shards')
    fake_shards(target, identities=3, tracks=1, frames=5, size=2 * SIZE)
    return target


def portrait(seed: int = 0) -> Portrait:
    face = random_face(seed, 1)
    return Portrait(face['image'][0], {'landmarks': face['landmarks'][0]})


def clip(frames: int, seed: int = 1) -> list:
    return [{'landmarks': points} for points in random_face(seed, frames)['landmarks']]


def animate(model, source, driving, **options):
    return Animation(model, source, Options(**options)).frames(driving)


def same_frames(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.landmarks, other.landmarks)


def test_one_frame_for_each_of_the_drivers_whatever_the_batch(carried):
    driving = clip(7)
    made = list(animate(carried, portrait(), driving, batch=3))
    assert len(made) == 7
    for one, other in zip(made, animate(carried, portrait(), driving, batch=4), strict=True):
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=1e-4)
        assert np.abs(one.image.astype(int) - other.image).max() <= 1
    assert np.ptp(made[3].image) > 50  # lines are drawn


def test_driver_is_read_as_it_is_needed(carried):
    read = []

    def endless():
        while True:
            read.append(1)
            yield clip(1, len(read))[0]

    made = animate(carried, portrait(), endless(), batch=4)
    for _ in range(9):
        next(made)
    assert len(read) <= 9 + 2 * 4


def test_relative_starts_in_the_sources_place(carried):
    source = portrait()
    driving = [{'landmarks': face['landmarks'] * 2 + 30} for face in clip(3)]
    made = list(animate(carried, source, driving))
    centre, half = landmarks.box(source.known['landmarks'])
    got_centre, got_half = landmarks.box(made[0].landmarks)
    np.testing.assert_allclose(got_centre, centre, atol=1e-3)
    np.testing.assert_allclose(got_half, half, atol=1e-3)
    assert not np.allclose(made[0].landmarks, made[1].landmarks, atol=0.5)


def test_absolute_is_the_drivers_place(carried):
    driving = clip(3)
    made = animate(carried, portrait(), driving, motion='absolute')
    moved = [one.landmarks for one in made]
    np.testing.assert_allclose(moved, [face['landmarks'] for face in driving], atol=1e-3)


def test_frames_without_a_face_hold_the_motion_before(carried):
    a, b, c = clip(3)
    made = list(animate(carried, portrait(), [None, a, None, None, b, c, None], batch=2))
    assert [one.held for one in made] == [True, False, True, True, False, False, True]
    same_frames([made[0], made[2], made[3], made[6]], [made[1], made[1], made[1], made[5]])
    assert (made[1].image != made[4].image).any()


def test_no_face_at_all(carried):
    with pytest.raises(UserError, match='no face found in any driving frame'):
        list(animate(carried, portrait(), [None] * 5))


def test_another_driver_leaves_the_source_untouched(folder):
    """identify and encode do not see the driver: bit-equal, and computed once an animation."""
    model, seen = bundle.load(folder), []
    for name in ('identify', 'encode'):
        inner = getattr(model, name)

        def spy(source, inner=inner):
            seen.append([np.asarray(x) for x in inner(source)])
            return tuple(seen[-1])

        setattr(model, name, spy)
    made = [list(animate(model, portrait(), clip(9, seed), batch=4)) for seed in (1, 2, 1)]
    assert len(seen) == 2 * 3
    for other in (seen[2:4], seen[4:6]):
        for expected, got in zip(seen[:2], other, strict=True):
            for x, y in zip(expected, got, strict=True):
                np.testing.assert_array_equal(x, y)
    same_frames(made[0], made[2])
    assert (made[0][1].image != made[1][1].image).any()


def run(capsys, *arguments) -> dict:
    assert reenact.main([str(argument) for argument in arguments]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def is_signed(path) -> bool:
    found = credentials.read(path)
    return found is not None and found['state'] == 'valid'


def test_command_with_tracks(folder, data, tmp_path, capsys):
    out, sheet = tmp_path / 'out.mp4', tmp_path / 'sheet.png'
    track = portraits.find_track(str(data), 'track0001')
    summary = run(
        capsys,
        *('--model', folder, '--source', data, '--source-track', 'track0000'),
        *('--driving', data, '--driving-track', 'track0001', '--out', out, '--sheet', sheet),
        *('--rows', 3, '--source-frame', 2),
    )
    assert summary['frames'] == track.frames == 5
    assert (summary['held'], summary['fault'], summary['transfer']) == (0, None, 'ldnet')
    assert reading.probe(out).frames == 5
    assert reading.probe(out).rate == drivers.rate_of(track)
    assert writing.is_marked(out)
    assert writing.is_marked(sheet) and provenance.inspect(str(sheet)).watermark
    signed = [summary['credentials'], is_signed(out), is_signed(sheet)]
    assert signed == 3 * [credentials.is_available()]
    width, height = Image.open(sheet).size
    assert height > 3 * 150
    assert width > 4 * 150


def test_still_driver_gives_a_still(folder, data, tmp_path, capsys, monkeypatch):
    Image.fromarray(np.full((80, 120, 3), 90, np.uint8)).save(tmp_path / 'still.png')
    monkeypatch.setattr(faces, 'Detector', lambda model: FakeDetector())
    summary = run(
        capsys,
        *('--model', folder, '--source', data, '--source-track', 'track0000'),
        *('--driving', tmp_path / 'still.png', '--out', tmp_path / 'out.png'),
    )
    assert summary['frames'] == 1
    assert Image.open(tmp_path / 'out.png').size == (SIZE, SIZE)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'--out': 'out.avi'}, r'--out out\.avi: name it \.mp4'),
        ({'--out': 'out.png'}, 'several frames'),
        ({'--source-track': 'nobody'}, r"no track 'nobody'; there are 3, such as track0000"),
        ({'--source-frame': '9'}, 'has 5 frames'),
        ({'--transfer': 'magic'}, '--transfer magic: this bundle has'),
        ({'--batch': '0'}, '--batch 0: must be at least 1'),
        ({'--face': 'middle'}, "--face middle: give 'largest'"),
        ({'--model': 'nowhere'}, 'nowhere: no bundle here'),
    ],
)
def test_wrong_arguments(folder, data, changes, message):
    arguments = {'--model': folder, '--source': data, '--source-track': 'track0000'}
    arguments |= {'--driving': data, '--driving-track': 'track0001', '--out': 'out.mp4'} | changes
    with pytest.raises(UserError, match=message):
        reenact.main([str(part) for item in arguments.items() for part in item])


class FakeDetector(faces.Detector):
    """Finds a face where the picture is bright: no face in a black one."""

    def __init__(self):
        """Without a model file."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def is_certain(self, image, face):
        return True

    def detect(self, image, near=(), thorough=False, turn=0):
        if image.max() < 40:
            return []
        points = np.pad(random_face(int(image.max()), 1)['landmarks'][0], ((0, 0), (0, 1)))
        return [detected(points + 20, (28, 28, 44, 44))]


def detected(points, box) -> faces.Detected:
    """A face with these 68 points and this box, of which nothing else is known."""
    x0, y0, x1, y1 = box
    mesh = np.full((478, 3), [x0, y0, 0], np.float32)
    mesh[240:] = x1, y1, 0
    points, nothing = np.float32(points), np.zeros((106, 3), np.float32)
    return faces.Detected(
        mesh, points, nothing, points,
        aus=np.zeros(20, np.float32), aus_valid=np.ones(20, bool),
        gaze=np.zeros(2, np.float32), blendshapes={},
        look=dict,
    )  # fmt: skip


def test_video_driver_keeps_its_rate_and_reports_gaps(folder, data, tmp_path, capsys, monkeypatch):
    rate = Fraction(30000, 1001)
    with writing.VideoWriter(tmp_path / 'driver.mp4', rate) as video:
        for level in (100, 0, 160, 0, 0, 220):
            video.write(np.full((64, 64, 3), level, np.uint8))
    monkeypatch.setattr(faces, 'Detector', lambda model: FakeDetector())
    summary = run(
        capsys,
        *('--model', folder, '--source', data, '--source-track', 'track0000', '--batch', 4),
        *('--driving', tmp_path / 'driver.mp4', '--out', tmp_path / 'out.mp4'),
    )
    assert (summary['frames'], summary['held'], summary['fault']) == (6, 3, None)
    assert reading.probe(tmp_path / 'out.mp4').rate == rate


def test_variable_rates_rates_and_folders(folder, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(faces, 'Detector', lambda model: FakeDetector())
    times = [0, 0.04, 0.08, 0.5, 0.9, 1.0]
    with writing.VideoWriter(tmp_path / 'driver.mp4', Fraction(6), variable=True) as video:
        for begin, end in itertools.pairwise(times):
            video.write(np.full((64, 64, 3), 100 + int(100 * begin), np.uint8), begin, end)
    source = '--model', folder, '--source', data, '--source-track', 'track0000'
    out, saved = tmp_path / 'out.mp4', tmp_path / 'motion.csv'
    driving = '--driving', tmp_path / 'driver.mp4'
    files = '--out', out, '--save-motion', saved, '--sheet', tmp_path / 'sheet.png', '--rows', 2
    summary = run(capsys, *source, *driving, *files)
    assert summary['rate'] == 'variable, 4.444 on average' and summary['seconds'] == 1.0
    np.testing.assert_allclose(reading.Reader(out).timeline.times, times[:-1], atol=1e-3)
    np.testing.assert_allclose(motion.read(saved).timeline.times, times[:-1], atol=1e-3)
    with pytest.raises(UserError, match=r'out\.mp4: is there already; --overwrite'):
        run(capsys, *source, *driving, '--out', out)
    summary = run(capsys, *source, *driving, '--out', out, '--overwrite', '--rate', 25)
    assert (summary['rate'], summary['frames'], summary['seconds']) == ('25', 25, 1.0)
    stills = tmp_path / 'stills'
    stills.mkdir()
    for n in range(3):
        Image.fromarray(np.full((64, 64, 3), 100 + n, np.uint8)).save(stills / f'{n}.png')
    (stills / 'list.txt').write_text('x')
    place = tmp_path / 'folder.webm'
    summary = run(capsys, *source, '--driving', stills, '--rate', 10, '--out', place)
    assert (summary['rate'], summary['frames']) == ('10', 3)
    assert summary['unused'] == {'list.txt': 'no picture'}


def test_command_shows_source_driver_and_result_side_by_side(folder, data, tmp_path, capsys):
    tracks = ('--source', data, '--source-track', 'track0000')
    tracks += ('--driving', data, '--driving-track', 'track0001')
    out = tmp_path / 'three.mp4'
    made = run(capsys, '--model', folder, *tracks, '--out', out, '--side-by-side')
    (frame, *others) = list(reading.Reader(str(out)))
    assert frame.shape[1] == 3 * frame.shape[0] and len(others) == made['frames'] - 1


@pytest.mark.parametrize(
    'extra, message',
    [
        (['--max-side', '10'], '--max-side 10: must be at least 64'),
        (['--max-side', '-1'], '--max-side -1: must be at least 64'),
        (['--side-by-side', '--steps', '4'], '--side-by-side: .*not for --steps'),
    ],
)
def test_wrong_ways_to_show(extra, message):
    given = ['--model', 'm', '--source', 'a.jpg', '--driving', 'b.mp4', '--out', 'c.mp4', *extra]
    with pytest.raises(UserError, match=message):
        reenact.main(given)


def test_driver_brings_only_the_pictures_that_are_shown(tmp_path):
    for i in range(5):
        Image.fromarray(np.full((64, 64, 3), 100 + i, np.uint8)).save(tmp_path / f'{i}.png')
    driver = drivers.from_file(str(tmp_path), SIZE, '68', FakeDetector(), pictures=2)
    shown = [frame.picture is not None for frame in driver.frames]
    assert shown == [True, False, False, False, True]
    assert driver.rate == reading.FOLDER_RATE


def test_crop_and_points_agree():
    """A bright pixel is found in the crop where `into_crop` says, inside and beyond the border."""
    image = np.zeros((40, 50, 3), np.uint8)
    image[12, 33] = 255
    for window in ((20.0, 4.0, 24.0), (25.5, -6.25, 40.0)):
        made = crops.crop(image, window, 96)[..., 0].astype(float)
        y, x = np.mgrid[:96, :96] + 0.5
        found = np.array([(made * x).sum(), (made * y).sum()]) / made.sum()
        expected = crops.into_crop(np.array([[33.5, 12.5, 0]]), window, 96)[0, :2]
        np.testing.assert_allclose(found, expected, atol=0.15)


def test_portrait_of_a_photograph():
    try:
        find_model(download=False)
        detector = faces.Detector()
    except UserError as error:
        pytest.skip(f'needs the face detector: {error}')
    photograph = pytest.importorskip('skimage.data').astronaut()
    with detector:
        found = portraits.from_picture(photograph, 64, '68', detector, 'largest')
        with pytest.raises(UserError, match='no human face'):
            portraits.from_picture(np.zeros((200, 200, 3), np.uint8), 64, '68', detector)
        detector.is_certain = lambda *_: False  # as of a cat's face
        with pytest.raises(UserError, match=r'hardly a human face.*--face largest'):
            portraits.from_picture(photograph, 64, '68', detector)
        assert found.certain
        assert not portraits.from_picture(photograph, 64, '68', detector, 'largest').certain
    assert found.image.shape == (64, 64, 3)
    centre, half = landmarks.box(found.known['landmarks'])
    # crop_box: the face's box is 1 / CROP_SCALE of the side, CROP_RAISE below its middle.
    np.testing.assert_allclose(half, 32 / landmarks.CROP_SCALE, atol=0.1)
    np.testing.assert_allclose(centre, [32, 64 * (0.5 + landmarks.CROP_RAISE)], atol=0.1)


def test_faces_that_are_hardly_human_are_warned_of(capsys):
    for certain, expected in ((False, True), (True, False), (None, False)):
        reenact._warn_of_following('cat.mp4', {'held': 0, 'certain': certain})
        assert (
            'warning: cat.mp4: what was found is hardly a human' in capsys.readouterr().err
        ) is (expected)


def test_portrait_of_a_frame_of_a_video(tmp_path):
    astronaut = portraits.astronaut()[:300, 80:380]
    with writing.VideoWriter(tmp_path / 'a.mp4', Fraction(25)) as video:
        for frame in (np.full_like(astronaut, 90), astronaut):
            video.write(frame)
    with faces.Detector(find_model(None)) as detector:
        like = str(tmp_path / 'a.mp4'), 64, '68', detector, None
        made = portraits.from_file(*like, 1)
        assert made.canvas.picture.shape == astronaut.shape and made.image.shape == (64, 64, 3)
        with pytest.raises(UserError, match=r'a\.mp4, frame 0: no human face'):
            portraits.from_file(*like, 0)
        with pytest.raises(UserError, match=r'--source-frame 2: .*a\.mp4 has 2 frames'):
            portraits.from_file(*like, 2)


def test_rate_of_a_stored_track():
    kept = np.arange(5) * 3 + 1  # every third frame of a clip of 30000/1001 a second
    track = fake_track(frames=5, frame_number=kept, crop=np.array([0, 0, 64, 30000 / 1001]))
    assert drivers.rate_of(track) == Fraction(10000, 1001)
    unknown = fake_track(frames=5, frame_number=kept, crop=np.zeros(4))
    assert drivers.rate_of(unknown) == drivers.STILL_RATE


def test_portrait_from_a_track_is_scaled_to_the_model():
    track = fake_track(frames=2, size=64)
    found = portraits.from_track(track, 1, SIZE, '106')
    np.testing.assert_allclose(found.known['landmarks3d'], track.landmarks_106[1] / 2, rtol=1e-5)
    np.testing.assert_array_equal(found.known['landmarks'], found.known['landmarks3d'][:, :2])
    stored = portraits.from_track(track, 1, 64, '106').image
    coarse = stored.reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3))
    np.testing.assert_allclose(found.image[4:-4, 4:-4], coarse[4:-4, 4:-4], atol=0.1)


def test_edits_grow_along_the_way(carried):
    """The first frame is the source as it is, the last one edited; the middle is half of it."""
    source = portrait()
    own = source.known['landmarks']
    options = Options(edits={'smile': 1.0}, batch=2)
    made = list(Animation(carried, source, options).lead(own, 5))
    assert len(made) == 5
    np.testing.assert_allclose(made[0].landmarks, own, atol=1e-3)
    for number, amount in ((2, 0.5), (4, 1.0)):
        wanted = landmark_edits.apply(own[None], layouts.layout('68'), {'smile': amount})[0]
        np.testing.assert_allclose(made[number].landmarks, wanted, atol=1e-3)


def test_edits_come_after_the_transfer(carried):
    driving = clip(3)
    plain = list(animate(carried, portrait(), driving))
    edited = list(animate(carried, portrait(), driving, edits={'brow_raise': 1.0}))
    for one, other in zip(plain, edited, strict=True):
        wanted = landmark_edits.apply(
            one.landmarks[None], layouts.layout('68'), {'brow_raise': 1.0}
        )[0]
        np.testing.assert_allclose(other.landmarks, wanted, atol=1e-3)
    assert np.abs(plain[0].image.astype(int) - edited[0].image).max() > 10


def test_command_edits_the_source_itself(folder, data, tmp_path, capsys):
    strip, still, sheet = (tmp_path / f'{name}.png' for name in ('strip', 'still', 'sheet'))
    first = ('--model', folder, '--source', data, '--source-track', 'track0000', '--no-watermark')
    first += ('--no-credentials',)
    edit = ('--edit', 'face_width=-0.5', '--edit', 'smile=1')
    summary = run(capsys, *first, *edit, '--steps', 4, '--out', strip, '--sheet', sheet)
    assert summary['edits'] == {'face_width': -0.5, 'smile': 1.0} and summary['frames'] == 4
    assert Image.open(strip).size == (4 * SIZE, SIZE) and writing.is_marked(strip)
    run(capsys, *first, *edit, '--out', still)
    last = np.asarray(Image.open(strip))[:, -SIZE:]
    np.testing.assert_array_equal(np.asarray(Image.open(still)), last)
    assert Image.open(sheet).size[1] > 4 * 150
    run(capsys, *first, *edit, '--steps', 6, '--out', tmp_path / 'way.mp4')
    assert reading.probe(tmp_path / 'way.mp4').frames == 6
    assert not any(is_signed(one) for one in (strip, still, sheet, tmp_path / 'way.mp4'))


def test_command_leads_to_a_still_driver(folder, data, tmp_path, capsys, monkeypatch):
    Image.fromarray(np.full((80, 120, 3), 90, np.uint8)).save(tmp_path / 'still.png')
    monkeypatch.setattr(faces, 'Detector', lambda model: FakeDetector())
    first = ('--model', folder, '--source', data, '--source-track', 'track0000', '--no-watermark')
    there = ('--driving', tmp_path / 'still.png')
    run(capsys, *first, *there, '--steps', 3, '--out', tmp_path / 'strip.png')
    run(capsys, *first, *there, '--out', tmp_path / 'end.png')
    last = np.asarray(Image.open(tmp_path / 'strip.png'))[:, -SIZE:].astype(int)
    assert np.abs(last - np.asarray(Image.open(tmp_path / 'end.png'))).max() <= 1
    run(capsys, *first, *there, '--steps', 3, '--out', tmp_path / 'way.mp4')
    for name in ('strip.png', 'end.png', 'way.mp4'):
        assert is_signed(tmp_path / name) == credentials.is_available()


@pytest.mark.parametrize(
    ('extra', 'message'),
    [
        (['--edit', 'smirk=1'], 'no such edit'),
        ([], '--driving: missing; give a driver, or change'),
        (['--edit', 'smile=1', '--steps', '1'], '--steps 1: from one face'),
    ],
)
def test_wrong_edits(folder, data, extra, message):
    first = ['--model', str(folder), '--source', str(data), '--source-track', 'track0000']
    with pytest.raises(UserError, match=message):
        reenact.main([*first, '--out', 'out.mp4', *extra])


def test_steps_need_a_still(folder, data):
    both = ['--model', folder, '--source', data, '--source-track', 'track0000', '--driving', data]
    both += ['--driving-track', 'track0001', '--steps', 3, '--out', 'out.mp4']
    with pytest.raises(UserError, match='has 5 frames; the driver must be a still'):
        reenact.main([str(one) for one in both])
