"""Checkpoints: what is read is what was saved, or the fault is named and an older one is taken."""

import contextlib
import errno
import functools
import json
import os
import pathlib
import resource
import shutil

import jax
import numpy as np
import pytest
import toy
from test_step import changed, make

from reenact_jax.common.errors import UserError
from reenact_jax.train import disk, sharding
from reenact_jax.train.checkpoints import digests
from reenact_jax.train.checkpoints.store import Place, Store, load_networks
from reenact_jax.train.step import start, train_step

CONFIG = {'system': 'toy', 'seed': 3}


def position(place, finished=False):
    return {
        'stage': place.stage,
        'step': place.step,
        'finished': finished,
        'data': {'points': '68'},
    }


@pytest.fixture(scope='module')
def world():
    """Three states one step apart, on four devices, and the compiled step."""
    nets, (stage, _), constants, variables = make()
    mesh = sharding.make_mesh()
    state = sharding.born(functools.partial(start, stage), variables, mesh=mesh)
    step = sharding.compile_step(train_step(stage, nets, devices=4), state, mesh)
    constants = sharding.to_all(constants, mesh)
    return state, lambda state, n: step(state, constants, sharding.to_devices(toy.batch(n), mesh))[
        0
    ]


@pytest.fixture(scope='module')
def written(world, tmp_path_factory):
    """A workdir with checkpoints 1 and 2 of stage one, and copies of the states saved."""
    workdir = tmp_path_factory.mktemp('run')
    state, advance = jax.tree.map(lambda x: x, world[0]), world[1]
    state = jax.tree.map(lambda x: jax.device_put(np.asarray(x), x.sharding), state)
    store, saved = Store(workdir, keep=2), {}
    for n in (1, 2):
        state = advance(state, n)
        saved[n] = jax.tree.map(np.array, state)
        place = Place(0, 'one', n)
        store.save(place, state, position(place, finished=n == 2), CONFIG)
        for m in range(3):  # the state just saved is donated while it is being written
            state = advance(state, 100 + m)
    store.close()
    return workdir, saved


@pytest.fixture
def copy(written, tmp_path):
    workdir, saved = written
    shutil.copytree(workdir, tmp_path / 'run')
    return tmp_path / 'run', saved


def test_a_state_comes_back_bit_for_bit(world, written):
    workdir, saved = written
    store = Store(workdir)
    place = store.newest()
    assert place == Place(0, 'one', 2) == store.last
    restored = store.restore(place, world[0])
    assert not changed(saved[2], restored)
    kernel = restored.variables['G']['params']['Dense_0']['kernel']
    assert len(kernel.sharding.device_set) == 4
    assert store.position(place) == (position(place, finished=True), CONFIG)


def test_it_comes_back_on_other_devices(written):
    workdir, saved = written
    nets, (stage, _), _, variables = make()
    del nets
    one = sharding.make_mesh(jax.devices()[:1])
    like = sharding.born(functools.partial(start, stage), variables, mesh=one)
    restored = Store(workdir).restore(Place(0, 'one', 2), like)
    assert not changed(saved[2], restored)
    assert len(restored.step.sharding.device_set) == 1


def test_it_comes_back_on_another_mesh(written):
    workdir, saved = written
    _, (stage, _), _, variables = make()
    place = {'mesh': sharding.make_mesh(mode='fsdp', shape='2x2'), 'mode': 'fsdp', 'large': 64}
    like = sharding.born(functools.partial(start, stage), variables, **place)
    restored = Store(workdir).restore(Place(0, 'one', 2), like)
    assert not changed(saved[2], restored)
    kernel = restored.variables['E']['params']['Dense_0']['kernel']
    assert kernel.sharding.spec == jax.P('fsdp', None)


