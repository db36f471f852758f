"""The pages that need names: made in a child, as nested figures that become JSON or text."""

from collections.abc import Iterable
from typing import Any

from tulle._fast.base import figures as shared_figures
from tulle._fast.base.stats import Stats
from tulle.controlplane.table import ClusterRow, RoutingTable, readable
from tulle.proxy.admin import figures
from tulle.proxy.admin.adaptive import adaptive_states, adaptive_view
from tulle.proxy.admin.breakers import breaker_view, breakers
from tulle.proxy.admin.figures import Requests
from tulle.proxy.admin.groups import Groups
from tulle.proxy.admin.health import health_view
from tulle.proxy.admin.names import Labels, Names
from tulle.proxy.admin.policies import of_listener, policies_page
from tulle.proxy.admin.tls import SIDES, handshakes

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
View = dict[str, Any]


class Views:
    """What one page is made from."""

    def __init__(
        self, stats: Stats, names: Names, table: RoutingTable, endpoints: bytes, context: dict[str, Any]
    ) -> None:
        """`endpoints` is the segment that goes with the names, `context` what the master knows."""
        self.stats = stats
        self.names = names
        self.table = table
        self.segment = endpoints
        self.context = context

    def stats_page(self) -> View:
        totals = shared_figures.totals(self.stats)
        by_labels = figures.requests(self.stats, self.names, ())
        # those that came through a listener, and are not mirrored
        of_clients = [own for labels, own in by_labels.items() if labels.listener]
        return {
            "version": self.context["version"],
            "uptime_seconds": self.context["uptime"],
            "workers": {"running": len(self.context["workers"]), "restarts": self.context["restarts"]},
            "reloads": self.context["reloads"],
            "connections": {
                "downstream_active": totals.get("downstream_active", 0),
                "downstream_total": totals.get("downstream_total", 0),
                "upstream_active": totals.get("upstream_active", 0),
                "upstream_total": totals.get("upstream_total", 0),
                "tunnels_active": totals.get("tunnels_active", 0),
                "accept_paused": totals.get("accept_paused", 0),
                "accept_failures": totals.get("accept_failures", 0),
                "accept_overflow": totals.get("accept_overflow", 0),
            },
            "bytes": {
                name.removeprefix("bytes_"): value
                for name, value in totals.items()
                if name.startswith("bytes_")
            },
            "protocol_errors": {
                "downstream": totals.get("protocol_errors_downstream", 0),
                "upstream": totals.get("protocol_errors_upstream", 0),
            },
            "tls_handshakes": {side: handshakes(totals, side) for side in SIDES},
            "log": {"lines": totals.get("log_lines", 0), "dropped": totals.get("log_dropped", 0)},
            "rate_limit_evictions": totals.get("rate_evictions", 0),
            "replays": totals.get("replays", 0),
            "requests": {"active": totals.get("requests_active", 0), **summary(of_clients)},
            "listeners": self._by("listener", by_labels, self.names.listeners.values()),
            "routes": self._routes(by_labels),
            "clusters": self._by("cluster", by_labels, self.names.clusters.values()),
        }

    def _by(self, field: str, by_labels: dict[Labels, Requests], names: Iterable[str]) -> View:
        fine = figures.durations(self.stats, self.names, by_cluster=field == "cluster")
        found = {}
        for name in names:
            own = [requests for labels, requests in by_labels.items() if getattr(labels, field) == name]
            times = figures.quantiles(fine.get(name, ()), tuple(SHARES.values()))
            found[name] = summary(own) | {
                f"duration_{share}_us": time for share, time in zip(SHARES, times, strict=True)
            }
        return found

    def _routes(self, by_labels: dict[Labels, Requests]) -> View:
        groups: dict[str, list[Requests]] = {}
        for labels, requests in by_labels.items():
            if labels.route and labels.listener:
                groups.setdefault(f"{labels.listener} {labels.route}", []).append(requests)
        return {name: summary(group) for name, group in groups.items()}

    def clusters_page(self) -> View:
        counted = figures.clusters(self.stats, self.names)
        counted_endpoints = figures.endpoints(self.stats, self.names)
        groups = Groups(self.segment, self.names, figures.healthy(counted_endpoints))
        known = breakers(self.stats, self.names)
        adaptive = adaptive_states(self.stats, self.names)
        endpoints: dict[str, View] = {}
        for (cluster, address), values in counted_endpoints.items():
            endpoints.setdefault(cluster, {})[address] = health_view(values)
            if (cluster, address) in known:
                endpoints[cluster][address]["breaker"] = known[cluster, address].state
        return {
            row.name: {
                "load_balancer": row.balancer,
                **_balancing(row),
                "limits": {
                    "max_connections": row.max_connections,
                    "max_pending_requests": row.max_pending,
                    "max_requests": row.max_requests,
                    "max_retries": row.max_retries,
                    "retry_budget": readable(row.retry_budget),
                },
                "breaker": breaker_view(row, known.get((row.name, ""))),
                "adaptive_concurrency": adaptive_view(row, adaptive.get(row.name)),
                **counted.get(row.name, {}),
                "groups": groups.groups(row),
                "endpoints": {
                    address: {**place, **endpoints.get(row.name, {}).get(address, {})}
                    for address, place in groups.endpoints(row.name).items()
                },
            }
            for row in self.table.clusters
        }

    def listeners_page(self) -> View:
        by_labels = figures.requests(self.stats, self.names, ())
        return {
            row.name: {
                "address": self.context["addresses"].get(row.name, row.address),
                "protocol": row.protocol,
                "routes": self.table.tables[row.table].name,
                "policies": of_listener(self.table, index),
                **summary(own for labels, own in by_labels.items() if labels.listener == row.name),
            }
            for index, row in enumerate(self.table.listeners)
        }

    def routes_page(self) -> View:
        return {
            table.name: [_route(readable(route), self.table) for route in table.routes]
            for table in self.table.tables
        }

    def policies_page(self) -> View:
        return policies_page(self.table, self.stats, self.names)

    def config_dump_page(self) -> View:
        return {"version": self.context["version"], "config": readable(self.table)}


