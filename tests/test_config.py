"""Settings of a run: every wrong one is refused by its name, before anything heavy starts."""

import dataclasses
import subprocess
import sys
import time

import pytest
import toy
import toy_config

from reenact_jax import systems
from reenact_jax.common import command_line
from reenact_jax.common.errors import UserError
from reenact_jax.train import command as train
from reenact_jax.train import config, workdirs

FILE = str(toy_config.__file__)


def parse(*arguments):
    """What the command makes of its arguments, up to the checked values."""
    given = [f'--config={FILE}', '--workdir=/tmp/none', '--config.data=D', *arguments]
    values = command_line.parse(train.define_flags, given, ('config', 'workdir'))
    return config.to_json(values.config)


def test_every_field_is_there_and_can_be_set():
    values = parse(
        '--config.batch_size=12', '--config.seed=7', "--config.stages=('one',)", '--config.size=64',
        '--config.hparams.rate=1', '--config.flip=true', '--config.compilation_cache=/c',
    )  # fmt: skip
    assert values['batch_size'] == 12 and values['seed'] == 7 and values['stages'] == ['one']
    assert values['hparams']['rate'] == 1.0 and values['flip'] is True and values['size'] == 64
    assert values['compilation_cache'] == '/c'
    assert set(values) == {f.name for f in dataclasses.fields(config.Run)} | {'system', 'hparams'}
    assert set(values['hparams']) == {f.name for f in dataclasses.fields(toy.Hparams)}
    system, run, hparams = config.resolve(values)
    assert system is toy and run.stages == ('one',) and hparams == toy.Hparams(rate=1.0)
    assert parse()['batch_size'] is None


@pytest.mark.parametrize(
    'argument,words',
    [
        ('--config.bach_size=8', r'config\.bach_size: unknown; did you mean batch_size'),
        ('--config.hparams.wdth=8', r'config\.hparams\.wdth: unknown; did you mean hparams.width'),
        ('--config.batch_size=7', r'config\.batch_size: 7 is odd'),
        ('--config.batch_size=0', r'config\.batch_size: 0 is below'),
        ('--config.batch_size=many', r'config\.batch_size=many: expected a whole number'),
        ('--config.batch_size=8.5', r'config\.batch_size=8\.5: expected a whole number'),
        ('--config.hparams.rate=fast', r'config\.hparams\.rate=fast: expected a number'),
        ('--config.flip=maybe', r'config\.flip=maybe: expected true or false'),
        ('--config.ema_decay=nan', r'config\.ema_decay: expected a finite number'),
        ('--config.ema_decay=1.5', r'config\.ema_decay: 1\.5 is above'),
        ('--config.hparams.rate=inf', r'config\.hparams\.rate: expected a finite number'),
        ('--config.hparams.rate=-1', r'config\.hparams\.rate: -1\.0 is below'),
        ('--config.dtype=float16', r"config\.dtype: 'float16' is not one of"),
        ('--config.points=69', r"config\.points: '69' is not one of"),
        ('--config.seed=-1', r'config\.seed: -1 is below'),
        ('--config.keep=0', r'config\.keep: 0 is below'),
        ('--config.data=', r'config\.data: not set'),
        ("--config.stages=('one','one')", r'config\.stages: a name stands twice'),
        ('--config.system=none', r"config\.system: no system 'none'"),
        ('--wrkdir=x', 'wrkdir'),
        ('extra', "'extra': unexpected"),
    ],
)
def test_a_wrong_setting_is_named(argument, words):
    with pytest.raises(UserError, match=words):
        parse(argument)


def test_impossible_together_is_named():
    with pytest.raises(UserError, match=r'config\.batch_size: 8 .* config\.accumulate = 3'):
        parse('--config.batch_size=8', '--config.accumulate=3')


def test_missing_and_wrong_files_are_named():
    with pytest.raises(UserError, match=r'--config: none\.py: no such file'):
        train.main(['--config=none.py:tiny', '--workdir=W'])
    with pytest.raises(UserError, match=r'--config: none\.py: no such file'):
        train.main(['--config', 'none.py', '--workdir=W'])
    with pytest.raises(UserError, match='--config: missing'):
        train.main(['--workdir=W'])
    with pytest.raises(UserError, match='--workdir: missing'):
        train.main([f'--config={FILE}'])
    with pytest.raises(UserError, match='--process_id: missing'):
        train.main(
            [f'--config={FILE}', '--config.data=D', '--workdir=W', '--coordinator=h:1',
             '--num_processes=2']
        )  # fmt: skip


