"""gRPC calls for metrics: by listener, route and cluster, by what the route's match names, and by status."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from tulle._fast.base.grpc_figures import CODES, grpc_calls, grpc_number
from tulle._fast.base.stats import Stats
from tulle.controlplane.table import RoutingTable
from tulle.proxy.admin.names import Key, Names

_LABELS = ("listener", "route", "cluster", "grpc_service", "grpc_method", "grpc_status")


def grpc_metrics(stats: Stats, names: Names, table: Callable[[], RoutingTable]) -> Iterator[Metric]:
    """`table` is read only when calls were counted by a name; what the configuration has not had for a while
    is left out."""
    metric = CounterMetricFamily("tulle_grpc_requests", "gRPC calls by their status.", labels=_LABELS)
    counted = grpc_calls(stats)
    shown = names.shown()
    called = {0: ("", "")}
    if any(number for *_, number in counted):
        called |= _names_of_calls(table())
    sums: dict[tuple[str, ...], int] = {}
    for (*key, number), codes in counted.items():
        labels = shown.labels(Key(*key))
        if labels is None or number not in called:
            continue
        for code, count in zip(CODES, codes, strict=True):
            if count:
                all_labels: tuple[str, ...] = (*labels, *called[number], code)
                sums[all_labels] = sums.get(all_labels, 0) + count
    for all_labels, count in sums.items():
        metric.add_metric(list(all_labels), count)
    yield metric


def _names_of_calls(table: RoutingTable) -> dict[int, tuple[str, str]]:
    """Service and method by the number that calls of a match are counted by."""
    return {
        grpc_number(match.service, match.rpc): (match.service, match.rpc)
        for group in table.tables
        for route in group.routes
        for match in route.matches
        if match.service or match.rpc
    }
