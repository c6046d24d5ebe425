"""Signers of content credentials: the user's own certificate, or one made here, not trusted.

For the user's own, REENACT_C2PA_CERT names a PEM file of the certificate chain, the signer's first,
and REENACT_C2PA_KEY one of its private key, without a password.

Without these, a key and a certificate are made for this process, and go with it. What they sign is
valid, and says that a file is unchanged since; it does not say by whom, because the authority
behind the certificate is made up on the spot and known to nobody. Nothing is kept: a key on disk
would tell no more, and would show that all files signed with it come from one place.
"""

import datetime
import functools
import os
from pathlib import Path
from typing import NamedTuple

from reenact_jax.common.errors import UserError

CERTIFICATE, KEY = 'REENACT_C2PA_CERT', 'REENACT_C2PA_KEY'
NAME = 'unverified user of reenact_jax'
# The same for everybody, so that they do not say when; far apart, as signatures without a time
# stamp are judged by the day they are looked at.
_FROM, _UNTIL = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2024, 2074))
# emailProtection, C2PA's older requirement, and its own claimSigning.
_USAGES = ('1.3.6.1.5.5.7.3.4', '1.3.6.1.4.1.62558.2.1')
_KEY_USES = (
    *('digital_signature', 'content_commitment', 'key_encipherment', 'data_encipherment'),
    *('key_agreement', 'key_cert_sign', 'crl_sign', 'encipher_only', 'decipher_only'),
)


class Identity(NamedTuple):
    """A signer: algorithm by its name in C2PA, certificate chain and PKCS 8 key as PEM."""

    algorithm: str
    chain: bytes
    key: bytes


def is_own() -> bool:
    """Tell whether the environment names a certificate or a key."""
    return bool(os.environ.get(CERTIFICATE) or os.environ.get(KEY))


def find() -> Identity:
    """Find the user's own identity, else the one of this process.

    Raises:
      UserError: a file of the user's is missing or not what it should be.
    """
    if not is_own():
        return _made()
    chain, key = _named(CERTIFICATE), _named(KEY)
    return _identity(chain, key, f'{CERTIFICATE} or {KEY}')


def anchors(path: str) -> str:
    """Read the certificates of a PEM file, whatever else it has.

    Raises:
      UserError: it has none, or the extra is missing.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding
    except ImportError:
        raise UserError("--trust: needs the extra: pip install 'reenact_jax[c2pa]'") from None

    try:
        certificates = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f'{path}: not a PEM file of certificates: {error}') from None
    return b''.join(entry.public_bytes(Encoding.PEM) for entry in certificates).decode()


def _named(variable: str) -> bytes:
    """Read the file that an environment variable names."""
    value = os.environ.get(variable)
    if not value:
        both = f'{CERTIFICATE} (PEM certificate chain) and {KEY} (its PEM private key)'
        raise UserError(f'environment variable {variable}: not set; set {both}, or neither')
    try:
        return Path(value).expanduser().read_bytes()
    except (OSError, RuntimeError) as error:
        raise UserError(f'{value} (environment variable {variable}): {error}') from None


def _identity(chain: bytes, key: bytes, origin: str) -> Identity:
    """Check a chain and its key; a UserError names their origin."""
    from cryptography import exceptions, x509
    from cryptography.hazmat.primitives import serialization as forms

    try:
        certificates = x509.load_pem_x509_certificates(chain)
        private = forms.load_pem_private_key(key, None)
        algorithm = _algorithm(private)
        belongs = certificates[0].public_key() == private.public_key()
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm) as error:
        raise UserError(
            f'{origin}: no PEM certificate chain with its private key, which must have no '
            f'password: {error}'
        ) from None
    if not belongs:
        raise UserError(f"{origin}: the key is not the first certificate's; give the one it has")
    pem = forms.Encoding.PEM
    return Identity(
        algorithm,
        b''.join(entry.public_bytes(pem) for entry in certificates),
        private.private_bytes(pem, forms.PrivateFormat.PKCS8, forms.NoEncryption()),
    )


def _algorithm(key) -> str:
    """Find C2PA's algorithm for a private key; ValueError when there is none."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        names = {'secp256r1': 'es256', 'secp384r1': 'es384', 'secp521r1': 'es512'}
        if key.curve.name in names:
            return names[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return 'ps256'
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return 'ed25519'
    raise ValueError(
        'expected a key on P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits or more'
    )


@functools.cache
def _made() -> Identity:
    """Make a key and its certificate, by an authority made for it alone."""
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec

    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    made = certificate(key.public_key(), 'reenact_jax', authority, 'reenact_jax private authority')
    pem = forms.Encoding.PEM
    private = key.private_bytes(pem, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    return Identity('es256', made.public_bytes(pem), private)


def certificate(holder, name: str, authority, issuer: str):
    """Make a certificate as C2PA's profile asks: of a signer, or of an authority, its own issuer.

    Args:
      holder: public key.
      name: common name of the holder.
      authority: private key.
      issuer: name of the authority.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    is_ca = name == issuer
    oids = x509.oid.NameOID
    common = x509.NameAttribute(oids.ORGANIZATION_NAME, NAME)
    above, own = (
        x509.Name([common, x509.NameAttribute(oids.COMMON_NAME, n)]) for n in (issuer, name)
    )
    uses = dict.fromkeys(_KEY_USES, False)
    uses |= dict(digital_signature=not is_ca, key_cert_sign=is_ca, crl_sign=is_ca)
    key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    draft = x509.CertificateBuilder(above, own, holder, x509.random_serial_number(), _FROM, _UNTIL)
    draft = draft.add_extension(x509.BasicConstraints(is_ca, None), True)
    draft = draft.add_extension(x509.KeyUsage(**uses), True)
    draft = draft.add_extension(x509.SubjectKeyIdentifier.from_public_key(holder), False)
    draft = draft.add_extension(key, False)
    if not is_ca:
        usages = [x509.ObjectIdentifier(usage) for usage in _USAGES]
        draft = draft.add_extension(x509.ExtendedKeyUsage(usages), False)
    return draft.sign(authority, hashes.SHA256())
