"""Metrics for Prometheus. Names and labels are bounded by the configuration, never by the traffic."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from tulle._fast.base import figures as shared_figures
from tulle._fast.base.stats import Stats
from tulle.controlplane.table import RoutingTable
from tulle.proxy.admin import figures, processes
from tulle.proxy.admin.adaptive import adaptive_metrics, adaptive_states
from tulle.proxy.admin.breakers import breaker_metrics, breakers
from tulle.proxy.admin.certificate_metrics import certificate_metrics
from tulle.proxy.admin.control_metrics import control_metrics
from tulle.proxy.admin.figures import SECOND, Distribution, Requests
from tulle.proxy.admin.greetings import greeting_metrics
from tulle.proxy.admin.groups import Groups
from tulle.proxy.admin.grpc import grpc_metrics
from tulle.proxy.admin.health import check_metrics, outlier_metrics
from tulle.proxy.admin.names import Labels, Names
from tulle.proxy.admin.policies import policy_metrics, token_metrics
from tulle.proxy.admin.tls import handshakes_metric

SERIES = ("listener", "route", "cluster")
CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition(
    stats: Stats, names: Names, endpoints: bytes, context: dict[str, Any], table: Callable[[], RoutingTable]
) -> bytes:
    """All metrics in Prometheus' text format.

    `endpoints` is the segment that goes with the names, `context` what the master knows, see `pages`; `table`
    reads the routing table, which is large where there are many routes.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(stats, names, endpoints, context, table))
    return generate_latest(registry)


class Figures(Collector):
    """One reading of everything."""

    def __init__(
        self,
        stats: Stats,
        names: Names,
        endpoints: bytes,
        context: dict[str, Any],
        table: Callable[[], RoutingTable],
    ) -> None:
        self.stats = stats
        self.table = table
        self.names = names
        self.segment = endpoints
        self.context = context
        self.bounds: tuple[int, ...] = tuple(context["histogram_buckets"])

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        requests = figures.requests(self.stats, self.names, self.bounds)
        yield from _requests(requests)
        yield self._histogram(
            "tulle_request_duration_seconds",
            "From the first byte of a request to the last byte of its response.",
            {labels: own.duration for labels, own in requests.items()},
        )
        yield self._histogram(
            "tulle_upstream_duration_seconds",
            "From a request sent upstream to the head of its response.",
            {labels: own.upstream for labels, own in requests.items()},
        )
        yield from _lanes(shared_figures.totals(self.stats))
        yield _gauge(
            "tulle_overload_state",
            "1 while new work is refused for want of it.",
            "limit",
            {limit: int(over) for limit, over in self.stats.overloaded.items()},
        )
        clusters = figures.clusters(self.stats, self.names)
        endpoints = figures.endpoints(self.stats, self.names)
        yield from _clusters(clusters)
        yield from _groups(clusters, Groups(self.segment, self.names, figures.healthy(endpoints)).panics())
        yield from _endpoints(endpoints)
        yield from outlier_metrics(clusters, endpoints)
        yield from check_metrics(clusters)
        yield from breaker_metrics(breakers(self.stats, self.names))
        yield from adaptive_metrics(adaptive_states(self.stats, self.names))
        yield from policy_metrics(self.stats, self.names)
        yield from grpc_metrics(self.stats, self.names, self.table)
        yield from token_metrics(self.stats)
        yield from _proxy(self.context)
        yield from certificate_metrics(self.context)
        yield from control_metrics(self.context["control_plane"])
        yield from _processes(self.context)

    def _histogram(self, name: str, help_text: str, found: dict[Labels, Distribution]) -> Metric:
        metric = HistogramMetricFamily(name, help_text, labels=SERIES)
        for labels, distribution in found.items():
            if distribution.number:
                buckets = list(self._buckets(distribution))
                metric.add_metric(list(labels), buckets, distribution.total / SECOND)
        return metric

    def _buckets(self, distribution: Distribution) -> Iterator[tuple[str, float]]:
        seen = 0
        for bound, count in zip(self.bounds, distribution.buckets, strict=False):
            seen += count
            yield repr(bound / SECOND), seen
        # the sum of the buckets, not the count: the two are written one after the other
        yield "+Inf", seen + distribution.buckets[-1]


