"""Animated WebP: the frames, their times, the marks; nothing half-written."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, ImageSequence
from skimage import data

from reenact_jax.common.errors import UserError
from reenact_jax.media import loops, provenance, writing
from reenact_jax.reenact.output import Output

PICTURE = data.astronaut()[:240, 100:340]


def pictures(count):
    return [np.roll(PICTURE, 4 * i, 1) for i in range(count)]


def test_a_loop_has_its_frames_times_and_marks(tmp_path):
    path = tmp_path / 'sub' / 'loop.webp'
    rate = Fraction(30000, 1001)
    frames = [(one, float(n / rate), float((n + 1) / rate)) for n, one in enumerate(pictures(7))]
    Output(str(path), mark=False).save(frames, rate, 7)
    with Image.open(path) as loop:
        frames = [np.array(one.convert('RGB')) for one in ImageSequence.Iterator(loop)]
        times = []
        for i in range(7):
            loop.seek(i)
            loop.load()
            times.append(loop.info['duration'])
        assert loop.info['loop'] == 0
    assert sum(times) == round(1000 * 7 * 1001 / 30000) and set(times) == {33, 34}
    for made, expected in zip(frames, pictures(7), strict=True):
        assert np.abs(made.astype(int) - expected).mean() < 6
    assert writing.is_marked(path) and provenance.inspect(str(path)).metadata
    assert [one.name for one in path.parent.iterdir()] == ['loop.webp']


def test_what_goes_wrong_leaves_no_file(tmp_path):
    path = tmp_path / 'loop.webp'
    with pytest.raises(RuntimeError), loops.LoopWriter(path, Fraction(25)) as loop:
        loop.write(PICTURE)
        raise RuntimeError
    with pytest.raises(ValueError, match='no frames'), loops.LoopWriter(path, Fraction(25)):
        pass
    assert not list(tmp_path.iterdir())


def test_long_ones_are_refused_at_the_start(tmp_path):
    with pytest.raises(UserError, match=r'more than 500 frames .* name it \.mp4'):
        loops.LoopWriter(tmp_path / 'loop.webp', Fraction(25), promised=501)
