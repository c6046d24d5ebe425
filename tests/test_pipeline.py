"""Stages at the same time give what they give one after another, and end together."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from bundles import SIZE, drawing_model, landmark_model, layered_model, random_face
from test_reenact import FakeDetector

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.faces import runtime
from reenact_jax.media import reading, watermark, writing
from reenact_jax.reenact import drivers, recording
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.output import Output
from reenact_jax.reenact.pasting import Canvas
from reenact_jax.reenact.pipeline import Pipeline, serial
from reenact_jax.reenact.portraits import Portrait

RATE = Fraction(25)


def stages() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith('reenact')]


def test_items_keep_their_order_and_few_are_made_ahead():
    made, seen = [], []

    def numbers():
        for n in range(100):
            made.append(n)
            yield n

    with Pipeline() as line:
        doubled = line.ahead((2 * n for n in line.ahead(numbers(), 3)), 2)
        assert not made and not stages()  # nothing begins before it is asked for
        for item in doubled:
            seen.append(item)
            if len(seen) == 10:
                time.sleep(0.1)
            # As many as both stages keep, one in the hands of each, and those that are taken.
            assert len(made) <= len(seen) + 3 + 2 + 2
        with pytest.raises(StopIteration):
            next(doubled)
    assert seen == [2 * n for n in range(100)] and not stages()
    assert list(serial(numbers())) == list(range(100))


def test_the_first_error_in_the_order_of_items_wins():
    """A stage that is far ahead fails first by the clock, and still comes second."""
    far = threading.Event()

    def fast():
        yield from range(4)
        far.set()
        raise ValueError('item 4')

    def slow(items, fails_at):
        for n in items:
            far.wait(5)
            if n == fails_at:
                raise UserError(f'item {n}')
            yield n

    for fails_at, kind, message, whole in (
        (2, UserError, 'item 2', 2),
        (9, ValueError, 'item 4', 4),
    ):
        far.clear()
        seen = []
        with pytest.raises(kind, match=message), Pipeline() as line:
            for n in line.ahead(slow(line.ahead(fast(), 5), fails_at)):
                seen.append(n)
        assert len(seen) == whole and not stages()


def test_all_stages_end_with_the_block_and_close_their_streams():
    closed = []

    def source():
        try:
            yield from itertools.count()
        finally:
            closed.append(threading.current_thread().name)

    def middle(items):
        yield from items

    with pytest.raises(KeyboardInterrupt), Pipeline() as line:
        for n in line.ahead(middle(line.ahead(source()))):
            if n == 5:
                raise KeyboardInterrupt
    assert closed == ['reenact stage'] and not stages()
    with Pipeline() as line:  # a block that is left early, without an error
        assert next(line.ahead(middle(line.ahead(source())))) == 0
    assert len(closed) == 2 and not stages()


@pytest.fixture(scope='module', params=['drawing', 'layers'])
def model(request, tmp_path_factory):
    target = tmp_path_factory.mktemp('pipeline') / 'bundle'
    made = drawing_model() if request.param == 'drawing' else layered_model()
    export.write(target, made, landmark_model())
    return bundle.load(target)


@pytest.fixture
def film(tmp_path):
    """A driver of 30 frames, some of them without a face."""
    pytest.importorskip('av', reason='videos need the extra [video]')
    path = tmp_path / 'driver.mp4'
    with writing.VideoWriter(path, RATE) as video:
        for n in range(30):
            level = 0 if n in (0, 11, 12) else 100 + 4 * n
            video.write(np.full((64, 64, 3), level, np.uint8))
    return str(path)


def portrait() -> Portrait:
    """A source in a picture that shows more than its crop."""
    face = random_face(0, 1)
    picture = np.random.default_rng(0).integers(0, 255, (80, 96, 3), dtype=np.uint8)
    canvas = Canvas(picture, (20.0, 12.0, 48.0))
    known = {name: face[name][0] for name in ('landmarks', 'landmarks3d')}
    return Portrait(face['image'][0], known, canvas)


def recorded(model, film: str, out, ahead, **options) -> dict:
    driver = drivers.from_file(film, SIZE, '68', FakeDetector(), 3, seen=model.sees, ahead=ahead)
    output = Output(str(out), sheet=f'{out}.png', save_motion=f'{out}.csv', signed=False)
    animation = Animation(model, portrait(), Options(batch=4, **options))
    return recording.record(animation, driver, output, ahead)


@pytest.mark.parametrize('options', [{}, {'reference': 'best', 'smooth': False}])
def test_results_are_those_of_one_stage_after_another(model, film, tmp_path, monkeypatch, options):
    """Bit for bit, up to the encoder: x264's own threads do not always give the same bytes."""
    written, write = [], writing.VideoWriter.write

    def spy(self, frame, begin, end):
        written.append((frame.copy(), begin, end))
        write(self, frame, begin, end)

    monkeypatch.setattr(writing.VideoWriter, 'write', spy)
    before = recorded(model, film, tmp_path / 'serial.mp4', serial, **options)
    expected, written[:] = list(written), []
    with Pipeline() as line:
        after = recorded(model, film, tmp_path / 'ahead.mp4', line.ahead, **options)
        assert len(line._stages) == 4 and all(stage._thread for stage in line._stages)
    same = {name: value for name, value in before.items() if name not in ('out', 'sheet')}
    assert {name: after[name] for name in same} == same and same['held'] == 3
    for one, other in zip(expected, written, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1:] == other[1:]
    assert np.ptp(written[5][0]) > 50 and (written[5][0] != written[25][0]).any()
    for end in ('.mp4.png', '.mp4.csv'):
        one, other = (tmp_path / f'{name}{end}' for name in ('serial', 'ahead'))
        assert one.read_bytes() == other.read_bytes()
    assert not stages()


