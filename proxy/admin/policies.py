"""What authorization policies have decided, for pages and metrics."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric

from tulle._fast.base import figures
from tulle._fast.base.policy_figures import OUTCOMES, policies
from tulle._fast.base.stats import Stats
from tulle.controlplane.table import PolicyRow, RoutingTable
from tulle.proxy.admin.names import Names


def counts(stats: Stats, names: Names) -> dict[str, dict[str, int]]:
    """By the policy's name, how often it came to each of `OUTCOMES`."""
    counted = policies(stats)
    return {name: counted.get(number, dict.fromkeys(OUTCOMES, 0)) for number, name in names.policies.items()}


def policy_metrics(stats: Stats, names: Names) -> Iterator[Metric]:
    metric = CounterMetricFamily(
        "tulle_authorization",
        "Requests by the policy that decided; without one: denied because no policy allowed them.",
        labels=("policy", "outcome"),
    )
    for name, outcomes in counts(stats, names).items():
        for outcome, count in outcomes.items():
            metric.add_metric([name, outcome], count)
    if names.policies:
        metric.add_metric(["", "denied"], figures.totals(stats)["policy_unmatched"])
    yield metric


def token_metrics(stats: Stats) -> Iterator[Metric]:
    totals = figures.totals(stats)
    metric = CounterMetricFamily(
        "tulle_jwt",
        "Requests by what was found of their token, and tokens that were verified.",
        labels=("outcome",),
    )
    for outcome in ("known", "verified", "missing", "refused", "unavailable"):
        metric.add_metric([outcome], totals[f"tokens_{outcome}"])
    yield metric


def policies_page(table: RoutingTable, stats: Stats, names: Names) -> dict[str, Any]:
    """All policies in their order, with what they have decided."""
    counted = counts(stats, names)
    return {
        "policies": {row.name: _policy(row, table) | counted.get(row.name, {}) for row in table.policies},
        "denied_by_default": figures.totals(stats)["policy_unmatched"],
    }


def of_listener(table: RoutingTable, listener: int) -> list[str]:
    """The names of the policies that a request to this listener may be asked."""
    own = table.listeners[listener].table
    return [
        row.name
        for row in table.policies
        if (not row.listeners or listener in row.listeners)
        and (not row.of_routes or any(group == own for group, _ in row.routes))
    ]


def _policy(row: PolicyRow, table: RoutingTable) -> dict[str, Any]:
    routes = [
        f"{table.tables[group].name} {table.tables[group].routes[index].name}" for group, index in row.routes
    ]
    return {
        "action": row.action,
        "dry_run": row.dry_run,
        "listeners": [table.listeners[index].name for index in row.listeners] or "all",
        **({"routes": routes} if row.of_routes else {}),
        "rules": len(row.rules),
    }
