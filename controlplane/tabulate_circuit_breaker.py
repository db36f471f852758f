"""Circuit breakers of the model to rows of the routing table."""

from tulle.controlplane.model_circuit_breaker import FailureRate, RetryBudget
from tulle.controlplane.table import FailureRateRow, RetryBudgetRow
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
