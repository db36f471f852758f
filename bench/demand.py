"""What a scenario asks of a proxy, in words that every peer can put into its own configuration.

All proxies do the same work: they add `x-forwarded-for`, `x-forwarded-proto` and `x-request-id`, keep
connections to the backend alive, stream bodies, limit what an upstream may have open, count requests, and log
only when asked.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

CONNECTION_LIMIT = 1024
"""Connections that a proxy may have open to one upstream."""

BUSY_LIMIT = 64
"""Requests under way to one upstream, for a circuit breaker."""
UNLIMITED = 1_000_000
"""For a proxy that has no other word for it."""

Balancer = Literal["round_robin", "least_request", "random", "peak_ewma"]


class RateLimit(NamedTuple):
    """A token bucket that all workers share: requests a second, and how many at once after a pause."""

    requests: int
    burst: int


@dataclass(frozen=True)
class Policy:
    """What a proxy does about endpoints that are slow or fail. Times are in seconds, 0 is without limit."""

    balancer: Balancer = "round_robin"
    choices: int = 2
    """How many endpoints it looks at, where it draws some and takes the best."""
    ejection: bool = False
    """Endpoints that fail five times in a row are left out for 30 s, or what comes nearest to that."""
    timeout: float = 0
    """Of a request with all its tries."""
    try_timeout: float = 0
    retries: int = 0
    """Further tries when one is answered with 5xx, cut off, or not answered within its time."""
    retry_budget: bool = False
    """Retries are at most a fifth of the requests; without it they are not limited."""
    breaker: bool = False
    """Requests are refused at once while too many are under way, or too many have failed."""
    rate_limit: RateLimit | None = None
    patient: bool = False
    """Requests that find no connection to the backend wait for one, however many there are."""
    hedge_delay: float = 0
    """A second try goes out beside one that has no answer after so long; or"""
    hedge_quantile: float = 0
    """after what this share of the answers takes. Second tries are at most a fifth of the requests."""


class Secure(NamedTuple):
    """One side of mutual TLS between two proxies; papers are PEM files in `folder`, see `bench.papers`."""

    role: Literal["server", "client"]
    """Who connects to it with TLS, or to whom it connects."""
    folder: Path

    @property
    def ca(self) -> str:
        return f"{self.folder}/ca.crt"

    @property
    def certificate(self) -> str:
        return f"{self.folder}/{self.role}.crt"

    @property
    def key(self) -> str:
        return f"{self.folder}/{self.role}.key"

    @property
    def both(self) -> str:
        """Certificate and key in one file."""
        return f"{self.folder}/{self.role}.pem"


@dataclass(frozen=True)
class Demand:
    """A proxy on 127.0.0.1:`port` in front of `endpoints`, which are ports of 127.0.0.1."""

    port: int
    endpoints: tuple[int, ...]
    routes: int = 0
    """This many prefixes, see `route_path`; with none, all paths go to the one cluster."""
    clusters: int = 1
    """Routes are dealt to so many clusters in turn; each has all the endpoints."""
    access_log: bool = False
    version: int | None = None
    """When given, `VERSION_PATH` is answered by the proxy itself, with `version_body`."""
    yaml: bool = False
    """The configuration as YAML where the proxy reads several formats."""
    policy: Policy = Policy()
    workers: int = 1
    grpc: bool = False
    """The endpoints answer gRPC calls alone."""
    http2: bool = False
    """HTTP/2 to the endpoints; a proxy that cannot speaks HTTP/1.1 with them."""
    raw: bool = False
    """Bytes are passed on as they are, and nothing is asked of them: no fields are added."""
    secure: Secure | None = None
    """TLS on one of its two sides; None: on neither."""

    def takes_tls(self) -> Secure | None:
        """The papers of a proxy whose clients speak TLS."""
        return self.secure if self.secure and self.secure.role == "server" else None

    def makes_tls(self) -> Secure | None:
        """The papers of a proxy that speaks TLS with its endpoints."""
        return self.secure if self.secure and self.secure.role == "client" else None

    def cluster_of(self, route: int) -> str:
        return cluster_name(route % self.clusters)

    @property
    def version_body(self) -> str:
        return f"version {self.version}"


SERVER_NAME = "server.mesh.example"
"""The DNS name in the certificate of the server side, which the client side asks for and insists on."""

VERSION_PATH = "/version"


def route_path(route: int) -> str:
    """The prefix of a route; a request for it is routed by it."""
    return f"/service/{route:06d}/"


def cluster_name(cluster: int) -> str:
    return f"cluster-{cluster:04d}"