def _requests(requests: dict[Labels, Requests]) -> Iterator[Metric]:
    by_class = CounterMetricFamily(
        "tulle_requests",
        "Requests by the class of their response; `none`: none was sent.",
        labels=(*SERIES, "code"),
    )
    by_flag = CounterMetricFamily(
        "tulle_response_flags",
        "Why requests ended as they did; the flags are Envoy's.",
        labels=(*SERIES, "flag"),
    )
    for labels, own in requests.items():
        for code, count in own.classes.items():
            if count:
                by_class.add_metric([*labels, code], count)
        for flag, count in own.flags.items():
            if count:
                by_flag.add_metric([*labels, flag], count)
    yield by_class
    yield by_flag
    yield _rate_limited(requests)


def _rate_limited(requests: dict[Labels, Requests]) -> Metric:
    limited: dict[str, int] = {}
    for labels, own in requests.items():
        if own.flags["RL"]:
            limited[labels.route] = limited.get(labels.route, 0) + own.flags["RL"]
    return _counter(
        "tulle_rate_limited",
        "Requests refused by a rate limit; without a route: by a listener's.",
        "route",
        limited,
    )


def _lanes(totals: dict[str, int]) -> Iterator[Metric]:
    total = totals.get
    yield _counter(
        "tulle_bytes",
        "Bytes on the wire, by the side of the proxy and the direction seen from there.",
        "direction",
        {
            f"{side}_{way}": total(f"bytes_{side}_{way}", 0)
            for side in ("downstream", "upstream")
            for way in ("received", "sent")
        },
    )
    sides = ("downstream", "upstream")
    yield _gauge(
        "tulle_connections_active",
        "Open connections.",
        "side",
        {side: total(f"{side}_active", 0) for side in sides},
    )
    yield _counter(
        "tulle_connections",
        "Connections accepted and opened.",
        "side",
        {side: total(f"{side}_total", 0) for side in sides},
    )
    yield _counter(
        "tulle_protocol_errors",
        "Messages that were refused as malformed.",
        "side",
        {side: total(f"protocol_errors_{side}", 0) for side in sides},
    )
    yield _counter(
        "tulle_http2_lost",
        "HTTP/2 connections whose peers did not answer a PING in time.",
        "side",
        {side: total(f"http2_lost_{side}", 0) for side in sides},
    )
    yield handshakes_metric(totals)
    yield from greeting_metrics(totals)
    yield GaugeMetricFamily("tulle_requests_active", "Requests at work.", value=total("requests_active", 0))
    yield GaugeMetricFamily(
        "tulle_tunnels_active", "Upgraded and tunnelled connections.", value=total("tunnels_active", 0)
    )
    yield GaugeMetricFamily(
        "tulle_memory_in_use_bytes",
        "What connections and requests occupy in the workers.",
        value=total("memory", 0),
    )
    yield _counter(
        "tulle_overload_refused",
        "Connections and requests that overload has refused.",
        "limit",
        {"connections": total("refused_connections", 0), "memory": total("refused_requests", 0)},
    )
    plain = {
        "tulle_replays": (
            "Requests sent again after a kept-alive connection had died under them.",
            "replays",
        ),
        "tulle_accept_paused": ("Times that a worker left a connection to the others.", "accept_paused"),
        "tulle_accept_failures": (
            "Connections that could not be accepted, for want of descriptors say.",
            "accept_failures",
        ),
        "tulle_accept_overflow": (
            "Connections closed at once: max_connections of a listener.",
            "accept_overflow",
        ),
        "tulle_http2_calmed": (
            "HTTP/2 connections ended with ENHANCE_YOUR_CALM: floods of frames, resets or errors.",
            "http2_calmed",
        ),
        "tulle_rate_limit_evictions": (
            "Buckets of clients that were in use and made way for another client's.",
            "rate_evictions",
        ),
        "tulle_access_log_lines": ("Lines handed to the access log.", "log_lines"),
        "tulle_access_log_dropped": (
            "Lines dropped because the log was not written fast enough.",
            "log_dropped",
        ),
        "tulle_series_overflow": (
            "Requests counted without their names for want of room.",
            "series_overflow",
        ),
        "tulle_series_freed": (
            "Series of listeners, routes and clusters that had gone, and whose room is free again.",
            "series_freed",
        ),
        "tulle_grpc_overflow": (
            "gRPC calls that are not in tulle_grpc_requests_total, for want of room.",
            "grpc_overflow",
        ),
    }
    yield GaugeMetricFamily(
        "tulle_series_active",
        "Series of a listener, route and cluster in the workers.",
        value=total("series_count", 0),
    )
    for name, (help_text, field) in plain.items():
        yield CounterMetricFamily(name, help_text, value=total(field, 0))


