"""The checks of when a request is tried again."""

import re
from collections.abc import Callable

from tulle.controlplane.findings import Report, did_you_mean
from tulle.controlplane.model_matches import ValueMatch
from tulle.controlplane.model_routes import Retries
from tulle.controlplane.problems import Path
from tulle.controlplane.units import nanoseconds
from tulle.controlplane.validate_values import check_durations, check_size

MOST_REPLAY = 16 << 20
BY_STATUS = "retriable-status-codes"
BY_HEADERS = "retriable-headers"
RETRY_REASONS = (
    "connect-failure", "reset", "reset-before-request", "refused-stream", "5xx", "gateway-error",
    "retriable-4xx", BY_STATUS, BY_HEADERS,
    "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
)  # fmt: skip

_STATUS = re.compile(r"[1-5][0-9][0-9]")
ValueCheck = Callable[[ValueMatch, Path, Report], None]


def check_retries(retries: Retries, path: Path, report: Report, check_value: ValueCheck) -> None:
    for index, reason in enumerate(retries.on):
        if str(reason) not in RETRY_REASONS and not _STATUS.fullmatch(str(reason)):
            report.error(
                "retry-reason", (*path, "on", index), f"{reason!r} is no reason for a retry",
                did_you_mean(str(reason), RETRY_REASONS, f"Use {', '.join(RETRY_REASONS)} or a status."),
            )  # fmt: skip
    for name, value in retries.headers.items():
        check_value(value, (*path, "headers", name), report)
    _check_pairs(retries, path, report)
    _check_backoff(retries, path, report)
    check_durations({"max_retry_after": retries.max_retry_after}, path, (), report)
    check_size(retries.max_replay_body, (*path, "max_replay_body"), 0, MOST_REPLAY, report)


def _check_pairs(retries: Retries, path: Path, report: Report) -> None:
    """A reason and the list that it refers to belong together."""
    for reason, key, given in (
        (BY_STATUS, "statuses", bool(retries.statuses)),
        (BY_HEADERS, "headers", bool(retries.headers)),
    ):
        if given and reason not in retries.on:
            report.warning(
                "retry-unused", (*path, key), f"means nothing as long as `on` does not have {reason}"
            )
        if reason in retries.on and not given:
            report.warning("retry-unused", (*path, "on"), f"{reason} means nothing without {key}")
    if retries.attempts == 0:
        report.warning("retry-unused", (*path, "attempts"), "0 attempts are no retries at all")


def _check_backoff(retries: Retries, path: Path, report: Report) -> None:
    backoff = retries.backoff
    try:
        base, most = nanoseconds(backoff.base), nanoseconds(backoff.max)
    except ValueError as error:
        report.error("duration", (*path, "backoff"), str(error))
        return
    if base > most:
        report.error("order", (*path, "backoff"), f"base {backoff.base} is longer than max {backoff.max}")
