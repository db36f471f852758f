"""What `tulle explain` tells of the policies that a request meets on its way."""

from collections.abc import Iterator, Sequence

from tulle.controlplane.table import ListenerRow, PredicateRow, RateRow, RouteRow, RoutingTable
from tulle.controlplane.units import duration_text


def traffic_lines(table: RoutingTable, listener: ListenerRow, route: RouteRow) -> Iterator[str]:
    """In the order in which they are asked; what is not configured is not told."""
    for rate in listener.rate_limits:
        yield f"limit     of the listener: {_rate(rate)}"
    if route.cors is not None:
        yield f"cors      for {', '.join(route.cors.origins)}"
    if route.max_body or listener.max_body:
        yield f"body      of the request at most {route.max_body or listener.max_body:,} bytes"
    for rate in route.rate_limits:
        yield f"limit     {_rate(rate)}"
    fault = route.fault
    if fault is not None and fault.delay:
        hit = _hit(fault.delay_share, fault.delay_headers)
        yield f"fault     {duration_text(fault.delay)} of delay for {hit}"
    if fault is not None and fault.abort_status:
        yield f"fault     {fault.abort_status} for {_hit(fault.abort_share, fault.abort_headers)}"
    for mirror in route.mirrors:
        yield f"mirror    {table.clusters[mirror.cluster].name}: {_hit(mirror.share, ())}"


def _rate(rate: RateRow) -> str:
    of = {"all": "all together", "client_address": "each client address"}.get(rate.key)
    burst = f", {rate.burst:,} at once" if rate.burst != rate.requests else ""
    return f"{rate.requests:,} in {duration_text(rate.per)}{burst}, {of or f'each value of {rate.header}'}"


def _hit(share: int, headers: Sequence[PredicateRow]) -> str:
    some = "all" if share == 1_000_000 else f"{share / 10_000:g} %"
    return some + (f" with {', '.join(row.name for row in headers)}" if headers else "")
