"""The states of circuit breakers, for pages and metrics."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tulle._fast.base.breaker_figures import BREAKER_KINDS, cluster_breakers, endpoint_breakers
from tulle._fast.base.stats import Stats
from tulle.controlplane.table import ClusterRow
from tulle.proxy.admin.names import Names


class Breaker(NamedTuple):
    """Its state, of `BREAKER_KINDS`, and how often it went into each of them."""

    state: str
    transitions: tuple[int, int, int]


def breakers(stats: Stats, names: Names) -> dict[tuple[str, str], Breaker]:
    """By cluster and endpoint, "" for that of the cluster; those that have seen a request."""
    found = {}
    of_clusters = cluster_breakers(stats)
    for slot, name in names.clusters.items():
        known = of_clusters.get((slot.slot, slot.generation))
        if known is not None:
            found[name, ""] = Breaker(*known)
    of_endpoints = endpoint_breakers(stats)
    for slot, where in names.endpoints.items():
        known = of_endpoints.get((slot.slot, slot.generation))
        if known is not None:
            found[where] = Breaker(*known)
    return found


def breaker_view(row: ClusterRow, known: Breaker | None) -> dict[str, Any] | None:
    """The breaker of a cluster; None when it has none."""
    if row.failure_rate is None:
        return None
    state, counts = known or Breaker(BREAKER_KINDS[0], (0, 0, 0))
    return {"state": state, "transitions": dict(zip(BREAKER_KINDS, counts, strict=True))}


def breaker_metrics(found: dict[tuple[str, str], Breaker]) -> Iterator[Metric]:
    place = ("cluster", "endpoint")
    state = GaugeMetricFamily(
        "tulle_circuit_breaker_state",
        "0 closed, 1 half-open, 2 open; without an endpoint: of the cluster.",
        labels=place,
    )
    transitions = CounterMetricFamily(
        "tulle_circuit_breaker_transitions",
        "How often a circuit breaker went into a state.",
        labels=(*place, "state"),
    )
    for where, breaker in found.items():
        state.add_metric(list(where), BREAKER_KINDS.index(breaker.state))
        for kind, count in zip(BREAKER_KINDS, breaker.transitions, strict=True):
            transitions.add_metric([*where, kind], count)
    yield from (state, transitions)
