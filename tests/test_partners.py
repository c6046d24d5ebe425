"""Partners: who shows the same expression, by label or by action units, and the same pose."""

import dataclasses
import types

import fakes
import jax
import numpy as np
import pytest
from loading import assert_same, loader, records

from reenact_jax.common.errors import UserError
from reenact_jax.configs import aan, facegan, freenet, ldnet_fdgan, marionette, pix2pix
from reenact_jax.data import shards, tracks
from reenact_jax.data.batches import Reading, similar
from reenact_jax.systems import losses
from reenact_jax.train import config, summary


@pytest.fixture(scope='module')
def part(tmp_path_factory):
    """3 people, 4 tracks each of 4 frames: 12 records."""
    return fakes.fake_shards(tmp_path_factory.mktemp('set'), size=32)


def test_same_expression_partners_share_the_label(part):
    stream, bases = loader(part, neighbour='same_expression', batch_size=6), []
    for _ in range(8):
        batch = next(stream)
        assert (batch.identity[::2] != batch.identity[1::2]).all()
        # Every fake track has every label, so all K frames find their label.
        np.testing.assert_array_equal(batch.expression[::2], batch.expression[1::2])
        bases += records(part, batch)[::2].tolist()
    assert sorted(bases) == sorted(2 * list(range(12)))
    assert len(np.unique(batch.expression)) > 1


def test_a_label_that_one_person_has_alone_is_no_frame_0(tmp_path):
    def labelled(n):
        labels = np.array([7 + n % 2, 1, 1, -1])  # 7 and 8: of one person each
        return fakes.fake_track(
            n, identity=n % 2, size=16, expression=labels, aus_valid=np.zeros((4, 20), np.int64)
        )

    items = [labelled(n) for n in range(4)]
    lonely = fakes.fake_track(
        9, size=16, expression=np.full(4, 7), aus_valid=np.zeros((4, 20), np.int64)
    )
    shards.write(tmp_path, 'train', [*items, lonely])
    part = shards.ShardSet(tmp_path, 'train')
    stream, seen = loader(part, neighbour='same_expression'), []
    for _ in range(8):
        batch = next(stream)
        assert (batch.expression[:, 0] == 1).all()
        seen += records(part, batch)[::2].tolist()
    assert sorted(seen) == sorted(4 * [0, 1, 2, 3])  # the track without a match is never a base


def au_track(n: int, value: float):
    aus = np.full((2, 20), value, np.float32)
    aus[:, 17:] = n  # the pose is not part of the expression
    valid = np.ones((2, 20), np.int64)
    valid[:, :5] = n % 2  # unknown AUs do not count
    aus[:, :5] = np.where(valid[:, :5], 0.9, 0)
    return fakes.fake_track(
        n, identity=n, frames=2, size=16, expression=np.full(2, -1), aus=aus, aus_valid=valid
    )


def test_same_expression_without_labels_goes_by_action_units(tmp_path):
    values = (0.1, 0.13, 0.5, 0.53)
    shards.write(tmp_path, 'train', [au_track(n, v) for n, v in enumerate(values)])
    part = shards.ShardSet(tmp_path, 'train')
    stream = loader(part, neighbour='same_expression', reads=('identity', 'aus'))
    for _ in range(6):
        batch = next(stream)
        pairs = {tuple(sorted(pair)) for pair in batch.identity.reshape(-1, 2).tolist()}
        assert pairs <= {(0, 1), (2, 3)}
    tight = Reading(threads=1, au_bound=0.01)
    with pytest.raises(UserError, match='raise au_bound'):
        next(loader(part, neighbour='same_expression', reading=tight))


def units_set(frames: int, people: int, kinds: int = 0, lacking: int = 0):
    """A stand-in of a set: random AUs about `kinds` expressions (0: anything), some not known."""
    rng = np.random.default_rng(3)
    middle = rng.uniform(0, 1, (kinds or frames, 17))
    aus = middle[np.arange(frames) % len(middle)] + rng.normal(0, 0.02, (frames, 17))
    aus = np.concatenate([aus, np.zeros((frames, 3))], 1).astype(np.float16)
    valid = np.ones((frames, 20), bool)
    valid[rng.random(frames) < 0.5, :lacking] = False
    aus[~valid] = 0
    columns = types.SimpleNamespace(aus=aus, aus_valid=valid)
    return types.SimpleNamespace(columns=columns), rng.integers(0, people, frames)


@pytest.mark.parametrize('bound', [0.0, 0.02, 0.05, 0.2])
def test_all_similar_frames_of_a_small_set_are_found(bound, unchecked):
    part, person = units_set(3000, 10, kinds=100, lacking=4)
    frames = similar.SimilarFrames(part, person, bound)
    aus, valid = part.columns.aus, part.columns.aus_valid
    for frame in range(0, 3000, 100):
        away = similar.distance(aus[frame], valid[frame], aus, valid)
        expected = np.flatnonzero((away <= bound) & (person != person[frame]))
        found = list(frames.of(frame, np.random.default_rng(frame)))
        assert sorted(found) == expected.tolist()
        assert found == list(frames.of(frame, np.random.default_rng(frame)))
    assert len(expected) > 0 or bound == 0


