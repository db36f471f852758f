"""The vocabulary of routes: which requests they take, and what becomes of those."""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_hedging import Hedging
from tulle.controlplane.model_jwt import Jwt
from tulle.controlplane.model_matches import Match, ValueMatch
from tulle.controlplane.model_traffic import Cors, Fault, Mirror, RateLimit
from tulle.controlplane.model_values import (
    Address,
    Duration,
    FieldName,
    FieldValue,
    Hostname,
    MetadataKey,
    MetadataValue,
    Name,
    PathText,
    Port,
    Section,
    Size,
    Status,
    Weight,
)

RetryStatus = Annotated[int, Meta(ge=100, le=599)]


class Backend(Section, frozen=True):
    """A share of the traffic of a route, and the cluster, or those of its endpoints, that get it."""

    cluster: Name
    weight: Weight = 1
    subset: dict[MetadataKey, MetadataValue] = {}


class PathEdit(Section, frozen=True):
    """A new path: exactly one of the two."""

    replace_full: PathText | None = None
    replace_prefix: PathText | None = None


class Redirect(Section, frozen=True):
    """An answer that sends the client elsewhere. What is not given stays as it was."""

    scheme: Literal["http", "https"] | None = None
    hostname: Hostname | None = None
    port: Port | None = None
    path: PathEdit | None = None
    status: Literal[301, 302, 303, 307, 308] = 302


class Response(Section, frozen=True):
    """An answer that the proxy gives by itself."""

    status: Status = 200
    body: Annotated[str, Meta(max_length=1 << 20)] = ""
    content_type: FieldValue = "text/plain; charset=utf-8"


class Timeouts(Section, frozen=True):
    """How long things may take; `0s` is without limit.

    Without `request`, the response has to begin within `first_byte`, or 15 s, and may then go on for as long
    as it likes, so that event streams are not cut.
    """

    request: Duration | None = None
    first_byte: Duration | None = None
    per_try: Duration = "0s"
    idle: Duration = "5m"


class Backoff(Section, frozen=True):
    """The pause before a retry: a random part of `base * 2^n`, at most `max`."""

    base: Duration = "25ms"
    max: Duration = "250ms"


class Retries(Section, frozen=True):
    """When a request is tried again: further attempts after the first, and what calls for one."""

    attempts: Annotated[int, Meta(ge=0, le=100)] = 1
    on: tuple[str | RetryStatus, ...] = ("connect-failure", "reset")
    statuses: tuple[RetryStatus, ...] = ()
    headers: dict[FieldName, ValueMatch] = {}
    backoff: Backoff = Backoff()
    max_retry_after: Duration = "5s"
    unsafe_methods: bool = False
    max_replay_body: Size = "64KiB"


class HeaderEdits(Section, frozen=True):
    """Changes of header fields, made in the order remove, set, add."""

    remove: list[FieldName] = []
    set: dict[FieldName, FieldValue] = {}
    add: dict[FieldName, FieldValue] = {}


class Rewrite(Section, frozen=True):
    """Changes of the request before it goes upstream."""

    hostname: Hostname | None = None
    path: PathEdit | None = None


class Route(Section, frozen=True):
    """Requests of a kind, and what becomes of them: backends, a redirect or a response."""

    name: Name | None = None
    hostnames: list[Hostname] = []
    destinations: list[Address] = []
    matches: list[Match] = []
    backends: list[Backend] = []
    redirect: Redirect | None = None
    response: Response | None = None
    timeouts: Timeouts = Timeouts()
    retries: Retries | None = None
    hedging: Hedging | None = None
    request_headers: HeaderEdits = HeaderEdits()
    response_headers: HeaderEdits = HeaderEdits()
    rewrite: Rewrite | None = None
    upgrade: bool = True
    connect: bool = False
    rate_limits: list[RateLimit] = []
    fault: Fault | None = None
    cors: Cors | None = None
    mirror: list[Mirror] = []
    max_request_body: Size | None = None
    jwt: Jwt | None = None
