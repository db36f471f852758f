"""What workers make TLS contexts of: certificates, keys, rules, as `_fast/net/tls_context.pxd` lays it out.

Its bytes hold private keys. They go into a sealed memfd that only the master and the workers have, and
nowhere else.
"""

import hashlib
import struct

from tulle.controlplane.identity.reading import Reader
from tulle.controlplane.table import CertificateRow, RoutingTable, TlsRow

MAGIC = b"TULLETLS"
LAYOUT = 1
LIBRARIES = {"cryptography": 0, "system": 1}
SERVER, REQUIRE, FORWARD = 1, 2, 4
PARTS = {"subject": 8, "uri": 16, "dns": 32}
VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}
NAME_DNS, NAME_URI = 0x82, 0x86

# Forward secrecy and authenticated encryption only; the cheapest of equals first
CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
GROUPS = "X25519:P-256:P-384"


def tls_material(table: RoutingTable, reader: Reader) -> bytes:
    """All sets of a table. ConfigError when the reader finds a file that cannot be used."""
    sets = [_text(_set(row, reader)) for row in table.tls]
    head = struct.pack("<8sIII", MAGIC, LAYOUT, LIBRARIES[table.tls_library], len(sets))
    return head + b"".join(sets)


def _set(row: TlsRow, reader: Reader) -> bytes:
    server = row.role == "server"
    ca = reader.bundle(row.ca).certificates if row.ca else b""
    rules = b"".join(
        (
            struct.pack(
                "<III",
                (SERVER if server else 0) | (REQUIRE if row.require else 0) | _forward(row.forward),
                VERSIONS[row.min_version],
                row.max_handshakes,
            ),
            *(
                _text(text.encode() + b"\0")
                for text in (row.ciphers or CIPHERS, row.suites or SUITES, GROUPS)
            ),
            _text(b"".join(bytes([len(name)]) + name.encode() for name in row.alpn)),
            _text(ca),
            _text(row.sni.encode()),
            _names([(NAME_DNS, name) for name in row.dns] + [(NAME_URI, name) for name in row.uri]),
        )
    )
    own = [
        _pair(certificate, reader, server, further=index > 0)
        for index, certificate in enumerate(row.certificates)
    ]
    content = rules + struct.pack("<I", len(own)) + b"".join(own)
    # With whom a session was made stays true while roots, rules and the names of the own files do
    files = "\0".join(name for one in row.certificates for name in (one.certificate, one.key))
    trust = hashlib.blake2b(rules + files.encode(), digest_size=16).digest()
    return hashlib.blake2b(content, digest_size=16).digest() + trust + content


def _forward(parts: tuple[str, ...] | None) -> int:
    return 0 if parts is None else FORWARD | sum(PARTS[part] for part in parts)


def _pair(row: CertificateRow, reader: Reader, server: bool, further: bool) -> bytes:
    pair = reader.pair(row.certificate, row.key, "server" if server else "client")
    names = row.hostnames
    if further and not names:
        names = tuple(
            name.removeprefix("DNS:").lower() for name in pair.facts[0].names if name.startswith("DNS:")
        )
    parts = [struct.pack("<I", len(names)), *(_text(name.encode()) for name in names)]
    return b"".join((*parts, _text(pair.certificates), _text(pair.key)))


def _names(names: list[tuple[int, str]]) -> bytes:
    return struct.pack("<I", len(names)) + b"".join(
        struct.pack("<I", kind) + _text(name.encode()) for kind, name in names
    )


def _text(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data
