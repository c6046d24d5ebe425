"""Placement of batches and parameters; the same step on one device, on four, and split by size."""

import functools
import math
from typing import NamedTuple

import jax
import numpy as np
import pytest
import toy
from test_step import assert_close, make

from reenact_jax.bench import collectives
from reenact_jax.common.errors import UserError
from reenact_jax.train import sharding
from reenact_jax.train.step import scan_steps, start, train_step


@pytest.fixture(scope='module')
def world():
    return make()


def run(world, devices, mode='replicated', shape='', steps=3):
    nets, (stage, _), constants, variables = world
    mesh = sharding.make_mesh(jax.devices()[:devices], mode, shape)
    state = sharding.born(
        functools.partial(start, stage), variables, mesh=mesh, mode=mode, large=64
    )
    gather = sharding.gathering(mesh, mode, large=64)
    step = train_step(stage, nets, devices=devices, gather=gather)
    compiled = sharding.compile_step(step, state, mesh, mode, large=64)
    constants = sharding.to_all(constants, mesh)
    for n in range(steps):
        state, metrics = compiled(state, constants, sharding.to_devices(toy.batch(n), mesh))
    return state, metrics


@pytest.fixture(scope='module')
def alone(world):
    return run(world, 1)


@pytest.mark.parametrize(
    ('mode', 'shape'), [('replicated', ''), ('fsdp', ''), ('fsdp', '2x2'), ('fsdp', '4x1')]
)
def test_four_devices_give_what_one_gives(world, alone, mode, shape):
    state, metrics = run(world, 4, mode, shape)
    assert_close(alone[0], state, 3e-5)
    assert_close(alone[1], metrics, 3e-5)


def test_split_parameters_are_gathered_and_nothing_else(world):
    nets, (stage, _), constants, variables = world
    mesh = sharding.make_mesh(mode='fsdp')
    state = jax.eval_shape(lambda: start(stage, variables))
    step = train_step(stage, nets, devices=4, gather=sharding.gathering(mesh, 'fsdp', large=64))
    compiled = sharding.compile_step(step, state, mesh, 'fsdp', large=64)
    sent = collectives.read(compiled.lower(state, constants, toy.batch(0)).compile().as_text())
    sizes = {leaf.size for leaf in jax.tree.leaves(state.variables)}
    assert {one.kind for one in sent} == {'all-gather', 'all-reduce'}
    assert {math.prod(one.shape) for one in sent if one.kind == 'all-gather'} <= sizes


def test_the_state_is_split_by_size_and_stays_so(world):
    state, _ = run(world, 4, 'fsdp', steps=1)
    kernel = state.variables['E']['params']['Dense_0']['kernel']  # [136, 16]
    assert kernel.sharding.spec == jax.P('fsdp', None)
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(34, 16)}
    second = state.opt['G'].inner_state[0].nu['E']['Dense_0']['kernel']
    assert second.sharding.spec == jax.P('fsdp', None)
    assert state.step.sharding.is_fully_replicated
    assert state.variables['G']['params']['Dense_0']['bias'].sharding.is_fully_replicated  # small


@pytest.mark.parametrize(
    'shape,spec',
    [
        ((8, 16), (None, 'fsdp')),
        ((16, 8), ('fsdp', None)),
        ((3, 3, 6, 8), (None, None, None, 'fsdp')),
        ((9, 15), ()),  # nothing divides by 4
        ((4,), ()),  # small
    ],
)
def test_the_largest_divisible_axis_is_split(shape, spec):
    mesh = sharding.make_mesh(mode='fsdp')
    got = sharding.of_tree(np.zeros(shape), mesh, 'fsdp', large=64)
    assert got.spec == jax.P(*spec)
    assert sharding.of_tree(np.zeros(shape), mesh).spec == jax.P()


class Device(NamedTuple):
    """A device of a slice, which need not be there."""

    id: int
    slice_index: int
    platform: str = 'tpu'


def test_fsdp_lies_within_a_slice():
    """Eight devices of two slices, named in turn: those of a slice follow one another."""
    devices = [Device(number, number % 2) for number in range(8)]
    for mode, shape, lengths in (
        ('replicated', '', (8, 1)),
        ('fsdp', '', (2, 4)),
        ('fsdp', '4x2', (4, 2)),
        ('fsdp', '8x1', (8, 1)),
    ):
        grid = sharding.grid(devices, mode, shape)
        assert grid.shape == lengths
        assert all(len({device.slice_index for device in row}) == 1 for row in grid)
        assert [device.id for device in grid.flat] == [0, 2, 4, 6, 1, 3, 5, 7]
    for mode, shape, message in (
        ('fsdp', '1x8', 'do not divide the 4 devices of a slice'),
        ('fsdp', '2x2', '2x2 is 4 devices; there are 8'),
        ('fsdp', '2', 'expected DATAxFSDP'),
        ('fsdp', '0x8', 'expected DATAxFSDP'),
        ('replicated', '2x4', 'only config.sharding=fsdp'),
    ):
        with pytest.raises(UserError, match=message):
            sharding.grid(devices, mode, shape)


def test_parameters_are_split_along_fsdp_alone(world):
    state, _ = run(world, 4, 'fsdp', '2x2', steps=1)
    kernel = state.variables['E']['params']['Dense_0']['kernel']  # [136, 16]
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(68, 16)}
    assert len({str(shard.index) for shard in kernel.addressable_shards}) == 2, 'two copies'
    mesh = sharding.make_mesh(mode='fsdp', shape='2x2')
    odd = sharding.of_tree(np.zeros((6, 15)), mesh, 'fsdp', large=64)  # 4 divides neither side
    assert odd.spec == jax.P('fsdp', None)


def test_rows_lie_in_order_and_partners_together():
    mesh = sharding.make_mesh()
    batch = sharding.to_devices(toy.batch(3, rows=16), mesh)
    for shard in batch.identity.addressable_shards:
        part = np.asarray(shard.data)
        assert len(part) == 4 and (part[::2] != part[1::2]).all()
    np.testing.assert_array_equal(batch.landmarks, toy.batch(3, rows=16).landmarks)
    stack = np.zeros((5, 16, 2), np.float32)
    assert sharding.to_devices(stack, mesh, stacked=True).sharding.spec == jax.P(
        None, ('data', 'fsdp')
    )


def test_accumulation_moves_no_rows_between_devices(world):
    nets, (stage, _), constants, variables = world
    mesh = sharding.make_mesh()

    def collectives(accumulate):
        step = train_step(stage, nets, accumulate=accumulate, devices=4)
        state = jax.eval_shape(lambda: start(stage, variables))
        compiled = sharding.compile_step(step, state, mesh)
        text = compiled.lower(state, constants, toy.batch(0, rows=16)).compile().as_text()
        return text.count('all-to-all('), text.count('collective-permute(')

    assert collectives(2) == collectives(1)


def test_scan_of_steps_over_devices(world, alone):
    nets, (stage, _), constants, variables = world
    mesh = sharding.make_mesh()
    state = sharding.born(functools.partial(start, stage), variables, mesh=mesh)
    steps = sharding.compile_step(
        scan_steps(train_step(stage, nets, devices=4)), state, mesh, stacked=True
    )
    stack = jax.tree.map(lambda *x: np.stack(x), *(toy.batch(n) for n in range(3)))
    state, metrics = steps(
        state, sharding.to_all(constants, mesh), sharding.to_devices(stack, mesh, stacked=True)
    )
    assert_close(alone[0], state, 3e-5)
    assert metrics['loss/G'].shape == (3,)