def _clusters(clusters: dict[str, dict[str, int]]) -> Iterator[Metric]:
    def by_cluster(kind: type[Any], name: str, help_text: str, label: str, fields: dict[str, str]) -> Metric:
        metric: Metric = kind(name, help_text, labels=("cluster", label))
        for cluster, values in clusters.items():
            for value, field in fields.items():
                metric.add_metric([cluster, value], values[field])  # type: ignore[attr-defined]
        return metric

    active = GaugeMetricFamily(
        "tulle_upstream_requests_active", "Requests at work upstream.", labels=("cluster",)
    )
    pending = GaugeMetricFamily(
        "tulle_upstream_requests_pending", "Requests that wait for a connection.", labels=("cluster",)
    )
    retries = CounterMetricFamily(
        "tulle_retries", "Further tries: those that helped, those that did not, those not made.",
        labels=("cluster", "outcome"),
    )  # fmt: skip
    refused = CounterMetricFamily(
        "tulle_circuit_breaker_refused",
        "Requests refused because the cluster's circuit breaker was open.",
        labels=("cluster",),
    )
    for cluster, values in clusters.items():
        active.add_metric([cluster], values["requests_active"])
        pending.add_metric([cluster], values["held_pending"])
        retries.add_metric([cluster, "success"], values["retries_succeeded"])
        retries.add_metric([cluster, "failure"], max(0, values["retries"] - values["retries_succeeded"]))
        retries.add_metric([cluster, "limited"], values["retries_limited"])
        refused.add_metric([cluster], values["breaker_refused"])
    yield by_cluster(
        CounterMetricFamily,
        "tulle_mirrored",
        "Copies of requests; their answers are thrown away.",
        "outcome",
        {outcome: f"mirrored_{outcome}" for outcome in ("answered", "failed", "abandoned")},
    )
    yield by_cluster(
        CounterMetricFamily,
        "tulle_hedges",
        "Second tries beside another: those that took its place, those that were given up, those not made.",
        "outcome",
        {outcome: f"hedges_{outcome}" for outcome in ("won", "lost", "refused")},
    )
    yield active
    yield pending
    yield retries
    yield refused
    yield by_cluster(
        CounterMetricFamily,
        "tulle_circuit_breaker_overflow",
        "Requests refused because the cluster's limit was reached.",
        "limit",
        {limit: f"overflow_{limit}" for limit in (*shared_figures.LIMITS, "adaptive")},
    )
    yield by_cluster(
        GaugeMetricFamily,
        "tulle_circuit_breaker_held",
        "How much of the cluster's limit is taken, by all workers together.",
        "limit",
        {limit: f"held_{limit}" for limit in shared_figures.LIMITS},
    )
    yield by_cluster(
        CounterMetricFamily,
        "tulle_upstream_connect_failures",
        "Connections that could not be made.",
        "reason",
        {"refused": "connect_failures", "timeout": "connect_timeouts"},
    )
    yield by_cluster(
        CounterMetricFamily,
        "tulle_upstream_timeouts",
        "Requests that took too long.",
        "kind",
        {"request": "request_timeouts", "pending": "pending_timeouts"},
    )


def _groups(clusters: dict[str, dict[str, int]], panics: dict[str, bool]) -> Iterator[Metric]:
    panic = GaugeMetricFamily(
        "tulle_cluster_panic", "1 while a priority of the cluster is in a panic.", labels=("cluster",)
    )
    panicking = CounterMetricFamily(
        "tulle_cluster_panic_requests", "Tries in a priority that was in a panic.", labels=("cluster",)
    )
    zones = CounterMetricFamily(
        "tulle_zone_requests", "Tries by zone, of clusters that prefer the own.", labels=("cluster", "zone")
    )
    fallbacks = CounterMetricFamily(
        "tulle_subset_fallbacks",
        "Tries with any endpoint, because none of the subset could be used.",
        labels=("cluster",),
    )
    for cluster, values in clusters.items():
        panic.add_metric([cluster], int(panics.get(cluster, False)))
        panicking.add_metric([cluster], values["panic_picks"])
        fallbacks.add_metric([cluster], values["subset_fallbacks"])
        if values["zone_local"] or values["zone_other"]:
            zones.add_metric([cluster, "local"], values["zone_local"])
            zones.add_metric([cluster, "other"], values["zone_other"])
    yield from (panic, panicking, zones, fallbacks)


