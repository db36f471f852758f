"""The vocabulary of the configuration: what may be written, of which type, and what holds when it is not.

Every option is a field here and nowhere else; the JSON Schema is made from this module. What types cannot
say (references, ranges that depend on each other) is in `validate`. Durations are text with a unit, sizes are
bytes or text with a unit; `units` reads them. An option that may be None is off, or without limit, then.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tulle.controlplane.units import DURATION_PATTERN, END, SIZE_PATTERN

Duration = Annotated[
    str,
    Meta(
        pattern=DURATION_PATTERN,
        description="A duration with its unit: ns, us, ms, s, m, h, d.",
        examples=["250ms", "15s", "1h30m"],
    ),
]
Size = (
    Annotated[int, Meta(ge=0, le=1 << 50)]
    | Annotated[
        str,
        Meta(pattern=SIZE_PATTERN, description="Bytes, or with a unit.", examples=["64KiB", "1MiB"]),
    ]
)
Name = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[^\x00-\x20\x7f]+" + END)]
Address = Annotated[
    str, Meta(min_length=3, max_length=320, examples=["127.0.0.1:8080", "[::1]:8080", "unix:/run/a.sock"])
]
Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1, le=4_294_967_295)]
Weight = Annotated[int, Meta(ge=0, le=1_000_000)]
FieldName = Annotated[str, Meta(max_length=256, pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+" + END)]
FieldValue = Annotated[
    str,
    Meta(
        max_length=8192,
        pattern=r"^([^\x00-\x20\x7f]([^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?" + END,
    ),
]
Hostname = Annotated[str, Meta(min_length=1, max_length=253)]
Status = Annotated[int, Meta(ge=200, le=599)]
PathText = Annotated[str, Meta(max_length=8192, pattern=r"^[^\x00-\x20\x7f#?]*" + END)]


class _Section(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all sections share: unknown keys are errors."""


class Admin(_Section, frozen=True):
    """The admin server of the master: figures and state, for operators only."""

    address: Address


class AccessLog(_Section, frozen=True):
    """Where and how requests are logged, one line each."""

    path: Annotated[str, Meta(min_length=1)] = "/dev/stdout"
    format: Literal["json", "text", "off"] = "json"
    format_string: str | None = None


class Stats(_Section, frozen=True):
    """How figures are exposed."""

    histogram_buckets: Annotated[tuple[Duration, ...], Meta(min_length=1, max_length=60)] = (
        "500us", "1ms", "2ms", "3ms", "5ms", "7500us", "10ms", "15ms", "25ms", "50ms",
        "75ms", "100ms", "250ms", "500ms", "1s", "2500ms", "5s", "10s", "30s", "60s",
    )  # fmt: skip


class Backend(_Section, frozen=True):
    """A share of the traffic of a route, and the cluster that gets it."""

    cluster: Name
    weight: Weight = 1


class PathHandling(_Section, frozen=True):
    """What the spellings of a slash in a path mean, before anything is matched."""

    slashes: Literal["merge", "keep", "refuse"] = "merge"
    escaped_slashes: Literal["refuse", "keep", "decode"] = "refuse"


class Listener(_Section, frozen=True):
    """An address that clients connect to."""

    name: Name
    address: Address
    protocol: Literal["http", "tcp", "auto"] = "http"
    routes: Name | None = None
    backends: list[Backend] = []
    trusted_hops: Annotated[int, Meta(ge=0, le=32)] = 0
    max_connections: Count | None = None
    max_requests_per_connection: Count | None = None
    max_request_head: Size = "60KiB"
    max_request_line: Size = "16KiB"
    max_header_fields: Annotated[int, Meta(ge=4, le=255)] = 100
    max_request_body: Size | None = None
    request_head_timeout: Duration = "10s"
    idle_timeout: Duration = "1h"
    path: PathHandling = PathHandling()
    forwarded_headers: bool = True
    request_id: bool = True
    via: FieldName | None = None
    access_log: bool = True


class ValueMatch(_Section, frozen=True):
    """What a header or a query parameter must be: exactly one of the three."""

    exact: str | None = None
    regex: str | None = None
    present: Literal[True] | None = None


class PathMatch(_Section, frozen=True):
    """What the path must be: exactly one of the three."""

    exact: PathText | None = None
    prefix: PathText | None = None
    regex: str | None = None


class Match(_Section, frozen=True):
    """What a request must be like; all the parts that are given."""

    path: PathMatch = PathMatch(prefix="/")
    method: FieldName | None = None
    headers: dict[FieldName, ValueMatch] = {}
    query: dict[Annotated[str, Meta(min_length=1)], ValueMatch] = {}


class PathEdit(_Section, frozen=True):
    """A new path: exactly one of the two."""

    replace_full: PathText | None = None
    replace_prefix: PathText | None = None


