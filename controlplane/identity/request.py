"""A certificate signing request (PKCS #10, RFC 2986) of somebody who wants an identity.

The request proves that who asks has the private key; it proves nothing else. Who gets which identity is for
the caller to know, and what the request asks for counts only in that it must not be something else.

Needs the `cryptography` package.
"""

from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from tulle.controlplane.identity import inspect
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.spiffe import SpiffeId

LONGEST_REQUEST = 64 * 1024  # bytes


class Identity(NamedTuple):
    """Who somebody is: what a certificate may say of them."""

    spiffe_id: SpiffeId
    dns_names: tuple[str, ...] = ()


class Request(NamedTuple):
    """A request whose signature is right and whose key is good. The names are only what it asks for."""

    public_key: CertificatePublicKeyTypes
    uris: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    others: tuple[str, ...] = ()  # names of other kinds


def read_request(pem: bytes) -> Request:
    """The request that a text is; IdentityError when it is not to be trusted with a certificate."""
    if len(pem) > LONGEST_REQUEST:
        raise IdentityError(f"the request is refused: it is longer than {LONGEST_REQUEST:,} bytes")
    try:
        csr = x509.load_pem_x509_csr(pem)
        valid = csr.is_signature_valid
        names = _names(csr)
        key = csr.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension):
        raise IdentityError(
            "the request is refused: it is damaged, or no certificate signing request in PEM form. One is"
            " made by: openssl req -new -key web.key -subj / -out web.csr"
        ) from None
    if not valid:
        raise IdentityError(
            "the request is refused: its signature is not right, so who asks may not have the key; make a new"
            " one with the key: openssl req -new -key web.key -subj / -out web.csr"
        )
    problems = list(inspect.key_problems(key, "the request", "request"))
    if problems:
        raise IdentityError(*(f"the request is refused: {one.message}. {one.hint}" for one in problems))
    return Request(key, *names)


def _names(csr: x509.CertificateSigningRequest) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    try:
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), (), ()
    uris, dns_names, others = [], [], []
    for name in names:
        match name:
            case x509.UniformResourceIdentifier():
                uris.append(name.value)
            case x509.DNSName():
                dns_names.append(name.value)
            case _:
                others.append(str(name.value))
    return tuple(uris), tuple(dns_names), tuple(others)


def check_asked(request: Request, allowed: Identity) -> None:
    """IdentityError when it asks for an identity other than the one that is allowed."""
    uris = set(request.uris) - {str(allowed.spiffe_id)}
    names = set(request.dns_names) - set(allowed.dns_names)
    excess = sorted(uris) + sorted(names) + sorted(request.others)
    if excess:
        raise IdentityError(
            f"the request is refused: it asks to be {', '.join(excess)[:300]}, and who asks is"
            f" {allowed.spiffe_id}"
        )