@pytest.mark.parametrize('stage', ['decode', 'detect', 'draw', 'finish', 'mark', 'encode'])
def test_an_error_in_any_stage_leaves_no_file_and_no_thread(
    model, film, tmp_path, monkeypatch, stage
):
    calls = itertools.count()

    def failing(inner, after):
        def call(*args, **keywords):
            if next(calls) == after:
                raise OSError(f'{stage} failed')
            return inner(*args, **keywords)

        return call

    place, name, after = {
        'decode': (reading.colours.Converter, '__call__', 14),
        'detect': (FakeDetector, 'detect', 14),
        'draw': (type(model), 'transfer', 4),
        'finish': (recording.Animation, '_finished', 3),
        'mark': (watermark, 'embed', 14),
        'encode': (writing.VideoWriter, '_encode', 14),
    }[stage]
    monkeypatch.setattr(place, name, failing(getattr(place, name), after))
    (tmp_path / 'out').mkdir()
    with pytest.raises(OSError, match=f'{stage} failed'), Pipeline() as line:
        recorded(model, film, tmp_path / 'out' / 'out.mp4', line.ahead)
    assert not stages() and not list((tmp_path / 'out').iterdir())


CHILD = """
import itertools, os, signal, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from test_pipeline import *
from reenact_jax.common import errors
def frames():
    for n in itertools.count():
        if n == 20:
            print('ready', flush=True)
        yield np.full((64, 64, 3), 100, np.uint8), n / 25, (n + 1) / 25
def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Pipeline() as line:
        Output(sys.argv[2], signed=False).save(line.ahead(frames()), RATE, 9, ahead=line.ahead)
errors.command(main)
"""


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_end_every_stage(tmp_path, number, code):
    pytest.importorskip('av', reason='videos need the extra [video]')
    out = tmp_path / 'out.mp4'
    arguments = [sys.executable, '-c', CHILD, os.path.dirname(__file__), str(out)]
    child = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {'PYTHONPATH': os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert child.stdout is not None and child.stdout.readline() == 'ready\n'
    child.send_signal(number)
    _, said = child.communicate(timeout=60)
    assert child.returncode == code and 'Traceback' not in said
    assert not list(tmp_path.iterdir())


def test_silence_of_two_threads_ends(capfd):
    """Overlapping, they would leave standard error closed for good."""

    def silent():
        for _ in range(200):
            with runtime.quiet():
                os.write(2, b'noise')

    threads = [threading.Thread(target=silent) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b'heard')
    assert capfd.readouterr().err == 'heard'
