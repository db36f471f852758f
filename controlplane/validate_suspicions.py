"""Policies that are legal and can hardly be meant: what never happens, and what leaves others no effect.

Only what was written down is doubted, never a default alone. Values are read here that other checks may have
found wrong; those are passed over.
"""

from collections.abc import Sequence

from tulle.controlplane.address import is_name, parse_address
from tulle.controlplane.findings import Report
from tulle.controlplane.model import Config
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_health import HealthCheck, OutlierDetection
from tulle.controlplane.model_routes import Backend, Retries, Route
from tulle.controlplane.model_traffic import Mirror, RateLimit
from tulle.controlplane.problems import Path
from tulle.controlplane.subsets import pairs
from tulle.controlplane.units import nanoseconds

MAGLEV_SIZE = 65_537
_CLUSTER = Cluster()
_OUTLIER = OutlierDetection()


def check_suspicions(config: Config, report: Report) -> None:
    asked = _clusters_with_subsets(config)
    for name, cluster in config.clusters.items():
        _check_cluster(cluster, ("clusters", name), report)
        if cluster.subset_fallback != "none" and name not in asked:
            report.warning(
                "no-effect", ("clusters", name, "subset_fallback"),
                "means nothing: no backend or mirror asks for a subset of this cluster",
            )  # fmt: skip
    for name, routes in config.routes.items():
        limits = [
            limit
            for listener in config.listeners
            if listener.routes == name
            for limit in listener.rate_limits
        ]
        for index, route in enumerate(routes):
            _check_route(route, ("routes", name, index), limits, report)
    for index, listener in enumerate(config.listeners):
        _check_covered(listener.rate_limits, [], ("listeners", index, "rate_limits"), report)


def _clusters_with_subsets(config: Config) -> set[str]:
    goals: list[Backend | Mirror] = []
    for listener in config.listeners:
        goals += listener.backends
    for routes in config.routes.values():
        for route in routes:
            goals += [*route.backends, *route.mirror]
    return {goal.cluster for goal in goals if goal.subset}


def _read(text: str | None) -> int:
    """Nanoseconds; 0 for none, and for what is no duration."""
    try:
        return nanoseconds(text or "0s")
    except ValueError:
        return 0


# -- clusters ---------------------------------------------------------------------------------------------


def _check_cluster(cluster: Cluster, path: Path, report: Report) -> None:
    _check_priorities(cluster, path, report)
    _check_table(cluster, path, report)
    _check_hash_items(cluster, path, report)
    breaker = cluster.circuit_breaker
    pending, requests = breaker.max_pending_requests, breaker.max_requests
    default = _CLUSTER.circuit_breaker.max_pending_requests
    if pending not in (None, default) and requests is not None and pending is not None and pending > requests:
        report.warning(
            "never", (*path, "circuit_breaker", "max_pending_requests"),
            f"is never reached: what waits is under way, and max_requests is {requests:,}",
        )  # fmt: skip
    judged = cluster.outlier_detection is not None or cluster.health_checks
    if cluster.panic_threshold == 100 and judged:
        report.warning(
            "no-effect", (*path, "panic_threshold"),
            "is 100: as soon as one endpoint is taken out, all are used again",
        )  # fmt: skip
    if cluster.outlier_detection is not None:
        _check_outlier(cluster, cluster.outlier_detection, (*path, "outlier_detection"), report)
    for index, check in enumerate(cluster.health_checks):
        _check_times(check, (*path, "health_checks", index), report)


def _has_names(cluster: Cluster) -> bool:
    """Whether there is an endpoint that may become several."""
    for endpoint in cluster.endpoints:
        try:
            if is_name(parse_address(endpoint.address)):
                return True
        except ValueError:
            return True
    return False


def _check_priorities(cluster: Cluster, path: Path, report: Report) -> None:
    there = sorted({endpoint.priority for endpoint in cluster.endpoints})
    for expected, found in enumerate(there):
        if found != expected:
            report.warning(
                "priority-gap", (*path, "endpoints"),
                f"no endpoint has priority {expected}, though there are some with {found}",
            )  # fmt: skip
            return


def _check_table(cluster: Cluster, path: Path, report: Report) -> None:
    """Of a hash table, endpoints get places by weight: one with too little weight may get none."""
    sizes = {
        "maglev": MAGLEV_SIZE,
        "ring_hash": cluster.ring_hash.maximum_ring_size if cluster.ring_hash is not None else 0,
    }
    size = sizes.get(cluster.load_balancer, 0)
    total = sum(endpoint.weight for endpoint in cluster.endpoints)
    if not size or not total:
        return
    for index, endpoint in enumerate(cluster.endpoints):
        if endpoint.weight * size < total:
            report.warning(
                "table-size", (*path, "endpoints", index, "weight"),
                f"{endpoint.weight} of {total:,} is less than one of {size:,} places: it may get no request",
                "Use weights that are closer together, or a larger ring.",
            )  # fmt: skip
            return


