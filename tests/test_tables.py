"""Tables from outside: what is wrong is refused with its line, whoever reads it."""

import dataclasses
import os

import fakes
import jax.numpy as jnp
import numpy as np
import pytest

from reenact_jax.common import tables
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data_prep import footage, points_csv
from reenact_jax.faces import openface
from reenact_jax.reenact import motion, painting
from reenact_jax.train import config, feed


def openface_table(changes=None, header=None):
    names = ['frame', 'confidence', 'success', *openface.ANGLES, *openface.INTENSITIES]
    values = {name: '0' for name in names} | {'frame': '1'} | (changes or {})
    return ','.join(header or names) + '\n' + ','.join(values[name] for name in names) + '\n'


def points_table(changes=None):
    names = ['identity', *(f'{axis}{i}' for i in range(68) for axis in 'xy'), 'pose_id']
    values = {name: str(n + 1) for n, name in enumerate(names)} | {'pose_id': '0'} | (changes or {})
    return ','.join(names) + '\n' + ','.join(values[name] for name in names) + '\n'


READERS = {
    'motion': (motion.read, 'timestamp,AU01\n0,0.5\n0.04,0.5\n'),
    'openface': (openface.read, openface_table()),
    'points': (lambda path: points_csv.read(str(path), 'ibug68'), points_table()),
    'labels': (footage._read_table, 'file,identity\na.mp4,Zoë\n'),
}


@pytest.fixture(params=READERS)
def reader(request, tmp_path):
    read, text = READERS[request.param]
    return read, text, tmp_path / 'table.csv'


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_encodings_of_spreadsheets_are_read(reader, encoding):
    read, text, path = reader
    path.write_bytes(text.replace('\n', '\r\n').encode(encoding))
    read(path)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda text: text.encode() + b'\xe9\xff,1\n', r'line \d+: not UTF-8'),
        (lambda text: text.encode('utf-16') + b'\x00', 'not UTF-16'),
        (lambda text: text.encode() + b'\0,1\n', 'zero bytes'),
        (lambda text: text.encode() + b'"' + b'1' * 200_000 + b'",1\n', 'field larger than'),
        (lambda text: (text.split(',')[0] + ',' + text).encode(), 'twice'),
        (lambda text: b'', 'column|no motion'),
    ],
)  # fmt: skip
def test_damage_is_named(reader, change, message):
    read, text, path = reader
    path.write_bytes(change(text))
    with pytest.raises(UserError, match=rf'table\.csv.*({message})'):
        read(path)


def test_pipes_devices_and_sizes(reader):
    read, _, path = reader
    os.mkfifo(path)
    with pytest.raises(UserError, match='a pipe or a device'):
        read(path)
    path.unlink()
    path.symlink_to('/dev/zero')
    with pytest.raises(UserError, match='a pipe or a device'):
        read(path)
    path.unlink()
    with path.open('wb') as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match='more than'):
        read(path)


@pytest.mark.parametrize('value', ['nan', 'inf', '-inf', '1e39', '1e400', 'x', '0x10'])
def test_numbers_that_are_not_finite(tmp_path, value):
    path = tmp_path / 'table.csv'
    for read, text in (
        (motion.read, f'timestamp,AU01\n0,{value}\n'),
        (openface.read, openface_table({'AU01_r': value})),
        (openface.read, openface_table({'frame': value})),
        (READERS['points'][0], points_table({'x3': value})),
        (READERS['points'][0], points_table({'pose_id': value})),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=r'table\.csv, (line|row)'):
            read(path)


def test_a_file_that_two_rows_name(tmp_path):
    path = tmp_path / 'labels.csv'
    path.write_text('file,identity\na.mp4,1\na.mp4,2\n')
    with pytest.raises(UserError, match=r"line 3: 'a\.mp4' stands twice"):
        footage._read_table(path)


@pytest.mark.parametrize('identity', [-1, tracks.MOST_IDENTITIES, 2**40])
def test_identities_are_bounded(identity):
    track = dataclasses.replace(fakes.fake_track(size=16), identity=identity)
    with pytest.raises(UserError, match='people are numbered from 0'):
        tracks.encode(track)


def test_gaps_between_identities_are_bounded(tmp_path):
    for folder, numbers in (('near', (3, 900)), ('far', (0, 1_000_000))):
        people = [fakes.fake_track(n, identity=one, size=16) for n, one in enumerate(numbers)]
        shards.write(tmp_path / folder, 'train', people)
    run = config.Run(data=str(tmp_path / 'near'))
    assert feed.open_data(run)[1].identities == 901
    run = config.Run(data=str(tmp_path / 'far'))
    with pytest.raises(UserError, match=r'2 people are numbered from 0 to 1,000,000'):
        feed.open_data(run)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_result_that_is_not_finite_is_refused(value):
    finite = painting._Finite()
    finite.take({'image': jnp.ones((2, 4)), 'more': (jnp.ones(3),)})
    finite.check()
    finite.take({'image': jnp.ones((2, 4)), 'more': (jnp.ones(3).at[1].set(value),)})
    with pytest.raises(UserError, match='not finite'):
        finite.check()
    finite.check()


def test_empty_cells_are_unknown():
    assert np.isnan(tables.number('', 'here')) and np.isnan(tables.number(None, 'here'))
    assert tables.number(' 2.5 ', 'here') == 2.5
