"""The driver's reference frame, and its jitter."""

from fractions import Fraction

import numpy as np
import pytest
from bundles import drawing_model, landmark_model, random_face

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.media import timeline
from reenact_jax.reenact import drivers, motion, recording, reference_frame
from reenact_jax.reenact.animation import Animation, Shots
from reenact_jax.reenact.drivers import Driver, Frame
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.output import Output
from reenact_jax.reenact.portraits import Portrait


def driver_of(points, gaps=(), shown=()):
    faces = [
        None if n in gaps else {'landmarks': one, 'aus': np.full(20, n, np.float32)}
        for n, one in enumerate(points)
    ]
    picture = np.zeros((4, 4, 3), np.uint8)
    frames = (Frame(face, picture if n in shown else None) for n, face in enumerate(faces))
    return Driver(frames, len(points), Fraction(25), lambda: None, frozenset(shown)), faces


def portrait(seed=0):
    face = random_face(seed, 1)
    return Portrait(face['image'][0], {'landmarks': face['landmarks'][0]})


def test_nearest_is_the_frame_that_looks_like_the_source():
    source = portrait()
    points = random_face(1, 6)['landmarks']
    points[4] = source.known['landmarks'] * 0.5 + 3  # the same face, smaller and elsewhere
    driver, faces = driver_of(points, gaps=(0, 2), shown=(1, 2))
    again, face, number, _ = reference_frame.nearest(driver, source)
    assert number == 4
    np.testing.assert_array_equal(face['landmarks'], points[4])
    frames = list(again.frames)
    assert [frame.face is None for frame in frames] == [n in (0, 2) for n in range(6)]
    assert [n for n, frame in enumerate(frames) if frame.picture is not None] == [1, 2]
    for frame, old in zip(frames, faces, strict=True):
        if old is not None:
            assert frame.face.keys() == old.keys()
            np.testing.assert_array_equal(frame.face['landmarks'], old['landmarks'])
            np.testing.assert_array_equal(frame.face['aus'], old['aus'])


def test_no_face_anywhere():
    driver, _ = driver_of(random_face(1, 3)['landmarks'], gaps=(0, 1, 2))
    again, face, _, _ = reference_frame.nearest(driver, portrait())
    assert face is None and [frame.face for frame in again.frames] == [None] * 3


@pytest.fixture(scope='module')
def carried(tmp_path_factory):
    target = tmp_path_factory.mktemp('spool') / 'bundle'
    export.write(target, drawing_model(), landmark_model())
    return bundle.load(target, 'none')


def test_relative_motion_starts_at_the_reference(carried, tmp_path):
    """In that frame the source is where it was; the others move from there."""
    source, points = portrait(), random_face(1, 5)['landmarks']
    driving = [{'landmarks': one} for one in points]
    made = list(Animation(carried, source).frames(driving, driving[3]))
    box = [p.max(0) + p.min(0) for p in (made[3].landmarks, source.known['landmarks'])]
    np.testing.assert_allclose(*box, atol=1e-3)
    points[3] = source.known['landmarks'] + 2
    driver, _ = driver_of(points)
    out = str(tmp_path / 'out.mp4')
    animation = Animation(carried, source, Options(reference='best', smooth=True))
    summary = recording.record(animation, driver, Output(out))
    assert (summary['reference'], summary['frames'], summary['sound']) == (3, 5, False)


def test_drivers_of_files_know_their_sound(tmp_path, monkeypatch):
    monkeypatch.setattr(drivers, 'has_sound', lambda path: True)

    class Reader:
        probe = drivers.reading.Probe('video', 3, True, Fraction(25), 8, 8, 0.1)

        timeline, zero, unused = timeline.even(3, Fraction(25)), Fraction(0), {}

        def __init__(self, path, rate):
            self.fault = lambda: None

        def frames(self):
            return iter([])

    monkeypatch.setattr(drivers.reading, 'Reader', Reader)
    assert drivers.from_file('a.mp4', 64, '68', None).sound.path == 'a.mp4'
    Reader.probe = Reader.probe._replace(kind='still')
    assert drivers.from_file('a.png', 64, '68', None).sound is None


def test_relative_motion_starts_anew_where_the_driver_cuts(carried):
    """In the first frame of each shot the source is where it was, whatever the batch."""
    source, points = portrait(), random_face(1, 7)['landmarks']
    points[4:] = points[4:] * 0.5 + 20  # another shot: smaller, elsewhere
    driving = [{'landmarks': one} for one in points]
    driving[3] = None  # the cut falls into a gap
    shots = Shots([0, 0, 0, 1, 1, 1, 1], {})
    for batch in (2, 8):
        animation = Animation(carried, source, Options(batch=batch))
        made = list(animation.frames(driving, None, shots))
        assert [one.held for one in made] == [n == 3 for n in range(7)]
        box = [p.max(0) + p.min(0) for p in (made[4].landmarks, source.known['landmarks'])]
        np.testing.assert_allclose(*box, atol=1e-3)
        np.testing.assert_allclose(made[3].landmarks, made[2].landmarks, atol=1e-4)
    chosen = Shots([0, 0, 0, 1, 1, 1, 1], {1: driving[5]})
    made = list(Animation(carried, source).frames(driving, None, chosen))
    box = [p.max(0) + p.min(0) for p in (made[5].landmarks, source.known['landmarks'])]
    np.testing.assert_allclose(*box, atol=1e-3)


def test_times_go_through_files_of_motion(tmp_path):
    times = np.array([0, 0.04, 0.08, 0.5, 0.9])
    aus, valid = np.zeros((5, 20), np.float32), np.ones((5, 20), bool)
    for suffix in ('csv', 'json'):
        path = tmp_path / f'a.{suffix}'
        motion.write(path, motion.Motion(aus, valid, Fraction(5), times=times))
        found = motion.read(path)
        np.testing.assert_allclose(found.timeline.times, times)
        assert found.timeline.rate is None
    (tmp_path / 'b.csv').write_text('timestamp,AU12\n0,0\n0.2,1\n0.1,0\n')
    with pytest.raises(UserError, match=r'b\.csv, row 3: its timestamp is not after'):
        motion.read(tmp_path / 'b.csv')
