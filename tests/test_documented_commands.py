"""Every command in the documents is taken by its program, and is run or listed with a reason.

All are read by the real parsers, with configs and their fields. Those of `QUICK` and `CHAIN` are
run as they stand, where files of these names are small.
"""

import contextlib
import importlib
import itertools
import pathlib
import re
import shlex
import shutil
import sys
import tomllib

import fakes
import numpy as np
import pytest
from bundles import landmark_model, layered_model, units_model
from documented import ROOT, commands, run, shell, stand_ins
from PIL import Image

from reenact_jax import commands as programs
from reenact_jax import pretrained
from reenact_jax.bench import compile_check
from reenact_jax.common import command_line, data_flag, errors
from reenact_jax.data_prep import synthetic
from reenact_jax.export import command as export
from reenact_jax.media import writing
from reenact_jax.train import summary

COMMANDS = commands()
BUNDLE = 'reenact-jax reenact --model out/quickstart/bundle --source portrait.jpg'
SHIPPED = 'reenact-jax reenact --source portrait.jpg'
FACEGAN = 'reenact-jax reenact --model out/facegan_bundle --source portrait.jpg'
# Run in the usual tests, in this order, beside small sets and bundles.
QUICK = (
    'reenact-jax --help',
    'reenact-jax evaluate --help',
    'reenact-jax config --list',
    'reenact-jax inspect --data data/people --out sheet.png',
    'reenact-jax prepare points faces.csv --out data/faces',
    'reenact-jax prepare mix --data data/heads data/people --out data/mixed',
    'reenact-jax prepare bases --data data/people --out bases.npz',
    f'{BUNDLE} --driving clip.mp4 --out result.mp4 --sheet result.png',
    f'{BUNDLE} --edit mouth_open=0.8 --edit smile=0.5 --steps 6 --out strip.png',
    'reenact-jax reenact',
    f'{SHIPPED} --driving smile --out smile.mp4',
    f'{SHIPPED} --driving clip.mp4 --out result.mp4',
    f'{SHIPPED} --driving clip.mp4 --region mouth --strength 1.5 --out part.mp4',
    f'{SHIPPED} --edit mouth_open=0.8 --steps 6 --out strip.png',
    f'{SHIPPED} --au 12=0.8 --au 45=1 --out smile.png',
    f'{FACEGAN} --au 12=0.8 --au 45=+0.3 --pose-yaw 15 --out smile.png',
    f'{FACEGAN} --sweep 26 --steps 6 --out jaw.png',
    f'{FACEGAN} --driving clip.mp4 --save-motion motion.csv --au 45=0 --out wide_awake.mp4',
    f'{FACEGAN} --driving motion.csv --background beach.jpg --out at_the_beach.mp4',
)
# Run in the long tests, with presets `tiny` in place of `small`.
CHAIN = (
    'reenact-jax train --config ldnet_fdgan:small --data data/people --workdir out/ldnet',
    'reenact-jax train --config aan:small --data data/people --workdir out/aan',
    'reenact-jax export --generator out/aan --transfer out/ldnet --out out/bundle',
    'reenact-jax report --model out/bundle --data data/people --out out/report',
    'reenact-jax evaluate --model out/bundle --data data/people --pairs cross',
    'reenact-jax bench reenact --model out/bundle',
    'reenact-jax bench steps --config aan:small --data data/people --out bench.json',
    'python -m data_prep.heads.sheets people --out sheet.png',
)
# Beginning of a command, with its page or without -> why it is only read. A command with words in
# capitals is a form, and only read.
NOT_RUN = {
    'bash launch/': 'makes environments; CI runs test.sh and docs.sh; quickstart takes minutes',
    'docker': 'no daemon; never built',
    'kubectl': 'needs a cluster',
    'sbatch': 'needs a cluster; test_slurm.py',
    'xpk': 'needs a cluster',
    'pip install': 'changes the environment',
    'python3.11 -m venv': 'makes an environment',
    'python -m pytest': 'tests within a test; needs the extra onnx',
    'python -m launch.fault_drill': 'hours; test_drills.py runs each drill once',
    'python -m launch.data_speed': 'minutes; test_data_speed.py',
    'reenact-jax shards --data data/people --join-index': 'test_shards.py',
    'reenact-jax app': 'serves until it is ended; test_app.py',
    'reenact-jax prepare videos': 'needs footage; test_videos.py',
    'reenact-jax prepare stills': 'needs a dataset that is not free; test_stills.py makes names',
    'reenact-jax prepare points rafd.csv': 'needs a table that is not free; test_evaluate.py',
    'reenact-jax prepare openface': "needs footage and OpenFace's tables; test_openface.py",
    'reenact-jax prepare synthetic': 'minutes to an hour each; the long test makes smaller ones',
    'reenact-jax prepare bases --data data/points': 'the same is run on data/people',
    'reenact-jax summary': 'compiles large networks; test_summary.py',
    'adding_a_system.md: ': 'test_adding_a_system.py runs the page',
    'cookbook.md: ': 'test_cookbook.py runs the page',
    'training.md: reenact-jax train': 'days; each system is trained for some steps by its own test',
    'results.md: reenact-jax train': 'hours; each system is trained for some steps by its own test',
    'results.md: reenact-jax export': 'needs those trainings; CHAIN has the same command',
    'results.md: reenact-jax report': 'needs those trainings; CHAIN has the same command',
    'results.md: reenact-jax evaluate': 'needs those trainings; test_evaluate.py has all measures',
    'evaluation.md: reenact-jax evaluate': 'needs a model or results of others; test_others.py',
    'reenact-jax compare': 'needs runs; test_runs.py',
    'reenact-jax export --generator out/me': 'needs a clip; CHAIN has the same command',
    'reenact-jax sweep': 'hours; test_sweep.py runs tables at `:tiny`',
    'reenact-jax bench rounding': 'needs trainings; test_precision.py',
    'reenact-jax bench memory': 'ten minutes; test_bench.py',
    'reenact-jax compile-check': 'needs libtpu; test_compile_check.py',
    'reenact-jax import-weights': 'needs an official file; test_import_weights.py makes them',
    'reenact-jax onnx': 'needs the extra onnx; test_to_onnx.py',
    'reenact-jax reenact --model out/bundle --source astronaut.png': 'test_reenact.py does this',
    'reenact-jax reenact --model out/quickstart/bundle --driving clip.mp4': 'test_several.py',
    'reenact-jax reenact --model out/quickstart/bundle --source talk.mp4': 'test_films.py',
}
WRITES = ('--out', '--sheet', '--save-motion', '--workdir')
PICTURES = ('portrait.jpg', 'astronaut.png', 'beach.jpg', 'front.jpg', 'left.jpg', 'right.jpg')
CLIPS = ('clip.mp4', 'visit.mp4', 'talk.mp4')
EXTRAS = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['optional-dependencies']


