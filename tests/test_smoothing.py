"""Smoothing takes jitter away and delays nothing: numbers by hand, on noise, and on real clips."""

import itertools

import numpy as np
import pytest

from reenact_jax import faces
from reenact_jax.evaluate import asked
from reenact_jax.geometry import landmarks as lm
from reenact_jax.reenact import drivers, smoothing

RATE = 25.0
NOISE = 0.001  # in sides of the face; detected points of real clips tremble by 0.0007


def face(seed: int = 0) -> np.ndarray:
    """68 points, 100 pixels a side."""
    points = np.random.default_rng(seed).uniform(0, 100, (68, 2))
    points[:2] = (0, 0), (100, 100)
    return points


def smoothed(points, rate=RATE, times=None, shots=None) -> np.ndarray:
    known = ({'landmarks': np.float32(one)} for one in points)
    return np.array([one['landmarks'] for one in smoothing.smooth(known, rate, times, shots)])


def euro(points, rate: float) -> np.ndarray:
    """The 1 euro filter (Casiez, Roussel, Vogel 2012) on points in sides of the face."""
    cutoff, slope, speed_cutoff = 1.5, 10.0, 1.0

    def share(cutoff):
        return 1 / (1 + rate / (2 * np.pi * cutoff))

    value, speed, made = points[0], np.zeros_like(points[0]), [points[0]]
    for one in points[1:]:
        speed = speed + share(speed_cutoff) * ((one - value) * rate - speed)
        value = value + share(cutoff + slope * np.abs(speed)) * (one - value)
        made.append(value)
    return np.array(made)


def delay(made, given, rate: float) -> float:
    """How much later a signal comes, in milliseconds: least squares along its change."""
    change = np.gradient(given, axis=0)
    return float(-((made - given) * change).sum() / np.square(change).sum() * 1000 / rate)


def jitter(points) -> np.ndarray:
    """Second differences of frames, [t - 2]."""
    return np.linalg.norm(np.diff(points, 2, axis=0), axis=-1).mean(-1)


def test_a_resting_face_trembles_less():
    noise = np.random.default_rng(0).normal(0, 100 * NOISE, (60, 68, 2))
    made = smoothed(face() + noise)
    assert jitter(made).mean() < 0.5 * jitter(face() + noise).mean()
    assert (made[2:-2] - face()).std() < 0.7 * noise.std()


def test_what_moves_is_neither_late_nor_less():
    noise = np.random.default_rng(0).normal(0, 100 * NOISE, (100, 68, 2))
    way = 8 * np.sin(np.arange(100) / RATE * 2 * np.pi * 1.5)[:, None, None] * [1, 0]
    made = smoothed(face() + way + noise)
    assert abs(delay(made - face(), np.broadcast_to(way, noise.shape), RATE)) < 1
    assert np.ptp(made[:, 0, 0]) > 0.99 * np.ptp(way)
    late = euro((face() + way) / 100, RATE) * 100
    assert delay(late - face(), np.broadcast_to(way, noise.shape), RATE) > 8  # seen by the measure


def test_a_blink_is_left_as_it_is():
    lids = np.zeros((9, 68, 2))
    lids[4:6, 36:48, 1] = 4  # shut for two frames: 4 % of the face's side
    made = smoothed(face() + lids)
    np.testing.assert_allclose(made, face() + lids, atol=0.01)


def test_even_motion_is_met_and_ends_are_kept():
    way = np.arange(20)[:, None, None] * np.array([0.2, -0.1])
    np.testing.assert_allclose(smoothed(face() + way), face() + way, atol=1e-4)


def test_uneven_times_average_nothing_that_is_not_opposite():
    times = [(float(t), t + 0.01) for t in (0, 0.04, 0.30)]
    moved = face() + np.arange(3)[:, None, None] * 0.2
    np.testing.assert_array_equal(smoothed(moved, times=times)[1], np.float32(moved[1]))
    even = [(0.04 * n, 0.04 * n + 0.04) for n in range(3)]
    bent = moved + np.array([0, 0.1, 0])[:, None, None]
    assert not np.array_equal(smoothed(bent, times=even)[1], np.float32(bent[1]))


