"""What certificates and files of them say, as plain values: they go between processes and onto pages.

Nothing here needs the `cryptography` package, and nothing here is secret.
"""

from typing import Literal

from msgspec import Struct

DAY = 86400.0  # seconds
SOONEST_WARNING = 30 * DAY


class CertificateFacts(Struct, frozen=True):
    """One certificate. Times are seconds since 1970.

    Subject and issuer are written as RFC 4514 does; `names` as `openssl` does: `DNS:a.example`, `URI:spiffe://...`.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    serial: str  # hexadecimal
    not_before: float
    not_after: float
    fingerprint: str  # SHA-256 of the certificate, `AB:CD:...`
    key: str  # such as EC P-256
    is_ca: bool

    @property
    def title(self) -> str:
        """A short name for people: a URI before a DNS name before the subject."""
        for kind in ("URI:", "DNS:"):
            for name in self.names:
                if name.startswith(kind):
                    return name.removeprefix(kind)
        return self.subject or f"serial {self.serial}"

    def warn_from(self) -> float:
        """From when on to warn that it expires: a third of its life before, at most 30 days."""
        return self.not_after - min((self.not_after - self.not_before) / 3, SOONEST_WARNING)


class CertificateUse(Struct, frozen=True):
    """A file of certificates that is in use: what is in it, and by whom it is used."""

    role: Literal["certificate", "ca"]
    file: str
    listeners: tuple[str, ...]
    clusters: tuple[str, ...]
    certificates: tuple[CertificateFacts, ...]


class FileProblem(Struct, frozen=True):
    """What is wrong with a file. `code` is stable, for tools; a warning's file can be used."""

    code: str
    file: str
    message: str
    hint: str = ""
    is_warning: bool = False

    def text(self) -> str:
        """`file: message. hint`."""
        return f"{self.file}: {self.message}." + (f" {self.hint}" if self.hint else "")


def span(seconds: float) -> str:
    """How long, for people: in days, hours, minutes or seconds, whichever is right."""
    for unit, size in (("day", DAY), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}s"
    return f"{max(0, int(seconds))} s"
