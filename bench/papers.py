"""Certificates for a pair of proxies: one CA, a server and a client, EC P-256, good for a day."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bench.demand import SERVER_NAME

DAY = datetime.timedelta(days=1)
CLIENT_ID = "spiffe://mesh.example/ns/bench/sa/client"


def write_papers(folder: Path) -> None:
    """`ca.crt`, and for `server` and `client` a `.crt`, a `.key`, and a `.pem` with both."""
    authority = ec.generate_private_key(ec.SECP256R1())
    root = _sign("bench", authority, None, authority)
    (folder / "ca.crt").write_bytes(root.public_bytes(Encoding.PEM))
    names: dict[str, x509.GeneralName] = {
        "server": x509.DNSName(SERVER_NAME),
        "client": x509.UniformResourceIdentifier(CLIENT_ID),
    }
    for role, name in names.items():
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign(role, key, root, authority, name).public_bytes(Encoding.PEM)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for ending, content in (("crt", certificate), ("key", secret), ("pem", certificate + secret)):
            file = folder / f"{role}.{ending}"
            file.touch(mode=0o600)
            file.write_bytes(content)


def _sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    authority: ec.EllipticCurvePrivateKey,
    alternative: x509.GeneralName | None = None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
    )
    if alternative:
        builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
    return builder.sign(authority, hashes.SHA256())
