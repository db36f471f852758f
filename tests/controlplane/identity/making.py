"""Certificates of every kind, good and bad, for tests."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = 1_800_000_000.0
DAY = 86400.0
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    private: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[no-any-return]


def make(
    name: str,
    issuer: Made | None = None,
    *,
    private: Any = None,
    ca: bool | None = False,
    names: tuple[str, ...] = (),
    begins: float = NOW - 60,
    ends: float = NOW + 90 * DAY,
    usage: tuple[str, ...] | None = None,
    extended: tuple[x509.ObjectIdentifier, ...] | None = None,
    algorithm: Any = None,
) -> Made:
    """A certificate, self-signed without an issuer; times are seconds since 1970.

    `names` are written `DNS:x`, `URI:x`, `IP:x`; `ca` None leaves the basic constraints out.
    """
    private = private or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.fromtimestamp(begins, datetime.UTC))
        .not_valid_after(datetime.datetime.fromtimestamp(ends, datetime.UTC))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if ca:
        identifier = x509.SubjectKeyIdentifier.from_public_key(private.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(list(map(_name, names))), critical=not name
        )
    if usage is not None:
        builder = builder.add_extension(x509.KeyUsage(**{one: one in usage for one in USAGES}), critical=True)
    if extended is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    signer = issuer.private if issuer else private
    return Made(builder.sign(signer, algorithm or hashes.SHA256()), private)


def _name(text: str) -> x509.GeneralName:
    kind, _, value = text.partition(":")
    if kind == "IP":
        return x509.IPAddress(ipaddress.ip_address(value))
    return x509.DNSName(value) if kind == "DNS" else x509.UniformResourceIdentifier(value)


def write(file: Path, *parts: Made | bytes, mode: int = 0o600) -> str:
    """Certificates, one after the other, or bytes as they are; the path as text."""
    file.write_bytes(b"".join(part.pem if isinstance(part, Made) else part for part in parts))
    file.chmod(mode)
    return str(file)