def is_form(words) -> bool:
    """Whether the command has words to be replaced: in capitals, such as DIR, or left out (...)."""
    return any(re.fullmatch(r'[A-Z]{2}\w*(\[.*\])?|\.{3}|.*//BUCKET.*', word) for word in words)


def starts(command, start: str) -> bool:
    return f'{command.page}: {command.text}'.startswith(start) or command.text.startswith(start)


def reason(command) -> str | None:
    """Why a command is not run; None: nobody says."""
    return next((why for start, why in NOT_RUN.items() if starts(command, start)), None)


class Taken(Exception):
    """The command line was read to its end, and the work would begin."""


def stop(*_, **__):
    raise Taken


def stopping(function):
    """The function, after which nothing follows."""

    def stopped(*args, **keywords):
        function(*args, **keywords)
        raise Taken

    return stopped


def call(words) -> None:
    """Run the command in this process. Raises UserError for what it refuses."""
    if words[0] == 'reenact-jax':
        assert not programs.main(list(words[1:]))
    elif words[:2] == ('python', '-m') and not words[2].startswith('pytest'):
        module = words[2].replace('data_prep.', 'reenact_jax.data_prep.')
        assert not importlib.import_module(module).main(list(words[3:]))
    elif 'install' in words:
        assert set(re.findall(r'\[(.*)\]', ' '.join(words))) <= set(EXTRAS)
    else:
        files = [word for word in words if re.search(r'\w/\w.*\.(sh|py)$', word)]
        assert all((ROOT / file).is_file() for file in files)


def portrait():
    skimage = pytest.importorskip('skimage.data', reason='needs a portrait')
    return np.ascontiguousarray(skimage.astronaut()[:256, 96:352])


