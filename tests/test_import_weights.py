"""Official weights: files that the official program wrote, and files that nobody should open."""

import json
import lzma
import os
import pathlib
import pickle
import sys
import zipfile

import fakes
import numpy as np
import pytest
import safetensors.numpy
from bundles import random_face
from torch_writer import Stored, View, old, pickled, zipped

from reenact_jax import bundle, commands
from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.export import command as export
from reenact_jax.export import import_weights, torch_files, trained
from reenact_jax.systems.fomm import official
from reenact_jax.train import command as train
from reenact_jax.train import jobs, loop
from reenact_jax.train.checkpoints.store import Store
from reenact_jax.train.pretrained import Row, Source, imported

PARITY = pathlib.Path(__file__).parent / 'parity'
sys.path.insert(0, str(PARITY))
from fomm_rule import FILES, TINY, pattern  # noqa: E402

PARTS = 'kp_detector', 'generator', 'discriminator'


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """What the official program saved, unpacked; the same tensors as .safetensors."""
    folder = tmp_path_factory.mktemp('official')
    paths = {}
    for name in FILES:
        paths[name] = folder / name.removesuffix('.xz')
        paths[name].write_bytes(lzma.decompress((PARITY / name).read_bytes()))
    state = torch_files.read(str(next(iter(paths.values()))), PARTS)
    flat = {f'{part}.{name}': x for part, one in state.items() for name, x in one.items()}
    paths['safetensors'] = folder / 'weights.safetensors'
    paths['safetensors'].write_bytes(safetensors.numpy.save(flat))
    return {name: str(path) for name, path in paths.items()}


@pytest.mark.parametrize('name', [*FILES, 'safetensors'])
def test_official_files_are_read(files, name):
    state, record = import_weights.read(files[name])
    assert set(state) == set(PARTS) and len(record['weights']['sha256']) == 64
    for part, tensors in state.items():
        for tensor, value in tensors.items():
            if value.ndim and not tensor.endswith('down.weight'):
                np.testing.assert_array_equal(value, pattern(part, tensor, value.shape), tensor)


def test_sizes_are_the_official_config(files):
    values = official.hparams(import_weights.read(files['safetensors'])[0])
    kp, judge = TINY['kp_detector'], TINY['discriminator']
    assert values['keypoints'] == 3 and values['stride'] == 2 and values['blocks'] == 1
    assert (values['kp_width'], values['kp_depth']) == (kp['block_expansion'], kp['num_blocks'])
    assert values['d_layers'] == judge['num_blocks'] and values['d_keypoints']
    assert not values['d_spectral']


def test_a_bundle_of_official_weights(files, tmp_path, capsys):
    out = str(tmp_path / 'bundle')
    flags = ['--out', out, '--size', '32', '--licence', 'CC0', '--source', 'a friend']
    assert commands.main(['import-weights', 'fomm', files['fomm_old.pth.tar.xz'], *flags]) == 0
    said = json.loads(capsys.readouterr().out)
    loaded = bundle.load(out)
    weights = loaded.card['generator']['weights']
    assert weights['licence'] == 'CC0' and weights['source'] == 'a friend'
    assert loaded.card['generator']['align_corners'] is True and said['align_corners'] is True
    assert weights['sha256'] == said['sha256'] and weights['file'] == 'fomm_old.pth.tar'
    assert loaded.motion == 'keypoints' and loaded.size == 32 and loaded.card['licence'] == 'CC0'
    source, driving, first = random_face(0, 1), random_face(1, 3), random_face(2, 1)
    made = loaded.transfer(loaded.identify(source), driving, first)
    drawn = np.asarray(loaded.render(loaded.encode(source), made))
    assert drawn.shape == (3, 32, 32, 3) and np.isfinite(drawn).all()


CONFIG = """
from reenact_jax.train import config

SIZES = dict(
    keypoints=3, stride=2, kp_width=2, kp_depth=1, kp_most=4, motion_width=2, motion_depth=1,
    motion_most=4, width=2, most=4, downs=1, blocks=1, d_width=2, d_most=4, d_layers=2,
    d_spectral=False, d_keypoints=True, lambda_features=(10.0, 10.0), lambda_gan=1.0,
    features='random', random_width=4, scales=(1.0,), steps=3, batch_size=8,
)


def get_config(preset=''):
    return config.build('fomm', run={}, hparams=SIZES)
"""


