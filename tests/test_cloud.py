"""Runs whose data, folder, bundle and results lie in a bucket: killed, resumed, counted."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import fakes
import gcs
import pytest
import toy_config
from bundles import drawing_model, landmark_model
from PIL import Image

from reenact_jax import bundle
from reenact_jax.common import lines, storage
from reenact_jax.export import command as export
from reenact_jax.reenact import command as reenact
from reenact_jax.train import command as train
from reenact_jax.train.checkpoints.store import load_networks

ROOT = pathlib.Path(__file__).parent.parent
# Requests of each step of the chain, a third more than measured. Deletions are left out: the real
# thing takes a hundred of them as one request, the emulator one by one.
MOST = {'data': 55, 'begun': 1700, 'resumed': 2800, 'bundle': 20, 'video': 80}


def command(*arguments: str) -> subprocess.Popen:
    """The command line in a process of its own, on one device."""
    compiler = '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true'
    more = {'PYTHONPATH': str(ROOT), 'XLA_FLAGS': compiler}
    more |= {'JAX_COMPILATION_CACHE_DIR': str(ROOT / '.cache' / 'jax-tests')}
    more |= {'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0'}
    program = 'from reenact_jax.commands import entry; entry()'
    return subprocess.Popen(
        [sys.executable, '-c', program, *arguments], env=os.environ | more,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def run(*arguments: str) -> str:
    """What a command says that ends well."""
    process = command(*arguments)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


def killed_at(there, *arguments: str) -> None:
    """Runs a command and kills it as soon as `there()` is true."""
    process = command(*arguments)
    try:
        while process.poll() is None and not there():
            time.sleep(0.002)
    finally:
        process.kill()
    said, _ = process.communicate()
    assert there(), said
    assert process.returncode < 0, 'it ended before it was killed'


def steps_logged(workdir: str) -> list[tuple[str, int]]:
    logged = [json.loads(line) for line in lines.read(f'{workdir}/metrics.jsonl')]
    return [(line['stage'], line['step']) for line in logged]


@pytest.fixture(scope='module')
def server():
    with gcs.serving() as server:
        yield server


@pytest.fixture(scope='module')
def count(server):
    """A function that gives the requests since it was last called."""

    def since():
        found = sum(n for what, n in server.requests.items() if what != 'delete')
        server.requests.clear()
        return found

    return since


@pytest.fixture(scope='module')
def chain(server, count):
    """The chain on the toy; requests of its steps."""
    found, root = {}, 'gs://bucket'
    fakes.fake_shards(f'{root}/data', identities=4, tracks=6)
    found['data'] = count()
    settings = [
        f'--config={toy_config.__file__}', f'--config.data={root}/data', f'--workdir={root}/run',
        '--config.log_every=1', '--config.preview_every=4',
        '--config.keep=1',
    ]  # fmt: skip
    half = ('bucket', 'run/checkpoints/0-one/000000004/digests.json')
    killed_at(lambda: half in server.objects, 'train', *settings)
    found['begun'] = count()
    assert train.main(settings) == 0
    found['resumed'] = count()
    export.write(f'{root}/bundle', drawing_model(), landmark_model())
    found['bundle'] = count()
    tracks = ['--source', f'{root}/data', '--source-track', 'track0000']
    tracks += ['--driving', f'{root}/data', '--driving-track', 'track0001']
    files = ['--out', f'{root}/out/result.mp4', '--sheet', f'{root}/out/result.png']
    assert reenact.main(['--model', f'{root}/bundle', *tracks, *files]) == 0
    found['video'] = count()
    return found


def test_a_killed_run_resumes_and_ends(chain, server):
    _, variables, position = load_networks('gs://bucket/run')
    assert position['finished'] and (position['stage'], position['step']) == ('two', 4)
    assert sorted(variables) == ['C', 'D', 'E', 'G']
    # `keep=1`: older checkpoints are gone, nothing half deleted is left.
    checkpoints = {tuple(n.split('/')[2:4]) for n in server.names(prefix='run/checkpoints/')}
    assert checkpoints == {('0-one', '000000006'), ('1-two', '000000004'), ('newest.json',)}


def test_metrics_are_there_once_and_in_order(chain, server):
    parts = [name for name in server.names(prefix='run/') if name.endswith('.jsonl')]
    assert parts == ['run/metrics-00001.jsonl', 'run/metrics.jsonl']
    everything = [('one', n) for n in range(1, 7)] + [('two', n) for n in range(1, 5)]
    assert steps_logged('gs://bucket/run') == everything
    events = [server.objects['bucket', n][0] for n in server.names(prefix='run/tensorboard/')]
    for tag in (b'one/loss/C', b'one/preview', b'two/data_wait', b'two/preview'):
        assert any(tag in one for one in events), tag


def test_a_bundle_is_written_over_card_first_and_last(chain, server):
    server.log.clear()
    export.write('gs://bucket/bundle', drawing_model(), landmark_model())
    changes = [one.split() for one in server.log if one.split()[0] in ('delete', 'write')]
    assert changes[0][0] == 'delete' and changes[0][2].endswith('bundle/card.json')
    assert bundle.load('gs://bucket/bundle').size == 32
    card = server.objects.pop(('bucket', 'bundle/card.json'))
    assert card[1] == max(version for _, version in (card, *server.objects.values()))
    server.objects['bucket', 'bundle/card.json'] = card


def test_results_are_whole_and_marked(chain, server):
    assert server.names(prefix='out/') == ['out/result.mp4', 'out/result.png']
    for name in server.names(prefix='out/'):
        assert b'trainedAlgorithmicMedia' in server.objects['bucket', name][0]
    with Image.open(storage.local('gs://bucket/out/result.png')) as sheet:
        assert sheet.format == 'PNG'


def test_the_number_of_requests_is_bounded(chain):
    assert all(chain[step] <= most for step, most in MOST.items()), chain


@contextlib.contextmanager
def moto():
    """moto's S3 with a bucket; the environment points s3fs to it."""
    server_of = pytest.importorskip('moto.server', reason='s3:// needs moto[server] and s3fs')
    pytest.importorskip('s3fs', reason='s3:// needs s3fs: pip install -e .[s3]')
    import boto3

    server = server_of.ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('AWS_ENDPOINT_URL', f'http://{host}:{port}')
        for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
            patch.setenv(name, 'any')
        patch.setenv('AWS_DEFAULT_REGION', 'us-east-1')
        boto3.client('s3').create_bucket(Bucket='bucket')
        yield
        server.stop()


