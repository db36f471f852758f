"""The checks of redirected connections: listeners that take them, clusters and routes that are for them."""

import ipaddress
from collections.abc import Iterable
from typing import Any

from msgspec import NODEFAULT
from msgspec.structs import fields

from tulle.controlplane.address import is_name, parse_address
from tulle.controlplane.findings import Report
from tulle.controlplane.model import Config, Listener
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_routes import Route
from tulle.controlplane.problems import Path
from tulle.controlplane.tabulate_interception import PASSTHROUGH, passes_on, passing_tables

# Of a cluster whose endpoints are wherever connections were meant for: nothing that tells endpoints apart
_CLUSTER_KEYS = frozenset(
    {"original_destination", "protocol", "connect_timeout", "pending_timeout", "circuit_breaker",
     "connection_pool", "max_response_head"}
)  # fmt: skip


def check_intercepting(listener: Listener, path: Path, config: Config, report: Report) -> None:
    """What a listener says of redirected connections, and whether its backends need them."""
    if not listener.original_destination:
        if listener.outbound != "allow_any":
            report.error(
                "combination", (*path, "outbound"), "means nothing without `original_destination: true`",
                "Leave it out.",
            )  # fmt: skip
        _refuse_clusters(listener, path, config, report)
        if listener.routes in passing_tables(config):
            _refuse_shared_routes(listener, path, report)
    elif listener.address.startswith("unix:"):
        report.error(
            "combination", (*path, "original_destination"),
            "cannot be with a Unix socket, to which nothing is redirected", "Give the listener a port.",
        )  # fmt: skip
    elif listener.routes in passing_tables(config) and not passes_on(listener):
        _refuse_shared_routes(listener, path, report)
    if passes_on(listener):
        own = config.clusters.get(PASSTHROUGH)
        if own is not None and not own.original_destination:
            report.error(
                "combination", ("clusters", PASSTHROUGH),
                f"is where the listener {listener.name!r} lets through to",
                "Add `original_destination: true`, or give it another name.",
            )  # fmt: skip


def _refuse_shared_routes(listener: Listener, path: Path, report: Report) -> None:
    report.error(
        "combination", (*path, "routes"),
        f"another listener lets through what none of {listener.routes!r} takes, and this one does not",
        "Give each of them routes of its own.",
    )  # fmt: skip


def _refuse_clusters(listener: Listener, path: Path, config: Config, report: Report) -> None:
    used = [(backend.cluster, (*path, "backends", index)) for index, backend in enumerate(listener.backends)]
    for index, route in enumerate(config.routes.get(listener.routes or "", [])):
        where: Path = ("routes", str(listener.routes), index)
        used += [(one.cluster, (*where, "backends", position)) for position, one in enumerate(route.backends)]
    for name, where in used:
        cluster = config.clusters.get(name)
        if cluster is not None and cluster.original_destination:
            report.error(
                "combination", where,
                f"the cluster {name!r} leads to where connections were meant for, but the listener"
                f" {listener.name!r} takes those that were meant for itself",
                "Use another cluster, or set `original_destination: true` there.",
            )  # fmt: skip


def check_anywhere(cluster: Cluster, path: Path, report: Report) -> None:
    """A cluster with `original_destination: true`."""
    for field in fields(cluster):
        default = field.default if field.default_factory is NODEFAULT else field.default_factory()
        value: Any = getattr(cluster, field.name)
        if field.name not in _CLUSTER_KEYS and value != default:
            report.error(
                "combination", (*path, field.name), "means nothing with `original_destination: true`",
                "Leave it out.",
            )  # fmt: skip
    if cluster.circuit_breaker.failure_rate is not None:
        report.error(
            "combination", (*path, "circuit_breaker", "failure_rate"),
            "would take one destination's failures for those of all", "Leave it out.",
        )  # fmt: skip


def check_intercepted_routes(routes: Iterable[Route], path: Path, config: Config, report: Report) -> None:
    """Which connections they are for, and that no copy goes where none was meant for."""
    for index, route in enumerate(routes):
        for position, text in enumerate(route.destinations):
            reason = _wrong_destination(text)
            if reason:
                report.error(
                    "address", (*path, index, "destinations", position), f"{text!r} {reason}",
                    "Write the address of a service with its port, as 10.96.0.7:80.",
                )  # fmt: skip
        for position, mirror in enumerate(route.mirror):
            cluster = config.clusters.get(mirror.cluster)
            if cluster is not None and cluster.original_destination:
                report.error(
                    "combination", (*path, index, "mirror", position, "cluster"),
                    "leads to where connections were meant for, which a copy has not", "Use another cluster.",
                )  # fmt: skip


def _wrong_destination(text: str) -> str:
    try:
        address = parse_address(text)
    except ValueError as error:
        return str(error).removeprefix(f"{text!r} ")
    if address.is_unix or is_name(address):
        return "is no IP address"
    found = ipaddress.ip_address(address.host)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return "is an IPv4 address in IPv6's clothes"
    return ""
