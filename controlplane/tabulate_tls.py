"""TLS of the model to rows of the routing table."""

from collections.abc import Iterable

from tulle.controlplane.model_tls import ALPN_OF, ClusterTls, ServerTls
from tulle.controlplane.table import CertificateRow, TlsRow


class TlsRows:
    """Collects the rows of a table; a row that is there already is not added again."""

    def __init__(self) -> None:
        self.rows: dict[TlsRow, int] = {}

    def number(self, row: TlsRow | None) -> int:
        """What listeners and clusters call it: its index plus one, 0 for none."""
        return 0 if row is None else self.rows.setdefault(row, len(self.rows) + 1)


def server_row(tls: ServerTls | None, protocol: str, forward: tuple[str, ...] | None = None) -> TlsRow | None:
    """`protocol` is the listener's; `forward`: what of a client's certificate goes upstream, if anything."""
    if tls is None:
        return None
    ciphers, suites = _ciphers(tls.ciphers)
    require = tls.require_client_certificate
    return TlsRow(
        role="server",
        certificates=(
            CertificateRow(tls.certificate, tls.key),
            *(
                CertificateRow(further.certificate, further.key, tuple(map(str.lower, further.hostnames)))
                for further in tls.certificates
            ),
        ),
        ca=tls.client_ca or "",
        require=tls.client_ca is not None if require is None else require,
        min_version=tls.min_version,
        ciphers=ciphers,
        suites=suites,
        alpn=() if protocol == "tcp" else tuple(tls.alpn),
        max_handshakes=tls.max_handshakes,
        forward=forward if tls.client_ca else None,
    )


def client_row(tls: ClusterTls | None, protocol: str) -> TlsRow | None:
    """`protocol` is the one of the cluster."""
    if tls is None:
        return None
    ciphers, suites = _ciphers(tls.ciphers)
    own = tls.certificate is not None and tls.key is not None
    expected = tls.verify.dns or tls.verify.uri
    return TlsRow(
        role="client",
        certificates=(CertificateRow(tls.certificate or "", tls.key or ""),) if own else (),
        ca=tls.ca,
        require=True,
        min_version=tls.min_version,
        ciphers=ciphers,
        suites=suites,
        alpn=tuple(tls.alpn or ALPN_OF[protocol]),
        sni=tls.sni or "",
        dns=tuple(tls.verify.dns) if expected else (tls.sni or "",),
        uri=tuple(tls.verify.uri),
    )


def _ciphers(names: Iterable[str]) -> tuple[str, str]:
    """Lists for OpenSSL: of TLS 1.2 and of TLS 1.3."""
    own = list(names)
    return (
        ":".join(name for name in own if not name.startswith("TLS_")),
        ":".join(name for name in own if name.startswith("TLS_")),
    )