@pytest.mark.long
def test_the_chain_on_s3():
    with moto():
        root = 's3://bucket'
        fakes.fake_shards(f'{root}/data', identities=4, tracks=6)
        settings = [
            f'--config={toy_config.__file__}', f'--config.data={root}/data',
            f'--workdir={root}/run', '--config.log_every=1', '--config.keep=1',
        ]  # fmt: skip
        assert train.main([*settings, "--config.stages=('one',)"]) == 0
        storage.write(f'{root}/run/checkpoints/0-one/000000009/half', 'of a killed run')
        assert train.main(settings) == 0
        everything = [('one', n) for n in range(1, 7)] + [('two', n) for n in range(1, 5)]
        assert steps_logged(f'{root}/run') == everything
        kept = storage.names(f'{root}/run/checkpoints/0-one')
        assert kept == ['000000006', 'damaged-000000009']
        _, variables, position = load_networks(f'{root}/run')
        assert position['finished'] and sorted(variables) == ['C', 'D', 'E', 'G']
        for _ in range(2):
            export.write(f'{root}/bundle', drawing_model(), landmark_model())
        tracks = ['--source', f'{root}/data', '--source-track', 'track0000']
        tracks += ['--driving', f'{root}/data', '--driving-track', 'track0001']
        result = ['--out', f'{root}/out/result.mp4']
        assert reenact.main(['--model', f'{root}/bundle', *tracks, *result]) == 0
        assert storage.names(f'{root}/out') == ['result.mp4']


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_small_aan_on_gs(server):
    root = 'gs://bucket/long'
    for split in ('train', 'test'):
        fakes.fake_shards(f'{root}/data', identities=4, tracks=2, frames=3, split=split)
    settings = [
        '--config=aan:tiny', f'--config.data={root}/data', f'--workdir={root}/aan',
        '--config.hparams.steps=8', '--config.checkpoint_every=2', '--config.log_every=1',
    ]  # fmt: skip
    half = ('bucket', 'long/aan/checkpoints/0-aan/000000004/digests.json')
    killed_at(lambda: half in server.objects, 'train', *settings)
    assert 'resuming stage aan after step' in run('train', *settings)
    assert steps_logged(f'{root}/aan') == [('aan', n) for n in range(1, 9)]
    run('export', '--generator', f'{root}/aan', '--out', f'{root}/bundle')
    none = [f'--{name}=none' for name in ('identity', 'attributes', 'features')]
    scored = ['--data', f'{root}/data', '--most', '2', '--out', f'{root}/scores']
    run('evaluate', '--model', f'{root}/aan', *none, *scored)
    shown = ['--data', f'{root}/data', '--most', '2', '--out', f'{root}/shown']
    run('report', '--model', f'{root}/bundle', *shown)
    assert storage.names(f'{root}/scores') == [
        'pairs.csv', 'scores.csv', 'sheet.png', 'table.json', 'table.md',
    ]  # fmt: skip
    assert {'report.md', 'synthetic.mp4'} <= set(storage.names(f'{root}/shown'))
