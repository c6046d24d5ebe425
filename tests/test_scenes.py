"""A background that moves: which of its frames lies behind which frame of the result."""

from fractions import Fraction

import numpy as np
import pytest
from bundles import SIZE, drawing_model, landmark_model, random_face

from reenact_jax import bundle
from reenact_jax.export import command as export
from reenact_jax.media import writing
from reenact_jax.reenact import scenes
from reenact_jax.reenact.animation import Animation, Shots
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.portraits import Portrait

LEVELS = (40, 120, 200)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Three grey frames, ten a second."""
    path = tmp_path_factory.mktemp('scenes') / 'sea.mp4'
    with writing.VideoWriter(path, 10) as film:
        for level in LEVELS:
            film.write(np.full((64, 96, 3), level, np.uint8))
    return str(path)


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Draws lines on the mean colour of what lies behind."""
    target = tmp_path_factory.mktemp('scenes') / 'bundle'
    export.write(target, drawing_model(), landmark_model())
    return bundle.load(target, 'none')


@pytest.mark.parametrize(
    ('rate', 'shown'),
    [(10, [0, 1, 2, 2, 2]), (20, [0, 0, 1, 1, 2, 2, 2]), (5, [0, 2, 2]), (Fraction(30), [0] * 3)],
)
def test_the_frame_of_the_time_is_shown_and_the_last_one_stays(video, rate, shown):
    background = scenes.read(video, SIZE, Fraction(rate))
    for _ in range(2):  # every iteration begins anew
        frames = [next(frames) for frames in [iter(background)] for _ in shown]
        assert frames[0].shape == (SIZE, SIZE, 3)
        means = [frame.mean() for frame in frames]
        np.testing.assert_allclose(means, [LEVELS[n] for n in shown], atol=4)


def test_results_move_with_their_background(model, video):
    """One frame further with each frame of the result, whatever the batch and where it cuts."""
    face = random_face(0, 1)
    source = Portrait(face['image'][0], {'landmarks': face['landmarks'][0]})
    driving = [{'landmarks': one} for one in np.repeat(random_face(1, 1)['landmarks'], 4, 0)]
    background = scenes.read(video, SIZE, Fraction(10))
    for batch, shots in ((8, None), (3, None), (8, Shots([0, 1, 1, 1], {}))):
        options = Options(background=background, batch=batch)
        made = list(Animation(model, source, options).frames(driving, None, shots))
        assert [one.image.shape for one in made] == 4 * [(SIZE, SIZE, 3)]
        means = [float(one.image.mean()) for one in made]
        steps = np.diff(means)
        assert (steps[:2] > 20).all() and abs(steps[2]) < 4