# Called when all of a command line was checked, before the work. Others end with their parser.
BEFORE_WORK = {
    (command_line, 'say_device'): ('train', 'reenact', 'export', 'evaluate', 'report', 'sweep',
                                   'app', 'bench', 'import-weights'),
    (summary, 'networks'): ('summary',),
    (compile_check, 'check'): ('compile-check',),
    (synthetic, 'write'): ('synthetic',),
    (data_flag, 'parse'): ('inspect', 'shards', 'mix', 'bases'),
}  # fmt: skip
LATE = {name for names in BEFORE_WORK.values() for name in names} | {'config'}


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Reads commands to their end in a folder that has what they name, and does no work."""
    for name in PICTURES:
        Image.new('RGB', (8, 8)).save(tmp_path / name)
    for name in CLIPS:  # what tells their kind
        (tmp_path / name).write_bytes(b'\0\0\0\x18ftypmp42\0\0\0\0mp42isom')
    (tmp_path / 'motion.csv').write_bytes(b'')
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    pages = [(ROOT / 'docs' / name).read_text() for name in ('adding_a_system.md', 'cookbook.md')]
    page = '\n'.join(pages)
    for name, code in re.findall(r'^`([\w/]+\.py)`\n\n```python\n(.*?)^```$', page, re.M | re.S):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('JAX_PLATFORMS', 'cpu')  # which compile-check sets
    for module, name in BEFORE_WORK:
        late = stopping(getattr(module, name)) if module is data_flag else stop
        monkeypatch.setattr(module, name, late)

    def read(words):
        if '--save-motion' in words:
            (tmp_path / 'motion.csv').unlink()
        if is_form(words) or not LATE & set(words[1:3]):
            parse = stopping(errors.Parser.parse_args)
            monkeypatch.setattr(errors.Parser, 'parse_args', parse)
        with contextlib.suppress(Taken):
            call(words)

    yield read
    for name in [name for name in sys.modules if name.partition('.')[0] == 'my_lab']:
        del sys.modules[name]


@pytest.mark.parametrize('command', COMMANDS, ids=lambda command: f'{command.page}: {command.text}')
def test_every_documented_command_is_taken(command, asked):
    with contextlib.suppress(SystemExit) if '--help' in command.words else contextlib.nullcontext():
        asked(command.words)


@pytest.mark.parametrize(
    'code',
    [
        'reenact-jax reenact --model b --source portrait.jpg --driven clip.mp4 --out x.mp4',
        'reenact-jax reenact --model b --source portrait.jpg --driving clip.mp4 --out x.mp5',
        'reenact-jax train --config aan:smal --data d --workdir w',
        'reenact-jax train --config aan:small --data d --workdir w --config.hparams.lambda=1',
        'reenact-jax train --config aan:small --data d --workdir w --config.batch_size=three',
        'reenact-jax prepare synthetic --out d --size 7',
        'reenact-jax prepare mix --out d',
        'reenact-jax sweep aan_table9:cpu --workdir w',
        'reenact-jax evaluate --model b --data d --pears self',
        'reenact-jax shards --data d --rebuild-indices',
        'python -m launch.fault_drill kill --kills many',
        'pip install -e .[onx]',
        'bash launch/quick.sh',
    ],
)
def test_a_wrong_command_is_refused(code, asked):
    with pytest.raises((errors.UserError, AssertionError)):
        asked(tuple(code.split()))


def test_every_documented_command_is_run_or_has_a_reason():
    for command in COMMANDS:
        listed = command.text in (*QUICK, *CHAIN) or is_form(command.words)
        assert listed or reason(command), (
            f'{command.page}: {command.text}: add it to QUICK or CHAIN, or say in NOT_RUN why not'
        )
    texts = {command.text for command in COMMANDS}
    assert not set((*QUICK, *CHAIN)) - texts, 'run here, but no longer in the documents'
    for start in NOT_RUN:
        assert any(starts(command, start) for command in COMMANDS), f'{start}: no longer documented'
    for file in re.findall(r'test_\w+\.py', ' '.join(NOT_RUN.values())):
        assert (ROOT / 'tests' / file).is_file()


def test_bash_reads_the_blocks(tmp_path):
    stand_ins(tmp_path)
    text = (
        'A page; `reenact-jax prepare videos` is a name, `reenact-jax shards --data DIR` is not.\n'
        '```\nsource .venv/bin/activate; A="--data x"\nfor row in a b; do\n'
        '    reenact-jax train $A \\\n        --workdir ${row}  # note\ndone\n```\n'
    )
    code = shell(text)
    found = [words for one in code for words in run(one, tmp_path, 'page')]
    train = ('reenact-jax', 'train', '--data', 'x', '--workdir')
    assert found == [(*train, 'a'), (*train, 'b'), ('reenact-jax', 'shards', '--data', 'DIR')]
    for wrong in (
        'reenact-jaxx train',
        'reenact-jax train $UNSET',
        'bash launch/quick.sh; nothing',
    ):
        with pytest.raises(AssertionError, match='bash refuses'):
            run(wrong, tmp_path, 'page')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with small files of the documents' names."""
    pytest.importorskip('mediapipe', reason='needs the face detector')
    folder = tmp_path_factory.mktemp('documented')
    for name in ('people', 'heads'):
        fakes.fake_shards(folder / 'data' / name, size=64)
    export.write(folder / 'out' / 'quickstart' / 'bundle', layered_model(), landmark_model())
    export.write(folder / 'out' / 'facegan_bundle', units_model(), units_model())
    shipped = layered_model(), landmark_model()
    export.write(folder / 'box' / 'portrait', *shipped, more=[units_model()])
    for name in ('motions', 'people'):
        shutil.copytree(pathlib.Path(pretrained.__file__).parent / name, folder / 'box' / name)
    for name in PICTURES:
        writing.write_still(folder / name, portrait())
    with writing.VideoWriter(folder / 'clip.mp4', 10) as video:
        for shift in (0, 3, 6):
            video.write(np.roll(portrait(), shift, 1))
    points = np.random.default_rng(0).uniform(9, 90, (8, 136)).round(2)
    names = ','.join(f'{axis}{number}' for number in range(68) for axis in 'xy')
    rows = [f'person{n % 4},' + ','.join(map(str, row)) for n, row in enumerate(points)]
    (folder / 'faces.csv').write_text('\n'.join([f'identity,{names}', *rows]) + '\n')
    return folder


