"""Endpoints with resolved addresses, as the endpoints segment of the table image holds them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tulle._fast.policy.endpoints_writer import write_endpoints
from tulle.controlplane.address import SocketAddress, is_name, pack_sockaddr, parse_address
from tulle.controlplane.grouping import ClusterEndpoints, Server, cut, zone_kind
from tulle.controlplane.names import NameTable
from tulle.controlplane.table import ClusterRow, RoutingTable

Resolved = Mapping[str, Sequence[str]]  # "name:port" to IP addresses


def names_to_resolve(table: RoutingTable) -> list[tuple[str, int, str, int]]:
    """(cluster, index of the endpoint, host, port) of the endpoints that are given by name."""
    found = []
    for cluster in table.clusters:
        for index, endpoint in enumerate(cluster.endpoints):
            address = parse_address(endpoint.address, lowest_port=0)
            if is_name(address) and address.port is not None:
                found.append((cluster.name, index, address.host, address.port))
    return found


def servers_of(cluster: ClusterRow, resolved: Resolved) -> Iterator[Server]:
    """The endpoints of a cluster, each address once; names that are not resolved yet are left out."""
    seen = set()
    for endpoint in cluster.endpoints:
        address = parse_address(endpoint.address, lowest_port=0)
        found = [address]
        if is_name(address):
            found = [SocketAddress(host, address.port) for host in resolved.get(endpoint.address, ())]
        for server in found:
            if server not in seen:
                seen.add(server)
                yield Server(server, endpoint.weight, endpoint.zone, endpoint.priority, endpoint.metadata)


def endpoints_segment(
    table: RoutingTable, names: NameTable, resolved: Resolved, version: int, zone: str
) -> bytearray:
    """The endpoints segment; gives slots to endpoints in `names`, whose serial it carries.

    `zone` is where the proxy is, empty when that is not known.
    """
    servers = [list(servers_of(cluster, resolved)) for cluster in table.clusters]
    slots = iter(
        names.endpoints.assign(
            (
                f"{cluster.name} {server.address}"
                for cluster, group in zip(table.clusters, servers, strict=True)
                for server in group
            ),
            names.serial,
        )
    )
    segment: bytearray = write_endpoints(
        [
            ClusterEndpoints(
                [(*next(slots), *_endpoint(cluster, server, zone)) for server in group],
                cluster.panic_threshold,
                cluster.zone_aware is not None and zone != "",
                cluster.subset_fallback,
                cut(cluster, group, zone),
            )
            for cluster, group in zip(table.clusters, servers, strict=True)
        ],
        version,
        names.serial,
    )
    return segment


def _endpoint(cluster: ClusterRow, server: Server, zone: str) -> tuple[Any, ...]:
    """What `write_endpoints` wants to know beside the slot."""
    return (
        server.weight,
        str(server.address),
        server.zone,
        pack_sockaddr(server.address),
        server.priority,
        zone_kind(cluster, server, zone),
        msgspec.json.encode(dict(server.metadata)).decode() if server.metadata else "",
    )
