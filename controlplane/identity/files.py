"""Reads the files of a certificate: a chain with its key, or a bundle of CAs; and tells all that is wrong.

Everything is checked that would else show in a handshake, or worse, at a peer. Who calls: `tulle check`, the
compiler of a configuration, and who watches the files. Files are read once, as they are at that moment: that
a pair fits is found out here, and so a pair that is half written is refused.

Needs the `cryptography` package: import this when there is a certificate to look at.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tulle.controlplane.identity import inspect
from tulle.controlplane.identity.facts import CertificateFacts, FileProblem
from tulle.controlplane.identity.inspect import Purpose
from tulle.controlplane.identity.pem import blocks
from tulle.controlplane.identity.stamps import stamp, stamp_of

LARGEST_FILE = 1 << 20  # bytes
MOST_CERTIFICATES = 500  # in a file; all public CAs are about 150


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain with its key, as read. With errors among its problems it must not be used."""

    certificate_file: str
    key_file: str
    chain: tuple[CertificateFacts, ...]  # the leaf first
    problems: tuple[FileProblem, ...]
    certificate_pem: bytes = field(repr=False)  # the chain's blocks and nothing else
    key_pem: bytes = field(repr=False)  # secret
    digest: str  # of both, hexadecimal: the same files have the same
    stamps: dict[str, str]  # of the files when they were read, see `stamps`

    @property
    def usable(self) -> bool:
        return all(problem.is_warning for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Certificates of CAs to verify peers by, as read. With errors among its problems it must not be used."""

    file: str
    members: tuple[CertificateFacts, ...]
    problems: tuple[FileProblem, ...]
    pem: bytes = field(repr=False)  # the members' blocks and nothing else
    digest: str  # hexadecimal
    stamps: dict[str, str]  # as of a pair

    @property
    def usable(self) -> bool:
        return all(problem.is_warning for problem in self.problems)


def read_pair(certificate: str, key: str, now: float, purpose: Purpose | None = None) -> KeyPair:
    """Read a certificate chain and its key, which may be in one file.

    `now` is seconds since 1970; `purpose` is the side of the connection that shows the certificate, None when
    it may be either. OSError does not come through: it is a problem like others.
    """
    problems: list[FileProblem] = []
    stamps: dict[str, str] = {}
    certificate_text = _read(certificate, "certificate", problems, stamps)
    key_text = _read(key, "key", problems, stamps, secret=True)
    chain = _certificates(certificate_text, certificate, "certificate", problems)
    facts = [_facts(one, certificate, problems) for one in chain]
    if certificate_text is not None and os.path.realpath(certificate) != os.path.realpath(key):
        problems += _keys_among_certificates(certificate_text, certificate)
    key_pem, private = _key(key_text, key, problems)
    known = [one for one in facts if one is not None]
    if chain and len(known) == len(chain):
        problems += inspect.leaf_problems(chain[0], known[0], certificate, purpose)
        for one, its_facts in zip(chain, known, strict=True):
            problems += inspect.strength_problems(one, its_facts, certificate)
            problems += inspect.time_problems(its_facts, certificate, now)
        problems += inspect.chain_problems(chain, [its_facts.title for its_facts in known], certificate)
        if private is not None:
            problems += _fit(chain, known, private, certificate, key)
    pem = _pem(chain)
    digest = _digest(pem, key_pem)
    return KeyPair(certificate, key, tuple(known), tuple(problems), pem, key_pem, digest, stamps)


def read_bundle(file: str, now: float) -> Bundle:
    """Read the certificates of CAs. `now` is seconds since 1970; OSError does not come through.

    An expired member is a warning as long as another is valid: bundles overlap when a root is replaced.
    """
    problems: list[FileProblem] = []
    stamps: dict[str, str] = {}
    text = _read(file, "CA bundle", problems, stamps)
    found = _certificates(text, file, "CA bundle", problems)
    if text is not None:
        problems += _keys_among_certificates(text, file)
    facts = [_facts(one, file, problems) for one in found]
    known = [one for one in facts if one is not None]
    some_valid = any(one.not_before <= now < one.not_after for one in known)
    for one, its_facts in zip(found, facts, strict=True):
        if its_facts is None:
            continue
        problems += inspect.ca_problems(one, its_facts, file)
        problems += inspect.strength_problems(one, its_facts, file)
        for problem in inspect.time_problems(its_facts, file, now):
            problems.append(_as_warning(problem) if some_valid else problem)
    pem = _pem(found)
    return Bundle(file, tuple(known), tuple(problems), pem, _digest(pem), stamps)


def read_certificates(file: str) -> tuple[tuple[CertificateFacts, ...], tuple[FileProblem, ...]]:
    """What the certificates of a file say, whatever they are for, and why it cannot be read."""
    problems: list[FileProblem] = []
    found = _certificates(_read(file, "certificate", problems, {}), file, "certificate", problems)
    facts = [_facts(one, file, problems) for one in found]
    return tuple(one for one in facts if one is not None), tuple(problems)


def _as_warning(problem: FileProblem) -> FileProblem:
    return FileProblem(problem.code, problem.file, problem.message, problem.hint, is_warning=True)


def _pem(certificates: list[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).hexdigest()


# -- the files ------------------------------------------------------------------------------------------


def _read(
    file: str, what: str, problems: list[FileProblem], stamps: dict[str, str], secret: bool = False
) -> bytes | None:
    """The content, or None with a problem."""
    stamps[file] = stamp(file)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        denied = isinstance(error, PermissionError)
        hint = "Give the user of the proxy the right to read it." if denied else ""
        problems.append(FileProblem("unreadable", file, f"the {what} cannot be read: {error.strerror}", hint))
        return None
    status = os.fstat(descriptor)
    stamps[file] = stamp_of(status)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        problems.append(FileProblem("unreadable", file, f"the {what} is not in a regular file"))
        return None
    with os.fdopen(descriptor, "rb") as opened:
        try:
            data = opened.read(LARGEST_FILE + 1)
        except OSError as error:
            problems.append(FileProblem("unreadable", file, f"the {what} cannot be read: {error.strerror}"))
            return None
    if len(data) > LARGEST_FILE:
        problems.append(FileProblem("too-large", file, f"the file is larger than {LARGEST_FILE:,} bytes"))
        return None
    if secret:
        problems += permission_problems(file, status)
    return data


def permission_problems(file: str, status: os.stat_result) -> Iterator[FileProblem]:
    """A key that others may read. The group may when root owns it, as for keys that several services use."""
    allowed = 0o740 if status.st_uid == 0 and os.geteuid() != 0 else 0o700
    if stat.S_IMODE(status.st_mode) & ~allowed & 0o777:
        mode = stat.S_IMODE(status.st_mode)
        yield FileProblem(
            "key-permissions",
            file,
            f"the key may be read or written by others than its owner (mode {mode:04o})",
            f"Type: chmod 600 {file}",
            is_warning=True,
        )


def _certificates(
    text: bytes | None, file: str, what: str, problems: list[FileProblem]
) -> list[x509.Certificate]:
    if text is None:
        return []
    found: list[x509.Certificate] = []
    number = 0
    for block in blocks(text):
        if block.label not in ("CERTIFICATE", "X509 CERTIFICATE"):
            continue
        number += 1
        if number > MOST_CERTIFICATES:
            message = f"there are more than {MOST_CERTIFICATES} certificates"
            problems.append(FileProblem("too-large", file, message))
            break
        place = f"certificate {number} (line {block.line})"
        if block.text is None:
            message = f"{place} is not whole: its END line is missing"
            problems.append(FileProblem("malformed", file, message, "Write the file whole."))
            continue
        try:
            found.append(x509.load_pem_x509_certificate(block.text))
        except ValueError as error:
            problems.append(FileProblem("malformed", file, f"{place} is damaged: {_reason(error)}"))
    if not number:
        message = f"there is no {what} in PEM form in it"
        problems.append(FileProblem("malformed", file, message, _instead(text)))
    return found


def _instead(text: bytes) -> str:
    """What to do about a text without the blocks that are looked for."""
    if not text.strip():
        return "The file is empty."
    if text[:1] == b"\x30":
        return "It seems to be in DER form; type: openssl x509 -inform DER -in FILE -out FILE.pem"
    labels = [block.label for block in blocks(text)]
    if labels:
        return f"It has: {', '.join(dict.fromkeys(labels))}. Is it the right file?"
    return "It must have -----BEGIN CERTIFICATE-----."


def _reason(error: Exception) -> str:
    """The first line of what the library says, without its dot."""
    return (str(error).splitlines() or ["unknown"])[0].rstrip(". ")[:200]


def _facts(certificate: x509.Certificate, file: str, problems: list[FileProblem]) -> CertificateFacts | None:
    try:
        return inspect.facts_of(certificate)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        name = f"serial {certificate.serial_number:x}"
        problems.append(FileProblem("malformed", file, f"certificate {name} is damaged: {_reason(error)}"))
        return None


def _keys_among_certificates(text: bytes, file: str) -> Iterator[FileProblem]:
    for block in blocks(text):
        if block.label.endswith("PRIVATE KEY"):
            yield FileProblem(
                "key-in-certificate",
                file,
                f"there is a private key among the certificates (line {block.line}), which others may read",
                "Take it out, into a file of its own with mode 0600.",
                is_warning=True,
            )


def _key(text: bytes | None, file: str, problems: list[FileProblem]) -> tuple[bytes, PrivateKeyTypes | None]:
    """The key's block and the key; None with a problem. What a library says of a key is never repeated."""
    if text is None:
        return b"", None
    for block in blocks(text):
        if not block.label.endswith("PRIVATE KEY"):
            continue
        if block.text is None:
            message = f"the key (line {block.line}) is not whole: its END line is missing"
            problems.append(FileProblem("malformed", file, message, "Write the file whole."))
            return b"", None
        if block.label.startswith("ENCRYPTED") or b"\nProc-Type: 4,ENCRYPTED" in block.text:
            hint = f"Type: openssl pkey -in {file} -out NEW.key, and protect that with mode 0600."
            problems.append(FileProblem("encrypted-key", file, "the key is encrypted", hint))
            return b"", None
        try:
            return block.text, load_pem_private_key(block.text, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            problems.append(FileProblem("malformed", file, f"the key (line {block.line}) is damaged"))
            return b"", None
    labels = ", ".join(dict.fromkeys(block.label for block in blocks(text)))
    hint = "It must have -----BEGIN PRIVATE KEY-----."
    if labels:
        hint = f"It has: {labels}. Is it the right file?"
    problems.append(FileProblem("malformed", file, "there is no private key in PEM form in it", hint))
    return b"", None


def _fit(
    chain: list[x509.Certificate],
    facts: list[CertificateFacts],
    private: PrivateKeyTypes,
    certificate_file: str,
    key_file: str,
) -> Iterator[FileProblem]:
    """The key must be the leaf's."""
    public = inspect.public_bytes(private.public_key())
    own = [inspect.public_bytes(one.public_key()) == public for one in chain]
    if own[0]:
        return
    hint = "Was only one of the two files replaced?"
    if any(own):
        owner = own.index(True)
        hint = f"It is that of certificate {owner + 1}, {facts[owner].title}: put that first."
    yield FileProblem(
        "key-mismatch", key_file, f"the key is not that of {facts[0].title}, in {certificate_file}", hint
    )
