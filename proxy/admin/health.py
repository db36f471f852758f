"""What is known of the health of endpoints, for pages and metrics."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tulle.proxy.health.failures import in_words

REASONS = (
    "consecutive_5xx",
    "consecutive_gateway_failure",
    "consecutive_local_origin_failure",
    "success_rate",
    "local_origin_success_rate",
    "failure_percentage",
    "failure_percentage_local_origin",
    "probe",
)  # of ejections, as CLUSTER_FIELDS names them
_FIELDS = ("healthy", "unhealthy", "ejected_until", "ejections", "checked_since", "check_failure")
SECOND = 1_000_000_000


def health_view(values: Mapping[str, int]) -> dict[str, Any]:
    """The figures of an endpoint with its health told in words and seconds."""
    shown: dict[str, Any] = {name: value for name, value in values.items() if name not in _FIELDS}
    until = values["ejected_until"]
    left = max(0.0, round((until - time.monotonic_ns()) / SECOND, 1))
    if values["unhealthy"]:
        state = "unhealthy"
    elif until & 1:
        state = "probed"
    else:
        state = "ejected" if until else "healthy"
    return {
        "healthy": values["healthy"],
        "health": state,
        "ejected_for_seconds": left if until else 0,
        "ejections": values["ejections"],
        **_checked(values),
        **shown,
    }


def _checked(values: Mapping[str, int]) -> dict[str, Any]:
    """What active checks have found, of an endpoint that has them."""
    if not values["checked_since"]:
        return {}
    return {
        "health_since": round(values["checked_since"] / SECOND, 3),
        "last_check_failure": in_words(values["check_failure"]) or None,
    }


def check_metrics(clusters: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    """Active health checks by what they found."""
    checks = CounterMetricFamily(
        "tulle_health_checks", "Active health checks.", labels=("cluster", "outcome")
    )
    for cluster, counted in clusters.items():
        if counted["checks_passed"] or counted["checks_failed"]:
            checks.add_metric([cluster, "success"], counted["checks_passed"])
            checks.add_metric([cluster, "failure"], counted["checks_failed"])
    yield checks


def outlier_metrics(
    clusters: Mapping[str, Mapping[str, int]], endpoints: Mapping[tuple[str, str], Mapping[str, int]]
) -> Iterator[Metric]:
    """Ejections by cluster and reason, and how many endpoints are out now."""
    ejections = CounterMetricFamily(
        "tulle_outlier_ejections",
        "Endpoints taken out by outlier detection; `probe`: again, for a failed probe.",
        labels=("cluster", "reason"),
    )
    prevented = CounterMetricFamily(
        "tulle_outlier_ejections_prevented",
        "Ejections not made, as too many endpoints would have been out.",
        labels=("cluster",),
    )
    active = GaugeMetricFamily(
        "tulle_outlier_ejections_active", "Endpoints that are out now.", labels=("cluster",)
    )
    out: dict[str, int] = {}
    for (cluster, _), values in endpoints.items():
        out[cluster] = out.get(cluster, 0) + bool(values["ejected_until"])
    for cluster, counted in clusters.items():
        for reason in REASONS:
            if counted[f"ejections_{reason}"]:
                ejections.add_metric([cluster, reason], counted[f"ejections_{reason}"])
        prevented.add_metric([cluster], counted["ejections_prevented"])
        active.add_metric([cluster], out.get(cluster, 0))
    yield from (ejections, prevented, active)
