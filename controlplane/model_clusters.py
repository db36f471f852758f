"""The vocabulary of clusters: endpoints, how they are chosen, and what is asked of them."""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_balancing import HashOn, PeakEwma, RingHash, SessionAffinity, SlowStart
from tulle.controlplane.model_circuit_breaker import CircuitBreaker
from tulle.controlplane.model_health import HealthCheck, OutlierDetection
from tulle.controlplane.model_http import HeaderCase, KeepAlive
from tulle.controlplane.model_tls import ClusterTls
from tulle.controlplane.model_values import (
    Address,
    Count,
    Duration,
    MetadataKey,
    MetadataValue,
    Section,
    Size,
)


class Endpoint(Section, frozen=True):
    """One server of a cluster, or a name that is resolved to several."""

    address: Address
    weight: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    zone: Annotated[str, Meta(max_length=63)] = ""
    priority: Annotated[int, Meta(ge=0, le=127)] = 0
    metadata: dict[MetadataKey, MetadataValue] = {}


class ZoneAware(Section, frozen=True):
    """Whether requests stay in the zone of the proxy as long as its endpoints can carry them."""

    enabled: bool = True
    min_cluster_size: Count = 6


class ConnectionPool(Section, frozen=True):
    """How long connections to endpoints are kept."""

    idle_timeout: Duration = "60s"
    max_requests_per_connection: Count | None = None
    max_connection_age: Duration | None = None
    max_streams_per_connection: Annotated[int, Meta(ge=1, le=65535)] = 100
    keepalive: KeepAlive | None = None


class Cluster(Section, frozen=True):
    """Servers that are all alike, and how requests are spread over them."""

    endpoints: list[Endpoint] = []
    original_destination: bool = False
    load_balancer: Literal["round_robin", "least_request", "random", "peak_ewma", "ring_hash", "maglev"] = (
        "round_robin"
    )
    choices: Annotated[int, Meta(ge=2, le=64)] = 2
    protocol: Literal["http1", "http2", "auto"] = "http1"
    header_case: HeaderCase = "keep"
    proxy_protocol: Literal["off", "v1", "v2"] = "off"
    connect_timeout: Duration = "5s"
    pending_timeout: Duration = "5s"
    panic_threshold: Annotated[int, Meta(ge=0, le=100)] = 50
    zone_aware: ZoneAware | None = None
    subset_fallback: Literal["none", "any"] = "none"
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    connection_pool: ConnectionPool = ConnectionPool()
    max_response_head: Size = "60KiB"
    peak_ewma: PeakEwma | None = None
    max_step_back: Duration | None = None
    outlier_detection: OutlierDetection | None = None
    hash_on: list[HashOn] = []
    ring_hash: RingHash | None = None
    bounded_load: Annotated[float, Meta(ge=1.01, le=100)] | None = None
    session_affinity: SessionAffinity | None = None
    slow_start: SlowStart | None = None
    tls: ClusterTls | None = None
    health_checks: Annotated[list[HealthCheck], Meta(max_length=1)] = []
