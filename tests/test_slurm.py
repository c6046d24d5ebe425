"""A real job of two tasks under Slurm, told to stop, queued again, finished.

A cluster of this machine alone is started for the test: it needs slurm-wlm and root.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

from launch.drills import ground, states

ROOT = pathlib.Path(__file__).parent.parent
CONFIG = """\
ClusterName=test
SlurmctldHost=localhost({host})
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
SlurmdPort={next}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=5
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f'after {seconds} s: {what()}'
        time.sleep(0.5)


@pytest.fixture
def slurm(tmp_path):
    """(sbatch, scancel, squeue, ...) -> standard output, on a cluster of its own."""
    if not all(shutil.which(name) for name in ('sbatch', 'slurmctld', 'slurmd')):
        pytest.skip('needs Slurm: apt-get install slurm-wlm')
    if os.geteuid() != 0:
        pytest.skip('needs root, to start slurmd')
    folder = tmp_path / 'slurm'
    (folder / 'state').mkdir(parents=True)
    host, port = os.uname().nodename.split('.')[0], 20_000 + os.getpid() % 20_000
    text = CONFIG.format(folder=folder, host=host, port=port, next=port + 1)
    (folder / 'slurm.conf').write_text(text)
    flags = [f for f in os.environ['XLA_FLAGS'].split() if 'device_count' not in f]
    (folder / 'reenact-jax').write_text(f'#!/bin/sh\nexec {sys.executable} -m reenact_jax "$@"\n')
    (folder / 'reenact-jax').chmod(0o755)
    environment = os.environ | {
        'SLURM_CONF': str(folder / 'slurm.conf'),
        'PATH': f'{folder}:{os.environ["PATH"]}',
        'PYTHONPATH': str(ROOT),
        'VENV': 'none',
        'JAX_PLATFORMS': 'cpu',
        'XLA_FLAGS': ' '.join(flags),
    }

    def call(*words):
        done = subprocess.run(
            words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f'{words}: {done.stderr}'
        return done.stdout

    daemons = [
        subprocess.Popen(command, env=environment)
        for command in (['slurmctld', '-D'], ['slurmd', '-D', '-N', 'localhost'])
    ]
    logs = [folder / 'slurmctld.log', folder / 'slurmd.log']
    try:
        until(
            lambda: 'idle' in call('sinfo', '--noheader', '--format=%T'),
            120,
            lambda: '\n'.join(log.read_text()[-1500:] for log in logs if log.exists()),
        )
        yield call
        # What it started reports to the daemons, so it ends before they do.
        call('scancel', '--quiet', '--user=root')
        until(lambda: not call('squeue', '--noheader'), 120, lambda: call('squeue'))
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(30)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_tasks_are_told_to_stop_and_finish_when_queued_again(slurm, tmp_path):
    where = ground.make(tmp_path, 'short')
    workdir, out = tmp_path / 'run', tmp_path / 'out.txt'
    steps = '--config.hparams.stage1_steps=2000'
    words = ['reenact-jax', 'train', '--distributed', *where.arguments(workdir, steps)]
    flags = ['--parsable', '--ntasks-per-node=2', '--time=60', f'--output={out}']
    job = slurm('sbatch', *flags, str(ROOT / 'launch' / 'slurm.sbatch'), *words).strip()
    said = lambda: out.read_text()[-3000:] if out.exists() else slurm('squeue')  # noqa: E731
    until(lambda: states.newest(workdir) is not None, 900, said)
    slurm('scancel', '--signal=TERM', job)
    until(lambda: 'queued again' in said(), 300, said)
    stopped = states.newest(workdir).step
    assert 0 < stopped < 2000
    slurm('scontrol', 'update', f'JobId={job}', 'StartTime=now')  # Slurm waits two minutes else
    until(lambda: 'finished (ldnet_1)' in said(), 1800, said)
    assert states.newest(workdir).step == 2000
    text = out.read_text()
    assert 'start 2: ' in text and f'resuming stage ldnet_1 after step {stopped}' in text
