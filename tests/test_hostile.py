"""Files made to harm: each is refused with a message, in seconds, in little memory."""

import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from bundles import drawing_model

from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.media import reading, writing

av = pytest.importorskip('av')
ROOT = pathlib.Path(__file__).parent.parent


def chunk(kind, body):
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def png(width, height, path):
    """A header that promises any size; a few bytes of zeros for its pixels."""
    head = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
    data = chunk(b'IDAT', zlib.compress(bytes(1_000_000)))
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + head + data + chunk(b'IEND', b''))


@pytest.fixture(scope='module')
def corpus(tmp_path_factory):
    """Path -> what the message has to say."""
    folder = tmp_path_factory.mktemp('hostile')
    clip = folder / 'clip.mp4'
    with writing.VideoWriter(clip, 25) as video:
        for n in range(30):
            video.write(np.full((64, 64, 3), n * 8, np.uint8))
    whole = clip.read_bytes()
    clip.unlink()
    found = {}

    def add(name, content, message):
        path = folder / name
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
        found[path] = message

    add('bomb.png', lambda path: png(60_000, 60_000, path), 'too large|more than 80,000,000')
    add('wide.png', lambda path: png(2_000_000_000, 1, path), 'too large|more than 80,000,000')
    add('short.png', lambda path: png(800, 800, path), 'broken or truncated')
    add('no_index.mp4', whole[:300], 'not a readable video')
    add('empty.mp4', b'', 'not a readable video')
    add('playlist.mp4', b'#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n', 'its content is none of')
    add('list.mkv', b'ffconcat version 1.0\nfile /etc/passwd\n', 'its content is none of')
    add('script.png', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'not a readable image')
    add('endless.mp4', lengthened(whole), r'hours by its header, more than 4')
    add('huge.avi', enlarged, 'more than 80,000,000')
    return found


def lengthened(whole):
    """Every frame made to last an hour and a half."""
    at = whole.index(b'stts') + 4 + 12
    return whole[:at] + struct.pack('>I', 2**26) + whole[at + 4 :]


def enlarged(path):
    """Raw frames whose header says 10,000 x 10,000."""
    with av.open(str(path), 'w') as file:
        stream = file.add_stream('rawvideo', rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, 'bgr24'
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), 'bgr24')
        file.mux([*stream.encode(picture), *stream.encode(None)])
    whole = path.read_bytes()
    at = whole.index(b'strf') + 8 + 4
    path.write_bytes(whole[:at] + struct.pack('<ii', 10_000, 10_000) + whole[at + 8 :])


CHILD = """
import json, re, sys, time
from reenact_jax.media import reading as media
from reenact_jax.common.errors import UserError
media.pyav()
found = {}
for path in sys.argv[1:]:
    begin = time.monotonic()
    try:
        for frame in media.Reader(path): pass
        said = None
    except UserError as error:
        said = str(error)
    peak = int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 2**20
    found[path] = [said, time.monotonic() - begin, peak]
print(json.dumps(found))
"""


def test_media_are_refused_quickly_and_cheaply(corpus):
    paths = [str(path) for path in corpus]
    run = subprocess.run(
        [sys.executable, '-c', CHILD, *paths], capture_output=True, text=True, cwd=ROOT,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    for path, message in corpus.items():
        said, seconds, gigabytes = found[str(path)]
        assert said is not None, path.name
        with pytest.raises(UserError, match=message):
            raise UserError(said)
        assert path.name in said and seconds < 5 and gigabytes < 1, path.name


@pytest.fixture
def folder(tmp_path):
    export.write(tmp_path / 'bundle', drawing_model(), None)
    return tmp_path / 'bundle'


def changed(folder, change):
    card = json.loads((folder / bundle.CARD).read_text())
    change(card)
    (folder / bundle.CARD).write_text(json.dumps(card))


@pytest.mark.parametrize('name', ['../secret', '/etc/passwd', 'a/../../secret', '..\\secret', '..'])
def test_bundles_cannot_reach_outside(folder, name):
    (folder.parent / 'secret').write_bytes(b'x')
    changed(folder, lambda card: card['files'].update({name: hashlib.sha256(b'x').hexdigest()}))
    with pytest.raises(UserError, match='names a file outside the bundle'):
        bundle.load(folder)


def replaced(folder, name, content):
    (folder / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    changed(folder, lambda card: card['files'].update({name: digest}))


def test_bundles_with_harmful_content(folder):
    weights = (folder / 'generator.safetensors').read_bytes()
    replaced(folder, 'generator.safetensors', struct.pack('<Q', 2**60) + weights[8:])
    with pytest.raises(UserError, match='a damaged bundle'):
        bundle.load(folder)
    replaced(folder, 'generator.safetensors', weights)
    replaced(folder, 'render.jaxexport', b'not a program')
    with pytest.raises(UserError, match=r'render\.jaxexport: not a readable program'):
        bundle.load(folder)


@pytest.mark.parametrize(
    'content', [b'[' * 100_000, b'{"format": 1}' + b' ' * bundle.MAX_CARD, b'\xff\xfe', b'[]']
)
def test_cards_that_are_none(folder, content):
    (folder / bundle.CARD).write_bytes(content)
    with pytest.raises(UserError, match=r'not a model card|more than 16,000,000 bytes'):
        bundle.load(folder)


def test_a_card_with_parts_missing(folder):
    changed(folder, lambda card: card.pop('functions'))
    with pytest.raises(UserError, match=r'not a model card .*functions'):
        bundle.load(folder)


def test_what_is_allowed_still_opens(tmp_path):
    path = tmp_path / 'clip.mp4'
    with writing.VideoWriter(path, 25) as video:
        video.write(np.zeros((64, 64, 3), np.uint8))
    assert len(list(reading.Reader(path))) == 1
    for suffix in ('.mov', '.mkv', '.avi', '.webm'):
        with av.open(str(tmp_path / f'clip{suffix}'), 'w') as file:
            stream = file.add_stream('libvpx' if suffix == '.webm' else 'mpeg4', rate=25)
            stream.width = stream.height = 64
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), 'rgb24')
            file.mux([*stream.encode(picture), *stream.encode(None)])
        assert len(list(reading.Reader(tmp_path / f'clip{suffix}'))) == 1
