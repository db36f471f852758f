"""The vocabulary of traffic policies: what is asked of requests before they go their way."""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_values import Count, Duration, FieldName, Section
from tulle.controlplane.units import END

PolicyName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:/-]+" + END)]


class RateLimitKey(Section, frozen=True):
    """Who shares a bucket: those whose field of this name has the same value."""

    header: FieldName


class RateLimit(Section, frozen=True):
    """A token bucket: it holds `burst` requests, and is filled with `requests` evenly over `per`."""

    requests: Count
    per: Duration = "1s"
    burst: Count | None = None
    key: Literal["all", "client_address"] | RateLimitKey = "all"
    report: Literal["refused", "always"] = "refused"
    name: PolicyName | None = None
