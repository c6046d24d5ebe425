"""What can go wrong with an output is said at once, in one line; drafts do not stay."""

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction

import films
import numpy as np
import pytest

from reenact_jax.common import errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.media import measuring, writing
from reenact_jax.reenact import flags
from reenact_jax.reenact.output import Output

FRAME = np.full((48, 64, 3), 90, np.uint8)


@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.webm', '.gif', '.webp'])
def test_all_formats_have_what_was_written(tmp_path, suffix):
    pytest.importorskip('av', reason='videos need the extra [video]')
    path = str(tmp_path / f'out{suffix}')
    frames = [(np.roll(films.picture(), 9 * n, 1), n / 25, (n + 1) / 25) for n in range(10)]
    Output(path, mark=False).save(frames, Fraction(25), 10)
    facts = measuring.measured(path)
    assert (facts['frames'], facts['rate'], facts['seconds']) == (10, '25', 0.4)
    assert facts['size'] == [128, 96] and writing.is_marked(path)
    assert [name.name for name in tmp_path.iterdir()] == [f'out{suffix}']


def test_another_rate_and_sound(tmp_path):
    pytest.importorskip('av', reason='videos need the extra [video]')
    tone = films.make(tmp_path / 'tone.mkv', films.Film('mkv'))
    for sound, heard in ((str(tone), 'flac'), ('none', None)):
        output = Output(str(tmp_path / 'out.mp4'), rate=Fraction(50), sound=sound)
        output.check()
        output.save([(FRAME, n / 25, (n + 1) / 25) for n in range(10)], Fraction(25), 10)
        facts = measuring.measured(output.path)
        assert (facts['frames'], facts['rate'], facts['sound']) == (20, '50', heard)
    with pytest.raises(UserError, match=r'--sound: .*out\.gif takes no sound'):
        Output(str(tmp_path / 'out.gif'), sound=str(tone)).check()


def test_outputs_are_tried_before_work_begins(tmp_path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'folder.mp4').mkdir()
    (tmp_path / 'there.mp4').write_text('old')
    for name, message in (
        (f'{"x" * 260}.mp4', 'File name too long'),
        ('file/out.mp4', 'Not a directory|File exists'),
        ('folder.mp4', 'Is a directory'),
    ):
        with pytest.raises(UserError, match=message) as refused:
            Output(str(tmp_path / name)).check()
        assert str(refused.value).startswith('--out ') and '\n' not in str(refused.value)
        with pytest.raises(UserError, match='--sheet'):
            sheet = str(tmp_path / name).replace('.mp4', '.png')
            (tmp_path / 'folder.png').mkdir(exist_ok=True)
            Output(str(tmp_path / 'free.mp4'), sheet=sheet).check()
    with pytest.raises(UserError, match=r'there\.mp4: is there already; --overwrite'):
        Output(str(tmp_path / 'there.mp4')).check(overwrite=False)
    Output(str(tmp_path / 'there.mp4')).check(overwrite=True)
    assert (tmp_path / 'there.mp4').read_text() == 'old'
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {'file', 'folder.mp4', 'folder.png', 'there.mp4'}


def test_a_full_disk_is_noticed(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(UserError, match=r'out\.mp4: cannot be written \(No space left'):
        Output(str(tmp_path / 'out.mp4')).check()
    assert not list(tmp_path.iterdir())


def test_long_names_can_be_drafted(tmp_path):
    name = tmp_path / f'{"x" * 240}.png'
    writing.write_still(name, FRAME, signed=False)
    assert [path.name for path in tmp_path.iterdir()] == [name.name]


def test_drafts_of_the_dead_are_swept(tmp_path):
    dead = subprocess.Popen([sys.executable, '-c', ''])
    dead.wait()
    names = {
        'old': f'.out.{dead.pid}.mp4',
        'signed': f'.out.{dead.pid}.signed.mp4',
        'partial': f'.out.mp4.{dead.pid}.partial',
        'live': f'.out.{os.getpid()}.mp4',
        'other': f'.other.{dead.pid}.mp4',
    }
    for name in names.values():
        (tmp_path / name).touch()
    storage.try_out(tmp_path / 'out.mp4')
    assert {path.name for path in tmp_path.iterdir()} == {names['live'], names['other']}


CHILD = """
import sys, time
from reenact_jax.common import errors, storage
def main():
    with storage.drafting(sys.argv[1]) as draft:
        draft.write_text('half')
        print('ready', flush=True)
        time.sleep(60)
sys.argv.append('x')
errors.command(main)
"""


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_leave_no_draft_and_no_traceback(tmp_path, number, code):
    # A shell's background jobs, and so their tests, ignore Ctrl-C: the child must not.
    heard = f'import signal; signal.signal({int(number)}, signal.default_int_handler)\n'
    heard = heard if number == signal.SIGINT else ''
    arguments = [sys.executable, '-c', heard + CHILD, str(tmp_path / 'out.mp4')]
    child = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {'PYTHONPATH': os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert child.stdout is not None and child.stdout.readline() == 'ready\n'
    time.sleep(0.1)
    child.send_signal(number)
    _, said = child.communicate(timeout=60)
    assert child.returncode == code and 'Traceback' not in said
    assert not list(tmp_path.iterdir())


def test_interrupted_commands_say_so(capsys, monkeypatch):
    def main(_):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        errors.command(main, ['x'])
    assert ended.value.code == 130 and capsys.readouterr().err == 'interrupted\n'


def test_rates_are_read_as_they_are_meant():
    assert flags.rate('29.97') == Fraction(30000, 1001) == flags.rate('30000/1001')
    assert flags.rate('23.976') == Fraction(24000, 1001)
    assert flags.rate('25') == 25 and flags.rate('12.5') == Fraction(25, 2)
    for wrong in ('fast', '0', '1000', '1/0'):
        with pytest.raises(UserError, match='--rate'):
            flags.rate(wrong)


def test_videos_that_no_player_takes_are_refused(tmp_path):
    pytest.importorskip('av', reason='videos need the extra [video]')
    large = np.zeros((6000, 8000, 3), np.uint8)
    with (
        pytest.raises(UserError, match=r'8000 x 6000 pixels.*--max-side'),
        writing.VideoWriter(tmp_path / 'a.mp4', Fraction(25)) as video,
    ):
        video.write(large)
    assert not list(tmp_path.iterdir())