class Redirect(_Section, frozen=True):
    """An answer that sends the client elsewhere. What is not given stays as it was."""

    scheme: Literal["http", "https"] | None = None
    hostname: Hostname | None = None
    port: Port | None = None
    path: PathEdit | None = None
    status: Literal[301, 302, 303, 307, 308] = 302


class Response(_Section, frozen=True):
    """An answer that the proxy gives by itself."""

    status: Status = 200
    body: Annotated[str, Meta(max_length=1 << 20)] = ""
    content_type: FieldValue = "text/plain; charset=utf-8"


class Timeouts(_Section, frozen=True):
    """How long things may take; `0s` is without limit.

    Without `request`, the response has to begin within 15 s and may then go on for as long as it likes, so
    that event streams are not cut.
    """

    request: Duration | None = None
    per_try: Duration = "0s"
    idle: Duration = "5m"


class Backoff(_Section, frozen=True):
    """The pause before a retry: a random part of `base * 2^n`, at most `max`."""

    base: Duration = "25ms"
    max: Duration = "250ms"


class Retries(_Section, frozen=True):
    """When a request is tried again: further attempts after the first, and what calls for one."""

    attempts: Annotated[int, Meta(ge=0, le=100)] = 1
    on: tuple[str | Annotated[int, Meta(ge=100, le=599)], ...] = ("connect-failure", "reset")
    backoff: Backoff = Backoff()
    unsafe_methods: bool = False
    max_replay_body: Size = "64KiB"


class HeaderEdits(_Section, frozen=True):
    """Changes of header fields, made in the order remove, set, add."""

    remove: list[FieldName] = []
    set: dict[FieldName, FieldValue] = {}
    add: dict[FieldName, FieldValue] = {}


class Rewrite(_Section, frozen=True):
    """Changes of the request before it goes upstream."""

    hostname: Hostname | None = None
    path: PathEdit | None = None


class Route(_Section, frozen=True):
    """Requests of a kind, and what becomes of them: backends, a redirect or a response."""

    name: Name | None = None
    hostnames: list[Hostname] = []
    matches: list[Match] = []
    backends: list[Backend] = []
    redirect: Redirect | None = None
    response: Response | None = None
    timeouts: Timeouts = Timeouts()
    retries: Retries | None = None
    request_headers: HeaderEdits = HeaderEdits()
    response_headers: HeaderEdits = HeaderEdits()
    rewrite: Rewrite | None = None
    upgrade: bool = True
    connect: bool = False


class Endpoint(_Section, frozen=True):
    """One server of a cluster, or a name that is resolved to several."""

    address: Address
    weight: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    zone: Annotated[str, Meta(max_length=63)] = ""


class CircuitBreaker(_Section, frozen=True):
    """Limits over all workers together; null is without limit."""

    max_connections: Count | None = 1024
    max_pending_requests: Count | None = 1024
    max_requests: Count | None = 1024
    max_retries: Count | None = 3


class ConnectionPool(_Section, frozen=True):
    """How long connections to endpoints are kept."""

    idle_timeout: Duration = "60s"
    max_requests_per_connection: Count | None = None
    max_connection_age: Duration | None = None


class Cluster(_Section, frozen=True):
    """Servers that are all alike, and how requests are spread over them."""

    endpoints: list[Endpoint] = []
    load_balancer: Literal["round_robin", "least_request", "random"] = "round_robin"
    choices: Annotated[int, Meta(ge=2, le=64)] = 2
    connect_timeout: Duration = "5s"
    pending_timeout: Duration = "5s"
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    connection_pool: ConnectionPool = ConnectionPool()
    max_response_head: Size = "60KiB"


class Config(_Section, frozen=True):
    """A whole configuration."""

    workers: Annotated[int, Meta(ge=1, le=1024)] | None = None
    drain_timeout: Duration = "30s"
    upgrade_drain_timeout: Duration = "15m"
    runtime_dir: Annotated[str, Meta(min_length=1)] | None = None
    admin: Admin | None = None
    access_log: AccessLog = AccessLog(format="off")
    stats: Stats = Stats()
    listeners: list[Listener] = []
    routes: dict[Name, list[Route]] = {}
    clusters: dict[Name, Cluster] = {}


def simple_config(listen: str, to: list[str], workers: int | None = None) -> Config:
    """The config of `tulle proxy --listen ADDRESS --to ADDRESS [--to ...]`: all goes to these endpoints."""
    return Config(
        workers=workers,
        listeners=[Listener(name="listener", address=listen, routes="default")],
        routes={"default": [Route(name="default", backends=[Backend(cluster="default")])]},
        clusters={"default": Cluster(endpoints=[Endpoint(address=address) for address in to])},
    )