def done(words, capsys) -> None:
    """Run a command as it stands, and look for what it writes and says."""
    for flag, value in itertools.pairwise(words):
        if flag in WRITES and pathlib.Path(value).is_file():  # of a command before
            pathlib.Path(value).unlink()
    with contextlib.suppress(SystemExit) if '--help' in words else contextlib.nullcontext():
        call(words)
    said = capsys.readouterr().out
    written = [value for flag, value in itertools.pairwise(words) if flag in WRITES]
    assert said or written
    for value in written:
        assert pathlib.Path(value).exists(), value


@pytest.mark.parametrize('text', QUICK, ids=str)
def test_quick_commands_run_as_they_stand(text, folder, monkeypatch, capsys):
    """In the place of the model of the package stands a small one."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(pretrained, '_BOX', folder / 'box')
    done(tuple(shlex.split(text)), capsys)


def smaller(text: str) -> tuple[str, ...]:
    """The words of a command with less to do."""
    for what, less in (
        (r':\w*small\b', ':tiny'), (r'--size \d+', '--size 64'), (r'--tracks \d+', '--tracks 2'),
        (r'--frames \d+', '--frames 4'), (r'--cross-pairs [1-9]\d*', '--cross-pairs 2'),
        (r'--((?:test-|val-)?identities) [1-9]\d*', r'--\1 4'),
    ):  # fmt: skip
        text = re.sub(what, less, text)
    if ' --config ' in text:
        text += ' --config.batch_size=8'  # pairs for each of the tests' four devices
    for start, flag in (
        ('report', '--most 2'), ('evaluate', '--most 2'), ('bench steps', '--seconds 0.2'),
    ):  # fmt: skip
        if text.startswith(f'reenact-jax {start} '):
            text += f' {flag}'
    return tuple(shlex.split(text))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_chain_runs_as_it_stands(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for name in ('people', 'heads'):
        shutil.rmtree(folder / 'data' / name)
        few = '--identities 4 --tracks 2 --frames 4 --size 64 --val-identities 0 --quiet'
        programs.main(f'prepare synthetic --out data/{name} {few}'.split())
    for text in CHAIN:
        done(smaller(text), capsys)


SETS = [one for one in COMMANDS if one.text.startswith('reenact-jax prepare synthetic')]


@pytest.mark.long
@pytest.mark.parametrize('command', SETS, ids=lambda command: command.text)
def test_sets_are_made_where_they_are_smaller(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done((*smaller(command.text), '--quiet', '--workers', '1'), capsys)
