"""The vocabulary of keeping bad endpoints away from requests: outlier detection.

Names and defaults are Envoy's.
"""

from typing import Annotated

from msgspec import Meta

from tulle.controlplane.model_values import Count, Duration, Section

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
