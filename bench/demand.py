"""What a scenario asks of a proxy, in words that every peer can put into its own configuration.

All proxies do the same work: they add `x-forwarded-for`, `x-forwarded-proto` and `x-request-id`, keep
connections to the backend alive, stream bodies, limit what an upstream may have open, count requests, and log
only when asked.
"""

from dataclasses import dataclass
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

    def cluster_of(self, route: int) -> str:
        return cluster_name(route % self.clusters)

    @property
    def version_body(self) -> str:
        return f"version {self.version}"


VERSION_PATH = "/version"


def route_path(route: int) -> str:
    """The prefix of a route; a request for it is routed by it."""
    return f"/service/{route:06d}/"


def cluster_name(cluster: int) -> str:
    return f"cluster-{cluster:04d}"
