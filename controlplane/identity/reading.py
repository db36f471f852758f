"""All files of certificates that a configuration uses, read at one time, and what is in them.

Without former contents a file that cannot be used refuses the whole: so a configuration is taken or refused.
With them, which is when files have changed under a running proxy, each pair and each bundle stands for
itself: what cannot be used keeps its former content, and a fault says why.

Needs the `cryptography` package.
"""

from collections.abc import Mapping
from typing import NamedTuple

from cryptography import x509

from tulle.controlplane.identity.facts import CertificateFacts, FileProblem
from tulle.controlplane.identity.files import Bundle, KeyPair, read_bundle, read_pair
from tulle.controlplane.identity.inspect import Purpose, facts_of
from tulle.controlplane.problems import ConfigError, Problem

Key = tuple[str, str]  # the files of a certificate and of its key; a bundle's, and nothing


class Content(NamedTuple):
    """What is used of a pair, or of a bundle: then there is no key."""

    certificates: bytes  # PEM
    key: bytes  # PEM, secret
    facts: tuple[CertificateFacts, ...]

    def __repr__(self) -> str:
        return f"Content({', '.join(facts.title for facts in self.facts)})"


class Reader:
    """Reads each file once. `faults` and `stamps` are of all that was read."""

    def __init__(self, now: float, former: Mapping[Key, tuple[bytes, bytes]] | None = None) -> None:
        """`now` is seconds since 1970; `former` has certificates and key, as PEM, of what is in use."""
        self.now = now
        self.former = former
        self.contents: dict[Key, Content] = {}
        self.stamps: dict[str, str] = {}
        self.faults: list[FileProblem] = []

    def pair(self, certificate: str, key: str, purpose: Purpose) -> Content:
        """A certificate chain and its key. ConfigError when they cannot be used and there are no former."""
        if (certificate, key) not in self.contents:
            found = read_pair(certificate, key, self.now, purpose)
            content = Content(found.certificate_pem, found.key_pem, found.chain)
            self._take((certificate, key), found, content)
        return self.contents[certificate, key]

    def bundle(self, file: str) -> Content:
        """Certificates of CAs; as `pair`."""
        if (file, "") not in self.contents:
            found = read_bundle(file, self.now)
            self._take((file, ""), found, Content(found.pem, b"", found.members))
        return self.contents[file, ""]

    def _take(self, key: Key, found: KeyPair | Bundle, content: Content) -> None:
        self.stamps |= found.stamps
        if not found.usable:
            errors = [problem for problem in found.problems if not problem.is_warning]
            if self.former is None or key not in self.former:
                raise ConfigError([Problem("tls", "", problem.text()) for problem in errors])
            self.faults += errors
            certificates, private = self.former[key]
            content = Content(certificates, private, facts_in(certificates))
        self.contents[key] = content

    def renewed(self) -> list[str]:
        """A line for each file whose content is not the former."""
        if self.former is None:
            return []
        return [
            f"{file}: renewed, {content.facts[0].title}" + (f" and {more} more" if more else "")
            for (file, key), content in self.contents.items()
            if self.former.get((file, key)) != (content.certificates, content.key)
            for more in [0 if key else len(content.facts) - 1]
        ]


def facts_in(pem: bytes) -> tuple[CertificateFacts, ...]:
    """Of certificates that have been read before, and so are well-formed."""
    return tuple(facts_of(certificate) for certificate in x509.load_pem_x509_certificates(pem))
