"""The vocabulary of keeping bad endpoints away from requests: outlier detection and active health checks.

Names and defaults are Envoy's.
"""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_values import (
    Count,
    Duration,
    FieldName,
    FieldValue,
    PathText,
    Port,
    Section,
)
from tulle.controlplane.units import END

StatusRange = Annotated[
    str,
    Meta(
        pattern=r"^[1-5][0-9]{2}(-[1-5][0-9]{2})?" + END,
        description="A status, or the first and the last of several.",
        examples=["200", "200-399"],
    ),
]
Percent = Annotated[int, Meta(ge=0, le=100)]


class OutlierDetection(Section, frozen=True):
    """Endpoints are taken out for what comes of the requests to them."""

    consecutive_5xx: Count = 5
    consecutive_gateway_failure: Count = 5
    consecutive_local_origin_failure: Count = 5
    split_external_local_origin_errors: bool = False
    interval: Duration = "10s"
    base_ejection_time: Duration = "30s"
    max_ejection_time: Duration = "300s"
    max_ejection_percent: Percent = 10
    success_rate_minimum_hosts: Count = 5
    success_rate_request_volume: Count = 100
    success_rate_stdev_factor: Count = 1900
    failure_percentage_threshold: Percent = 85
    failure_percentage_minimum_hosts: Count = 5
    failure_percentage_request_volume: Count = 50
    enforcing_consecutive_5xx: Percent = 100
    enforcing_consecutive_gateway_failure: Percent = 0
    enforcing_consecutive_local_origin_failure: Percent = 100
    enforcing_success_rate: Percent = 100
    enforcing_local_origin_success_rate: Percent = 100
    enforcing_failure_percentage: Percent = 0
    enforcing_failure_percentage_local_origin: Percent = 0


Authority = Annotated[str, Meta(min_length=1, max_length=260, pattern=r"^[0-9A-Za-z._~:\[\]-]+" + END)]


class HttpCheck(Section, frozen=True):
    """A request that has to be answered with one of these statuses."""

    path: PathText = "/"
    host: Authority | None = None
    method: Annotated[str, Meta(pattern=r"^[A-Z]{1,20}" + END)] = "GET"
    headers: dict[FieldName, FieldValue] = {}
    expected_statuses: Annotated[tuple[StatusRange, ...], Meta(min_length=1)] = ("200",)
    protocol: Literal["http1", "http2"] | None = None


class GrpcCheck(Section, frozen=True):
    """A call of `grpc.health.v1.Health/Check` that has to be answered with SERVING."""

    service: Annotated[str, Meta(max_length=1024)] = ""
    authority: Authority | None = None


class TcpCheck(Section, frozen=True):
    """A connection that has to be taken."""


class HealthCheck(Section, frozen=True):
    """Endpoints are asked, now and again, whether they are well."""

    http: HttpCheck | None = None
    grpc: GrpcCheck | None = None
    tcp: TcpCheck | None = None
    interval: Duration = "5s"
    interval_jitter: Duration = "0s"
    unhealthy_interval: Duration | None = None
    timeout: Duration = "1s"
    healthy_threshold: Count = 2
    unhealthy_threshold: Count = 3
    initial: Literal["healthy", "unhealthy"] = "healthy"
    port: Port | None = None
    reuse_connection: bool = True
