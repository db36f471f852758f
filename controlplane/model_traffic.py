"""The vocabulary of traffic policies: what is asked of requests before they go their way."""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_matches import ValueMatch
from tulle.controlplane.model_values import (
    Count,
    Duration,
    FieldName,
    MetadataKey,
    MetadataValue,
    Name,
    Section,
    Status,
)
from tulle.controlplane.units import END

PolicyName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:/-]+" + END)]


Percentage = Annotated[float, Meta(ge=0, le=100)]


class Delay(Section, frozen=True):
    """Requests that are held back for a while before they go their way."""

    duration: Duration
    percentage: Percentage = 100.0
    headers: dict[FieldName, ValueMatch] = {}


class Abort(Section, frozen=True):
    """Requests that are answered with an error in place of going their way."""

    status: Status
    percentage: Percentage = 100.0
    headers: dict[FieldName, ValueMatch] = {}


class Fault(Section, frozen=True):
    """Faults that are injected, to see how clients bear them."""

    delay: Delay | None = None
    abort: Abort | None = None


class Cors(Section, frozen=True):
    """Which scripts of other origins may read the answers, and what they may send."""

    allow_origins: Annotated[tuple[Annotated[str, Meta(max_length=320)], ...], Meta(min_length=1)]
    allow_methods: tuple[FieldName, ...] = ()
    allow_headers: tuple[FieldName, ...] = ()
    expose_headers: tuple[FieldName, ...] = ()
    max_age: Duration = "5s"
    allow_credentials: bool = False


class Mirror(Section, frozen=True):
    """A cluster that gets a copy of a share of the requests; its answers are thrown away."""

    cluster: Name
    subset: dict[MetadataKey, MetadataValue] = {}
    percentage: Percentage = 100.0
    shadow_host: bool = True


class RateLimitKey(Section, frozen=True):
    """Who shares a bucket: those whose field of this name has the same value."""

    header: FieldName


class RateLimit(Section, frozen=True):
    """A token bucket: it holds `burst` requests, and is filled with `requests` evenly over `per`."""

    requests: Count
    per: Duration = "1s"
    burst: Count | None = None
    key: Literal["all", "client_address"] | RateLimitKey = "all"
    ipv4_prefix_length: Annotated[int, Meta(ge=1, le=32)] = 32
    ipv6_prefix_length: Annotated[int, Meta(ge=1, le=128)] = 64
    report: Literal["refused", "always"] = "refused"
    name: PolicyName | None = None
