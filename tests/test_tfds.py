"""TensorFlow Datasets reads what our reader reads, field by field, with TensorFlow itself.

TensorFlow lives in an environment of its own: the interpreter that TFDS_PYTHON names, or else one
that the test makes in .cache/ (1.3 GB).
"""

import dataclasses
import os
import pathlib
import subprocess
import sys

import fakes
import numpy as np
import pytest
import simplejpeg

from reenact_jax.data import shards, tracks

HERE = pathlib.Path(__file__).parent
PACKAGES = ['tensorflow-cpu', 'tensorflow-datasets']


@pytest.fixture(scope='module')
def interpreter():
    """An interpreter with TensorFlow and TensorFlow Datasets."""
    if named := os.environ.get('TFDS_PYTHON'):
        return named
    folder = HERE.parent / '.cache' / 'tfds'
    python = str(folder / 'bin' / 'python')
    subprocess.run([sys.executable, '-m', 'venv', str(folder)], check=True)
    done = subprocess.run(
        [python, '-m', 'pip', 'install', '--quiet', *PACKAGES], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f'pip install {" ".join(PACKAGES)}: {done.stderr[-300:]}')
    return python


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_as_dataset_gives_the_fields_of_our_reader(interpreter, tmp_path):
    """Two shards, records of different lengths, one without times; every field is compared."""
    rng = np.random.default_rng(0)
    lengths = (3, 5, 1, 4)
    made = [
        fakes.fake_track(
            n, identity=n % 2, frames=frames, size=16, pair=n, role=n % 3,
            seconds=None if n == 2 else np.float32(rng.uniform(0, 9, frames)),
        )
        for n, frames in enumerate(lengths)
    ]  # fmt: skip
    shards.write(tmp_path / 'set', 'train', made, shards=2)
    script, out = str(HERE / 'tfds_reader.py'), tmp_path / 'read.npz'
    done = subprocess.run(
        [interpreter, script, str(tmp_path / 'set'), 'train', str(out)],
        capture_output=True, text=True, env=os.environ | {'CUDA_VISIBLE_DEVICES': ''},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    part = shards.ShardSet(tmp_path / 'set', 'train')
    with np.load(out) as read:
        theirs = dict(read)
    assert len(part) == len(lengths) and f'{len(lengths)}/size' not in theirs
    for number in range(len(part)):
        compare(part.track(number), {
            name.partition('/')[2]: value
            for name, value in theirs.items()
            if name.startswith(f'{number}/')
        })  # fmt: skip


def compare(track: tracks.Track, theirs: dict) -> None:
    """All fields of a record; nothing is left out on either side."""
    # `seconds` is in no features.json: TFDS has no field that only some records have.
    names = {field.name for field in dataclasses.fields(track)} - {'seconds'}
    assert {name.partition('/')[0] for name in theirs} == names | {'version', 'frames', 'pixels'}
    for name, field in tracks.FIELDS.items():
        ours = getattr(track, name)
        if field.kind in ('bytes', 'text'):
            ours = [ours.encode()] if field.kind == 'text' else list(ours)
            count = int(theirs[f'{name}/count'])
            assert [theirs[f'{name}/{i}'].tobytes() for i in range(count)] == ours, name
        else:
            np.testing.assert_array_equal(theirs[name], ours, err_msg=name)
    assert int(theirs['frames']) == track.frames
    pixels = np.stack([simplejpeg.decode_jpeg(jpeg) for jpeg in track.image]).astype(int)
    # The bytes are the same; TensorFlow decodes them with a quicker cosine transform.
    apart = np.abs(theirs['pixels'] - pixels)
    assert apart.mean() < 2 and apart.max() <= 8
