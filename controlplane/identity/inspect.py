"""Judges certificates and keys that have been read: what they say, and what makes them unfit for TLS.

Needs the `cryptography` package: import this when there is a certificate to look at.
"""

import time
from collections.abc import Iterator
from typing import Literal, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tulle.controlplane.identity import spiffe
from tulle.controlplane.identity.facts import CertificateFacts, FileProblem, span

Purpose = Literal["server", "client"]
Extension = TypeVar("Extension", bound=x509.ExtensionType)

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}  # RFC 8446 4.2.3
SMALLEST_RSA = 2048  # bits; what OpenSSL takes at security level 2
BROKEN_HASHES = ("md5", "sha1")
_PURPOSES = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth"),
}


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """What it says. ValueError when it is not well-formed somewhere inside."""
    fingerprint = certificate.fingerprint(SHA256()).hex(":").upper()
    constraints = _extension(certificate, x509.BasicConstraints)
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=tuple(_names(certificate)),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        fingerprint=fingerprint,
        key=key_text(certificate.public_key()),
        is_ca=constraints is not None and bool(constraints.ca),
    )


def _names(certificate: x509.Certificate) -> Iterator[str]:
    for name in _extension(certificate, x509.SubjectAlternativeName) or ():
        match name:
            case x509.DNSName():
                yield f"DNS:{name.value}"
            case x509.UniformResourceIdentifier():
                yield f"URI:{name.value}"
            case x509.IPAddress():
                yield f"IP:{name.value}"
            case x509.RFC822Name():
                yield f"email:{name.value}"


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def public_bytes(key: PublicKeyTypes) -> bytes:
    """A public key as bytes that can be compared."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_text(key: PublicKeyTypes | PrivateKeyTypes) -> str:
    """The kind of a key and its size, for people."""
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return f"EC {CURVES.get(key.curve.name, key.curve.name)}"
    name = type(key).__name__.lstrip("_")
    return name.partition("Public")[0].partition("Private")[0]


# -- one certificate ------------------------------------------------------------------------------------


def leaf_problems(
    certificate: x509.Certificate, facts: CertificateFacts, file: str, purpose: Purpose | None
) -> Iterator[FileProblem]:
    """Why peers would not take it as the certificate of who it names."""
    usage = _extension(certificate, x509.KeyUsage)
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    if usage is not None and not usage.digital_signature:
        yield FileProblem(
            "wrong-purpose",
            file,
            f"{facts.title} may not sign: its key usage lacks digitalSignature, which every handshake needs",
            "Have it issued with keyUsage=digitalSignature.",
        )
    if purpose is not None and extended is not None:
        wanted, name = _PURPOSES[purpose]
        if not {wanted, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(extended):
            yield FileProblem(
                "wrong-purpose",
                file,
                f"{facts.title} is not for a {purpose}: its extended key usage lacks {name}",
                f"Have it issued with extendedKeyUsage={name}, or with serverAuth,clientAuth for both sides.",
            )
    if facts.is_ca:
        yield FileProblem(
            "leaf-is-ca",
            file,
            f"{facts.title} is the certificate of a CA; who has its key may sign any other",
            "Have a certificate with CA:FALSE issued for the service: see `tulle ca issue --help`.",
            is_warning=True,
        )
    if not facts.names:
        yield FileProblem(
            "no-names",
            file,
            f"{facts.title} has no subject alternative name, so no peer can verify whose it is",
            "Have it issued with the service's DNS name or SPIFFE id.",
            is_warning=True,
        )
    yield from _svid_problems(facts, file)


def _svid_problems(facts: CertificateFacts, file: str) -> Iterator[FileProblem]:
    """X509-SVID 2: exactly one URI, and that a valid id of a workload."""
    uris = [name.removeprefix("URI:") for name in facts.names if name.startswith("URI:")]
    if not any(uri.lower().startswith(spiffe.SCHEME) for uri in uris):
        return
    wrong = ""
    if len(uris) > 1:
        wrong = f"it has {len(uris)} URIs ({', '.join(uris[:3])}) and may have one"
    else:
        try:
            spiffe.parse_workload(uris[0])
        except ValueError as error:
            wrong = str(error)
    if wrong:
        yield FileProblem(
            "not-an-svid",
            file,
            f"{facts.title} is no SPIFFE identity, and peers will refuse it as one: {wrong}",
            is_warning=True,
        )


def ca_problems(certificate: x509.Certificate, facts: CertificateFacts, file: str) -> Iterator[FileProblem]:
    """Why it can vouch for nothing."""
    usage = _extension(certificate, x509.KeyUsage)
    if not facts.is_ca:
        yield FileProblem(
            "not-a-ca",
            file,
            f"{facts.title} is not the certificate of a CA (CA:TRUE is missing), so it vouches for nothing",
            "Put the certificate of the one who issued it here instead.",
        )
    elif usage is not None and not usage.key_cert_sign:
        yield FileProblem(
            "not-a-ca",
            file,
            f"{facts.title} may not sign certificates: its key usage lacks keyCertSign",
            "Have it issued with keyUsage=keyCertSign,cRLSign.",
        )


def strength_problems(
    certificate: x509.Certificate, facts: CertificateFacts, file: str
) -> Iterator[FileProblem]:
    """Keys and signatures that TLS libraries refuse today."""
    yield from key_problems(certificate.public_key(), facts.title, file)
    if is_self_signed(certificate):
        return  # nobody relies on the signature of a root
    if name := broken_hash(certificate):
        yield FileProblem(
            "weak-signature",
            file,
            f"{facts.title} is signed with {name}, which peers refuse",
            "Have it issued anew with SHA-256 or better.",
        )


def key_problems(key: PublicKeyTypes | PrivateKeyTypes, title: str, file: str) -> Iterator[FileProblem]:
    """Why a key is not good enough, or of no use with TLS."""
    hint = (
        "Type: openssl ecparam -name prime256v1 -genkey -noout; and have a certificate issued for that key."
    )
    match key:
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            if key.key_size < SMALLEST_RSA:
                message = f"the key of {title} is weak: RSA with {key.key_size} bits, not {SMALLEST_RSA:,}"
                yield FileProblem("weak-key", file, message, hint)
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey():
            if key.curve.name not in CURVES:
                message = f"the key of {title} is on the curve {key.curve.name}, TLS 1.3 takes {_curves()}"
                yield FileProblem("unsupported-key", file, message, hint)
        case ed25519.Ed25519PublicKey() | ed25519.Ed25519PrivateKey():
            pass
        case ed448.Ed448PublicKey() | ed448.Ed448PrivateKey():
            pass
        case _:
            message = (
                f"the key of {title} is {key_text(key)}; TLS takes RSA, EC ({_curves()}), Ed25519, Ed448"
            )
            yield FileProblem("unsupported-key", file, message, hint)


def _curves() -> str:
    return ", ".join(CURVES.values())


# -- time -----------------------------------------------------------------------------------------------


def time_problems(facts: CertificateFacts, file: str, now: float) -> Iterator[FileProblem]:
    """Whether it is valid at this time (seconds since 1970), and for how long."""
    if now < facts.not_before:
        yield FileProblem(
            "not-yet-valid",
            file,
            f"{facts.title} is valid only in {span(facts.not_before - now)}, from {moment(facts.not_before)}",
            "Is the clock of this machine right?",
        )
    elif now >= facts.not_after:
        yield FileProblem(
            "expired",
            file,
            f"{facts.title} has expired {span(now - facts.not_after)} ago, at {moment(facts.not_after)}",
            "Have it issued anew.",
        )
    elif now >= facts.warn_from():
        yield FileProblem(
            "expires-soon",
            file,
            f"{facts.title} expires in {span(facts.not_after - now)}, at {moment(facts.not_after)}",
            "Have it issued anew.",
            is_warning=True,
        )


def moment(seconds: float) -> str:
    """A time in UTC, for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