def test_networks_without_optimisers(written):
    workdir, saved = written
    config, variables, where = load_networks(workdir)
    assert config == CONFIG and where['step'] == 2 and where['data'] == {'points': '68'}
    assert sorted(variables) == ['C', 'D', 'E', 'G']
    expected = saved[2].variables | saved[2].ema
    assert not changed(expected, variables)
    assert not changed(saved[2].variables, load_networks(workdir, ema=False)[1])
    assert changed(saved[2].variables, variables), 'averages differ from the networks'
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(variables))


def test_handed_over_networks_are_the_averages(world, written):
    workdir, saved = written
    like = world[0].variables | {'new': {'params': {'w': world[0].step}}}
    handed = Store(workdir).networks(Place(0, 'one', 2), like)
    assert not changed(saved[2].variables | saved[2].ema, handed)


def files(folder):
    return sorted(item for item in folder.rglob('*') if item.is_file())


def test_every_flipped_bit_and_every_truncation_is_found(copy):
    folder = Place(0, 'one', 2).inside(copy[0])
    folder = pathlib.Path(folder)
    assert digests.fault(folder) is None
    rng = np.random.default_rng(0)
    everything = files(folder)
    assert len(everything) > 40
    tried = 0
    for number in range(120):
        file = everything[number % len(everything)]
        content = file.read_bytes()
        if not content:
            continue
        damaged = bytearray(content)
        at = int(rng.integers(len(content)))
        if number % 3:
            damaged[at] ^= 1 << int(rng.integers(8))
        else:
            damaged = damaged[:at]
        file.write_bytes(bytes(damaged))
        fault = digests.fault(folder)
        assert fault and fault != 'incomplete', f'{file} at {at}'
        assert file.name in fault
        file.write_bytes(content)
        tried += 1
    assert tried > 80 and digests.fault(folder) is None


@pytest.mark.parametrize('how', ['flip', 'truncate', 'missing', 'incomplete'])
def test_the_newest_valid_one_is_taken_and_the_fault_named(world, copy, how, caplog):
    workdir, saved = copy
    folder = pathlib.Path(Place(0, 'one', 2).inside(workdir))
    file = max(files(folder / 'opt'), key=lambda item: item.stat().st_size)
    content = file.read_bytes()
    if how == 'flip':
        file.write_bytes(content[:100] + bytes([content[100] ^ 4]) + content[101:])
    elif how == 'truncate':
        file.write_bytes(content[:-1])
    elif how == 'missing':
        file.unlink()
    else:
        (folder / digests.NAME).unlink()
    assert load_networks(workdir)[2]['step'] == 1
    store = Store(workdir)
    place = store.newest()
    assert place == Place(0, 'one', 1)
    assert 'one/000000002' in caplog.text
    assert ('incomplete' if how == 'incomplete' else file.name) in caplog.text
    assert not changed(saved[1], store.restore(place, world[0]))
    store.save(Place(0, 'one', 2), world[0], position(place), CONFIG)  # nothing is in its way
    store.close()
    assert Store(workdir).newest() == Place(0, 'one', 2)


def test_all_damaged_is_an_error_each_time(copy):
    for step in (1, 2):
        folder = pathlib.Path(Place(0, 'one', step).inside(copy[0]))
        (folder / '_CHECKPOINT_METADATA').write_text('{}')
    for _ in range(2):
        with pytest.raises(UserError, match=r'no valid checkpoint is left .*000000002: _CHECK'):
            Store(copy[0]).newest()
    with pytest.raises(UserError, match='no valid checkpoint'):
        load_networks(copy[0])


def test_interrupted_writes_are_swept_and_an_empty_folder_is_a_fresh_start(copy, tmp_path):
    stage = copy[0] / 'checkpoints' / '0-one'
    (stage / '000000003.orbax-checkpoint-tmp').mkdir()
    (stage / '.trash-000000001').mkdir()
    assert Store(copy[0]).newest() == Place(0, 'one', 2)
    assert sorted(item.name for item in stage.iterdir()) == ['000000001', '000000002']
    assert Store(tmp_path / 'new').newest() is None
    with pytest.raises(UserError, match=r'new: no valid checkpoint; train'):
        load_networks(tmp_path / 'new')