def _check_hash_items(cluster: Cluster, path: Path, report: Report) -> None:
    seen: dict[tuple[str, str], int] = {}
    ended = -1
    for index, item in enumerate(cluster.hash_on):
        where = (*path, "hash_on", index)
        cookie = item.cookie.name if item.cookie is not None else ""
        key = ((item.header or "").lower(), cookie or (f"?{item.query}" if item.query else ""))
        if seen.setdefault(key, index) != index:
            report.warning("no-effect", where, f"is the same as hash_on[{seen[key]}]")
        elif ended >= 0:
            report.warning(
                "never",
                where,
                f"is never looked at: hash_on[{ended}] is there for every request, and terminal",
            )
        if ended < 0 and item.terminal and item.source_address:
            ended = index
        affinity = cluster.session_affinity
        if affinity is not None and cookie and cookie == affinity.cookie.name:
            report.warning(
                "contradiction", (*where, "cookie"), f"{cookie!r} is the cookie of session_affinity too",
                "Give one of them another name.",
            )  # fmt: skip


def _check_outlier(cluster: Cluster, policy: OutlierDetection, path: Path, report: Report) -> None:
    if _has_names(cluster) or not cluster.endpoints:
        return
    for key in ("success_rate_minimum_hosts", "failure_percentage_minimum_hosts"):
        hosts = getattr(policy, key)
        if hosts != getattr(_OUTLIER, key) and hosts > len(cluster.endpoints):
            report.warning(
                "never",
                (*path, key),
                f"{hosts} is more than the {len(cluster.endpoints)} endpoints there are",
            )


def _check_times(check: HealthCheck, path: Path, report: Report) -> None:
    interval = _read(check.interval)
    for key, text in (
        ("timeout", check.timeout),
        ("unhealthy_interval", check.unhealthy_interval),
        ("interval_jitter", check.interval_jitter),
    ):
        if _read(text) > interval > 0:
            report.warning("interval-order", (*path, key), f"{text} is longer than interval {check.interval}")


# -- routes -----------------------------------------------------------------------------------------------


def _check_route(route: Route, path: Path, of_listener: Sequence[RateLimit], report: Report) -> None:
    timeouts = route.timeouts
    retries = route.retries
    if retries is not None:
        _check_retries(retries, (*path, "retries"), report)
        if retries.attempts > 0 and 0 < _read(timeouts.request) == _read(timeouts.per_try):
            report.warning(
                "timeout-order", (*path, "timeouts", "per_try"),
                f"{timeouts.per_try} is all the time of the request: a try that takes it is never followed",
            )  # fmt: skip
    if _read(timeouts.first_byte) > _read(timeouts.idle) > 0:
        report.warning(
            "timeout-order", (*path, "timeouts", "first_byte"),
            f"{timeouts.first_byte} is longer than idle {timeouts.idle}, which ends the request before",
        )  # fmt: skip
    for index, mirror in enumerate(route.mirror):
        for backend in route.backends:
            if (mirror.cluster, pairs(mirror.subset)) == (backend.cluster, pairs(backend.subset)):
                report.warning(
                    "mirror-self", (*path, "mirror", index),
                    f"sends copies to {mirror.cluster!r}, where the requests go too",
                )  # fmt: skip
    _check_covered(route.rate_limits, of_listener, (*path, "rate_limits"), report)


def _check_retries(retries: Retries, path: Path, report: Report) -> None:
    if not retries.on:
        report.warning("retry-unused", (*path, "on"), "is empty: nothing is ever tried again")
    seen: set[str] = set()
    for index, reason in enumerate(retries.on):
        if str(reason) in seen:
            report.warning("retry-unused", (*path, "on", index), f"{reason} is there already")
        seen.add(str(reason))


def _check_covered(
    limits: Sequence[RateLimit], others: Sequence[RateLimit], path: Path, report: Report
) -> None:
    """A limit that refuses nothing that another one, of the list or of the listener, lets through."""
    for index, limit in enumerate(limits):
        stricter = next(
            (other for other in (*limits, *others) if other is not limit and _is_stricter(other, limit)), None
        )
        if stricter is not None:
            report.warning(
                "never", (*path, index),
                f"is never reached: another limit is {stricter.requests:,} in {stricter.per}",
            )  # fmt: skip


def _is_stricter(limit: RateLimit, other: RateLimit) -> bool:
    """Whether `limit` lets nothing through that `other` refuses, and is not the same."""
    if limit.key != other.key and limit.key != "all":
        return False
    networks = (limit.ipv4_prefix_length, limit.ipv6_prefix_length)
    if limit.key == "client_address" and networks != (other.ipv4_prefix_length, other.ipv6_prefix_length):
        return False
    per, other_per = _read(limit.per), _read(other.per)
    burst, other_burst = limit.burst or limit.requests, other.burst or other.requests
    if not per or not other_per:
        return False
    rate, other_rate = limit.requests * other_per, other.requests * per
    return rate <= other_rate and burst <= other_burst and (rate, burst) != (other_rate, other_burst)
