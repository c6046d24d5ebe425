"""Processes of a run end together, with the reason of the one that failed, or what differs."""

import socket
import subprocess

import fakes
import jax
import numpy as np
import pytest
from test_train import start

from reenact_jax.common.errors import UserError
from reenact_jax.train import agreement


def told(facts=None, host='b', **more):
    """What another process says."""
    return {'host': host, 'facts': facts or {}, **more}


@pytest.fixture
def two(monkeypatch):
    """Two processes, of which this one is the first or the second."""

    def join(other, last=False):
        monkeypatch.setattr(jax, 'process_count', lambda: 2)

        def exchange(mine):
            return [other, mine] if last else [mine, other]

        monkeypatch.setattr(agreement, '_exchange', exchange)

    return join


def test_alone_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(agreement, '_exchange', None)
    assert agreement.reach(lambda: 3, lambda _: {'a': 1}) == 3


def test_equal_facts_agree(two):
    two(told({'config': {'seed': 0, 'empty': {}}}))
    assert agreement.reach(lambda: 'job', lambda _: {'config': {'seed': 0, 'empty': {}}}) == 'job'


@pytest.mark.parametrize('last', [False, True])
def test_the_reason_of_another_is_given(two, last):
    two(told(failure='config.data: /data/x: no such set'), last)
    process = 0 if last else 1
    with pytest.raises(UserError, match=rf'process {process} of 2 \(b\) failed: .*/data/x: no'):
        agreement.reach(lambda: 'job')


def test_an_own_failure_is_told_and_raised(monkeypatch):
    heard = []
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    monkeypatch.setattr(agreement, '_exchange', lambda mine: heard.append(mine) or [mine, mine])

    def fail():
        raise MemoryError

    with pytest.raises(MemoryError):
        agreement.reach(fail)
    assert heard[0]['failure'] == 'MemoryError' and heard[0]['host'] == socket.gethostname()


@pytest.mark.parametrize(
    'mine,other,words',
    [
        ({'config': {'seed': 0}}, {'config': {'seed': 1}}, r'config\.seed: 0 and 1'),
        ({'data': {'digest': 'a' * 99}}, {'data': {'digest': 'b'}}, r"digest: 'a+\.\.\. and 'b'"),
        ({'code': {'jax': '0.10'}}, {}, r"code\.jax: '0\.10' and None"),
        ({'a': {str(i): i for i in range(9)}}, {'a': {}}, r'and 7 more'),
    ],
)
def test_differences_are_named(two, mine, other, words):
    two(told(other))
    with pytest.raises(UserError, match=rf'process 0 of 2 .* process 1 of 2 \(b\): .*{words}'):
        agreement.reach(lambda: None, lambda _: mine)


def test_code_is_known_by_its_files():
    found = agreement.code()
    assert found['jax'] == jax.__version__ and found['numpy'] == np.__version__
    assert len(found['reenact_jax']) == 16


def test_two_processes_with_other_seeds_end_before_the_first_step(tmp_path):
    data = tmp_path / 'set'
    fakes.fake_shards(data, identities=4, tracks=6)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    extra = ['--num_processes=2', f'--coordinator=127.0.0.1:{port}', '--config.batch_size=16']
    run = tmp_path / 'run'
    both = [start(data, run, *extra, f'--process_id={i}', f'--config.seed={i}') for i in range(2)]
    try:
        said = [process.communicate(timeout=200)[0].decode() for process in both]
    except subprocess.TimeoutExpired:
        for process in both:
            process.kill()
        raise
    assert [process.returncode for process in both] == [1, 1], said
    assert all('config.seed: 0 and 1' in text for text in said), said
    assert not run.exists(), 'refused before anything was written'