def test_a_run_goes_on_from_official_weights(files, tmp_path, capsys):
    fakes.fake_shards(tmp_path / 'data', identities=4, tracks=2)
    (tmp_path / 'small.py').write_text(CONFIG)
    out, file = tmp_path / 'run', files['fomm_zip.pth.tar.xz']
    flags = [f'--config={tmp_path}/small.py', f'--data={tmp_path}/data', f'--out={out}']
    with pytest.raises(UserError, match=r'config\.hparams\.kp_width: 3, .*\n*.*kp_width=2'):
        commands.main(['import-weights', 'fomm', file, *flags, '--config.hparams.kp_width=3'])
    assert commands.main(['import-weights', 'fomm', file, *flags]) == 0
    assert json.loads(capsys.readouterr().out)['networks'] == ['D', 'G', 'KP', 'M']
    values = storage.read_json(storage.path(out) / 'config.json')
    job, store = jobs.make_job(values), Store(str(out))
    try:
        start = loop._start(job, store, store.newest())
    finally:
        store.close()
    assert start.state is not None and int(start.state.step) == 0
    kernel = start.state.variables['KP']['params']['places']['kernel']
    wanted = pattern('kp_detector', 'kp.weight', kernel.shape[-1:-3:-1] + kernel.shape[:-2])
    np.testing.assert_array_equal(kernel, wanted.transpose(2, 3, 1, 0))
    read = trained.read(out)
    assert read.record['weights']['sha256'] and read.record['step'] == 0
    with pytest.raises(UserError, match=r'align_corners: True, .* have False; give .*=False'):
        other = [*flags[:-1], f'--out={tmp_path / "other"}', '--noalign_corners']
        commands.main(['import-weights', 'fomm', file, *other])
    with pytest.raises(UserError, match='a run that has begun'):
        commands.main(['import-weights', 'fomm', file, *flags])


def test_the_origin_stays_with_what_is_trained_further(files, tmp_path):
    fakes.fake_shards(tmp_path / 'data', identities=4, tracks=2)
    (tmp_path / 'small.py').write_text(CONFIG)
    out, bundled = str(tmp_path / 'run'), str(tmp_path / 'bundle')
    file, licence = files['fomm_zip.pth.tar.xz'], ['--licence', 'CC0']
    run = [f'--config={tmp_path}/small.py', f'--data={tmp_path}/data']
    assert commands.main(['import-weights', 'fomm', file, *run, '--out', out, *licence]) == 0
    weights = trained.read(out).record['weights']
    assert weights['licence'] == 'CC0' and len(weights['sha256']) == 64
    for number, (folder, init) in enumerate(
        ((out, []), (str(tmp_path / 'tuned'), [f'--init={bundled}0']))
    ):
        assert train.main([*run, f'--workdir={folder}', '--config.checkpoint_every=2', *init]) == 0
        read = trained.read(folder)
        assert read.record['step'] == 3 and read.record['weights'] == weights
        export.write(f'{bundled}{number}', read, read)
        card = bundle.read_card(f'{bundled}{number}')
        assert card['licence'] == 'CC0' and card['transfer']['weights'] == weights
    assert train.main([*run, '--workdir', str(tmp_path / 'fresh')]) == 0
    assert 'weights' not in trained.read(tmp_path / 'fresh').record


def test_origins_of_several_files_are_joined():
    one, other = ({'licence': 'CC0', 'sha256': digest} for digest in 'ab')
    sources = [
        Source(text, (), {}, record)
        for text, record in (
            ('x', {'weights': one}), ('y', {}), ('z', {'weights': other}),
            ('unused', {'weights': {'licence': 'MIT'}}), ('again', {'weights': one}),
        )
    ]  # fmt: skip
    rows = [Row('G', 2, 2, ('x', 'y'), ()), Row('M', 2, 2, ('z', 'again'), ())]
    assert imported(sources, rows) == {'licence': 'CC0', 'sha256': 'a; b'}
    assert imported(sources, rows[:1]) == one
    assert imported(sources, [Row('G', 2, 2, ('y',), ())]) is None


