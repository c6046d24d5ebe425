"""Paths of files and of buckets, without a network."""

import importlib.util

import pytest

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.train.checkpoints import places


@pytest.mark.parametrize(
    'name, package, extra', [('gs://bucket/run', 'gcsfs', 'gcs'), ('s3://bucket/run', 's3fs', 's3')]
)
def test_a_bucket_without_its_package_is_refused_by_name(name, package, extra, monkeypatch):
    found = importlib.util.find_spec
    lacking = lambda asked, *rest: None if asked == package else found(asked, *rest)  # noqa: E731
    monkeypatch.setattr(importlib.util, 'find_spec', lacking)
    for function in (storage.path, storage.absolute, storage.size, storage.read, storage.names):
        with pytest.raises(UserError, match=rf'{name}: .* needs {package}: .*\[{extra}\]'):
            function(name)


@pytest.mark.parametrize('name', ['gs://bucket/run', 's3://bucket/run'])
def test_a_bucket_is_no_folder_of_this_machine(name, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda *_: True)
    assert str(storage.absolute(name)) == name
    assert str(places._root(name)) == f'{name}/{places.FOLDER}'


def test_a_local_path_starts_at_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(storage.absolute('run')) == str(tmp_path / 'run')
    assert str(places._root('run')) == str(tmp_path / 'run' / places.FOLDER)
