"""An input that ends the process that reads it is named and tried once more; the rest goes on."""

import contextlib
import csv
import ctypes
import dataclasses
import os
import pathlib
import signal
import time

import fakes
import pytest

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards, tracks
from reenact_jax.data.shards import framing
from reenact_jax.data_prep import gather, outcome, workers

STEPS = 7
ENDINGS = {
    'segfault': 'SIGSEGV',
    'abort': 'SIGABRT',
    'exit': 'exit code 3',
    'kill': 'SIGKILL, perhaps out of memory',
    'memory': 'out of memory',
}


def end(how: str) -> None:
    """End this process in one of the ways that native code has."""
    if how == 'segfault':
        ctypes.string_at(0)
    elif how == 'abort':
        os.abort()
    elif how == 'exit':
        os._exit(3)
    elif how == 'kill':
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == 'memory':
        bytearray(2**60)


def work(job, progress):
    """Count, and end as the job says; 'once PATH' dies at the first time alone."""
    for _ in range(STEPS):
        progress()
    if job.startswith('once '):
        with contextlib.suppress(FileExistsError):
            pathlib.Path(job[5:]).touch(exist_ok=False)
            end('kill')
    if job == 'refused':
        raise UserError('clip.mp4: no')
    if job == 'defect':
        raise ValueError('a defect')
    end(job)
    return f'{job} done', os.getpid()


def test_whatever_ends_a_process_ends_nothing_else(tmp_path):
    jobs = ['a', *ENDINGS, f'once {tmp_path / "mark"}', 'b', 'c']
    steps = []
    found = dict(workers.run(work, jobs, 2, steps.append))
    assert sorted(found) == list(range(len(jobs)))
    lost = {jobs[n]: one.reason for n, one in found.items() if isinstance(one, workers.Lost)}
    assert lost.keys() == ENDINGS.keys()
    assert all(ENDINGS[how] in reason for how, reason in lost.items())
    whole = [one[0] for one in found.values() if not isinstance(one, workers.Lost)]
    assert sorted(whole) == ['a done', 'b done', 'c done', f'{jobs[-3]} done']
    assert sum(steps) == STEPS * 4  # the steps of those that were lost are taken back
    assert list(found)[-1 - len(ENDINGS) :] == list(range(1, 7))  # once more, at the end


def test_one_process_does_job_after_job():
    found = dict(workers.run(work, 'abcd', 1, lambda steps: None))
    assert len({process for _, process in found.values()}) == 1
    assert os.getpid() not in {process for _, process in found.values()}


@pytest.mark.parametrize(
    ('job', 'error', 'message'),
    [('refused', UserError, r'clip\.mp4: no'), ('defect', RuntimeError, 'ValueError: a defect')],
)
def test_errors_arrive(job, error, message):
    with pytest.raises(error, match=message):
        list(workers.run(work, [job], 1, lambda steps: None))


@dataclasses.dataclass(frozen=True)
class Options:
    """Of `extract`."""

    folder: str


@dataclasses.dataclass(frozen=True)
class Source:
    """An input."""

    path: pathlib.Path
    key: str
    licence: str = ''
    consent: str = 'synthetic'
    frames: int = STEPS

    @property
    def identity(self):
        return self.key

    @property
    def files(self):
        return (self.path,)


def extract(source, target, options, detector, progress):
    """Write a track; end where the file says so."""
    with (pathlib.Path(options.folder) / 'tried').open('a') as file:
        file.write(f'{source.key}\n')
    with storage.writing(target) as file:
        track = fakes.fake_track(size=16, track_id=source.key)
        file.write(framing.frame(tracks.encode(track)))
        for _ in range(source.frames):
            progress()
        end(source.path.read_text())
    return outcome.finish(target, outcome.Outcome(source.key, frames=STEPS, tracks=1), [0], {})


def test_a_set_is_made_of_the_others(tmp_path):
    sources = []
    for number, how in enumerate(['', 'segfault', '', 'kill', '', '']):
        path = tmp_path / f'{number}.mp4'
        path.write_text(how)
        sources.append(Source(path, path.name))
    out, options = tmp_path / 'set', Options(str(tmp_path))

    def prepare():
        done = gather.prepare(sources, str(out), extract, options, detect=False)
        return {one.file: one.status for one in done}

    expected = {f'{n}.mp4': 'crashed' if n in (1, 3) else 'ok' for n in range(6)}
    assert prepare() == expected
    with (out / 'report.tsv').open() as file:
        rows = {row['file']: row for row in csv.DictReader(file, delimiter='\t')}
    assert {key: row['status'] for key, row in rows.items()} == expected
    assert 'SIGSEGV' in rows['1.mp4']['detail'] and 'SIGKILL' in rows['3.mp4']['detail']
    assert sum(len(shards.ShardSet(out, split)) for split in shards.splits(out)) == 4
    assert not [name for name in os.listdir(out / '.inputs') if name.endswith('.partial')]
    tried = (tmp_path / 'tried').read_text().split()
    assert {key: tried.count(key) for key in rows} == {
        key: 1 + (status == 'crashed') for key, status in expected.items()
    }
    assert prepare() == expected  # the others are not read again, what crashed is tried again
    assert sorted((tmp_path / 'tried').read_text().split()[len(tried) :]) == sorted(
        2 * ['1.mp4', '3.mp4']
    )


def test_workers_end_with_the_loop():
    found = workers.run(work, 'ab', 2, lambda steps: None)
    _, (_, process) = next(found)
    found.close()
    for _ in range(100):
        if not pathlib.Path(f'/proc/{process}').exists():
            return
        time.sleep(0.05)
    pytest.fail('a worker is still there')