def state_of(files):
    return import_weights.read(files['safetensors'])[0]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s['generator'].pop('final.bias'), r'generator: has no final\.bias'),
        (lambda s: s['generator'].update(more=np.zeros(1)), 'generator: more has no place'),
        (lambda s: s['kp_detector'].pop('jacobian.weight'), 'expected jacobian.weight with 12'),
        (lambda s: s['kp_detector'].pop('kp.weight'), r'expected a tensor kp\.weight'),
        (lambda s: s['generator'].update({'final.bias': np.zeros(5)}), r'is \(5,\), expected \(3,'),
    ],
)
def test_other_networks_are_refused_by_name(files, change, message):
    state = {part: dict(one) for part, one in state_of(files).items()}
    change(state)
    with pytest.raises(UserError, match=message):
        import_weights.as_trained(state, 32, '68', {})


def test_wrong_commands(files, tmp_path):
    def run(*arguments):
        return commands.main(['import-weights', *arguments])

    with pytest.raises(UserError, match='expected SYSTEM FILE; systems: fomm'):
        run('aan', files['safetensors'], '--out', str(tmp_path / 'a'))
    with pytest.raises(UserError, match='--out: missing'):
        run('fomm', files['safetensors'])
    with pytest.raises(UserError, match='no such file'):
        run('fomm', str(tmp_path / 'none.pth'), '--out', str(tmp_path / 'a'))
    (tmp_path / 'full').mkdir()
    with pytest.raises(UserError, match='exists and is not a bundle'):
        run('fomm', files['safetensors'], '--out', str(tmp_path / 'full'))


# --- hostile files ---------------------------------------------------------------------------


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def refused(tmp_path):
    def check(content: bytes, message: str, name: str = 'x.pth'):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=message):
            torch_files.read(str(tmp_path / name), PARTS)

    return check


@pytest.mark.parametrize('protocol', range(6))
def test_code_in_a_pickle_does_not_run(protocol, refused, tmp_path):
    marker = tmp_path / 'ran'
    content = pickle.dumps({'generator': Evil(f'touch {marker}')}, protocol)
    reason = r'asks for posix\.system|has a |protocol 5'
    refused(old(content), reason)
    refused(zipped(content), reason)
    refused(content, reason + '|not a checkpoint')
    assert not marker.exists()
    pickle.loads(content)  # such a file is dangerous
    assert marker.exists()


@pytest.mark.parametrize(
    ('opcodes', 'message'),
    [
        (b'(S"touch x"\nios\nsystem\n.', 'has a STRING'),
        (b'(ios\nsystem\n.', 'has a INST'),
        (b'cbuiltins\neval\n.', r'asks for builtins\.eval'),
        (b'\x80\x02ctorch._utils\n_rebuild_tensor\n.', r'asks for torch\._utils\._rebuild_tensor,'),
        (b'\x80\x02ccollections\nOrderedDict\n)\x81.', 'has a NEWOBJ'),
        (b'\x80\x02(o.', 'has a OBJ'),
        (b'\x80\x02K\x01K\x01R.', 'a call of no name'),
        (b'\x80\x02ctorch\nFloatStorage\n)R.', 'a call of FloatStorage'),
        (b'\x80\x02ccollections\nOrderedDict\n](K\x01e\x85R.', 'an OrderedDict with items'),
        (b'\x80\x02K\x01Q.', 'not a whole pickle'),
        (b'\x80\x02K\x01Pabc\n.', 'has a PERSID'),
        (b'\x80\x02\x82\x01.', 'has a EXT1'),
        (b'\x80\x02h\x05.', 'not a whole pickle'),
        (b'\x80\x02K\x01e.', 'not a whole pickle'),
        (b'\x80\x02\x86.', 'not a whole pickle'),
        (b'\x80\x02K\x01K\x02.', 'not a whole pickle'),
        (b'\x80\x02X\xff\xff\xff\x7fabc', 'not a whole pickle'),
        (b'\x80\x02}', 'not a whole pickle'),
        (b'\x80\x02}K\x01\x85K\x02s.', 'a key is a tuple'),
    ],
)
def test_odd_pickles_are_refused(opcodes, message, refused):
    refused(old(opcodes), message)