# -- together -------------------------------------------------------------------------------------------


def is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject and issued_by(certificate, certificate)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the other has signed the one. Of a signature that is too weak to be tried the names decide."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return bool(broken_hash(certificate))
    return True


def broken_hash(certificate: x509.Certificate) -> str:
    """The hash of its signature if that is broken, or unknown here; else empty."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return certificate.signature_algorithm_oid.dotted_string
    if algorithm is None or not algorithm.name.startswith(BROKEN_HASHES):
        return ""
    return algorithm.name.upper()


def chain_problems(chain: list[x509.Certificate], titles: list[str], file: str) -> Iterator[FileProblem]:
    """A chain begins with the leaf, and each is signed by the next (RFC 8446 4.4.2)."""
    for position in range(1, len(chain)):
        if issued_by(chain[position - 1], chain[position]):
            continue
        right = next((n for n, other in enumerate(chain) if issued_by(chain[position - 1], other)), None)
        hint = "Leave out what does not belong to the chain."
        if right is not None and right != position - 1:
            hint = f"Its issuer is certificate {right + 1}: put that next."
        yield FileProblem(
            "chain-order",
            file,
            f"certificate {position} ({titles[position - 1]}) is not signed by certificate {position + 1}"
            f" ({titles[position]}), which comes next",
            f"The order is: the service's own, then who signed it, and so on. {hint}",
        )