def test_a_search_compares_no_more_frames_in_a_larger_set(monkeypatch, unchecked):
    compared = []
    distance = similar.distance
    monkeypatch.setattr(
        similar, 'distance', lambda *args: compared.append(len(args[2])) or distance(*args)
    )
    monkeypatch.setattr(similar, 'MOST', 5000)
    for frames in (20_000, 80_000):
        part, person = units_set(frames, 10)
        search = similar.SimilarFrames(part, person, 0.4)
        compared.clear()
        first = next(search.of(7, np.random.default_rng(0)))
        assert person[first] != person[7] and sum(compared) <= 2 * similar._CHUNK
        compared.clear()
        assert len(set(search.of(7, np.random.default_rng(0)))) > 100
        assert 4000 < sum(compared) <= 5000


def test_a_rare_expression_is_found_among_many(unchecked):
    """One other frame of 100,000 is like it: hardly any sample would have that."""
    part, person = units_set(100_000, 2, kinds=3)
    part.columns.aus[[17, 90_000], :17] = 0.97
    person[[17, 90_000]] = 0, 1
    search = similar.SimilarFrames(part, person, 0.02)
    for seed in range(5):
        assert list(search.of(17, np.random.default_rng(seed))) == [90_000]


def test_same_expression_without_labels_and_units_is_refused(tmp_path):
    part = fakes.fake_shards(
        tmp_path, size=16, expression=np.full(4, -1), aus_valid=np.zeros((4, 20), np.int64)
    )
    with pytest.raises(UserError, match='no expression label is shared by two people'):
        loader(part, neighbour='same_expression')


def test_same_pose_partners_share_both_labels(tmp_path):
    def labelled(n):  # frames 0 and 1 show expression 5 at two poses; 2 has a pose without it
        labels = {'expression': np.array([5, 5, -1, -1]), 'pose_id': np.array([1, 2, 3, -1])}
        return fakes.fake_track(n, identity=n % 2, size=16, **labels)

    shards.write(tmp_path, 'train', [labelled(n) for n in range(4)])
    reads = ('expression', 'pose_id', 'identity')
    stream = loader(shards.ShardSet(tmp_path, 'train'), neighbour='same_pose', reads=reads)
    poses = set()
    for _ in range(8):
        batch = next(stream)
        assert (batch.expression[:, 0] == 5).all()
        np.testing.assert_array_equal(batch.pose_id[::2, 0], batch.pose_id[1::2, 0])
        poses |= set(batch.pose_id[:, 0].tolist())
    assert poses == {1, 2}


def test_same_pose_without_labels_is_refused(tmp_path):
    part = fakes.fake_shards(tmp_path, size=16, pose_id=np.full(4, -1))
    with pytest.raises(UserError, match='--own-poses'):
        loader(part, neighbour='same_pose')


def test_where_no_loss_looks_at_partners_one_person_is_enough(part, tmp_path):
    """Every record is a base once an epoch; with more people nothing changes."""
    for count in (1, 5):
        alone = fakes.fake_shards(tmp_path / str(count), identities=1, tracks=count, size=16)
        stream = loader(alone, neighbour='unused', batch_size=2)
        rows = np.stack([records(alone, next(stream)) for _ in range(count)])
        assert sorted(rows[:, 0]) == list(range(count))
        assert set(rows[:, 1]) <= set(range(count))
    one, other = (loader(part, neighbour=rule) for rule in ('other_identity', 'unused'))
    for _ in range(4):
        assert_same(next(one), next(other))


@pytest.mark.parametrize('module, preset', [
    (aan, 'tiny'), (aan, 'printed'), (pix2pix, 'unet_tiny'), (pix2pix, 'hd_tiny'),
    (facegan, 'tiny'), (marionette, 'tiny'), (ldnet_fdgan, 'fdgan_tiny'),
    (ldnet_fdgan, 'tiny'), (freenet, 'tiny'),
])  # fmt: skip
def test_a_stage_that_says_so_looks_at_no_partner(module, preset, monkeypatch):
    values = module.get_config(preset).to_dict() | {'data': '-'}
    system, _, hp = config.resolve(values)
    hp = dataclasses.replace(hp, lambda_c=0.0) if preset == 'fdgan_tiny' else hp
    data = tracks.DataInfo(identities=4, examples=8)
    nets = system.networks(hp, data)
    frames = max(stage.frames for stage in system.stages(hp, data))
    example = summary.example(data, 64, frames)
    variables = jax.eval_shape(lambda key: system.init(hp, nets, key, example), jax.random.key(0))
    calls = []
    monkeypatch.setattr(losses, 'partner', lambda x: calls.append(1) or x)
    for stage in system.stages(hp, data):
        calls.clear()
        summary._record(stage, nets, variables, system.constants(hp, load=False), data, 64, {})
        assert bool(calls) == (stage.neighbour != 'unused'), stage.name
