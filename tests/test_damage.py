"""Batches from damaged sets: replaced, counted, named."""

import dataclasses
import pathlib
import shutil

import fakes
import numpy as np
import pytest
from absl import logging
from loading import assert_same, loader, records

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data.batches import Reading
from reenact_jax.data.batches.pieces import Pieces
from reenact_jax.data.shards.framing import HEADER


@pytest.fixture(scope='module')
def part(tmp_path_factory):
    """3 people, 4 tracks each of 4 frames: 12 records."""
    return fakes.fake_shards(tmp_path_factory.mktemp('set'), size=32)


def damage(directory, record: int) -> shards.ShardSet:
    """Flips a bit of every piece of a record; the set, opened again."""
    part = shards.ShardSet(directory, 'train')
    file = pathlib.Path(part.where(record).partition(',')[0])
    data = bytearray(file.read_bytes())
    begin = int(part.columns.offset[record]) + HEADER
    for at, length, _ in part.pieces(record).tolist():
        data[begin + at + length // 2] ^= 16
    file.write_bytes(data)
    return part


def test_a_damaged_record_is_replaced_counted_and_named(part, tmp_path, monkeypatch):
    broken = damage(shutil.copytree(part.directory, tmp_path / 'copy'), 5)
    log = []
    monkeypatch.setattr(logging, 'warning', lambda text, *values: log.append(text % values))
    stream, good = loader(broken, batch_size=6), loader(part, batch_size=6)
    for _ in range(8):
        batch, whole = next(stream), next(good)
        assert (batch.identity[::2] != batch.identity[1::2]).all()
        found, unbroken = records(part, batch), records(part, whole)
        touched = (unbroken == 5).reshape(-1, 2).any(1).repeat(2)
        assert 5 not in found
        np.testing.assert_array_equal(found[~touched], unbroken[~touched])  # the others stay
    assert stream.damaged == {5: broken.where(5)} and not good.damaged
    assert len(log) == 1 and '00000-of-00002, record 5' in log[0]
    resumed = loader(broken, batch_size=6)
    resumed.restore({**stream.state(), 'next_pair': 3})
    again = loader(broken, batch_size=6)
    next(again)
    for _ in range(6):
        assert_same(next(resumed), next(again))


def test_pieces_are_the_same_near_and_far(part, monkeypatch):
    opened = shards.ShardSet(part.directory, 'train')
    monkeypatch.setattr(opened, '_readers', OnlyPieces)
    near = Pieces(opened, tracks.PER_FRAME)
    for module in (storage, storage.paths):
        monkeypatch.setattr(module, 'is_local', lambda name: False)
    far = Pieces(shards.ShardSet(part.directory, 'train'), tracks.PER_FRAME)
    for record in (0, 7):
        track, frames = part.track(record), [3, 0, 3]
        for values in (near.read(record, frames), far.read(record, frames)):
            for name in tracks.PER_FRAME:
                expected = [getattr(track, name)[t] for t in frames]
                np.testing.assert_array_equal(values[name], expected, err_msg=name)


class OnlyPieces(storage.Reader):
    """A reader that gives single pieces only, not a record with its header and footer."""

    def read_several(self, offset, *lengths):
        raise AssertionError


def test_a_flipped_bit_that_reaches_a_batch_is_found(part, tmp_path):
    """What is asked for is checked, on every read; what is not is left to `verify`."""
    opened = shards.ShardSet(shutil.copytree(part.directory, tmp_path / 'copy'), 'train')
    file = pathlib.Path(opened.where(7).partition(',')[0])
    good, image = file.read_bytes(), opened.track(7).image
    pieces = Pieces(opened, ('image', 'landmarks_68'))
    pieces.read(7, [0])
    begin = int(opened.columns.offset[7])
    for at in (good.index(image[0], begin) + 99, good.index(b'landmarks_68\x12', begin) + 300):
        file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(shards.DamagedRecord, match='00001-of-00002, record 1: damaged, or'):
            pieces.read(7, [0])
    file.write_bytes(good[:begin])
    with pytest.raises(shards.DamagedRecord, match='record 1: damaged, or'):
        pieces.read(7, [0])
    at = good.index(image[1], begin) + 99
    file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    assert pieces.read(7, [0])['image'] == [image[0]]
    assert any('record 1: damaged' in line for line in shards.verify(opened.directory))


def test_a_budget_of_damage_summed_over_hosts(part, tmp_path):
    broken = damage(shutil.copytree(part.directory, tmp_path / 'copy'), 5)
    generous = Reading(threads=1, damage_budget=1.5 / 12)
    stream = loader(broken, reading=generous)
    stream.check_budget()
    while not stream.damaged:
        next(stream)
    stream.check_budget()
    stream.check_budget(total=1)
    with pytest.raises(UserError, match=r'2 damaged records.*record 5'):
        stream.check_budget(total=2)
    strict = loader(broken)
    while not strict.damaged:
        next(strict)
    with pytest.raises(UserError, match=r'budget is 0\.012'):
        strict.check_budget()


def test_a_wrong_picture_inside_a_good_record_is_damage(tmp_path):
    items = [fakes.fake_track(n, identity=n % 3, size=16) for n in range(6)]
    cut = items[2].image[0][:-40]
    items[2] = dataclasses.replace(items[2], image=(cut,) * 4)
    items[4] = dataclasses.replace(items[4], image=fakes.fake_track(4, size=24).image)
    items[5] = dataclasses.replace(items[5], segmentation=(b'not a png',) * 4)
    shards.write(tmp_path, 'train', items)
    stream = loader(shards.ShardSet(tmp_path, 'train'), reads=('image', 'segmentation'))
    for _ in range(6):
        next(stream)
    assert sorted(stream.damaged) == [2, 4, 5]
