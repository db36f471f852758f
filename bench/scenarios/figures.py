"""The figures that scenarios measure, and how a table shows them."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """A column: its key in the JSON, its title, its unit, and what is said of it beside its value."""

    key: str
    title: str
    unit: str
    digits: int = 1
    ratios: bool = False
    """Shown also as a multiple of the relay's and of HAProxy's."""
    combine: Callable[[list[float]], float] = median
    """From the values of all rounds to the one that is shown. A median would hide a failure of one round."""
    added: bool = False
    """Shown also as what it is above the load's that goes straight to the backend."""


CPU = Figure("cpu_us", "CPU/request", "us", ratios=True)
CPU_PER_GB = Figure("cpu_per_gb", "CPU/GB", "s", digits=3, ratios=True)
RATE = Figure("requests_per_second", "requests", "/s", digits=0)
BYTES_RATE = Figure("gb_per_second", "bytes", "GB/s", digits=2)
P50 = Figure("p50_us", "p50", "us", digits=0, added=True)
P99 = Figure("p99_us", "p99", "us", digits=0, added=True)
PSS = Figure("pss_mb", "PSS", "MB")
ALONE = Figure("alone_mb", "alone", "MB")
FAILED = Figure("failed", "failed", "in all", digits=0, combine=sum)
LOGGED = Figure("logged_percent", "logged", "%", digits=0)
FIRST_BYTE = Figure("first_byte_ms", "first byte", "ms", digits=0, ratios=True)
PER_CONNECTION = Figure("bytes_per_connection", "per connection", "B", digits=0, ratios=True)
ACTIVE = Figure("active_ms", "active after", "ms", digits=0, ratios=True)
SLOWEST_ACTIVE = Figure("slowest_active_ms", "slowest", "ms", digits=0, combine=max)
CALM_P99 = Figure("calm_p99_us", "p99 calm", "us", digits=0)
RELOAD_P99 = Figure("reload_p99_us", "p99 reloading", "us", digits=0)
PSS_BEFORE = Figure("pss_before_mb", "PSS before", "MB")
PSS_AFTER = Figure("pss_after_mb", "PSS after", "MB")
RELOADS = Figure("reloads", "reloads", "", digits=0)
EVENTS = Figure("events", "events", "", digits=0)
ENDED_STREAMS = Figure("ended_streams", "streams ended", "in all", digits=0, combine=sum)
