"""The checks of traffic policies, of routes and of listeners."""

import re
from collections.abc import Callable, Mapping, Sequence

from tulle.controlplane.findings import Report
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_matches import ValueMatch
from tulle.controlplane.model_traffic import Cors, Fault, Mirror, RateLimit
from tulle.controlplane.problems import Path
from tulle.controlplane.subsets import pairs
from tulle.controlplane.table import Pairs
from tulle.controlplane.tabulate_traffic import rate_name
from tulle.controlplane.units import nanoseconds
from tulle.controlplane.validate_values import check_durations

MOST_MIRRORS = 8  # of a route
MOST_RATES = 8  # of a route or a listener
SHORTEST_INTERVAL = 1_000  # ns between two requests
LONGEST_REFILL = 30 * 86_400 * 1_000_000_000  # ns until an empty bucket is full


_ORIGIN = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_IMPLIED_PORTS = {"http": "80", "https": "443"}
_RATE_DEFAULTS = RateLimit(requests=1)
ValueCheck = Callable[[ValueMatch, Path, Report], None]


def check_rates(limits: Sequence[RateLimit], path: Path, report: Report) -> None:
    if len(limits) > MOST_RATES:
        report.error("size", path, f"has {len(limits)} limits, more than {MOST_RATES}")
    names: dict[str, int] = {}
    for index, limit in enumerate(limits):
        inner = (*path, index)
        first = names.setdefault(rate_name(limit), index)
        if first != index:
            report.error(
                "duplicate", inner, f"{path[-1]}[{first}] is called {rate_name(limit)!r} too",
                "Give one of them another name, or take it out: the stricter one holds.",
            )  # fmt: skip
        _check_rate(limit, inner, report)
        for key in ("ipv4_prefix_length", "ipv6_prefix_length"):
            if limit.key != "client_address" and getattr(limit, key) != getattr(_RATE_DEFAULTS, key):
                report.warning("limit-unused", (*inner, key), "means nothing without `key: client_address`")


def _check_rate(limit: RateLimit, path: Path, report: Report) -> None:
    try:
        per = nanoseconds(limit.per)
    except ValueError as error:
        report.error("duration", (*path, "per"), str(error))
        return
    if per == 0:
        report.error("duration", (*path, "per"), "must be longer than 0s")
    elif per < limit.requests * SHORTEST_INTERVAL:
        report.error("rate", path, f"{limit.requests:,} requests in {limit.per} are more than 1 in 1us")
    elif (limit.burst or limit.requests) * per > LONGEST_REFILL * limit.requests:
        report.error(
            "rate", path, "an empty bucket would take more than 30 days to fill", "Lower burst or per."
        )


def check_fault(fault: Fault, path: Path, report: Report, check_value: ValueCheck) -> None:
    if fault.delay is None and fault.abort is None:
        report.error("combination", path, "needs delay or abort, or both")
    if fault.delay is not None:
        check_durations({"duration": fault.delay.duration}, (*path, "delay"), ("duration",), report)
    for key, part in (("delay", fault.delay), ("abort", fault.abort)):
        if part is None:
            continue
        for name, value in part.headers.items():
            check_value(value, (*path, key, "headers", name), report)
        if part.percentage == 0:
            report.warning("never", (*path, key, "percentage"), "is 0: nothing is injected")
    if fault.abort is not None and fault.abort.percentage == 100 and not fault.abort.headers:
        report.warning("always", (*path, "abort"), "every request is answered with this error")


def check_cors(cors: Cors, path: Path, report: Report) -> None:
    """What browsers make of it: WHATWG Fetch, "CORS protocol and credentials" above all."""
    for index, origin in enumerate(cors.allow_origins):
        _check_origin(origin, (*path, "allow_origins", index), report)
    if "*" in cors.allow_origins and len(cors.allow_origins) > 1:
        report.error(
            "combination", (*path, "allow_origins"), "`*` allows every origin: the others mean nothing"
        )
    if "*" in cors.allow_methods and len(cors.allow_methods) > 1:
        report.error(
            "combination", (*path, "allow_methods"), "`*` allows every method: the others mean nothing"
        )
    check_durations({"max_age": cors.max_age}, path, (), report)
    if not cors.allow_credentials:
        return
    for key in ("allow_origins", "allow_methods", "allow_headers", "expose_headers"):
        if "*" in getattr(cors, key):
            report.error(
                "credentials", (*path, key), "browsers take no `*` with allow_credentials",
                "Name each of them, or leave allow_credentials out.",
            )  # fmt: skip


def _check_origin(origin: str, path: Path, report: Report) -> None:
    if origin == "*":
        return
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        report.error(
            "origin", path, f"{origin!r} is no origin",
            'It has a scheme, a host and perhaps a port, as "https://app.example.com" and "https://*.example.com:8443".',
        )  # fmt: skip
    elif found["port"] is not None and found["port"] == _IMPLIED_PORTS.get(found["scheme"].lower()):
        report.warning(
            "never", path, f"{origin!r} is no browser's origin: {found['scheme']} implies the port",
            "Leave the port out.",
        )  # fmt: skip


def check_mirrors(
    mirrors: Sequence[Mirror], path: Path, clusters: Mapping[str, Cluster], report: Report
) -> None:
    if len(mirrors) > MOST_MIRRORS:
        report.error("size", path, f"has {len(mirrors)} mirrors, more than {MOST_MIRRORS}")
    seen: dict[tuple[str, Pairs], int] = {}
    for index, mirror in enumerate(mirrors):
        goal = (mirror.cluster, pairs(mirror.subset))
        if mirror.cluster not in clusters:
            report.unknown((*path, index, "cluster"), "is no cluster", mirror.cluster, "clusters", clusters)
        if seen.setdefault(goal, index) != index:
            report.error("duplicate", (*path, index, "cluster"), f"{path[-1]}[{seen[goal]}] goes there too")
        if mirror.percentage == 0:
            report.warning("never", (*path, index, "percentage"), "is 0: nothing is mirrored")
