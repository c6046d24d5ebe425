"""Where relative motion starts: the best frame, the warning about the first one, a still driver."""

import json
from fractions import Fraction

import numpy as np
import pytest
from bundles import SIZE, drawing_model, landmark_model
from exact import faces, state
from fakes import fake_shards

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.geometry import frames, layouts
from reenact_jax.reenact import command as reenact
from reenact_jax.reenact import recording, reference_frame, relative, starts
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.drivers import Driver, Frame
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.output import Output
from reenact_jax.reenact.portraits import Portrait
from reenact_jax.reenact.regions import Amount

LAYOUT = layouts.layout('68')


def known(seed: int, what, number: int = 0) -> dict:
    return {name: value[number] for name, value in faces(seed, what, True, SIZE).items()}


def portrait(turn=(0, 0, 0), **units) -> Portrait:
    return Portrait(np.zeros((SIZE, SIZE, 3), np.float32), known(1, state(1, turn, **units)))


def driver_of(*some) -> Driver:
    read = []

    def found():
        for face in some:
            read.append(1)
            assert len(read) <= len(some)  # once
            yield Frame(face)

    return Driver(found(), len(some), Fraction(25), lambda: None)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp('starts') / 'bundle'
    export.write(target, drawing_model(), landmark_model())
    return target


def test_faults_are_named():
    good, source = known(2, state(1, (5, 8, 0))), portrait().known
    assert starts.fault(good, source) is None
    assert starts.fault(known(2, state(1, (0, 30, 0))), source) == (
        "its head is turned 30 degrees from the portrait's"
    )
    assert starts.fault(known(2, state(1, (0, 30, 0))), source, poses=False) is None
    assert starts.fault(known(2, state(1, AU45=1)), source) == 'its eyes are shut'
    assert starts.fault(known(2, state(1, (0, 0, 40), AU25=1, AU26=1)), source) == (
        "its head is turned 40 degrees from the portrait's and its mouth is open"
    )
    # What the portrait does as well is no fault.
    asleep = portrait((0, 30, 0), AU45=1, AU25=1, AU26=1).known
    same = known(2, state(1, (0, 30, 0), AU45=1, AU25=1, AU26=1))
    assert starts.fault(same, asleep) is None
    bare = {name: good[name] for name in ('landmarks',)}
    assert starts.fault(bare, source) is None


def test_the_best_frame_has_the_pose_and_the_expression():
    mild = state(1, (0, 6, 0))
    some = [
        known(2, state(1, AU25=1, AU26=1)),
        known(2, state(1, (0, 25, 0))),
        known(2, state(1, AU45=1)),
        known(2, mild),
    ]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        _, _, number, *_ = reference_frame.nearest(driver_of(*(some[n] for n in order)), portrait())
        assert order[number] == 3
    assert reference_frame.nearest(driver_of(*some), portrait(AU25=1, AU26=1))[2] == 0
    assert starts.distance(portrait().known, portrait().known) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('turn', [(0, 0, 0), (0, 30, 10)])
def test_a_still_driver_gives_its_pose_and_expression_and_not_its_place(folder, tmp_path, turn):
    source, end = portrait(turn), known(2, state(1, (5, -20, 5), AU25=1, AU26=1))
    model, face = bundle.load(folder, 'none'), source.face()
    start, driving = ({name: value[None] for name, value in one.items()}
                      for one in (starts.onto(source.known, end), end))  # fmt: skip
    begun = relative.start(model, model.identify(face), face, start)
    made = relative.move(begun, driving['landmarks'], driving)[0]
    result, own, _ = relative.heads({'landmarks': made, 'landmarks3d': made}, source.known)
    there, _, _ = relative.heads(end | {'aus_valid': np.zeros(20)}, source.known)
    assert frames.degrees(result.rotation @ there.rotation.T) < 4
    assert result.size == pytest.approx(own.size, rel=0.02)
    assert np.abs(result.pivot - own.pivot)[:2].max() < 0.55 * own.size  # axes of two ways
    assert starts.look({'landmarks': made}).mouth > starts.OPEN
    animation = Animation(model, source)
    out = recording.record(animation, driver_of(end), Output(str(tmp_path / 'a.png'), signed=False))
    assert out['start'] is None and out['frames'] == 1
    still = animation.frames([end])  # without a start of its own it is the first
    np.testing.assert_allclose(next(still).landmarks, source.known['landmarks'], atol=1e-4)


def test_the_summary_tells_of_a_poor_first_frame(folder, tmp_path):
    model = bundle.load(folder, 'none')
    some = [None, known(2, state(1, AU45=1)), known(2, state(1))]
    out = str(tmp_path / 'a.mp4')

    def run(**more):
        animation = Animation(model, portrait(), Options(**more))
        return recording.record(animation, driver_of(*some), Output(out, signed=False))

    assert run()['start'] == 'its eyes are shut'
    assert run(reference='best')['start'] is None
    assert run(motion='absolute')['start'] is None
    with pytest.raises(UserError, match='are of relative motion'):
        run(motion='absolute', strength=0.5)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    target = tmp_path_factory.mktemp('shards')
    fake_shards(target, identities=2, tracks=1, frames=4, size=2 * SIZE)
    return target


def test_command_warns_once_and_takes_amounts(folder, data, tmp_path, capsys, monkeypatch):
    first = ['--model', folder, '--source', data, '--source-track', 'track0000']
    first += ['--driving', data, '--driving-track', 'track0001', '--out', tmp_path / 'a.mp4']
    monkeypatch.setattr(starts, 'fault', lambda *_: 'its eyes are shut')
    seen = []
    inner = Animation.frames

    def spy(self, *args):
        seen.append(self.options.amount)
        return inner(self, *args)

    monkeypatch.setattr(Animation, 'frames', spy)
    args = ['--strength', '1.5', '--region', 'eyes', '--region', 'pose']
    reenact.main([str(one) for one in (*first, *args)])
    told = capsys.readouterr()
    assert told.err.count('its eyes are shut; --reference best starts') == 1
    assert json.loads(told.out.splitlines()[-1])['start'] == 'its eyes are shut'
    reenact.main([str(one) for one in (*first, '--overwrite', '--reference', 'best')])
    assert 'its eyes are shut' not in capsys.readouterr().err
    assert seen == [Amount(1.5, ('eyes', 'pose')), Amount()]


@pytest.mark.parametrize(
    ('extra', 'message'),
    [
        (['--strength', 'nan'], '--strength nan: expected a number from 0 to 3'),
        (['--strength', 'inf'], '--strength inf: expected'),
        (['--strength', '-1'], '--strength -1.0: expected'),
        (['--strength', 'strong'], '--strength strong: expected a number from 0 to 3'),
        (['--region', 'nose'], '--region nose: no such region; there are eyes, brows, mouth'),
        (['--strength', '1', '--motion', 'absolute'], '--strength: is of relative motion'),
        (['--region', 'all', '--motion', 'absolute'], '--region: is of relative motion'),
    ],
)
def test_amounts_that_the_command_refuses(folder, data, extra, message):
    first = ['--model', str(folder), '--source', str(data), '--source-track', 'track0000']
    there = ['--driving', str(data), '--driving-track', 'track0001', '--out', 'out.mp4']
    with pytest.raises(UserError, match=message):
        reenact.main([*first, *there, *extra])
    if 'absolute' not in extra:
        with pytest.raises(UserError, match=r'is of the motion of a driver|--strength|--region'):
            reenact.main([*first, '--edit', 'smile=1', '--out', 'out.png', *extra])
