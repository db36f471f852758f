"""The vocabulary of TLS: whom a listener shows itself to be, whom a cluster expects, and by which rules."""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_values import Count, Duration, Hostname, Section
from tulle.controlplane.units import END

FilePath = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[^\x00]+" + END)]
Version = Literal["1.2", "1.3"]
CipherName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Z0-9_-]+" + END)]
Ciphers = Annotated[list[CipherName], Meta(max_length=64)]
Protocols = Annotated[tuple[Literal["http/1.1", "h2"], ...], Meta(min_length=1, max_length=8)]
Identity = Annotated[str, Meta(min_length=1, max_length=2048, pattern=r"^[\x21-\x7e]+" + END)]

ALPN_OF = {"http1": ("http/1.1",), "http2": ("h2",), "auto": ("h2", "http/1.1")}
"""What a cluster offers by its `protocol`, the preferred first."""


class Tls(Section, frozen=True):
    """What holds for TLS in the whole process."""

    library: Literal["cryptography", "system"] = "cryptography"


class ServerCertificate(Section, frozen=True):
    """A further certificate of a listener, for some of the names that clients ask for."""

    certificate: FilePath
    key: FilePath
    hostnames: list[Hostname] = []


class ServerTls(Section, frozen=True):
    """TLS with clients."""

    certificate: FilePath
    key: FilePath
    certificates: Annotated[list[ServerCertificate], Meta(max_length=1000)] = []
    client_ca: FilePath | None = None
    require_client_certificate: bool | None = None
    min_version: Version = "1.2"
    ciphers: Ciphers = []
    alpn: Protocols = ("h2", "http/1.1")
    handshake_timeout: Duration = "10s"
    max_handshakes: Count = 1024


class VerifyServer(Section, frozen=True):
    """Whose certificate a server must show: it has one of these names."""

    dns: list[Hostname] = []
    uri: list[Identity] = []


class ClusterTls(Section, frozen=True):
    """TLS with the endpoints of a cluster."""

    ca: FilePath
    certificate: FilePath | None = None
    key: FilePath | None = None
    sni: Hostname | None = None
    verify: VerifyServer = VerifyServer()
    min_version: Version = "1.2"
    ciphers: Ciphers = []
    alpn: Protocols | None = None
