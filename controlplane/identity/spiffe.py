"""SPIFFE ids, `spiffe://trust-domain/ns/x/sa/y`: who a workload is, as the SPIFFE-ID standard has it.

An id that is compared is compared as text, so there is one spelling of each and whatever else is refused: no
escapes, no upper case in the trust domain, no empty, `.` or `..` segment, no query, fragment, user or port.
"""

import re
from typing import NamedTuple

SCHEME = "spiffe://"
LONGEST_ID = 2048  # bytes, SPIFFE-ID 2.3
LONGEST_TRUST_DOMAIN = 255  # bytes, SPIFFE-ID 2.1

_NOT_TRUST_DOMAIN = re.compile(r"[^a-z0-9._-]")
_NOT_SEGMENT = re.compile(r"[^A-Za-z0-9._-]")
_SERVICE = re.compile(r"/ns/([^/]+)/sa/([^/]+)")


class SpiffeId(NamedTuple):
    """A valid id. `path` begins with a slash, or is empty: then the id is that of the trust domain."""

    trust_domain: str
    path: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"

    @property
    def namespace(self) -> str:
        """`x` of `/ns/x/sa/y`; empty when the path is another."""
        match = _SERVICE.fullmatch(self.path)
        return match[1] if match else ""

    @property
    def service_account(self) -> str:
        """`y` of `/ns/x/sa/y`; empty when the path is another."""
        match = _SERVICE.fullmatch(self.path)
        return match[2] if match else ""


def parse(text: str) -> SpiffeId:
    """The id that a text is. ValueError says what is wrong with it and what would be right."""
    if not text.startswith(SCHEME):
        raise ValueError(f"{_shown(text)} is no SPIFFE id: it must begin with {SCHEME}")
    if len(text.encode()) > LONGEST_ID:
        raise ValueError(f"{_shown(text)} is longer than {LONGEST_ID:,} bytes")
    trust_domain, slash, rest = text.removeprefix(SCHEME).partition("/")
    check_trust_domain(trust_domain)
    for segment in rest.split("/") if slash else ():
        _check_segment(segment, text)
    return SpiffeId(trust_domain, slash + rest)


def parse_workload(text: str) -> SpiffeId:
    """The id of a workload: one with a path, as a leaf certificate must have it (X509-SVID 2)."""
    identity = parse(text)
    if not identity.path:
        example = service(identity.trust_domain, "default", "web")
        raise ValueError(f"{_shown(text)} names a trust domain and no workload in it; write {example}")
    return identity


def service(trust_domain: str, namespace: str, service_account: str) -> SpiffeId:
    """The id of a service account, checked."""
    check_trust_domain(trust_domain)
    path = f"/ns/{namespace}/sa/{service_account}"
    for segment in (namespace, service_account):
        _check_segment(segment, path)
    return SpiffeId(trust_domain, path)


def check_trust_domain(name: str) -> None:
    """ValueError when it is none."""
    found = _NOT_TRUST_DOMAIN.search(name)
    if found:
        raise ValueError(
            f"{found[0]!r} may not be in a trust domain, {_shown(name)}: lower-case letters, digits, `.`, `-`"
            " and `_` may"
        )
    if not name:
        raise ValueError("the trust domain is empty; write one as in spiffe://example.org/ns/default/sa/web")
    if len(name) > LONGEST_TRUST_DOMAIN:
        raise ValueError(f"the trust domain {_shown(name)} is longer than {LONGEST_TRUST_DOMAIN} bytes")


def _check_segment(segment: str, text: str) -> None:
    found = _NOT_SEGMENT.search(segment)
    if found:
        raise ValueError(
            f"{found[0]!r} may not be in the path of {_shown(text)}: letters, digits, `.`, `-` and `_` may"
        )
    if not segment:
        raise ValueError(f"{_shown(text)} has an empty segment; write no `//` and no `/` at the end")
    if segment in (".", ".."):
        raise ValueError(f"{_shown(text)} has the segment `{segment}`; write the path without it")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 100 else text[:97] + "...")
