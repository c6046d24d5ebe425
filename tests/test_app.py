"""The page: what is behind its sliders, and all of it in a real browser."""

import contextlib
import itertools
import os
import re
import shutil
import time

import films
import numpy as np
import pytest
from bundles import SIZE, drawing_model, keypoint_model, landmark_model, random_face, shifting_model
from PIL import Image

from reenact_jax import bundle, faces, pretrained
from reenact_jax.app import command, studio
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.export import live
from reenact_jax.faces.model import find_model
from reenact_jax.media import measuring, reading, writing
from reenact_jax.reenact import flags, motion
from reenact_jax.reenact.edits.landmark_edits import EDITS
from reenact_jax.reenact.portraits import Portrait

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser'))), None)
SECONDS = 60_000  # a page's patience, milliseconds


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp('page') / 'bundle'
    export.write(target, drawing_model(), shifting_model())
    return target


@pytest.fixture(scope='module')
def model(folder):
    return bundle.load(folder)


def source() -> Portrait:
    known = {name: value[0] for name, value in random_face(0, 1).items()}
    known['aus'][[8, 18]] = 0.2512, np.deg2rad(10.2)
    known['aus_valid'][0] = 0
    return Portrait(known.pop('image'), known)


def test_sliders_stand_where_the_portrait_is(model, tmp_path):
    values = dict(zip(studio.names(model), studio.own(model, source()), strict=True))
    assert values['AU12'] == 0.25 and values['AU01'] == 0 and values['yaw'] == 10
    assert set(EDITS) < set(values) and values['smile'] == 0
    landmarks = export.write(tmp_path / 'b', drawing_model(), landmark_model())
    assert landmarks['transfer']['system'] == 'ldnet'
    names = studio.names(bundle.load(tmp_path / 'b'))
    assert 'AU12' not in names and 'yaw' in names


def test_a_model_of_keypoints_has_no_sliders_and_draws(tmp_path):
    pytest.importorskip('gradio')
    from reenact_jax.app import camera, page

    model = live.assemble(keypoint_model(), keypoint_model())
    shown = studio.Studio(model, None, tmp_path, itertools.count())
    assert studio.names(model) == [] and page.build(shown, camera.Doors())
    file = studio.still(shown, source(), {}, whole=False)
    drawn = np.asarray(reading.read_still(file)) / 127.5 - 1
    own = source().image.mean((0, 1))  # of such a picture all pixels have the mean colour
    np.testing.assert_allclose(drawn.mean((0, 1)), own, atol=0.02)


def test_what_was_moved_is_changed_and_nothing_else(model):
    values = dict(zip(studio.names(model), studio.own(model, source()), strict=True))
    options = studio.options_of(model, source(), values)
    assert (options.units, options.edits) == ([], {})
    values |= {'AU45': 0.5, 'yaw': -20, 'smile': 0.3, 'AU05': None}
    options = studio.options_of(model, source(), values)
    assert options.edits == {'smile': 0.3}
    assert [(one.index, one.relative) for one in options.units] == [(16, False), (18, False)]
    assert options.units[1].value == pytest.approx(np.deg2rad(-20))


def test_a_head_that_is_turned_too_far_has_its_slider_at_the_end(model):
    far = source()
    far.known['aus'][19] = np.deg2rad(-51)
    values = dict(zip(studio.names(model), studio.own(model, far), strict=True))
    assert values['roll'] == -studio.ANGLE
    assert studio.options_of(model, far, values).units == []
    units = studio.options_of(model, far, values | {'AU12': 7}).units
    assert [(one.index, one.value) for one in units] == [(8, 1.0)]


def test_result_is_marked(model, tmp_path):
    made = studio.Studio(model, None, tmp_path, itertools.count())
    values = dict(zip(studio.names(model), studio.own(model, source()), strict=True))
    file = studio.still(made, source(), values)
    assert writing.is_marked(file)
    other = studio.still(made, source(), values | {'AU12': 1.0})
    before, after = reading.read_still(file), reading.read_still(other)
    assert np.abs(before.astype(int) - after).max() > 50


@pytest.fixture(scope='module')
def driven(model, tmp_path_factory):
    """A function that animates the portrait with the synthetic driver."""
    pytest.importorskip('mediapipe', reason='finding faces needs the extra [video]')
    with faces.Detector(find_model(None)) as detector:
        made = studio.Studio(model, detector, tmp_path_factory.mktemp('made'), itertools.count())
        _, driver = studio.examples()

        def drive(others=(), **film):
            return studio.clip(made, source(), driver, studio.Film(**film), others=others)

        yield drive


