"""Private keys: the kinds that there may be, made and written.

Needs the `cryptography` package.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

PrivateKey = CertificateIssuerPrivateKeyTypes
KINDS: dict[str, Callable[[], PrivateKey]] = {
    "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa-3072": lambda: rsa.generate_private_key(65537, 3072),
}


def generate(kind: str = "ec-p256") -> PrivateKey:
    return KINDS[kind]()


def to_pem(key: PrivateKey) -> bytes:
    """PKCS #8, not encrypted: whoever writes it to a file gives that file mode 0600."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def from_pem(text: bytes) -> PrivateKey:
    """ValueError, without a word of the key, when it is none that can sign."""
    try:
        key = load_pem_private_key(text, None)
    except (ValueError, TypeError):
        raise ValueError("it is damaged, encrypted or no private key in PEM form") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        raise ValueError("a key of this kind cannot sign certificates")
    return key


def signature_hash(key: PrivateKey) -> SHA256 | SHA384 | None:
    """The hash that goes with a key's signatures; None where the kind of key brings its own."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp384r1":
        return SHA384()
    return SHA256()
