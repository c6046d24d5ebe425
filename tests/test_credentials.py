"""Content credentials: valid when made, invalid once a file is changed, left out when asked."""

import json
import struct
import subprocess
import sys
import venv
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from skimage import data

from reenact_jax.common.errors import UserError
from reenact_jax.media import certificates, credentials, loops, provenance, reading, writing
from reenact_jax.reenact import flags as reenact_flags

PICTURE = data.astronaut()[:256, 100:356]
needs_c2pa = pytest.mark.skipif(
    not credentials.is_available(), reason='content credentials need the extra [c2pa]'
)


def write(path, signed=True):
    """A still, or a video of five frames."""
    if path.suffix == '.mp4':
        pytest.importorskip('av', reason='videos need the extra [video]')
        with writing.VideoWriter(path, Fraction(25), signed=signed) as video:
            for shift in range(5):
                video.write(np.roll(PICTURE, shift, 1))
    else:
        writing.write_still(path, PICTURE, signed=signed)
    return path


def own(folder, monkeypatch, curve='SECP384R1', password=None, issuer='authority'):
    """A certificate of the user's, in the environment. Returns the authority's as PEM."""
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec

    authority, key = (ec.generate_private_key(getattr(ec, curve)()) for _ in range(2))
    chain, above = (
        certificates.certificate(holder.public_key(), name, authority, issuer)
        for holder, name in ((key, 'somebody'), (authority, issuer))
    )
    hidden = forms.BestAvailableEncryption(password) if password else forms.NoEncryption()
    # The older form of EC keys, which openssl's `ecparam -genkey` writes.
    text = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.TraditionalOpenSSL, hidden)
    for name, variable, content in (
        ('chain.pem', certificates.CERTIFICATE, chain.public_bytes(forms.Encoding.PEM)),
        ('key.pem', certificates.KEY, text),
    ):
        (folder / name).write_bytes(content)
        monkeypatch.setenv(variable, str(folder / name))
    return above.public_bytes(forms.Encoding.PEM).decode()


def active(path):
    """The manifest, as c2pa-python reads it."""
    import c2pa

    with c2pa.Reader(path) as reader:
        return reader.get_active_manifest()


@needs_c2pa
@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.mp4'])
def test_signed_and_nothing_else_changed(tmp_path, suffix):
    signed = write(tmp_path / f'alice{suffix}')
    plain = write(tmp_path / f'plain{suffix}', signed=False)
    assert sorted(one.name for one in tmp_path.iterdir()) == [signed.name, plain.name]
    assert credentials.read(plain) is None
    found = credentials.read(signed)
    assert (found['state'], found['reason'], found['trusted']) == ('valid', None, False)
    assert found['signer'] == certificates.NAME
    for one, other in zip(reading.Reader(signed), reading.Reader(plain), strict=True):
        np.testing.assert_array_equal(one, other)
    manifest = active(signed)
    parts = {one['label']: one['data'] for one in manifest['assertions']}
    (action,) = parts['c2pa.actions.v2']['actions']
    assert (action['action'], action['digitalSourceType']) == ('c2pa.created', writing.SOURCE_TYPE)
    agent = {'name': 'reenact_jax', 'version': '0.1.0'}
    assert action['softwareAgent'] == agent
    assert manifest['claim_generator_info'][0].items() >= agent.items()
    assert manifest['title'] == 'synthetic' and 'thumbnail' not in manifest
    assert b'alice' not in signed.read_bytes()  # nor its name while it was written


@needs_c2pa
@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.mp4'])
def test_a_flipped_bit_shows(tmp_path, suffix):
    content = write(tmp_path / f'a{suffix}').read_bytes()
    last = content.rindex(b'IEND') - 200 if suffix == '.png' else len(content) - 10
    for place in (last, content.index(b'x:xmpmeta')):
        changed = bytearray(content)
        changed[place] ^= 1
        (tmp_path / f'b{suffix}').write_bytes(changed)
        found = credentials.read(tmp_path / f'b{suffix}')
        assert found['state'] == 'invalid' and 'ash.mismatch' in found['reason']


@needs_c2pa
def test_metadata_stay_readable(tmp_path):
    for name in ('a.png', 'a.jpg'):
        with Image.open(write(tmp_path / name)) as image:
            (description,) = ElementTree.fromstring(image.info['xmp'])[0]
        assert writing.SOURCE_TYPE in description.attrib.values()
    content, boxes = write(tmp_path / 'a.mp4').read_bytes(), []
    while content:
        size, kind = struct.unpack('>I4s', content[:8])
        boxes.append((kind, content[8:size]))
        content = content[size:]
    kinds = [kind for kind, _ in boxes]
    assert kinds.index(b'moov') < kinds.index(b'mdat')  # plays before it is all there
    assert kinds[-1] == b'uuid' and boxes[-1][1] == writing._XMP_BOX + writing.XMP.encode()


@needs_c2pa
def test_files_of_two_runs_have_no_signer_in_common():
    first = certificates.find()
    assert certificates.find() is first  # one run, one certificate
    certificates._made.cache_clear()
    other = certificates.find()
    assert first.key != other.key and first.chain != other.chain


