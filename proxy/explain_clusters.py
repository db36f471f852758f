"""What `tulle explain` tells of further tries, and of what keeps a cluster from being asked for too much."""

from collections.abc import Iterator

from tulle.controlplane.table import ClusterRow, RouteRow
from tulle.controlplane.units import duration_text


def try_lines(route: RouteRow) -> Iterator[str]:
    """Retries and hedges."""
    if route.retry is not None and route.retry.attempts:
        retry = route.retry
        reasons = ", ".join([*retry.on, *[str(status) for status in retry.statuses]])
        pause = f"pauses up to {duration_text(retry.base)}, doubling to {duration_text(retry.longest)}"
        yield f"retries   {retry.attempts} after {reasons}; {pause}"
    else:
        yield "retries   none"
    hedge = route.hedge
    if hedge is not None and hedge.delay:
        yield f"hedging   a second try after {duration_text(hedge.delay)}"
    elif hedge is not None:
        least = duration_text(hedge.min_delay)
        usual = f"what {100 * hedge.quantile:g} % of the answers take"
        yield f"hedging   a second try after {usual}, at least {least}"


def guard_lines(cluster: ClusterRow) -> Iterator[str]:
    """The limits of a cluster, and its circuit breaker."""
    budget = cluster.retry_budget
    limits = {
        "connections": cluster.max_connections,
        "pending requests": cluster.max_pending,
        "requests": cluster.max_requests,
        "retries": 0 if budget is not None else cluster.max_retries,
    }
    parts = [f"{most:,} {name}" for name, most in limits.items() if most]
    if budget is not None:
        parts.append(f"retries {budget.percent} % of the requests or {budget.least:,} a second")
    if parts:
        yield f"limits    {cluster.name}: {', '.join(parts)}"
    rate = cluster.failure_rate
    if rate is not None:
        when = f"{rate.threshold} % of {rate.minimum_requests:,} or more fail in {duration_text(rate.window)}"
        opened = f"open for {duration_text(rate.open)} to {duration_text(rate.max_open)}"
        yield f"breaker   {cluster.name}, by {' and '.join(rate.scope)}: {opened} when {when}"
