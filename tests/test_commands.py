"""The command `reenact-jax`: every part of it answers, and refuses as all do."""

import importlib
import json
import re
import subprocess
import sys

import pytest

from reenact_jax import commands
from reenact_jax.common import command_line, data_flag, errors, shipped
from reenact_jax.common.errors import UserError
from reenact_jax.train import command as train

PARTS = [
    [name, *part]
    for name, one in commands.COMMANDS.items()
    for part in ([[]] if isinstance(one, commands.Command) else [[inner] for inner in one])
]


def found(words) -> commands.Command:
    one = commands.COMMANDS[words[0]]
    return one if isinstance(one, commands.Command) else one[words[1]]


@pytest.mark.parametrize('words', PARTS, ids=' '.join)
def test_every_command_shows_its_help_without_arguments(words, capsys):
    """Its own name in it, so that what it prints can be typed."""
    try:
        commands.main([*words, '--help'] if found(words).bare else words)
    except SystemExit as end:
        assert not end.code
    text = capsys.readouterr().out
    assert f'reenact-jax {" ".join(words)}' in text
    assert 'python -m' not in text and 'reenact_jax.export' not in text
    assert not re.search(r'^ +--\S+( \S+)?  +of ', text, re.M), 'a help text without its noun'


def test_the_overview_names_all():
    text = commands._overview()
    for words in PARTS:
        assert words[-1] in text
    grouped = [name for names in commands.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(commands.COMMANDS)


@pytest.mark.parametrize(
    'words, message',
    [
        (['trian'], 'reenact-jax trian: no such command; did you mean train'),
        (['prepare', 'vidoes'], 'reenact-jax prepare vidoes: no such command; did you mean videos'),
        (['xyz'], 'no such command; there are reenact, '),
        (['reenact', '--motion', 'sideways'], "'sideways' .* see reenact-jax reenact --help"),
        (['reenact', '--driving', 'talk', '--out', 'r.mp4'], 'required: --source'),
        (['train', '--config', 'aan:tiny', '--config.lr=1'], r'config.lr: unknown; did you mean '
         r'hparams.rate\?'),
        (['train', '--config=aan:tiny', '--config.hparams.lambda_gam=1'], 'hparams.lambda_gan'),
        (['train', '--config', 'aen:tiny'], r'--config: aen: no such file; did you mean aan\?'),
        (['train', '--config', 'nowhere/ann.py'], r'no such file; did you mean aan\?'),
        (['summary', '--config', 'qqq'], 'no such file; shipped are aan, '),
        (['sweep', 'aan_table9', '--workdir', 'x'], r'table: aan_table9: .* mean aan_table'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(words, message):
    with pytest.raises(UserError, match=message):
        commands.main(words)


@pytest.mark.parametrize('words', [['shards'], ['config'], ['export'], ['prepare', 'mix']])
def test_what_is_missing_is_said(words):
    with pytest.raises(UserError, match=r'required: |name one, or give --list'):
        importlib.import_module(found(words).module).main([])


@pytest.mark.parametrize(
    'words', [['inspect'], ['shards'], ['prepare', 'mix'], ['prepare', 'bases']]
)
def test_sets_are_named_by_data_or_without_a_name(words, monkeypatch):
    """--data in all that read sets; what scripts from before have gives the same options."""

    class Parsed(Exception):
        pass

    def stop(parser, arguments):
        raise Parsed(vars(data_flag_parse(parser, arguments)))

    data_flag_parse = data_flag.parse
    monkeypatch.setattr(data_flag, 'parse', stop)
    sets, seen = ['data/a', 'data/b'] if words[-1] == 'mix' else ['data/a'], []
    out = ['--out', 'x'] * (words != ['shards'])
    for given in ([*out, '--data', *sets], [*sets, *out], [*out, *sets]):
        with pytest.raises(Parsed) as found:
            commands.main([*words, *given])
        seen.append(found.value.args[0] | {'unnamed': None})
    assert seen[0] == seen[1] == seen[2]
    assert seen[0]['data'] == (sets if words[-1] == 'mix' else sets[0])
    with pytest.raises(UserError, match=r'data/c.*: unexpected beside --data'):
        commands.main([*words, 'data/c', *out, '--data', *sets])


def test_data_of_a_training_is_the_configs():
    def read(*more):
        return command_line.parse(train.define_flags, ['--config=aan:tiny', *more], ()).config.data

    assert read('--data', 'data/a') == read('--config.data=data/a') == 'data/a'
    assert read() in (None, '')
    with pytest.raises(UserError, match=r'--data data/b: --config.data is data/a; give one'):
        read('--data=data/b', '--config.data=data/a')


def test_the_program_ends_with_1_for_a_users_error(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['reenact-jax', 'trian'])
    with pytest.raises(SystemExit) as end:
        commands.entry()
    assert end.value.code == 1 and capsys.readouterr().err.startswith('error: reenact-jax trian')


def test_commands_in_modules_show_help_without_arguments(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['prog'])
    with pytest.raises(SystemExit) as end:
        errors.command(lambda arguments=None: print('seen', arguments))
    assert end.value.code == 0 and capsys.readouterr().out == "seen ['--help']\n"


def test_shipped_configs_are_found_by_name_and_shown(capsys):
    assert commands.main(['config', '--list']) == 0
    listed = capsys.readouterr().out
    assert all(f'{name}: ' in listed for name in shipped.names()) and 'tiny' in listed
    assert commands.main(['config', '--list', 'aan']) == 0
    assert 'Presets: paper, small' in capsys.readouterr().out
    assert commands.main(['config', 'aan:tiny']) == 0
    assert json.loads(capsys.readouterr().out)['hparams']['steps'] == 4
    with pytest.raises(UserError, match='no config file'):
        commands.main(['config', __file__])


def test_no_class_is_there_twice():
    """Configs and data_prep are parts of the package, whatever the folder a command starts in."""
    code = """
import collections, os, sys
from reenact_jax import commands
from reenact_jax.sweeps import command, data
from reenact_jax.data_prep import synthetic
for words in (['prepare', 'synthetic'], ['summary', '--config', 'aan:tiny']):
    try:
        commands.main(words)
    except SystemExit:
        pass
places = collections.defaultdict(list)
for module in list(sys.modules.values()):
    if not module.__name__.startswith(('reenact_jax', 'configs', 'data_prep', 'launch')):
        continue
    types = [one for one in vars(module).values() if isinstance(one, type)]
    if any(one.__module__ == module.__name__ for one in types):
        places[os.path.realpath(module.__file__)].append(module.__name__)
assert any('heads' in place for place in places) and any('sweeps' in place for place in places)
twice = {place: names for place, names in places.items() if len(names) > 1}
assert not twice, twice
"""
    subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.DEVNULL)
