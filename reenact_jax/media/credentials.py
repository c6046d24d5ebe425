"""Content credentials (C2PA): a signed manifest inside a result that says how it was made.

It names this program and its version, the action `c2pa.created` and IPTC's digital source type of
synthetic media; never a file's name, a path or a person. Any later change of the file shows. It
needs c2pa-python (the extra [c2pa]); without it files stay as they are. Nothing goes over the
network, so there is no time stamp either. certificates.py says who signs.
"""

import contextlib
import io
import json
import os
from typing import Any

from etils import epath
from PIL import Image

import reenact_jax
from reenact_jax.common.errors import UserError
from reenact_jax.media import certificates

SOURCE_TYPE = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia'
FORMATS = {
    '.png': 'image/png',
    '.jpg': 'image/jpeg',
    '.jpeg': 'image/jpeg',
    '.mp4': 'video/mp4',
    '.mov': 'video/quicktime',
    '.gif': 'image/gif',
    '.webp': 'image/webp',
}
_AGENT = {'name': 'reenact_jax', 'version': reenact_jax.__version__}
_ACTION = {'action': 'c2pa.created', 'digitalSourceType': SOURCE_TYPE, 'softwareAgent': _AGENT}
MANIFEST = {
    'claim_generator_info': [_AGENT],
    'title': 'synthetic',
    'assertions': [{'label': 'c2pa.actions.v2', 'data': {'actions': [_ACTION]}}],
}
# Extended key usages of signers: emailProtection, documentSigning, C2PA's own and Microsoft's.
_USAGES = '1.3.6.1.5.5.7.3.4 1.3.6.1.5.5.7.3.36 1.3.6.1.4.1.62558.2.1 1.3.6.1.4.1.311.76.59.1.9'
_WANTED = (
    'C2PA wants one valid today, issued by an authority (not signed by itself) for '
    'emailProtection, documentSigning or claimSigning'
)
_UNTRUSTED = 'signingCredential.untrusted'


def is_available() -> bool:
    """Tell whether c2pa-python is there."""
    return _library() is not None


def check() -> None:
    """Sign a small picture in memory, so that what is wrong shows before anything is made.

    Raises:
      UserError: the user's own certificate or key, which the message names, does not do.
    """
    if is_available():
        picture = io.BytesIO()
        Image.new('RGB', (8, 8)).save(picture, 'PNG')
        _sign(picture, io.BytesIO(), '.png', verify=True)


def sign(path: epath.Path) -> None:
    """Put the manifest into a finished file of `FORMATS`.

    Without c2pa-python, and for other formats (.webm), do nothing.

    Raises:
      UserError: the signer's certificate does not do.
    """
    if not is_available() or path.suffix.lower() not in FORMATS:
        return
    draft = path.with_name(f'{path.stem}.signed{path.suffix}')
    try:
        with open(path, 'rb') as source, open(draft, 'w+b') as target:
            _sign(source, target, path.suffix.lower())
        os.replace(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()


def _sign(source, target, suffix: str, verify: bool = False) -> None:
    """Sign one binary file into another."""
    c2pa = _library()
    who = certificates.find()
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(*who, None))  # None: no time stamp
        with signer, _context(verify) as context, c2pa.Builder(MANIFEST, context) as builder:
            builder.sign(signer, FORMATS[suffix], source, target)
    except c2pa.C2paError as error:
        own = verify and certificates.is_own()
        hint = f'; the certificate is that of {certificates.CERTIFICATE}; {_WANTED}' if own else ''
        raise UserError(f'content credentials: {error}{hint}') from None


def read(path: epath.PathLike, anchors: str | None = None) -> dict | None:
    """Read a file's content credentials.

    Args:
      path: the file.
      anchors: certificates of trusted authorities, PEM.

    Returns:
      {'state', 'reason', 'signer', 'trusted'}; None without credentials. state is 'valid',
      'invalid' (changed since it was signed, or badly signed) or 'not looked at' (no c2pa-python,
      a format that it cannot read, or a manifest elsewhere on the network); the reason belongs to
      the last two. signer is a name that anybody can give themselves, unless it is trusted: an
      anchor vouches for it.
    """
    c2pa = _library()
    if c2pa is None:
        return _state('not looked at', "c2pa-python is missing: pip install 'reenact_jax[c2pa]'")
    try:
        with _context(anchors=anchors) as context, c2pa.Reader(path, context=context) as reader:
            return _judged(json.loads(reader.json()))
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        elsewhere = str(error).startswith(('NotSupported', 'Remote'))
        return _state('not looked at' if elsewhere else 'invalid', str(error))


def _judged(report: dict) -> dict:
    state = report.get('validation_state')
    reasons = [
        f'{status["code"]}: {status.get("explanation", "")}'
        for status in report.get('validation_status', ())
        if status['code'] != _UNTRUSTED
    ]
    signature = report['manifests'].get(report.get('active_manifest'), {}).get('signature_info', {})
    signer = signature.get('issuer') or signature.get('common_name')
    if state in ('Valid', 'Trusted'):
        return _state('valid', None, signer, state == 'Trusted')
    return _state('invalid', '; '.join(reasons) or None, signer)


def _state(
    state: str, reason: str | None = None, signer: str | None = None, trusted: bool = False
) -> dict:
    return {'state': state, 'reason': reason, 'signer': signer, 'trusted': trusted}


def _context(verify: bool = False, anchors: str | None = None):
    """Make c2pa's settings: no network, no thumbnail."""
    trust = {'trust_config': '\n'.join(_USAGES.split())}
    if anchors:
        trust['user_anchors'] = anchors
    checks = {'verify_after_sign': verify, 'remote_manifest_fetch': False, 'ocsp_fetch': False}
    thumbnail = {'thumbnail': {'enabled': False}}
    return _library().Context.from_dict({'verify': checks, 'trust': trust, 'builder': thumbnail})


def _library() -> Any:
    """Import the package c2pa; None where it is missing or its native library does not load."""
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError):
        return None
    return c2pa
