"""A portrait moved by a camera: as a driver moves it, a frame at a time; doors on the page."""

import asyncio
from fractions import Fraction

import numpy as np
import pytest
import simplejpeg
from bundles import drawing_model, keypoint_model, random_face
from test_reenact import FakeDetector

from reenact_jax.app import camera
from reenact_jax.app.camera import Camera, Doors
from reenact_jax.app.checks import Refused
from reenact_jax.export import live as assembling
from reenact_jax.media import watermark
from reenact_jax.reenact import drivers
from reenact_jax.reenact import driving as drives
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.live import Live
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.portraits import Portrait


def portrait() -> Portrait:
    known = {name: value[0] for name, value in random_face(0, 1).items()}
    return Portrait(known.pop('image'), known)


def frame(level: int) -> np.ndarray:
    return np.full((64, 64, 3), level, np.uint8)


@pytest.mark.parametrize('model', [drawing_model, keypoint_model])
def test_frames_are_those_of_a_driver(model):
    made = model()
    bundle = assembling.assemble(made, made if model is keypoint_model else None)
    levels = (100, 160, 0, 220)
    animation = Animation(bundle, portrait(), Options(batch=4, smooth=False))
    live = Live(animation, FakeDetector())
    given = [live(frame(level), number / 25) for number, level in enumerate(levels)]
    spec = bundle.size, bundle.points, FakeDetector()
    pictures = np.stack([frame(level) for level in levels])
    driver = drivers.from_pictures(pictures, Fraction(25), *spec, seen=bundle.sees)
    read = drives.read(driver, animation.source, animation.options)
    expected = list(animation.frames(read.faces, read.start, read.shots))
    assert [one.found for one in given] == [True, True, False, True]
    for one, other in zip(given, expected, strict=True):
        assert np.abs(one.image.astype(int) - other.image).max() <= 1
    assert not np.array_equal(given[0].image, given[1].image)


def test_until_a_face_comes_the_portrait_is_shown():
    bundle = assembling.assemble(drawing_model(), None)
    live = Live(Animation(bundle, portrait()), FakeDetector())
    before = live(frame(0), 0.0)
    assert not before.found and np.ptp(before.image) > 50  # its own lines


def level(image, *_):
    """A stand-in for a portrait, which shows what it gets."""
    return image, True


def test_doors_are_opened_by_their_word_and_few_at_a_time():
    doors = Doors()
    jpeg = simplejpeg.encode_jpeg(frame(90))
    words = [doors.add(lambda: level) for _ in range(camera.MOST)]
    assert len(set(words)) == camera.MOST and min(map(len, words)) >= 20
    answer = doors.frame(words[0], jpeg)  # now the second is the one used longest ago
    made = simplejpeg.decode_jpeg(answer.jpeg)
    assert np.abs(made.astype(int) - 90).max() < 30 and answer.found
    doors.add(lambda: level)
    doors.frame(words[0], jpeg)
    for wrong in (words[1], '', 'word'):
        with pytest.raises(Refused, match='start the camera again'):
            doors.frame(wrong, jpeg)
    for bad, reason in ((b'', 'is a JPEG'), (jpeg[:40], 'is a JPEG'), (b'GIF89a', 'is a JPEG')):
        with pytest.raises(Refused, match=reason):
            doors.frame(words[0], bad)
    with pytest.raises(Refused, match='at most 1280 x 1280'):
        doors.frame(words[0], simplejpeg.encode_jpeg(np.zeros((8, 1288, 3), np.uint8)))


def test_results_are_marked():
    ramp = np.linspace(60, 190, 256, dtype=np.uint8)
    doors, picture = Doors(), np.repeat(np.broadcast_to(ramp, (256, 256))[..., None], 3, -1)
    word = doors.add(lambda: lambda *_: (picture, True))
    made = simplejpeg.decode_jpeg(doors.frame(word, simplejpeg.encode_jpeg(frame(90))).jpeg)
    assert watermark.score([made]) > watermark.FOUND > watermark.score([picture])


def ask(doors, path, body=b'', method='POST'):
    """Send a request; return status, headers and body, or None where the page gets it."""
    sent = []

    async def page(scope, receive, send):
        sent.append(None)

    async def receive():
        return {'type': 'http.request', 'body': body, 'more_body': False}

    async def send(message):
        sent.append(message)

    scope = {'type': 'http', 'path': path, 'method': method, 'headers': []}
    asyncio.run(Camera(page, doors)(scope, receive, send))
    return (
        None if sent == [None] else (sent[0]['status'], dict(sent[0]['headers']), sent[1]['body'])
    )


def test_a_request_is_a_frame_and_its_answer_the_portrait():
    doors = Doors()
    word = doors.add(lambda: level)
    status, headers, body = ask(doors, f'/live/{word}', simplejpeg.encode_jpeg(frame(90)))
    assert (status, headers[b'content-type'], headers[b'x-found']) == (200, b'image/jpeg', b'1')
    assert float(headers[b'x-seconds']) > 0 and headers[b'cache-control'] == b'no-store'
    assert simplejpeg.decode_jpeg(body).shape == (64, 64, 3)
    assert ask(doors, '/live/nobody')[0] == 404
    assert ask(doors, f'/live/{word}', b'no picture')[0] == 400
    assert ask(doors, f'/live/{word}', method='GET') is None and ask(doors, '/') is None
