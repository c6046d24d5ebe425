"""The invisible mark: found after JPEG and H.264, not where there is none, not seen."""

import io
import json
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from skimage import data

from reenact_jax.media import provenance, watermark, writing

NAMES = ('astronaut', 'chelsea', 'coffee', 'rocket', 'immunohistochemistry')
PICTURES = [getattr(data, name)()[..., :3] for name in NAMES]
SIDE = 256


def views(count, seed=0, side=SIDE):
    """Random squares of photographs."""
    rng = np.random.default_rng(seed)
    for n in range(count):
        picture = PICTURES[n % len(PICTURES)]
        most = min(picture.shape[:2])
        size = int(rng.integers(most // 3, most + 1))
        y, x = (int(rng.integers(0, limit - size + 1)) for limit in picture.shape[:2])
        part = Image.fromarray(picture[y : y + size, x : x + size])
        if rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        yield np.asarray(part.resize((side, side), Image.Resampling.BILINEAR))


def jpeg(image, quality=75):
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'JPEG', quality=quality)
    return np.asarray(Image.open(file))


def test_no_false_alarm_in_1000_frames():
    scores = [watermark.score([image]) for image in views(1000)]
    assert max(scores) < 4.5 < watermark.FOUND
    assert np.std(scores) < 1.5  # they are in standard deviations of chance


def test_found_after_jpeg_and_not_seen():
    found, ratio = [], []
    for image in views(100, seed=1):
        marked = watermark.embed(image)
        error = np.square(marked.astype(float) - image).mean()
        ratio.append(10 * np.log10(255**2 / error))
        found.append(watermark.score([jpeg(marked)]) >= watermark.FOUND)
    assert np.mean(found) >= 0.95
    assert min(ratio) >= 40


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
    image = next(views(1))
    writing.write_still(tmp_path / 'both.jpg', watermark.embed(image), quality=90)
    writing.write_still(tmp_path / 'metadata.png', image)
    Image.fromarray(watermark.embed(image)).save(tmp_path / 'saved_again.jpg', quality=75)
    Image.fromarray(image).save(tmp_path / 'neither.jpg')
    names = ['both.jpg', 'metadata.png', 'saved_again.jpg', 'neither.jpg']
    assert provenance.main([str(tmp_path / name) for name in names]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [(line['metadata'], line['watermark']) for line in lines]
    assert found == [(True, True), (True, False), (False, True), (False, False)]
