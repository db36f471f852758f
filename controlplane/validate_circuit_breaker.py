"""The checks of circuit breakers."""

from tulle.controlplane.findings import Report
from tulle.controlplane.model_circuit_breaker import AdaptiveConcurrency, CircuitBreaker, FailureRate
from tulle.controlplane.problems import Path
from tulle.controlplane.units import nanoseconds
from tulle.controlplane.validate_values import check_durations

_DEFAULTS = CircuitBreaker()
LEAST_WINDOW = 100_000_000  # of which an eighth is the finest step
LEAST_OPEN = 10_000_000
LEAST_UPDATE = 1_000_000
LEAST_MEASURING = 1_000_000_000
MOST = 3600_000_000_000


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
    if breaker.failure_rate is not None:
        _check_failure_rate(breaker.failure_rate, (*path, "failure_rate"), report)
    if breaker.adaptive_concurrency is not None:
        _check_adaptive(breaker, breaker.adaptive_concurrency, (*path, "adaptive_concurrency"), report)


def _check_failure_rate(rate: FailureRate, path: Path, report: Report) -> None:
    if not rate.scope:
        report.error("impossible", (*path, "scope"), "is empty", "Name endpoint, cluster or both.")
    elif len(set(rate.scope)) != len(rate.scope):
        report.error("duplicate", (*path, "scope"), f"{rate.scope[0]} is named twice")
    texts = {"window": rate.window, "open": rate.open, "max_open": rate.max_open}
    known = len(report.findings)
    check_durations(texts, path, tuple(texts), report)
    if len(report.findings) > known:
        return
    for key, least in (("window", LEAST_WINDOW), ("open", LEAST_OPEN), ("max_open", LEAST_OPEN)):
        if not least <= nanoseconds(texts[key]) <= MOST:
            report.error("duration", (*path, key), f"{texts[key]} must be from {least // 1_000_000}ms to 1h")
    if nanoseconds(rate.open) > nanoseconds(rate.max_open):
        report.error("order", (*path, "open"), f"{rate.open} is longer than max_open {rate.max_open}")


def _check_adaptive(
    breaker: CircuitBreaker, adaptive: AdaptiveConcurrency, path: Path, report: Report
) -> None:
    limits, rtt = adaptive.concurrency_limit_params, adaptive.min_rtt_calc_params
    limits_path: Path = (*path, "concurrency_limit_params")
    rtt_path: Path = (*path, "min_rtt_calc_params")
    update = {"concurrency_update_interval": limits.concurrency_update_interval}
    measuring = {"interval": rtt.interval, "fixed_value": rtt.fixed_value}
    known = len(report.findings)
    check_durations(update, limits_path, tuple(update), report)
    check_durations(measuring, rtt_path, tuple(measuring), report)
    if len(report.findings) > known:
        return
    for where, text, least in (
        ((*limits_path, "concurrency_update_interval"), limits.concurrency_update_interval, LEAST_UPDATE),
        ((*rtt_path, "interval"), rtt.interval, LEAST_MEASURING),
    ):
        if not least <= nanoseconds(text) <= MOST:
            report.error("duration", where, f"{text} must be from {least // 1_000_000}ms to 1h")
    if rtt.min_concurrency > limits.max_concurrency_limit:
        report.error(
            "order", (*rtt_path, "min_concurrency"),
            f"{rtt.min_concurrency} is more than max_concurrency_limit {limits.max_concurrency_limit}",
        )  # fmt: skip
    if breaker.max_requests is not None and rtt.min_concurrency >= breaker.max_requests:
        report.warning(
            "limit-unused", path,
            f"never refuses anything: max_requests {breaker.max_requests} is no higher than its "
            f"min_concurrency {rtt.min_concurrency}",
        )  # fmt: skip
