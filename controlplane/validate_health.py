"""The checks of what keeps bad endpoints away."""

from collections.abc import Sequence

from tulle.controlplane.address import is_name, parse_address
from tulle.controlplane.findings import Report
from tulle.controlplane.model_clusters import Endpoint
from tulle.controlplane.model_health import HealthCheck, HttpCheck, OutlierDetection
from tulle.controlplane.problems import Path
from tulle.controlplane.units import nanoseconds
from tulle.controlplane.validate_values import FRAMING_FIELDS, check_durations

_ENFORCING = tuple(name for name in OutlierDetection.__struct_fields__ if name.startswith("enforcing_"))
_LOCAL = tuple(name for name in _ENFORCING if "local_origin" in name)


def check_outlier_detection(
    policy: OutlierDetection, endpoints: Sequence[Endpoint], path: Path, report: Report
) -> None:
    durations: dict[str, str | None] = {
        name: getattr(policy, name) for name in ("interval", "base_ejection_time", "max_ejection_time")
    }
    check_durations(durations, path, tuple(durations), report)
    _check_times(policy, path, report)
    ways = [name for name in _ENFORCING if policy.split_external_local_origin_errors or name not in _LOCAL]
    if policy.max_ejection_percent == 0 or not any(getattr(policy, name) for name in ways):
        report.warning(
            "no-effect", path, "never ejects an endpoint, for what it is allowed to do comes to 0 %",
            "Raise max_ejection_percent, or one of enforcing_*, or leave it out.",
        )  # fmt: skip
    elif len(endpoints) == 1 and not _may_be_several(endpoints[0]):
        report.warning(
            "no-effect", path, "never ejects an endpoint, for there is only one, and one is always left"
        )


def _check_times(policy: OutlierDetection, path: Path, report: Report) -> None:
    try:
        base, longest = nanoseconds(policy.base_ejection_time), nanoseconds(policy.max_ejection_time)
    except ValueError:
        return
    if longest < base:
        report.error(
            "order", path,
            f"max_ejection_time, {policy.max_ejection_time}, is shorter than base_ejection_time, "
            f"{policy.base_ejection_time}",
            "The longest time must be at least the base time.",
        )  # fmt: skip


def _may_be_several(endpoint: Endpoint) -> bool:
    try:
        return is_name(parse_address(endpoint.address))
    except ValueError:
        return True


def check_health_checks(
    checks: Sequence[HealthCheck], endpoints: Sequence[Endpoint], path: Path, report: Report
) -> None:
    for index, check in enumerate(checks):
        where = (*path, index)
        positive = ("interval", "unhealthy_interval", "timeout")
        durations = {name: getattr(check, name) for name in (*positive, "interval_jitter")}
        check_durations(durations, where, positive, report)
        if sum(kind is not None for kind in (check.http, check.grpc, check.tcp)) != 1:
            report.error(
                "combination", where, "must have one of http, grpc and tcp", "Write `http: {path: /healthz}`."
            )
        if check.http is not None:
            _check_http(check.http, (*where, "http"), report)
        if check.port is not None and any(endpoint.address.startswith("unix:") for endpoint in endpoints):
            report.error("combination", (*where, "port"), "means nothing for an endpoint with a path")


def _check_http(http: HttpCheck, path: Path, report: Report) -> None:
    if not http.path.startswith("/"):
        report.error("path", (*path, "path"), f"{http.path!r} must begin with a slash")
    for number, text in enumerate(http.expected_statuses):
        first, _, last = text.partition("-")
        if last and last < first:
            report.error("order", (*path, "expected_statuses", number), f"{text} ends before it begins")
    for name in http.headers:
        if name.lower() in FRAMING_FIELDS:
            report.error(
                "header", (*path, "headers", name),
                f"{name} frames the request or speaks for one connection; it cannot be set",
                "There is `host` beside `headers`." if name.lower() == "host" else "",
            )  # fmt: skip