def test_the_finished_stage_is_loaded_and_the_oldest_forgotten(world, copy):
    workdir, _ = copy
    store = Store(workdir, keep=2)
    for step in (1, 2, 3):
        place = Place(1, 'two', step)
        store.save(place, world[0], position(place), CONFIG)
    store.close()
    assert load_networks(workdir)[2]['stage'] == 'one', 'stage two has not finished'
    assert store.newest() == Place(1, 'two', 3)
    names = {item.name for item in (workdir / 'checkpoints' / '1-two').iterdir()}
    assert names == {'000000002', '000000003'}
    assert len(list((workdir / 'checkpoints' / '0-one').iterdir())) == 2


def test_another_architecture_is_refused(written):
    nets, (stage, _), _, variables = make(width=8)
    del nets
    like = sharding.born(functools.partial(start, stage), variables, mesh=sharding.make_mesh())
    with pytest.raises(UserError, match='does not fit the networks'):
        Store(written[0]).restore(Place(0, 'one', 2), like)


def test_the_digest_carries_its_own(copy):
    file = pathlib.Path(Place(0, 'one', 2).inside(copy[0])) / digests.NAME
    digest, _, text = file.read_text().partition('\n')
    fewer = json.loads(text)
    fewer.popitem()
    file.write_text(digest + '\n' + json.dumps(fewer, indent=0, sort_keys=True))
    assert digests.fault(file.parent) == f'{digests.NAME} is damaged'


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')  # orbax's threads
def test_a_save_without_room_says_so_and_leaves_nothing(world, copy):
    """No file may be longer than 2,000 bytes: what a full disk is, without one."""
    workdir, _ = copy
    before = sorted(item.relative_to(workdir) for item in workdir.rglob('*'))
    store = Store(workdir)
    assert store.newest() == Place(0, 'one', 2)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        said = pytest.raises(
            UserError, match=r'run: no room left to write \(File too large\); .*again'
        )
        with said, disk.explained(workdir), contextlib.closing(store):
            place = Place(0, 'one', 3)
            store.save(place, world[0], position(place), CONFIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert sorted(item.relative_to(workdir) for item in workdir.rglob('*')) == before
    assert Store(workdir).newest() == Place(0, 'one', 2)


def test_a_save_over_a_whole_checkpoint_fails_and_leaves_it(world, copy):
    workdir, _ = copy
    store, place = Store(workdir), Place(0, 'one', 2)
    with pytest.raises(ValueError, match='already exists'), contextlib.closing(store):
        store.save(place, world[0], position(place), CONFIG)
    assert Store(workdir).newest() == place


def test_other_errors_are_not_called_a_full_disk(tmp_path):
    with pytest.raises(PermissionError), disk.explained(tmp_path):
        raise PermissionError(errno.EACCES, 'Permission denied')
    with pytest.raises(UserError, match='No space left'), disk.explained(tmp_path):
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise ValueError('of a background thread') from error


def test_a_run_whose_digests_are_all_gone_does_not_begin_again(copy):
    for step in (1, 2):
        (pathlib.Path(Place(0, 'one', step).inside(copy[0])) / digests.NAME).unlink()
    for _ in range(2):
        with pytest.raises(
            UserError, match=r'no valid checkpoint is left .*digests\.json is missing'
        ):
            Store(copy[0]).newest()
    shutil.rmtree(copy[0] / 'checkpoints' / '0-one')
    with pytest.raises(UserError, match='no valid checkpoint is left'):
        Store(copy[0]).newest()


def test_a_first_checkpoint_that_is_incomplete_is_a_fresh_start(copy):
    (copy[0] / 'checkpoints' / 'newest.json').unlink()
    shutil.rmtree(Place(0, 'one', 1).inside(copy[0]))
    (pathlib.Path(Place(0, 'one', 2).inside(copy[0])) / digests.NAME).unlink()
    assert Store(copy[0]).newest() is None
