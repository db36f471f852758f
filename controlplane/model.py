"""The vocabulary of the configuration: what may be written, of which type, and what holds when it is not.

Every option is a field here, in `model_routes` or in another module of that kind, and nowhere else; the
JSON Schema is made from them. What types cannot say (references, ranges that depend on each other) is in
`validate`.
Durations are text with a unit, sizes are bytes or text with a unit; `units` reads them. An option that may be
None is off, or without limit, then.
"""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_clusters import Cluster, Endpoint
from tulle.controlplane.model_control import ControlPlane
from tulle.controlplane.model_greeting import Detection, ProxyProtocol
from tulle.controlplane.model_http import HeaderCase, KeepAlive
from tulle.controlplane.model_jwt import Jwt, JwtProvider
from tulle.controlplane.model_policies import Policy
from tulle.controlplane.model_routes import Backend, Route
from tulle.controlplane.model_tls import ServerTls, Tls
from tulle.controlplane.model_traffic import PolicyName, RateLimit
from tulle.controlplane.model_values import (
    Address,
    Count,
    Duration,
    FieldName,
    Name,
    Section,
    Size,
)


class Admin(Section, frozen=True):
    """The admin server of the master: figures and state, for operators only."""

    address: Address


class AccessLog(Section, frozen=True):
    """Where and how requests are logged, one line each."""

    path: Annotated[str, Meta(min_length=1)] = "/dev/stdout"
    format: Literal["json", "text", "off"] = "json"
    format_string: str | None = None


class Stats(Section, frozen=True):
    """How figures are exposed."""

    histogram_buckets: Annotated[tuple[Duration, ...], Meta(min_length=1, max_length=60)] = (
        "500us", "1ms", "2ms", "3ms", "5ms", "7500us", "10ms", "15ms", "25ms", "50ms",
        "75ms", "100ms", "250ms", "500ms", "1s", "2500ms", "5s", "10s", "30s", "60s",
    )  # fmt: skip
    removed_after: Duration = "5m"


class Overload(Section, frozen=True):
    """What the proxy as a whole may take on; above it new work is refused."""

    max_connections: Count | None = None
    max_memory: Size | None = None


class PathHandling(Section, frozen=True):
    """What the spellings of a slash in a path mean, before anything is matched."""

    slashes: Literal["merge", "keep", "refuse"] = "merge"
    escaped_slashes: Literal["refuse", "keep", "decode"] = "refuse"


class Listener(Section, frozen=True):
    """An address that clients connect to."""

    name: Name
    address: Address
    protocol: Literal["http", "tcp", "auto"] = "http"
    original_destination: bool = False
    outbound: Literal["allow_any", "registry_only"] = "allow_any"
    routes: Name | None = None
    backends: list[Backend] = []
    trusted_hops: Annotated[int, Meta(ge=0, le=32)] = 0
    max_connections: Count | None = None
    max_requests_per_connection: Count | None = None
    max_streams_per_connection: Annotated[int, Meta(ge=1, le=16384)] = 256
    keepalive: KeepAlive | None = None
    grpc_web: bool = False
    header_case: HeaderCase = "keep"
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
    rate_limits: list[RateLimit] = []
    jwt: Jwt | None = None
    tls: ServerTls | None = None
    forward_client_cert_details: Literal[
        "sanitize", "forward_only", "append_forward", "sanitize_set", "always_forward_only"
    ] = "sanitize"
    set_current_client_cert_details: tuple[Literal["subject", "uri", "dns"], ...] = ("uri",)
    proxy_protocol: ProxyProtocol | None = None
    detection: Detection = Detection()


class Config(Section, frozen=True):
    """A whole configuration."""

    workers: Annotated[int, Meta(ge=1, le=1024)] | None = None
    drain_timeout: Duration = "30s"
    upgrade_drain_timeout: Duration = "15m"
    runtime_dir: Annotated[str, Meta(min_length=1)] | None = None
    zone: Annotated[str, Meta(min_length=1, max_length=63)] | None = None
    admin: Admin | None = None
    access_log: AccessLog = AccessLog(format="off")
    stats: Stats = Stats()
    overload: Overload = Overload()
    tls: Tls = Tls()
    listeners: list[Listener] = []
    routes: dict[Name, list[Route]] = {}
    clusters: dict[Name, Cluster] = {}
    policies: dict[PolicyName, Policy] = {}
    control_plane: ControlPlane | None = None
    jwt: dict[PolicyName, JwtProvider] = {}


def followed_config(addresses: list[str], state_dir: str, token_file: str | None) -> Config:
    """The config of `tulle proxy --control ADDRESS --token-file F`: all comes from the control plane."""
    return Config(
        admin=Admin(address="127.0.0.1:15000"),
        control_plane=ControlPlane(addresses=addresses, state_dir=state_dir, token_file=token_file),
    )


def simple_config(listen: str, to: list[str], workers: int | None = None) -> Config:
    """The config of `tulle proxy --listen ADDRESS --to ADDRESS [--to ...]`: all goes to these endpoints."""
    return Config(
        workers=workers,
        listeners=[Listener(name="listener", address=listen, routes="default")],
        routes={"default": [Route(name="default", backends=[Backend(cluster="default")])]},
        clusters={"default": Cluster(endpoints=[Endpoint(address=address) for address in to])},
    )
