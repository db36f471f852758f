"""Circuit breakers of the model to rows of the routing table."""

from tulle.controlplane.model_circuit_breaker import AdaptiveConcurrency, FailureRate, RetryBudget
from tulle.controlplane.table import AdaptiveRow, FailureRateRow, RetryBudgetRow
from tulle.controlplane.units import nanoseconds


def retry_budget_row(budget: RetryBudget | None) -> RetryBudgetRow | None:
    return None if budget is None else RetryBudgetRow(budget.percent, budget.min_per_second)


def failure_rate_row(rate: FailureRate | None) -> FailureRateRow | None:
    if rate is None:
        return None
    return FailureRateRow(
        threshold=rate.threshold,
        window=nanoseconds(rate.window),
        minimum_requests=rate.minimum_requests,
        open=nanoseconds(rate.open),
        max_open=nanoseconds(rate.max_open),
        half_open_requests=rate.half_open_requests,
        scope=tuple(rate.scope),
    )


def adaptive_row(adaptive: AdaptiveConcurrency | None) -> AdaptiveRow | None:
    if adaptive is None:
        return None
    limits, rtt = adaptive.concurrency_limit_params, adaptive.min_rtt_calc_params
    interval = nanoseconds(rtt.interval)
    return AdaptiveRow(
        percentile=adaptive.sample_aggregate_percentile / 100,
        buffer=rtt.buffer / 100,
        min_concurrency=rtt.min_concurrency,
        max_concurrency=limits.max_concurrency_limit,
        request_count=rtt.request_count,
        update_interval=nanoseconds(limits.concurrency_update_interval),
        measure_interval=interval,
        jitter=int(interval * rtt.jitter / 100),
        fixed_rtt=nanoseconds(rtt.fixed_value or "0s"),
    )