def test_values_in_code_are_checked_as_well():
    with pytest.raises(UserError, match=r'config\.sede: unknown field; did you mean .seed.'):
        config.build('toy', run={'sede': 1}, hparams={})
    with pytest.raises(UserError, match=r'config\.hparams\.width: 0 is below'):
        config.build('toy', run={}, hparams={'width': 0})
    with pytest.raises(UserError, match="no preset 'p'; there are a, b"):
        config.preset({'a': {}, 'b': {}}, 'p')


def test_stages_of_a_run():
    _, run, hparams = config.resolve(parse('--config.batch_size=6', "--config.stages=('two',)"))
    table = toy.stages(hparams, None)
    chosen = config.chosen(table, run)
    assert list(chosen) == [1] and chosen[1].name == 'two' and chosen[1].batch_size == 6
    every = config.chosen(table, dataclasses.replace(run, stages=(), batch_size=None))
    assert [stage.batch_size for stage in every.values()] == [8, 8]
    with pytest.raises(UserError, match=r"config\.stages: no stage 'six'; there are one, two"):
        config.chosen(table, dataclasses.replace(run, stages=('six',)))


def test_what_a_resumed_run_may_change(tmp_path, capsys):
    before = parse()
    now = parse('--config.seed=3', '--config.hparams.width=8', '--config.batch_size=4')
    assert config.differences(before, now) == [
        'config.hparams.width: 16 before, 8 now',
        'config.seed: 0 before, 3 now',
    ]
    free = parse('--config.log_every=7', '--config.hparams.two_steps=9', '--config.data=elsewhere')
    assert config.differences(before, free) == []
    for rows, words in ((None, ''), (4, "batch_size: the system's own before, 4 now; schedules")):
        values = config.to_json(parse(*[f'--config.batch_size={rows}'] * bool(rows)))
        workdirs.claim(tmp_path / 'run', values)
        out = capsys.readouterr().out
        assert words in out and bool(out) == bool(words)


def test_the_command_says_so_within_seconds_and_without_the_heavy_rooms():
    code = (
        'import sys; from reenact_jax.common import errors\n'
        'from reenact_jax.train import command as train\n'
        'try: train.main(sys.argv[1:])\n'
        'except errors.UserError as error: print(error)\n'
        "print([name for name in ('orbax', 'grain', 'tensorboardX') if name in sys.modules])"
    )
    arguments = [f'--config={FILE}', '--workdir=W', '--config.data=D', '--config.hparams.width=-3']
    begin = time.monotonic()
    run = [sys.executable, '-c', code, *arguments]
    out = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert time.monotonic() - begin < 30  # 2 s on an idle core
    assert 'config.hparams.width: -3 is below' in out and out.endswith('[]\n')


def test_configs_of_before_a_field_was_renamed_are_read_and_resumed():
    from reenact_jax.configs import aan

    before = config.to_json({**aan.get_config('tiny').to_dict(), 'data': 'x'})
    now = dict(before, hparams=dict(before['hparams']))
    del before['hparams']['upscale'], before['hparams']['mask']
    before['hparams']['soft'] = True
    now['hparams'] |= {'upscale': 'shuffle_soft', 'mask': False}
    assert config.differences(before, now) == []
    now['hparams']['upscale'] = 'resize'
    assert config.differences(before, now) == [
        "config.hparams.upscale: 'shuffle_soft' before, 'resize' now"
    ]
    assert config.resolve(before)[2].upscale == 'shuffle_soft'
    # A field that stands for a mended fault: configs without it are of before.
    del before['hparams']['spade_map']
    assert config.resolve(before)[2].spade_map == 'bilinear'
    assert any('spade_map' in line for line in config.differences(before, now))


def test_a_system_is_named_or_is_a_module_of_yours(tmp_path, monkeypatch):
    assert systems.find('aan').__name__ == 'reenact_jax.systems.aan'
    with pytest.raises(UserError, match=r"no system 'fregan'; did you mean f\w+\?"):
        systems.find('fregan')
    with pytest.raises(UserError, match=r"no module 'nobodys\.system'.*PYTHONPATH"):
        systems.find('nobodys.system')
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / 'somebodys'
    package.mkdir()
    (package / 'half.py').write_text('def networks(hp, data): return {}\n')
    (package / 'broken.py').write_text('import no_such_package\n')
    with pytest.raises(UserError, match='half is no system: it lacks Hparams, init'):
        systems.find('somebodys.half')
    with pytest.raises(ModuleNotFoundError, match='no_such_package'):
        systems.find('somebodys.broken')
    with pytest.raises(UserError, match=r"no module 'somebodys\.none'"):
        systems.find('somebodys.none')