def test_the_page_has_the_rate_the_sound_and_the_driver_beside(driven, tmp_path):
    tone = films.make(tmp_path / 'tone.mkv', films.Film('mkv'))
    out, note = driven(rate='12.5', sound=str(tone), side_by_side=True)
    facts = measuring.measured(out)
    assert note.startswith('50 frames at 12.5 a second') and facts['rate'] == '25/2'
    assert facts['sound'] == 'flac' and facts['size'][0] > 2 * facts['size'][1]
    out, note = driven(rate=' ', sound=str(tone), silent=True)
    assert note.startswith('100 frames at 25 a second')
    assert measuring.measured(out)['sound'] is None


def test_wrong_wishes_are_named(driven, model, tmp_path):
    with pytest.raises(UserError, match='face 3 asked for, but 1 found'):
        driven(driving_face='number 3 from the left')
    with pytest.raises(UserError, match='--rate fast: frames a second'):
        driven(rate='fast')
    silent = films.make(tmp_path / 'silent.mp4', films.Film(sound=False))
    with pytest.raises(UserError, match='it has no sound'):
        driven(sound=str(silent))
    Image.new('RGB', (64, 64)).save(tmp_path / 'nobody.png')
    with pytest.raises(UserError, match=r'nobody\.png: no human face found'):
        driven(others=[str(tmp_path / 'nobody.png')])


def test_more_pictures_of_the_person_and_a_motion_of_the_package(model, tmp_path, monkeypatch):
    pytest.importorskip('mediapipe', reason='finding faces needs the extra [video]')
    people, _ = studio.examples()
    seen = []
    record = studio.recording.record

    def spy(animation, *args):
        seen.append(len(animation.others))
        return record(animation, *args)

    monkeypatch.setattr(studio.recording, 'record', spy)
    with faces.Detector(find_model(None)) as detector:
        made = studio.Studio(model, detector, tmp_path, itertools.count())
        film, talk = studio.Film(side_by_side=True), str(pretrained.motion('talk'))
        out, note = studio.clip(made, source(), talk, film, others=people[:2])
    assert seen == [2] and note.startswith('100 frames at 25 a second')
    assert measuring.measured(out)['size'] == [3 * SIZE, SIZE]


def test_jitter_is_filtered_as_the_command_does(model, tmp_path, monkeypatch):
    pytest.importorskip('gradio', reason='needs the extra [app]')
    from reenact_jax.app import page

    box, seen = page._options(by_landmarks=True)['smooth'], []
    record = studio.recording.record

    def spy(animation, *args):
        seen.append(animation.options.smooth)
        return record(animation, *args)

    monkeypatch.setattr(studio.recording, 'record', spy)
    made = studio.Studio(model, None, tmp_path, itertools.count())
    rest = motion.Motion(np.zeros((2, 20)), np.ones((2, 20), bool), 25, None, None, None)
    motion.write(str(tmp_path / 'rest.csv'), rest)
    for ticked in (box.value, False):
        studio.clip(made, source(), str(tmp_path / 'rest.csv'), smooth=ticked)
    typed = ['--model', 'm', '--source', 's', '--sweep', '12', '--out', 'o.mp4']
    monkeypatch.setattr(flags, '_check', lambda args: None)
    by_command = [flags.read('', [*typed, *more]).smooth for more in ([], ['--no-smooth'])]
    assert seen == by_command == [None, False]


def test_wrong_flags(monkeypatch):
    monkeypatch.delenv(command.AUTH, raising=False)
    with pytest.raises(UserError, match=r'--host 0\.0\.0\.0: others could reach the page; set REE'):
        command.main(['--model', 'b', '--host', '0.0.0.0'])
    with pytest.raises(UserError, match='--port 70000: a number from 0 to 65535'):
        command.main(['--model', 'b', '--port', '70000'])
    pytest.importorskip('gradio', reason='needs the extra [app]')
    with pytest.raises(UserError, match='nowhere: no bundle here'):
        command.main(['--model', 'nowhere'])


@pytest.mark.parametrize('text', ['ann', 'ann:', ':secret'])
def test_wrong_login(text):
    with pytest.raises(UserError, match='REENACT_APP_AUTH: expected USER:PASSWORD'):
        command.login(text)
    assert command.login('ann:a:b') == ('ann', 'a:b')


