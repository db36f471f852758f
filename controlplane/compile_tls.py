"""What of a compile concerns TLS: the material for the workers, and which certificates are in use.

The modules that read certificates need memory, so they are imported only for a table that has TLS.
"""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tulle.controlplane.identity.facts import CertificateUse, FileProblem
from tulle.controlplane.names import decode_names, encode_names
from tulle.controlplane.table import RoutingTable, TlsRow, decode_table

if TYPE_CHECKING:
    from tulle.controlplane.identity.reading import Content


class Secured(NamedTuple):
    """`material` is secret, and empty when nothing needs TLS; all else is for everyone."""

    material: bytes = b""
    uses: tuple[CertificateUse, ...] = ()
    stamps: Mapping[str, str] = MappingProxyType({})  # of the files when they were read


class Renewed(NamedTuple):
    """What came of reading the files again; the names have the serial that goes with it."""

    secured: Secured
    changed: bool
    lines: tuple[str, ...]  # what is new, for people
    faults: tuple[FileProblem, ...]  # of files that keep their former content
    names: bytes
    serial: int


def secure(table: RoutingTable) -> Secured:
    """Read all files of a table. ConfigError when one cannot be used."""
    if not table.tls:
        return Secured()
    from tulle.controlplane.identity.reading import Reader
    from tulle.controlplane.tls_material import tls_material

    reader = Reader(time.time())
    material = tls_material(table, reader)
    return Secured(material, _uses(table, reader.contents), reader.stamps)


def renew(table: bytes, previous: bytes, material: bytes, released: int) -> Renewed:
    """Read all files of a table again, which serves by this material; `previous` are its names.

    `released` is the serial before which no worker holds anything.

    Each file stands for itself: what cannot be used keeps its former content.
    """
    from tulle.controlplane.identity.reading import Reader
    from tulle.controlplane.tls_former import former_contents
    from tulle.controlplane.tls_material import tls_material

    decoded = decode_table(table)
    reader = Reader(time.time(), former_contents(decoded, material))
    new = tls_material(decoded, reader)
    names = decode_names(previous)
    names.release(released, time.monotonic())
    names.serial += 1
    secured = Secured(new, _uses(decoded, reader.contents), reader.stamps)
    lines, faults = tuple(reader.renewed()), tuple(reader.faults)
    return Renewed(secured, new != material, lines, faults, encode_names(names), names.serial)


def _uses(table: RoutingTable, contents: "dict[tuple[str, str], Content]") -> tuple[CertificateUse, ...]:
    """Each file once, with all who use it."""
    listeners: dict[tuple[str, str], list[str]] = {key: [] for key in contents}
    clusters: dict[tuple[str, str], list[str]] = {key: [] for key in contents}
    for owners, rows in ((listeners, table.listeners), (clusters, table.clusters)):
        for row in rows:
            if row.tls:
                for key in _files(table.tls[row.tls - 1]):
                    if row.name not in owners[key]:
                        owners[key].append(row.name)
    return tuple(
        CertificateUse(
            role="certificate" if key[1] else "ca",
            file=key[0],
            listeners=tuple(listeners[key]),
            clusters=tuple(clusters[key]),
            certificates=content.facts,
        )
        for key, content in contents.items()
    )


def _files(row: TlsRow) -> list[tuple[str, str]]:
    own = [(one.certificate, one.key) for one in row.certificates]
    return [*own, (row.ca, "")] if row.ca else own
