"""The checks of when a request is sent a second time."""

from tulle.controlplane.findings import Report
from tulle.controlplane.model_hedging import Hedging
from tulle.controlplane.model_routes import Timeouts
from tulle.controlplane.problems import Path
from tulle.controlplane.units import nanoseconds
from tulle.controlplane.validate_values import check_durations

_DEFAULTS = Hedging()


def check_hedging(hedging: Hedging, timeouts: Timeouts, path: Path, report: Report) -> None:
    check_durations(
        {"delay": hedging.delay, "min_delay": hedging.min_delay}, path, ("delay", "min_delay"), report
    )
    if (hedging.delay is None) == (hedging.quantile is None):
        report.error(
            "combination", path, "needs exactly one of delay and quantile",
            "Write delay: 50ms, or quantile: 0.95 for what the slowest 5 % of the answers take.",
        )  # fmt: skip
    elif hedging.delay is not None and hedging.min_delay != _DEFAULTS.min_delay:
        report.warning("hedging-unused", (*path, "min_delay"), "means nothing without quantile")
    _check_reached("delay" if hedging.quantile is None else "min_delay", hedging, timeouts, path, report)


def _check_reached(key: str, hedging: Hedging, timeouts: Timeouts, path: Path, report: Report) -> None:
    """A try that has ended by then has no other beside it."""
    delay = getattr(hedging, key)
    for name in ("per_try", "first_byte", "request"):
        limit = getattr(timeouts, name)
        try:
            never = delay is not None and limit is not None and nanoseconds(delay) >= nanoseconds(limit) > 0
        except ValueError:
            continue  # told already
        if never:
            report.warning("never", (*path, key), f"{delay} is never reached: {name} is {limit}")
            return
