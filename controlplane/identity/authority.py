"""A certificate authority in memory: makes roots and intermediates, and issues X.509-SVIDs.

Certificates follow RFC 5280 and the X509-SVID standard: a leaf has exactly one URI, which is its SPIFFE id,
may sign handshakes and nothing else, and is good for both sides of a connection; an intermediate may sign
leaves only. Times are passed in, in seconds since 1970. Certificates begin a little before, as clocks differ.

Needs the `cryptography` package.
"""

import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.facts import DAY, span
from tulle.controlplane.identity.keys import PrivateKey, signature_hash
from tulle.controlplane.identity.request import Identity, Request, check_asked
from tulle.controlplane.identity.spiffe import SpiffeId

BACKDATING = 300.0  # seconds by which clocks may differ; for a short life a tenth of it
LEAF_LIFE = DAY  # seconds, as the others
INTERMEDIATE_LIFE = 365 * DAY
ROOT_LIFE = 3650 * DAY
SHORTEST_LIFE = 1.0

_USAGES = (
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


class Signer(NamedTuple):
    """The certificate of a CA and its key."""

    certificate: x509.Certificate
    key: PrivateKey

    def __repr__(self) -> str:
        return f"Signer({self.certificate.subject.rfc4514_string()})"


class Issued(NamedTuple):
    """A certificate with what has to be sent before its root: the leaf first."""

    chain: tuple[x509.Certificate, ...]

    @property
    def pem(self) -> bytes:
        return to_pem(self.chain)

    @property
    def not_after(self) -> float:
        return self.chain[0].not_valid_after_utc.timestamp()


def to_pem(certificates: tuple[x509.Certificate, ...] | list[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def make_root(trust_domain: str, key: PrivateKey, now: float, life: float = ROOT_LIFE) -> Signer:
    """A root of a trust domain: everyone who has it in their bundle trusts what is below it."""
    subject = _ca_name(trust_domain, "root", key)
    builder = _builder(subject, subject, key.public_key(), now, now + life)
    builder = _as_ca(builder, trust_domain, key, key, levels=1)
    return Signer(builder.sign(key, signature_hash(key)), key)


def make_intermediate(
    trust_domain: str, root: Signer, key: PrivateKey, now: float, life: float = INTERMEDIATE_LIFE
) -> Signer:
    """What signs from day to day. It does not outlive its root."""
    end = min(now + life, root.certificate.not_valid_after_utc.timestamp())
    subject = _ca_name(trust_domain, "intermediate", key)
    builder = _builder(subject, root.certificate.subject, key.public_key(), now, end)
    builder = _as_ca(builder, trust_domain, key, root.key, levels=0)
    return Signer(builder.sign(root.key, signature_hash(root.key)), key)


def issue(
    signer: Signer,
    trust_domain: str,
    request: Request,
    allowed: Identity,
    now: float,
    life: float = LEAF_LIFE,
) -> Issued:
    """A certificate for who has the request's key and is `allowed` to be somebody.

    It ends with its signer's at the latest. IdentityError when the request asks for another identity, or the
    identity is of another trust domain or of none's workload.
    """
    check_asked(request, allowed)
    _check_allowed(allowed, trust_domain)
    if life < SHORTEST_LIFE:
        raise IdentityError(f"a certificate must live for {SHORTEST_LIFE:g} s at least")
    last = signer.certificate.not_valid_after_utc.timestamp()
    if now >= last:
        raise IdentityError(
            f"the intermediate CA has expired {span(now - last)} ago and signs no more; make another:"
            " tulle ca rotate DIR"
        )
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(str(allowed.spiffe_id))]
    names += map(x509.DNSName, allowed.dns_names)
    extended = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(x509.Name([]), signer.certificate.subject, request.public_key, now, min(now + life, last))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        # critical, as the subject is empty: RFC 5280 4.1.2.6
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
    )
    builder = _with_key_ids(builder, request.public_key, signer.key)
    return Issued((builder.sign(signer.key, signature_hash(signer.key)), signer.certificate))


def _check_allowed(allowed: Identity, trust_domain: str) -> None:
    identity = allowed.spiffe_id
    if identity.trust_domain != trust_domain:
        raise IdentityError(
            f"{identity} is not of this CA's trust domain, {trust_domain}; write"
            f" {SpiffeId(trust_domain, identity.path)}, or use the CA of {identity.trust_domain}"
        )
    if not identity.path:
        raise IdentityError(f"{identity} names the trust domain and no workload; add a path, /ns/x/sa/y")
    for name in allowed.dns_names:
        if not is_dns_name(name):
            raise IdentityError(f"{name!r} is no DNS name; write it as in web.shop.example or *.shop.example")


def is_dns_name(name: str) -> bool:
    """Whether it is a name in ASCII, its first label perhaps `*`."""
    labels = name.removeprefix("*.").split(".")
    return len(name) <= 253 and all(
        0 < len(label) <= 63
        and label.isascii()
        and label.replace("-", "a").isalnum()
        and "-" not in (label[0], label[-1])
        for label in labels
    )


# -- parts of a certificate -----------------------------------------------------------------------------


def _ca_name(trust_domain: str, role: str, key: PrivateKey) -> x509.Name:
    """Another key, another name: then there is no doubt which of two roots has signed. 64 bytes at most."""
    number = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest[:4].hex()
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{trust_domain[:36]} {role} {number}")])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, now: float, end: float
) -> x509.CertificateBuilder:
    begin = now - min(BACKDATING, (end - now) / 10)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.fromtimestamp(begin, datetime.UTC))
        .not_valid_after(datetime.datetime.fromtimestamp(end, datetime.UTC))
    )


def _as_ca(
    builder: x509.CertificateBuilder, trust_domain: str, key: PrivateKey, signing: PrivateKey, levels: int
) -> x509.CertificateBuilder:
    """`levels`: how many CAs may be below it."""
    name = x509.UniformResourceIdentifier(str(SpiffeId(trust_domain)))
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=levels), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
    )
    return _with_key_ids(builder, key.public_key(), signing)


def _with_key_ids(
    builder: x509.CertificateBuilder, key: CertificatePublicKeyTypes, signing: PrivateKey
) -> x509.CertificateBuilder:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key)
    return builder.add_extension(own, critical=False).add_extension(authority, critical=False)


def _usage(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in allowed for usage in _USAGES})