@needs_c2pa
def test_own_certificate(tmp_path, monkeypatch, capsys):
    anchors = own(tmp_path, monkeypatch)
    credentials.check()
    path = write(tmp_path / 'a.png')
    assert active(path)['signature_info']['common_name'] == 'somebody'
    assert not credentials.read(path)['trusted'] and credentials.read(path, anchors)['trusted']
    (tmp_path / 'anchors.pem').write_text(anchors)
    assert provenance.main([str(path), '--trust', str(tmp_path / 'anchors.pem')]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found['c2pa']['trusted'] and found['metadata'] and not found['watermark']


@needs_c2pa
def test_wrong_certificates_are_named_before_anything_is_read(tmp_path, monkeypatch):
    arguments = ['--model', 'none', '--source', str(tmp_path), '--source-track', 'a']
    arguments += ['--edit', 'smile=1', '--out', 'out.png']

    def message():
        with pytest.raises(UserError) as error:
            reenact_flags.read('', arguments)
        return str(error.value)

    own(tmp_path, monkeypatch)
    other, kept = (tmp_path / 'key.pem').read_bytes(), (tmp_path / 'chain.pem').read_bytes()
    reenact_flags.read('', arguments)
    monkeypatch.setenv(certificates.CERTIFICATE, str(tmp_path / 'nowhere.pem'))
    assert 'nowhere.pem' in message() and certificates.CERTIFICATE in message()
    monkeypatch.delenv(certificates.CERTIFICATE)
    assert f'{certificates.CERTIFICATE}: not set' in message()
    own(tmp_path, monkeypatch, password=b'secret')
    assert 'no password' in message()
    own(tmp_path, monkeypatch, curve='SECP256K1')
    assert 'P-256' in message()
    own(tmp_path, monkeypatch)
    (tmp_path / 'key.pem').write_bytes(other)
    assert "not the first certificate's" in message()
    (tmp_path / 'chain.pem').write_bytes(kept)
    reenact_flags.read('', arguments)
    (tmp_path / 'chain.pem').write_bytes(other)
    assert 'no PEM certificate chain' in message()
    reenact_flags.read('', [*arguments, '--no-credentials'])


@needs_c2pa
def test_self_signed_certificates_do_not_do(tmp_path, monkeypatch):
    """The one C2PA rejects itself, at the trial signature."""
    own(tmp_path, monkeypatch, issuer='somebody')
    with pytest.raises(UserError, match=f'that of {certificates.CERTIFICATE}; C2PA wants'):
        credentials.check()


def test_without_the_package_files_stay_as_they_were(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'c2pa', None)
    monkeypatch.setattr(certificates, 'find', lambda: pytest.fail('nothing to sign with'))
    credentials.check()
    one, other = write(tmp_path / 'a.png'), write(tmp_path / 'b.png', signed=False)
    assert one.read_bytes() == other.read_bytes()
    assert provenance.main([str(one)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found['c2pa']['state'] == 'not looked at' and '[c2pa]' in found['c2pa']['reason']


@needs_c2pa
def test_manifests_elsewhere_are_not_fetched(tmp_path):
    packet = writing.XMP.replace(
        'rdf:about=""',
        'rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
        'dcterms:provenance="http://127.0.0.1:9/manifest"',
    )
    Image.fromarray(PICTURE).save(tmp_path / 'a.jpg', xmp=packet.encode())
    found = credentials.read(tmp_path / 'a.jpg')
    assert found['state'] == 'not looked at' and 'must fetch' in found['reason']


READER = """
import json, sys, encypher_c2pa
found = {}
for name in sys.argv[1:]:
    said = encypher_c2pa.verify(name, telemetry=False, online=False)
    found[name] = [said[key] for key in ('present', 'signature', 'hard_binding', 'integrity')]
print(json.dumps(found))
"""


@pytest.mark.long
@needs_c2pa
def test_an_independent_reader_agrees(tmp_path):
    """encypher-c2pa 1.7.1, which shares no code with c2pa-python, in an environment of its own."""
    venv.create(tmp_path / 'venv', with_pip=True)
    python = str(tmp_path / 'venv' / 'bin' / 'python')
    install = [python, '-m', 'pip', 'install', '-q', 'encypher-c2pa==1.7.1']
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f'encypher-c2pa cannot be installed: {done.stderr[-200:]}')
    whole = [write(tmp_path / f'a.{suffix}') for suffix in ('png', 'jpg', 'mp4')]
    for suffix in ('webp', 'gif'):
        whole.append(tmp_path / f'a.{suffix}')
        with loops.LoopWriter(whole[-1], Fraction(10)) as loop:
            for shift in range(3):
                loop.write(np.roll(PICTURE, shift, 1))
    changed = []
    for path in whole:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        changed.append(path.with_stem('changed'))
        changed[-1].write_bytes(content)
    unsigned = write(tmp_path / 'unsigned.png', signed=False)
    names = [str(path) for path in (*whole, *changed, unsigned)]
    done = subprocess.run([python, '-c', READER, *names], capture_output=True, text=True, env={})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(found[str(path)] == [True, 'valid', 'match', 'valid'] for path in whole), found
    assert all(found[str(path)][3] != 'valid' for path in changed), found
    assert not found[str(unsigned)][0]