def _endpoints(endpoints: dict[tuple[str, str], dict[str, int]]) -> Iterator[Metric]:
    place = ("cluster", "endpoint")
    healthy = GaugeMetricFamily("tulle_endpoint_healthy", "1 if the endpoint may be chosen.", labels=place)
    active = GaugeMetricFamily("tulle_endpoint_requests_active", "Requests at work.", labels=place)
    connections = GaugeMetricFamily(
        "tulle_endpoint_connections", "Connections to the endpoint.", labels=(*place, "state")
    )
    requests = CounterMetricFamily(
        "tulle_endpoint_requests", "Tries by response class.", labels=(*place, "code")
    )
    failures = CounterMetricFamily("tulle_endpoint_failures", "Tries that failed.", labels=(*place, "reason"))
    latency = GaugeMetricFamily(
        "tulle_endpoint_latency_seconds", "What peak EWMA takes for its latency.", labels=place
    )
    step_backs = CounterMetricFamily(
        "tulle_endpoint_step_backs", "Times that it asked to be left alone, by Retry-After.", labels=place
    )
    for where, values in endpoints.items():
        step_backs.add_metric(list(where), values["step_backs"])
        if values["latency_us"]:
            latency.add_metric(list(where), values["latency_us"] / 1e6)
        healthy.add_metric(list(where), values["healthy"])
        active.add_metric(list(where), values["requests_active"])
        connections.add_metric([*where, "active"], values["connections_active"])
        connections.add_metric([*where, "idle"], values["connections_idle"])
        for code in figures.CLASSES[1:]:
            if values[f"responses_{code}"]:
                requests.add_metric([*where, code], values[f"responses_{code}"])
        for reason, field in (("connect", "connect_failures"), ("reset", "resets"), ("timeout", "timeouts")):
            failures.add_metric([*where, reason], values[field])
    yield from (healthy, active, connections, requests, failures, step_backs, latency)


def _proxy(context: dict[str, Any]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "tulle_config_version", "The version of the configuration in use.", value=context["version"]
    )
    yield _counter("tulle_config_reloads", "Reloads by what came of them.", "outcome", context["reloads"])
    yield CounterMetricFamily(
        "tulle_worker_restarts", "Workers that died and were begun again.", value=context["restarts"]
    )
    states: dict[str, int] = {}
    for worker in context["workers"]:
        states[worker["state"]] = states.get(worker["state"], 0) + 1
    yield _gauge("tulle_workers", "Workers by state.", "state", states)
    information = GaugeMetricFamily(
        "tulle_build_info", "1, with the version of the program.", labels=("version",)
    )
    information.add_metric([context["program"]], 1)
    yield information


def _processes(context: dict[str, Any]) -> Iterator[Metric]:
    """The names that every Prometheus client uses, here for all processes of the proxy together."""
    found = processes.usage([context["pid"], *context["children"]])
    yield CounterMetricFamily("process_cpu_seconds", "CPU time of all processes.", value=found.cpu)
    yield GaugeMetricFamily(
        "process_resident_memory_bytes", "Proportional set size of all processes.", value=found.memory
    )
    yield GaugeMetricFamily("process_open_fds", "Open descriptors of all processes.", value=found.descriptors)
    yield GaugeMetricFamily(
        "process_start_time_seconds",
        "When the proxy was started, since the epoch.",
        value=context["start_time"],
    )


def _counter(name: str, help_text: str, label: str, values: dict[str, int]) -> Metric:
    metric = CounterMetricFamily(name, help_text, labels=(label,))
    for value, count in values.items():
        metric.add_metric([value], count)
    return metric


def _gauge(name: str, help_text: str, label: str, values: dict[str, int]) -> Metric:
    metric = GaugeMetricFamily(name, help_text, labels=(label,))
    for value, count in values.items():
        metric.add_metric([value], count)
    return metric