@pytest.mark.parametrize('frames', [1, 2, 5, 30])
def test_gaps_and_cuts_are_not_averaged_over(frames):
    """Every frame comes out once and in order, and none has something of another shot."""
    steady = np.stack([face(1)] * frames + [face(2)] * frames)
    made = smoothed(steady, shots=[0] * frames + [1] * frames)
    np.testing.assert_allclose(made, steady, atol=1e-4)
    given = [{'landmarks': np.float32(one), 'mark': n} for n, one in enumerate(steady)]
    given[frames] = None
    out = list(smoothing.smooth(given, RATE))
    assert [one and one['mark'] for one in out] == [one and one['mark'] for one in given]


def test_it_reads_only_as_far_ahead_as_it_must():
    read = itertools.count()
    faces_ = ({'landmarks': np.float32(face()), 'number': next(read)} for _ in itertools.count())
    stream = smoothing.smooth(faces_, 100.0)
    for number in range(50):
        assert next(stream)['number'] == number
    assert next(read) <= 50 + smoothing.MOST + 1


def test_units_are_filtered_one_by_one():
    aus = np.full((9, 20), 0.5, np.float32)
    aus[4] += np.float32([0.01] * 10 + [0.4] * 10)  # trembles; an expression
    known = [{'landmarks': np.float32(face()), 'aus': one} for one in aus]
    made = np.array([one['aus'] for one in smoothing.smooth(known, RATE)])
    assert (made[4, :10] < 0.505).all()
    np.testing.assert_allclose(made[4, 10:], 0.9, atol=1e-3)


@pytest.mark.long
def test_real_clips_tremble_less_and_nothing_is_late(development_data, capsys):
    """Prints what docs/use.md says: jitter at rest, delays and openings of mouths and lids."""
    rows = []
    for path in sorted((development_data / 'clips').glob('liveportrait_d*.mp4'))[:12]:
        with faces.Detector() as detector:
            driver = drivers.from_file(str(path), 256, '68', detector)
            some = itertools.islice(driver.frames, 150)
            points = np.array([f.face['landmarks3d'] for f in some if f.face and not f.shot])
        if len(points) < 40:
            continue
        rate = float(driver.rate)
        side = 2 * np.array(lm.box(points[..., :2])[1])[:, None, None]
        found = points / side
        known = [{'landmarks': p[:, :2], 'landmarks3d': p} for p in points]
        ours = [one['landmarks3d'] for one in smoothing.smooth(known, rate)]
        speed = np.linalg.norm(np.diff(found[..., :2], axis=0), axis=-1).mean(-1)
        rest = (speed[1:] < 0.003) & (speed[:-1] < 0.003)
        for name, made in (('ours', np.array(ours) / side), ('1 euro', euro(found, rate))):
            row = {'filter': name}
            if rest.any():
                row['jitter'] = jitter(made)[rest].mean() / jitter(found)[rest].mean()
            for part in ('mouth', 'eyes'):
                x, y = (asked.quantities(one, '68')[part] for one in (found, made))
                if x.std() > asked.FLOORS[part]:
                    row[f'{part}, ms late'] = delay(y, x, rate)
                    row[f'{part}, range'] = np.ptp(y) / np.ptp(x)
            rows.append(row)
    means = {}
    for name in ('ours', '1 euro'):
        mine = [row for row in rows if row['filter'] == name]
        keys = sorted({key for row in mine for key in row} - {'filter'})
        means[name] = {k: float(np.nanmean([r.get(k, np.nan) for r in mine])) for k in keys}
    with capsys.disabled():
        print(f'\n{len(rows) // 2} clips', means)
    ours, late = means['ours'], means['1 euro']
    assert ours['jitter'] < 0.8 and ours['eyes, range'] > 0.95
    assert abs(ours['mouth, ms late']) < 1 < 10 < late['mouth, ms late']
