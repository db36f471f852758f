"""The endpoints of a cluster cut into sets and groups, as the endpoints segment has them.

A set has all endpoints, or those of a subset. Its groups are those of one priority; where the own zone is
preferred, and has endpoints of that priority, each zone is a group of its own. The request goes to one of the
groups by shares that workers find from what can be used of each (`_fast/policy/host_groups`).
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tulle.controlplane.address import SocketAddress
from tulle.controlplane.table import ClusterRow, Pairs

ZONE_UNKNOWN, ZONE_OWN, ZONE_OTHER = range(3)  # ZoneKind of the table image


class Server(NamedTuple):
    """One endpoint that can be connected to."""

    address: SocketAddress
    weight: int
    zone: str
    priority: int = 0
    metadata: Pairs = ()


class HostGroup(NamedTuple):
    """Endpoints, by their indexes, among which the balancer chooses.

    `zone` is empty where it means nothing.
    """

    priority: int
    zone: str
    members: list[int]


class HostSet(NamedTuple):
    """The endpoints that a backend may use; the subset of all is empty."""

    subset: Pairs
    groups: list[HostGroup]


class ClusterEndpoints(NamedTuple):
    """What is written of a cluster; `endpoints` as `write_endpoints` has them. No sets: one group of all."""

    endpoints: list[tuple[Any, ...]]
    panic_threshold: int = 50
    zone_aware: bool = False
    fall_back: bool = False
    sets: Sequence[HostSet] = ()


def cut(cluster: ClusterRow, servers: Sequence[Server], own_zone: str) -> list[HostSet]:
    """The sets of a cluster; none when all its endpoints are one group. `own_zone` is empty when unknown."""
    by_zone = cluster.zone_aware is not None and own_zone != ""
    if not (cluster.subsets or by_zone or any(server.priority for server in servers)):
        return []
    smallest = cluster.zone_aware.min_cluster_size if cluster.zone_aware is not None and by_zone else 0
    sets = [HostSet((), _groups(servers, range(len(servers)), own_zone, smallest))]
    for subset in cluster.subsets:
        wanted = set(subset)
        members = [index for index, server in enumerate(servers) if wanted.issubset(server.metadata)]
        sets.append(HostSet(subset, _groups(servers, members, own_zone, smallest)))
    return sets


def zone_kind(cluster: ClusterRow, server: Server, own_zone: str) -> int:
    """Whether an endpoint is in the own zone, where that is asked for."""
    if cluster.zone_aware is None or not own_zone:
        return ZONE_UNKNOWN
    return ZONE_OWN if server.zone == own_zone else ZONE_OTHER


def _groups(
    servers: Sequence[Server], members: Iterable[int], own_zone: str, smallest: int
) -> list[HostGroup]:
    """`smallest`: how many endpoints a priority must have to be cut by zone, 0: none is."""
    levels: dict[int, list[int]] = {}
    for index in members:
        levels.setdefault(servers[index].priority, []).append(index)
    groups = []
    for priority, level in sorted(levels.items()):
        zones: dict[str, list[int]] = {own_zone: []}
        for index in level:
            zones.setdefault(servers[index].zone, []).append(index)
        if smallest and len(level) >= smallest and zones[own_zone]:
            groups += [HostGroup(priority, zone, inside) for zone, inside in zones.items()]
        else:
            groups.append(HostGroup(priority, "", level))
    return groups
