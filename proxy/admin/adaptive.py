"""Adaptive concurrency, for pages and metrics."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tulle._fast.base.adaptive_figures import Adaptive, adaptive
from tulle._fast.base.stats import Stats
from tulle.controlplane.table import ClusterRow
from tulle.proxy.admin.names import Names

SECOND = 1e9


def adaptive_states(stats: Stats, names: Names) -> dict[str, Adaptive]:
    """By cluster; those that have seen a request."""
    found = {}
    known = adaptive(stats)
    for slot, name in names.clusters.items():
        state = known.get((slot.slot, slot.generation))
        if state is not None:
            found[name] = state
    return found


def adaptive_view(row: ClusterRow, known: Adaptive | None) -> dict[str, Any] | None:
    """Of a cluster; None when its limit is not adaptive."""
    if row.adaptive is None:
        return None
    state = known or Adaptive(True, 0, 0, 0, 0.0, 0)
    measuring = state.measuring and not row.adaptive.fixed_rtt
    return {
        "limit": _limit(state, row, measuring),
        "measuring": measuring,
        "measurements": state.measurements,
        "min_rtt_us": (row.adaptive.fixed_rtt or state.min_rtt) // 1000,
        "sample_rtt_us": state.sampled // 1000,
        "gradient": state.gradient,
    }


def _limit(state: Adaptive, row: ClusterRow, measuring: bool) -> int:
    """What holds, as `policy/adaptive` has it."""
    assert row.adaptive is not None
    least, most = row.adaptive.min_concurrency, row.adaptive.max_concurrency
    return least if measuring else min(max(state.limit, least), most)


def adaptive_metrics(found: dict[str, Adaptive]) -> Iterator[Metric]:
    def gauge(name: str, text: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, text, labels=("cluster",))

    limit = gauge("tulle_adaptive_concurrency_limit", "Requests that may be under way, as was found last.")
    measuring = gauge(
        "tulle_adaptive_concurrency_min_rtt_calculation_active",
        "1 while hardly any are let through, to measure minRTT.",
    )
    min_rtt = gauge(
        "tulle_adaptive_concurrency_min_rtt_seconds",
        "How long answers take when hardly any request is under way.",
    )
    sample_rtt = gauge(
        "tulle_adaptive_concurrency_sample_rtt_seconds", "How long they took in the last window."
    )
    gradient = gauge(
        "tulle_adaptive_concurrency_gradient",
        "What the limit was multiplied with at its end, before the headroom.",
    )
    measured = CounterMetricFamily(
        "tulle_adaptive_concurrency_min_rtt_calculations",
        "How often minRTT was measured.",
        labels=("cluster",),
    )
    for cluster, state in found.items():
        limit.add_metric([cluster], state.limit)
        measuring.add_metric([cluster], int(state.measuring))
        min_rtt.add_metric([cluster], state.min_rtt / SECOND)
        sample_rtt.add_metric([cluster], state.sampled / SECOND)
        gradient.add_metric([cluster], state.gradient)
        measured.add_metric([cluster], state.measurements)
    yield from (limit, measuring, min_rtt, sample_rtt, gradient, measured)