def summary(group: Iterable[Requests]) -> View:
    """Requests together: how many, by class, by flag, bytes."""
    classes = dict.fromkeys(figures.CLASSES, 0)
    flags: dict[str, int] = {}
    received = sent = 0
    for requests in group:
        for name, count in requests.classes.items():
            classes[name] += count
        for name, count in requests.flags.items():
            if count:
                flags[name] = flags.get(name, 0) + count
        received += requests.received
        sent += requests.sent
    return {
        "total": sum(classes.values()),
        "classes": classes,
        "flags": flags,
        "bytes_received": received,
        "bytes_sent": sent,
    }


def _balancing(row: ClusterRow) -> View:
    """What the algorithm is told, as far as it is told anything. Durations are nanoseconds."""
    told = {
        "max_step_back": row.max_step_back,
        "peak_ewma": readable(row.peak_ewma),
        "hash_on": [item.name or item.kind for item in row.hash_on],
        "ring_hash": readable(row.ring),
        "bounded_load": row.bounded_load,
        "session_affinity": row.affinity.name if row.affinity is not None else "",
        "slow_start": readable(row.slow_start),
    }
    return {name: value for name, value in told.items() if value}


def _route(route: View, table: RoutingTable) -> View:
    """What says something, with the names of clusters."""
    for match in route["matches"]:
        if match["kind"] == "prefix":
            match["path"] = match["path"] or "/"
        for name in [name for name, value in match.items() if not value]:
            del match[name]
    for backend in route["backends"]:
        _name_goal(backend, table)
    for mirror in route["mirrors"]:
        _name_goal(mirror, table)
    return {name: value for name, value in route.items() if value not in (None, "", [], 0, False)}


def _name_goal(goal: View, table: RoutingTable) -> None:
    """The names of a cluster and of a subset of it, in place of their numbers."""
    cluster = table.clusters[goal["cluster"]]
    goal["cluster"] = cluster.name
    subset = goal.pop("subset")
    if subset:
        goal["subset"] = dict(cluster.subsets[subset - 1])
