"""The checks of circuit breakers."""

from tulle.controlplane.findings import Report
from tulle.controlplane.model_circuit_breaker import CircuitBreaker
from tulle.controlplane.problems import Path

_DEFAULTS = CircuitBreaker()


def check_circuit_breaker(breaker: CircuitBreaker, path: Path, report: Report) -> None:
    budget = breaker.retry_budget
    if budget is not None:
        if budget.percent == 0 and budget.min_per_second == 0:
            report.error(
                "impossible", (*path, "retry_budget"), "allows no retry at all",
                "Leave out the route's `retries` in place of that.",
            )  # fmt: skip
        if breaker.max_retries != _DEFAULTS.max_retries:
            report.warning(
                "limit-unused", (*path, "max_retries"), "means nothing beside retry_budget, which replaces it"
            )
