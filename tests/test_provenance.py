"""The invisible mark: found after JPEG, H.264, scaling and a flip; not where none is; not seen."""

import json
import time
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from skimage import data

from reenact_jax.bench import marks
from reenact_jax.media import provenance, watermark, writing

PICTURES = [getattr(data, name)()[..., :3] for name in marks.NAMES]
SURVIVED = [name for name in marks.CHANGES if not name.startswith(('cropped', 'rotated'))]


def alarms(count, **more):
    scores = [watermark.score([image]) for image in marks.views(count, 256, 0, **more)]
    assert np.std(scores) < 1.5  # they are in standard deviations of chance
    return max(scores)


def test_no_false_alarm():
    assert alarms(300) < 4.5 < watermark.FOUND


@pytest.mark.long
def test_no_false_alarm_in_10000_frames():
    assert alarms(10_000) < watermark.FOUND


def changed(name, count, side):
    frames = marks.views(count, side, 1)
    return [watermark.score(marks.CHANGES[name](watermark.embed(image))) for image in frames]


@pytest.mark.parametrize('side', [256, 512])
@pytest.mark.parametrize('name', SURVIVED)
def test_found_after_each_change(name, side):
    scores = changed(name, 10, side)
    assert min(scores) > watermark.FOUND, scores


@pytest.mark.long
@pytest.mark.parametrize('side', [256, 512])
@pytest.mark.parametrize('name', SURVIVED)
def test_found_in_95_of_100_frames(name, side):
    assert sum(score >= watermark.FOUND for score in changed(name, 100, side)) >= 95


@pytest.mark.long
def test_embedding_costs_a_millisecond():
    frame, spent = next(marks.views(1, 512, 1)), []
    for _ in range(50):
        begin = time.perf_counter()
        watermark.embed(frame)
        spent.append(time.perf_counter() - begin)
    assert np.median(spent) < 0.0015


def test_not_seen():
    for side, least in ((128, 40), (256, 40), (512, 46), (1024, 47)):
        for image in marks.views(5, side, 1):
            error = np.square(watermark.embed(image).astype(float) - image).mean()
            assert 10 * np.log10(255**2 / error) >= least


def test_an_own_key_is_needed_for_its_mark(tmp_path, monkeypatch):
    image = next(marks.views(1, 256, 1))
    forged = watermark.embed(image)  # anybody can
    monkeypatch.setenv(watermark.KEY, 'a secret of this studio')
    mine = watermark.embed(image)
    assert watermark.look([mine]) > (watermark.FOUND, '') and watermark.look([mine]).key == 'own'
    assert watermark.look([forged]).key == 'default'
    Image.fromarray(mine).save(tmp_path / 'mine.png')
    assert provenance.inspect(str(tmp_path / 'mine.png')).key == 'own'
    monkeypatch.setenv(watermark.KEY, 'another guess')
    assert watermark.score([mine]) < watermark.FOUND < watermark.score([forged])
    monkeypatch.delenv(watermark.KEY)
    found = provenance.inspect(str(tmp_path / 'mine.png'))
    assert not found.watermark and found.key is None


def test_marks_of_the_first_kind_are_not_read():
    """Tiles of 256 pixels from the top left corner, of versions before 0.1.0: scaling lost them."""
    across, down = np.fft.rfftfreq(256)[None], np.fft.fftfreq(256)[:, None]
    frequency = np.hypot(across, down)
    noise = np.random.default_rng(20_240_517).standard_normal((65, 256, 256))[0]
    tile = np.fft.irfft2(np.fft.rfft2(noise) * ((frequency > 1 / 16) & (frequency < 1 / 6)))
    old = np.round(2.3 * tile / tile.std())[..., None]
    for image in marks.views(3, 256, 1):
        marked = np.uint8(np.clip(image + old, 0, 255))
        assert watermark.score([marked]) < watermark.FOUND


@pytest.mark.parametrize('side', [200, 480])
def test_found_in_videos_at_crf_23(tmp_path, side):
    """A slow pan over a photograph: the mark stands still while the picture moves."""
    pytest.importorskip('av')
    found = []
    for n, picture in enumerate(PICTURES):
        size = min(picture.shape[:2]) * 3 // 4
        path = tmp_path / f'{n}.mp4'
        with writing.VideoWriter(path, Fraction(25), crf=23) as video:
            for t in range(12):
                part = Image.fromarray(picture[2 * t : 2 * t + size, 2 * t : 2 * t + size])
                video.write(watermark.embed(np.asarray(part.resize((side, side)))))
        found.append(provenance.inspect(str(path)))
    assert all(one.watermark and one.metadata for one in found)


def test_pictures_of_odd_sides_and_other_sizes():
    for shape in ((333, 517), (256, 300), (700, 260)):
        image = np.asarray(Image.fromarray(PICTURES[0]).resize(shape))
        assert (
            watermark.score([watermark.embed(image)]) > watermark.FOUND > watermark.score([image])
        )
    assert watermark.score([]) == -np.inf
    assert watermark.score([np.full((64, 64, 3), 9, np.uint8)]) == 0


def test_command_tells_metadata_from_pixels(tmp_path, capsys):
    image = next(marks.views(1, 256, 0))
    writing.write_still(tmp_path / 'both.jpg', watermark.embed(image), quality=90)
    writing.write_still(tmp_path / 'metadata.png', image)
    Image.fromarray(watermark.embed(image)).save(tmp_path / 'saved_again.jpg', quality=75)
    Image.fromarray(image).save(tmp_path / 'neither.jpg')
    names = ['both.jpg', 'metadata.png', 'saved_again.jpg', 'neither.jpg']
    assert provenance.main([str(tmp_path / name) for name in names]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [(line['metadata'], line['watermark']) for line in lines]
    assert found == [(True, True), (True, False), (False, True), (False, False)]
