"""What keeps bad endpoints away, of the model, to rows of the routing table."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from tulle.controlplane.model_health import HealthCheck, OutlierDetection
from tulle.controlplane.table import HealthCheckRow, OutlierRow
from tulle.controlplane.units import nanoseconds

GRPC_CHECK = "/grpc.health.v1.Health/Check"


def outlier_row(policy: OutlierDetection | None) -> OutlierRow | None:
    """The names are the same; durations become nanoseconds."""
    if policy is None:
        return None
    values: dict[str, Any] = {name: getattr(policy, name) for name in policy.__struct_fields__}
    for name in ("interval", "base_ejection_time", "max_ejection_time"):
        values[name] = nanoseconds(values[name])
    return OutlierRow(**values)


def health_check_row(checks: Sequence[HealthCheck], http2: bool) -> HealthCheckRow | None:
    """There is at most one. `http2`: that is what the cluster's endpoints speak."""
    if not checks:
        return None
    check = checks[0]
    row = HealthCheckRow(
        interval=nanoseconds(check.interval),
        jitter=nanoseconds(check.interval_jitter),
        unhealthy_interval=nanoseconds(check.unhealthy_interval or check.interval),
        timeout=nanoseconds(check.timeout),
        healthy_threshold=check.healthy_threshold,
        unhealthy_threshold=check.unhealthy_threshold,
        initially_unhealthy=check.initial == "unhealthy",
        port=check.port or 0,
        reuse_connection=check.reuse_connection,
    )
    if check.grpc is not None:
        return replace(
            row,
            path=GRPC_CHECK,
            host=check.grpc.authority or "",
            method="POST",
            http2=True,
            grpc=True,
            service=check.grpc.service,
        )
    if check.http is None:
        return row
    http = check.http
    return replace(
        row,
        path=http.path,
        host=http.host or "",
        method=http.method,
        headers=tuple(http.headers.items()),
        statuses=tuple(status_range(text) for text in http.expected_statuses),
        http2=http.protocol == "http2" or (http.protocol is None and http2),
    )


def status_range(text: str) -> tuple[int, int]:
    """`200` or `200-399` as first and last."""
    first, _, last = text.partition("-")
    return int(first), int(last or first)