@pytest.fixture(scope='module')
def address(folder, tmp_path_factory):
    """A served page."""
    pytest.importorskip('gradio', reason='needs the extra [app]')
    kept = dict(os.environ)
    args = command.options(['--model', str(folder), '--port', '0'])
    with faces.Detector(find_model(None)) as detector:
        page, address = command.serve(args, tmp_path_factory.mktemp('served'), detector)
        yield address
        page.close()
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture
def browser():
    playwright = pytest.importorskip('playwright.sync_api', reason='needs playwright')
    if CHROMIUM is None:
        pytest.skip('needs Chromium')
    with playwright.sync_playwright() as running:
        flags = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
        flags += [f'--use-fake-{what}-for-media-stream' for what in ('ui', 'device')]
        yield running.chromium.launch(executable_path=CHROMIUM, args=flags)


def test_in_a_browser(address, browser, tmp_path):
    page, asked, errors = browser.new_page(), [], []
    page.set_default_timeout(SECONDS)
    page.on('request', lambda request: asked.append(request.url))
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.goto(address)
    upload = page.locator('#portrait input[type=file]')
    portraits, driver = studio.examples()
    upload.set_input_files(portraits[0])
    page.wait_for_selector('#result img')
    # What is no picture is said, and nobody is left from before.
    (tmp_path / 'bad.png').write_bytes(b'no picture at all')
    page.locator('#portrait input[type=file]').set_input_files(tmp_path / 'bad.png')
    page.get_by_text('bad.png: not a readable image').first.wait_for()
    assert 'served' not in page.locator('.toast-body').first.inner_text()
    page.wait_for_selector('#result img', state='detached')
    page.locator('#portrait input[type=file]').set_input_files(portraits[1])
    page.wait_for_selector('#result img')
    before = _shown(page)
    number = page.locator('#AU12 input[type=number]')
    number.fill('0.9')
    number.press('Enter')
    with contextlib.suppress(TimeoutError):
        _until(lambda: not np.array_equal(_shown(page), before))
    after = _shown(page)
    assert np.abs(after.astype(int) - before).max() > 50
    page.get_by_role('tab', name='Driver').click()
    page.locator('#driver input[type=file]').set_input_files(driver)
    page.wait_for_selector('#driver video')
    page.get_by_text('Face, rate and sound').click()
    page.locator('#rate textarea, #rate input').fill('25')
    page.get_by_label('Source and driver beside it').check()
    page.click('#animate')
    page.get_by_text('100 frames at 25 a second, marked as synthetic.').wait_for()
    page.wait_for_selector('#animation video')
    assert not errors
    assert all(url.startswith((address, 'data:', 'blob:')) for url in asked), asked


def test_a_camera_in_a_browser(address, browser):
    page, errors, asked = browser.new_page(), [], []
    page.set_default_timeout(SECONDS)
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.on('request', lambda request: asked.append(request.url))
    page.goto(address)
    page.get_by_role('tab', name='Camera').click()
    page.click('#live-start')
    page.get_by_text('choose a portrait first').first.wait_for()
    portraits, _ = studio.examples()
    page.get_by_role('tab', name='Sliders').click()
    page.locator('#portrait input[type=file]').set_input_files(portraits[0])
    page.wait_for_selector('#result img')
    page.get_by_role('tab', name='Camera').click()
    says = page.locator('#live-says')
    page.click('#live-start')
    # The fake camera shows a pattern: it is looked at, and the portrait stays.
    found = re.compile(r'^\d+\.\d frames a second; \d+ ms from .*, \d+ ms .* No face is seen\.$')
    _until(lambda: found.match(says.inner_text()))
    drawn = "document.querySelector('#live canvas').toDataURL().length"
    assert page.evaluate(drawn) > 5000
    page.click('#live-stop')
    page.get_by_text('The camera is off.').wait_for()
    page.wait_for_timeout(1000)
    before = sum('/live/' in url for url in asked)
    page.wait_for_timeout(500)
    assert 1 < before == sum('/live/' in url for url in asked) and not errors


def _shown(page) -> np.ndarray:
    """The picture that the page shows as its result, out of the file that it offers."""
    place = page.locator('#result img').get_attribute('src').partition('file=')[2]
    assert writing.is_marked(place)
    return reading.read_still(place)


def _until(done, seconds: float = SECONDS / 1000):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)
