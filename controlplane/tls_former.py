"""The certificates and keys in what `tls_material` has made before: those that are in use.

A pair whose files have become unusable keeps what it had, and that is nowhere else. Secret, as what it reads.
"""

import struct
from collections.abc import Mapping

from tulle.controlplane.identity.reading import Key
from tulle.controlplane.table import RoutingTable

HEAD = struct.Struct("<8sIII")
NUMBER = struct.Struct("<I")
DIGESTS = 32  # bytes before the content of a set
RULES = struct.calcsize("<III")


def former_contents(table: RoutingTable, material: bytes) -> Mapping[Key, tuple[bytes, bytes]]:
    """By files: certificates and key in PEM form. `material` was made of this table."""
    found: dict[Key, tuple[bytes, bytes]] = {}
    reader = _Reader(material, HEAD.size)
    for row in table.tls:
        inner = _Reader(reader.text(), DIGESTS + RULES)
        for _ in ("ciphers", "suites", "groups", "alpn"):
            inner.text()
        authorities = inner.text()
        if row.ca:
            found[row.ca, ""] = authorities, b""
        inner.text()
        for _ in range(inner.number()):
            inner.number()
            inner.text()
        inner.number()
        for certificate in row.certificates:
            for _ in range(inner.number()):
                inner.text()
            found[certificate.certificate, certificate.key] = inner.text(), inner.text()
    return found


class _Reader:
    """Goes forward through what is laid out as `tls_material` does it."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position

    def number(self) -> int:
        (value,) = NUMBER.unpack_from(self.data, self.position)
        self.position += NUMBER.size
        return int(value)

    def text(self) -> bytes:
        length = self.number()
        self.position += length
        return self.data[self.position - length : self.position]