def test_a_pickle_that_would_hash_for_ever_is_refused(refused):
    doubled = b''.join(b'2\x86' for _ in range(200))  # DUP, TUPLE2: (t, t) of (t, t) of ...
    refused(old(b'\x80\x02}K\x01' + doubled + b'K\x02s.'), 'has a DUP')
    memo = b'K\x01' + b''.join(b'q\x00h\x00\x86' for _ in range(200))
    refused(old(b'\x80\x02}' + memo + b'K\x02s.'), 'a key is a tuple')


def tree(view):
    return {'generator': {'w': view}}


@pytest.mark.parametrize('wrap', [old, zipped])
def test_tensors_are_views_of_their_storage(wrap, tmp_path):
    stored = Stored('0', np.arange(12))
    path = tmp_path / 'x.pth'
    path.write_bytes(wrap(pickled(tree(View(stored, (2, 3), (1, 2), 4))), [stored]))
    found = torch_files.read(str(path), PARTS)['generator']['w']
    np.testing.assert_array_equal(found, [[4, 6, 8], [5, 7, 9]])


@pytest.mark.parametrize('wrap', [old, zipped])
@pytest.mark.parametrize(
    ('size', 'stride', 'offset'),
    [((13,), (1,), 0), ((4,), (1,), 10), ((10**9, 10**9), (0, 0), 0), ((4,), (4,), 0)],
)
def test_tensors_beyond_their_storage_are_refused(wrap, size, stride, offset, refused):
    stored = Stored('0', np.arange(12))
    view = View(stored, size, stride, offset)
    refused(wrap(pickled(tree(view)), [stored]), 'does not fit its 12 numbers')


@pytest.mark.parametrize('wrap', [old, zipped])
def test_many_views_of_one_storage_are_refused(wrap, refused):
    stored = Stored('0', np.arange(1000))
    views = {str(i): View(stored, (1000,), (1,)) for i in range(3)}
    refused(wrap(pickled({'generator': views}), [stored]), 'larger than the file')


def test_storages_that_are_not_there_are_refused(refused):
    stored = Stored('0', np.arange(12), count=10**12)
    content = pickled(tree(View(stored, (2,), (1,))))
    refused(old(content, [stored]), 'storage 0 has 12 numbers')
    refused(zipped(content, [stored]), 'larger than the file')
    some = Stored('0', np.arange(12), count=20)
    refused(zipped(pickled(tree(View(some, (2,), (1,)))), [some]), 'storage 0 has 48 bytes')
    right = Stored('0', np.arange(12))
    content = pickled(tree(View(right, (2,), (1,))))
    refused(old(content, [right])[:-9], 'ends within storage 0')
    refused(old(content, [], []), 'storage 0 is not there')
    refused(zipped(content), 'has no data/0')
    refused(zipped(content, [right], zipfile.ZIP_DEFLATED), 'is compressed')
    refused(zipped(content, [right])[:-30], 'not a checkpoint|not a whole|archive')
    refused(pickle.dumps([1], 2), 'not a checkpoint of PyTorch')
    refused(old(pickled({'generator': {'w': 3}})), r'generator\.w is no tensor')
    refused(b'junk', 'not readable as .safetensors', 'x.safetensors')


def test_too_much_is_refused(refused, monkeypatch):
    from reenact_jax.export import pickles

    monkeypatch.setattr(pickles, 'MOST_OPCODES', 100)
    refused(old(b'\x80\x02' + b'N0' * 200 + b'}.'), 'has a POP|longer than any checkpoint')
    refused(old(pickled({str(i): i for i in range(200)})), 'longer than any checkpoint')
    monkeypatch.setattr(torch_files, 'MOST_BYTES', 10)
    refused(b'x' * 11, 'more than the 10')
